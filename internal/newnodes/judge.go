package newnodes

import (
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"rkepatch/internal/kubelet"
	"rkepatch/internal/nodescript"
)

// State says whether a node that is made from a template tomorrow comes up with a
// provider where the kubelets are told that it is.
type State string

// The states, best first.
const (
	Prepared   State = "prepared"
	Unknown    State = "unknown"
	Unprepared State = "unprepared"
)

// Verdict is what is known of a template.
type Verdict struct {
	State  State  `json:"state"`
	Reason string `json:"reason"`
}

// Template is what a node is made from.
type Template struct {
	UserData         string
	DockerInstallURL string // "none" for no script; the setting's where the template has none
	// Script is what was read from DockerInstallURL, nil when nobody has; ReadError
	// is why it could not be read.
	Script    []byte
	ReadError error
}

// Want is what the kubelets are, or will be, told.
type Want struct {
	BinDir, ConfigFile string
	// Version is the cluster's kubelet; zero does not judge the config.
	Version kubelet.Version
}

// Judge says whether nodes made from t come up with what w wants. The machine's
// image is not looked at, nobody can: it may hold the provider, or Docker, and then
// no Docker install script is run (rancher/machine libmachine/provision/utils.go:27-40).
func Judge(t Template, w Want) Verdict {
	byData, byURL := judgeUserData(t.UserData, w), judgeURL(t, w)
	switch {
	case byData.State == Prepared:
		return byData
	case byURL.State == Prepared:
		return byURL
	}
	both := byData.Reason + "; " + byURL.Reason
	if byData.State == Unknown || byURL.State == Unknown {
		return Verdict{Unknown, both}
	}
	return Verdict{Unprepared, both}
}

// stock are the hosts and paths of installers that put Docker on a machine and
// nothing else.
var stock = []struct{ host, path string }{
	{"releases.rancher.com", "/install-docker/"},
	{"get.docker.com", "/"},
}

func judgeURL(t Template, w Want) Verdict {
	switch t.DockerInstallURL {
	case "none":
		return Verdict{Unprepared, "no Docker install script is run"}
	case "":
		return Verdict{Unprepared, "Docker is installed by Rancher's own script"}
	}
	if f, ok := nodescript.Read(nodescript.Unpack(t.Script)); ok {
		v := judgeFacts(f, w, "its Docker install URL")
		if v.State == Prepared {
			v.Reason += "; it is not run where the image has Docker already"
		}
		return v
	}
	u, err := url.Parse(t.DockerInstallURL)
	for _, s := range stock {
		if err == nil && u.Scheme == "https" && u.Host == s.host && strings.HasPrefix(u.Path+"/", s.path) && t.Script == nil {
			return Verdict{Unprepared, "Docker is installed by the script of " + s.host}
		}
	}
	switch {
	case t.ReadError != nil:
		return Verdict{Unknown, "the script at its Docker install URL could not be read: " + t.ReadError.Error()}
	case t.Script != nil:
		return Verdict{Unknown, "the script at its Docker install URL is not one of rkepatch, and is not judged"}
	}
	return Verdict{Unknown, "the script at its Docker install URL was not read"}
}

// judgeFacts compares what our script installs with what is wanted.
func judgeFacts(f nodescript.Facts, w Want, where string) Verdict {
	switch {
	case f.BinDir != w.BinDir || f.ConfigFile != w.ConfigFile:
		return Verdict{Unprepared, fmt.Sprintf("the script in %s puts the provider at %s and %s, the kubelets are told %s and %s",
			where, clean(f.BinDir), clean(f.ConfigFile), w.BinDir, w.ConfigFile)}
	case w.Version == kubelet.Version{}:
		return Verdict{Unknown, "the cluster's Kubernetes version is not known, so the config that the script in " + where + " writes is not judged"}
	}
	refusal := kubelet.Start(w.Version, kubelet.Provider{
		ConfigPath: f.ConfigFile, ConfigState: kubelet.PathRegular, Config: f.Config,
		BinDir: f.BinDir, BinDirState: kubelet.PathDirectory,
	})
	if refusal != nil {
		return Verdict{Unprepared, fmt.Sprintf("with the config that the script in %s writes, a %s kubelet would not start: %s", where, w.Version, refusal.Reason)}
	}
	return Verdict{Prepared, fmt.Sprintf("%s puts ecr-credential-provider %s at %s", where, clean(f.Release), w.BinDir)}
}

// judgeUserData looks at each part. One that prepares the node is enough, unless
// another names the same places: nobody knows then who is the last.
func judgeUserData(text string, w Want) Verdict {
	const where = "its user data"
	all, err := parts(text)
	if err != nil {
		return Verdict{Unknown, where + " is not understood: " + err.Error()}
	}
	if len(all) == 0 {
		return Verdict{Unprepared, "it has no user data"}
	}
	var best *Verdict
	unknown := ""
	for _, p := range all {
		v, why := judgePart(p, w, where)
		switch {
		case v != nil && (best == nil || v.State == Unprepared):
			best = v
		case v == nil && why != "" && unknown == "":
			unknown = why
		}
	}
	switch {
	case best != nil:
		return *best
	case unknown != "":
		return Verdict{Unknown, where + " " + unknown}
	}
	return Verdict{Unprepared, where + " neither runs nor writes anything for the provider"}
}

// judgePart gives a verdict where our script stands in the part, and else why it is
// not known what the part does; "" when that is nothing.
func judgePart(p part, w Want, where string) (*Verdict, string) {
	switch {
	case p.odd != "":
		return nil, "holds " + p.odd
	case p.kind == shellScript:
		if f, ok := p.ours(); ok {
			v := judgeFacts(f, w, where)
			return &v, ""
		}
		return nil, runsItsOwn(p.text, w)
	case p.kind == cloudConfig:
		return judgeCloud(p.text, w, where)
	}
	return nil, ""
}

// runsItsOwn is what is said of commands that nobody has judged.
func runsItsOwn(text string, w Want) string {
	for _, word := range []string{kubelet.ProviderName, w.BinDir, w.ConfigFile} {
		if word != "" && strings.Contains(text, word) {
			return "names the provider or its places, in a way that is not judged"
		}
	}
	return "runs commands of its own, which are not judged"
}

// inert are the keys of a cloud-config that run nothing and write no file of the
// user's choice; write_files is looked at by itself.
var inert = []string{
	"allow_public_ssh_keys", "disable_ec2_metadata", "disable_root", "final_message", "fqdn", "groups", "growpart", "hostname",
	"keyboard", "locale", "manage_etc_hosts", "merge_how", "merge_type", "output", "package_reboot_if_required", "package_update", "package_upgrade",
	"preserve_hostname", "resize_rootfs", "ssh_authorized_keys", "ssh_deletekeys", "ssh_genkeytypes", "ssh_import_id",
	"ssh_pwauth", "swap", "timezone", "users", "write_files",
}

func judgeCloud(text string, w Want, where string) (*Verdict, string) {
	c, err := readCloud(text)
	if err != nil {
		return nil, "is not understood: " + err.Error()
	}
	files, isList := c.value["write_files"].([]any)
	if c.value["write_files"] != nil && !isList {
		return nil, "has write_files that are no list"
	}
	commands, _ := c.value["runcmd"].([]any)
	var verdict *Verdict
	writes := false
	for _, file := range files {
		f, ok := scriptIn(file)
		switch path := pathOf(file); {
		case ok && slices.ContainsFunc(commands, func(cmd any) bool { return runs(cmd, path) }):
			v := judgeFacts(f, w, where)
			verdict = &v
		case ok:
			v := Verdict{Unprepared, where + " writes rkepatch's script and does not run it as rkepatch does"}
			verdict = &v
		case path == "" || path == w.ConfigFile || strings.HasPrefix(path, w.BinDir+"/"):
			writes = true
		}
	}
	switch {
	case verdict != nil && writes:
		return nil, "holds rkepatch's script, and writes the provider or its config by itself, too"
	case verdict != nil:
		return verdict, ""
	case writes:
		return nil, "names the provider or its places, in a way that is not judged"
	}
	for key := range c.value {
		if !slices.Contains(inert, key) {
			return nil, runsItsOwn(text, w)
		}
	}
	return nil, ""
}

// runs reports whether a command of runcmd runs the script at path, as
// `rkepatch nodes script --user-data cloud-config` writes it.
func runs(command any, path string) bool {
	return path != "" && reflect.DeepEqual(command, []any{"sh", path})
}
