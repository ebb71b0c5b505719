package newnodes

import (
	"net/url"
	"strings"
)

// CheckURL says whether a Docker install URL may be set. It must be https, since
// what it gives is run as root, and hold no password, since everybody who may
// read the template can see it. The error wraps ErrUserData.
func CheckURL(address string) error {
	u, err := url.Parse(address)
	const hint = "such as https://mirror.example.com/install-docker-and-ecr.sh"
	switch {
	case err != nil || u.Host == "" || u.Opaque != "" || strings.ContainsAny(address, " \t\r\n'\"`\\$;|&<>(){}"):
		// Rancher puts the address into a shell command on the node.
		return refuse(hint, "the Docker install URL is no plain URL")
	case u.User != nil:
		return refuse("let the mirror need no password; the script holds no secret", "the Docker install URL holds a user or a password, which everybody who may read the template could see")
	case u.Scheme != "https":
		return refuse(hint, "the Docker install URL is not https: what it gives is run as root on every new node")
	case u.Fragment != "":
		return refuse(hint, "the Docker install URL has a fragment, which is not sent")
	}
	return nil
}

// hiddenPart stands in a URL for what may be secret. A URL cannot hold <redacted>.
const hiddenPart = "REDACTED"

// ShownURL is an address without what may be secret in it: user, password, query.
func ShownURL(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "<no URL>"
	}
	if u.User != nil {
		u.User = url.User(hiddenPart)
	}
	if u.RawQuery != "" {
		u.RawQuery = hiddenPart
	}
	u.Fragment, u.RawFragment = "", ""
	if u.Opaque != "" {
		return u.Scheme + ":" + hiddenPart
	}
	return u.String()
}
