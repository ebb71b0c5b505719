package rancher

import (
	"fmt"
	"log/slog"
)

// redacted stands wherever a secret would be printed.
const redacted = "***"

// Secret is a string that prints as "***" in every way fmt, log/slog and encoding/json know of, but as
// the key of a JSON object.
// fmt does not ask values in unexported fields how to print them, so types of this package keep
// secrets in closures rather than in fields.
type Secret string

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }

func (Secret) String() string               { return redacted }
func (Secret) GoString() string             { return redacted }
func (Secret) Format(f fmt.State, _ rune)   { _, _ = f.Write([]byte(redacted)) }
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }
func (Secret) LogValue() slog.Value         { return slog.StringValue(redacted) }
