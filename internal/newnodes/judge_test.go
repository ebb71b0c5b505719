package newnodes

import (
	"errors"
	"strings"
	"testing"

	"rkepatch/internal/kubelet"
	"rkepatch/internal/nodescript"
)

var want126 = Want{BinDir: kubelet.DefaultBinDir, ConfigFile: kubelet.DefaultProviderConfig, Version: kubelet.Version{Major: 1, Minor: 26}}

const rancherURL = "https://releases.rancher.com/install-docker/20.10.sh"

func TestJudge(t *testing.T) {
	withDocker := script(t, nodescript.Options{DockerInstall: "20.10"})
	merged, err := Merge("#cloud-config\nusers:\n- name: ops\n", asScript(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		t     Template
		w     Want
		state State
		says  string
	}{
		{"as Rancher makes it", Template{DockerInstallURL: rancherURL}, want126, Unprepared, "no user data; Docker is installed by the script of releases.rancher.com"},
		{"without a URL", Template{}, want126, Unprepared, "Rancher's own script"},
		{"without a script", Template{DockerInstallURL: "none"}, want126, Unprepared, "no Docker install script is run"},
		{"Docker's own script", Template{DockerInstallURL: "https://get.docker.com"}, want126, Unprepared, "the script of get.docker.com"},
		{"a host that only looks like it", Template{DockerInstallURL: "https://releases.rancher.com.evil.example/install-docker/20.10.sh"}, want126, Unknown, "was not read"},
		{"a path that only looks like it", Template{DockerInstallURL: "https://releases.rancher.com/install-docker-x/20.10.sh"}, want126, Unknown, "was not read"},
		{"over plain http", Template{DockerInstallURL: "http://releases.rancher.com/install-docker/20.10.sh"}, want126, Unknown, "was not read"},
		{"a mirror, not read", Template{DockerInstallURL: "https://mirror.example.com/x.sh"}, want126, Unknown, "was not read"},
		{"a mirror, unreadable", Template{DockerInstallURL: "https://mirror.example.com/x.sh", ReadError: errors.New("the server answered 404")}, want126, Unknown, "could not be read: the server answered 404"},
		{"a mirror, somebody's script", Template{DockerInstallURL: "https://mirror.example.com/x.sh", Script: []byte("#!/bin/sh\n# puts ecr-credential-provider to /opt/aws/bin\n")}, want126, Unknown, "is not one of rkepatch"},
		{"a mirror with our script", Template{DockerInstallURL: "https://mirror.example.com/x.sh", Script: withDocker}, want126, Prepared, "not run where the image has Docker already"},
		{"a mirror with our script, edited", Template{DockerInstallURL: "https://mirror.example.com/x.sh", Script: []byte(strings.Replace(string(withDocker), "main \"$@\"", "id; main \"$@\"", 1))}, want126, Unknown, "is not one of rkepatch"},
		{"a mirror with our script for another place", Template{DockerInstallURL: "https://mirror.example.com/x.sh", Script: script(t, nodescript.Options{BinDir: "/srv/bin"})}, want126, Unprepared, "puts the provider at /srv/bin"},

		{"our cloud-config", Template{UserData: asConfig(t)}, want126, Prepared, "its user data puts ecr-credential-provider v1.31.7 at /opt/aws/bin"},
		{"our cloud-config, as Rancher stores it", Template{UserData: strings.TrimSpace(asConfig(t))}, want126, Prepared, "v1.31.7"},
		{"our packed script", Template{UserData: strings.TrimSpace(asScript(t))}, want126, Prepared, "v1.31.7"},
		{"our script, unpacked", Template{UserData: string(withDocker)}, want126, Prepared, "v1.31.7"},
		{"our script beside a cloud-config", Template{UserData: strings.TrimSpace(merged)}, want126, Prepared, "v1.31.7"},
		{"our script and a mirror that nobody has read", Template{UserData: asConfig(t), DockerInstallURL: "https://mirror.example.com/x.sh"}, want126, Prepared, "its user data puts"},
		{"an older script of ours", Template{UserData: olderConfig(t)}, want126, Prepared, "v1.30.8"},
		{"our cloud-config for another config", Template{UserData: string(nodescript.CloudConfig(script(t, nodescript.Options{ConfigFile: "/srv/c.yaml"})))}, want126, Unprepared, "and /srv/c.yaml, the kubelets are told"},
		{"our cloud-config for a kubelet that does not take it", Template{UserData: asConfig(t)}, Want{want126.BinDir, want126.ConfigFile, kubelet.Version{Major: 1, Minor: 25}}, Unprepared, "a 1.25 kubelet would not start"},
		{"our cloud-config for who knows which kubelet", Template{UserData: asConfig(t)}, Want{want126.BinDir, want126.ConfigFile, kubelet.Version{}}, Unknown, "version is not known"},
		{"our script is written and not run", Template{UserData: strings.Replace(asConfig(t), "runcmd:\n- [sh, "+nodescript.ScriptPath+"]\n", "", 1)}, want126, Unprepared, "does not run it"},
		{"our script is run to remove it all", Template{UserData: strings.Replace(asConfig(t), nodescript.ScriptPath+"]", nodescript.ScriptPath+", --uninstall]", 1)}, want126, Unprepared, "does not run it as rkepatch does"},
		{"our script, and another config over it", Template{UserData: strings.Replace(asConfig(t), "runcmd:", "- path: "+want126.ConfigFile+"\n  content: x\nruncmd:", 1)}, want126, Unknown, "writes the provider or its config by itself, too"},
		{"our script, damaged", Template{UserData: strings.Replace(asConfig(t), "    H4sI", "    H4sJ", 1)}, want126, Unknown, "runs commands of its own"},
		{"twice, for two places", Template{UserData: twice(t)}, want126, Unprepared, "/srv/bin"},

		{"nothing that runs", Template{UserData: "#cloud-config\nusers:\n- name: ops\nwrite_files:\n- path: /etc/motd\n"}, want126, Unprepared, "neither runs nor writes anything for the provider"},
		{"packages", Template{UserData: "#cloud-config\npackages: [nfs-common]\n"}, want126, Unknown, "commands of its own, which are not judged"},
		{"commands", Template{UserData: "#cloud-config\nruncmd:\n- [install-it, --password, hunter2]\n"}, want126, Unknown, "commands of its own, which are not judged"},
		{"commands that name it", Template{UserData: "#cloud-config\nruncmd:\n- curl -o /opt/aws/bin/ecr-credential-provider https://hunter2@x/\n"}, want126, Unknown, "names the provider or its places, in a way that is not judged"},
		{"a file that is the config", Template{UserData: "#cloud-config\nwrite_files:\n- path: " + want126.ConfigFile + "\n  content: hunter2\n"}, want126, Unknown, "names the provider"},
		{"write_files of another kind", Template{UserData: "#cloud-config\nwrite_files: hunter2\n"}, want126, Unknown, "no list"},
		{"a script", Template{UserData: "#!/bin/sh\necho hunter2\n"}, want126, Unknown, "commands of its own"},
		{"gzip", Template{UserData: "\x1f\x8b"}, want126, Unknown, "not understood: it is gzip"},
		{"a malformed cloud-config", Template{UserData: "#cloud-config\npassword: [hunter2\n"}, want126, Unknown, "malformed"},
		{"an odd part", Template{UserData: strings.Replace(multipartText, "text/x-shellscript", "text/x-include-url", 1)}, want126, Unknown, "holds a part of type text/x-include-url"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := Judge(tt.t, tt.w)
			if v.State != tt.state || !strings.Contains(v.Reason, tt.says) {
				t.Errorf("%s: %s; want %s and %q", v.State, v.Reason, tt.state, tt.says)
			}
			if strings.Contains(v.Reason, "hunter2") || len(v.Reason) > 700 {
				t.Errorf("the reason shows user data, or is long: %s", v.Reason)
			}
		})
	}
}

// twice has two scripts of ours for different places.
func twice(t *testing.T) string {
	t.Helper()
	other := string(nodescript.Packed(script(t, nodescript.Options{BinDir: "/srv/bin"})))
	return newMultipart(shellScript, asScript(t), shellScript, other)
}

func TestCheckURL(t *testing.T) {
	for address, says := range map[string]string{
		"https://mirror.example.com/x.sh":          "",
		"https://mirror.example.com:8443/a/b?v=1":  "",
		"http://mirror.example.com/x.sh":           "not https",
		"ftp://mirror.example.com/x.sh":            "not https",
		"https://ops:hunter2@mirror.example.com/x": "holds a user or a password",
		"https://mirror.example.com/x#hunter2":     "fragment",
		"mirror.example.com/x.sh":                  "no plain URL",
		"https:///x.sh":                            "no plain URL",
		"none":                                     "no plain URL",
		"":                                         "no plain URL",
		"https://x/y; curl hunter2|sh":             "no plain URL",
		"https://x/$(id)":                          "no plain URL",
		"https://x/`id`":                           "no plain URL",
		"https://x/'":                              "no plain URL",
		"https://x/\ny":                            "no plain URL",
	} {
		err := CheckURL(address)
		if says == "" {
			if err != nil {
				t.Errorf("%s: %v", address, err)
			}
			continue
		}
		wantRefused(t, err, says)
	}
}

func TestShownURL(t *testing.T) {
	for address, want := range map[string]string{
		"https://releases.rancher.com/install-docker/20.10.sh": "https://releases.rancher.com/install-docker/20.10.sh",
		"https://ops:hunter2@mirror.example.com/x":             "https://REDACTED@mirror.example.com/x",
		"https://mirror.example.com/x?sig=hunter2#hunter2":     "https://mirror.example.com/x?REDACTED",
		"mailto:hunter2": "mailto:REDACTED",
		"https://x/%zz":  "<no URL>",
		"none":           "none",
		"":               "",
	} {
		if got := ShownURL(address); got != want {
			t.Errorf("%s is shown as %s, want %s", address, got, want)
		}
	}
}
