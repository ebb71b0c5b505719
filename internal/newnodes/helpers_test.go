package newnodes

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"rkepatch/internal/kubelet"
	"rkepatch/internal/nodescript"
)

// script writes the node script; another release makes another script.
func script(t testing.TB, o nodescript.Options) []byte {
	t.Helper()
	if o.Config == nil {
		config, err := kubelet.BuildConfig(kubelet.Registries()[0], kubelet.Version{Major: 1, Minor: 27}, kubelet.APIv1)
		if err != nil {
			t.Fatal(err)
		}
		o.Config = config
	}
	var b bytes.Buffer
	if err := nodescript.Write(&b, o); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// The forms in which a script goes into user data, of two releases.
func asConfig(t testing.TB) string {
	return string(nodescript.CloudConfig(script(t, nodescript.Options{})))
}

func asScript(t testing.TB) string {
	return string(nodescript.Packed(script(t, nodescript.Options{})))
}

func olderConfig(t testing.TB) string {
	return string(nodescript.CloudConfig(script(t, nodescript.Options{Release: "v1.30.8"})))
}

func olderScript(t testing.TB) string {
	return string(nodescript.Packed(script(t, nodescript.Options{Release: "v1.30.8"})))
}

// wantRefused checks that user data was refused, for a reason and with something
// to do, and without any word of it.
func wantRefused(t *testing.T, err error, says string, secrets ...string) {
	t.Helper()
	if !errors.Is(err, ErrUserData) || !strings.Contains(err.Error(), says) {
		t.Fatalf("%v, want a refusal that says %q", err, says)
	}
	var hinted interface{ Hint() string }
	if !errors.As(err, &hinted) || hinted.Hint() == "" {
		t.Errorf("nothing to do about: %v", err)
	}
	for _, secret := range append(secrets, "hunter2") {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("the error quotes %q: %v", secret, err)
		}
	}
	if strings.ContainsAny(err.Error(), "\n\r\x1b\x00") || len(err.Error()) > 400 {
		t.Errorf("the error is not one clean line: %q", err)
	}
}

const multipartText = `Content-Type: multipart/mixed; boundary="MIMEBOUNDARY"
MIME-Version: 1.0

--MIMEBOUNDARY
Content-Transfer-Encoding: 7bit
Content-Type: text/x-shellscript; charset="us-ascii"

#!/bin/bash
echo hunter2 | passwd --stdin ops

--MIMEBOUNDARY
Content-Type: text/cloud-config
Content-Disposition: attachment; filename="cloud-config.txt"

#cloud-config
# who may log in
users:
  - name: ops
runcmd:
  - [systemctl, restart, sshd]   # after the users

--MIMEBOUNDARY--
`
