// Package nodescript writes the shell script that puts the ECR image credential
// provider on a node: the plugin ecr-credential-provider and the
// CredentialProviderConfig, where the kubelet is told that they are.
//
// # What it is for
//
// A kubelet that is told of a provider that is missing refuses to start, so the
// files come first: on the nodes that are there, and in whatever makes new ones.
// The script is one file, for
//
//   - cloud-init: CloudConfig makes a write_files entry and a runcmd of it, Packed a
//     script that is small enough for the user data of EC2;
//   - an image build, over SSH, or a configuration management: `sh FILE`, or
//     `ssh NODE sudo sh -s -- --dry-run <FILE`;
//   - Rancher's node templates, whose only hook is the Docker install URL: with
//     Options.DockerInstall the script installs the provider first and Docker
//     afterwards. If the provider cannot be installed, Docker is not either and
//     the exit code says so: a machine that could not run its kubelet does not
//     become a node. Where Docker is there already it is left alone;
//   - a pod with the node's file system below /host, which is what
//     `nodes install` does: --root /host.
//
// The script is POSIX sh (dash, busybox, bash) and needs root, the usual tools of
// coreutils or busybox, sha256sum or openssl, and for a download curl or wget. It
// asks nothing, and prints one line for each thing it did.
//
// # What it promises
//
//   - Idempotent. What is right already is not written again; a second run says
//     "already right" and writes nothing. A wrong mode or owner is mended.
//   - Checked. The plugin's SHA-256 is always compared, with the one in Releases,
//     Options.SHA256 or --sha256, whatever it came from. A login page of a proxy
//     or half a file ends with what was expected and what came. The download may
//     be plain http for that reason. Docker's installer has no published
//     checksum; over https it must come from https to its end, and be a script.
//   - Tried. Before the plugin takes its place it is run once for each provider
//     API, as the kubelet would run it, but without AWS credentials and without
//     instance metadata: it must refuse one API as a release does and speak the
//     one that the config asks for. A program for another machine, a text file,
//     docker-credential-ecr-login or a file system mounted noexec end here.
//   - Atomic. Both files are prepared in a directory beside their places, with the
//     right mode, owner and SELinux label, and flushed to the disk. Only when both
//     are ready are they moved in, and no signal comes in between; if the second
//     move fails the first is undone. Whenever the machine stops, each file is the
//     old one or the new one, whole. What a killed run left is removed by the next
//     (where there is no flock, by one that comes an hour later).
//   - Nothing is lost. What is in the way and differs is refused (exit code 3),
//     and its content is not shown, since a config may hold keys. With --replace
//     it is kept as NAME.rkepatch-SUM, SUM being the first 12 digits of its own
//     checksum. An empty directory in place of a file is what Docker makes of a
//     missing bind source; --replace removes it. A directory that holds something
//     is never touched.
//   - Nothing from outside is run: settings are quoted, paths and URLs are held to
//     plain characters, and half a script, from a connection that broke, runs
//     nothing.
//
// The script carries a checksum of itself, by which Read knows it again in a node
// template.
//
// Everything that the script writes belongs to root: directories and the plugin
// 0755, the config 0644 since it holds no keys.
//
// # Read-only systems
//
// Flatcar and RancherOS have no writable /opt or /usr. The script then says so and
// names /var/lib/rancher/credentialprovider/bin and
// /var/lib/rancher/credentialprovider/config.yaml, which every RKE1 kubelet sees
// without a bind (rke v1.8.1 cluster/plan.go:590) and RKE2 uses by itself; rkepatch
// must be told the same two paths.
//
// # SELinux
//
// Where SELinux is on, both files are labelled container_file_t, and the script
// says so. RKE1's kubelet runs privileged and does not need it, but RKE leaves the
// relabelling option z out of its binds from Kubernetes 1.22 on, and a probe or
// another container would be refused. Where chcon fails, that is a warning.
//
// # Uninstalling
//
// --uninstall removes a file only when it is, byte for byte, what the script
// installs; directories and kept files stay. While any process of the host has
// the files in its --image-credential-provider flags it refuses, because that
// kubelet would not start again; --replace overrides that and nothing else.
//
// # Exit codes of the script
//
//	0              done, or already right
//	1              failed; what was there is there still
//	2              wrong usage
//	3              something else is in the way, or in use
//	129, 130, 143  ended by SIGHUP, SIGINT, SIGTERM; what was there is there still
//
// With Options.DockerInstall the exit code of Docker's installer comes through when
// it fails; the provider is installed by then.
package nodescript
