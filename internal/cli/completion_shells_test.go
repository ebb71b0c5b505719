//go:build linux

package cli

import (
	"bytes"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"rkepatch/fixtures/simrancher"
	"rkepatch/internal/fleet"
)

// typing is what somebody types, and what stands there after the Tab key. RUN is
// the id of the only run there is; the only file is zz-cluster.yml.
var typing = []struct{ typed, want string }{
	{"rkepatch nodes sc", "rkepatch nodes script "},
	{"rkepatch __com", "rkepatch __com"}, // is nobody's business
	{"rkepatch plan --output=js", "rkepatch plan --output=json "},
	{"rkepatch apply --order la", "rkepatch apply --order label:"},
	{"rkepatch plan payments arc", "rkepatch plan payments archive "},
	{"rkepatch plan --url http://127.0.0.1:1 pay", "rkepatch plan --url http://127.0.0.1:1 pay"}, // nobody answers there
	{"rkepatch file zz", "rkepatch file zz-cluster.yml "},
	{"rkepatch plan zz", "rkepatch plan zz"}, // a file is no cluster
	{"rkepatch apply --resume 2026", "rkepatch apply --resume RUN "},
}

// bench is a folder with what the shells need to complete something.
type bench struct {
	dir string
	env []string
	run string
}

func newBench(t *testing.T) bench {
	dir := t.TempDir()
	sim := simrancher.New(simrancher.Options{})
	sim.AddDemoFleet()
	server := httptest.NewServer(sim)
	t.Cleanup(server.Close)
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	run, err := fleet.NewRun(filepath.Join(dir, "state", "rkepatch"), time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	defer run.Close()
	for _, err := range []error{
		run.Begin(fleet.Head{Kind: kindApply, Server: server.URL}, nil),
		os.MkdirAll(filepath.Join(dir, "bin"), 0o700),
		os.Symlink(program, filepath.Join(dir, "bin", "rkepatch")), // the test binary knows by its name what to be
		os.WriteFile(filepath.Join(dir, "zz-cluster.yml"), nil, 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return bench{dir, []string{
		quickEnd, "PATH=" + filepath.Join(dir, "bin") + ":/usr/bin:/bin", "HOME=" + dir, "XDG_STATE_HOME=" + filepath.Join(dir, "state"), "TERM=dumb", "LC_ALL=C.UTF-8",
		"RANCHER_URL=" + server.URL, "RANCHER_TOKEN_KEY=" + simrancher.AdminToken,
	}, run.ID}
}

func (b bench) line(text string) string { return strings.ReplaceAll(text, "RUN", b.run) }

// terminal is a pseudo-terminal with a shell on it.
type terminal struct {
	t      *testing.T
	master *os.File
	mu     sync.Mutex
	seen   bytes.Buffer
	ended  chan struct{}
}

func (b bench) terminal(t *testing.T, shell string, args ...string) *terminal {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no pseudo-terminals here: " + err.Error())
	}
	t.Cleanup(func() { master.Close() })
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no pseudo-terminals here: " + err.Error())
	}
	defer slave.Close()
	if err := unix.IoctlSetWinsize(int(slave.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 50, Col: 200}); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), shell, args...)
	cmd.Dir, cmd.Env = b.dir, b.env
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	term := &terminal{t: t, master: master, ended: make(chan struct{})}
	go func() {
		defer close(term.ended)
		buffer := make([]byte, 4096)
		for {
			n, err := master.Read(buffer)
			term.mu.Lock()
			term.seen.Write(buffer[:n])
			term.mu.Unlock()
			if err != nil {
				_ = cmd.Wait()
				return
			}
		}
	}()
	return term
}

// await waits until the shell has written text.
func (term *terminal) await(text string) {
	term.t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		term.mu.Lock()
		seen := term.seen.String()
		term.mu.Unlock()
		if strings.Contains(seen, text) {
			return
		}
		select {
		case <-term.ended:
			term.t.Fatalf("the shell ended without %q:\n%s", text, seen)
		case <-deadline:
			term.t.Fatalf("the shell did not say %q:\n%s", text, seen)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (term *terminal) types(text string) {
	if _, err := term.master.WriteString(text); err != nil {
		term.t.Fatal(err)
	}
}

// tabs types each line and a Tab, and reads from the file lines what stands
// there then: \x18d makes the shell write it down, \x15 throws the line away.
func (b bench) tabs(term *terminal) []string {
	term.t.Helper()
	term.await("READY")
	for _, line := range typing {
		term.types(b.line(line.typed) + "\t\x18d\x15")
	}
	term.types("exit\n")
	select {
	case <-term.ended:
	case <-time.After(60 * time.Second):
		term.t.Fatalf("the shell does not end:\n%s", term.seen.String())
	}
	text, err := os.ReadFile(filepath.Join(b.dir, "lines"))
	if err != nil {
		term.t.Fatalf("%v\n%s", err, term.seen.String())
	}
	return strings.Split(strings.TrimSuffix(string(text), "|\n"), "|\n")
}

func (b bench) compare(t *testing.T, got []string) {
	t.Helper()
	if len(got) != len(typing) {
		t.Fatalf("%d lines, want %d: %q", len(got), len(typing), got)
	}
	for i, line := range typing {
		if want := b.line(line.want); got[i] != want {
			t.Errorf("%q and Tab: %q, want %q", line.typed, got[i], want)
		}
	}
}

func needShell(t *testing.T, shell string) {
	if _, err := exec.LookPath(shell); err != nil {
		t.Skip(shell + " is not on this machine")
	}
	t.Parallel()
}

func TestCompletionInBash(t *testing.T) {
	needShell(t, "bash")
	b := newBench(t)
	rc := `PS1='READY '
source <(rkepatch completion bash)
dump() { printf '%s|\n' "$READLINE_LINE" >> "$HOME/lines"; }
bind -x '"\C-xd": dump'
`
	if err := os.WriteFile(filepath.Join(b.dir, "rc"), []byte(rc), 0o600); err != nil {
		t.Fatal(err)
	}
	b.compare(t, b.tabs(b.terminal(t, "bash", "--noprofile", "--rcfile", "rc", "-i")))
}

func TestCompletionInZsh(t *testing.T) {
	needShell(t, "zsh")
	b := newBench(t)
	rc := `PS1='READY '
autoload -Uz compinit; compinit -D -u
source <(rkepatch completion zsh)
dump() { print -r -- "$BUFFER|" >> "$HOME/lines" }
zle -N dump
bindkey -e
bindkey '^Xd' dump
bindkey '^U' kill-whole-line
`
	if err := os.WriteFile(filepath.Join(b.dir, ".zshrc"), []byte(rc), 0o600); err != nil {
		t.Fatal(err)
	}
	b.compare(t, b.tabs(b.terminal(t, "zsh", "-i")))
}

// fish tells by itself what it would complete.
func TestCompletionInFish(t *testing.T) {
	needShell(t, "fish")
	b := newBench(t)
	var script strings.Builder
	script.WriteString("rkepatch completion fish | source\n")
	for i, line := range typing {
		fmt.Fprintf(&script, "echo '# %d'; complete -C %s\n", i, shellWord(b.line(line.typed)))
	}
	cmd := exec.CommandContext(t.Context(), "fish", "--no-config", "-c", script.String())
	cmd.Dir, cmd.Env = b.dir, b.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var got []string
	for i, answer := range strings.Split(string(out), "# ")[1:] {
		lines := strings.Split(strings.TrimSpace(answer), "\n")[1:]
		line := b.line(typing[i].typed)
		if len(lines) == 1 { // as Tab would take it over
			word, _, _ := strings.Cut(lines[0], "\t")
			line = line[:strings.LastIndex(line, " ")+1] + word
			if !strings.HasSuffix(word, ":") {
				line += " "
			}
		}
		got = append(got, line)
	}
	b.compare(t, got)
}
