# Restores a server to a point in time from its backups and its archived WAL. Runs on the server's host as the owner of its data.
# Each job runs one part. The copy is restored beside the live data; nothing of the live data is ever deleted.
#
# Set before it, each quoted: PART (look, beside, verify, loss, swap, undo, destroy) DATA BIN CONFIG SOURCE LOGIN KEY CHECKPOINTER
# PGPASSWORD as for a rebuild; RESTORE (the name of the restore, the same in all its jobs: hex digits) TIME (RFC 3339, UTC) BACKUP
# TIMELINE (both chosen here if empty) BACKUP_LIST BACKUP_FETCH ARCHIVE_GET (texts for `sh`) RESERVE (bytes that stay free on the
# disk) PRELOAD (`live` or a list) CANARY (a table whose rows do not count) SECONDS_EACH (limit on each check); and the functions
# stop and start, and invariants, which calls `invariant NAME DATABASE is|at_least VALUE SQL` and `rows DATABASE TABLE`.
#
# BACKUP_LIST prints one line for each backup: name, begin, end (RFC 3339, UTC), size in bytes, and the first segment if known.
# BACKUP_FETCH puts the files of $DRCTL_BACKUP into the empty folder $DRCTL_FOLDER; $DRCTL_TIME is the target. ARCHIVE_GET is the
# value of `restore_command`, with %f and %p.
#
# Sources: PostgreSQL documentation, «Continuous Archiving and Point-in-Time Recovery», «Recovery Target», «Hot Standby»
# (Administrator's Overview), «pg_checksums», «pg_verifybackup», «pg_amcheck», «pg_waldump»; xlogrecovery.c for what its log says.
set -u
umask 077
export PGPASSWORD PGCONNECT_TIMEOUT=10 LC_ALL=C TZ=UTC
PATH="${BIN:+$BIN:}$PATH"
work="$DATA.drctl"
scratch="$DATA.restored-$RESTORE"
before="$DATA.before-$RESTORE"
state="$work/$RESTORE"
log="$state.server.log"
probe="$state.probe"
port=6543
stopping='recovery stopping before'

say() { printf '%s %s\n' "$(date -u +%H:%M:%SZ)" "$*"; }
fail() { say "FAILED: $*"; fact failed "$*"; exit 1; }
# For machines: a name and values, separated by tabs.
fact() {
  line=$1
  shift
  for value; do line="$line	$(printf '%s' "$value" | tr '\n\t' '  ' | cut -c1-400)"; done
  printf '%s\n' "$line" >>"$work/$KEY.facts"
}
put() { { cat >"$1.new" && mv "$1.new" "$1"; } || fail "no room in $work"; }
field() { sed -n "s/^$2	//p" "$state.$1" 2>/dev/null | tail -n 1 | cut -f1; }
control() { pg_controldata "$1" 2>/dev/null | sed -n "s/^$2: *//p"; }
running() { pg_ctl -D "$DATA" status >/dev/null 2>&1; }
ask() { psql -X -A -t -q -v ON_ERROR_STOP=1 -d "$SOURCE" -c "$1"; }
# The end of the live server's WAL; on a standby, the end of what it has replayed.
end_of_log() { ask 'SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END' 2>/dev/null; }
# Runs a command of the plan without showing it in a process list.
by_sh() { DRCTL_TEXT=$1 sh -c 'eval "$DRCTL_TEXT"'; }
# Starts a server without passing on our lock or our password.
apart() { (unset PGPASSWORD PGCONNECT_TIMEOUT LC_ALL TZ; "$@") 9>&-; }
inode() { stat -c %i "$1" 2>/dev/null; }
free() { df -P -k "$(dirname "$DATA")" | awk 'NR == 2 { printf "%.0f", $4 * 1024 }'; }

# The postmaster that works in a folder. The PID file alone is not enough: a backup may include the one of the live server.
server() {
  pid=$(head -n 1 "$1/postmaster.pid" 2>/dev/null)
  case "$pid" in '' | *[!0-9]*) return 1 ;; esac
  [ "$(readlink "/proc/$pid/cwd")" = "$(readlink -f "$1")" ] && printf '%s' "$pid"
}

# A time in UTC as text that sorts; nothing if it is not a time in UTC.
sortable() {
  printf '%s\n' "$1" |
    sed -n -E 's/^([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2}:[0-9]{2})(\.([0-9]{1,6}))?( ?(Z|UTC|\+00(:?00)?))$/\1 \2.\4000000/p' |
    cut -c1-26
}

less() { [ "$1" != "$2" ] && [ "$(printf '%s\n%s\n' "$1" "$2" | sort | head -n 1)" = "$1" ]; }

# --- positions in the log

size_of_segments() { size=$(control "$DATA" 'Bytes per WAL segment'); [ -n "$size" ] || size=$(control "$before" 'Bytes per WAL segment'); }

# Takes a segment from the live server, which has not archived its newest yet. Such a file may be an old one that was renamed for
# reuse: the position on its first page shows that.
write_take() {
  cat <<TAKE
from=$(printf '%s' "$DATA" | sed "s/'/'\\\\''/g; s/^/'/; s/\$/'/")/pg_wal/\$1
[ -e "\$from" ] || exit 1
case "\$1" in
  *.*) ;;
  *) log=\$(printf '%s' "\$1" | cut -c9-16); number=\$(printf '%s' "\$1" | cut -c17-24)
     [ "\$(od -A n -t x8 -j 8 -N 8 "\$from" | tr -d ' ')" = "\$(printf '%016x' \$(( (0x\$log << 32) + 0x\$number * $size )))" ] || exit 1 ;;
esac
cp "\$from" "\$2"
TAKE
}
from_archive() {
  # Some tools must run in a data folder, as they do when the server calls them.
  (unset PGPASSWORD; cd "$DATA" 2>/dev/null || cd "$before" || exit 1
    rm -f "$probe/got"
    by_sh "$(printf '%s' "$ARCHIVE_GET" | sed "s|%f|$1|g; s|%p|$probe/got|g; s|%r|$1|g; s|%%|%|g")" >/dev/null 2>&1 && [ -e "$probe/got" ] && mv "$probe/got" "$probe/$1")
}
obtain() { [ -e "$probe/$1" ] || from_archive "$1" || (cd "$probe" && sh "$state.take" "$1" "$1" 2>/dev/null); }
fresh_probe() { rm -rf "$probe"; mkdir "$probe" || fail "no room in $work"; }

# The forks in the history of a timeline, a line `timeline position` each, its parent last.
forks() {
  [ "$1" -gt 1 ] || return 0
  name=$(printf '%08X.history' "$1")
  obtain "$name" || return 1
  awk '$1 ~ /^[0-9]+$/ { print $1, $2 }' "$probe/$name"
}
# The position where a timeline was left in the history of another.
left_at() { forks "$2" | awk -v of="$1" '$1 == of { print $2 }'; }
# The timeline of a segment in the history of another; a segment with a fork belongs to the child.
timeline_of() {
  on=$2
  found=
  for pair in $(forks "$2" | tr ' ' '='); do
    [ -n "$found" ] || [ "$1" -ge "$(number "${pair#*=}")" ] || { found=1; on=${pair%%=*}; }
  done
  printf '%s' "$on"
}

# The commit times in a timeline from a position on: in a number of segments, or up to the first segment that has any.
times_from() {
  segment=$(number "$2")
  many=0
  while [ $many -lt "$3" ] && obtain "$(named "$1" $((segment + many)))"; do
    many=$((many + 1))
    if [ $# = 4 ] && [ -n "$(times_in "$1" "$2" $((segment + many)) | head -n 1)" ]; then break; fi
  done
  [ $many = 0 ] || times_in "$1" "$2" $((segment + many))
}
# Stops before a segment that was not obtained: without an end, pg_waldump waits five seconds for its file. The record that
# continues into that segment is left out either way.
times_in() {
  pg_waldump -p "$probe" -t "$1" -s "$2" -e "$(begin "$3")" 2>/dev/null |
    sed -n -E '/^rmgr: Transaction|END_OF_RECOVERY/s/.*[^0-9]([0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8}\.[0-9]{6}) UTC.*/\1/p'
}
