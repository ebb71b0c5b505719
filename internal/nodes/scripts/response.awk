# Reads a CredentialProviderResponse on the node and prints only what is no
# secret: api=, keytype=, duration=, registry= (several), kept= (how many
# registries were not printed), or response=none|bad. POSIX awk.
#
# The names of registries are what a provider says they are: one that is not made
# of parts of the image that was asked for is only counted.

{ text = text $0 " " }

END {
	if (text ~ /^[ \t\r]*$/) { print "response=none"; exit }
	while (text != "" && !bad) {
		if (++tokens > 4000) bad = 1
		if (match(text, /^[ \t\r]+/)) { }
		else if (match(text, /^"([^"\\]|\\.)*"/)) string(substr(text, 2, RLENGTH - 2), RLENGTH)
		else if (match(text, /^[-+.A-Za-z0-9]+/)) { if (want != "value") bad = 1; want = "next" }
		else if (match(text, /^[][{},:]/)) mark(substr(text, 1, 1))
		else bad = 1
		if (!bad) text = substr(text, RLENGTH + 1)
	}
	if (bad || depth != 0 || top["kind"] != "CredentialProviderResponse") { print "response=bad"; exit }
	print "response=ok"
	prefix = "credentialprovider.kubelet.k8s.io/"
	api = top["apiversion"]
	print "api=" (index(api, prefix) == 1 && substr(api, length(prefix) + 1) ~ /^v1(alpha1|beta1)?$/ ? substr(api, length(prefix) + 1) : "other")
	print "keytype=" (top["cachekeytype"] ~ /^(Image|Registry|Global)$/ ? top["cachekeytype"] : "other")
	duration = top["cacheduration"]
	print "duration=" (duration == "" ? "none" : length(duration) <= 16 && duration ~ /^([0-9]+(\.[0-9]+)?(h|m|s|ms))+$|^0$/ && innocent(duration) ? duration : "other")
	for (i = 1; i <= registries; i++) {
		if (printed < 4 && printable(registry[i])) { print "registry=" registry[i]; printed++ }
		else kept++
	}
	print "kept=" kept + 0
	print "full=" full + 0
}

# printable says that r is a host name that is made of nothing but wildcards and
# parts of the host in the request: it tells nothing new.
function printable(r,   i, n, part, known, host, list) {
	if (length(r) > 200 || r !~ /^[-a-z0-9.*]+$/) return 0
	host = ENVIRON["REQUEST"]
	sub(/.*"image":"/, "", host)
	sub(/["\/].*/, "", host)
	n = split(host, list, /[.]/)
	for (i = 1; i <= n; i++) known[list[i]] = 1
	known["*"] = 1
	n = split(r, part, /[.]/)
	for (i = 1; i <= n; i++) if (!(part[i] in known)) return 0
	return 1
}

# innocent says that s shares nothing with a secret.
function innocent(s,   i) {
	for (i = 1; i <= secrets; i++) if (length(secret[i]) >= 3 && (index(s, secret[i]) || index(secret[i], s))) return 0
	return 1
}

function string(s, taken,   path) {
	if (want == "key") {
		key[depth] = depth == 1 ? tolower(s) : s
		if (depth == 2 && key[1] == "auth") { registry[++registries] = s }
		want = "colon"
	} else if (want == "value") {
		if (depth == 1) top[key[1]] = s
		else if (s != "") {
			secret[++secrets] = s
			if (depth == 3 && tolower(key[3]) == "password") full++
		}
		want = "next"
	} else bad = 1
	RLENGTH = taken
}

function mark(c) {
	RLENGTH = 1
	if (c == "{" || c == "[") {
		if (depth > 0 && want != "value") bad = 1
		depth++
		kind[depth] = c
		key[depth] = ""
		want = c == "{" ? "key" : "value"
	} else if (c == "}" || c == "]") {
		depth--
		if (depth < 0) bad = 1
		want = "next"
	} else if (c == ",") want = kind[depth] == "{" ? "key" : "value"
	else want = "value"
}
