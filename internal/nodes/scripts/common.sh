# shellcheck shell=sh
# Shared by every script of the package: what it is told, how it answers, and
# the paths as the kubelet's container sees them. POSIX sh, coreutils or busybox.
set -u
set -f
umask 077
LC_ALL=C
export LC_ALL

tab=$(printf '\t')
nl='
'

mode=$1
shift
host_dir=/host # the host's root file system
proc_dir=/proc
out_file=/dev/termination-log
config='' bin_dir='' config_awk='' response_awk='' words_awk='' words=''
names='' # providers to look at, one per line
# "inside<TAB>outside" per line, longest inside first; a Docker volume has no
# outside.
binds=''
node='' provider='' request='' environment=kubelet
ask_timeout=10 run_timeout=60 observe=0

while [ $# -gt 0 ]; do
	case $1 in
	--host) host_dir=${2%/} ;;
	--proc) proc_dir=$2 ;;
	--out) out_file=$2 ;;
	--config) config=$2 ;;
	--bin-dir) bin_dir=$2 ;;
	--name) names=$names$2$nl ;;
	--bind) binds=$binds$3$tab$2$nl; shift ;;
	--config-awk) config_awk=$2 ;;
	--response-awk) response_awk=$2 ;;
	--words-awk) words_awk=$2 ;;
	--words) words=$2 ;;
	--node) node=$2 ;;
	--provider) provider=$2 ;;
	--request) request=$2 ;;
	--environment) environment=$2 ;;
	--ask-timeout) ask_timeout=$2 ;;
	--run-timeout) run_timeout=$2 ;;
	--observe) observe=$2 ;;
	*) echo "unknown argument: $1" >&2; exit 2 ;;
	esac
	shift 2
done

# The answer. A termination message holds 4096 bytes; what does not fit is left
# out whole, and the last line tells that nothing was cut.
answer="rkepatch/1$nl"
room=4000

# put KEY VALUE: adds a line; fails when there is no room for it.
put() {
	[ $((${#answer} + ${#1} + ${#2} + 2)) -le "$room" ] || return 1
	answer=$answer$1=$2$nl
}

send() {
	printf '%send\n' "$answer" >"$out_file"
}

have() { command -v "$1" >/dev/null 2>&1; }

# encode: standard input as base64 on one line.
encode() { base64 | tr -d '\n'; }

encoded() { printf '%s' "$1" | encode; }

# host_path PATH: where PATH of the host's is under host_dir, with symlinks
# followed as the host does; in $real. Fails where they loop.
host_path() {
	todo=$1/ real=$host_dir hops=0
	while [ -n "$todo" ]; do
		part=${todo%%/*} todo=${todo#*/}
		case $part in
		'' | .) continue ;;
		..)
			[ "$real" = "$host_dir" ] || real=${real%/*}
			continue
			;;
		esac
		if [ -L "$real/$part" ]; then
			hops=$((hops + 1))
			[ "$hops" -le 40 ] || return 1
			target=$(readlink "$real/$part")
			case $target in /*) real=$host_dir ;; esac
			todo=$target/$todo
		else
			real=$real/$part
		fi
	done
}

# Docker follows symlinks in the source of a bind when it mounts it.
resolve_binds() {
	left=$binds binds=
	while [ -n "$left" ]; do
		line=${left%%"$nl"*} left=${left#*"$nl"}
		real=''
		[ -z "${line#*"$tab"}" ] || host_path "${line#*"$tab"}" || real=$host_dir/
		binds=$binds${line%%"$tab"*}$tab$real$nl
	done
}

# mounted PATH: where the kubelet's PATH is, in $there, which is empty in a Docker
# volume, and below which mount, in $mount; PATH must have no symlink but perhaps
# as its last part. Fails when no bind holds it.
mounted() {
	left=$binds
	while [ -n "$left" ]; do
		line=${left%%"$nl"*} left=${left#*"$nl"}
		mount=${line%%"$tab"*}
		case $1/ in
		"${mount%/}"/*)
			there=${line#*"$tab"}
			[ -z "$there" ] || there=$there${1#"${mount%/}"}
			return 0
			;;
		esac
	done
	return 1
}

# leads PATH: PATH is a directory on the way to a mount.
leads() {
	left=$binds
	while [ -n "$left" ]; do
		line=${left%%"$nl"*} left=${left#*"$nl"}
		case ${line%%"$tab"*} in "$1"/*) return 0 ;; esac
	done
	return 1
}

# see PATH: what the kubelet finds at PATH, in $state, and where that is, in
# $real. Symlinks are followed as in its container: an absolute one starts again
# at the container's root, where only mounts lead to the host.
see() {
	todo=$1/ at='' hops=0 linked=no real='' there='' state=''
	while [ -n "$todo" ]; do
		part=${todo%%/*} todo=${todo#*/}
		case $part in
		'' | .) continue ;;
		..)
			at=${at%/*}
			continue
			;;
		esac
		if mounted "$at/$part"; then
			if [ -z "$there" ]; then
				state=volume
				return
			fi
			if [ "$at/$part" != "$mount" ] && [ -L "$there" ]; then
				hops=$((hops + 1)) linked=yes
				if [ "$hops" -gt 40 ]; then
					state=loop
					return
				fi
				target=$(readlink "$there")
				case $target in /*) at='' ;; esac
				todo=$target/$todo
				continue
			fi
			# Docker makes the directories that lead to a mount.
			if [ ! -e "$there" ] && ! leads "$at/$part"; then
				state=missing
				[ "$linked" = no ] || state=dangling
				return
			fi
		elif ! leads "$at/$part"; then
			state=outside
			return
		fi
		at=$at/$part
	done
	if ! mounted "${at:-/}"; then
		state=outside
		return
	fi
	real=$there
	if [ -d "$real" ]; then
		state=directory
	elif [ -f "$real" ]; then
		state=regular
	else
		state=other
	fi
}

# describe: the words for what see found.
describe() {
	printf 'state=%s' "$state"
	[ -z "$real" ] || stat -L -c ' mode=%a owner=%u:%g size=%s' "$real" 2>/dev/null | tr -d '\n'
	[ -z "$real" ] || printf ' host=%s' "$(encoded "${real#"$host_dir"}")"
	# shellcheck disable=SC2012 # whether there is any name, not which
	if [ "$state" = directory ] && [ -z "$(ls -A "$real" 2>/dev/null | head -n 1)" ]; then
		printf ' empty=yes'
	fi
}
