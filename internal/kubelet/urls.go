package kubelet

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// Hosts are read as net/url did when most kubelets up to 1.34 were built. Go
// 1.24.8 (kubernetes v1.31.14, v1.32.10, v1.34.2) began to say no to brackets
// that hold no IPv6 address, which is Foresee's to say; Go 1.26 says no to a
// second colon. Private-use runes stand in for these characters while Go parses.
var (
	hide   = strings.NewReplacer("[", "\ue000", "]", "\ue001", ":", "\ue002")
	unhide = strings.NewReplacer("\ue000", "[", "\ue001", "]", "\ue002", ":")
)

// parseSchemeless reads a pattern or a repository as the kubelet does
// (kubernetes v1.26.15 pkg/credentialprovider/keyring.go ParseSchemelessURL).
func parseSchemeless(s string) (*url.URL, error) {
	start, end := hostOf(s)
	host, port := s[start:end], ""
	switch closing, colon := strings.LastIndex(host, "]"), strings.LastIndex(host, ":"); {
	case strings.HasPrefix(host, "[") && closing < 0:
		host = "[" + hide.Replace(host[1:]) // Parse misses the other one, too
	case strings.HasPrefix(host, "["):
		host, port = hide.Replace(host[:closing+1]), host[closing+1:]
	case colon >= 0:
		host, port = hide.Replace(host[:colon]), host[colon:]
	default:
		host = hide.Replace(host)
	}
	// Parse looks for control characters before it looks at the port.
	if !isPort(port) && !strings.ContainsFunc(s, isControl) {
		err := fmt.Errorf("invalid port %q after host", port)
		return nil, &url.Error{Op: "parse", URL: "https://" + s, Err: err}
	}
	u, err := url.Parse("https://" + s[:start] + host + port + s[end:])
	if err != nil {
		var parse *url.Error
		if errors.As(err, &parse) {
			parse.URL = unhide.Replace(parse.URL)
		}
		return nil, err
	}
	u.Host = unhide.Replace(u.Host)
	return u, nil
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// hostOf gives where the host and port of a URL without a scheme lie.
func hostOf(s string) (start, end int) {
	if end = strings.IndexAny(s, "/?#"); end < 0 {
		end = len(s)
	}
	return strings.LastIndex(s[:end], "@") + 1, end
}

func isPort(s string) bool {
	digits, found := strings.CutPrefix(s, ":")
	return s == "" || found && strings.Trim(digits, "0123456789") == ""
}

func splitHost(u *url.URL) (labels []string, port string) {
	host, port, err := net.SplitHostPort(u.Host)
	if err != nil {
		host, port = u.Host, ""
	}
	return strings.Split(host, "."), port
}
