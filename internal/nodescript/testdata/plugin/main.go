// A stand-in for ecr-credential-provider without AWS in it. What is appended to
// the program file says how it answers.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
)

func main() {
	program, err := os.ReadFile(os.Args[0]) // a chroot has no /proc/self/exe
	if err != nil {
		panic(err)
	}
	mode := string(program[strings.LastIndex(string(program), "mode=")+len("mode="):])

	if mode == "acr" { // reads its cloud config first
		if len(os.Args) != 2 {
			end("requires at least 1 arg(s), only received 0")
		}
		if file, err := os.ReadFile(os.Args[1]); err != nil || !strings.Contains(string(file), "aadClientId") {
			end("Failed to initialize ACR provider")
		}
	}
	if strings.HasPrefix(mode, "gcp ") { // answers in its own version
		if len(os.Args) != 2 || os.Args[1] != "get-credentials" || os.Getenv("HTTP_PROXY") == "" {
			end("this would have asked the metadata service")
		}
		fmt.Println(`{"kind":"CredentialProviderResponse","apiVersion":"credentialprovider.kubelet.k8s.io/` + mode[4:] + `","auth":{"x":{"password":"a-password"}}}`)
		return
	}

	var request struct{ APIVersion, Kind, Image string }
	if err := json.NewDecoder(os.Stdin).Decode(&request); err != nil {
		end("decoding the request: " + err.Error())
	}
	if request.Kind != "CredentialProviderRequest" || !strings.HasPrefix(request.Image, "123456789012.dkr.ecr.") {
		end("an odd request")
	}
	if os.Getenv("AWS_SECRET_ACCESS_KEY") != "" || os.Getenv("AWS_EC2_METADATA_DISABLED") != "true" {
		end("asked with credentials")
	}
	switch mode {
	case "v1", "v1alpha1": // a release: one API, and no credentials found
		if request.APIVersion != "credentialprovider.kubelet.k8s.io/"+mode {
			end("E0101 main.go:161] Error running credential provider plugin: group version " + request.APIVersion + " is not supported")
		}
		end("NoCredentialProviders: no valid providers in chain")
	case "acr":
		if request.APIVersion != "credentialprovider.kubelet.k8s.io/v1" {
			end("Error running acr credential provider: group version " + request.APIVersion + " is not supported")
		}
		fmt.Println(`{"kind":"CredentialProviderResponse","apiVersion":"credentialprovider.kubelet.k8s.io/v1"}`)
	case "answers":
		fmt.Println(`{"kind":"CredentialProviderResponse","auth":{"x":{"username":"AWS","password":"a-password"}}}`)
	case "neither":
		end("group version " + request.APIVersion + " is not supported")
	case "login":
		say("\x1b[31mUsage: docker-credential-ecr-login <store|get|erase|list|version>\x07")
		fmt.Println("a-password")
		os.Exit(1)
	case "hangs":
		time.Sleep(time.Hour)
	case "crashes":
		if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
			panic(err)
		}
		time.Sleep(time.Hour)
	}
}

func say(why string) { fmt.Fprintln(os.Stderr, why) }

func end(why string) {
	say(why)
	os.Exit(1)
}
