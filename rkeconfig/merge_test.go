package rkeconfig

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	binDirArg = "image-credential-provider-bin-dir"
	configArg = "image-credential-provider-config"
)

// ecr is the kind of patch the program is made for.
func ecr() Patch {
	return Patch{
		Args:  map[string]string{binDirArg: "/opt/aws/bin", configArg: "/opt/aws/config/p.yaml"},
		Binds: []string{"/opt/aws/bin:/opt/aws/bin:ro", "/opt/aws/config:/opt/aws/config:ro"},
		Groups: []Group{{
			Args:       []string{binDirArg, configArg},
			Half:       Finding{Code: "half-configured", Severity: Warn, Message: "one flag only"},
			Incomplete: Finding{Code: "provider-incomplete", Severity: Block, Message: "one flag only after the merge"},
			Taken:      Finding{Code: "provider-already-configured", Severity: Block, Message: "another provider"},
			Paths:      []string{binDirArg, configArg},
			Unmounted:  Finding{Code: "provider-not-mounted", Severity: Block, Message: "nothing mounts it"},
		}},
	}
}

// ecrWith is ecr with other arguments and binds.
func ecrWith(other map[string]string, binds ...string) Patch {
	p := ecr()
	p.Args, p.Binds = other, binds
	return p
}

func args(pairs ...string) Patch {
	p := Patch{Args: map[string]string{}}
	for i := 0; i < len(pairs); i += 2 {
		p.Args[pairs[i]] = pairs[i+1]
	}
	return p
}

func binds(list ...string) Patch { return Patch{Binds: list} }

// kubelet wraps the JSON of services.kubelet.
func kubelet(raw string) string {
	return `{"kubernetesVersion":"v1.26.15-rancher1-1","services":{"kubelet":` + raw + `}}`
}

func TestMergeRules(t *testing.T) {
	const ecrDone = `{"extraArgs":{"` + binDirArg + `":"/opt/aws/bin","` + configArg + `":"/opt/aws/config/p.yaml"},"extraBinds":["/opt/aws/bin:/opt/aws/bin:ro","/opt/aws/config:/opt/aws/config:ro"]}`
	argChange := func(name, before, after string) Change {
		c := Change{Path: `services.kubelet.extraArgs["` + name + `"]`, After: after}
		if before != "" {
			c.Before = before
		}
		return c
	}
	bindChange := func(i int, after string) Change {
		return Change{Path: fmt.Sprintf("services.kubelet.extraBinds[%d]", i), After: after}
	}
	tests := []struct {
		name     string
		doc      string
		patch    Patch
		options  MergeOptions
		changes  []Change
		findings []string // "severity code", most severe first
		state    State
	}{
		// Arguments.
		{"no such argument: it is added", kubelet(`{}`), args("max-pods", "200"), MergeOptions{},
			[]Change{argChange("max-pods", "", "200")}, nil, NotPatched},
		{"no services at all", `{}`, args("max-pods", "200"), MergeOptions{},
			[]Change{argChange("max-pods", "", "200")}, nil, NotPatched},
		{"services are null", `{"services":null}`, args("max-pods", "200"), MergeOptions{},
			[]Change{argChange("max-pods", "", "200")}, nil, NotPatched},
		{"kubelet and its args are null", `{"services":{"kubelet":{"extraArgs":null,"extraBinds":null}}}`, ecr(), MergeOptions{},
			[]Change{argChange(binDirArg, "", "/opt/aws/bin"), argChange(configArg, "", "/opt/aws/config/p.yaml"),
				bindChange(0, "/opt/aws/bin:/opt/aws/bin:ro"), bindChange(1, "/opt/aws/config:/opt/aws/config:ro")}, nil, NotPatched},
		{"the argument is there already", kubelet(`{"extraArgs":{"max-pods":"200"}}`), args("max-pods", "200"), MergeOptions{},
			nil, nil, Patched},
		{"an empty value is a value", kubelet(`{"extraArgs":{"cloud-provider":""}}`), args("cloud-provider", "external"), MergeOptions{},
			nil, []string{"block arg-conflict"}, NotPatched},
		{"an argument may be wanted empty", kubelet(`{}`), args("cloud-provider", ""), MergeOptions{},
			[]Change{{Path: `services.kubelet.extraArgs["cloud-provider"]`, After: ""}}, nil, NotPatched},
		{"another value blocks", kubelet(`{"extraArgs":{"max-pods":"110"}}`), args("max-pods", "200"), MergeOptions{},
			nil, []string{"block arg-conflict"}, NotPatched},
		{"another value blocks the rest of the patch as well", kubelet(`{"extraArgs":{"max-pods":"110"}}`), args("max-pods", "200", "v", "4"), MergeOptions{},
			nil, []string{"block arg-conflict"}, NotPatched},
		{"another value, and the operator allows it", kubelet(`{"extraArgs":{"max-pods":"110"}}`), args("max-pods", "200"), MergeOptions{ReplaceArgs: []string{"max-pods"}},
			[]Change{argChange("max-pods", "110", "200")}, nil, NotPatched},
		{"the operator allows another argument", kubelet(`{"extraArgs":{"max-pods":"110"}}`), args("max-pods", "200"), MergeOptions{ReplaceArgs: []string{"v"}},
			nil, []string{"block arg-conflict"}, NotPatched},
		{"in extra_args_array", kubelet(`{"extraArgsArray":{"max-pods":["110"]}}`), args("max-pods", "200"), MergeOptions{},
			nil, []string{"block arg-in-array"}, NotPatched},
		{"misspelt in extra_args_array", kubelet(`{"extraArgsArray":{"--Max_Pods":["110"]}}`), args("max-pods", "200"), MergeOptions{},
			nil, []string{"block arg-in-array"}, NotPatched},
		{"in extra_args_array, even when it is right in extra_args", kubelet(`{"extraArgs":{"max-pods":"200"},"extraArgsArray":{"max-pods":["200"]}}`), args("max-pods", "200"), MergeOptions{},
			nil, []string{"block arg-in-array"}, Patched},
		{"with dashes before it", kubelet(`{"extraArgs":{"--max-pods":"200"}}`), args("max-pods", "200"), MergeOptions{},
			nil, []string{"block arg-misspelt"}, NotPatched},
		{"with one dash", kubelet(`{"extraArgs":{"-max-pods":"200"}}`), args("max-pods", "200"), MergeOptions{},
			nil, []string{"block arg-misspelt"}, NotPatched},
		{"in other case", kubelet(`{"extraArgs":{"Max-Pods":"200"}}`), args("max-pods", "200"), MergeOptions{},
			nil, []string{"block arg-misspelt"}, NotPatched},
		{"with underscores", kubelet(`{"extraArgs":{"max_pods":"200"}}`), args("max-pods", "200"), MergeOptions{},
			nil, []string{"block arg-misspelt"}, NotPatched},
		{"with spaces around it", kubelet(`{"extraArgs":{" -- max-pods ":"200"}}`), args("max-pods", "200"), MergeOptions{},
			nil, []string{"block arg-misspelt"}, NotPatched},
		{"misspelt, and --replace-arg does not help", kubelet(`{"extraArgs":{"--max-pods":"200"}}`), args("max-pods", "200"), MergeOptions{ReplaceArgs: []string{"max-pods"}},
			nil, []string{"block arg-misspelt"}, NotPatched},
		{"longer names are other arguments", kubelet(`{"extraArgs":{"max-pods-per-core":"2"}}`), args("max-pods", "200"), MergeOptions{},
			[]Change{argChange("max-pods", "", "200")}, nil, NotPatched},

		// Arguments that belong together.
		{"one of the two flags: the other is added", kubelet(`{"extraArgs":{"` + binDirArg + `":"/opt/aws/bin"}}`), ecr(), MergeOptions{},
			[]Change{argChange(configArg, "", "/opt/aws/config/p.yaml"), bindChange(0, "/opt/aws/bin:/opt/aws/bin:ro"), bindChange(1, "/opt/aws/config:/opt/aws/config:ro")},
			[]string{"warn half-configured"}, HalfPatched},
		{"another provider", kubelet(`{"extraArgs":{"` + binDirArg + `":"/x","` + configArg + `":"/y"}}`), ecr(), MergeOptions{},
			nil, []string{"block provider-already-configured"}, NotPatched},
		{"half of another provider", kubelet(`{"extraArgs":{"` + configArg + `":"/y"}}`), ecr(), MergeOptions{},
			nil, []string{"block provider-already-configured", "warn half-configured"}, NotPatched},
		{"another provider, replaced", kubelet(`{"extraArgs":{"` + binDirArg + `":"/x","` + configArg + `":"/y"},"extraBinds":["/opt/aws/bin:/opt/aws/bin:ro","/opt/aws/config:/opt/aws/config:ro"]}`),
			ecr(), MergeOptions{ReplaceArgs: []string{binDirArg, configArg}},
			[]Change{argChange(binDirArg, "/x", "/opt/aws/bin"), argChange(configArg, "/y", "/opt/aws/config/p.yaml")}, nil, HalfPatched},
		{"all is there", kubelet(ecrDone), ecr(), MergeOptions{}, nil, nil, Patched},
		{"the patch has one flag only", kubelet(`{}`), ecrWith(map[string]string{binDirArg: "/opt/aws/bin"}, "/opt/aws/bin:/opt/aws/bin:ro"), MergeOptions{},
			nil, []string{"block provider-incomplete"}, NotPatched},
		{"the patch wants one of them empty", kubelet(`{}`), ecrWith(map[string]string{binDirArg: "/opt/aws/bin", configArg: ""}, "/opt/aws/bin:/opt/aws/bin:ro"), MergeOptions{},
			nil, []string{"block provider-incomplete"}, NotPatched},
		{"the cluster has that one flag already", kubelet(`{"extraArgs":{"` + binDirArg + `":"/opt/aws/bin"},"extraBinds":["/opt/aws/bin:/opt/aws/bin:ro"]}`),
			ecrWith(map[string]string{binDirArg: "/opt/aws/bin"}, "/opt/aws/bin:/opt/aws/bin:ro"), MergeOptions{}, nil, []string{"block provider-incomplete"}, Patched},
		{"the cluster has the other one", kubelet(`{"extraArgs":{"` + configArg + `":"/opt/aws/bin/p.yaml"}}`),
			ecrWith(map[string]string{binDirArg: "/opt/aws/bin"}, "/opt/aws/bin:/opt/aws/bin:ro"), MergeOptions{},
			[]Change{argChange(binDirArg, "", "/opt/aws/bin"), bindChange(0, "/opt/aws/bin:/opt/aws/bin:ro")}, []string{"warn half-configured"}, NotPatched},
		{"the cluster has the other one, empty", kubelet(`{"extraArgs":{"` + configArg + `":""}}`),
			ecrWith(map[string]string{binDirArg: "/opt/aws/bin"}, "/opt/aws/bin:/opt/aws/bin:ro"), MergeOptions{}, nil, []string{"block provider-incomplete"}, NotPatched},

		// Arguments whose values are paths.
		{"nothing mounts the paths", kubelet(`{}`), ecrWith(ecr().Args), MergeOptions{}, nil, []string{"block provider-not-mounted"}, NotPatched},
		{"nothing mounts one of them", kubelet(`{}`), ecrWith(ecr().Args, "/opt/aws/bin:/opt/aws/bin:ro"), MergeOptions{}, nil, []string{"block provider-not-mounted"}, NotPatched},
		{"they are mounted elsewhere in the container", kubelet(`{}`), ecrWith(ecr().Args, "/opt/aws:/aws:ro"), MergeOptions{}, nil, []string{"block provider-not-mounted"}, NotPatched},
		{"a name that only begins like the mounted one", kubelet(`{}`), ecrWith(ecr().Args, "/opt/aws/bin:/opt/aws/bin", "/opt/aws/conf:/opt/aws/conf"), MergeOptions{}, nil, []string{"block provider-not-mounted"}, NotPatched},
		{"a directory above both is mounted", kubelet(`{}`), ecrWith(map[string]string{binDirArg: "/opt/aws/bin/", configArg: "/opt/aws//config/p.yaml"}, "/opt/aws:/opt/aws:ro"), MergeOptions{},
			[]Change{argChange(binDirArg, "", "/opt/aws/bin/"), argChange(configArg, "", "/opt/aws//config/p.yaml"), bindChange(0, "/opt/aws:/opt/aws:ro")}, nil, NotPatched},
		{"the file alone is mounted", kubelet(`{}`), ecrWith(ecr().Args, "/opt/aws/bin:/opt/aws/bin:ro", "/srv/p.yaml:/opt/aws/config/p.yaml:ro"), MergeOptions{},
			[]Change{argChange(binDirArg, "", "/opt/aws/bin"), argChange(configArg, "", "/opt/aws/config/p.yaml"), bindChange(0, "/opt/aws/bin:/opt/aws/bin:ro"), bindChange(1, "/srv/p.yaml:/opt/aws/config/p.yaml:ro")}, nil, NotPatched},
		{"the cluster mounts them by itself", kubelet(`{"extraBinds":["/opt/aws:/opt/aws"]}`), ecrWith(ecr().Args), MergeOptions{},
			[]Change{argChange(binDirArg, "", "/opt/aws/bin"), argChange(configArg, "", "/opt/aws/config/p.yaml")}, nil, NotPatched},
		{"RKE mounts them", kubelet(`{}`), ecrWith(map[string]string{binDirArg: "/var/lib/rancher/ecr", configArg: "/var/lib/rancher/ecr.yaml"}), MergeOptions{},
			[]Change{argChange(binDirArg, "", "/var/lib/rancher/ecr"), argChange(configArg, "", "/var/lib/rancher/ecr.yaml")}, nil, NotPatched},
		{"RKE mounts them only without a prefix", `{"prefixPath":"/opt/rke"}`, ecrWith(map[string]string{binDirArg: "/var/lib/kubelet/ecr", configArg: "/var/lib/kubelet/ecr.yaml"}), MergeOptions{},
			nil, []string{"block provider-not-mounted"}, NotPatched},
		{"a path that is none", kubelet(`{}`), ecrWith(map[string]string{binDirArg: "opt/aws/bin", configArg: "/opt/aws/p.yaml"}, "/opt/aws:/opt/aws:ro"), MergeOptions{},
			nil, []string{"block provider-not-mounted"}, NotPatched},
		{"both flags are there already, and nothing mounts them", kubelet(`{"extraArgs":{"` + binDirArg + `":"/opt/aws/bin","` + configArg + `":"/opt/aws/config/p.yaml"}}`), ecrWith(ecr().Args), MergeOptions{},
			nil, []string{"block provider-not-mounted"}, Patched},
		{"the other flag, which the cluster has, is not mounted", kubelet(`{"extraArgs":{"` + configArg + `":"/srv/p.yaml"}}`),
			ecrWith(map[string]string{binDirArg: "/opt/aws/bin"}, "/opt/aws/bin:/opt/aws/bin:ro"), MergeOptions{}, nil, []string{"block provider-not-mounted", "warn half-configured"}, NotPatched},

		// Binds.
		{"the same bind", kubelet(`{"extraBinds":["/a:/b:ro"]}`), binds("/a:/b:ro"), MergeOptions{}, nil, nil, Patched},
		{"the same bind, written otherwise", kubelet(`{"extraBinds":[" //a/:/b/./:rw "]}`), binds("/a:/b"), MergeOptions{}, nil, nil, Patched},
		{"options in another order", kubelet(`{"extraBinds":["/a:/b:z,ro"]}`), binds("/a:/b:ro,z"), MergeOptions{}, nil, nil, Patched},
		{"a new bind goes to the end", kubelet(`{"extraBinds":["/z:/z","/b:/b"]}`), binds("/a:/a"), MergeOptions{}, []Change{bindChange(2, "/a:/a")}, nil, NotPatched},
		{"same paths, other mode", kubelet(`{"extraBinds":["/a:/b"]}`), binds("/a:/b:ro"), MergeOptions{}, nil, []string{"warn bind-mode"}, Patched},
		{"same target, other source", kubelet(`{"extraBinds":["/a:/b"]}`), binds("/c:/b"), MergeOptions{}, nil, []string{"block bind-conflict"}, NotPatched},
		{"same target, bound from a volume", kubelet(`{"extraBinds":["plugins:/b"]}`), binds("/c:/b"), MergeOptions{}, nil, []string{"block bind-conflict"}, NotPatched},
		{"a bind inside another bind", kubelet(`{"extraBinds":["/opt/aws:/opt/aws"]}`), binds("/opt/aws/bin:/opt/aws/bin"), MergeOptions{},
			[]Change{bindChange(1, "/opt/aws/bin:/opt/aws/bin")}, nil, NotPatched},
		{"the cluster has two binds with one target", kubelet(`{"extraBinds":["/a:/b","/c:/b/"]}`), binds("/d:/d"), MergeOptions{}, nil, []string{"block bind-duplicate"}, NotPatched},
		{"the cluster has one bind twice", kubelet(`{"extraBinds":["/a:/b","/a:/b ", ""]}`), binds("/d:/d"), MergeOptions{}, []Change{bindChange(3, "/d:/d")}, nil, NotPatched},
		{"the cluster binds over a mount of RKE", kubelet(`{"extraBinds":["/data:/var/lib/rancher"]}`), binds("/d:/d"), MergeOptions{}, nil, []string{"block bind-duplicate"}, NotPatched},
		{"the cluster binds over a mount that some systems have elsewhere", kubelet(`{"extraBinds":["/data:/var/lib/kubelet"]}`), binds("/d:/d"), MergeOptions{}, []Change{bindChange(1, "/d:/d")}, nil, NotPatched},
		{"the cluster repeats a mount of RKE", kubelet(`{"extraBinds":["/dev:/host/dev:rprivate"]}`), binds("/d:/d"), MergeOptions{}, []Change{bindChange(1, "/d:/d")}, nil, NotPatched},
		{"the cluster repeats one as RKE writes it up to 1.21", kubelet(`{"extraBinds":["/var/lib/rancher:/var/lib/rancher:shared,z"]}`), binds("/d:/d"), MergeOptions{}, nil, []string{"block bind-duplicate"}, NotPatched},
		{"and does so on 1.21", `{"kubernetesVersion":"v1.21.14-rancher1-1","services":{"kubelet":{"extraBinds":["/var/lib/rancher:/var/lib/rancher:shared,z"]}}}`, binds("/d:/d"), MergeOptions{}, []Change{bindChange(1, "/d:/d")}, nil, NotPatched},
		{"the cluster repeats one as RKE writes it from 1.22 on", kubelet(`{"extraBinds":["/var/lib/rancher:/var/lib/rancher:shared"]}`), binds("/d:/d"), MergeOptions{}, []Change{bindChange(1, "/d:/d")}, nil, NotPatched},
		{"the patch has two binds with one target", kubelet(`{}`), binds("/a:/b", "/a:/b", "/c:/b"), MergeOptions{}, nil, []string{"block bind-duplicate"}, NotPatched},
		{"the patch has one bind twice", kubelet(`{}`), binds("/a:/b", "/a:/b"), MergeOptions{}, []Change{bindChange(0, "/a:/b")}, nil, NotPatched},
		{"the cluster has a bind that is none", kubelet(`{"extraBinds":["map[source:/a]"]}`), binds("/d:/d"), MergeOptions{}, nil, []string{"block bind-not-understood"}, NotPatched},
		{"the patch has a bind that is none", kubelet(`{}`), binds("/only-one"), MergeOptions{}, nil, []string{"block bind-not-understood"}, NotPatched},

		// What RKE mounts by itself.
		{"a target RKE mounts", kubelet(`{}`), binds("/var/lib/rancher:/var/lib/rancher:ro"), MergeOptions{}, nil, []string{"info bind-not-needed"}, Patched},
		{"a target under what RKE mounts", kubelet(`{}`), binds("/var/lib/rancher/credentialprovider:/var/lib/rancher/credentialprovider"), MergeOptions{}, nil, []string{"info bind-not-needed"}, Patched},
		{"/var/lib/rancher does not move with a prefix", `{"prefixPath":"/opt/rke"}`, binds("/var/lib/rancher/x:/var/lib/rancher/x"), MergeOptions{}, nil, []string{"info bind-not-needed"}, Patched},
		{"a name that only begins alike", kubelet(`{}`), binds("/var/lib/rancher2:/var/lib/rancher2"), MergeOptions{}, []Change{bindChange(0, "/var/lib/rancher2:/var/lib/rancher2")}, nil, NotPatched},
		{"a target above what RKE mounts", kubelet(`{}`), binds("/var/lib:/var/lib"), MergeOptions{}, nil, []string{"block bind-shadows"}, NotPatched},
		{"above what RKE mounts with this prefix", `{"prefixPath":"/opt/rke"}`, binds("/opt/rke:/opt/rke"), MergeOptions{}, nil, []string{"block bind-shadows"}, NotPatched},
		{"and free without it", kubelet(`{}`), binds("/opt/rke:/opt/rke"), MergeOptions{}, []Change{bindChange(0, "/opt/rke:/opt/rke")}, nil, NotPatched},
		{"above Docker's own directory", kubelet(`{}`), binds("/data:/data"), MergeOptions{DockerRootDir: "/data/docker"}, nil, []string{"block bind-shadows"}, NotPatched},
		{"the container's own programs", kubelet(`{}`), binds("/usr/local/bin:/usr/local/bin:ro"), MergeOptions{}, nil, []string{"block bind-shadows"}, NotPatched},
		{"a directory below them", kubelet(`{}`), binds("/usr/local/bin/ecr:/usr/local/bin/ecr:ro"), MergeOptions{}, []Change{bindChange(0, "/usr/local/bin/ecr:/usr/local/bin/ecr:ro")}, nil, NotPatched},
		{"the cluster has such a bind already", kubelet(`{"extraBinds":["/usr/local/bin:/usr/local/bin:ro"]}`), binds("/usr/local/bin:/usr/local/bin:ro"), MergeOptions{}, nil, nil, Patched},
		{"seen as /host/usr", kubelet(`{}`), binds("/usr/local/ecr:/host/usr/local/ecr:ro"), MergeOptions{}, nil, []string{"info bind-not-needed"}, Patched},
		{"under a mount, from elsewhere", kubelet(`{}`), binds("/data/ecr:/var/lib/rancher/ecr"), MergeOptions{}, nil, []string{"block bind-conflict"}, NotPatched},
		{"a mount, from elsewhere", kubelet(`{}`), binds("/data:/host/usr"), MergeOptions{}, nil, []string{"block bind-conflict"}, NotPatched},
		{"a path that moves on some systems", kubelet(`{}`), binds("/etc/kubernetes/ecr:/etc/kubernetes/ecr"), MergeOptions{}, nil, []string{"warn bind-prefix", "info bind-not-needed"}, Patched},
		{"the prefix / is none", `{"prefixPath":"/"}`, binds("/etc/kubernetes/ecr:/etc/kubernetes/ecr"), MergeOptions{}, nil, []string{"warn bind-prefix", "info bind-not-needed"}, Patched},
		{"with a prefix the host side is elsewhere", `{"prefixPath":"/opt/rke"}`, binds("/etc/kubernetes/ecr:/etc/kubernetes/ecr"), MergeOptions{}, nil, []string{"block bind-conflict"}, NotPatched},
		{"with a prefix, from where RKE mounts it", `{"prefixPath":"/opt/rke"}`, binds("/opt/rke/etc/kubernetes/ecr:/etc/kubernetes/ecr"), MergeOptions{}, nil, []string{"info bind-not-needed"}, Patched},
		{"with a prefix the kubelet's root moves on both sides", `{"prefixPath":"/opt/rke"}`, binds("/opt/rke/var/lib/kubelet/x:/opt/rke/var/lib/kubelet/x"), MergeOptions{}, nil, []string{"info bind-not-needed"}, Patched},
		{"with a prefix /var/lib/kubelet is free", `{"prefixPath":"/opt/rke"}`, binds("/var/lib/kubelet/x:/var/lib/kubelet/x"), MergeOptions{}, []Change{bindChange(0, "/var/lib/kubelet/x:/var/lib/kubelet/x")}, nil, NotPatched},
		{"but not its volume plugins", `{"prefixPath":"/opt/rke"}`, binds("/var/lib/kubelet/volumeplugins/x:/var/lib/kubelet/volumeplugins/x"), MergeOptions{}, nil, []string{"info bind-not-needed"}, Patched},
		{"Docker's own directory", kubelet(`{}`), binds("/var/lib/docker/x:/var/lib/docker/x"), MergeOptions{}, nil, []string{"info bind-not-needed"}, Patched},
		{"Docker's directory is elsewhere", kubelet(`{}`), binds("/var/lib/docker/x:/var/lib/docker/x"), MergeOptions{DockerRootDir: "/data/docker/"}, []Change{bindChange(0, "/var/lib/docker/x:/var/lib/docker/x")}, nil, NotPatched},
		{"and mounted there", kubelet(`{}`), binds("/data/docker/x:/data/docker/x"), MergeOptions{DockerRootDir: "/data/docker/"}, nil, []string{"info bind-not-needed"}, Patched},
		{"cri-dockerd from 1.24 on", kubelet(`{}`), binds("/var/lib/cri-dockerd/x:/var/lib/cri-dockerd/x"), MergeOptions{}, nil, []string{"warn bind-prefix", "info bind-not-needed"}, Patched},
		{"and without a version", `{}`, binds("/var/lib/cri-dockerd/x:/var/lib/cri-dockerd/x"), MergeOptions{}, nil, []string{"warn bind-prefix", "info bind-not-needed"}, Patched},
		{"no cri-dockerd on 1.23", `{"kubernetesVersion":"v1.23.16-rancher2-3"}`, binds("/var/lib/cri-dockerd/x:/var/lib/cri-dockerd/x"), MergeOptions{}, []Change{bindChange(0, "/var/lib/cri-dockerd/x:/var/lib/cri-dockerd/x")}, nil, NotPatched},
		{"the deepest mount counts", `{"prefixPath":"/etc/kubernetes"}`, binds("/etc/kubernetes/var/lib/kubelet/x:/etc/kubernetes/var/lib/kubelet/x"), MergeOptions{}, nil, []string{"info bind-not-needed"}, Patched},
		{"the mount point counts: /var/run is not under /run", kubelet(`{}`), binds("/run/x:/var/run/x"), MergeOptions{}, nil, []string{"block bind-conflict"}, NotPatched},
		{"already bound there, so nothing more is said", kubelet(`{"extraBinds":["/etc/kubernetes/x:/etc/kubernetes/x"]}`), binds("/etc/kubernetes/x:/etc/kubernetes/x"), MergeOptions{}, nil, nil, Patched},

		// Windows.
		{"Windows nodes would get the arguments", kubelet(`{}`), args("max-pods", "200"), MergeOptions{WindowsNodes: true}, nil, []string{"block windows-inherits"}, NotPatched},
		{"Windows nodes would get the binds", kubelet(`{}`), binds("/a:/a"), MergeOptions{WindowsNodes: true}, nil, []string{"block windows-inherits"}, NotPatched},
		{"both", kubelet(`{"winExtraArgs":{},"winExtraBinds":[]}`), ecr(), MergeOptions{WindowsNodes: true}, nil, []string{"block windows-inherits", "block windows-inherits"}, NotPatched},
		{"Windows has arguments of its own, but no binds", kubelet(`{"winExtraArgs":{"v":"2"}}`), ecr(), MergeOptions{WindowsNodes: true}, nil, []string{"block windows-inherits"}, NotPatched},
		{"Windows has its own", kubelet(`{"winExtraArgs":{"v":""},"winExtraBinds":["c:/x:c:/x"]}`), args("max-pods", "200"), MergeOptions{WindowsNodes: true}, []Change{argChange("max-pods", "", "200")}, nil, NotPatched},
		{"Windows nodes have it by now", kubelet(ecrDone), ecr(), MergeOptions{WindowsNodes: true}, nil, []string{"block windows-inherits", "block windows-inherits"}, Patched},
		{"they have the argument by now", kubelet(`{"extraArgs":{"max-pods":"200"}}`), args("max-pods", "200"), MergeOptions{WindowsNodes: true}, nil, []string{"block windows-inherits"}, Patched},
		{"they have the bind by now, with other options", kubelet(`{"extraBinds":["/a:/a"]}`), binds("/a:/a:ro"), MergeOptions{WindowsNodes: true}, nil, []string{"block windows-inherits", "warn bind-mode"}, Patched},
		{"nothing to do on Windows either", kubelet(strings.TrimSuffix(ecrDone, "}") + `,"winExtraArgs":{"v":"2"},"winExtraBinds":["c:/x:c:/x"]}`), ecr(), MergeOptions{WindowsNodes: true}, nil, nil, Patched},
		{"a path mounted already adds no bind to Windows", kubelet(`{}`), binds("/var/lib/rancher/x:/var/lib/rancher/x"), MergeOptions{WindowsNodes: true}, nil, []string{"info bind-not-needed"}, Patched},

		// Configs of another form.
		{"services is a list", `{"services":[]}`, ecr(), MergeOptions{}, nil, []string{"block not-understood"}, Unknown},
		{"kubelet is a text", `{"services":{"kubelet":"x"}}`, ecr(), MergeOptions{}, nil, []string{"block not-understood"}, Unknown},
		{"extraArgs is a list", kubelet(`{"extraArgs":[{"a":"b"}]}`), ecr(), MergeOptions{}, nil, []string{"block not-understood"}, Unknown},
		{"an argument is a number", kubelet(`{"extraArgs":{"max-pods":5}}`), ecr(), MergeOptions{}, nil, []string{"block not-understood"}, Unknown},
		{"an argument is null", kubelet(`{"extraArgs":{"max-pods":null}}`), ecr(), MergeOptions{}, nil, []string{"block not-understood"}, Unknown},
		{"extraBinds is a text", kubelet(`{"extraBinds":"/a:/b"}`), ecr(), MergeOptions{}, nil, []string{"block not-understood"}, Unknown},
		{"something else has the wrong type", `{"addonJobTimeout":"45"}`, ecr(), MergeOptions{}, nil, []string{"block not-understood"}, Unknown},
		{"an empty patch", kubelet(`{"extraArgs":{"v":"2"}}`), Patch{}, MergeOptions{}, nil, nil, Patched},
	}
	seen := map[string]bool{changedSince: true} // Revert's
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			doc := parse(t, tt.doc)
			got := Merge(doc, tt.patch, tt.options)
			var findings []string
			for _, f := range got.Findings {
				seen[f.Code] = true
				findings = append(findings, f.Severity.String()+" "+f.Code)
				if f.Message == "" || strings.ContainsAny(f.Message[len(f.Message)-1:], ".!") {
					t.Errorf("message of %s is no plain sentence: %q", f.Code, f.Message)
				}
			}
			if diff := cmp.Diff(tt.findings, findings); diff != "" {
				t.Errorf("findings (-want +got):\n%s%+v", diff, got.Findings)
			}
			if diff := cmp.Diff(tt.changes, got.Changes); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
			if got.State != tt.state {
				t.Errorf("state is %q, want %q", got.State, tt.state)
			}
			if got.Blocked() && toJSON(t, got.Document) != toJSON(t, doc) {
				t.Error("the config changed although a finding blocks")
			}
			if before := toJSON(t, parse(t, tt.doc)); toJSON(t, doc) != before {
				t.Errorf("the input changed: %s, was %s", toJSON(t, doc), before)
			}
		})
	}
	for _, k := range Findings {
		if !seen[k.Code] {
			t.Errorf("no row reports %s", k.Code)
		}
	}
}

func TestMergeKeepsEverythingElse(t *testing.T) {
	doc := parse(t, `{"future":{"a":[1.50,{"b":null}]},"services":{"kubelet":{"type":"/v3/schemas/kubeletService","extraArgs":{"z":"1","a":"2"},"extraBinds":["/z:/z","/a:/a"],"tomorrow":12345678901234567890},"kubeApi":{"x":1e3}}}`)
	got := Merge(doc, Patch{Args: map[string]string{"m": "3"}, Binds: []string{"/m:/m"}}, MergeOptions{})
	const want = `{"future":{"a":[1.50,{"b":null}]},"services":{"kubeApi":{"x":1e3},"kubelet":{"extraArgs":{"a":"2","m":"3","z":"1"},"extraBinds":["/z:/z","/a:/a","/m:/m"],"tomorrow":12345678901234567890,"type":"/v3/schemas/kubeletService"}}}`
	if s := toJSON(t, got.Document); s != want {
		t.Errorf("got  %s\nwant %s", s, want)
	}
}

// Two clusters of a fleet may be merged from one parsed document at a time; the
// documents share what did not change.
func TestMergedDocumentsDoNotShareLists(t *testing.T) {
	doc := parse(t, kubelet(`{"extraBinds":["/x:/x","/y:/y","/z:/z"]}`))
	first := Merge(doc, binds("/a:/a"), MergeOptions{}).Document
	second := Merge(doc, binds("/b:/b"), MergeOptions{}).Document
	if got := first.ExtraBinds(); !slices.Equal(got, []string{"/x:/x", "/y:/y", "/z:/z", "/a:/a"}) {
		t.Errorf("the first merge now holds %v", got)
	}
	if got := second.ExtraBinds(); !slices.Equal(got, []string{"/x:/x", "/y:/y", "/z:/z", "/b:/b"}) {
		t.Errorf("the second merge holds %v", got)
	}
}

func TestFindingsNameWhatTheyAreAbout(t *testing.T) {
	tests := []struct {
		doc   string
		patch Patch
		says  []string
		not   string
	}{
		{kubelet(`{"extraArgs":{"max-pods":"110"}}`), args("max-pods", "200"), []string{"max-pods", `"110"`, `"200"`, "--replace-arg max-pods"}, ""},
		{kubelet(`{"extraArgs":{"--Max_Pods":"1"}}`), args("max-pods", "200"), []string{`"--Max_Pods"`}, ""},
		{kubelet(`{"extraArgs":{"registry-token":"hunter2"}}`), args("registry-token", "swordfish"), []string{"registry-token", "<redacted>"}, "hunter2"},
		{kubelet(`{"extraArgs":{"proxy":"http://u:hunter2@p"}}`), args("proxy", "http://p"), []string{"http://<redacted>@p"}, "hunter2"},
		{kubelet(`{"extraArgs":{"v":"\u001b[2Jx"}}`), args("v", "2"), []string{`\x1b[2J`}, "\x1b"},
		{kubelet(`{"extraArgs":{"v":"` + strings.Repeat("x", 5000) + `"}}`), args("v", "2"), []string{"and more"}, strings.Repeat("x", 500)},
		{kubelet(`{"extraArgs":{"v":[]}}`), args("v", "2"), []string{`services.kubelet.extraArgs["v"] is a list`}, ""},
		{`{"network":{"mtu":"1400"}}`, args("v", "2"), []string{"network.mtu is a string", "whole number"}, "1400"},
		{kubelet(`{"extraBinds":["/a:/b\u202e"]}`), binds("/d:/d"), []string{`/b\u202e`, "control characters"}, "\u202e"},
		{kubelet(`{"extraBinds":["/a:/b"]}`), binds("/c:/b"), []string{"/b is already bound from /a", "/c"}, ""},
		{kubelet(`{}`), binds("/usr:/usr"), []string{"/usr", "/opt/aws/bin", "/var/lib/rancher"}, ""},
		{kubelet(`{}`), ecrWith(map[string]string{binDirArg: "/srv/\x1b[2J", configArg: "/var/lib/rancher/x"}), []string{binDirArg, `"/srv/\x1b[2J"`}, "\x1b"},
		{kubelet(`{}`), ecrWith(map[string]string{binDirArg: "https://u:hunter2@p", configArg: "/var/lib/rancher/x"}), []string{binDirArg}, "hunter2"},
		{`{"prefixPath":"/opt/rke"}`, binds("/etc/kubernetes/x:/etc/kubernetes/x"), []string{"/opt/rke/etc/kubernetes"}, ""},
	}
	for _, tt := range tests {
		findings := Merge(parse(t, tt.doc), tt.patch, MergeOptions{}).Findings
		if len(findings) != 1 {
			t.Errorf("%s: findings are %+v, want one", tt.doc, findings)
			continue
		}
		text := findings[0].Message + "\n" + findings[0].Todo
		for _, s := range tt.says {
			if !strings.Contains(text, s) {
				t.Errorf("%q does not say %q", text, s)
			}
		}
		if tt.not != "" && strings.Contains(text, tt.not) {
			t.Errorf("%q holds %q", text, tt.not)
		}
	}
}

func TestFindingTable(t *testing.T) {
	codes := map[string]bool{}
	for _, k := range Findings {
		if codes[k.Code] || k.Code == "" || k.Meaning == "" {
			t.Errorf("row %+v is a repetition or incomplete", k)
		}
		codes[k.Code] = true
	}
	if !slices.IsSorted(slices.Collect(func(yield func(string) bool) {
		for _, k := range Findings {
			if !yield(k.Code) {
				return
			}
		}
	})) {
		t.Errorf("Findings is not sorted by code: %v", slices.Sorted(maps.Keys(codes)))
	}
	defer func() {
		if recover() == nil {
			t.Error("a code outside the table was accepted")
		}
	}()
	newFinding("no-such-code", "", "")
}

func TestSeverityText(t *testing.T) {
	for s, want := range map[Severity]string{Info: "info", Warn: "warn", Block: "block"} {
		raw, err := json.Marshal(Finding{Severity: s})
		if err != nil || !strings.Contains(string(raw), `"severity":"`+want+`"`) {
			t.Errorf("%v is written as %s, %v", s, raw, err)
		}
		var back Finding
		if err := json.Unmarshal(raw, &back); err != nil || back.Severity != s {
			t.Errorf("%s is read as %v, %v", raw, back.Severity, err)
		}
	}
	if _, err := json.Marshal(Finding{Severity: 7}); err == nil {
		t.Error("an unknown severity was written")
	}
	if got := Severity(-1).String(); got != "severity(-1)" {
		t.Errorf("String of an unknown severity is %q", got)
	}
	var s Severity
	if err := s.UnmarshalText([]byte("fatal")); err == nil {
		t.Error("an unknown severity was read")
	}
}

func toJSON(t tester, doc Document) string {
	t.Helper()
	raw, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
