package nodes

import (
	_ "embed"
	"fmt"
	"strings"
)

// The scripts are POSIX sh and awk, with nothing that busybox lacks. What they
// are told comes in as arguments, never as text of the script.
var (
	//go:embed scripts/common.sh
	commonSh string
	//go:embed scripts/check.sh
	checkSh string
	//go:embed scripts/running.sh
	runningSh string
	//go:embed scripts/rehearse.sh
	rehearseSh string
	//go:embed scripts/main.sh
	mainSh string
	//go:embed scripts/config.awk
	configAwk string
	//go:embed scripts/response.awk
	responseAwk string
	//go:embed scripts/words.awk
	wordsAwk string
	//go:embed scripts/words.txt
	words string

	probeSh = commonSh + keylessSh + checkSh + runningSh + rehearseSh + mainSh
)

// The modes of the script.
const (
	modeCheck    = "check"
	modeRunning  = "running"
	modeRehearse = "rehearse"
)

// askTimeout is how many seconds a provider may take to refuse or accept an API
// version; without credentials it takes a fraction of one.
const askTimeout = 10

// script is the command that runs the script in a pod.
func script(mode string, args ...string) []string {
	return append([]string{"/bin/sh", "-c", probeSh, "rkepatch", mode, "--host", hostDir}, args...)
}

// checkArgs are the arguments of modeCheck. q must be normal.
func checkArgs(q Query) []string {
	return append(pathArgs(q), "--name", q.registry().Provider, "--config-awk", configAwk, "--ask-timeout", fmt.Sprint(askTimeout))
}

// pathArgs tell the script where the provider is and how the kubelet sees it.
func pathArgs(q Query) []string {
	args := []string{"--config", q.ConfigPath, "--bin-dir", q.BinDir}
	for _, b := range q.Binds {
		args = append(args, "--bind", b.Host, b.Container)
	}
	return args
}

// garbled says what is odd about an answer, without showing it: it may hold
// anything.
func garbled(a *answer, err error) Finding {
	ending := ""
	if a.exit != 0 || (a.reason != "" && a.reason != "Completed") {
		ending = fmt.Sprintf("; the pod ended with exit code %d (%s)", a.exit, oneLine(a.reason))
	}
	if a.reason == "ContainerCannotRun" || a.reason == "StartError" {
		return finding(podEnded, "the node could not start the pod's program: %s", oneLine(a.message)) // the runtime's own words
	}
	if strings.TrimSpace(a.message) == "" {
		return finding(podEnded, "the pod sent no answer%s", ending)
	}
	return finding(answerGarbled, "the pod's answer is not understood: %s%s", err, ending)
}
