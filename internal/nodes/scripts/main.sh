
for tool in awk base64 cat date env grep gzip head ls od readlink sed sleep stat tail tr uname wc; do
	if ! have "$tool"; then
		put lacks "$tool"
		send
		exit
	fi
done

case $mode in
check) check ;;
running) running ;;
rehearse) rehearse ;;
*) echo "unknown mode: $mode" >&2; exit 2 ;;
esac
