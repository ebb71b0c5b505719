package kubelet

// Where the provider lies on the nodes unless the operator says otherwise. The
// paths are those of the article that most operators come from.
const (
	DefaultBinDir         = "/opt/aws/bin"
	DefaultProviderConfig = "/opt/aws/config/custom-credential-providers.yaml"
)

// ProviderName is the name of the ECR provider, its file in the bin dir.
const ProviderName = "ecr-credential-provider"

// Provider is what stands on one node, seen as the kubelet's container will
// see it.
type Provider struct {
	ConfigPath  string    // as in --image-credential-provider-config
	ConfigState PathState // of ConfigPath
	Config      []byte    // its content when ConfigState is PathRegular
	BinDir      string    // as in --image-credential-provider-bin-dir
	BinDirState PathState // of BinDir
	Arch        string    // the node's, in GOARCH spelling: "amd64", "arm64"; "" unknown
	// ConfigMode and BinDirMode are octal permissions such as "644"; "" unknown.
	ConfigMode, BinDirMode string
	// Binaries holds what lies in BinDir, by provider name. A name that is not
	// in it is unknown, not missing.
	Binaries map[string]Binary
}

// PathState is what stands at a path, with symlinks followed.
type PathState string

// The states of a path. PathUnknown means that nobody looked, or that looking
// did not work; nothing is concluded from it.
const (
	PathUnknown    PathState = ""
	PathMissing    PathState = "missing"
	PathRegular    PathState = "regular"
	PathDirectory  PathState = "directory"
	PathOther      PathState = "other"    // a device, a socket, a pipe
	PathDangling   PathState = "dangling" // a symlink whose target is not there
	PathLoop       PathState = "loop"     // symlinks that lead back to themselves
	PathUnreadable PathState = "unreadable"
)

// Binary is one provider's file in the bin dir.
type Binary struct {
	State      PathState
	Executable bool   // by root: any x bit; on a noexec mount false
	Format     string // "elf", "script" (#!), "empty", "html", "text", "other"; "" unknown
	Arch       string // of an ELF file, in GOARCH spelling; "" unknown
	Truncated  bool   // an ELF file whose headers reach beyond its end
	// Answered says that it ran and gave a verdict on the API question, Speaks
	// for which versions it was yes.
	Answered bool
	Speaks   []API
	Owner    string // "0:0"; "" unknown
	Mode     string // "755"; "" unknown
}

func (s PathState) absent() bool { return s == PathMissing || s == PathDangling }
