package fleet

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rkepatch/rancher"
)

// three clusters: two share a name, one is named like another's id.
var herd = []*rancher.Cluster{
	{ID: "c-aaaaa", Name: "prod-eu", Labels: map[string]string{"env": "prod"}},
	{ID: "c-bbbbb", Name: "prod-us", Labels: map[string]string{"env": "prod", "tier": "db"}},
	{ID: "c-ccccc", Name: "dev", Labels: map[string]string{"env": "dev"}},
	{ID: "c-ddddd", Name: "dev"},
	{ID: "c-eeeee", Name: "c-aaaaa"},
}

var versions = map[string]string{
	"c-aaaaa": "v1.26.15-rancher1-1", "c-bbbbb": "v1.27.8-rancher2-2", "c-ccccc": "v1.24.17-rancher1-1", "c-ddddd": "nonsense", "c-eeeee": "v1.9.7-rancher1",
}

func TestSelection(t *testing.T) {
	for _, tt := range []struct {
		name      string
		sel       Selection
		want      []string
		unmatched []string
		err       error
	}{
		{name: "by name", sel: Selection{Names: []string{"prod-eu"}}, want: []string{"c-aaaaa"}},
		{name: "by id", sel: Selection{Names: []string{"c-bbbbb"}}, want: []string{"c-bbbbb"}},
		{name: "by glob, each cluster once although two globs fit it", sel: Selection{Names: []string{"prod-*", "*-eu"}}, want: []string{"c-aaaaa", "c-bbbbb"}},
		{name: "a plain name of two clusters is refused", sel: Selection{Names: []string{"dev"}}, want: []string{"c-ccccc", "c-ddddd"}, err: ErrSelection},
		{name: "a name that is another cluster's id is refused", sel: Selection{Names: []string{"c-aaaaa"}}, want: []string{"c-aaaaa", "c-eeeee"}, err: ErrSelection},
		{name: "a glob of two clusters is not", sel: Selection{Names: []string{"de?"}}, want: []string{"c-ccccc", "c-ddddd"}},
		{name: "an unknown name is told", sel: Selection{Names: []string{"prod-eu", "prod-ap", "x*"}}, want: []string{"c-aaaaa"}, unmatched: []string{"prod-ap", "x*"}},
		{name: "by label", sel: Selection{Label: "env=prod,tier!=db"}, want: []string{"c-aaaaa"}},
		{name: "all but some", sel: Selection{All: true, Exclude: []string{"prod-*", "c-ddddd"}}, want: []string{"c-ccccc", "c-eeeee"}},
		{name: "below 1.27: Rancher's suffix is no pre-release, a version that cannot be read is not selected", sel: Selection{KubernetesVersion: "<1.27"}, want: []string{"c-aaaaa", "c-ccccc", "c-eeeee"}},
		{name: "compared at the precision given", sel: Selection{KubernetesVersion: ">=1.24,<=1.26"}, want: []string{"c-aaaaa", "c-ccccc"}},
		{name: "exactly", sel: Selection{KubernetesVersion: "1.27"}, want: []string{"c-bbbbb"}},
		{name: "nothing said selects nothing to exclude from", sel: Selection{}, want: []string{"c-aaaaa", "c-bbbbb", "c-ccccc", "c-ddddd", "c-eeeee"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := tt.sel.compile()
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, cl := range herd {
				if s.match(cl, versions[cl.ID]) {
					got = append(got, cl.ID)
				}
			}
			unmatched, err := s.verdict()
			if !errors.Is(err, tt.err) {
				t.Errorf("verdict: %v, want %v", err, tt.err)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(tt.unmatched, unmatched); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestSelectionRefuses(t *testing.T) {
	for name, sel := range map[string]Selection{
		"--all beside a name":  {All: true, Names: []string{"a"}},
		"a broken glob":        {Names: []string{"[a"}},
		"an empty name":        {Names: []string{""}},
		"a broken label":       {Label: "env=prod=eu"},
		"a version with words": {KubernetesVersion: "older"},
		"an unknown operator":  {KubernetesVersion: "<>1.27"},
		"half a bound":         {KubernetesVersion: ">=1.24,"},
		"two without a comma":  {KubernetesVersion: ">= 1.26 <1.27"},
		"words behind it":      {KubernetesVersion: "<1.27rc"},
		"names with a comma":   {All: true, Exclude: []string{"a,b"}},
	} {
		if _, err := sel.compile(); !errors.Is(err, ErrSelection) {
			t.Errorf("%s: %v, want ErrSelection", name, err)
		}
	}
	s, err := Selection{All: true, Exclude: []string{"prod-uee"}}.compile()
	if err != nil {
		t.Fatal(err)
	}
	for _, cl := range herd {
		s.match(cl, versions[cl.ID])
	}
	if _, err := s.verdict(); !errors.Is(err, ErrSelection) || !strings.Contains(err.Error(), "prod-uee") {
		t.Errorf("an --exclude that leaves nothing out: %v", err)
	}
	if !(Selection{Exclude: []string{"x"}}).Empty() {
		t.Error("excluding alone selects something")
	}
}
