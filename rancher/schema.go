package rancher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/rancher/norman/types"
	"github.com/rancher/norman/types/definition"
)

// CheckSchema compares a value with the server's own schema of that id (e.g. "kubeletService") and with
// the schemas it refers to. Rancher answers 200 and drops what does not fit (norman
// parse/builder/builder.go), so everything that it would drop, turn into another type or refuse is an
// error here. Values are as encoding/json decodes them; numbers may be json.Number. Schemas are read
// once per client.
//
// errors.Is: ErrSchema, with every offending field in the text; ErrNotFound when the server has no such
// schema; and the kinds of any GET.
func (c *Client) CheckSchema(ctx context.Context, schemaID string, value map[string]any) error {
	check := schemaCheck{ctx: ctx, c: c}
	if err := check.object(schemaID, "", value); err != nil {
		return err
	}
	if len(check.found) == 0 {
		return nil
	}
	return &Error{
		Op: "checking the patch against the server's schema", Target: clean(schemaID), Kind: ErrSchema,
		Message: strings.Join(check.found, "; "),
		hint:    "Rancher would drop or change these without a word; correct the patch",
	}
}

// schemaCheck collects what does not fit.
type schemaCheck struct {
	ctx   context.Context //nolint:containedctx // lives as long as one CheckSchema
	c     *Client
	found []string
}

func (k *schemaCheck) report(path, format string, args ...any) {
	k.found = append(k.found, clean(strings.TrimPrefix(path, "."))+" "+fmt.Sprintf(format, args...))
}

// object checks a value whose type is a schema. The error is about reading the schema.
func (k *schemaCheck) object(schemaID, path string, value map[string]any) error {
	s, err := k.c.schema(k.ctx, schemaID)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(value)) {
		field, ok := s.ResourceFields[name]
		at := path + "." + name
		switch {
		case !ok && name == "type" && isSchemaLink(value[name]):
		case !ok:
			k.report(at, "is not a field of %s", clean(schemaID))
		case !field.Update:
			k.report(at, "cannot be updated")
		default:
			if err := k.value(field.Type, at, value[name]); err != nil {
				return err
			}
			if text, isText := value[name].(string); isText && len(field.Options) > 0 && !slices.Contains(field.Options, text) {
				k.report(at, "is not one of %s", clean(strings.Join(field.Options, ", ")))
			}
		}
	}
	return nil
}

// isSchemaLink recognises what every object of an answer has as its type. It is ignored on the way back.
func isSchemaLink(v any) bool {
	link, ok := v.(string)
	return ok && strings.HasPrefix(link, "/v3/schemas/")
}

// value checks a value against a type of the schema language.
func (k *schemaCheck) value(kind, path string, v any) error {
	if v == nil {
		// Ignored, or stored as an empty string inside a map.
		k.report(path, "is null")
		return nil
	}
	switch {
	case definition.IsMapType(kind):
		m, ok := v.(map[string]any)
		if !ok {
			k.report(path, "is %s where this Rancher wants a map", jsonKind(v))
			return nil
		}
		for _, key := range slices.Sorted(maps.Keys(m)) {
			if err := k.value(definition.SubType(kind), fmt.Sprintf("%s[%q]", path, key), m[key]); err != nil {
				return err
			}
		}
		return nil
	case definition.IsArrayType(kind):
		list, ok := v.([]any)
		if !ok {
			k.report(path, "is %s where this Rancher wants a list", jsonKind(v))
			return nil
		}
		for i, item := range list {
			if err := k.value(definition.SubType(kind), fmt.Sprintf("%s[%d]", path, i), item); err != nil {
				return err
			}
		}
		return nil
	case definition.IsReferenceType(kind):
		kind = "reference"
	}
	fits, simple := simpleTypes[kind]
	if simple {
		if want := fits(v); want != "" {
			k.report(path, "is %s where this Rancher wants %s", jsonKind(v), want)
		}
		return nil
	}
	object, ok := v.(map[string]any)
	if !ok {
		k.report(path, "is %s where this Rancher wants %s", jsonKind(v), clean(kind))
		return nil
	}
	return k.object(kind, path, object)
}

// simpleTypes are norman's types that hold no others (norman parse/builder/builder.go, ConvertSimple),
// each with a function that returns "" for a value that is stored as it is, and else what is wanted.
var simpleTypes = map[string]func(v any) string{
	"json":               func(any) string { return "" },
	"boolean":            wantBool,
	"int":                wantInt,
	"float":              wantNumber,
	"intOrString":        wantIntOrString,
	"string":             wantText,
	"password":           wantText,
	"enum":               wantText,
	"date":               wantText,
	"dnsLabel":           wantText,
	"dnsLabelRestricted": wantText,
	"hostname":           wantText,
	"base64":             wantText,
	"reference":          wantText,
}

func wantBool(v any) string {
	if _, ok := v.(bool); ok {
		return ""
	}
	return "true or false"
}

func wantText(v any) string {
	text, ok := v.(string)
	switch {
	case !ok:
		return "text (in quotes)"
	case text != strings.TrimSpace(text):
		return "text without spaces around it"
	}
	return ""
}

func wantNumber(v any) string {
	switch v.(type) {
	case json.Number, float64, int, int64:
		return ""
	}
	return "a number"
}

// wholeNumber matches what Rancher stores digit by digit.
var wholeNumber = regexp.MustCompile(`^(0|-?[1-9][0-9]{0,17})$`)

func wantInt(v any) string {
	if wantNumber(v) == "" && wholeNumber.MatchString(fmt.Sprint(v)) {
		return ""
	}
	return "a whole number"
}

// wantIntOrString refuses text of digits only: Rancher makes a number of it.
func wantIntOrString(v any) string {
	text, isText := v.(string)
	if wantInt(v) == "" || isText && wantText(v) == "" && !wholeNumber.MatchString(text) {
		return ""
	}
	return "a whole number, or text that is none"
}

// jsonKind names the JSON type of a value. It never quotes the value, which may be a secret.
func jsonKind(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case map[string]any:
		return "a map"
	case []any:
		return "a list"
	case string:
		return "text"
	case bool:
		return "true or false"
	}
	return "a number"
}

// schema returns one of the server's schemas.
func (c *Client) schema(ctx context.Context, id string) (*types.Schema, error) {
	c.schemaLock.Lock()
	s := c.schemas[id]
	c.schemaLock.Unlock()
	if s != nil {
		return s, nil
	}
	cl := call{op: "reading the schema", target: clean(id), path: "/v3/schemas/" + url.PathEscape(id)}
	s = &types.Schema{}
	if err := c.get(ctx, cl, s); err != nil {
		var e *Error
		if errors.As(err, &e) && errors.Is(err, ErrNotFound) {
			e.hint = "this Rancher knows no such thing; rkepatch is made for Rancher 2.8 to 2.11"
		}
		return nil, err
	}
	if s.ID != id || len(s.ResourceFields) == 0 {
		return nil, cl.fail(ErrBadAnswer, "the answer is not that schema", notRancherHint)
	}
	c.schemaLock.Lock()
	c.schemas[id] = s
	c.schemaLock.Unlock()
	return s, nil
}
