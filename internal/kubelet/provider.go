package kubelet

// Where the provider lies on the nodes unless the operator says otherwise. The
// paths are those of the article that most operators come from.
const (
	DefaultBinDir         = "/opt/aws/bin"
	DefaultProviderConfig = "/opt/aws/config/custom-credential-providers.yaml"
)
