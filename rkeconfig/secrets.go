package rkeconfig

import (
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Masking says how a secret is hidden.
type Masking int

const (
	maskNothing Masking = iota
	// MaskValue hides the whole value.
	MaskValue
	// MaskEnv hides what follows NAME= in each item of a list.
	MaskEnv
)

// SecretRule is one place whose value is never shown. Path holds JSON names; []
// stands for any item, {} for any key of a map, * for any field.
type SecretRule struct {
	Path    string
	Masking Masking
	Why     string
}

const (
	passwordField = "type=password in rke's types"
	clearField    = "comes back from Rancher in clear"
	wholeFile     = "a file's text, which may hold credentials"
	awsKey        = "half of an AWS credential"
)

// SecretRules lists every secret that rke's types know. Fields they do not know
// are judged by their name (isSecretName), texts by their form (maskText).
var SecretRules = []SecretRule{
	{"privateRegistries[].password", MaskValue, passwordField},
	{"privateRegistries[].ecrCredentialPlugin.awsSecretAccessKey", MaskValue, clearField},
	{"privateRegistries[].ecrCredentialPlugin.awsAccessToken", MaskValue, clearField},
	{"privateRegistries[].ecrCredentialPlugin.awsAccessKeyId", MaskValue, awsKey},
	{"services.etcd.backupConfig.s3BackupConfig.secretKey", MaskValue, passwordField},
	{"services.etcd.backupConfig.s3BackupConfig.accessKey", MaskValue, awsKey},
	{"services.etcd.key", MaskValue, clearField},
	{"services.*.extraEnv", MaskEnv, clearField},
	{"services.*.winExtraEnv", MaskEnv, clearField},
	{"services.kubeApi.secretsEncryptionConfig.customConfig", MaskValue, clearField},
	{"authentication.webhook.configFile", MaskValue, wholeFile},
	{"ingress.extraEnvs[].value", MaskValue, clearField},
	{"addons", MaskValue, wholeFile},
	{"bastionHost.sshKey", MaskValue, passwordField},
	{"nodes[].sshKey", MaskValue, passwordField},
	{"network.weaveNetworkProvider.password", MaskValue, passwordField},
	{"network.aciNetworkProvider.token", MaskValue, clearField},
	{"network.aciNetworkProvider.apicUserKey", MaskValue, clearField},
	{"network.aciNetworkProvider.kafkaClientKey", MaskValue, clearField},
	{"cloudProvider.customCloudProvider", MaskValue, wholeFile},
	{"cloudProvider.harvesterCloudProvider.cloudConfig", MaskValue, wholeFile},
	{"cloudProvider.azureCloudProvider.aadClientSecret", MaskValue, passwordField},
	{"cloudProvider.azureCloudProvider.aadClientCertPassword", MaskValue, passwordField},
	{"cloudProvider.openstackCloudProvider.global.password", MaskValue, passwordField},
	{"cloudProvider.vsphereCloudProvider.global.password", MaskValue, passwordField},
	{"cloudProvider.vsphereCloudProvider.virtualCenter{}.password", MaskValue, passwordField},
}

// Words that make a name secret: wherever they stand in it, only as the last word
// (image-credential-provider-config is none), and before "key".
var (
	secretWords = []string{"password", "passwords", "passwd", "pwd", "passphrase", "secret", "secrets",
		"token", "tokens", "credentials", "apikey", "kubeconfig"}
	secretLastWords = []string{"auth", "credential", "pass"}
	secretKeys      = []string{"private", "ssh", "client", "secret", "access", "api", "signing", "encryption", "user", "rsa"}
	fileWords       = []string{"file", "files", "path", "dir", "directory", "config"}
)

// isSecretName judges the name of a field that rke's types do not know, or of a
// key the user chose. It errs on the side of hiding.
func isSecretName(name string) bool {
	words := wordsOf(name)
	for i, w := range words {
		switch {
		case slices.Contains(secretWords, w),
			i == len(words)-1 && slices.Contains(secretLastWords, w),
			i > 0 && (w == "key" || w == "keys") && slices.Contains(secretKeys, words[i-1]),
			secretInside.MatchString(w):
			return true
		}
	}
	return false
}

// secretInside finds what names without any break, such as dbpassword, hide.
var secretInside = regexp.MustCompile(`password|passwd|secret|token|privatekey|sshkey|clientkey`)

// isHarmless clears a value under a secret name: on or off, a duration, or a path
// where the name says that it is one, as in tls-private-key-file.
func isHarmless(name string, value any) bool {
	s, ok := value.(string)
	if !ok {
		_, ok = value.(bool)
		return ok
	}
	if s == "true" || s == "false" {
		return true
	}
	if _, err := time.ParseDuration(s); err == nil {
		return strings.ContainsFunc(s, unicode.IsLetter)
	}
	words := wordsOf(name)
	return strings.HasPrefix(s, "/") && len(words) > 0 && slices.Contains(fileWords, words[len(words)-1])
}

// wordsOf splits awsAccessToken, aws_access_token and aws-access-token alike.
func wordsOf(name string) []string {
	var b strings.Builder
	var last rune
	for _, r := range name {
		if unicode.IsUpper(r) && unicode.IsLower(last) {
			b.WriteByte(' ')
		}
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			b.WriteByte(' ')
		}
		b.WriteRune(unicode.ToLower(r))
		last = r
	}
	return strings.FieldsFunc(b.String(), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

var (
	envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]{0,127}$`)
	// urlUser is what stands before the host of a URL, up to the last @.
	urlUser = regexp.MustCompile(`(://)[^/?#\s]*@`)
	// urlSecret is a query parameter whose name sounds secret.
	urlSecret = regexp.MustCompile(`(?:^|[?&;,\s])[\w.%-]*(?i:token|secret|passw|signature|credential|apikey|api_key)[\w.%-]*=[^&;,\s#]+`)
	// plainValue is on, off or a number too small to be a password, as feature
	// gates and limits have it: KubeletCredentialProviders=true.
	plainValue = regexp.MustCompile(`^(?i:true|false|[0-9]{1,3})$`)
)

// maskText hides credentials inside a text that is not secret by its place: the
// user part of a URL, secret query parameters, and private keys.
func maskText(s, mark string) string {
	if strings.Contains(s, "PRIVATE KEY-----") {
		return mark
	}
	if strings.Contains(s, "://") {
		s = urlUser.ReplaceAllString(s, "${1}"+mark+"@")
	}
	if strings.Contains(s, "=") {
		s = urlSecret.ReplaceAllStringFunc(s, func(found string) string {
			name, value, _ := strings.Cut(found, "=")
			if plainValue.MatchString(value) {
				return found
			}
			return name + "=" + mark
		})
	}
	return s
}
