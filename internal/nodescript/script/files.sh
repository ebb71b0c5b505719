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
