package nodes

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"rkepatch/internal/kubelet"
)

// Every state of a node that a real kubelet was seen to refuse is found by the
// real script, and what all kubelets take is not called wrong.
func TestVerdictsOnNode(t *testing.T) {
	b, err := os.ReadFile("../kubelet/testdata/verdicts.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Cases []struct {
			Name, Binary, Config, ConfigState string
			Verdict                           map[string]string
		}
	}
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Cases) < 60 {
		t.Fatalf("only %d cases", len(file.Cases))
	}
	for _, c := range file.Cases {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			n := good(t)
			n.write(configPath, c.Config, 0o644)
			switch c.Binary {
			case "executable":
				n.provider("amazon-ecr", "v1")
				n.provider("other", "v1")
			case "symlink-to-executable":
				n.write(binDir+"/real", string(standin(t)), 0o755)
				n.write(binDir+"/.real", "v1", 0o644)
				n.link(plugin, "real")
			case "empty-file-0755":
				n.write(plugin, "", 0o755)
			case "missing":
				n.remove(plugin)
			case "dangling-symlink":
				n.link(plugin, "gone")
			case "bin-dir-missing":
				n.remove(binDir)
			case "bin-dir-is-a-file":
				n.remove(binDir)
				n.write(binDir, "", 0o755)
			case "bin-dir-empty-string":
				q := query()
				if q.BinDir = ""; !refused(q) {
					t.Error("an empty bin dir was taken")
				}
				return
			default:
				t.Fatalf("unknown state %q", c.Binary)
			}
			switch c.ConfigState {
			case "":
			case "missing":
				n.remove(configPath)
			case "directory":
				n.remove(configPath)
				n.mkdir(configPath)
			default:
				t.Fatalf("unknown state %q", c.ConfigState)
			}
			q, err := query().normal(1)
			if err != nil {
				t.Fatal(err)
			}
			s, err := readSeen(n.run(os.Getenv("PATH"), modeCheck, checkArgs(q)...))
			if err != nil {
				t.Fatal(err)
			}
			for version, verdict := range c.Verdict {
				r := NodeReport{Version: version, Arch: hostArch(), Provider: s.provider(q, hostArch())}
				r.Findings = append(s.findings(q), judge(q, r, s)...)
				accepted := strings.HasPrefix(verdict, "accepts")
				if !accepted && r.Worst() != kubelet.Fatal {
					t.Errorf("%s: the kubelet %s; findings %+v", version, verdict, r.Findings)
				}
				if strings.Contains(c.Name, "in-tree key") && (strings.HasPrefix(version, "v1.24") || strings.HasPrefix(version, "v1.26")) {
					continue // the package alone has no in-tree providers; whole kubelets refuse this
				}
				for _, f := range r.Findings {
					if accepted && (f.Code == kubeletRefuses || f.Code == configHidden) {
						t.Errorf("%s: the kubelet accepts it; finding %+v", version, f)
					}
				}
			}
		})
	}
}

func refused(q Query) bool {
	_, err := q.normal(1)
	return err != nil
}
