package rancher

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"rkepatch/fixtures/recordings"
)

// FuzzDecodeList feeds any bytes to the reading of a page. Whatever they are, it must not crash or hang,
// its error must be one clean line, and what it takes must be what encoding/json makes of the whole.
//
// It sits below net/http on purpose: with that in the loop the coverage differs from run to run, and go
// test then spends the time on shrinking inputs instead of trying new ones.
func FuzzDecodeList(f *testing.F) {
	for _, name := range []string{"clusters-list-limit1.json", "clusters-list-by-name.json", "nodes-worker-with-nodeplan.json", "error-401-bad-token.json", "cluster-rke1-custom.json"} {
		text, err := recordings.FS.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	for _, text := range []string{
		`{"type":"collection","pagination":{"partial":true,"next":"http://10.0.0.1/x?marker=c-3"},"data":[{"id":"c-1"},{"id":"c-1"}]}`,
		`{"type":"collection","data":null}`, `{"data":[{}],"type":"collection"}`, `{"data":[7`, `[]`,
		`{"type":"collection","data":[{"id":"c-1","driver":"rancherKubernetesEngine","rancherKubernetesEngineConfig":{"a":1e400}}]}`,
		`{"Type":"collection","Data":[]}`, `{"type":"collection","data":[[[[[[`, "{\"type\":\"collection\",\"data\":[{\"id\":\"\xff\"}]}",
	} {
		f.Add([]byte(text))
	}
	c, err := New(Options{URL: "https://rancher.example.com", Token: "token-abcde:secret"})
	if err != nil {
		f.Fatal(err)
	}
	watchdog := time.AfterFunc(time.Hour, func() {})
	f.Fuzz(func(t *testing.T, text []byte) {
		cl := call{op: "listing clusters", target: "here", listing: true}
		a := &answer{
			c: c, call: cl, ctx: t.Context(), attempt: t.Context(), cancel: func(error) {}, watchdog: watchdog,
			body: io.NopCloser(bytes.NewReader(text)),
		}
		var got []*Cluster
		w := walk[clusterJSON]{
			c: c, call: cl, seen: map[string]bool{}, id: func(j *clusterJSON) string { return j.ID },
			yield: func(j *clusterJSON, _ error) bool { got = append(got, j.cluster()); return true },
		}
		_, err := readPage(a, w.item)
		for _, cl := range got {
			if cl.ID == "" {
				t.Error("a cluster without id")
			}
			if cl.Config != nil && !json.Valid(cl.Config) {
				t.Errorf("the config is no JSON: %q", cl.Config)
			}
		}
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r\x1b") {
				t.Errorf("not one clean line: %q", err)
			}
			return
		}
		var whole map[string]json.RawMessage
		if err := json.NewDecoder(bytes.NewReader(text)).Decode(&whole); err != nil {
			t.Fatalf("it took what is no JSON object: %v", err)
		}
		if bytes.Count(text, []byte("data")) > 1 || bytes.ContainsRune(text, '\\') {
			return // perhaps a key that comes twice, of which encoding/json takes the last
		}
		var want []clusterJSON
		if err := json.Unmarshal(whole["data"], &want); err != nil {
			t.Fatalf("it took data that is no list of clusters: %v", err)
		}
		seen := map[string]bool{}
		for _, w := range want {
			seen[w.ID] = true
		}
		if len(seen) != len(got) {
			t.Errorf("got %d clusters of %d", len(got), len(seen))
		}
		for _, cl := range got {
			if !seen[cl.ID] {
				t.Errorf("%q was made up", cl.ID)
			}
		}
	})
}
