package clusterfile

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"rkepatch/rkeconfig"
)

// hclHead says what a Terraform apply makes of a cluster that was patched beside
// it (read in terraform-provider-rancher2 v5.1.0 rancher2/resource_rancher2_cluster.go
// and its schemas: kubelet and extra_args are Optional+Computed, extra_binds is
// Optional only).
const hclHead = `# For the rancher2_cluster of a cluster that rkepatch patched: put both attributes
# into its kubelet block before the next terraform apply. Without them, an apply
#   - with a kubelet block that sets no extra_args takes the binds out and leaves
#     the arguments: every kubelet then points at paths that nothing mounts and
#     exits at once;
#   - with a kubelet block that sets other extra_args takes the arguments out;
#   - without a kubelet block changes nothing until something else in rke_config
#     changes; then the whole config is sent as Terraform's state has it, so
#     refresh the state first.
# The list and the map below are whole: they hold what is there besides the patch.
# terraform plan must show no change in them after the patch was applied.
`

// HCL writes the kubelet block that a Terraform rancher2_cluster needs to keep
// what doc says. Values that look like secrets are left out with a remark; so is
// what the provider's schema does not know.
func HCL(doc rkeconfig.Document) string {
	var b strings.Builder
	b.WriteString(hclHead)
	for _, name := range []string{"extra_args_array", "win_extra_args", "win_extra_args_array", "win_extra_binds"} {
		if v, ok := doc.Lookup("services", "kubelet", camel(name)); ok && v != nil {
			fmt.Fprintf(&b, "# Beware: the file sets %s, which the provider does not know: an apply that changes\n# rke_config takes it out of the cluster.\n", name)
		}
	}
	b.WriteString("resource \"rancher2_cluster\" \"NAME\" {\n  rke_config {\n    services {\n      kubelet {\n")
	args := doc.ExtraArgs()
	if len(args) > 0 {
		b.WriteString("        extra_args = {\n")
		for _, name := range slices.Sorted(maps.Keys(args)) {
			path := `services.kubelet.extraArgs[` + strconv.Quote(name) + `]`
			if maskValue([]string{path}, args[name]) != args[name] {
				fmt.Fprintf(&b, "          # %s: looks like a secret; write it here yourself, or the apply takes it out\n", hclText(name))
				continue
			}
			fmt.Fprintf(&b, "          %s = %s\n", hclText(name), hclText(args[name]))
		}
		b.WriteString("        }\n")
	}
	if binds := doc.ExtraBinds(); len(binds) > 0 {
		b.WriteString("        extra_binds = [\n")
		for _, bind := range binds {
			fmt.Fprintf(&b, "          %s,\n", hclText(bind))
		}
		b.WriteString("        ]\n")
	}
	b.WriteString("      }\n    }\n  }\n}\n")
	return b.String()
}

// hclText quotes a text so that Terraform takes it literally.
func hclText(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case (r == '$' || r == '%') && strings.HasPrefix(s[i+1:], "{"):
			b.WriteString(string(r) + string(r))
		case r > 0xffff && !unicode.IsPrint(r):
			fmt.Fprintf(&b, `\U%08x`, r)
		case !unicode.IsPrint(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return `"` + b.String() + `"`
}
