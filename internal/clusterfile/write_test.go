package clusterfile

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rkepatch/rkeconfig"
)

var smallPatch = rkeconfig.Patch{
	Args:  map[string]string{"max-pods": "200", "image-credential-provider-bin-dir": "/opt/aws/bin"},
	Binds: []string{"/opt/aws/bin:/opt/aws/bin:ro"},
}

// Each row is a file and what becomes of it. Whatever the shape, only the lines of
// the patch change.
func TestPatchWritesOnlyItsLines(t *testing.T) {
	for _, c := range []struct{ name, before, after string }{
		{"both there", `
services:
  kubelet:
    extra_args:
      v: "2" # chatty
      # cgroup-driver: systemd
    extra_binds:
    - /data:/data
  etcd: {}
`, `
services:
  kubelet:
    extra_args:
      v: "2" # chatty
      image-credential-provider-bin-dir: "/opt/aws/bin"
      max-pods: "200"
      # cgroup-driver: systemd
    extra_binds:
    - /data:/data
    - /opt/aws/bin:/opt/aws/bin:ro
  etcd: {}
`},
		{"single quotes", `
services:
  kubelet:
    extra_args:
      v: '2'
    extra_binds: ['/data:/data']
`, `
services:
  kubelet:
    extra_args:
      v: '2'
      image-credential-provider-bin-dir: '/opt/aws/bin'
      max-pods: '200'
    extra_binds: ['/data:/data', '/opt/aws/bin:/opt/aws/bin:ro']
`},
		{"empty collections", `
services:
    kubelet:
        extra_args: {} # none yet
        extra_binds: []
        fail_swap_on: false
    etcd:
        extra_binds:
        - /a:/b
`, `
services:
    kubelet:
        extra_args: # none yet
            image-credential-provider-bin-dir: /opt/aws/bin
            max-pods: "200"
        extra_binds:
        - /opt/aws/bin:/opt/aws/bin:ro
        fail_swap_on: false
    etcd:
        extra_binds:
        - /a:/b
`},
		{"nulls", `
services:
  kubelet:
    extra_args:
    extra_binds: ~  # soon
    fail_swap_on: false
`, `
services:
  kubelet:
    extra_args:
      image-credential-provider-bin-dir: /opt/aws/bin
      max-pods: "200"
    extra_binds:  # soon
      - /opt/aws/bin:/opt/aws/bin:ro
    fail_swap_on: false
`},
		{"kubelet empty", `
nodes:
- address: a
  role: [etcd]
services:
  kubelet: {}
`, `
nodes:
- address: a
  role: [etcd]
services:
  kubelet:
    extra_args:
      image-credential-provider-bin-dir: /opt/aws/bin
      max-pods: "200"
    extra_binds:
    - /opt/aws/bin:/opt/aws/bin:ro
`},
		{"no kubelet, the last value is a text block that keeps its blank lines", `
services:
  etcd:
    snapshot: true
    note: |+
      one

      two

# the end
kubernetes_version: v1.26.15-rancher1-1
`, `
services:
  etcd:
    snapshot: true
    note: |+
      one

      two

  kubelet:
    extra_args:
      image-credential-provider-bin-dir: /opt/aws/bin
      max-pods: "200"
    extra_binds:
      - /opt/aws/bin:/opt/aws/bin:ro
# the end
kubernetes_version: v1.26.15-rancher1-1
`},
		{"no services, no newline at the end", `
kubernetes_version: v1.26.15-rancher1-1
ssh_key_path: ~/.ssh/id # mine`, `
kubernetes_version: v1.26.15-rancher1-1
ssh_key_path: ~/.ssh/id # mine
services:
  kubelet:
    extra_args:
      image-credential-provider-bin-dir: /opt/aws/bin
      max-pods: "200"
    extra_binds:
      - /opt/aws/bin:/opt/aws/bin:ro`},
		{"texts over several lines", `
services:
  kubelet:
    extra_args:
      feature-gates: "A=true,\
        B=true"
      node-labels: a=b,
        c=d
    extra_binds:
      - >-
        /data:/data
`, `
services:
  kubelet:
    extra_args:
      feature-gates: "A=true,\
        B=true"
      node-labels: a=b,
        c=d
      image-credential-provider-bin-dir: /opt/aws/bin
      max-pods: "200"
    extra_binds:
      - >-
        /data:/data
      - /opt/aws/bin:/opt/aws/bin:ro
`},
		{"brackets over several lines", `
services:
  kubelet: {
    extra_args: {
      v: 2, # chatty
      feature-gates: "A=true" # last
    },
    extra_binds: [
      /data:/data,
    ]
  }
`, `
services:
  kubelet: {
    extra_args: {
      v: 2, # chatty
      feature-gates: "A=true", # last
      image-credential-provider-bin-dir: /opt/aws/bin,
      max-pods: "200"
    },
    extra_binds: [
      /data:/data,
      "/opt/aws/bin:/opt/aws/bin:ro",
    ]
  }
`},
		{"an indent that is not learnt from an anchor", `
services:
  etcd:
    extra_binds: &b
      - /a:/b
  scheduler:
    extra_binds:
    - /c:/d
  kubelet:
`, `
services:
  etcd:
    extra_binds: &b
      - /a:/b
  scheduler:
    extra_binds:
    - /c:/d
  kubelet:
    extra_args:
      image-credential-provider-bin-dir: /opt/aws/bin
      max-pods: "200"
    extra_binds:
    - /opt/aws/bin:/opt/aws/bin:ro
`},
		{"empty brackets on their own line", `
services:
  kubelet: # why
    {} # so
`, `
services:
  kubelet: # why
    {extra_args: {image-credential-provider-bin-dir: /opt/aws/bin, max-pods: "200"}, extra_binds: ["/opt/aws/bin:/opt/aws/bin:ro"]} # so
`},
		{"JSON", `
{
    "services": {
        "kubelet": {
            "extra_args": {
                "v": "2"
            },
            "fail_swap_on": false
        }
    }
}
`, `
{
    "services": {
        "kubelet": {
            "extra_args": {
                "v": "2",
                "image-credential-provider-bin-dir": "/opt/aws/bin",
                "max-pods": "200"
            },
            "fail_swap_on": false,
            "extra_binds": ["/opt/aws/bin:/opt/aws/bin:ro"]
        }
    }
}
`},
		{"JSON in one line", `{"services":{"kubelet":{"extra_args":{}}},"nodes":[]}`,
			`{"services":{"kubelet":{"extra_args": {"image-credential-provider-bin-dir": "/opt/aws/bin", "max-pods": "200"}, "extra_binds": ["/opt/aws/bin:/opt/aws/bin:ro"]}},"nodes":[]}`},
		{"anchors beside the section", `
x-common: &common {v: "3"}
services:
  etcd:
    extra_args: *common
  kubelet:
    extra_args:
      <<: *common
      node-labels: &labels "a=b"
    extra_binds: &binds
      - /data:/data
`, `
x-common: &common {v: "3"}
services:
  etcd:
    extra_args: *common
  kubelet:
    extra_args:
      <<: *common
      node-labels: &labels "a=b"
      image-credential-provider-bin-dir: "/opt/aws/bin"
      max-pods: "200"
    extra_binds: &binds
      - /data:/data
      - /opt/aws/bin:/opt/aws/bin:ro
`},
		{"document marks", `%YAML 1.1
---
services:
  kubelet:
    fail_swap_on: false
...
`, `%YAML 1.1
---
services:
  kubelet:
    fail_swap_on: false
    extra_args:
      image-credential-provider-bin-dir: /opt/aws/bin
      max-pods: "200"
    extra_binds:
      - /opt/aws/bin:/opt/aws/bin:ro
...
`},
		{"the article's list", `
services:
  kubelet:
    extra_args:
      # the KB article
      - v: 2   # chatty
      - image-credential-provider-bin-dir: "/opt/aws/bin"
    extra_binds:
    - /opt/aws/bin:/opt/aws/bin:ro
`, `
services:
  kubelet:
    extra_args:
      # the KB article
        v: 2   # chatty
        image-credential-provider-bin-dir: "/opt/aws/bin"
        max-pods: "200"
    extra_binds:
    - /opt/aws/bin:/opt/aws/bin:ro
`},
		{"the article's list, not indented", `
services:
  kubelet:
    extra_args:
    - {v: "2"}
    - max-pods: '200'
      image-credential-provider-bin-dir: /opt/aws/bin
    extra_binds: [/opt/aws/bin:/opt/aws/bin:ro]
`, `
services:
  kubelet:
    extra_args:
      v: "2"
      max-pods: '200'
      image-credential-provider-bin-dir: /opt/aws/bin
    extra_binds: [/opt/aws/bin:/opt/aws/bin:ro]
`},
		{"the article's list in brackets", `
services:
  kubelet:
    extra_args: [{v: 2}, max-pods: "200"]
    extra_binds: [/opt/aws/bin:/opt/aws/bin:ro]
`, `
services:
  kubelet:
    extra_args: {v: 2, max-pods: "200", image-credential-provider-bin-dir: /opt/aws/bin}
    extra_binds: [/opt/aws/bin:/opt/aws/bin:ro]
`},
		{"an empty list", `
services:
  kubelet:
    extra_args: []
    extra_binds: [/opt/aws/bin:/opt/aws/bin:ro]
`, `
services:
  kubelet:
    extra_args:
      image-credential-provider-bin-dir: /opt/aws/bin
      max-pods: "200"
    extra_binds: [/opt/aws/bin:/opt/aws/bin:ro]
`},
		{"from the UI", `
docker_root_dir: /var/lib/docker
rancher_kubernetes_engine_config:
  services:
    kube_api: {}
    kubelet:
      extra_args:
        v: 2
enable_network_policy: false
`, `
docker_root_dir: /var/lib/docker
rancher_kubernetes_engine_config:
  services:
    kube_api: {}
    kubelet:
      extra_args:
        v: 2
        image-credential-provider-bin-dir: /opt/aws/bin
        max-pods: "200"
      extra_binds:
        - /opt/aws/bin:/opt/aws/bin:ro
enable_network_policy: false
`},
		{"from exportYaml", `
Version: v3
clusters:
  prod-eu:
    rancherKubernetesEngineConfig:
      services:
        kubelet:
          extraBinds:
          - /data:/data:rw
          failSwapOn: false
  imported: {}
`, `
Version: v3
clusters:
  prod-eu:
    rancherKubernetesEngineConfig:
      services:
        kubelet:
          extraBinds:
          - /data:/data:rw
          - /opt/aws/bin:/opt/aws/bin:ro
          failSwapOn: false
          extraArgs:
            image-credential-provider-bin-dir: /opt/aws/bin
            max-pods: "200"
  imported: {}
`},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, form := range []struct{ name, from, to string }{{"lf", "\n", "\n"}, {"crlf", "\n", "\r\n"}, {"bom", "services", "services"}} {
				before := strings.ReplaceAll(c.before, form.from, form.to)
				after := strings.ReplaceAll(c.after, form.from, form.to)
				if form.name == "bom" {
					before, after = byteOrderMark+before, byteOrderMark+after
				}
				r := mustPatch(t, before, smallPatch, Options{})
				if d := cmp.Diff(after, string(r.Text)); d != "" {
					t.Fatalf("%s: the patched file (-want +got):\n%s", form.name, d)
				}
				if !r.Changed() {
					t.Errorf("%s: no diff", form.name)
				}
				again := mustPatch(t, string(r.Text), smallPatch, Options{})
				if again.Changed() || string(again.Text) != after || again.State != rkeconfig.Patched {
					t.Errorf("%s: patching twice: state %s, diff\n%s", form.name, again.State, again.Diff)
				}
			}
		})
	}
}

func mustPatch(t interface {
	Helper()
	Fatalf(string, ...any)
}, text string, p rkeconfig.Patch, o Options) Result {
	t.Helper()
	f, err := Read([]byte(text))
	if err != nil {
		t.Fatalf("reading: %s\n%s", err, text)
	}
	r, err := f.Patch(p, o)
	if err != nil {
		t.Fatalf("patching: %s\n%s", err, text)
	}
	return r
}
