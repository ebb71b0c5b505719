package clusterfile

import (
	"strings"

	udiff "github.com/aymanbagabas/go-udiff"

	"rkepatch/rkeconfig"
)

// maxShownLine is in bytes. A file with its lines longer than that, such as JSON
// in one line, is shown as the YAML of the Rancher UI instead.
const maxShownLine = 500

// diff shows what differs between the two texts, secrets masked. Line ends are
// shown as LF.
func diff(before, after *File, doc, want rkeconfig.Document) string {
	from, to := before.masked(), after.masked()
	u, err := udiff.ToUnifiedDiff("before", "after", from, udiff.Lines(from, to), udiff.DefaultContextLines)
	if err != nil {
		// Lines made the edits from this very text.
		panic("clusterfile: unified diff of its own edits: " + err.Error())
	}
	// udiff v0.4.1 forgets the unchanged lines inside a hunk when it numbers the
	// next one.
	grown := 0
	for _, hunk := range u.Hunks {
		hunk.ToLine = hunk.FromLine + grown
		for _, line := range hunk.Lines {
			if len(line.Content) > maxShownLine {
				return rkeconfig.Diff(doc, want, rkeconfig.DiffOptions{})
			}
			switch line.Kind {
			case udiff.Insert:
				grown++
			case udiff.Delete:
				grown--
			}
		}
	}
	return u.String()
}

// masked is the text with its secrets hidden, line by line as it is.
func (f *File) masked() string {
	text := []byte(f.src)
	var edits []edit
	f.maskNode(f.root, nil, &edits)
	f.maskComments(&edits)
	var b strings.Builder
	at := 0
	sortEdits(edits)
	for _, e := range edits {
		if e.from < at {
			continue // under an anchor that was masked already
		}
		b.Write(text[at:e.from])
		b.WriteString(e.text + strings.Repeat("\n", strings.Count(f.src[e.from:e.to], "\n")))
		at = e.to
	}
	b.Write(text[at:])
	return strings.ReplaceAll(b.String(), "\r\n", "\n")
}
