package newnodes

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// Merge gives user data that does what existing does and what file does. Doing it
// twice gives the same as doing it once, and an earlier script of `rkepatch nodes
// script` in existing is replaced by the one in file. The error wraps ErrUserData
// and says which of the two it is about; it quotes nothing but keys and paths.
func Merge(existing, file string) (string, error) {
	out, err := merge(existing, file)
	if err == nil && len(strings.TrimSpace(out)) > MaxUserData {
		err = refuse("use the packed form: rkepatch nodes script --user-data script, or take something out of it",
			"it would have %d bytes with the file, EC2 takes %d", len(strings.TrimSpace(out)), MaxUserData)
	}
	var r *refusal
	switch {
	case err == nil:
		return out, nil
	case errors.As(err, &r) && strings.HasPrefix(r.msg, aboutFile):
		return "", err
	}
	return "", fmt.Errorf("merging into the present user data: %w", err)
}

const aboutFile = "the file cannot be user data: "

// inFile says that err is about the file.
func inFile(err error) error {
	var r *refusal
	if errors.As(err, &r) {
		return &refusal{aboutFile + r.msg, r.hint}
	}
	return err
}

func merge(existing, file string) (string, error) {
	is, err := kindOf(file)
	if err == nil && is == nothing {
		err = refuse("rkepatch nodes script --user-data cloud-config writes one", "it is empty")
	}
	if err == nil {
		err = wellFormed(is, file)
	}
	if err != nil {
		return "", inFile(err)
	}
	was, err := kindOf(existing)
	switch {
	case err != nil:
		return "", err
	case was == nothing:
		return file, nil
	case strings.TrimSpace(existing) == strings.TrimSpace(file):
		return existing, nil
	case is == multiPart:
		return "", refuse("give its parts one after the other", "there is user data already, and the file is a multipart file")
	}
	if err := wellFormed(was, existing); err != nil {
		return "", err
	}
	if err := oneForm(existing, file); err != nil {
		return "", err
	}
	addition := part{kind: is, text: file}
	switch {
	case was == multiPart:
		return mergeIntoMultipart(existing, addition)
	case was == cloudConfig && is == cloudConfig:
		return mergeCloud(existing, file)
	case was == shellScript && is == shellScript && bothOurs(part{kind: was, text: existing}, addition):
		return file, nil
	}
	return newMultipart(was, existing, is, file), nil
}

func wellFormed(k kind, text string) error {
	var err error
	switch k {
	case cloudConfig:
		_, err = readCloud(text)
	case multiPart:
		_, err = readMultipart(text)
	}
	return err
}

func bothOurs(a, b part) bool {
	_, mine := a.ours()
	_, mineToo := b.ours()
	return mine && mineToo
}

// oneForm refuses to bring our script in a second time, in another form.
func oneForm(existing, file string) error {
	had, have := forms(existing), forms(file)
	for _, k := range []kind{cloudConfig, shellScript} {
		if have[k] && !had[k] && len(had) > 0 {
			return refuse("write the file in that form: rkepatch nodes script --user-data cloud-config or script", "it holds rkepatch's script already, in another form")
		}
	}
	return nil
}

// forms says in which kinds of parts our script stands.
func forms(text string) map[kind]bool {
	found := map[kind]bool{}
	all, err := parts(text)
	if err != nil {
		return found
	}
	for _, p := range all {
		if _, ok := p.ours(); ok {
			found[shellScript] = true
		}
		if p.kind != cloudConfig {
			continue
		}
		if c, err := readCloud(p.text); err == nil {
			files, _ := c.value["write_files"].([]any)
			for _, f := range files {
				if holdsScript(f) {
					found[cloudConfig] = true
				}
			}
		}
	}
	return found
}

// mergeIntoMultipart adds a part, or merges into the one cloud-config that is there.
func mergeIntoMultipart(existing string, addition part) (string, error) {
	e, err := readMultipart(existing)
	if err != nil {
		return "", err
	}
	var configs []part
	odd := ""
	for _, p := range e.parts {
		switch {
		case p.kind == addition.kind && strings.TrimSpace(p.text) == strings.TrimSpace(addition.text):
			return existing, nil
		case bothOurs(p, addition):
			if out, ok := e.replaced(p, addition.text); ok {
				return out, nil
			}
			return "", refuse("remove that part first", "the part with rkepatch's earlier script cannot be replaced")
		case p.kind == cloudConfig:
			configs = append(configs, p)
		case p.odd != "" && odd == "":
			odd = p.odd
		}
	}
	const asScript = "give the script as one: rkepatch nodes script --user-data script"
	switch {
	case addition.kind == shellScript:
		return e.with(addition.kind, addition.text)
	case odd != "":
		return "", refuse(asScript, "it holds %s, which cloud-init may merge with a cloud-config", odd)
	case len(configs) > 1:
		return "", refuse(asScript, "it holds %d cloud-configs, which cloud-init merges by its own rules", len(configs))
	case len(configs) == 0:
		return e.with(addition.kind, addition.text)
	}
	merged, err := mergeCloud(configs[0].text, addition.text)
	if err != nil {
		return "", err
	}
	if strings.TrimSpace(merged) == strings.TrimSpace(configs[0].text) {
		return existing, nil
	}
	out, ok := e.replaced(configs[0], merged)
	if !ok {
		return "", refuse(asScript, "its cloud-config is encoded, or stands there twice")
	}
	return out, nil
}

// clean makes a short printable word of foreign text.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	if runes := []rune(s); len(runes) > 100 {
		return string(runes[:100]) + "…"
	}
	return s
}
