package kubelet

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
)

// Matches reports whether a kubelet asks a provider with this entry of
// matchImages for credentials for image, which is written as in a pod, such as
// "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app:1.0". The port must be
// equal, the host must have the same number of labels and each label must match
// its glob, the path must begin with the pattern's (kubernetes v1.26.15
// pkg/credentialprovider/keyring.go:160-233, the same up to 1.32). An error
// says that the pattern or the image cannot be read; a kubelet takes it as no.
func Matches(pattern, image string) (bool, error) {
	glob, err := parseSchemeless(pattern)
	if err != nil {
		return false, fmt.Errorf("reading pattern %s: %s", shown(pattern), reason(err))
	}
	repository, err := parseSchemeless(Repository(image))
	if err != nil {
		return false, fmt.Errorf("reading image %s: %s", shown(image), reason(err))
	}
	return matchURLs(glob, repository)
}

// maxShown bounds what is repeated of a pattern or a name, in characters.
const maxShown = 80

func matchURLs(glob, target *url.URL) (bool, error) {
	globLabels, globPort := splitHost(glob)
	labels, port := splitHost(target)
	if globPort != port || len(globLabels) != len(labels) || !strings.HasPrefix(target.Path, glob.Path) {
		return false, nil
	}
	for i, g := range globLabels {
		if matched, err := filepath.Match(g, labels[i]); err != nil || !matched {
			return false, err
		}
	}
	return true, nil
}

// Repository gives the name under which the kubelet looks for credentials: the
// image without tag and digest, with the registry that Docker would take, so
// "nginx:1" is "docker.io/library/nginx" (kubernetes v1.26.15
// pkg/util/parsers/parsers.go ParseImageName).
func Repository(image string) string {
	name, _, _ := strings.Cut(image, "@")
	if slash := strings.LastIndex(name, "/"); strings.Contains(name[slash+1:], ":") {
		name = name[:slash+1+strings.Index(name[slash+1:], ":")]
	}
	domain, path, found := strings.Cut(name, "/")
	switch {
	case !found || !strings.ContainsAny(domain, ".:") && domain != "localhost" && domain == strings.ToLower(domain):
		domain, path = "docker.io", name
	case domain == "index.docker.io":
		domain = "docker.io"
	}
	if domain == "docker.io" && !strings.Contains(path, "/") {
		path = "library/" + path
	}
	return domain + "/" + path
}
