package rkeconfig

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParseBind(t *testing.T) {
	tests := []struct {
		text           string
		source, target string // both "" when it is refused
		options        string
	}{
		{"/a:/b", "/a", "/b", ""},
		{" /a:/b:ro\n", "/a", "/b", "ro"},
		{"/a/:/b/../c/:rw", "/a", "/c", ""},
		{"//a:/b:z,ro", "/a", "/b", "ro z"},
		{"/a:/b:cached,rslave,Z,ro", "/a", "/b", "Z cached ro rslave"},
		{"volume:/b:nocopy,ro", "volume", "/b", "nocopy ro"},
		{"volume:/b", "volume", "/b", ""},
		{"/:/host", "/", "/host", ""},
		{"", "", "", ""},
		{"/a", "", "", ""},
		{":/a", "", "", ""},
		{"/a:", "", "", ""},
		{"a/b:/b", "", "", ""},
		{"/a:/", "", "", ""},
		{"/a:/b:", "", "", ""},
		{"/a:/b:ro,,z", "", "", ""},
		{"/a:/b:RO", "", "", ""},
		{"/a:/b:ro,rw", "", "", ""},
		{"/a:/b:rw,rw", "", "", ""},
		{"/a:/b:z,Z", "", "", ""},
		{"/a:/b:shared,rslave", "", "", ""},
		{"/a:/b:cached,delegated", "", "", ""},
		{"/a:/b:nocopy", "", "", ""},
		{"volume:/b:nocopy,nocopy", "", "", ""},
		{"volume:/b:rprivate", "", "", ""},
		{"/a\x00:/b", "", "", ""},
		{"map[source:/a]", "", "", ""},
	}
	for _, tt := range tests {
		b, err := parseBind(tt.text)
		if tt.target == "" {
			if err == nil {
				t.Errorf("%q is read as %+v", tt.text, b)
			}
			continue
		}
		if err != nil || b.source != tt.source || b.target != tt.target || strings.Join(b.options, " ") != tt.options {
			t.Errorf("%q is read as %+v, %v", tt.text, b, err)
		}
	}
}

func TestRelativeTo(t *testing.T) {
	for _, tt := range []struct {
		dir, path, rest string
		under           bool
	}{
		{"/a", "/a", "", true},
		{"/a", "/a/b", "/b", true},
		{"/a", "/ab", "", false},
		{"/a", "/", "", false},
		{"/", "/a", "/a", true},
		{"/a/b", "/a", "", false},
	} {
		if rest, under := relativeTo(tt.dir, tt.path); rest != tt.rest || under != tt.under {
			t.Errorf("%s under %s: %q, %v", tt.path, tt.dir, rest, under)
		}
	}
}

// Every row of RKE's table, in a cluster with and without a prefix path.
func TestDefaultMounts(t *testing.T) {
	for _, prefix := range []string{"", "/opt/rke"} {
		doc, err := NewDocument(map[string]any{"kubernetesVersion": "v1.26.15-rancher1-1", "prefixPath": prefix})
		if err != nil {
			t.Fatal(err)
		}
		mounts := mountsOf(doc, "")
		if want := len(defaultMounts); prefix == "" && len(mounts) != want-1 || prefix != "" && len(mounts) != want {
			t.Errorf("prefix %q: %d mounts of %d", prefix, len(mounts), want)
		}
		for _, m := range mounts {
			got := Merge(doc, binds(m.host+"/x:"+m.container+"/x"), MergeOptions{})
			if got.Blocked() || len(got.Changes) > 0 || got.Findings[len(got.Findings)-1].Code != bindNotNeeded {
				t.Errorf("prefix %q: a bind under %+v gives %+v", prefix, m, got.Findings)
			}
			elsewhere := Merge(doc, binds("/elsewhere:"+m.container+"/x"), MergeOptions{})
			if len(elsewhere.Findings) != 1 || elsewhere.Findings[0].Code != bindConflict {
				t.Errorf("prefix %q: another bind under %+v gives %+v", prefix, m, elsewhere.Findings)
			}
		}
	}
}

// Every directory of the table is refused, and everything that lies in it is not.
func TestContainerDirectories(t *testing.T) {
	mounts := mountsOf(Document{}, "")
	for _, dir := range containerDirectories {
		if !shadows(mounts, dir) {
			t.Errorf("%s may be bound over", dir)
		}
		if below := dir + "/of-its-own"; shadows(mounts, below) {
			t.Errorf("%s may not be bound", below)
		}
	}
	if !slices.IsSorted(containerDirectories) {
		t.Error("the table is not sorted")
	}
}

// No bind that Merge adds makes Docker refuse the container.
func TestMergeNeverDoublesAMountPoint(t *testing.T) {
	places := []string{"/a", "/a/", "/opt/cni", "/opt/cni/bin", "/etc/kubernetes", "/var/lib/rancher", "/host/usr/x", "/run", "/var/run/x", "/opt/rke/etc/kubernetes", "/opt/rke/var/lib/kubelet/y", "/var/lib/kubelet/y"}
	draw := rapid.Custom(func(t *rapid.T) string {
		place := rapid.SampledFrom(places)
		return place.Draw(t, "source") + ":" + place.Draw(t, "target") + rapid.SampledFrom([]string{"", ":ro", ":rw", ":z,ro"}).Draw(t, "options")
	})
	rapid.Check(t, func(t *rapid.T) {
		doc, err := NewDocument(map[string]any{
			"kubernetesVersion": rapid.SampledFrom([]string{"", "v1.23.1", "v1.26.15-rancher1-1"}).Draw(t, "version"),
			"prefixPath":        rapid.SampledFrom([]string{"", "/", "/opt/rke"}).Draw(t, "prefix"),
			"services":          map[string]any{"kubelet": map[string]any{"extraBinds": rapid.SliceOfN(draw, 0, 4).Draw(t, "today")}},
		})
		if err != nil {
			t.Fatal(err)
		}
		got := Merge(doc, Patch{Binds: rapid.SliceOfN(draw, 1, 4).Draw(t, "wanted")}, MergeOptions{})
		if got.Blocked() {
			return
		}
		targets := map[string]string{}
		defaults := map[string]mount{}
		for _, m := range mountsOf(doc, "") {
			if m.both && m.prefixed {
				continue // where it lands depends on the operating system
			}
			defaults[m.container] = m
			targets[m.container] = m.host + ":" + m.container
		}
		for _, text := range got.Document.ExtraBinds() {
			b, err := parseBind(text)
			if err != nil {
				t.Fatal(err)
			}
			if other, taken := targets[b.target]; taken && other != b.text && !defaults[b.target].isDefaultBind(b) {
				t.Fatalf("%s beside %s", b.text, other)
			}
			targets[b.target] = b.text
		}
	})
}
