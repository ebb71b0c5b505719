package rancher

import (
	"context"
	"net/url"
)

// Setting reads one of Rancher's settings, such as "k8s-versions-deprecated", which every user may read
// (rancher v2.9.1 role_data.go:459). It gives the default when nothing else is set. errors.Is:
// ErrNotFound when this Rancher has no such setting.
func (c *Client) Setting(ctx context.Context, name string) (string, error) {
	var s struct {
		Value   string `json:"value"`
		Default string `json:"default"`
	}
	if err := c.get(ctx, call{op: "reading setting", target: clean(name), path: "/v3/settings/" + url.PathEscape(name)}, &s); err != nil {
		return "", err
	}
	if s.Value == "" {
		return s.Default, nil
	}
	return s.Value, nil
}
