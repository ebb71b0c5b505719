package fleet

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rkepatch/fixtures/simrancher"
	"rkepatch/internal/kubelet"
)

// aPlanFile plans the demo fleet into a file.
func aPlanFile(t *testing.T) (r *rig, name, checksum string) {
	t.Helper()
	r = newRig(t)
	r.sim.AddDemoFleet()
	r.planner.API = kubelet.APIv1alpha1
	name = filepath.Join(t.TempDir(), "change.plan")
	w, err := r.planner.CreatePlan(name, "v1.2.3", "v2.9.1", epoch)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range r.plan(Selection{All: true}) {
		if err := w.Add(p); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(name); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is there before it is whole: %v", err)
	}
	if checksum, err = w.Close(r.planner.Visible); err != nil {
		t.Fatal(err)
	}
	return r, name, checksum
}

func TestPlanFile(t *testing.T) {
	r, name, checksum := aPlanFile(t)
	info, err := os.Stat(name)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v; want 0600", info, err)
	}
	if others, _ := filepath.Glob(filepath.Join(filepath.Dir(name), ".*")); len(others) > 0 {
		t.Errorf("left behind: %v", others)
	}
	f, err := OpenPlan(name)
	if err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(name); err != nil || !bytes.Equal(data, f.Bytes) {
		t.Errorf("%d bytes were kept of %d: %v", len(f.Bytes), len(data), err)
	}
	if _, err := openPlan(name, int64(len(f.Bytes))-1); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("one byte too large: %v", err)
	}
	if f.Checksum != checksum || f.Server != r.planner.Rancher.URL() || f.Visible != r.planner.Visible || f.RancherVersion != "v2.9.1" || f.Program != "v1.2.3" || !f.CreatedAt.Equal(epoch) {
		t.Errorf("%+v", f.PlanHead)
	}
	want, err := json.Marshal(r.plan(Selection{All: true}))
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(f.Plans)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("read back, the plans differ\n%s", d)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range r.sim.Secrets() {
		if bytes.Contains(data, []byte(secret)) {
			t.Errorf("the file holds the secret %q", secret)
		}
	}
	p := f.Planner(r.planner)
	if d := cmp.Diff(r.planner.Patch.Args, p.Patch.Args); d != "" || len(p.Patch.Groups) == 0 || p.API != kubelet.APIv1alpha1 {
		t.Errorf("the file's planner plans something else: %s %+v", d, p)
	}
}

// A plan that is thrown away leaves nothing.
func TestPlanFileAborted(t *testing.T) {
	r := newRig(t)
	name := filepath.Join(t.TempDir(), "change.plan")
	w, err := r.planner.CreatePlan(name, "", "", epoch)
	if err != nil {
		t.Fatal(err)
	}
	w.Abort()
	if entries, err := os.ReadDir(filepath.Dir(name)); err != nil || len(entries) > 0 {
		t.Errorf("%v, %v", entries, err)
	}
	if _, err := r.planner.CreatePlan(filepath.Join(name, "nowhere", "x"), "", "", epoch); err == nil || !strings.Contains(err.Error(), "nowhere/x") || strings.Contains(err.Error(), "--state-dir") {
		t.Errorf("%v, want the file's name and nothing of the state directory", err)
	}
}

// signed makes a plan file of lines whose checksum fits, as somebody who knows
// how would.
func signed(lines ...string) string {
	text := strings.Join(lines, "\n") + "\n"
	sum := sha256.Sum256(fmt.Appendf([]byte(text), "%d 9", len(lines)-1))
	end, err := json.Marshal(planLine{End: &planEnd{Clusters: len(lines) - 1, Visible: 9, Checksum: "sha256:" + hex.EncodeToString(sum[:])}})
	if err != nil {
		panic(err)
	}
	return text + string(end) + "\n"
}

const planHead1 = `{"apiVersion":"rkepatch/v1","kind":"PlanFile","format":1}`

func planLineOf(cluster string) string { return `{"cluster":` + cluster + `}` }

const onePlan = `{"id":"c-aaaaa","uuid":"u","action":"patch","basis":{"sum":"x"}}`

func TestOpenPlanRefuses(t *testing.T) {
	whole := signed(planHead1, planLineOf(onePlan))
	for _, tt := range []struct{ name, text, says string }{
		{"nothing", "", "truncated"},
		{"another file", "kind: Cluster\n", "not a plan file"},
		{"JSON of another kind", signed(`{"kind":"Runs"}`), "not a plan file"},
		{"a head that is null", signed("null"), "not a plan file"},
		{"a head of another type", signed("[]"), "not a plan file"},
		{"another format", signed(`{"kind":"PlanFile","format":2}`), "format 2, this program reads format 1"},
		{"no end", strings.SplitAfter(whole, "\n")[0], "truncated"},
		{"cut within a line", whole[:len(whole)-5], "truncated"},
		{"more behind the end", whole + "{}\n", "more after its end"},
		{"edited", strings.Replace(whole, "c-aaaaa", "c-bbbbb", 1), "checksum does not fit"},
		{"a cluster taken out", strings.Replace(whole, planLineOf(onePlan)+"\n", "", 1), "checksum does not fit"},
		{"not JSON in the middle", signed(planHead1, "oops"), "line 2 is not JSON"},
		{"a null line", signed(planHead1, "null"), "line 2 is neither"},
		{"a null cluster", signed(planHead1, planLineOf("null")), "line 2 is neither"},
		{"a cluster of another type", signed(planHead1, planLineOf(`"c-aaaaa"`)), "line 2 is not JSON"},
		{"a cluster without an id", signed(planHead1, planLineOf(`{"action":"patch"}`)), "line 2 has no cluster id"},
		{"the same cluster twice", signed(planHead1, planLineOf(onePlan), planLineOf(onePlan)), `line 3 has cluster "c-aaaaa" a second time`},
		{"an unknown action", signed(planHead1, planLineOf(`{"id":"c","action":"drop"}`)), `unknown action "drop"`},
		{"blocked by nothing", signed(planHead1, planLineOf(`{"id":"c","action":"blocked"}`)), "blocked by nothing"},
		{"a patch of what", signed(planHead1, planLineOf(`{"id":"c","action":"patch"}`)), "computed from"},
		{"nested too deep", signed(planHead1, planLineOf(`{"id":"c","changes":[{"before":`+strings.Repeat("[", 20000)+strings.Repeat("]", 20000)+`}]}`)), "line 2 is not JSON"},
		{"a huge line", planHead1 + "\n" + strings.Repeat("x", maxLine+2) + "\n", "more than 16 MiB"},
		{"wrong count", strings.Replace(whole, `"clusters":1`, `"clusters":2`, 1), "checksum does not fit"},
		{"fewer to choose from", strings.Replace(whole, `"visible":9`, `"visible":90`, 1), "checksum does not fit"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			name := filepath.Join(t.TempDir(), "plan")
			if err := os.WriteFile(name, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			f, err := OpenPlan(name)
			if !errors.Is(err, ErrPlanFile) || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), name) {
				t.Errorf("%+v, %v; want ErrPlanFile that says %q and names the file", f, err, tt.says)
			}
		})
	}
	name := filepath.Join(t.TempDir(), "plan")
	if err := os.WriteFile(name, []byte(whole), 0o600); err != nil {
		t.Fatal(err)
	}
	if f, err := OpenPlan(name); err != nil || len(f.Plans) != 1 {
		t.Errorf("the one that is right: %+v, %v", f, err)
	}
	if _, err := OpenPlan(filepath.Join(name, "no such")); !errors.Is(err, ErrPlanFile) {
		t.Errorf("%v, want ErrPlanFile", err)
	}
}

// Every byte of a plan file counts.
func TestPlanFileFlippedByte(t *testing.T) {
	whole := []byte(signed(planHead1, planLineOf(onePlan)))
	name := filepath.Join(t.TempDir(), "plan")
	end := bytes.LastIndex(whole, []byte(`{"end"`))
	for i := range end {
		data := bytes.Clone(whole)
		data[i] ^= 0x04
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenPlan(name); !errors.Is(err, ErrPlanFile) {
			t.Fatalf("byte %d (%q) changed: %v", i, whole[i], err)
		}
	}
}

// A hostile plan that is signed well is still carried out against what the
// cluster is now: it is stale, or somebody else's.
func TestApplyOfAForgedPlan(t *testing.T) {
	r := newRig(t, simrancher.Cluster{ID: "c-aaaaa"})
	name := filepath.Join(t.TempDir(), "plan")
	uuid := r.planOf("c-aaaaa", ActionPatch).UUID
	for _, tt := range []struct{ name, cluster string }{
		{"of a basis that never was", `{"id":"c-aaaaa","uuid":"` + uuid + `","action":"patch","basis":{"sum":"x"}}`},
		{"for another cluster of that id", onePlan},
		{"for no cluster", `{"id":"../settings/x","uuid":"u","action":"patch","basis":{"sum":"x"}}`},
	} {
		if err := os.WriteFile(name, []byte(signed(planHead1, planLineOf(tt.cluster))), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := OpenPlan(name)
		if err != nil {
			t.Fatal(err)
		}
		if o := r.applyOne(f.Plans[0]); o.Status != StatusStale && o.Status != StatusFailed || o.Stored || r.puts() > 0 {
			t.Errorf("%s: %s, %d PUTs", tt.name, o, r.puts())
		}
	}
}

// FuzzOpenPlan opens anything at all: a plan file, or ErrPlanFile.
func FuzzOpenPlan(f *testing.F) {
	f.Add([]byte(signed(planHead1, planLineOf(onePlan))))
	f.Add([]byte(signed(planHead1)))
	f.Add([]byte("null\nnull\n"))
	f.Add([]byte(planHead1 + "\n" + `{"end":null}` + "\n"))
	f.Add([]byte(planHead1 + "\n" + `{"cluster":{"changes":[null],"findings":null,"basis":null}}` + "\n"))
	name := filepath.Join(f.TempDir(), "plan")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		plan, err := OpenPlan(name)
		if err != nil {
			if !errors.Is(err, ErrPlanFile) {
				t.Fatal(err)
			}
			return
		}
		for _, p := range plan.Plans {
			if p.ID == "" || unusable(p) != "" {
				t.Fatalf("%+v", p)
			}
			p.Worst()
		}
	})
}
