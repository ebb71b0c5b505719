package rancher

import (
	"context"
	"errors"
	"strings"

	"k8s.io/apimachinery/pkg/util/version"
)

// Version is what /rancherversion says.
type Version struct {
	Version   string // e.g. "v2.9.1"
	GitCommit string
	Prime     bool // Rancher Prime, the supported edition
}

// Rancher versions the program is made for: below oldest facts have not been checked, from tooNew on
// Rancher does not manage RKE1 clusters any more.
var (
	oldest = version.MustParseGeneric("2.8.0")
	tooNew = version.MustParseGeneric("2.12.0")
)

// Version asks the server for its version, without credentials, and warns when it is outside 2.8 to
// 2.11 or cannot be told. errors.Is: ErrNotRancher when something else answers, and the transport's kinds.
func (c *Client) Version(ctx context.Context) (Version, error) {
	cl := call{op: "asking for the version of", target: c.URL(), path: "/rancherversion", versioning: true}
	var said struct {
		Version      string
		GitCommit    string
		RancherPrime any // "false" in 2.9.1, as a string
	}
	if err := c.get(ctx, cl, &said); err != nil {
		// Rancher serves this page to everybody, so a refusal or other JSON is somebody else's.
		var e *Error
		if errors.As(err, &e) && (errors.Is(err, ErrNotFound) || errors.Is(err, ErrBadAnswer) || errors.Is(err, ErrValidation) || errors.Is(err, ErrUnauthorized) || errors.Is(err, ErrForbidden)) {
			e.Kind, e.hint = ErrNotRancher, notRancherHint
		}
		return Version{}, err
	}
	if said.Version == "" {
		return Version{}, cl.fail(ErrNotRancher, "the answer names no version", notRancherHint)
	}
	v := Version{
		Version:   clean(said.Version),
		GitCommit: clean(said.GitCommit),
		Prime:     said.RancherPrime == true || said.RancherPrime == "true",
	}
	c.warnOfVersion(v.Version)
	return v, nil
}

func (c *Client) warnOfVersion(text string) {
	// ParseGeneric would take any words after the numbers, and "2024-abc" for no version at all.
	v, err := version.ParseGeneric(text)
	switch {
	case err != nil || !strings.HasPrefix(text, "v") && !strings.HasPrefix(text, "2."):
		c.warn("this Rancher calls its version " + text + ", which is not one of 2.8 to 2.11")
	case v.LessThan(oldest):
		c.warn("this Rancher is " + text + "; only 2.8 to 2.11 have been checked")
	case v.AtLeast(tooNew):
		c.warn("this Rancher is " + text + "; from 2.12 on Rancher does not manage RKE1 clusters")
	}
}
