package nodes

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The frame of every message that a script sends. A message that the kubelet
// cut short has no last line, and a script of another release another first.
const (
	messageFirst = "rkepatch/1"
	messageLast  = "end"
	// messageMost is what a kubelet keeps of a termination message (kubernetes
	// v1.26.15 pkg/kubelet/kuberuntime/kuberuntime_container.go, 4 KiB), with
	// room for what follows a lie.
	messageMost = 8 << 10
	// contentMost bounds what a message may unpack to.
	contentMost = 256 << 10
)

var errNoFrame = errors.New("it does not begin and end like an answer of the check")

// message is a script's answer: for each key the values of its lines, in order.
// Values are untrusted.
type message map[string][]string

// readMessage takes a termination message apart. Everything about it is
// suspect: whoever can run code on the node can write it.
func readMessage(text string) (message, error) {
	if len(text) > messageMost {
		return nil, fmt.Errorf("it is %d bytes long", len(text))
	}
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if len(lines) < 2 || lines[0] != messageFirst || lines[len(lines)-1] != messageLast {
		return nil, errNoFrame
	}
	m := message{}
	for _, line := range lines[1 : len(lines)-1] {
		key, value, ok := strings.Cut(line, "=")
		if !ok || key == "" {
			return nil, errors.New("a line of it has no key")
		}
		m[key] = append(m[key], value)
	}
	if tools := m["lacks"]; len(tools) > 0 {
		return nil, fmt.Errorf("the image of the check has no %s", oneLine(tools[0]))
	}
	return m, nil
}

// one gives the value of a key that may stand there once; "" when it is absent.
func (m message) one(key string) (string, error) {
	switch values := m[key]; len(values) {
	case 0:
		return "", nil
	case 1:
		return values[0], nil
	}
	return "", fmt.Errorf("it has %q twice", key)
}

// fields splits a line's value into its k=v words.
func fields(line string) map[string]string {
	out := map[string]string{}
	for word := range strings.FieldsSeq(line) {
		if k, v, ok := strings.Cut(word, "="); ok {
			out[k] = v
		}
	}
	return out
}

// unpackText gives a base64 value as text fit to be shown.
func unpackText(s string) (string, error) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil || !utf8.Valid(b) {
		return "", errors.New("a text in it is not encoded as agreed")
	}
	return string(b), nil
}

// unpackShown gives a base64 value that is only ever shown: names on disk need
// not be UTF-8.
func unpackShown(s string) (string, error) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return "", errors.New("a text in it is not encoded as agreed")
	}
	return oneLine(string(b)), nil
}

// unpack gives a value of the form "plain:<base64>" or "gzip:<base64>".
func unpack(s string) ([]byte, error) {
	how, encoded, _ := strings.Cut(s, ":")
	b, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, errors.New("its content is not base64")
	}
	switch how {
	case "plain":
		return b, nil
	case "gzip":
		r, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			return nil, errors.New("its content is not gzip")
		}
		out, err := io.ReadAll(io.LimitReader(r, contentMost+1))
		if err != nil || len(out) > contentMost {
			return nil, errors.New("its content does not unpack, or to too much")
		}
		return out, nil
	}
	return nil, errors.New("its content is packed in an unknown way")
}

// count reads a number that is not negative; -1 when it is none.
func count(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return -1
	}
	return n
}
