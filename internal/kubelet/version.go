package kubelet

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/version"
)

// Version is a kubelet's minor version, such as 1.26. Patch releases changed no
// rule of this package but one, see the remark pattern-brackets.
type Version struct{ Major, Minor uint }

// ParseVersion reads "v1.26.15-rancher1-1", "1.26.15" or "1.26". Rancher's
// suffix is ignored: semver would call it a pre-release and sort it below the
// release it belongs to.
func ParseVersion(s string) (Version, error) {
	v, err := version.ParseGeneric(s)
	if err != nil {
		return Version{}, fmt.Errorf("reading Kubernetes version %q: it does not look like v1.26.15-rancher1-1", s)
	}
	return Version{v.Major(), v.Minor()}, nil
}

// String gives "1.26".
func (v Version) String() string { return fmt.Sprintf("%d.%d", v.Major, v.Minor) }

// Before reports whether v is older than major.minor.
func (v Version) Before(major, minor uint) bool {
	return v.Major < major || v.Major == major && v.Minor < minor
}
