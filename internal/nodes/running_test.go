package nodes

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// proc is a made-up /proc.
type proc struct{ tree }

func newProc(t *testing.T) proc {
	p := proc{newTree(t)}
	p.write("/uptime", "5000.25 9000.00\n", 0o444)
	return p
}

// process adds one that started so many seconds after boot.
func (p proc) process(pid, start int, comm string, args ...string) {
	dir := fmt.Sprintf("/%d", pid)
	p.write(dir+"/comm", comm+"\n", 0o444)
	p.write(dir+"/cmdline", strings.Join(args, "\x00")+"\x00", 0o444)
	p.write(dir+"/status", fmt.Sprintf("Name:\t%s\nPid:\t%d\nNSpid:\t%d\n", comm, pid, pid), 0o444)
	p.write(dir+"/stat", fmt.Sprintf("%d (a b) c) S 1 %s %d 0 0\n", pid, strings.Repeat("0 ", 17)[:33], start*100), 0o444)
	p.write(dir+"/environ", "PATH=/usr/bin:/bin\x00HOME=/\x00", 0o400)
}

func TestRunningScript(t *testing.T) {
	flags := []string{"--hostname-override=node", "--cloud-provider=", "--token=hush-hush", "--image-credential-provider-config=/opt/aws/config/c.yaml", "--image-credential-provider-bin-dir=/opt/aws/bin"}
	tests := []struct {
		name      string
		put       func(proc)
		processes int
		age       time.Duration
		flags     map[string]string
	}{
		{name: "RKE's kubelet", put: func(p proc) { p.process(42, 4000, "kubelet", append([]string{"kubelet"}, flags...)...) },
			processes: 1, age: 1000 * time.Second, flags: map[string]string{"image-credential-provider-config": "/opt/aws/config/c.yaml", "image-credential-provider-bin-dir": "/opt/aws/bin"}},
		{name: "with a path", put: func(p proc) { p.process(42, 4000, "kubelet", "/usr/local/bin/kubelet") }, processes: 1, age: 1000 * time.Second},
		{name: "hyperkube", put: func(p proc) {
			p.process(42, 4000, "hyperkube", "/hyperkube", "kubelet", "--feature-gates=A=true,B=false")
		},
			processes: 1, age: 1000 * time.Second, flags: map[string]string{"feature-gates": "A=true,B=false"}},
		{name: "flag and value apart", put: func(p proc) {
			p.process(42, 4999, "kubelet", "kubelet", "--image-credential-provider-bin-dir", "/a b", "--v", "2")
		}, processes: 1, age: time.Second, flags: map[string]string{"image-credential-provider-bin-dir": "/a b"}},
		{name: "twice, the last counts", put: func(p proc) {
			p.process(42, 4999, "kubelet", "kubelet", "--feature-gates=A=true", "--feature-gates=B=true")
		}, processes: 1, age: time.Second, flags: map[string]string{"feature-gates": "B=true"}},
		{name: "none", put: func(p proc) {
			p.process(41, 1, "kubelet-csr-app", "kubelet-csr-approver")
			p.process(42, 1, "sh", "sh", "-c", "kubelet")
			p.process(43, 1, "hyperkube", "hyperkube", "kube-proxy")
		}},
		{name: "one inside a pod", put: func(p proc) {
			p.process(42, 4000, "kubelet", "kubelet", "--hostname-override=node")
			p.process(43, 4000, "kubelet", "kubelet")
			p.write("/43/status", "Name:\tkubelet\nNSpid:\t43\t7\n", 0o444)
		}, processes: 1, age: 1000 * time.Second},
		{name: "two of two nodes on one machine", put: func(p proc) {
			p.process(41, 3000, "kubelet", "kubelet", "--hostname-override=other", "--feature-gates=A=true")
			p.process(42, 4000, "kubelet", "kubelet", "--hostname-override=node")
		}, processes: 1, age: 1000 * time.Second},
		{name: "two", put: func(p proc) {
			p.process(42, 4000, "kubelet", "kubelet")
			p.process(43, 3000, "kubelet", "kubelet")
		}, processes: 2, age: 1000 * time.Second},
		{name: "one that has just gone", put: func(p proc) {
			p.process(42, 4000, "kubelet", "kubelet")
			p.remove("/42/cmdline")
		}},
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for shell, path := range shells(t) {
		for _, tt := range tests {
			t.Run(shell+"/"+tt.name, func(t *testing.T) {
				t.Parallel()
				p := newProc(t)
				tt.put(p)
				text := p.run(path, modeRunning, "--proc", p.root, "--node", "node", "--observe", "0")
				if strings.Contains(text, "hush") || strings.Contains(text, packed("hush-hush")) {
					t.Errorf("a flag that is no one's business left the node: %s", text)
				}
				k, restarted, err := readRunning(text, now)
				if err != nil {
					t.Fatalf("%v: %s", err, text)
				}
				if k.Processes != tt.processes || restarted || (tt.processes > 0 && now.Sub(k.Started) != tt.age) {
					t.Errorf("%+v in %s", k, text)
				}
				if fmt.Sprint(k.Flags) != fmt.Sprint(tt.flags) {
					t.Errorf("flags %v, want %v", k.Flags, tt.flags)
				}
			})
		}
	}
}

// A kubelet that dies while it is watched, and comes back as another process.
func TestRunningScriptRestart(t *testing.T) {
	p := newProc(t)
	p.process(42, 4000, "kubelet", "kubelet")
	p.process(43, 4990, "kubelet", "kubelet")
	// "sleep" is what passes the time in the script; here it takes the first
	// process away. (busybox has its own and looks for no other.)
	tools := t.TempDir()
	sleep := "#!/bin/sh\nPATH=/usr/bin:/bin\nrm -r '" + p.at("/42") + "'\n"
	if err := os.WriteFile(filepath.Join(tools, "sleep"), []byte(sleep), 0o700); err != nil {
		t.Fatal(err)
	}
	text := p.run(tools+":"+os.Getenv("PATH"), modeRunning, "--proc", p.root, "--node", "node", "--observe", "5")
	k, restarted, err := readRunning(text, time.Now())
	if err != nil || !restarted || k.Processes != 1 {
		t.Errorf("%v, %+v, restarted %t: %s", err, k, restarted, text)
	}
}

// The script reads this machine's real /proc without a word of complaint.
func TestRunningScriptHere(t *testing.T) {
	for _, path := range shells(t) {
		text := newTree(t).run(path, modeRunning, "--proc", "/proc", "--node", "node", "--observe", "0")
		if _, _, err := readRunning(text, time.Now()); err != nil {
			t.Errorf("%v: %s", err, text)
		}
	}
}

// The age of the config that the kubelet is told of is seen as the kubelet's
// container sees the file.
func TestRunningScriptTellsTheConfigsAge(t *testing.T) {
	q, err := query().normal(1)
	if err != nil {
		t.Fatal(err)
	}
	for shell, path := range shells(t) {
		p := newProc(t)
		p.process(42, 4000, "kubelet", "kubelet")
		now := time.Now()
		age := func() time.Duration {
			text := p.run(path, modeRunning, append(pathArgs(q), "--proc", p.root, "--node", "node", "--observe", "0")...)
			k, _, err := readRunning(text, now)
			if err != nil || k.Processes != 1 {
				t.Fatalf("%v: %s", err, text)
			}
			if k.ConfigWritten.IsZero() {
				return 0
			}
			return now.Sub(k.ConfigWritten)
		}
		if got := age(); got != 0 {
			t.Errorf("%s: no config, and it is %s old", shell, got)
		}
		p.write(configPath, goodConfig, 0o600)
		if err := os.Chtimes(p.at(configPath), now, now.Add(-time.Hour)); err != nil {
			t.Fatal(err)
		}
		if got := age(); got < time.Hour || got > time.Hour+time.Minute {
			t.Errorf("%s: the config is %s old", shell, got)
		}
		p.remove(configPath)
		p.mkdir(configPath)
		if got := age(); got != 0 {
			t.Errorf("%s: a directory is %s old", shell, got)
		}
	}
}
