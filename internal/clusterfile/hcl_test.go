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
	got := HCL(doc)
	for _, want := range []string{
		`          "a" = "$${x} %%{y} $z \"q\" \\"` + "\n",
		"# \"join-token\": looks like a secret",
		"sets extra_args_array, which the provider does not know",
		"sets win_extra_binds",
		"takes the binds out and leaves",
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
	if got := HCL(doc); strings.Contains(got, "extra_args =") {
		t.Errorf("got\n%s", got)
	}
}
