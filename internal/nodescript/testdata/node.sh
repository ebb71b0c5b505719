#!/bin/sh
# Puts the ECR image credential provider and its config on this node, for the
# kubelet of an RKE1 cluster. Written by `rkepatch nodes script`.
# `sh FILE --help` says what it takes, what it does and how it ends.
# The brace makes the shell read all of it first: half a script does nothing.
{
set -eu
LC_ALL=C
export LC_ALL
umask 022

# What the one who wrote it decided. Flags go before.
provider='ecr-credential-provider'
bin_dir='/opt/aws/bin'
config='/opt/aws/config/custom-credential-providers.yaml'
release='v1.31.7'
url='https://artifacts.k8s.io/binaries/cloud-provider-aws/{tag}/linux/{arch}/ecr-credential-provider-linux-{arch}'
sha256_amd64='7644623e4ec9ad443ab352a8a5800a5180ee28741288be805286ba72bb8e7164'
sha256_arm64='1980e3a038cb16da48a137743b31fb81de6c0b59fa06c206c2bc20ce0a52f849'
api='v1'
docker_url=''
config_sha256='01e3a993742ba8e6c749f43b2b955534a3c2af6ef02487ad9c19538de618b854'
# shellcheck disable=SC2016 # nothing in it is for the shell
config_text='# it'\''s $HOME, "quoted" and `odd`: é
apiVersion: kubelet.config.k8s.io/v1
kind: CredentialProviderConfig
providers:
- name: ecr-credential-provider
  apiVersion: credentialprovider.kubelet.k8s.io/v1
  matchImages: ['\''*.dkr.ecr.*.amazonaws.com'\'']
  defaultCacheDuration: 12h
'
merge_sum=''
merge_line='0'
merge_drop='0'
merge_tail=''
merge_text=''

# How many seconds one download may take, how often it is tried, how many seconds
# lie in between, and how many the plugin may take to answer.
download_seconds='300'
download_tries='3'
download_pause='5'
plugin_seconds='20'

sha256='' from='' root='' replace='' dry_run='' uninstall='' merge_view=''

usage() {
  cat <<END
usage: sh FILE [flags]        or: ... | sh -s -- [flags]

Puts the image credential provider $provider on this node:
  the plugin  $bin_dir/$provider
  its config  $config
What is right already is left alone. What is there and differs is not replaced
without --replace. The plugin is run once before it takes its place.

  --bin-dir DIR   directory of the plugin
  --config FILE   the provider config
  --url URL       where the plugin is; {arch} becomes amd64 or arm64, {tag} $release
  --sha256 SUM    its checksum, instead of the known one; it is always checked
  --from FILE     use this file instead of a download; its checksum is checked
  --root DIR      everything is written below DIR, such as /host in a pod
  --replace       replace what differs; the old one is kept as NAME.rkepatch-SUM.
                  With --uninstall: also while a kubelet is told to use it
  --dry-run       say what would be done, and do nothing
  --merge-...     how to merge into the config that is there; rkepatch nodes
                  install says it
  --uninstall     remove the plugin and the config if they are what this script
                  installs; directories and kept files stay

Proxies are taken from the environment: http_proxy, https_proxy, no_proxy.

exit codes:
  0    done, or already right
  1    failed; what was there is there still
  2    wrong usage
  3    something else is in the way, see --replace
  129, 130, 143   ended by a signal; what was there is there still
END
}

say() { printf 'rkepatch: %s\n' "$*"; }
warn() { printf 'rkepatch: %s\n' "$*" >&2; }
fail() { warn "error: $*"; exit 1; }
wrong() { warn "error: $*; --help says more"; exit 2; }
have() { command -v "$1" >/dev/null 2>&1; }

# clean makes one printable line of what a tool or a server said.
clean() { printf '%s' "$1" | tail -n 1 | tr -cd ' -~' | cut -c 1-200; }

read_flags() {
  while [ $# -gt 0 ]; do
    case $1 in
    --replace) replace=yes ;;
    --dry-run) dry_run=yes ;;
    --uninstall) uninstall=yes ;;
    --help | -h) usage; exit 0 ;;
    --*=*) set_flag "${1%%=*}" "${1#*=}" ;;
    --*)
      [ $# -ge 2 ] || set -- "$1" ''
      set_flag "$1" "$2"
      shift
      ;;
    *) wrong "unknown argument $(clean "$1")" ;;
    esac
    shift
  done
}

set_flag() {
  case $1 in
  --bin-dir | --config | --url | --sha256 | --from | --root | --merge-sum | --merge-line | --merge-drop) [ -n "$2" ] || wrong "$1 needs a value" ;;
  --merge-tail | --merge-text | --merge-view) ;;
  *) wrong "unknown flag $(clean "$1")" ;;
  esac
  case $1 in
  --bin-dir) bin_dir=$2 ;;
  --config) config=$2 ;;
  --url) url=$2 ;;
  --sha256) sha256=$(printf '%s' "$2" | tr A-F a-f) ;;
  --from) from=$2 ;;
  --root) root=$2 ;;
  --merge-sum) merge_sum=$2 config_sha256='' ;;
  --merge-line) merge_line=$2 ;;
  --merge-drop) merge_drop=$2 ;;
  --merge-tail) merge_tail=$2 ;;
  --merge-text) merge_text=$2 ;;
  --merge-view) merge_view=$2 ;;
  esac
}

# The kubelet, Docker's binds and this script must read a path the same way.
check_path() {
  case $2 in
  /*) ;;
  *) wrong "$1 must be an absolute path" ;;
  esac
  case $2/ in
  *[!A-Za-z0-9._/+@=-]*) wrong "$1 may hold only letters, digits and . _ / + @ = -" ;;
  *//* | */./* | */../*) wrong "$1 must be a plain path without //, . or .. and without / at its end" ;;
  esac
}

check_flags() {
  check_path --bin-dir "$bin_dir"
  check_path --config "$config"
  root=${root%/}
  [ -z "$root" ] || check_path --root "$root"
  [ -z "$from" ] || [ -f "$from" ] || fail "there is no file $(clean "$from")"
  [ -d "$root/" ] || fail "there is no directory $root"
  case $config/ in
  "$bin_dir/$provider"/*) wrong "--config lies where the plugin goes" ;;
  esac
  case $url in
  *[!]A-Za-z0-9:/._~?\&=%+,@{}[-]*) wrong "--url holds characters that no URL has" ;;
  http://[!/]* | https://[!/]*) ;;
  *) wrong "--url must begin with https:// or http://" ;;
  esac
  authority=${url#*://}
  case ${authority%%[/?]*} in
  *@*) wrong "--url must not hold a user or a password: other processes can read it" ;;
  esac
  case $sha256 in
  *[!0-9a-f]*) wrong "--sha256 must be 64 hex digits" ;;
  esac
  [ -z "$sha256" ] || [ ${#sha256} -eq 64 ] || wrong "--sha256 must be 64 hex digits"
  case $merge_line$merge_drop in
  *[!0-9]*) wrong "--merge-line and --merge-drop must be numbers" ;;
  esac
  [ -z "$merge_sum" ] || [ -z "$uninstall" ] ||
    wrong "--uninstall does not take a config apart; put back the one that was kept beside it, then remove the plugin"
  [ -z "$docker_url" ] || [ -z "$root" ] || wrong "--root does not go with the installation of Docker"
}

check_machine() {
  for tool in cat chmod chown cut dd env id ln ls mkdir mktemp mv readlink rm rmdir sleep tail timeout tr uname wc; do
    have "$tool" || fail "this machine has no $tool; install coreutils or busybox"
  done
  if [ -n "$merge_sum" ]; then
    for tool in cp head; do
      have "$tool" || fail "this machine has no $tool; install coreutils or busybox"
    done
  fi

  # busybox before 1.30 wants -t.
  if timeout 9 true 2>/dev/null; then t=''; else t='-t'; fi

  if have sha256sum; then digest='sha256sum'
  elif have openssl; then digest='openssl dgst -sha256 -r'
  elif have busybox; then digest='busybox sha256sum'
  else fail "this machine has no sha256sum, openssl or busybox, and nothing is installed unchecked"
  fi

  machine=$(uname -m)
  case $machine in
  x86_64 | amd64) arch=amd64 sum=$sha256_amd64 elf='>' ;;
  aarch64 | arm64) arch=arm64 sum=$sha256_arm64 elf=$(printf '\267') ;;
  *) fail "there is no provider for this machine ($(clean "$machine")), only for amd64 and arm64" ;;
  esac
  [ -z "$sha256" ] || sum=$sha256
  [ -n "$sum" ] || wrong "no checksum is known for $arch; give it with --sha256"

  # Only root can write where the kubelet reads; below --root anyone may try.
  [ -n "$root" ] || [ "$(id -u)" -eq 0 ] || fail "this must run as root"
}

# limited runs a command for $1 seconds at most. The watcher that busybox leaves
# behind for a moment must not hold the locks of the two directories.
limited() {
  # shellcheck disable=SC2086 # nothing, or -t
  timeout $t "$@" 8<&- 9<&-
}

sum_of() {
  # shellcheck disable=SC2086 # words of a command
  sum_line=$($digest <"$1") || return 1
  printf '%s' "${sum_line%% *}"
}

# resolve follows the symbolic links of directory $1 as the host does, whose / is
# $root, and leaves the path in $resolved.
resolve() {
  left=${1#/} resolved='' links=0
  while [ -n "$left" ]; do
    part=${left%%/*}
    case $left in
    */*) left=${left#*/} ;;
    *) left='' ;;
    esac
    case $part in
    '' | .) continue ;;
    ..) resolved=${resolved%/*}; continue ;;
    esac
    if [ -L "$root$resolved/$part" ]; then
      links=$((links + 1))
      [ "$links" -le 40 ] || fail "$1 goes round in circles of symbolic links"
      link=$(readlink "$root$resolved/$part")
      case $link in
      /*) resolved='' ;;
      esac
      left=$link/$left
    else
      resolved=$resolved/$part
    fi
  done
  case $resolved in
  *[!A-Za-z0-9._/+@=-]*) fail "$1 is a link to a path with other characters than letters, digits and . _ / + @ = -" ;;
  esac
}

# look says in $state what is at file $1, which should have checksum $2.
look() {
  if [ -L "$1" ]; then state='link'
  elif [ ! -e "$1" ]; then state=missing
  elif [ -d "$1" ]; then
    state=full
    [ -n "$(ls -A "$1")" ] || state=empty
  elif [ ! -f "$1" ]; then state=special
  elif [ "$(sum_of "$1")" = "$2" ]; then state=right
  else state=differs
  fi
}

# judge says why file $1, called $3, in state $2 may not be written, if so.
judge() {
  case $2 in
  missing | right) return ;;
  full) what='is a directory that holds something; move it away' ;;
  special) what='is no regular file; move it away' ;;
  *)
    [ -z "$replace" ] || return 0
    case $2 in
    link) what='is a symbolic link' ;;
    empty) what='is an empty directory: Docker makes one where the file of a bind is missing' ;;
    differs) what='is there and differs (its content is not shown, it may hold keys)' ;;
    esac
    what="$what; --replace puts the $3 in its place"
    [ "$2" = empty ] || what="$what and keeps the old one beside it"
    ;;
  esac
  warn "error: $1 $what"
  in_the_way=yes
}

# cannot_write explains why directory $1 cannot be written to; $2 is what a tool said.
cannot_write() {
  case $2 in
  *ead-only\ file\ system*)
    fail "$1 is on a read-only file system, as /opt and /usr are on Flatcar and RancherOS; use" \
      "--bin-dir /var/lib/rancher/credentialprovider/bin" \
      "--config /var/lib/rancher/credentialprovider/config.yaml, which the kubelet of RKE1 sees without a bind," \
      "and tell rkepatch the same two paths"
    ;;
  esac
  no_room "$1" "$2"
}

# no_room ends with the last words that a tool said about writing to directory $1.
no_room() {
  said=$(clean "${2##*: }")
  fail "writing to $1${said:+: $said}; is there room on the disk, and may root write there?"
}

# make_dir makes directory $1 and notes what it made: it goes again on failure.
make_dir() {
  [ ! -d "$1" ] || return 0
  case ${1%/*} in
  '') ;;
  *) make_dir "${1%/*}" ;;
  esac
  made="$1 $made"
  said=$(mkdir "$1" 2>&1) || [ -d "$1" ] || cannot_write "$1" "$said"
}

# alone makes sure that no other run is at work in the two directories, and
# removes what a killed one left there.
alone() {
  if have flock; then
    [ ! -d "$bin_home" ] || { exec 9<"$bin_home"; flock -n 9 || busy "$bin_home"; }
    [ ! -d "$config_home" ] || [ "$config_home" = "$bin_home" ] || { exec 8<"$config_home"; flock -n 8 || busy "$config_home"; }
    rm -rf "$bin_home"/.rkepatch.* "$config_home"/.rkepatch.*
  elif have find; then
    find "$bin_home" "$config_home" -maxdepth 1 -name '.rkepatch.*' -mmin +60 -exec rm -rf {} + 2>/dev/null || :
  fi
}

busy() { fail "another run of this script is at work in $1; try again when it is done"; }

# make_work makes a directory in directory $1 for what is not ready: $made_work.
make_work() {
  made_work=$(mktemp -d "$1/.rkepatch.$$.XXXXXX" 2>&1) || cannot_write "$1" "$made_work"
}

# label lets containers read file $1, called $2, where SELinux is on.
label() {
  if [ -z "$root" ] && have selinuxenabled; then
    selinuxenabled || return 0
  else
    [ -e "$root/sys/fs/selinux/enforce" ] || return 0
  fi
  if said=$(chcon -t container_file_t "$1" 2>&1); then
    say "SELinux is on: labelled $2 container_file_t"
  else
    warn "warning: SELinux is on and $2 could not be labelled ($(clean "$said")); do: chcon -t container_file_t $2"
  fi
}

# flush brings file or directory $1 to the disk, or else everything.
flush() {
  limited 60 sync "$1" 2>/dev/null || limited 60 sync 2>/dev/null || :
}

# set_mode gives file $1 mode $2, and root as its owner.
set_mode() {
  chmod "$2" "$1" || fail "setting the mode of $1"
  [ "$(id -u)" -ne 0 ] || chown 0:0 "$1" || fail "setting the owner of $1"
}

# mend corrects mode $2 and owner of file $1 whose content is right already.
mend() {
  # shellcheck disable=SC2012 # the name is not read
  is=$(ls -lnd "$1" | tr -s ' ' | cut -d ' ' -f 1,3,4)
  case $2$is in
  0755-rwxr-xr-x*' 0 0' | 0644-rw-r--r--*' 0 0') return ;;
  0755-rwxr-xr-x* | 0644-rw-r--r--*) [ "$(id -u)" -eq 0 ] || return 0 ;;
  esac
  mended=yes
  if [ -n "$dry_run" ]; then
    say "would correct the mode or the owner of $1"
  else
    set_mode "$1" "$2"
    say "corrected the mode or the owner of $1"
  fi
}

# keep gives file $1 a second name, so that it is not lost when it is replaced.
keep() {
  if [ -L "$1" ]; then
    kept=$1.rkepatch-link
  else
    old=$(sum_of "$1") || fail "reading $1"
    kept=$1.rkepatch-$(printf %.12s "$old")
    [ ! -f "$kept" ] || [ "$(sum_of "$kept")" != "$old" ] || return 0
  fi
  if [ -e "$kept" ] || [ -L "$kept" ]; then
    fail "$kept is there already; move it away"
  fi
  strays="$strays $kept"
  ln "$1" "$kept" 2>/dev/null || cp -pP "$1" "$kept" || fail "keeping $1 as $kept"
}

# place moves what is ready in file $1 to $2, where $3 was.
place() {
  case $3 in
  empty) said=$(rmdir "$2" 2>&1) || return 1 ;;
  link) said=$(rm -f "$2" 2>&1) || return 1 ;; # mv would go into the directory that it names
  esac
  said=$(mv -f "$1" "$2" 2>&1)
}

protocols='=http,https'

# attempt downloads $1 to file $2 once; what went wrong is in $said.
attempt() {
  if have curl; then set -- curl -fsSLg --connect-timeout 20 --proto "$protocols" -o "$2" "$1"
  elif ! have wget; then fail "this machine has neither curl nor wget; copy the plugin here and give it with --from"
  else
    case $(wget --version 2>/dev/null) in
    *GNU*) set -- wget -nv -t 1 -T 60 -O "$2" "$1" ;;
    *) set -- wget -q -O "$2" "$1" ;;
    esac
  fi
  # In the background, so that a signal does not have to wait for it. The limit
  # on the size is in units of 512 bytes; the plugin has about 22 MB.
  downloading=yes
  (
    ulimit -f 400000 || :
    # shellcheck disable=SC2086 # nothing, or -t
    exec timeout $t "$download_seconds" "$@" </dev/null >/dev/null 2>"$log" 8<&- 9<&-
  ) &
  code=0
  wait "$!" || code=$?
  downloading=''
  said=$(clean "$(cat "$log")")
  case $code in
  0) return 0 ;;
  124 | 137 | 143) said="no end after $download_seconds seconds" ;;
  153) said='it is larger than 200 MB' ;;
  esac
  case $said in
  *'not an http or ftp url'*) said="this wget cannot do https; install curl, or copy the plugin here and give it with --from" ;;
  *'(23)'* | *'No space left'*) said="$said; is there room on the disk?" ;;
  '') said="exit code $code; is there room on the disk?" ;;
  esac
  return 1
}

# download gets $1 into file $2. A query may hold a signature, so it is not shown.
download() {
  tried=1
  until attempt "$1" "$2"; do
    [ "$tried" -lt "$download_tries" ] || fail "downloading ${1%%\?*}, $tried attempts: $said"
    tried=$((tried + 1))
    sleep "$download_pause"
  done
}

# expand puts the architecture and the release into $url.
expand() {
  full_url=$url
  while :; do
    case $full_url in
    *'{arch}'*) full_url=${full_url%%'{arch}'*}$arch${full_url#*'{arch}'} ;;
    *'{tag}'*) full_url=${full_url%%'{tag}'*}$release${full_url#*'{tag}'} ;;
    *) break ;;
    esac
  done
}

# check_sum refuses file $1, which came from $2, when it is not the plugin.
check_sum() {
  got=$(sum_of "$1") || fail "reading what came from $2"
  [ "$got" != "$sum" ] || return 0
  what=''
  case $(dd bs=1 count=1 2>/dev/null <"$1" | tr -d '\0') in
  '<') what=', it looks like an HTML page' ;;
  esac
  fail "the file from $2 is not the plugin: sha256 $sum was expected, $got came ($(($(wc -c <"$1"))) bytes$what); nothing is installed"
}

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

# Merging: the config that is there, with checksum $merge_sum, gets $merge_text
# into line $merge_line, before $merge_tail at its end, and loses $merge_drop lines
# after it. It keeps its other bytes, its mode and its owner.

# config_sum is the checksum of file $1 or, where only what may be seen of it was
# compared, of what $merge_view prints.
config_sum() {
  if [ -n "$merge_view" ]; then
    # shellcheck disable=SC2086 # words of a command
    sum_line=$(sh -c "$merge_view" view "$1" | $digest) || return 1
    printf '%s' "${sum_line%% *}"
  else
    sum_of "$1"
  fi
}

# look_merge says in $state what is at the config's place: merge when it is the
# file that waits for its new lines.
look_merge() {
  if [ -L "$conf" ]; then state='link'
  elif [ ! -e "$conf" ]; then state=missing
  elif [ ! -f "$conf" ]; then state=special
  elif [ "$(config_sum "$conf")" = "$merge_sum" ]; then
    state=merge
    [ "$merge_line" -gt 0 ] || state=right
  elif [ -n "$config_sha256" ] && [ "$(sum_of "$conf")" = "$config_sha256" ]; then state=right
  else state=differs
  fi
}

judge_merge() {
  case $1 in
  merge | right) return ;;
  missing) what='is not there, and other providers belong into it; put the file that the other nodes have there first' ;;
  link) what='is a symbolic link, which would be cut; merge into the file that it names' ;;
  special) what='is no regular file' ;;
  *) what='is not the file for which the merge was worked out; look again' ;;
  esac
  warn "error: $conf $what"
  in_the_way=yes
}

# merged prints the config with the new lines.
merged() {
  head -n $((merge_line - 1)) "$conf" || return 1
  line=$(head -n "$merge_line" "$conf" | tail -n 1)
  case $line in
  *"$merge_tail") ;;
  *) return 1 ;;
  esac
  printf '%s' "${line%"$merge_tail"}$merge_text$merge_tail"
  [ "$(wc -l <"$conf")" -lt "$merge_line" ] || echo
  tail -n +$((merge_line + merge_drop + 1)) "$conf"
}

prepare_merge() {
  make_work "$config_home"
  new_config=$made_work/config
  said=$(cp -p "$conf" "$new_config" 2>&1) || no_room "$config_home" "$said"
  merged >"$new_config" || fail "merging into $conf: it is not written as it was, or there is no room on the disk"
  if [ -n "$config_sha256" ]; then
    [ "$(sum_of "$new_config")" = "$config_sha256" ] || no_room "$config_home" "not all of it arrived"
  elif [ "$merge_drop" -eq 0 ]; then
    [ "$(wc -c <"$new_config")" -eq $(($(wc -c <"$conf") + ${#merge_text})) ] || no_room "$config_home" "not all of it arrived"
  fi
  label "$new_config" "$conf"
  flush "$new_config"
}

made='' strays='' downloading=''

# leave cleans up, whatever ended the script.
# shellcheck disable=SC2317 # a trap calls it
leave() {
  trap '' HUP INT TERM
  if [ -n "$downloading" ]; then
    kill "$!" 2>/dev/null || :
    wait "$!" 2>/dev/null || :
  fi
  rm -rf "$bin_home/.rkepatch.$$."* "$config_home/.rkepatch.$$."* "/tmp/rkepatch.$$."*
  for file in $strays; do rm -f "$file"; done
  for dir in $made; do rmdir "$dir" 2>/dev/null || :; done
}

# prepare_plugin gets the plugin to the file system where it belongs, and tries it.
prepare_plugin() {
  make_work "$bin_home"
  new_bin=$made_work/plugin log=$made_work/log
  if [ -n "$from" ]; then
    origin=$from
    said=$(cat 2>&1 <"$from" >"$new_bin") || no_room "$bin_home" "$said"
  else
    expand
    origin=${full_url%%\?*}
    download "$full_url" "$new_bin"
  fi
  check_sum "$new_bin" "$origin"
  set_mode "$new_bin" 0755
  try_plugin "$new_bin" "the plugin from $origin"
  label "$new_bin" "$bin"
  flush "$new_bin"
}

prepare_config() {
  make_work "$config_home"
  new_config=$made_work/config
  said=$(printf '%s' "$config_text" 2>&1 >"$new_config") || no_room "$config_home" "$said"
  [ "$(sum_of "$new_config")" = "$config_sha256" ] || no_room "$config_home" "not all of it arrived"
  set_mode "$new_config" 0644
  label "$new_config" "$conf"
  flush "$new_config"
}

install() {
  if [ -z "$dry_run" ]; then
    make_dir "$bin_home"
    make_dir "$config_home"
    alone
  fi
  look "$bin" "$sum"
  bin_state=$state
  in_the_way=''
  judge "$bin" "$bin_state" plugin
  if [ -n "$merge_sum" ]; then
    look_merge
    judge_merge "$state"
  else
    look "$conf" "$config_sha256"
    judge "$conf" "$state" config
  fi
  conf_state=$state
  [ -z "$in_the_way" ] || exit 3

  mended=''
  if [ "$bin_state" = right ]; then
    mend "$bin" 0755
    [ -n "$dry_run$mended" ] || try_plugin "$bin" "$bin"
  fi
  [ "$conf_state" != right ] || [ -n "$merge_sum" ] || mend "$conf" 0644
  if [ "$bin_state$conf_state" = rightright ]; then
    [ -n "$mended" ] || say "already right: $bin and $conf"
  elif [ -n "$dry_run" ]; then
    foretell
  else
    [ "$bin_state" = right ] || prepare_plugin
    case $conf_state in
    right) ;;
    merge) prepare_merge ;;
    *) prepare_config ;;
    esac
    commit
  fi
}

# foretell is the dry run of what is not right yet.
foretell() {
  if [ "$bin_state" != right ] && [ -n "$from" ]; then
    check_sum "$from" "$from"
    say "would install $bin from $from"
  elif [ "$bin_state" != right ]; then
    expand
    say "would install $bin from ${full_url%%\?*}"
  fi
  case $conf_state in
  right) ;;
  merge) say "would merge $provider into $conf" ;;
  *) say "would write $conf" ;;
  esac
}

# commit puts what is prepared in its place: from here on, nothing can fail that
# could have failed before, and no signal comes between.
commit() {
  kept_bin='' kept_conf=''
  case $bin_state in
  differs | link) keep "$bin"; kept_bin=$kept ;;
  esac
  case $conf_state in
  differs | link | merge) keep "$conf"; kept_conf=$kept ;;
  esac
  [ "$conf_state" != merge ] || [ "$(config_sum "$conf")" = "$merge_sum" ] || fail "$conf was changed meanwhile; look again"
  trap '' HUP INT TERM
  if [ "$bin_state" != right ]; then
    place "$new_bin" "$bin" "$bin_state" || fail "moving the plugin to $bin: $(clean "$said")"
  fi
  if [ "$conf_state" != right ] && ! place "$new_config" "$conf" "$conf_state"; then
    why=$said
    if [ "$bin_state" = right ]; then :
    elif [ -n "$kept_bin" ]; then mv -f "$kept_bin" "$bin"
    else rm -f "$bin"
    fi
    fail "moving the config to $conf: $(clean "$why")"
  fi
  strays='' made=''
  flush "$bin_home"
  flush "$config_home"
  [ "$bin_state" = right ] || say "installed $bin, which speaks $api"
  case $conf_state in
  right) ;;
  merge) say "merged $provider into $conf, which a kubelet reads when it starts" ;;
  *) say "wrote $conf" ;;
  esac
  for kept in $kept_bin $kept_conf; do say "kept the old one as $kept"; done
}

# remove takes away what install put there and nothing else.
remove() {
  [ -n "$dry_run" ] || alone
  if [ -z "$replace" ]; then check_unused; fi
  in_the_way=''
  take_away "$bin" "$sum"
  take_away "$conf" "$config_sha256"
  [ -z "$in_the_way" ] || exit 3
}

take_away() {
  look "$1" "$2"
  case $state in
  missing) say "not there: $1" ;;
  right)
    if [ -n "$dry_run" ]; then
      say "would remove $1"
    else
      rm -f "$1" || fail "removing $1"
      flush "${1%/*}"
      say "removed $1"
    fi
    ;;
  *)
    warn "error: $1 is not what this script installs; left as it is"
    in_the_way=yes
    ;;
  esac
}

# check_unused refuses while a kubelet is told of the plugin: it would not start again.
check_unused() {
  [ -r "$root/proc/1/cmdline" ] || {
    warn "error: the processes of this host cannot be seen, so a kubelet may be using it; --replace removes it all the same"
    exit 3
  }
  for file in "$root"/proc/[0-9]*/cmdline; do
    args=$({ tr '\0' ' ' <"$file"; } 2>/dev/null) || continue
    case "$args " in
    *" --image-credential-provider-bin-dir"[\ =]"$bin_dir"[\ /]* | *" --image-credential-provider-config"[\ =]"$config "*)
      pid=${file%/cmdline}
      warn "error: process ${pid##*/} is a kubelet that is told to use it and could not start without;" \
        "take the flags away first (--replace removes it all the same)"
      exit 3
      ;;
    esac
  done
}

# install_docker is what the Docker install URL of a node template is there for.
install_docker() {
  [ -n "$docker_url" ] || return 0
  if have docker; then
    say 'Docker is there already and is left alone'
  elif [ -n "$dry_run" ]; then
    say "would install Docker with ${docker_url%%\?*}"
  else
    have curl || fail "installing Docker needs curl"
    dir=$(mktemp -d "/tmp/rkepatch.$$.XXXXXX") || fail "making a directory in /tmp"
    log=$dir/log
    # Nobody publishes a checksum for it, so at least nobody may answer in its place.
    case $docker_url in
    https:*) protocols='=https' ;;
    esac
    download "$docker_url" "$dir/install-docker.sh"
    [ "$(dd bs=2 count=1 2>/dev/null <"$dir/install-docker.sh" | tr -d '\0')" = '#!' ] ||
      fail "what came from ${docker_url%%\?*} is no shell script"
    exec 8<&- 9<&-
    code=0
    sh "$dir/install-docker.sh" </dev/null || code=$?
    [ "$code" -eq 0 ] || { warn "error: the installation of Docker ended with exit code $code"; exit "$code"; }
  fi
}

main() {
  read_flags "$@"
  check_flags
  check_machine
  resolve "$bin_dir"
  bin_home=$root$resolved
  bin=$bin_home/$provider
  resolve "${config%/*}"
  config_home=$root$resolved
  conf=$config_home/${config##*/}
  trap leave EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  if [ -n "$uninstall" ]; then
    remove
  else
    install
    install_docker
  fi
}

main "$@"
exit 0
# rkepatch node script, format 1, sha256 4783747ce6353e152eae3491501a3ee81012e406eb545c297eb0b203d893240b
}
