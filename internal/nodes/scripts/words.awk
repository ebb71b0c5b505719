# Reads what a provider printed on standard error, on the node, and prints only
# words of a fixed vocabulary ($WORDS) and HTTP status codes; all else becomes
# "..". Prints said=WORDS and exit=CODE. POSIX awk.

BEGIN {
	n = split(ENVIRON["WORDS"], list, " ")
	for (i = 1; i <= n; i++) known[list[i]] = 1
}

/^=exit=[0-9]+$/ { code = substr($0, 7); next }

{
	gsub(/[^A-Za-z0-9]+/, " ")
	n = split($0, word, " ")
	for (i = 1; i <= n; i++) {
		w = word[i]
		if (w in known || (before == "StatusCode" && w ~ /^[1-5][0-9][0-9]$/)) add(w)
		else add("..")
		before = w
	}
}

END {
	# The end matters most.
	if (length(said) > 1500) { said = substr(said, length(said) - 1500); sub(/^[^ ]* /, "", said) }
	print "said=" said
	print "exit=" (length(code) > 0 && length(code) <= 3 ? code : "")
}

function add(w) {
	if (w == ".." && (last == ".." || said == "")) { last = w; return }
	said = said (said == "" ? "" : " ") w
	last = w
}
