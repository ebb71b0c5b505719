package cli

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
)

// redacted stands where a secret was.
const redacted = "***"

// redactor is a slog.Handler that lets no secret through to the next one:
//   - values whose key says that they are secret are replaced, those of type
//     rancher.Secret print so by themselves;
//   - the texts it was given are replaced wherever they occur, and whatever in a
//     text looks like NAME=value of a secret, a bearer token or an API key;
//   - objects, lists and bytes are named by their type: their fields cannot be
//     judged, and those of a cluster hold secrets in clear.
type redactor struct {
	next   slog.Handler
	known  *strings.Replacer
	secret bool // within a group of secrets
}

// newRedactor takes the texts that must never be seen, such as the API key.
func newRedactor(next slog.Handler, secrets ...string) *redactor {
	secrets = slices.DeleteFunc(slices.Clone(secrets), func(s string) bool { return s == "" })
	slices.SortFunc(secrets, func(a, b string) int { return cmp.Compare(len(b), len(a)) }) // a token holds its own secret part
	var pairs []string
	for _, s := range secrets {
		pairs = append(pairs, s, redacted)
	}
	return &redactor{next: next, known: strings.NewReplacer(pairs...)}
}

// secretName finds the keys whose values are secret. In lower case, without
// separators.
var secretName = regexp.MustCompile(`password|passwd|passphrase|secret|token|credential|authorization|cookie|apikey|accesskey|privatekey|sshkey|userkey|clientkey|dockerconfig|kubeconfig|^auth$`)

var separators = strings.NewReplacer("-", "", "_", "", ".", "", " ", "")

func isSecretName(key string) bool {
	return secretName.MatchString(strings.ToLower(separators.Replace(key)))
}

// secretText finds secrets by what stands before them, and API keys of Rancher
// by their form.
var secretText = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=:-]{6,}`), "$1 " + redacted},
	{regexp.MustCompile(`\b(token-[a-z0-9]{3,}|kubeconfig-[a-z0-9-]+):[A-Za-z0-9]+`), "$1:" + redacted},
	{regexp.MustCompile(`(?i)([\w.-]*(?:password|passwd|passphrase|secret|token|credential|api[_-]?key|access[_-]?key|private[_-]?key|docker_config)[\w.-]*["']?\s*[=:]\s*)("(?:[^"\\]|\\.)*"|'[^']*'|[^\s,;]+)`), "${1}" + redacted},
	{regexp.MustCompile(`(?i)(--?(?:token|password|secret)\s+)[^\s(]\S*`), "${1}" + redacted},
	{regexp.MustCompile(`(://[^/\s:@]+):[^\s@]+@`), "$1:" + redacted + "@"},
}

func (r *redactor) text(s string) string {
	s = r.known.Replace(s)
	for _, t := range secretText {
		s = t.pattern.ReplaceAllString(s, t.with)
	}
	return s
}

// attr gives what may be seen of an attribute, nothing of one within secrets.
func (r *redactor) attr(a slog.Attr, secret bool) slog.Attr {
	v := a.Value.Resolve()
	secret = secret || isSecretName(a.Key)
	switch {
	case v.Kind() == slog.KindGroup:
		var seen []slog.Attr
		for _, member := range v.Group() {
			seen = append(seen, r.attr(member, secret))
		}
		v = slog.GroupValue(seen...)
	case secret:
		v = slog.StringValue(redacted)
	case v.Kind() == slog.KindString:
		v = slog.StringValue(r.text(v.String()))
	case v.Kind() == slog.KindAny:
		v = slog.StringValue(r.any(v.Any()))
	}
	return slog.Attr{Key: r.text(a.Key), Value: v}
}

func (r *redactor) any(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case error:
		return r.text(v.Error())
	case fmt.Stringer: // a text that its type has chosen to show
		return r.text(v.String())
	}
	return fmt.Sprintf("(%T)", v)
}

func (r *redactor) Enabled(ctx context.Context, l slog.Level) bool { return r.next.Enabled(ctx, l) }

func (r *redactor) Handle(ctx context.Context, rec slog.Record) error {
	seen := slog.NewRecord(rec.Time, rec.Level, r.text(rec.Message), 0)
	rec.Attrs(func(a slog.Attr) bool {
		seen.AddAttrs(r.attr(a, r.secret))
		return true
	})
	return r.next.Handle(ctx, seen)
}

func (r *redactor) WithAttrs(attrs []slog.Attr) slog.Handler {
	seen := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		seen[i] = r.attr(a, r.secret)
	}
	return &redactor{next: r.next.WithAttrs(seen), known: r.known, secret: r.secret}
}

// WithGroup keeps the group's name; a secret one makes all its values secret.
func (r *redactor) WithGroup(name string) slog.Handler {
	return &redactor{next: r.next.WithGroup(r.text(name)), known: r.known, secret: r.secret || isSecretName(name)}
}
