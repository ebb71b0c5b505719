# check_elf refuses a plugin that this machine cannot run: a shell would try to
# read it as a script.
check_elf() {
  [ "$(dd bs=4 count=1 2>/dev/null <"$1" | tr -d '\0')" = "$(printf '\177ELF')" ] || fail "$2 is not a Linux program"
  [ "$(dd bs=1 skip=18 count=1 2>/dev/null <"$1" | tr -d '\0')" = "$elf" ] || fail "$2 is a program for another kind of machine than this ($arch)"
}

# What the ACR provider reads before it looks at a request, on descriptor 3.
nobody='{"cloud":"AzurePublicCloud","tenantId":"00000000-0000-0000-0000-000000000000","aadClientId":"nobody","aadClientSecret":"nothing"}'

# request runs plugin $1 as the kubelet would, with provider API $2, but without
# credentials to find and without a way to a metadata service.
request() {
  case $provider in
  acr-credential-provider) arg=/proc/self/fd/3 ;;
  auth-provider-gcp) arg=get-credentials ;;
  *) arg='' ;;
  esac
  printf '%s' "$nobody" | {
    exec 3<&0
    printf '{"kind":"CredentialProviderRequest","apiVersion":"credentialprovider.kubelet.k8s.io/%s","image":"123456789012.dkr.ecr.us-east-1.amazonaws.com/rkepatch"}\n' "$2" |
      limited "$plugin_seconds" env -i PATH="$PATH" HOME=/nonexistent AWS_EC2_METADATA_DISABLED=true \
        HTTP_PROXY=http://127.0.0.1:1 HTTPS_PROXY=http://127.0.0.1:1 "$1" ${arg:+"$arg"}
  }
}

# ask says in $answer what plugin $1, called $3, makes of provider API $2: yes, no
# (not this API), or other. GCP's answers any request in its own version.
ask() {
  code=0
  said=$(request "$1" "$2" 2>&1 >/dev/null) || code=$?
  answer=other
  case $code in
  0)
    answer=yes
    case $(request "$1" "$2" 2>/dev/null) in
    *'"credentialprovider.kubelet.k8s.io/'"$2"'"'*) ;;
    *'"credentialprovider.kubelet.k8s.io/'*) answer=no ;;
    esac
    ;;
  124 | 143) fail "$3 did not answer within $plugin_seconds seconds" ;;
  126 | 127) fail "$3 cannot be run, is it on a file system mounted noexec? $(clean "$said")" ;;
  *) [ "$code" -lt 128 ] || fail "$3 died of signal $((code - 128)) when it was run" ;;
  esac
  case $said in
  *'group version'*'is not supported'*) answer=no ;;
  esac
}

# try_plugin refuses plugin $1, called $2, unless it speaks the API of the config.
# A release speaks one API and refuses the other; both or neither is no plugin.
try_plugin() {
  check_elf "$1" "$2"
  [ "$provider" != acr-credential-provider ] || [ -d /proc/self/fd ] || fail "$2 can only be tried where /proc is mounted"
  case $api in
  v1) other_api=v1alpha1 ;;
  *) other_api=v1 ;;
  esac
  ask "$1" "$other_api" "$2"
  other_answer=$answer
  ask "$1" "$api" "$2"
  case $answer/$other_answer in
  yes/* | other/no) ;;
  no/no) fail "$2 speaks neither $api nor $other_api" ;;
  no/*) fail "$2 speaks the provider API $other_api, but the config asks for $api: no pull would get credentials" ;;
  *) fail "$2 does not answer like a credential provider plugin; it said: $(clean "$said")" ;;
  esac
}
