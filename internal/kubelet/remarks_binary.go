package kubelet

import (
	"fmt"
	"slices"
	"strings"
)

// group begins every providers[].apiVersion.
const group = "credentialprovider.kubelet.k8s.io/"

func nameEmpty(s sight, e entry) string {
	if e.name != "" || s.refusesEarlier() {
		return ""
	}
	return "a provider in the config has no name"
}

// refusesEarlier: what is no news because v says it itself, see Start.
func (s sight) refusesEarlier() bool { return !s.v.Before(1, 30) }

func notExecutable(s sight, e entry) string {
	b := s.Binaries[e.name]
	switch {
	case s.refusesEarlier():
		return ""
	case b.State == PathDirectory:
		return fmt.Sprintf("%s is a directory; Docker makes one when a bind's source is missing", shown(e.name))
	case (b.State == PathRegular || b.State == PathOther) && !b.Executable:
		return fmt.Sprintf("%s is not executable", shown(e.name))
	}
	return ""
}

// formats are the kinds of file that no kernel executes.
var formats = map[string]string{
	"empty": "an empty file",
	"html":  "an HTML page, as an error page of a download would be",
	"text":  "a text file",
	"other": "not a program of Linux",
}

func notProgram(s sight, e entry) string {
	b := s.Binaries[e.name]
	if b.State == PathOther {
		return fmt.Sprintf("%s is a device, a socket or a pipe", shown(e.name))
	}
	if what := formats[b.Format]; what != "" && b.State == PathRegular {
		return fmt.Sprintf("%s is %s", shown(e.name), what)
	}
	return ""
}

func script(s sight, e entry) string {
	if s.Binaries[e.name].Format != "script" || s.Binaries[e.name].Answered {
		return ""
	}
	return fmt.Sprintf("%s is a script", shown(e.name))
}

func truncated(s sight, e entry) string {
	if !s.Binaries[e.name].Truncated {
		return ""
	}
	return fmt.Sprintf("%s ends before its own headers say it does", shown(e.name))
}

func wrongArch(s sight, e entry) string {
	b := s.Binaries[e.name]
	if b.Arch == "" || s.Arch == "" || b.Arch == s.Arch {
		return ""
	}
	return fmt.Sprintf("%s is built for %s, the node is %s", shown(e.name), shown(b.Arch), s.Arch)
}

func notPlugin(s sight, e entry) string {
	if b := s.Binaries[e.name]; !b.Answered || len(b.Speaks) > 0 {
		return ""
	}
	return fmt.Sprintf("%s ran, but speaks no version of the credential provider API", shown(e.name))
}

func apiNotSpoken(s sight, e entry) string {
	b := s.Binaries[e.name]
	named := API(strings.TrimPrefix(e.apiVersion, group))
	if !b.Answered || len(b.Speaks) == 0 || slices.Contains(b.Speaks, named) {
		return ""
	}
	var spoken []string
	for _, a := range b.Speaks {
		spoken = append(spoken, oneLine(string(a), maxShown))
	}
	return fmt.Sprintf("the config asks %s for %s, but it speaks %s", shown(e.name), shown(string(named)), strings.Join(spoken, ", "))
}

func beta(s sight, e entry) string {
	if e.apiVersion != group+"v1beta1" || !isECR(e) || s.Binaries[e.name].Answered {
		return ""
	}
	return fmt.Sprintf("the config asks %s for v1beta1", shown(e.name))
}

// isOf says that an entry is of a registry's provider. Others have arguments and
// API versions of their own.
func isOf(e entry, kind Kind) bool {
	r, ok := RegistryOfProvider(e.name)
	return ok && r.Kind == kind
}

func isECR(e entry) bool { return isOf(e, ECR) }

// argumentless finds the providers that do nothing without their arguments: ACR's
// wants the cloud config's path (kubernetes-sigs/cloud-provider-azure
// cmd/acr-credential-provider/main.go), GCP's a subcommand
// (kubernetes/cloud-provider-gcp cmd/auth-provider-gcp/app/root.go).
func argumentless(_ sight, e entry) string {
	switch {
	case isOf(e, ACR) && len(e.args) == 0:
		return fmt.Sprintf("args of %s lack the path of the Azure cloud config", shown(e.name))
	case isOf(e, GCP) && !slices.Contains(e.args, "get-credentials"):
		return fmt.Sprintf("args of %s lack get-credentials", shown(e.name))
	}
	return ""
}

func verbosity(_ sight, e entry) string {
	if !isECR(e) || e.apiVersion == group+string(APIv1alpha1) {
		return "" // providers of that API take any argument
	}
	for _, arg := range e.args {
		if name, _, _ := strings.Cut(arg, "="); name == "--v" || name == "-v" {
			return fmt.Sprintf("args of %s hold %s", shown(e.name), shown(arg))
		}
	}
	return ""
}
