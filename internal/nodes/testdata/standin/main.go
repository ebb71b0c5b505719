// Standin is a credential provider for tests. It does what the file .NAME beside
// it says, where NAME is its own: a first word, and for some a path. Without that
// file it is v1.
//
//	v1, v1alpha1    speaks that API version, and finds no AWS credentials unless
//	                AWS_ACCESS_KEY_ID is set
//	acr             like acr-credential-provider: reads the cloud config that its
//	                one argument names before it looks at the request, speaks v1
//	gcp API         like auth-provider-gcp: answers in API whatever it is asked in
//	helper          does not know the protocol at all
//	hang            never answers
//	say             prints the files .out and .err and exits with the code in .code
//	record PATH     writes its arguments and environment to PATH, one per line
//	spy PATH CLOCK  writes to PATH which processes have AWS_SECRET_ACCESS_KEY's
//	                value on their command line, and sets CLOCK, an uptime file, on
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const group = "credentialprovider.kubelet.k8s.io/"

func main() {
	self, err := os.Executable()
	if err != nil {
		self = os.Args[0] // where there is no /proc
	}
	dir := filepath.Dir(self)
	read := func(name string) string {
		b, _ := os.ReadFile(filepath.Join(dir, name))
		return string(b)
	}
	role := strings.Fields(read("." + filepath.Base(self)))
	if len(role) == 0 {
		role = []string{"v1"}
	}
	var request struct{ APIVersion, Image string }
	switch role[0] {
	case "helper":
		fail("Usage: docker-credential-ecr-login <store|get|erase|list|version>")
	case "hang":
		time.Sleep(time.Hour)
	case "acr":
		acr()
	case "gcp":
		gcp(role[1])
	case "say":
		fmt.Print(read(".out"))
		fmt.Fprint(os.Stderr, read(".err"))
		code, _ := strconv.Atoi(strings.TrimSpace(read(".code")))
		os.Exit(code)
	case "record":
		lines := append(append([]string{}, os.Args[1:]...), os.Environ()...)
		if err := os.WriteFile(role[1], []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
			fail(err.Error())
		}
		role[0] = "v1"
	case "spy":
		if err := os.WriteFile(role[1], spy(os.Getenv("AWS_SECRET_ACCESS_KEY")), 0o600); err != nil {
			fail(err.Error())
		}
		if err := os.WriteFile(role[2], []byte("5002.25 0.00\n"), 0o600); err != nil {
			fail(err.Error())
		}
		role[0] = "v1"
	}
	if err := json.NewDecoder(os.Stdin).Decode(&request); err != nil {
		fail("decoding the request: " + err.Error())
	}
	if request.APIVersion != group+role[0] {
		fail("group version " + request.APIVersion + " is not supported")
	}
	if os.Getenv("AWS_ACCESS_KEY_ID") == "" {
		fail("NoCredentialProviders: no valid providers in chain")
	}
	host, _, _ := strings.Cut(request.Image, "/")
	fmt.Printf(`{"kind":"CredentialProviderResponse","apiVersion":"%s","cacheKeyType":"Registry","cacheDuration":"6h0m0s","auth":{"%s":{"username":"AWS","password":"%s"}}}`+"\n",
		request.APIVersion, host, os.Getenv("AWS_SECRET_ACCESS_KEY"))
}

func acr() {
	if len(os.Args) != 2 {
		fail("requires at least 1 arg(s), only received 0")
	}
	file, err := os.ReadFile(os.Args[1])
	var cloud struct{ AADClientID string }
	if err != nil || json.Unmarshal(file, &cloud) != nil || cloud.AADClientID != "nobody" {
		fail("Failed to initialize ACR provider: failed to load config")
	}
	var request struct{ APIVersion string }
	if err := json.NewDecoder(os.Stdin).Decode(&request); err != nil || request.APIVersion != group+"v1" {
		fail("group version " + request.APIVersion + " is not supported")
	}
	fmt.Println(`{"kind":"CredentialProviderResponse","apiVersion":"` + group + `v1","cacheKeyType":"Registry","cacheDuration":"0s"}`)
	os.Exit(0)
}

func gcp(api string) {
	if len(os.Args) < 2 || os.Args[1] != "get-credentials" {
		fmt.Println("Usage: auth-provider-gcp [command]")
		os.Exit(0)
	}
	if os.Getenv("HTTP_PROXY") == "" {
		fail("this would have asked the metadata service")
	}
	fmt.Println(`{"kind":"CredentialProviderResponse","apiVersion":"` + group + api + `","cacheKeyType":"image","auth":{}}`)
	os.Exit(0)
}

// spy gives the command lines that hold the secret, or says that it has none.
func spy(secret string) []byte {
	if secret == "" {
		return []byte("there is no secret")
	}
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	var found []byte
	for _, file := range files {
		if b, err := os.ReadFile(file); err == nil && strings.Contains(string(b), secret) {
			found = append(append(found, b...), '\n')
		}
	}
	return found
}

func fail(text string) {
	fmt.Fprintln(os.Stderr, "Error: "+text)
	os.Exit(1)
}
