package kubelet

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"unicode"

	"gopkg.in/yaml.v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	configv1 "k8s.io/kubelet/config/v1"
	configv1alpha1 "k8s.io/kubelet/config/v1alpha1"
	configv1beta1 "k8s.io/kubelet/config/v1beta1"
	providerv1 "k8s.io/kubelet/pkg/apis/credentialprovider/v1"
	providerv1alpha1 "k8s.io/kubelet/pkg/apis/credentialprovider/v1alpha1"
	providerv1beta1 "k8s.io/kubelet/pkg/apis/credentialprovider/v1beta1"
)

// generation is what a kubelet's decoder knows: one for all versions that
// decode alike.
type generation struct{ beta, stable, strict, tokens bool }

// generationOf gives the decoder of version v (kubernetes
// pkg/credentialprovider/plugin/plugin.go: v1beta1 came with 1.24, v1 with
// 1.26, serializer.EnableStrict with 1.32, tokenAttributes with 1.33).
func generationOf(v Version) generation {
	return generation{beta: !v.Before(1, 24), stable: !v.Before(1, 26), strict: !v.Before(1, 32), tokens: !v.Before(1, 33)}
}

var decoders sync.Map // of runtime.Decoder by generation

func (g generation) decoder() runtime.Decoder {
	if d, ok := decoders.Load(g); ok {
		return d.(runtime.Decoder)
	}
	scheme := runtime.NewScheme()
	utilruntime.Must(configv1alpha1.AddToScheme(scheme))
	utilruntime.Must(providerv1alpha1.AddToScheme(scheme))
	if g.beta {
		utilruntime.Must(configv1beta1.AddToScheme(scheme))
		utilruntime.Must(providerv1beta1.AddToScheme(scheme))
	} else {
		scheme.AddKnownTypes(configv1beta1.SchemeGroupVersion, &configv1beta1.KubeletConfiguration{}, &configv1beta1.SerializedNodeConfigSource{})
	}
	if g.stable {
		utilruntime.Must(configv1.AddToScheme(scheme))
		utilruntime.Must(providerv1.AddToScheme(scheme))
	}
	var options []serializer.CodecFactoryOptionsMutator
	if g.strict {
		options = append(options, serializer.EnableStrict)
	}
	d, _ := decoders.LoadOrStore(g, serializer.NewCodecFactory(scheme, options...).UniversalDeserializer())
	return d.(runtime.Decoder)
}

// providerAPIs are the values that providers[].apiVersion may have, sorted.
func (g generation) providerAPIs() []string {
	apis := []string{providerv1alpha1.SchemeGroupVersion.String()}
	if g.beta {
		apis = append(apis, providerv1beta1.SchemeGroupVersion.String())
	}
	if g.stable {
		apis = append([]string{providerv1.SchemeGroupVersion.String()}, apis...)
	}
	return apis
}

// document is a decoded config, whatever the version of the file.
type document struct {
	entries []entry
	// tokens says that an entry has tokenAttributes; it is only known where
	// decoding is strict.
	tokens bool
}

// entry is one provider of a config.
type entry struct {
	name, apiVersion string
	matchImages      []string
	cacheDuration    *metav1.Duration
	args             []string
	env              []string // names only
}

// Bounds for what is looked at. A config that a person wrote is a tenth of
// this at most; the kubelet itself has none.
const (
	maxConfig   = 64 << 10
	maxExpanded = 1 << 20 // with all YAML aliases written out
)

var errTooLarge = errors.New("the config is too large to be judged: no more than 64 KiB, 1 MiB with its YAML aliases written out")

// tokenAttributes came with 1.33; the types of k8s.io/kubelet 0.32 lack it.
var tokenAttributes = regexp.MustCompile(`^unknown field "providers\[\d+\]\.tokenAttributes"$`)

// decode reads a config as the kubelets of a generation do
// (pkg/credentialprovider/plugin/config.go decode). The error's text is for
// reason.
func (g generation) decode(config []byte) (document, error) {
	if err := checkSize(config); err != nil {
		return document{}, err
	}
	obj, kind, err := g.decoder().Decode(config, nil, nil)
	var doc document
	if strict, ok := runtime.AsStrictDecodingError(err); ok && g.tokens {
		doc.tokens, err = withoutTokenAttributes(strict.Errors())
	}
	if err != nil {
		return document{tokens: doc.tokens}, err
	}
	switch c := obj.(type) {
	case *configv1.CredentialProviderConfig:
		for _, p := range c.Providers {
			doc.add(p.Name, p.APIVersion, p.MatchImages, p.DefaultCacheDuration, p.Args)
			for _, e := range p.Env {
				doc.addEnv(e.Name)
			}
		}
	case *configv1beta1.CredentialProviderConfig:
		for _, p := range c.Providers {
			doc.add(p.Name, p.APIVersion, p.MatchImages, p.DefaultCacheDuration, p.Args)
			for _, e := range p.Env {
				doc.addEnv(e.Name)
			}
		}
	case *configv1alpha1.CredentialProviderConfig:
		for _, p := range c.Providers {
			doc.add(p.Name, p.APIVersion, p.MatchImages, p.DefaultCacheDuration, p.Args)
			for _, e := range p.Env {
				doc.addEnv(e.Name)
			}
		}
	default:
		return document{}, fmt.Errorf("failed to decode %q (wrong Kind)", kind.Kind)
	}
	return doc, nil
}

func (d *document) add(name, apiVersion string, matchImages []string, cache *metav1.Duration, args []string) {
	d.entries = append(d.entries, entry{name: name, apiVersion: apiVersion, matchImages: matchImages, cacheDuration: cache, args: args})
}

func (d *document) addEnv(name string) {
	last := &d.entries[len(d.entries)-1]
	last.env = append(last.env, name)
}

// withoutTokenAttributes takes out the errors that only come from the age of
// the types used here, and says whether there were any.
func withoutTokenAttributes(errs []error) (found bool, rest error) {
	var others []error
	for _, err := range errs {
		if tokenAttributes.MatchString(err.Error()) {
			found = true
		} else {
			others = append(others, err)
		}
	}
	if len(others) > 0 {
		rest = runtime.NewStrictDecodingError(others)
	}
	return found, rest
}

// checkSize says no to a config whose decoding would take unusual time or
// memory. yaml itself stops at excessive aliases, but counts nodes, not bytes.
func checkSize(config []byte) error {
	if len(config) > maxConfig {
		return errTooLarge
	}
	if !bytes.ContainsRune(config, '&') {
		return nil
	}
	var tree any
	if err := yaml.Unmarshal(config, &tree); err != nil {
		return nil // the decoder will say it in its own words
	}
	if room := maxExpanded; !fits(tree, &room) {
		return errTooLarge
	}
	return nil
}

// fits takes the size of a tree, about as it is in JSON, from room, and stops
// when there is none left.
func fits(tree any, room *int) bool {
	*room -= 2
	switch t := tree.(type) {
	case string:
		*room -= len(t)
	case []any:
		for _, e := range t {
			if !fits(e, room) {
				return false
			}
		}
	case map[any]any:
		for k, e := range t {
			if !fits(k, room) || !fits(e, room) {
				return false
			}
		}
	}
	return *room > 0
}

// Parts of an error's text that can hold more of the file than a name.
var (
	schemeName  = regexp.MustCompile(` in scheme "[^"]*"`)
	mapKey      = regexp.MustCompile(`(invalid map key|unsupported map key of type)[\s\S]*`)
	password    = regexp.MustCompile(`:[^\s"/@]*@`)
	quotedValue = regexp.MustCompile("`[^`]*`|anchor '[^']*'")
)

// maxReason bounds a reason, in characters.
const maxReason = 400

// reason gives an error of decode or validation in the kubelet's words, on one
// line, without what could be a secret: some errors quote the whole file.
func reason(err error) string {
	text := err.Error()
	switch {
	case runtime.IsMissingKind(err):
		text = "Object 'Kind' is missing in the file"
	case runtime.IsMissingVersion(err):
		text = "Object 'apiVersion' is missing in the file"
	}
	text = mapKey.ReplaceAllString(schemeName.ReplaceAllString(text, ""), "$1")
	text = password.ReplaceAllString(text, ":…@")
	return oneLine(quotedValue.ReplaceAllString(text, "…"), maxReason)
}

// oneLine makes text of unknown origin fit for a terminal, in at most so many
// characters.
func oneLine(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	if short := []rune(strings.TrimSpace(text)); len(short) > most {
		return string(short[:most]) + "…"
	}
	return strings.TrimSpace(text)
}
