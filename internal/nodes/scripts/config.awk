# Reads a CredentialProviderConfig, YAML or JSON, on the node. POSIX awk.
#
# mode=names  prints the names of providers that are shown, or what may be one.
# mode=mask   prints "shown" and the config with secrets replaced, each by a
#             value of the same type; or one word that says why it is not shown.
# mode=list   prints "shown", then "arg TEXT" and "env NAME=VALUE" for the
#             provider $PROVIDER, as they are; or one word as above. That is for
#             use on the node and is never sent.
# mode=args   is list without the env.
#
# Only what is known to be harmless is shown, in a config that is written in a
# plain way. One that is written otherwise, so that this reader and the kubelet
# might take it differently, is shown as it is, comments aside, when all words in
# it are what such configs are made of, and not at all otherwise.
#
# What takes the place of a secret or a comment must be as right or as wrong as
# that was: nothing that a kubelet refuses may be mended here. So bytes beyond
# printable ASCII, which YAML forbids or takes for line ends, escapes that YAML
# and JSON do not share, and numbers at the edge hide the config.

{ raw[NR] = $0 }

END {
	if (NR > 0 && substr(raw[1], 1, 3) == "\357\273\277") {
		bom = "\357\273\277"
		raw[1] = substr(raw[1], 4)
	}
	for (i = 1; i <= NR; i++) {
		if (raw[i] !~ /^[\t -~]*\r?$/) odd = 1
		if (match(raw[i], /^[ \t]*#/)) {
			# Between quotes this is no comment, and its end may be theirs.
			if (substr(raw[i], RLENGTH + 1) !~ /^[A-Za-z0-9 .,:;()\/_*=+@<>!?&%#~-]*\r?$/) rough = 1
			raw[i] = substr(raw[i], 1, RLENGTH) (raw[i] ~ /\r$/ ? "\r" : "")
		}
		lower = lower tolower(raw[i]) "\n"
		if (raw[i] !~ /^[ \t\r]*$/ && first == "" && raw[i] !~ /^[ \t]*#/) {
			first = raw[i]
			sub(/^[ \t]+/, "", first)
		}
	}
	if (first != "" && lower !~ /providers|matchimages|credentialprovider/) give("unlike")
	else if (odd) give("bytes")
	else if (first ~ /^[{[]/) json()
	else yaml()
	if ((mode == "list" || mode == "args") && !given && tops["providers"] > 1) give("unsure")
	if (mode == "names") {
		for (i = 1; i <= entries && !given; i++) file(title[i])
		for (i = 1; i <= NR && given && commonplace(lower); i++) names(raw[i])
		exit
	}
	if (given == "unsure" && !rough && !long(lower) && commonplace(lower)) {
		given = out = ""
		entries = 0
		for (i = 1; i <= NR; i++) out = out raw[i] "\n"
	}
	if (given) print given
	else if (mode == "mask") printf "shown\n%s%s", bom, out
	else list()
}

# long says that there is a word that is as long as a key may be.
function long(s) {
	while (match(s, /[A-Za-z0-9+\/=_-]+/)) {
		if (RLENGTH >= 40) return 1
		s = substr(s, RSTART + RLENGTH)
	}
	return 0
}

# give gives up. What is read after it is of no consequence.
function give(why) { if (!given) given = why }

function emit(s) { out = out s }

# commonplace says that no word of the text, which is in lower case, could be a
# secret, and that none hints at one.
function commonplace(s,   n, i, word, common, known) {
	if (s ~ /\\|env|value|args|secret|token|passw|key|access|auth/) return 0
	n = split("apiversion kind name metadata providers matchimages defaultcacheduration " \
		"credentialproviderconfig kubeletconfiguration configmap kubelet config k8s io/v1 io/v1alpha1 io/v1beta1 io/v2 v1alpha1 v1beta1 " \
		"credentialprovider ecr credential provider fips amazonaws amazonwebservices sc2s sgov cloud https latest " \
		"east west north south central northeast southeast northwest southwest null true false", common, " ")
	for (i = 1; i <= n; i++) known[common[i]] = 1
	n = split(s, word, /[^a-z0-9+\/=_]+/)
	for (i = 1; i <= n; i++) if (length(word[i]) > 3 && !(word[i] in known)) return 0
	return 1
}

# names prints what follows each key "name" on a line.
function names(s,   v) {
	while (match(s, /(^|[^A-Za-z0-9_])name["']?[ \t]*:[ \t]*/)) {
		s = substr(s, RSTART + RLENGTH)
		if (s ~ /^"/) { v = substr(s, 2); sub(/".*/, "", v) }
		else if (s ~ /^'/) { v = substr(s, 2); sub(/'.*/, "", v) }
		else { v = s; sub(/[ \t]+#.*/, "", v); sub(/[,}\r].*/, "", v); sub(/[ \t]+$/, "", v) }
		file(v)
	}
}

# file prints what may be the name of a provider's file.
function file(s) { if (s != "" && length(s) <= 200 && s !~ /[=+\/]/) print s }

# at gives the path of what is being read, such as "providers/env/value".
function at(   i, p) {
	p = ""
	for (i = 1; i <= depth; i++) if (key[i] != "") p = p (p == "" ? "" : "/") key[i]
	return p
}

# harmless says how a scalar at path p may be shown.
function harmless(p) {
	if (p == "apiversion" || p == "kind") return "show"
	if (p == "providers/apiversion" || p == "providers/defaultcacheduration") return "show"
	if (p == "providers/name") return "file"
	if (p == "providers/matchimages") return "pattern"
	if (p == "providers/env/name") return "name"
	if (p == "providers/args") return "arg"
	return ""
}

# shown gives the text of a string at path p as it may leave the node.
function shown(s, p,   how) {
	how = harmless(p)
	if (s == "" || how == "show") return s
	if (how == "file") {
		# Another name would be another file.
		if (s ~ /[=+]|(AKIA|ASIA|AROA|AIDA|ABIA|ACCA)[A-Z0-9]/ || long(s)) give("unsure")
		return s
	}
	if (how == "pattern") return pattern(s)
	if (how == "name") return (s ~ /^[A-Za-z_][A-Za-z0-9_]*$/ && length(s) <= 38) ? s : "x"
	if (how == "arg") return s ~ /^(get-credentials|--?v=[0-9]|\/etc\/kubernetes\/(cloud-config|azure\.json))$/ ? s : "x"
	return "x"
}

# pattern masks what is no registry letter by letter, so that the kubelet takes
# or refuses it as before.
function pattern(s) {
	if (s !~ /[=+]/ && (length(s) <= 3 || s ~ /[.]/)) return s
	if (s ~ /\\/) give("unsure")
	gsub(/[A-Za-z]/, "x", s)
	gsub(/[0-9]/, "1", s)
	return s
}

# escapes checks that in double quotes there are only the escapes that YAML and
# JSON share.
function escapes(s) {
	gsub(/\\["\\bfnrt]|\\u[0-9A-CE-Fa-ce-f][0-9A-Fa-f][0-9A-Fa-f][0-9A-Fa-f]/, "", s)
	if (s ~ /\\/) give("unsure")
}

# named gives a key as it may be shown: a word, as the names of fields and
# variables are.
function named(s) { return s ~ /^[A-Za-z_]+$/ && length(s) <= 32 ? s : "x" }

# legible says that the string at path p is not asked for, or can be read as it
# stands between double quotes.
function legible(s, p) {
	return s !~ /\\/ || !(mode == "list" || (mode == "args" && (p == "providers/name" || p == "providers/args")))
}

# keep notes what mode=list and mode=args need.
function keep(s, p) {
	if (p == "providers/name") title[entries] = s
	if (p == "providers/args") args[entries] = args[entries] "arg " s "\n"
	if (p == "providers/env/name") { envs[entries]++; name[entries, envs[entries]] = s; value[entries, envs[entries]] = "" }
	if (p == "providers/env/value") {
		# A value before its name could be anyone's.
		if (mode != "args" && envs[entries] == fresh[entries]) give("unsure")
		fresh[entries] = envs[entries]
		value[entries, envs[entries]] = s
	}
}

function list(   i, j) {
	print "shown"
	for (i = 1; i <= entries; i++) {
		if (title[i] != ENVIRON["PROVIDER"]) continue
		printf "%s", args[i]
		if (mode == "args") continue
		for (j = 1; j <= envs[i]; j++) {
			if (name[i, j] ~ /^[A-Za-z_][A-Za-z0-9_]*$/) print "env " name[i, j] "=" value[i, j]
		}
	}
}

# ---- YAML, block style, one key or item per line

function yaml(   i, s, t, end, pos, dash, k, v, lead) {
	for (i = 1; i <= NR && !given; i++) {
		s = raw[i]
		end = "\n"
		if (s ~ /\r$/) { end = "\r\n"; s = substr(s, 1, length(s) - 1) }
		if (s ~ /^ *#?$/) { emit(s end); continue }
		if (s ~ /^(---|\.\.\.) *$/) {
			if ((mode == "list" || mode == "args") && seen) return
			depth = 0
			emit(s end)
			continue
		}
		if (s ~ /\t/ || s ~ /^%/ || s ~ /\r/) give("unsure")
		seen = 1
		match(s, /^ */)
		lead = substr(s, 1, RLENGTH)
		pos = RLENGTH
		s = substr(s, RLENGTH + 1)
		dash = -1
		if (match(s, /^- +/)) {
			dash = pos
			lead = lead substr(s, 1, RLENGTH)
			pos += RLENGTH
			s = substr(s, RLENGTH + 1)
		}
		if (s == "" || s == "-" || s ~ /^- /) give("unsure")
		while (depth > 0 && (dash >= 0 ? col[depth] > dash : col[depth] >= pos)) depth--
		if (depth > 0 && leaf[depth]) give("unsure")
		if (match(s, /^("[A-Za-z0-9_.-]+"|'[A-Za-z0-9_.-]+'|[A-Za-z_][A-Za-z0-9_.-]*) *:( +|$)/)) {
			k = substr(s, 1, RLENGTH)
			v = substr(s, RLENGTH + 1)
			if (length(k) > 500) give("unsure") # YAML has a limit
			t = k
			sub(/ *: *$/, "", k)
			gsub(/["']/, "", k)
			sub(/[A-Za-z0-9_.-]+/, named(k), t)
			lead = lead t
			if (dash >= 0 && at() == "providers") entries++
			depth++
			key[depth] = tolower(k)
			col[depth] = pos
			if (depth == 1) tops[key[1]]++
			v = scalar(v, at())
			leaf[depth] = v != ""
			emit(lead v end)
		} else if (dash >= 0 && depth > 0) {
			emit(lead scalar(s, at()) end)
		} else give("unsure")
	}
}

# rest checks that nothing but a comment follows a value.
function rest(s) {
	if (s !~ /^ *$/ && s !~ /^ +#/) give("unsure")
}

# scalar gives the value v at path p as it may be shown, without its comment.
function scalar(v, p,   s, items, sep) {
	if (v == "" || v ~ /^#/) return ""
	if (match(v, /^"([^"\\]|\\.)*"/)) {
		s = substr(v, 2, RLENGTH - 2)
		rest(substr(v, RLENGTH + 1))
		escapes(s)
		if (!legible(s, p)) give("unsure")
		keep(s, p)
		return "\"" shown(s, p) "\""
	}
	if (match(v, /^'([^']|'')*'/)) {
		s = substr(v, 2, RLENGTH - 2)
		rest(substr(v, RLENGTH + 1))
		gsub(/''/, "'", s)
		keep(s, p)
		s = shown(s, p)
		gsub(/'/, "''", s)
		return "'" s "'"
	}
	if (v ~ /^\{ *\}/) {
		sub(/^\{ *\}/, "", v)
		rest(v)
		return "{}"
	}
	if (v ~ /^\[/) {
		v = substr(v, 2)
		items = "["
		sep = ""
		while (!given) {
			sub(/^ +/, "", v)
			if (v ~ /^\]/ ) { rest(substr(v, 2)); return items "]" }
			if (!match(v, /^"([^"\\]|\\.)*"/) && !match(v, /^'([^']|'')*'/) && !match(v, /^[A-Za-z0-9_.\/-][^][{},:#&*!|>"'%@`]*/)) give("unsure")
			s = substr(v, 1, RLENGTH)
			v = substr(v, RLENGTH + 1)
			sub(/ +$/, "", s)
			items = items sep scalar(s, p)
			sep = ", "
			sub(/^ +/, "", v)
			if (v ~ /^,/) v = substr(v, 2)
			else if (v !~ /^\]/) give("unsure")
		}
		return ""
	}
	if (v !~ /^[A-Za-z0-9_.\/~+$-]/ || v ~ /^-( |$)/ || v ~ /: / || v ~ /:$/) give("unsure")
	sub(/ +#.*/, "", v)
	sub(/ +$/, "", v)
	keep(v, p)
	return harmless(p) == "show" || p == "providers/name" ? shown(v, p) : typed(v, p)
}

# typed masks what stands without quotes: a number stays one.
function typed(v, p) {
	if (tolower(v) ~ /^(true|false|yes|no|on|off|y|n|null|~)$/) return v
	if (v ~ /^-?(0|[1-9][0-9]*)(\.[0-9]+)?$/ && length(v) <= 15) return "1"
	# Registries may be addresses; as a whole they look like no number.
	if (harmless(p) == "pattern" && v ~ /^[0-9]+\.[0-9]+\.[0-9]+[0-9.:]*$/) return v
	if (v ~ /^[-+.]?[0-9][-+.0-9a-fA-FxXoO_:,]*$/ || v ~ /^[-+]?\./ || v ~ /^[0-9][0-9._]*[eE][-+0-9]/) give("unsure")
	return shown(v, p)
}

# ---- JSON

function json(   i, s, t) {
	want = "value"
	for (i = 1; i <= NR && !given; i++) {
		s = raw[i]
		if (s ~ /^[ \t]*#\r?$/) give("unsure")
		while (s != "" && !given) {
			if (match(s, /^[ \t\r]+/)) t = substr(s, 1, RLENGTH)
			else if (match(s, /^"([^"\\]|\\.)*"/)) t = string(substr(s, 2, RLENGTH - 2), substr(s, RLENGTH + 1))
			else if (match(s, /^[-+.A-Za-z0-9_]+/)) t = literal(substr(s, 1, RLENGTH))
			else if (match(s, /^[][{},:]/)) { t = substr(s, 1, 1); mark(t) }
			else give("unsure")
			if (given) return
			s = substr(s, RLENGTH + 1)
			emit(t)
		}
		emit("\n")
	}
}

function string(s, after,   p, length_, start) {
	length_ = RLENGTH; start = RSTART
	if (want == "key") {
		# A key that is written otherwise may be any.
		if (after !~ /^[ \t]*:/ || s !~ /^[A-Za-z0-9_.-]+$/ || length(s) > 500) give("unsure")
		key[depth] = tolower(s)
		if (depth == 1) tops[key[1]]++
		s = named(s)
	} else {
		p = at()
		if (want != "value" || s ~ /\t/ || !legible(s, p)) give("unsure")
		escapes(s)
		keep(s, p)
		s = shown(s, p)
	}
	want = want == "key" ? "colon" : "next"
	RLENGTH = length_; RSTART = start
	return "\"" s "\""
}

function literal(s) {
	if (want != "value") give("unsure")
	want = "next"
	if (s ~ /^(true|false|null)$/) return s
	if (s !~ /^-?(0|[1-9][0-9]*)(\.[0-9]+)?$/ || length(s) > 15) give("unsure")
	return "1"
}

function mark(c) {
	if (c == "{" || c == "[") {
		if (want != "value" && depth > 0) give("unsure")
		if (c == "{" && at() == "providers") entries++
		depth++
		kind[depth] = c
		key[depth] = ""
		want = c == "{" ? "key" : "value"
	} else if (c == "}" || c == "]") {
		if (depth > 0) depth--
		want = "next"
	} else if (c == ",") {
		want = (depth > 0 && kind[depth] == "{") ? "key" : "value"
	} else {
		if (want != "colon") give("unsure")
		want = "value"
	}
}
