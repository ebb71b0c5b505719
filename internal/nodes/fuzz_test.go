package nodes

import (
	"strings"
	"testing"
	"time"
	"unicode"

	"rkepatch/internal/kubelet"
)

// shownWell fails when a finding is not fit for a terminal.
func shownWell(t *testing.T, findings []Finding) {
	t.Helper()
	for _, f := range findings {
		if len(f.Message) > 6000 || strings.ContainsFunc(f.Message, func(r rune) bool { return unicode.IsControl(r) }) {
			t.Errorf("%s: %q", f.Code, f.Message)
		}
	}
}

// Whoever has a node can answer what they like: it is read or refused, and never
// shown as it came.
func FuzzSeen(f *testing.F) {
	for _, text := range []string{seeing("v1"), seeing("v1alpha1", "hidden=large"), bare, "rkepatch/1\nend", "", "rkepatch/1\nconfig=state=regular\nbin=state=outside\nbody=gzip:H4sIAAAAAAAAA0vPBwCCmG1EAgAAAA==\nbinary=name=YQ== state=directory empty=yes\nother=Yg==\nend\n"} {
		f.Add(text)
	}
	q, err := query().normal(1)
	if err != nil {
		f.Fatal(err)
	}
	q.ForVersion, q.ProviderAPI = kubelet.Version{Major: 1, Minor: 32}, kubelet.APIv1
	f.Fuzz(func(t *testing.T, text string) {
		s, err := readSeen(text)
		if err != nil {
			shownWell(t, []Finding{garbled(&answer{message: text, reason: text}, err)})
			return
		}
		r := NodeReport{Version: "v1.26.15", Arch: "amd64", Provider: s.provider(q, "amd64")}
		r.Findings = append(s.findings(q), judge(q, r, s)...)
		shownWell(t, r.Findings)
		if s.hidden != "" && r.Worst() != kubelet.Fatal {
			t.Errorf("a config that is not shown passes: %+v", r.Findings)
		}
	})
}

func FuzzRunning(f *testing.F) {
	f.Add(running("60"))
	f.Add(running("60", "restarted=yes", "flag=name=feature-gates value=QQ=="))
	f.Fuzz(func(t *testing.T, text string) {
		k, restarted, err := readRunning(text, time.Unix(1e9, 0))
		if err != nil {
			return
		}
		q := VerifyQuery{Query: query(), Flags: bothFlags, ChangedAfter: time.Unix(1e9, 0)}
		shownWell(t, q.compare(&NodeReport{Version: "v1.26.15", Running: k}, restarted))
	})
}

func FuzzRehearsal(f *testing.F) {
	f.Add("rkepatch/1\ntook=420\nresponse=ok\napi=v1\nkeytype=Registry\nduration=6h0m0s\nregistry=a.b\nkept=0\nfull=1\nsaid=x\nexit=0\nend\n")
	f.Add("rkepatch/1\nobstacle=config\nend\n")
	f.Fuzz(func(t *testing.T, text string) {
		r, finding, err := readRehearsal(text, provider{Name: "\x1b", APIVersion: "credentialprovider.kubelet.k8s.io/v1"}, "image")
		if err == nil && finding == nil && !r.OK {
			t.Error("neither well nor a finding")
		}
		if finding != nil {
			shownWell(t, []Finding{*finding})
		}
		if r != nil {
			for _, text := range append(r.Registries, r.API, r.KeyType, r.Cached, r.Said) {
				if strings.ContainsFunc(text, unicode.IsControl) {
					t.Errorf("%q", text)
				}
			}
		}
	})
}
