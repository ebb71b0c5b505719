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
