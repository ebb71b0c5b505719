package nodescript

import "rkepatch/internal/kubelet"

// Release is one released ecr-credential-provider for Linux.
type Release struct {
	Tag      string
	SHA256   map[string]string // by GOARCH, in lower case hex
	Promoted bool              // lies at artifacts.k8s.io for good
	API      kubelet.API       // what the binary speaks
}

// DefaultRelease is the newest release that is promoted and widely pinned. It
// speaks v1, which kubelets from 1.26 on know.
const DefaultRelease = "v1.31.7"

// promotedURL is where promoted releases lie. The staging bucket that many
// articles name deletes its files after about 60 days, so it is not used.
const promotedURL = "https://artifacts.k8s.io/binaries/cloud-provider-aws/{tag}/linux/{arch}/ecr-credential-provider-linux-{arch}"

// Releases are the known releases, oldest first. The checksums are those of
// kubernetes/k8s.io artifacts/manifests/k8s-staging-provider-aws, so they do not
// come from where the binaries are downloaded.
var Releases = []Release{
	{"v1.27.1", sums("5035d7814c95cd3cedbc5efb447ef25a4942ef05caab2159746d55ce1698c74a", "b3d567bda9e2996fc1fbd9d13506bd16763d3865b5c7b0b3c4b48c6088c04481"), true, kubelet.APIv1},
	{"v1.27.3", sums("27a4730e1f4f4986320bf54d8e0e3f30384e3df819225a280d979285933732d5", "f0e92da41d17c33780a659f89fb2aec15ab76680358e6383250b7a5d4898a47c"), true, kubelet.APIv1},
	{"v1.27.4", sums("d07ed6b7e7f639e18fbe8f08f818964c8cb7d2325d341dd738c3bb3aa1db438b", "e047daf51db28a9ca1e5ad30f6ca75a69aa1a30404cbcb629aa8b42f41cbe123"), true, kubelet.APIv1},
	{"v1.28.3", sums("5479806685290a89537122b00ee93b602c0bbf29f27f6730999feb719924a14d", "cf831eae34949a4e981d27a3435be47cb03be5fcb8a3c18377c2c747b11f89f3"), true, kubelet.APIv1},
	{"v1.28.9", sums("e7ec5716fad817e987daaac427b3f2599d906c1e8be346e2402cdd22785845cb", "a52c388661358bb1c49bb1ae69645ddcfe1d354263a91f12b3e0411a66caca9a"), true, kubelet.APIv1},
	{"v1.29.0", sums("0d97641c8977fe775cb18f9e6f40acd99ef2570543b55e5c13dec320dcaa8ee3", "8313d0744b7e5cfaccb7aa1327c5260471eb9463bc769f87df6f45dee84b8c44"), true, kubelet.APIv1},
	{"v1.29.6", sums("f15b5e45459917b31f89033981b1b9fbdbcdf1d8b853175a0394b8e2e03aa7c7", "619d6a50f4d19748f403e92f5d9000d9883a5bafbdb8470042c6da880340464b"), true, kubelet.APIv1},
	{"v1.30.3", sums("ed218f0462bf42c9c86a1e8112d2f11352df0df469bab6d0a6c6d5e7b3c60d96", "a8b09f5333427c9c68a1a75c4c4452edc184a613e2a4fe59cf6c85f279ba45ee"), true, kubelet.APIv1},
	{"v1.30.8", sums("99b69e7e3e658deed3e4079e75f3553dbc0581449c6566708b8a93e3dc4b2f62", "077e388aea1dcfd600a58a97a2205ac5a4c5ec82d45cc7f48b63c9fb5fa593a9"), true, kubelet.APIv1},
	{"v1.31.0", sums("93cb405e50ac98fe1bd18757a1900794c14111705bd996f19728791aca9b5590", "fa0061361d21cbad70a4cd6576f69366ae863a004ec6f59cba7ddbc71ba7106e"), true, kubelet.APIv1},
	{"v1.31.7", sums("7644623e4ec9ad443ab352a8a5800a5180ee28741288be805286ba72bb8e7164", "1980e3a038cb16da48a137743b31fb81de6c0b59fa06c206c2bc20ce0a52f849"), true, kubelet.APIv1},
	{"v1.32.0", sums("7b0834b6b8c3d167ff63fcc845c23bc9c7489497c78f0892f9670d1b3cae89bb", "ed796554bc02258811b394e3cd6f9e580aba2bd776faad9bed2a1a6beaddba13"), false, kubelet.APIv1},
	{"v1.36.1", sums("59a6fc141dc08cd0661d885d2cf8993df42f62cc2bd7a08902dde63f47e0b384", "96b58e09522e47cf653065a104809ecba439630eaabea42db2dcb9ccedb1ed62"), false, kubelet.APIv1},
	{"v1.37.0", sums("842e0fd8159f5ed8df2f38e6521e1e4f0a1ee80cf1e1ac119bbf20bf9c20681c", "dd4748d167b0167cd4a66779dbbe4964e17a29a076aaa3d2b63cfc36ae84b52c"), true, kubelet.APIv1},
}

func sums(amd64, arm64 string) map[string]string {
	return map[string]string{"amd64": amd64, "arm64": arm64}
}

func findRelease(tag string) (Release, bool) {
	for _, r := range Releases {
		if r.Tag == tag {
			return r, true
		}
	}
	return Release{}, false
}
