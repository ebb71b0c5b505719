package clusterfile

import (
	"strings"
	"testing"

	"rkepatch/rkeconfig"
)

func TestHCL(t *testing.T) {
	f, err := Read([]byte(`services:
  kubelet:
    extra_args:
      a: "${x} %{y} $z \"q\" \\"
      join-token: hunter2hunter2
    extra_args_array: {v: ["2"]}
    win_extra_binds: [c]
`))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := f.document()
	if err != nil {
		t.Fatal(err)
	}
	got := HCL("", doc)
	for _, want := range []string{
		`          "a" = "$${x} %%{y} $z \"q\" \\"` + "\n",
		"# \"join-token\": looks like a secret",
		"extra_args_array is set, which the provider does not know",
		"win_extra_binds is set",
		`resource "rancher2_cluster" "NAME" {`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "hunter2") || strings.Contains(got, "extra_binds = [") {
		t.Errorf("got\n%s", got)
	}
	doc, err = rkeconfig.NewDocument(map[string]any{})
	if err != nil {
		t.Fatal(err)
	}
	if got := HCL("", doc); strings.Contains(got, "extra_args =") {
		t.Errorf("got\n%s", got)
	}
}

// A cluster's owner chooses its name; Terraform reads it as a name all the same.
func TestHCLName(t *testing.T) {
	for name, want := range map[string]string{
		"": "NAME", "prod-eu": "prod-eu", "1st": "_1st", "-x": "_-x", "a b\n}": "a_b__", "ü\"${x}": "____x_", "a.b": "a_b",
	} {
		if got := hclName(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}
