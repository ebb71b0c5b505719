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

// HCLHead stands above what HCL writes. It says what a Terraform apply makes of a cluster that was patched beside
// it (read in terraform-provider-rancher2 v5.1.0 rancher2/resource_rancher2_cluster.go
// and its schemas: kubelet and extra_args are Optional+Computed, extra_binds is
// Optional only).
const HCLHead = `# For the rancher2_cluster of a cluster that rkepatch patched: put both attributes
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

// HCL writes the kubelet block that the Terraform rancher2_cluster of the cluster
// called name, "" when that is not known, needs to keep what doc says. Values that look like secrets are left out with a remark; so is
// what the provider's schema does not know.
func HCL(name string, doc rkeconfig.Document) string {
	var b strings.Builder
	for _, setting := range []string{"extra_args_array", "win_extra_args", "win_extra_args_array", "win_extra_binds"} {
		if v, ok := doc.Lookup("services", "kubelet", camel(setting)); ok && v != nil {
			fmt.Fprintf(&b, "# Beware: %s is set, which the provider does not know: an apply that changes\n# rke_config takes it out of the cluster.\n", setting)
		}
	}
	fmt.Fprintf(&b, "resource \"rancher2_cluster\" %q {\n  rke_config {\n    services {\n      kubelet {\n", hclName(name))
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

// hclName makes a cluster's name one that Terraform takes for a resource: ASCII
// letters, digits, _ and -, with no digit or dash ahead.
func hclName(name string) string {
	if name == "" {
		return "NAME"
	}
	plain := strings.Map(func(r rune) rune {
		if r > unicode.MaxASCII || r != '-' && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return '_'
		}
		return r
	}, name)
	if plain[0] == '-' || unicode.IsDigit(rune(plain[0])) {
		plain = "_" + plain
	}
	return plain
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
