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
