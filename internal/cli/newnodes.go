package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/urfave/cli/v2"

	"rkepatch/internal/newnodes"
)

const (
	flagStrict  = "strict"
	flagReadURL = "read-install-url"
)

// newNodeFlags are those of every command that judges nodes which do not exist yet.
func newNodeFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: flagStrict, Usage: "block clusters whose new nodes would not, or not certainly, come up with the provider"},
		&cli.BoolFlag{Name: flagReadURL, Usage: "fetch the scripts that node templates name as Docker install URL (https only) and judge them; without it they are unknown"},
	}
}

// templatePoll is between two looks for what came of an update of a node template
// that was not answered.
const templatePoll = 5 * time.Second

// maxInstallScript is far above any script that installs Docker.
const maxInstallScript = 256 << 10

func readScript(ctx context.Context, address string) ([]byte, error) {
	return fetchScript(ctx, http.DefaultTransport, address)
}

// fetchScript gets what lies at a Docker install URL. Whoever may edit a node
// template decides what that is: only https, no password, nothing but the request
// itself is sent, and the error quotes nothing of the answer or the URL.
func fetchScript(ctx context.Context, transport http.RoundTripper, address string) ([]byte, error) {
	if err := newnodes.CheckURL(address); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, errors.New("the address cannot be used")
	}
	client := &http.Client{Transport: transport, CheckRedirect: func(req *http.Request, via []*http.Request) error {
		if req.URL.Scheme != "https" || len(via) > 3 {
			return errors.New("redirected to another place than https, or too often")
		}
		return nil
	}}
	resp, err := client.Do(req)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the server answered %d", resp.StatusCode)
	}
	return readAtMost(resp.Body, maxInstallScript)
}
