package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"rkepatch/rancher"
)

// The flags that say which Rancher. Each falls back to the environment
// variable that the Rancher Terraform provider reads, too.
const (
	flagURL      = "url"
	flagToken    = "token"
	flagCAFile   = "ca-file"
	flagInsecure = "insecure"
	flagServer   = "server"
)

func connectFlags() []cli.Flag {
	return append(logFlags(), []cli.Flag{
		&cli.StringFlag{Name: flagURL, Usage: "Rancher's `URL` [$RANCHER_URL]"},
		&cli.StringFlag{Name: flagToken, Usage: "API token `token-xxxxx:secret`; others on this machine can see it in the process list, so prefer [$RANCHER_TOKEN_KEY]"},
		&cli.StringFlag{Name: flagCAFile, Usage: "`FILE` with the CA that signed Rancher's certificate [$RANCHER_CA_CERTS, a path or PEM text]"},
		&cli.BoolFlag{Name: flagInsecure, Usage: "do not verify Rancher's certificate [$RANCHER_INSECURE]"},
		&cli.StringFlag{Name: flagServer, Usage: "take URL and token from server `NAME` of the Rancher CLI's cli2.json"},
	}...)
}

// connect builds the client: flags first, then the environment, then the
// Rancher CLI's configuration. A token of one source is never sent to a URL of
// the Rancher CLI's file, nor the other way round.
func (a *app) connect(c *cli.Context) (*rancher.Client, error) {
	o := rancher.Options{
		UserAgent: "rkepatch/" + a.build.Version,
		Warn:      a.warn,
	}
	env := a.streams.Getenv
	o.URL = firstOf(c.String(flagURL), env("RANCHER_URL"))
	switch {
	case c.IsSet(flagServer) && c.IsSet(flagURL):
		return nil, usagef("give one of them", "--%s and --%s both name a Rancher", flagURL, flagServer)
	case c.IsSet(flagServer), o.URL == "":
		if err := a.fromRancherCLI(c, &o); err != nil {
			return nil, err
		}
	default:
		o.Token = rancher.Secret(firstOf(c.String(flagToken), env("RANCHER_TOKEN_KEY")))
		if o.Token == "" {
			o.AccessKey, o.SecretKey = env("RANCHER_ACCESS_KEY"), rancher.Secret(env("RANCHER_SECRET_KEY"))
		}
	}
	if t := c.String(flagToken); t != "" {
		o.Token, o.AccessKey, o.SecretKey = rancher.Secret(t), "", ""
	}
	if err := certificates(c, env, &o); err != nil {
		return nil, err
	}
	o.Insecure = c.Bool(flagInsecure)
	if text := env("RANCHER_INSECURE"); text != "" {
		insecure, err := strconv.ParseBool(strings.ToLower(text))
		if err != nil {
			return nil, usagef("use true or false", "RANCHER_INSECURE is %q", text)
		}
		o.Insecure = o.Insecure || insecure
	}
	if err := a.startLog(c, &o); err != nil {
		return nil, err
	}
	o.MaxInFlight = max(8, c.Int(flagParallel)+2) // beside the clusters in flight, the polls
	return rancher.New(o)
}

// fromRancherCLI fills o from ~/.rancher/cli2.json. No such file and no
// --server just means that no URL is known.
func (a *app) fromRancherCLI(c *cli.Context, o *rancher.Options) error {
	file, err := a.cliConfigFile()
	if err != nil {
		return nil //nolint:nilerr // no home, no file: the missing URL is the error
	}
	config, err := rancher.ReadCLIConfig(file)
	if errors.Is(err, os.ErrNotExist) && !c.IsSet(flagServer) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, w := range config.Warnings {
		a.warn(w)
	}
	server, err := config.Server(c.String(flagServer))
	if err != nil {
		return err
	}
	o.URL, o.Token, o.AccessKey, o.SecretKey, o.CACerts = server.URL, server.Token, server.AccessKey, server.SecretKey, server.CACerts
	return nil
}

// cliConfigFile says where the Rancher CLI keeps its configuration.
func (a *app) cliConfigFile() (string, error) {
	dir := a.streams.Getenv("RANCHER_CONFIG_DIR")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		dir = filepath.Join(home, ".rancher")
	}
	return filepath.Join(dir, "cli2.json"), nil
}

func certificates(c *cli.Context, env func(string) string, o *rancher.Options) error {
	file := c.String(flagCAFile)
	if file == "" {
		text := env("RANCHER_CA_CERTS")
		if text == "" || strings.Contains(text, "-----BEGIN") {
			o.CACerts = firstOf(text, o.CACerts)
			return nil
		}
		file = text
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return usagef("give the PEM file of the CA that signed Rancher's certificate", "reading the CA file: %s", err)
	}
	o.CACerts = string(pem)
	return nil
}

// checkServer reads the version, which also proves that a Rancher answers.
func (a *app) checkServer(ctx context.Context, client *rancher.Client) (rancher.Version, error) {
	v, err := client.Version(ctx)
	if err != nil {
		return v, fmt.Errorf("connecting to %s: %w", client.URL(), err)
	}
	return v, nil
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
