package kubelet

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
)

// newest is the last version whose rules were read.
var newest = Version{1, 35}

// Foresee says what a kubelet of version v accepts of p although it is of no
// use, and what a later version, up to and including target, will not accept.
// It does not repeat what Start(v, p) says. The order is that of the table;
// each code comes at most once for one reason, and at most six times in all.
func Foresee(v, target Version, p Provider) []Remark {
	if target.Before(v.Major, v.Minor) {
		target = v
	}
	s := sight{v: v, target: target, Provider: p}
	if p.ConfigState == PathRegular {
		// What can be read is looked at even if v refuses the file.
		if doc, err := lenient.decode(p.Config); err == nil {
			s.entries = doc.entries
			strict, err := strictest.decode(p.Config)
			s.tokens = strict.tokens
			if runtime.IsStrictDecodingError(err) {
				s.careless = reason(err)
			}
		}
	}
	var out []Remark
	for _, r := range remarks {
		texts := r.when(s)
		for i, text := range texts {
			if i == maxTexts && len(texts) > maxTexts+1 {
				text = fmt.Sprintf("and %d more of this kind", len(texts)-maxTexts)
			}
			out = append(out, Remark{Code: r.code, Level: r.level, Text: text, Todo: r.todo})
			if i == maxTexts {
				break
			}
		}
	}
	return out
}

// ForeseeCatalogue lists every remark that Foresee can make; Text is its
// general meaning.
func ForeseeCatalogue() []Remark {
	out := make([]Remark, len(remarks))
	for i, r := range remarks {
		out[i] = Remark{Code: r.code, Level: r.level, Text: r.meaning, Todo: r.todo}
	}
	return out
}

// maxTexts bounds how often one row speaks: a hostile config has thousands of
// entries.
const maxTexts = 5

// lenient reads what any kubelet up to 1.31 reads, strictest only what one from
// 1.33 on does.
var (
	lenient   = generationOf(Version{1, 31})
	strictest = generationOf(Version{1, 33})
)

// sight is what the rows look at.
type sight struct {
	v, target Version
	Provider
	entries []entry
	// careless is what strict decoding has against a config that lenient
	// decoding takes, without tokenAttributes, which have their own row.
	careless string
	tokens   bool
}

// reaches says that the target is at, or goes beyond, a minor version.
func (s sight) reaches(minor uint) bool { return !s.target.Before(1, minor) }

// each gives the texts of a row that looks at one provider at a time.
func each(say func(sight, entry) string) func(sight) []string {
	return func(s sight) []string {
		var texts []string
		seen := map[string]bool{"": true}
		for _, e := range s.entries {
			if text := say(s, e); !seen[text] {
				seen[text] = true
				texts = append(texts, text)
			}
		}
		return texts
	}
}

// once gives the texts of a row that has at most one thing to say.
func once(say func(sight) string) func(sight) []string {
	return func(s sight) []string {
		if text := say(s); text != "" {
			return []string{text}
		}
		return nil
	}
}

const (
	todoBinary  = "put the right provider there, with its SHA-256 checked, and look again"
	todoConfig  = "write the config anew, as rkepatch does it; do not append to it"
	todoPattern = "correct matchImages in the config"
)

// remarks is the table of what Foresee says.
var remarks = []struct {
	code    string
	level   Level
	meaning string
	todo    string
	when    func(sight) []string
}{
	{"kubelet-unknown", Caution, "the rules of kubelets after 1.35 are not known to this program",
		"use a newer rkepatch", once(kubeletUnknown)},
	{"provider-unseen", Caution, "a part of what the kubelet needs was not seen, so nothing is known about it",
		"look at it on the node", seeing},
	{"provider-unusual-name", Caution, "a provider has a name that is not looked for",
		"give the provider's file and its entry a plain name", each(unusualName)},
	{"config-refused-in-1.32", Caution, "kubelets from 1.32 on decode the config strictly and do not start with unknown fields or keys that come twice",
		todoConfig + "; before the upgrade to 1.32", once(refusedStrictly)},
	{"config-careless", Note, "the config has unknown fields or keys that come twice; they are ignored now, and refused from 1.32 on",
		todoConfig, once(careless)},
	{"config-token-attributes", Caution, "tokenAttributes is ignored up to 1.31, keeps 1.32 and 1.33 from starting and is not judged after that",
		"leave tokenAttributes out of the config", once(tokenField)},
	{"config-second-document", Caution, "only the first YAML document of the config is read",
		"put all providers under one providers list", once(secondDocument)},
	{"config-encoding", Note, "the config has a byte order mark or Windows line ends, which kubelets accept",
		"nothing has to be done", once(encoding)},
	{"config-is-a-secret", Caution, "the config holds keys in env and is readable by every user of the node",
		"give the node an instance role instead, or make the config readable by root only", once(readableKeys)},
	{"path-relative", Caution, "a path is not absolute: the kubelet looks for it in its own working directory, and from 1.30 on in PATH",
		"use absolute paths in both flags", once(relative)},
	{"writable-by-all", Caution, "another user of the node than root can replace what the kubelet runs as root",
		"chown root:root, and take the write permission from everyone else", writable},
	{"provider-name-empty", Fatal, "a provider without a name is never run, and keeps kubelets from 1.30 on from starting",
		"name the provider as its file in the bin dir is named", each(nameEmpty)},
	{"binary-not-executable", Fatal, "up to 1.29 a binary that cannot be executed means pulls without credentials; from 1.30 on the kubelet does not start",
		"chmod 755, on a file system that is not mounted noexec", each(notExecutable)},
	{"binary-not-a-program", Fatal, "what has the provider's name is not a program, so pulls go on without credentials",
		todoBinary, each(notProgram)},
	{"binary-script", Caution, "the provider is a script; whether its interpreter is inside the kubelet's container was not seen",
		"use the program itself", each(script)},
	{"binary-truncated", Fatal, "the provider's file ends too early, as after a download that was cut",
		todoBinary, each(truncated)},
	{"binary-arch", Fatal, "the provider is built for another architecture than the node's",
		"put the file for the node's own architecture at the same path", each(wrongArch)},
	{"binary-not-a-plugin", Fatal, "the program speaks no version of the provider API; docker-credential-ecr-login for one is another thing",
		todoBinary, each(notPlugin)},
	{"binary-api", Fatal, "the program does not speak the apiVersion that the config names: the kubelet starts and all pulls silently go on without credentials",
		"name the apiVersion that the program speaks (ECR's: v1alpha1 up to v1.27.0, v1 from v1.27.1 on), or change the program", each(apiNotSpoken)},
	{"api-v1beta1", Fatal, "no release of ecr-credential-provider ever spoke v1beta1",
		"say v1, or v1alpha1 for a binary up to v1.27.0", each(beta)},
	{"args-verbosity", Fatal, "ecr-credential-provider does not know --v and ends with an error; the argument comes from GCP's examples",
		"take the argument out of args", each(verbosity)},
	{"args-missing", Fatal, "the provider is not told what it needs in args, and ends without credentials",
		"write its entry as rkepatch does: acr-credential-provider wants the path of the Azure cloud config, auth-provider-gcp wants get-credentials", each(argumentless)},
	{"pattern-brackets", Fatal, "kubelets that were built with Go 1.24.8 or later, such as 1.31.14 and 1.32.10, do not start with brackets in the host of a pattern",
		"write the labels out, or use *", each(brackets)},
	{"provider-never-asked", Fatal, "no pattern of this provider can ever match an image",
		todoPattern, each(neverAsked)},
	{"pattern-never-matches", Caution, "a pattern can never match an image",
		todoPattern, neverMatching},
	{"pattern-too-wide", Caution, "a pattern matches registries that are not ECR; providers from v1.29.0 on send them an ECR token",
		"name ECR's own hosts, as in " + `"*.dkr.ecr.*.amazonaws.com"`, tooWide},
	{"pattern-public-ecr", Note, "public.ecr.aws was never served by a kubelet itself, needs other permissions, and slows all public pulls when its endpoint does not answer",
		"leave it out unless it is wanted", publicECR},
	{"patterns-lose-registries", Caution, "the patterns leave out registries that kubelets once logged in to by themselves",
		"add the patterns, unless nothing is pulled from there", loseRegistries},
	{"patterns-lose-partitions", Note, "the patterns leave out partitions or clouds of a country that kubelets once logged in to by themselves",
		"add the patterns if something is pulled from there", losePartitions},
}
