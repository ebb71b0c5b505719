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
