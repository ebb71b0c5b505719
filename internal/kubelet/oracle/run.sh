#!/usr/bin/env bash
# Holds internal/kubelet to the kubelet's own code, version by version: the
# recorded cases, then N random mutations (default 100000).
#
#   internal/kubelet/oracle/run.sh [N [VERSION...]]
#
# Each judge is built with the Go release line that its kubelet was built with,
# because net/url became stricter since; ORACLE_GO=local builds with today's Go,
# and what that alone refuses is then passed over.
# The first build takes minutes and downloads modules; the judges are kept in
# bin/oracle. SEED changes the mutations.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../../.." && pwd)
bin=${ORACLE_BIN:-$root/bin/oracle}
n=${1:-100000}
shift || true
versions=("$@")
[ ${#versions[@]} -gt 0 ] || versions=(v1.24.17 v1.26.15 v1.27.0 v1.30.14 v1.32.0)

# What the kubelet's build named in .go-version, as far as it can still be had,
# and the providers that it had built in.
go_of() {
  case $1 in
  v1.24.17 | v1.27.0) echo go1.20.7 ;;
  v1.26.15) echo go1.21.8 ;;
  v1.30.14) echo go1.23.10 ;;
  v1.32.0) echo go1.23.3 ;;
  *) echo "oracle: no judge for $1" >&2 && return 1 ;;
  esac
}
tags_of() {
  case $1 in
  v1.24.17 | v1.26.15) echo until126,until129,until130 ;;
  v1.27.0) echo until129,until130 ;;
  v1.30.14) echo until130 ;;
  *) echo none ;;
  esac
}

mkdir -p "$bin"
(cd "$root" && go build -o "$bin/oracle" ./internal/kubelet/oracle)
# Many small files are written; in memory that is several times faster.
scratch=${TMPDIR:-/tmp}
[ -w /dev/shm ] && scratch=/dev/shm

failed=0
for v in "${versions[@]}"; do
  toolchain=$(go_of "$v")
  (cd "$here/judge" && GOTOOLCHAIN=${ORACLE_GO:-$toolchain} GOFLAGS=-buildvcs=false nice -n 10 \
    go build -p "${ORACLE_JOBS:-1}" -modfile="$v.mod" -tags "$(tags_of "$v")" -o "$bin/judge-$v" .)
  TMPDIR=$scratch "$bin/oracle" -judge "$bin/judge-$v" -version "$v" -n "$n" -seed "${SEED:-1}" \
    -recorded "$here/../testdata/verdicts.json" || failed=1
done
exit $failed
