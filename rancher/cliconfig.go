package rancher

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
)

// CLIConfig is what the Rancher CLI's cli2.json says about servers.
type CLIConfig struct {
	Path     string
	Current  string // name of the server the CLI uses; "" when the file does not say
	Servers  map[string]CLIServer
	Warnings []string // what the operator should know about the file
}

// CLIServer is one server of cli2.json, whose keys are those of rancher/cli config/config.go.
type CLIServer struct {
	URL       string `json:"url"`
	TokenKey  Secret `json:"tokenKey"`
	AccessKey string `json:"accessKey"`
	SecretKey Secret `json:"secretKey"`
	CACert    string `json:"cacert"`   // PEM text, not a path
	ProxyURL  Secret `json:"proxyUrl"` // may hold a password; not used
}

const cliConfigLimit = 16 << 20

// ReadCLIConfig reads a cli2.json. errors.Is: fs.ErrNotExist when there is none, ErrOption when it
// cannot be read or understood. A file that others can read gives a warning.
func ReadCLIConfig(path string) (CLIConfig, error) {
	fail := func(message string, cause error) error {
		return &Error{
			Op: "reading the Rancher CLI's configuration", Target: clean(path), Kind: ErrOption, Message: message,
			hint: "log in again with the Rancher CLI, or use --url and --token", cause: cause,
		}
	}
	f, err := os.Open(path)
	if err != nil {
		var pathErr *fs.PathError
		if errors.As(err, &pathErr) {
			return CLIConfig{}, fail(pathErr.Err.Error(), err)
		}
		return CLIConfig{}, fail("", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return CLIConfig{}, fail("", err)
	}
	text, err := io.ReadAll(io.LimitReader(f, cliConfigLimit+1))
	switch {
	case err != nil:
		return CLIConfig{}, fail("it cannot be read", err)
	case len(text) > cliConfigLimit:
		return CLIConfig{}, fail("it is too large", nil)
	}
	var file struct {
		Servers       map[string]CLIServer
		CurrentServer string
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return CLIConfig{}, fail("it is not the JSON that the CLI writes", nil) // the cause could quote the file
	}
	c := CLIConfig{Path: path, Current: file.CurrentServer, Servers: file.Servers}
	// Windows has no such permission bits.
	if mode := info.Mode().Perm(); runtime.GOOS != "windows" && mode&0o044 != 0 {
		c.Warnings = append(c.Warnings, fmt.Sprintf("%s holds API keys and can be read by others (mode %04o): chmod 600 it", clean(path), mode))
	}
	for _, name := range c.Names() {
		if c.Servers[name].ProxyURL != "" {
			c.Warnings = append(c.Warnings, fmt.Sprintf("the proxyUrl of server %q in %s is not used: set HTTPS_PROXY", clean(name), clean(path)))
		}
	}
	return c, nil
}

// Names returns the servers' names, sorted.
func (c CLIConfig) Names() []string { return slices.Sorted(maps.Keys(c.Servers)) }

// Server returns the connection settings of the named server, of the current one for "". errors.Is:
// ErrOption when there is no such server.
func (c CLIConfig) Server(name string) (Options, error) {
	if name == "" {
		name = c.Current
	}
	s, ok := c.Servers[name]
	if !ok {
		message := fmt.Sprintf("it has no server %q", clean(name))
		if name == "" {
			message = "it does not say which server is the current one"
		}
		return Options{}, &Error{
			Op: "reading the Rancher CLI's configuration", Target: clean(c.Path), Kind: ErrOption, Message: message,
			hint: "name one with --server: " + clean(strings.Join(c.Names(), ", ")),
		}
	}
	return Options{URL: s.URL, Token: s.TokenKey, AccessKey: s.AccessKey, SecretKey: s.SecretKey, CACerts: s.CACert}, nil
}
