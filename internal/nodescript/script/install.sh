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
}
