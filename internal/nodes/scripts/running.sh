
# running: the kubelet's process, its provider flags, and how long it has run.

# kubelets: the process ids of this node's kubelets, in $pids. A kubelet that
# runs inside a pod of its own is not the node's; where several kubelets run on
# one machine, --hostname-override tells them apart.
kubelets() {
	pids='' named=''
	set +f
	for process in "$proc_dir"/[0-9]*; do
		pid=${process##*/} comm=''
		read -r comm 2>/dev/null <"$process/comm" || true
		case $comm in kubelet | hyperkube) ;; *) continue ;; esac
		words_of=$(tr '\000' '\n' 2>/dev/null <"$process/cmdline" | head -n 2)
		case ${words_of%%"$nl"*} in
		kubelet | */kubelet) ;;
		hyperkube | */hyperkube) [ "${words_of#*"$nl"}" = kubelet ] || continue ;;
		*) continue ;;
		esac
		# shellcheck disable=SC2046 # the numbers are words
		set -- $(sed -n 's/^NSpid://p' "$process/status" 2>/dev/null)
		[ $# -le 1 ] || continue
		pids="$pids $pid"
		if tr '\000' '\n' 2>/dev/null <"$process/cmdline" | grep -qxF -e "--hostname-override=$node"; then
			named="$named $pid"
		fi
	done
	set -f
	[ -z "$named" ] || pids=$named
	pids=${pids# }
}

# flags PID: the flags that may leave the node, one "name=value" per line.
flags() {
	tr '\000' '\n' 2>/dev/null <"$proc_dir/$1/cmdline" | awk '
		want != "" { print want "=" $0; want = ""; next }
		/^--(image-credential-provider-config|image-credential-provider-bin-dir|feature-gates)=/ { print substr($0, 3); next }
		/^--(image-credential-provider-config|image-credential-provider-bin-dir|feature-gates)$/ { want = substr($0, 3) }
	'
}

# age PID: for how many seconds the process has run. The kernel counts in
# hundredths towards user space on every architecture of RKE.
age() {
	read -r process 2>/dev/null <"$proc_dir/$1/stat" || return
	read -r up _ 2>/dev/null <"$proc_dir/uptime" || return
	# shellcheck disable=SC2086
	set -- ${process##*) }
	shift 19
	echo $((${up%.*} - $1 / 100))
}

running() {
	kubelets
	before=$pids
	if [ "$observe" -gt 0 ]; then
		sleep "$observe"
		kubelets
	fi
	[ "$before" = "$pids" ] || put restarted yes
	if [ -n "$config" ]; then
		resolve_binds
		see "$config"
		written=''
		[ "$state" != regular ] || written=$(stat -L -c %Y "$real" 2>/dev/null)
		[ -z "$written" ] || put config "age=$(($(date +%s) - written))"
	fi
	for pid in $pids; do
		put process "pid=$pid age=$(age "$pid")" || true
	done
	set_flags=''
	[ -z "$pids" ] || set_flags=$(flags "${pids%% *}")$nl
	while [ -n "$set_flags" ]; do
		flag=${set_flags%%"$nl"*} set_flags=${set_flags#*"$nl"}
		case $flag in
		*=*) put flag "name=${flag%%=*} value=$(encoded "${flag#*=}")" || true ;;
		esac
	done
	send
}
