# Shared by the selftests of the jobs on a server's host. Servers run as user postgres if this runs as root, listen only on the loopback,
# and are in one temporary folder. Nothing else is stopped, and nothing is left.
# shellcheck shell=bash disable=SC2034
here="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
jobs="$here/src/adapters/postgres"
servers() { compgen -G '/usr/lib/postgresql/*/bin/initdb' | sort -V | tail -n 1; }
[ -n "$(servers)" ] || "$here/tests/world/need" postgresql || exit 2
bin="$(dirname "$(servers)")"
as=(env)
[ "$(id -u)" != 0 ] || as=(runuser -u postgres --)
top="$(mktemp -d /tmp/drctl-restore-XXXXXX)"
failed=0
checks=0
export LC_ALL=C TZ=UTC

# Two adjacent free ports, below those that Linux uses for outgoing connections (32768 and up), which any connection may take before the
# server is started.
port=$((30100 + RANDOM % 2500))
while (: >"/dev/tcp/127.0.0.1/$port" || : >"/dev/tcp/127.0.0.1/$((port + 1))") 2>/dev/null; do port=$((port + 2)); done

# Identifies our own processes, to end those that are left after an interruption.
export DRCTL_SELFTEST="$top"
left_running() { grep -l -s -z -x -F "DRCTL_SELFTEST=$top" /proc/[0-9]*/environ | cut -d/ -f3 | grep -v -x "$$"; }
clean_up() {
  local data process
  for data in "$top"/*/postmaster.pid "$top"/small/*/postmaster.pid; do
    if [ -s "$data" ]; then "${as[@]}" "$bin/pg_ctl" -D "${data%/*}" -m immediate -w stop >/dev/null 2>&1; fi
  done
  for process in $(left_running); do kill -9 "$process" 2>/dev/null; done
  if mountpoint -q "$top/small" 2>/dev/null; then umount "$top/small"; fi
  if [ -n "${KEEP:-}" ]; then echo "kept: $top"; else rm -rf "$top"; fi
}
trap clean_up EXIT
trap 'exit 130' INT TERM
chmod 755 "$top"
[ "$(id -u)" != 0 ] || chown postgres "$top"
cd /

word() { printf "'%s'" "${1//\'/\'\\\'\'}"; }
pg() { local tool=$1; shift; "${as[@]}" "$bin/$tool" "$@"; }
sql() { "$bin/psql" -X -A -t -q -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "$port" -U postgres -d "${2:-app}" -c "$1" 2>&1; }
ok() { checks=$((checks + 1)); printf '  ok   %s\n' "$*"; }
no() { checks=$((checks + 1)); failed=$((failed + 1)); printf '  FAIL %s\n' "$*"; }
is() { if [ "$2" = "$3" ]; then ok "$1"; else no "$1: $(printf '%q' "$2") instead of $(printf '%q' "$3")"; fi; }
has() { case "$2" in *"$3"*) ok "$1" ;; *) no "$1: \`$3\` is not in: $2" ;; esac; }
lacks() { case "$2" in *"$3"*) no "$1: \`$3\` is in: $2" ;; *) ok "$1" ;; esac; }
until_true() { for _ in $(seq 100); do if "$@" >/dev/null 2>&1; then return 0; fi; sleep 0.1; done; return 1; }
# Prints the last line. Fails if a check failed.
told() { printf '%s passed, %s failed\n' $((checks - failed)) "$failed"; [ "$failed" = 0 ]; }
