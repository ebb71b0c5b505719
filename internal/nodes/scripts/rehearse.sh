
# rehearse: runs the provider as the kubelet would, in its file system where the
# provider is there already, else in the pod's. What it prints on standard
# output holds credentials; only what response.awk and words.awk let through
# leaves the node.

# attempt is run by a shell of its own without an environment. It takes the
# provider's environment from standard input, one variable per line with \001 for
# a line feed: as arguments, everybody on the node could read it.
# shellcheck disable=SC2016 # expanded by that shell
attempt='
unset PATH PWD OLDPWD SHLVL
rkepatch_lf="
"
rkepatch_soh=$(printf "\001")
while IFS= read -r rkepatch_line; do
	rkepatch_name=${rkepatch_line%%=*}
	case $rkepatch_line in [A-Za-z_]*=*) ;; *) continue ;; esac
	case $rkepatch_name in *[!A-Za-z0-9_]* | UID | EUID | PPID | BASHOPTS | SHELLOPTS | rkepatch_*) continue ;; esac
	rkepatch_left=${rkepatch_line#*=} rkepatch_value=""
	while :; do
		case $rkepatch_left in
		*"$rkepatch_soh"*)
			rkepatch_value=$rkepatch_value${rkepatch_left%%"$rkepatch_soh"*}$rkepatch_lf
			rkepatch_left=${rkepatch_left#*"$rkepatch_soh"}
			;;
		*) break ;;
		esac
	done
	export "$rkepatch_name=$rkepatch_value$rkepatch_left"
done
rkepatch_request=$1 rkepatch_arguments=$2
shift 2
while [ -n "$rkepatch_arguments" ]; do
	set -- "$@" "${rkepatch_arguments%%"$rkepatch_lf"*}"
	rkepatch_arguments=${rkepatch_arguments#*"$rkepatch_lf"}
done
printf "%s\n" "$rkepatch_request" | "$@"
echo "=exit=$?" >&2
'

# hundredths: the time since boot.
hundredths() {
	read -r up _ <"$proc_dir/uptime" || up=0.00
	echo $((${up%.*} * 100 + 1${up#*.} - 100))
}

# enterable ROOT: the provider is in the file system of the kubelet, ROOT, and can
# be run there.
# shellcheck disable=SC2016 # expanded by that shell
enterable() {
	have chroot && chroot "$1" /bin/sh -c '[ -x "$1" ]' sh "$bin_dir/$provider" 2>/dev/null
}

# names_files: the provider is told of files, which may be seen by the kubelet
# only.
names_files() {
	{
		printf '%s%s' "$extra" "$arguments"
		tr '\000' '\n' <"$environ" | grep -E '^(AWS|SSL)_'
	} | grep -v '^PATH=' | grep -qE '(^|=)(file:/*)?/'
}

rehearse() {
	if ! have timeout; then
		put obstacle untooled
		send
		return
	fi
	resolve_binds
	see "$config"
	plan=$(PROVIDER=$provider awk -v mode=list "$config_awk" <"$real")
	case $plan in
	shown) plan='' ;;
	shown"$nl"*) plan=${plan#shown"$nl"}$nl ;;
	*)
		put obstacle config
		send
		return
		;;
	esac
	extra='' arguments=''
	while [ -n "$plan" ]; do
		line=${plan%%"$nl"*} plan=${plan#*"$nl"}
		case $line in
		env\ *) extra=$extra${line#env }$nl ;;
		arg\ *) arguments=$arguments${line#arg }$nl ;;
		esac
	done
	see "$bin_dir/$provider"
	binary=$real environ=/dev/null
	kubelets
	if [ "$environment" = kubelet ]; then
		environ=$proc_dir/${pids%% *}/environ
		if [ -z "$pids" ]; then
			put obstacle kubelet
		elif ! size=$(wc -c 2>/dev/null <"$environ") || ! head -c 1 "$environ" >/dev/null 2>&1; then
			put obstacle environment
		elif [ "$size" -gt 65536 ]; then
			put obstacle environment
		fi
		case $answer in
		*obstacle=*)
			send
			return
			;;
		esac
	fi
	root=$proc_dir/${pids%% *}/root
	if [ -n "$pids" ] && enterable "$root"; then
		set -- "$(command -v chroot)" "$root" "$bin_dir/$provider"
	elif names_files; then
		put obstacle files
		send
		return
	else
		set -- "$binary"
	fi
	start=$(hundredths)
	result=$(
		{
			{
				{
					tr '\n\000' '\001\n' <"$environ"
					printf '%s' "$extra"
				} |
					env -i "$(command -v sh)" -c "$attempt" sh "$request" "$arguments" \
						"$(command -v timeout)" -s KILL "$run_timeout" "$@" 2>&3 3>&- 4>&- |
					head -c 262144 | REQUEST=$request awk "$response_awk" >&4
			} 3>&1 | tail -c 16384 | WORDS=$words awk "$words_awk"
		} 4>&1
	)
	finish=$(hundredths)
	put took "$(((finish - start) * 10))"
	while [ -n "$result" ]; do
		line=${result%%"$nl"*}
		put "${line%%=*}" "${line#*=}" || true
		case $result in *"$nl"*) result=${result#*"$nl"} ;; *) result='' ;; esac
	done
	send
}
