package clusterfile

import (
	"maps"
	"slices"
	"strings"

	"rkepatch/internal/kubelet"
	"rkepatch/rkeconfig"
)

// argsList is reported with the one repair that is made.
var argsList = rkeconfig.Finding{
	Code: "args-list", Severity: rkeconfig.Warn,
	Message: "extra_args was a list of maps, which rke refuses and Rancher drops without a word; it is a map now",
	Todo:    "look at every argument in it: none of them was in effect, all will be with the next update",
}

// Findings are those that only files can have.
var Findings = []rkeconfig.Finding{argsList}

var severityOf = map[kubelet.Level]rkeconfig.Severity{
	kubelet.Note: rkeconfig.Info, kubelet.Caution: rkeconfig.Warn, kubelet.Fatal: rkeconfig.Block,
}

// judge says what kubelets of the file's version make of their arguments, for a
// patch that turns the credential provider on.
func judge(doc rkeconfig.Document, p rkeconfig.Patch, o Options) []rkeconfig.Finding {
	version, err := kubelet.ParseVersion(doc.KubernetesVersion())
	if err != nil || p.Args[kubelet.FlagProviderConfig] == "" && p.Args[kubelet.FlagProviderBinDir] == "" {
		return nil
	}
	args := doc.ExtraArgs()
	lists, _ := doc.Lookup("services", "kubelet", "extraArgsArray")
	array, _ := lists.(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(array)) {
		values, _ := array[name].([]any)
		for _, v := range values {
			text, _ := v.(string)
			args[name] = strings.TrimPrefix(args[name]+","+text, ",")
		}
	}
	var findings []rkeconfig.Finding
	for _, r := range kubelet.Judge(version, kubelet.Flags{Args: args, API: o.API, Registry: o.Provider}) {
		findings = append(findings, rkeconfig.Finding{Code: r.Code, Severity: severityOf[r.Level], Message: r.Text, Todo: r.Todo})
	}
	return findings
}
