package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rkepatch/internal/fleet"
	"rkepatch/rkeconfig"
)

type planDocument struct {
	APIVersion     string
	Kind           string
	Server         string
	RancherVersion string
	Clusters       []fleet.ClusterPlan
	Totals         Totals
	Error          string
}

// The document is one valid JSON value, also when the fleet could only be read
// in part, or not at all.
func TestPlanJSON(t *testing.T) {
	for _, tt := range []struct {
		name    string
		plans   []*fleet.ClusterPlan
		failure error
	}{
		{"no cluster", nil, nil},
		{"one", []*fleet.ClusterPlan{prodEU()}, nil},
		{"many, one of them hostile", []*fleet.ClusterPlan{prodEU(), legacy(), shop(), half(), evil()}, nil},
		{"the list broke off in the middle", []*fleet.ClusterPlan{prodEU(), legacy()}, errors.New(`listing clusters: unreachable: "cut" ` + hostile)},
		{"the list could not be read at all", nil, errors.New("listing clusters: forbidden")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b bytes.Buffer
			doc := NewPlanJSON(&b, Head{Kind: "Plan", Server: "https://rancher.example.com/" + hostile, RancherVersion: "v2.9.1"})
			var totals Totals
			for _, p := range tt.plans {
				totals.Add(p)
				if err := doc.Add(p); err != nil {
					t.Fatal(err)
				}
			}
			if err := doc.Close(totals, tt.failure); err != nil {
				t.Fatal(err)
			}
			dec := json.NewDecoder(&b)
			var got planDocument
			if err := dec.Decode(&got); err != nil {
				t.Fatalf("%v in %s", err, b.String())
			}
			if dec.More() {
				t.Error("there is more than one document")
			}
			want := planDocument{APIVersion: "rkepatch/v1", Kind: "Plan", Server: "https://rancher.example.com/" + hostile, RancherVersion: "v2.9.1", Totals: totals}
			if tt.failure != nil {
				want.Error = tt.failure.Error()
			}
			if len(got.Clusters) != len(tt.plans) {
				t.Fatalf("%d clusters, want %d", len(got.Clusters), len(tt.plans))
			}
			for i, p := range tt.plans {
				if g := got.Clusters[i]; g.Name != p.Name || g.Diff != p.Diff || g.Action != p.Action {
					t.Errorf("%+v, want %+v", g, p)
				}
			}
			got.Clusters = nil
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// A program that reads the document gets a list where it expects one.
func TestPlanJSONWithoutClusters(t *testing.T) {
	var b bytes.Buffer
	if err := NewPlanJSON(&b, Head{Kind: "Clusters"}).Close(Totals{}, nil); err != nil {
		t.Fatal(err)
	}
	if text := strings.Join(strings.Fields(b.String()), ""); !strings.Contains(text, `"clusters":[]`) {
		t.Errorf("%s", text)
	}
}

func TestJSONOnAFullDisk(t *testing.T) {
	doc := NewPlanJSON(failingWriter{}, Head{Kind: "Plan"})
	_ = doc.Add(prodEU())
	if err := doc.Close(Totals{}, nil); !errors.Is(err, errFull) {
		t.Errorf("%v, want %v", err, errFull)
	}
	if err := (RunJSON{}).Write(failingWriter{}); !errors.Is(err, errFull) {
		t.Errorf("%v, want %v", err, errFull)
	}
}

func TestRunJSON(t *testing.T) {
	var b bytes.Buffer
	run := RunJSON{
		Head: Head{Server: "https://rancher.example.com", RancherVersion: "v2.9.1"}, Run: "20260301T220000Z-4f2a91",
		Plans: []*fleet.ClusterPlan{prodEU(), evil()}, Outcomes: outcomes(), Totals: Totals{Clusters: 2, Patch: 1, Blocked: 1}, ExitCode: 4,
	}
	run.Outcomes[0].Err = errors.New("is for the program, not for the document")
	if err := run.Write(&b); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "not for the document") {
		t.Error("Err is in the document")
	}
	var got struct {
		APIVersion, Kind, Run, Server string
		Outcomes                      []fleet.Outcome
		Plans                         []struct{ Patched rkeconfig.State }
		ExitCode                      int
	}
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.APIVersion != "rkepatch/v1" || got.Kind != "Run" || got.Run != run.Run || got.Server != run.Server || got.ExitCode != 4 ||
		len(got.Plans) != 2 || len(got.Outcomes) != len(run.Outcomes) || got.Outcomes[7].Message != run.Outcomes[7].Message {
		t.Errorf("%+v", got)
	}
}
