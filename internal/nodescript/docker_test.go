package nodescript

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// A node template's Docker install URL is fetched by Rancher with curl and piped
// into sh on a new machine that has no Docker yet.
func TestDockerInstall(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 || missing("curl") || missing("dash") {
		t.Skip("a new machine is root's, and has curl")
	}
	installer := "#!/bin/sh\ntest -x %[1]s/bin/ecr-credential-provider && test -f %[1]s/c.yaml && echo installed Docker && echo x >>%[1]s/docker-was-installed\n"
	for _, tt := range []struct {
		name      string
		installer string // what comes instead of the installer
		status    int
		plugin    bool // the plugin can be had
		docker    string
		args      []string
		code      int
		says      string
		installed bool // that the installer ran
	}{
		{name: "both", plugin: true, code: 0, says: "installed Docker", installed: true},
		{name: "no plugin so no Docker", plugin: false, code: 1, says: "downloading"},
		{name: "a dry run", plugin: true, args: []string{"--dry-run"}, code: 0, says: "would install Docker"},
		{name: "Docker is there", plugin: true, docker: "exit 9", code: 0, says: "left alone"},
		{name: "an HTML page instead of the installer", plugin: true, installer: "<html>", code: 1, says: "is no shell script"},
		{name: "no installer", plugin: true, status: http.StatusNotFound, code: 1, says: "downloading"},
		{name: "the installer fails", plugin: true, installer: "#!/bin/sh\nexit 42\n", code: 42, says: "ended with exit code 42"},
		{name: "a pod", plugin: true, args: []string{"--root", "/tmp"}, code: 2, says: "--root does not go with"},
		{name: "the way back", plugin: true, args: []string{"--uninstall", "--replace"}, code: 0, says: "not there"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t)
			dir := n.only(append(tools, "sh", "test")...)
			if tt.docker != "" {
				fake(t, dir, "docker", tt.docker)
			}
			home := filepath.Join(n.root, "node")
			at := mirror(t, func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.URL.Path == "/docker.sh" && tt.status != 0:
					w.WriteHeader(tt.status)
				case r.URL.Path == "/docker.sh" && tt.installer != "":
					fmt.Fprint(w, tt.installer)
				case r.URL.Path == "/docker.sh":
					fmt.Fprintf(w, installer, home)
				case tt.plugin:
					_, _ = w.Write(n.plugin)
				default:
					http.NotFound(w, r)
				}
			})
			n.generate(Options{URL: at + "/plugin", BinDir: home + "/bin", ConfigFile: home + "/c.yaml", DockerInstall: at + "/docker.sh"})
			n.write("script", n.script)
			cmd := exec.Command("dash", append([]string{"-c", `cat ` + n.path("script") + ` | dash -s -- "$@"`, "sh"}, tt.args...)...)
			dash, err := exec.LookPath("dash")
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(dash, dir+"/dash"); err != nil {
				t.Fatal(err)
			}
			cmd.Env = n.env
			finish(t, cmd).want(t, tt.code, tt.says)
			if _, err := os.Stat(home + "/docker-was-installed"); (err == nil) != tt.installed {
				t.Errorf("the installer ran: %v, want %v", err == nil, tt.installed)
			}
		})
	}
}
