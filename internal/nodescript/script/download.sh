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
