package pulls

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"rkepatch/internal/kubelet"
)

// coverage says whether pull secrets give what is needed.
type coverage int

const (
	uncovered coverage = iota
	covered
	unsure
)

// logins are the pull secrets that matter: names and the registries that they
// are for, never what is in them.
type logins struct {
	accounts     map[string]string   // names of the pull secrets of service accounts, by namespace/name
	accountsRead bool                // all could be read
	secrets      map[string][]string // keys of credentials, such as "registry.example.com/team", by namespace/name
	secretsRead  bool
}

// cover says whether the pull secrets of a use are good for all its images.
func (l *logins) cover(u use) coverage {
	names := u.secrets
	if u.account != "" {
		if !l.accountsRead {
			return unsure
		}
		names = l.accounts[u.namespace+"/"+u.account]
	}
	if names == "" {
		return uncovered
	}
	if !l.secretsRead {
		return unsure
	}
	var keys []string
	for name := range strings.SplitSeq(names, "\n") {
		keys = append(keys, l.secrets[u.namespace+"/"+name]...)
	}
	for _, image := range u.images() {
		if !slices.ContainsFunc(keys, func(key string) bool { ok, _ := kubelet.Matches(key, image); return ok }) {
			return uncovered
		}
	}
	return covered
}

type account struct {
	Metadata         struct{ Namespace, Name string } `json:"metadata"`
	ImagePullSecrets []secretRef                      `json:"imagePullSecrets"`
}

// secret is a pull secret. Credentials are looked at for their presence while
// they are decoded, and not kept.
type secret struct {
	Metadata struct{ Namespace, Name string } `json:"metadata"`
	Type     string                           `json:"type"`
	Data     struct {
		Config []byte `json:".dockerconfigjson"`
		Legacy []byte `json:".dockercfg"`
	} `json:"data"`
}

type auths map[string]struct {
	Auth     present `json:"auth"`
	Username present `json:"username"`
	Password present `json:"password"`
}

// present remembers of a JSON string that it is not empty.
type present bool

// UnmarshalJSON implements json.Unmarshaler.
func (p *present) UnmarshalJSON(text []byte) error {
	*p = present(len(text) > len(`""`) && text[0] == '"')
	return nil
}

// maxKeys bounds of how many registries one pull secret is known to be for.
const maxKeys = 100

// keys gives what a secret has credentials for, as a kubelet reads it
// (kubernetes v1.27.0 pkg/credentialprovider/keyring.go:70 and
// secrets/secrets.go:29). One that cannot be read is for nothing.
func (s *secret) keys() []string {
	var config struct{ Auths auths }
	switch s.Type {
	case "kubernetes.io/dockerconfigjson":
		if json.Unmarshal(s.Data.Config, &config) != nil {
			return nil
		}
	case "kubernetes.io/dockercfg":
		if json.Unmarshal(s.Data.Legacy, &config.Auths) != nil {
			return nil
		}
	}
	var keys []string
	for _, at := range slices.Sorted(maps.Keys(config.Auths)) {
		if len(keys) == maxKeys {
			break
		}
		entry := config.Auths[at]
		if !entry.Auth && (!entry.Username || !entry.Password) {
			continue
		}
		if !strings.HasPrefix(at, "https://") && !strings.HasPrefix(at, "http://") {
			at = "https://" + at
		}
		u, err := url.Parse(at)
		if err != nil {
			continue
		}
		path := u.Path
		if strings.HasPrefix(path, "/v1/") || strings.HasPrefix(path, "/v2/") {
			path = path[len("/v1"):]
		}
		if path == "/" {
			path = ""
		}
		keys = append(keys, u.Host+path)
	}
	return keys
}

var (
	accountList = listing{"serviceaccounts", "/api/v1/serviceaccounts", "ServiceAccountList", ""}
	secretLists = []listing{
		{"pull secrets", "/api/v1/secrets", "SecretList", "type=kubernetes.io/dockerconfigjson"},
		{"pull secrets", "/api/v1/secrets", "SecretList", "type=kubernetes.io/dockercfg"},
	}
)

// logins reads the service accounts and pull secrets that the uses of t name;
// nothing is asked for when they name none.
func (c *client) logins(ctx context.Context, t *tally) (*logins, []string) {
	out := &logins{accounts: map[string]string{}, secrets: map[string][]string{}, accountsRead: true, secretsRead: true}
	wanted := map[string]bool{} // service accounts
	for u := range t.uses {
		if u.account != "" {
			wanted[u.namespace+"/"+u.account] = true
		}
	}
	var gaps []string
	if len(wanted) > 0 {
		read, err := collect(ctx, c, accountList, newStrings, func(m map[string]string, a *account) {
			if key := a.Metadata.Namespace + "/" + a.Metadata.Name; wanted[key] {
				m[key] = joinNames(a.ImagePullSecrets)
			}
		}, mergeMaps)
		if err != nil {
			out.accountsRead = false
			gaps = append(gaps, fmt.Sprintf("which pull secrets the service accounts bring is not known: they cannot be listed: %s", err))
		}
		mergeMaps(out.accounts, read)
	}
	clear(wanted) // secrets, now
	for u := range t.uses {
		names := u.secrets
		if u.account != "" {
			names = out.accounts[u.namespace+"/"+u.account]
		}
		for name := range strings.SplitSeq(names, "\n") {
			if name != "" {
				wanted[u.namespace+"/"+name] = true
			}
		}
	}
	if len(wanted) == 0 {
		return out, gaps
	}
	for _, l := range secretLists {
		read, err := collect(ctx, c, l, newKeys, func(m map[string][]string, s *secret) {
			if key := s.Metadata.Namespace + "/" + s.Metadata.Name; wanted[key] {
				m[key] = s.keys()
			}
		}, mergeMaps)
		if err != nil {
			out.secretsRead = false
			return out, append(gaps, fmt.Sprintf("what the pull secrets are for is not known: they cannot be listed: %s", err))
		}
		mergeMaps(out.secrets, read)
	}
	return out, gaps
}

func newStrings() map[string]string { return map[string]string{} }
func newKeys() map[string][]string  { return map[string][]string{} }

func mergeMaps[V any](into, from map[string]V) { maps.Copy(into, from) }
