
# check: what a kubelet that is told of --config and --bin-dir will find.

config_most=65536 # bytes of a config that is read

# magic FILE: what FILE is by its first bytes, as words in $kind, and whether it
# must not be run, in $unfit.
magic() {
	kind='' unfit=no
	first=$(head -c 4 "$1" | od -An -v -tx1 | tr -d ' \n')
	case $first in
	'') kind=' format=empty' unfit=yes ;;
	7f454c46) elf "$1" "$(stat -L -c %s "$1")" ;;
	2321*) kind=' format=script' ;;
	*)
		unfit=yes
		start=$(head -c 512 "$1" | tr -d '\000' | tr '[:upper:]' '[:lower:]')
		case $start in
		*'<html'* | *'<!doctype'* | *'<?xml'*) kind=' format=html' ;;
		*)
			if [ "$(head -c 512 "$1" | tr -d '\011\012\015\040-\176' | wc -c)" -eq 0 ]; then
				kind=' format=text'
			else
				kind=' format=other'
			fi
			;;
		esac
		;;
	esac
}

# elf FILE SIZE: the machine that an ELF file is for, and whether its headers
# reach beyond its end. Both architectures of RKE are little-endian, as od is.
elf() {
	kind=' format=elf'
	size=$(($2)) file=$1
	# shellcheck disable=SC2046 # the numbers are words
	set -- $(od -An -v -tu1 -N 64 "$file")
	if [ $# -lt 64 ]; then
		kind="$kind truncated=yes" unfit=yes
		return
	fi
	class=$5 order=$6
	shift 18
	machine=$(($1 + $2 * 256))
	case $class.$order.$machine in
	2.1.62) machine=amd64 ;;
	2.1.183) machine=arm64 ;;
	*)
		kind="$kind machine=other" unfit=yes
		return
		;;
	esac
	kind="$kind machine=$machine"
	case $machine.$(uname -m) in
	amd64.x86_64 | arm64.aarch64 | arm64.arm64) ;;
	*) unfit=yes ;;
	esac
	shift 14 # to byte 32
	programs=$(($1 + $2 * 256 + $3 * 65536 + $4 * 16777216))
	sections=$(($9 + ${10} * 256 + ${11} * 65536 + ${12} * 16777216))
	shift 22 # to byte 54
	end=$((sections + ($5 + $6 * 256) * ($7 + $8 * 256)))
	heads=$(($3 + $4 * 256))
	[ "$heads" -le 64 ] || heads=64
	# shellcheck disable=SC2046
	set -- $(od -An -v -tu4 -j "$programs" -N $((heads * 56)) "$file" 2>/dev/null)
	[ $# -eq $((heads * 14)) ] || end=$((size + 1))
	while [ $# -ge 14 ]; do
		reach=$(($3 + $4 * 4294967296 + $9 + ${10} * 4294967296))
		[ "$reach" -le "$end" ] || end=$reach
		shift 14
	done
	if [ "$end" -gt "$size" ]; then
		kind="$kind truncated=yes" unfit=yes
	fi
}

# forbids_exec FILE: FILE lies on a mount without execution.
forbids_exec() {
	FILE=$1 awk '
		{ gsub(/\\040/, " ", $5); under = $5; if (under != "/") under = under "/" }
		index(ENVIRON["FILE"], under) == 1 && length(under) >= longest { longest = length(under); options = $6 }
		END { exit ("," options ",") !~ /,noexec,/ }
	' /proc/self/mountinfo 2>/dev/null
}

# arguments_of PROVIDER: the args of the config for it, one per line, in
# $arguments. Fails when they cannot be read.
arguments_of() {
	arguments=''
	[ "$config_state" = regular ] || return 1
	plan=$(PROVIDER=$1 awk -v mode=args "$config_awk" <"$config_file") || return 1
	case $plan in
	shown) ;;
	shown"$nl"*)
		left=${plan#shown"$nl"}$nl
		while [ -n "$left" ]; do
			argument=${left%%"$nl"*} left=${left#*"$nl"}
			arguments=$arguments${argument#arg }$nl
		done
		;;
	*) return 1 ;;
	esac
}

# What the ACR provider reads before it looks at the request, on descriptor 3.
nobody='{"cloud":"AzurePublicCloud","tenantId":"00000000-0000-0000-0000-000000000000","aadClientId":"nobody","aadClientSecret":"nothing"}'

# ask API FILE NAME: one word for what the provider FILE, called NAME, run with
# $arguments, says to a request in version API. It gets no credentials to find, no
# way to a metadata service and no file of the node's, and nothing that it says
# leaves the node.
ask() {
	api=$1 name=$3 left=$arguments
	set -- "$2"
	while [ -n "$left" ]; do
		argument=${left%%"$nl"*} left=${left#*"$nl"}
		case $name:$argument in acr-credential-provider:/*) argument=/proc/self/fd/3 ;; esac
		set -- "$@" "$argument"
	done
	said=$(printf '%s' "$nobody" | {
		exec 3<&0
		printf '{"kind":"CredentialProviderRequest","apiVersion":"credentialprovider.kubelet.k8s.io/%s","image":"000000000000.dkr.ecr.us-east-1.amazonaws.com/rkepatch"}\n' "$api" |
			env -i PATH="$PATH" HOME=/nonexistent AWS_EC2_METADATA_DISABLED=true HTTP_PROXY=http://127.0.0.1:1 HTTPS_PROXY=http://127.0.0.1:1 \
				timeout -s KILL "$ask_timeout" "$@"
		echo "=exit=$?"
	} 2>&1 | tail -c 8192 | tr -d '\000')
	case $said in
	*'=exit=124' | *'=exit=137') echo slow ;;
	*'=exit=126' | *'=exit=127') echo broken ;;
	*'"CredentialProviderResponse"'*'=exit=0')
		case $said in
		*"\"credentialprovider.kubelet.k8s.io/$api\""*) echo ok ;;
		*) echo other ;;
		esac
		;;
	*'=exit=0') echo other ;;
	*'group version'*'is not supported'*) echo refused ;;
	*NoCredentialProviders* | *'no EC2 IMDS role found'* | *'failed to refresh cached credentials'*) echo keyless ;;
	*) echo other ;;
	esac
}

# look NAME: one line about the provider NAME.
look() {
	see "$bin_dir/$1"
	if [ "$state" = regular ] && [ ! -r "$real" ]; then
		state=unreadable
	fi
	line="name=$(encoded "$1") $(describe)"
	if [ "$state" = regular ]; then
		magic "$real"
		line=$line$kind
		if forbids_exec "$real"; then
			line="$line noexec=yes"
		fi
		case $(stat -L -c %a "$real") in
		*[1357] | *[1357]? | *[1357]??)
			line="$line exec=yes"
			if [ "$unfit" = yes ]; then
				:
			elif ! timeout -s KILL 9 true 2>/dev/null; then
				line="$line unasked=untooled"
			elif ! arguments_of "$1" && [ "$args_matter" = yes ]; then
				line="$line unasked=args"
			else
				line="$line v1=$(ask v1 "$real" "$1") v1alpha1=$(ask v1alpha1 "$real" "$1")"
			fi
			;;
		esac
	fi
	put binary "$line" || true
}

# innocent TEXT: there is no such thing in TEXT.
innocent() {
	[ "$(printf '%s' "$1" | keyless)" = "$1" ]
}

# show FILE: hands over the config without its secrets, or says why not.
show() {
	size=$(stat -L -c %s "$1") || size=''
	if [ "${size:-0}" -gt "$config_most" ]; then
		put hidden large
	elif [ -z "$size" ] || ! cat "$1" >/dev/null 2>&1; then
		put hidden unread
	elif [ "$(tr -d '\000' <"$1" | wc -c)" -ne "$size" ]; then
		put hidden zero
	else
		shown=$(awk -v mode=mask "$config_awk" <"$1" && echo .)
		case $shown in
		shown"$nl"*)
			shown=${shown#shown"$nl"}
			put body "gzip:$(printf '%s' "${shown%.}" | keyless | gzip -9n | encode)" || put hidden large
			;;
		*) put hidden "$(printf '%s' "${shown:-unsure}" | head -n 1)" ;;
		esac
	fi
}

check() {
	resolve_binds

	see "$config"
	put config "$(describe)"
	config_state=$state config_file=$real

	see "$bin_dir"
	put bin "$(describe)"
	bin_state=$state bin_real=$real

	args_matter=no
	if [ "$config_state" = regular ] && [ "$(stat -L -c %s "$config_file")" -le "$config_most" ]; then
		# Keys are written in any case, and with escapes.
		if grep -qi -e args -e '[\]' "$config_file"; then
			args_matter=yes
		fi
		names=$names$(awk -v mode=names "$config_awk" <"$config_file" 2>/dev/null)$nl
	fi

	looked=$nl
	left_names=$names
	number=0
	while [ -n "$left_names" ]; do
		name=${left_names%%"$nl"*} left_names=${left_names#*"$nl"}
		case $looked in *"$nl$name$nl"*) continue ;; esac
		case $name in '' | . | .. | */*) continue ;; esac
		innocent "$name" || continue
		number=$((number + 1))
		[ "$number" -le 8 ] || break
		looked=$looked$name$nl
		look "$name"
	done

	if [ "$bin_state" = directory ]; then
		set +f
		number=0
		for other in "$bin_real"/*; do
			other=${other##*/}
			case $looked in *"$nl$other$nl"*) continue ;; esac
			[ -f "$bin_real/$other" ] || continue
			number=$((number + 1))
			[ "$number" -le 6 ] || break
			if [ ${#other} -le 48 ] && innocent "$other"; then
				put other "$(encoded "$other")" || break
			fi
		done
		set -f
	fi

	if [ "$config_state" = regular ]; then
		show "$config_file"
	fi
	send
}
