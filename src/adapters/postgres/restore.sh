# Brings a server back to the state of a point in time, from its backups and its archived log. Runs on the server's host as the
# owner of its data, one part a job. The restored copy is made beside the live data; nothing of the live data is ever deleted.
#
# In front of it are set, each quoted: PART (look, beside, verify, loss, swap, undo, destroy) DATA BIN CONFIG SOURCE LOGIN KEY
# CHECKPOINTER PGPASSWORD as for a rebuild; RESTORE (the name of the restore, the same in all its jobs: hex digits) TIME (RFC 3339,
# UTC) BACKUP TIMELINE (both chosen here if empty) BACKUP_LIST BACKUP_FETCH ARCHIVE_GET (texts for `sh`) RESERVE (bytes that stay
# free on the disk) PRELOAD (`live` or a list) CANARY (a table whose rows do not count) SECONDS_EACH (limit on each check); and the
# functions stop and start, and invariants, which calls `invariant NAME DATABASE is|at_least VALUE SQL` and `rows DATABASE TABLE`.
#
# BACKUP_LIST prints a line a backup: name, begin, end (RFC 3339, UTC), size in bytes, and if it knows it the first segment.
# BACKUP_FETCH puts the files of $DRCTL_BACKUP into the empty folder $DRCTL_FOLDER; $DRCTL_TIME is the target. ARCHIVE_GET is
# what stands in `restore_command`, with %f and %p.
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
# What a machine reads: a name and values with tabs between.
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
# A server that is started keeps neither our lock nor our password.
apart() { (unset PGPASSWORD PGCONNECT_TIMEOUT LC_ALL TZ; "$@") 9>&-; }
inode() { stat -c %i "$1" 2>/dev/null; }
free() { df -P -k "$(dirname "$DATA")" | awk 'NR == 2 { printf "%.0f", $4 * 1024 }'; }

# The postmaster that works in a folder. A backup may hold the lock file of the live one, so its word is not enough.
server() {
  pid=$(head -n 1 "$1/postmaster.pid" 2>/dev/null)
  case "$pid" in '' | *[!0-9]*) return 1 ;; esac
  [ "$(readlink "/proc/$pid/cwd")" = "$(readlink -f "$1")" ] && printf '%s' "$pid"
}

# A time as text that sorts; nothing if it is none of UTC.
sortable() {
  printf '%s\n' "$1" |
    sed -n -E 's/^([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2}:[0-9]{2})(\.([0-9]{1,6}))?( ?(Z|UTC|\+00(:?00)?))$/\1 \2.\4000000/p' |
    cut -c1-26
}

less() { [ "$1" != "$2" ] && [ "$(printf '%s\n%s\n' "$1" "$2" | sort | head -n 1)" = "$1" ]; }

# --- positions in the log

size_of_segments() { size=$(control "$DATA" 'Bytes per WAL segment'); [ -n "$size" ] || size=$(control "$before" 'Bytes per WAL segment'); }
number() { printf '%d' $(( ((0x${1%/*} << 32) | 0x${1#*/}) / size )); }
named() { printf '%08X%08X%08X' "$1" $(( $2 / (0x100000000 / size) )) $(( $2 % (0x100000000 / size) )); }
begin() { printf '%X/%X' $(( ($1 * size) >> 32 )) $(( ($1 * size) & 0xFFFFFFFF )); }
later() { [ $(( (0x${1%/*} << 32) | 0x${1#*/} )) -gt $(( (0x${2%/*} << 32) | 0x${2#*/} )) ]; }

# Out of the archive, or from the live server, which has not archived its newest yet. A segment there may be an old one that waits
# under its next name: the position on its first page tells.
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
  # Some tools want to stand in a data folder, as the server does when it asks them.
  (unset PGPASSWORD; cd "$DATA" 2>/dev/null || cd "$before" || exit 1
    rm -f "$probe/got"
    sh -c "$(printf '%s' "$ARCHIVE_GET" | sed "s|%f|$1|g; s|%p|$probe/got|g; s|%r|$1|g; s|%%|%|g")" >/dev/null 2>&1 && [ -e "$probe/got" ] && mv "$probe/got" "$probe/$1")
}
obtain() { [ -e "$probe/$1" ] || from_archive "$1" || (cd "$probe" && sh "$state.take" "$1" "$1" 2>/dev/null); }
fresh_probe() { rm -rf "$probe"; mkdir "$probe" || fail "no room in $work"; }

# Lines `timeline position` of the forks that led to a timeline, its parent last.
forks() {
  [ "$1" -gt 1 ] || return 0
  name=$(printf '%08X.history' "$1")
  obtain "$name" || return 1
  awk '$1 ~ /^[0-9]+$/ { print $1, $2 }' "$probe/$name"
}
# Where a timeline was left on the way to another.
left_at() { forks "$2" | awk -v of="$1" '$1 == of { print $2 }'; }
# The timeline of a segment on the way to another; the segment of a fork is the child's.
timeline_of() {
  on=$2
  found=
  for pair in $(forks "$2" | tr ' ' '='); do
    [ -n "$found" ] || [ "$1" -ge "$(number "${pair#*=}")" ] || { found=1; on=${pair%%=*}; }
  done
  printf '%s' "$on"
}

# The times that a timeline's log tells from a position on, in a number of segments, or up to the first that has any.
times_from() {
  segment=$(number "$2")
  many=0
  while [ $many -lt "$3" ] && obtain "$(named "$1" $((segment + many)))"; do
    many=$((many + 1))
    if [ $# = 4 ] && [ -n "$(times_in "$1" "$2" | head -n 1)" ]; then break; fi
  done
  [ $many = 0 ] || times_in "$1" "$2"
}
times_in() {
  pg_waldump -p "$probe" -t "$1" -s "$2" 2>/dev/null |
    sed -n -E '/^rmgr: Transaction|END_OF_RECOVERY/s/.*[^0-9]([0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8}\.[0-9]{6}) UTC.*/\1/p'
}

# --- what is there

# The plan may name another machine's folder: then nothing is touched.
this_is_the_one() {
  running || { [ -z "$CHECKPOINTER" ] || fail "the endpoint answers, and no server runs in $DATA: the plan's host is another one"; return 0; }
  [ -n "$CHECKPOINTER" ] || fail "a server runs in $DATA, and the endpoint does not answer: is the plan's host that of the endpoint?"
  parent=$(sed 's/.*) //' "/proc/$CHECKPOINTER/stat" 2>/dev/null | cut -d' ' -f2)
  [ "$parent" = "$(head -n 1 "$DATA/postmaster.pid")" ] ||
    fail "the server that runs in $DATA is not the one that answers at the endpoint: the plan's host is another one"
}

# Tablespaces are links out of the folder: a copy that is started would write into the live server's.
no_links_out() {
  if [ -n "$(ls -A "$1/pg_tblspc" 2>/dev/null)" ] || [ -s "$1/tablespace_map" ]; then fail "$1 has tablespaces outside of its folder: that is not supported"; fi
  out=$(find "$1" -mindepth 1 -type l ! -path "$1/pg_wal" ! -path "$1/conf.d/*" ! -path "$1/drctl.was/*" |
    while IFS= read -r link; do [ "${link%/*}" = "$1" ] && [ ! -d "$link" ] || echo "$link"; done | head -n 1)
  [ -z "$out" ] || fail "$out is a link out of the data folder: that is not supported"
}

backups() {
  (unset PGPASSWORD; sh -c "$BACKUP_LIST") >"$state.list" 9>&- || fail "the list of backups could not be read: BACKUP_LIST ended with $?"
  [ -s "$state.list" ] || fail "there is no backup: the list is empty"
  while read -r name started ended bytes first rest; do
    if [ -z "$(sortable "$started")" ] || [ -z "$(sortable "$ended")" ] || [ -n "$rest" ]; then fail "the list of backups has a line that is not understood: $name $started $ended $bytes $first $rest"; fi
    case "$bytes" in '' | *[!0-9]*) fail "backup $name has no size in bytes: $bytes" ;; esac
  done <"$state.list"
}

# A backup of a branch that the live server's history left behind leads elsewhere.
on_the_way() {
  [ ${#1} -eq 24 ] || return 0
  of=$((0x$(printf '%s' "$1" | cut -c1-8)))
  [ "$of" != "$2" ] || return 0
  until_then=$(left_at "$of" "$2")
  [ -n "$until_then" ] || return 1
  ! less "$(named 1 "$(number "$until_then")" | cut -c9-)" "$(printf '%s' "$1" | cut -c9-)"
}

# The newest that ended before the time.
pick() {
  best='' best_end='' best_size=0 best_first='' oldest='' why=''
  while read -r name started ended bytes first; do
    end=$(sortable "$ended")
    if [ -z "$oldest" ] || less "$end" "$oldest"; then oldest=$end; fi
    if [ -n "$BACKUP" ] && [ "$BACKUP" != "$name" ]; then continue; fi
    if less "$target" "$end"; then why="it ended at $ended"; continue; fi
    on_the_way "${first:-}" "$timeline" || { why="it is of a branch that timeline $timeline left behind"; continue; }
    if [ -z "$best" ] || less "$best_end" "$end"; then best=$name best_end=$end best_size=$bytes best_first=${first:-}; fi
  done <"$state.list"
  [ -n "$best" ] || [ -z "$BACKUP" ] || fail "backup $BACKUP cannot lead to $TIME: ${why:-it is not in the list}"
  [ -n "$best" ] || fail "no backup leads to $TIME: the oldest one ended at $oldest UTC${why:+; of the last one: $why}"
}

# The live server's timeline, or the one that it left, where what was committed by that time is only there: after a restore that
# went too far back, and for what a lost primary had committed.
choose_timeline() {
  live=$(control "$DATA" "Latest checkpoint's TimeLineID")
  told=$(ask "SELECT ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int" 2>/dev/null) && live=$told
  timeline=$(field recovered timeline)
  [ -z "$timeline" ] || return 0
  timeline=${TIMELINE:-$live}
  while [ -z "$TIMELINE" ] && [ "$timeline" -gt 1 ]; do
    forks "$timeline" >"$probe/forks" || fail "the history of timeline $timeline is neither in the archive nor in $DATA"
    read -r parent position <<LAST
$(tail -n 1 "$probe/forks")
LAST
    first=$(times_from "$timeline" "$position" 16 any | head -n 1)
    if [ -n "$first" ] && ! less "$target" "$first"; then break; fi
    other=$(times_from "$parent" "$position" 16 any | head -n 1)
    if [ -z "$other" ] || less "$target" "$other"; then break; fi
    say "timeline $timeline began after $TIME, and timeline $parent has commits of that time that it left behind at $position: taking timeline $parent"
    timeline=$parent
  done
}

# Nothing ends a recovery at a time but a commit after it, so an idle server is given one.
mark() {
  live_end=$(ask 'SELECT pg_current_wal_lsn()' 2>/dev/null) || { live_end=$(control "$DATA" 'Latest checkpoint location'); return 0; }
  [ "$(ask 'SELECT pg_is_in_recovery()')" = f ] || fail "the live server is a standby"
  now=$(sortable "$(ask "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')")")
  less "$target" "$now" || fail "$TIME is in the future: the live server's clock says $now UTC"
  ask 'SELECT txid_current()' >/dev/null || fail "the login may not even take a transaction number"
  sleep 1
  live_end=$(ask 'SELECT pg_current_wal_lsn()')
}

where_to() {
  target=$(sortable "$TIME")
  [ -n "$target" ] || fail "$TIME is no time of RFC 3339 in UTC"
  [ -e "$DATA/PG_VERSION" ] || fail "$DATA is no data folder of a server"
  case "$ARCHIVE_GET" in *%f*%p* | *%p*%f*) ;; *) fail "ARCHIVE_GET lacks %f or %p" ;; esac
  case "$ARCHIVE_GET" in *'
'*) fail "ARCHIVE_GET is more than one line" ;; esac
  size_of_segments
  write_take | put "$state.take"
  fresh_probe
  this_is_the_one
  less "$target" "$(date -u '+%Y-%m-%d %H:%M:%S.999999')" || fail "$TIME is in the future"
}

look() {
  where_to
  live_end=$(ask 'SELECT pg_current_wal_lsn()' 2>/dev/null) || live_end=$(control "$DATA" 'Latest checkpoint location')
  choose_timeline
  backups
  while read -r name started ended bytes first; do fact backup "$name" "$started" "$ended" "$bytes" "${first:-}"; done <"$state.list"
  fact timeline "$timeline" "$live"
  fact free "$(free)"
  fact checksums "$(control "$DATA" 'Data page checksum version')"
  if [ -n "$(ls -A "$DATA/pg_tblspc")" ]; then fact swappable no "tablespaces outside of the data folder"
  elif [ -L "$DATA" ] || [ "$(stat -c %d "$DATA")" != "$(stat -c %d "$(dirname "$DATA")")" ]; then fact swappable no "$DATA cannot be renamed: a link or a mount point"
  else fact swappable yes; fi
  pick
  fact chosen "$best" "$best_end" "$best_size"
  [ ${#best_first} -ne 24 ] || fact replay $(( ($(number "$live_end") + 1 - 0x$(printf '%s' "$best_first" | cut -c9-16) * (0x100000000 / size) - 0x$(printf '%s' "$best_first" | cut -c17-24)) * size ))
}

# --- beside: fetch

room() {
  have=$(free)
  [ "$have" -ge "$1" ] || { say "$(dirname "$DATA") has $have bytes free, and $1 are needed"; return 1; }
}

fetch() {
  [ -e "$state.fetched" ] && return 0
  room $((best_size + RESERVE)) || fail "no room for backup $best: $best_size bytes, and $RESERVE stay free for the live server"
  # What an attempt that was broken off left is worth nothing.
  if [ -e "$scratch" ]; then
    if server "$scratch" >/dev/null; then fail "a server runs in $scratch, which was not fetched by this restore"; fi
    rm -rf "$scratch" || fail "$scratch cannot be removed"
  fi
  mkdir "$scratch" || fail "$scratch cannot be made"
  say "fetching backup $best"
  since=$(date +%s)
  DRCTL_BACKUP=$best DRCTL_FOLDER=$scratch DRCTL_TIME=$TIME PGPASSWORD='' setsid sh -c "$BACKUP_FETCH" &
  fetcher=$!
  while kill -0 $fetcher 2>/dev/null; do
    room "$RESERVE" || { kill -9 -- -$fetcher; wait $fetcher; rm -rf "$scratch"; fail "the disk got full while backup $best was fetched: stopped, and what was fetched is removed"; }
    sleep 1
  done
  wait $fetcher
  ended=$?
  if [ $ended != 0 ]; then
    rm -rf "$scratch"
    fail "backup $best was not fetched: BACKUP_FETCH ended with $ended; what it left is removed"
  fi
  # The lock file of the server that was copied would make this copy look like that one.
  rm -f "$scratch/postmaster.pid" "$scratch/postmaster.opts" "$scratch/standby.signal" "$scratch/recovery.signal" "$scratch/recovery.conf"
  sound
  fact fetched "$best" "$(du -s -k "$scratch" | awk '{ printf "%.0f", $1 * 1024 }')" $(($(date +%s) - since))
  printf 'backup\t%s\ntarget\t%s\n' "$best" "$target" | put "$state.fetched"
}

# Nothing of it was started yet.
sound() {
  [ -e "$scratch/PG_VERSION" ] || fail "backup $best holds no data folder: BACKUP_FETCH has to put PG_VERSION into \$DRCTL_FOLDER itself"
  [ "$(cat "$scratch/PG_VERSION")" = "$(cat "$DATA/PG_VERSION")" ] || fail "backup $best is of PostgreSQL $(cat "$scratch/PG_VERSION"), the live server is $(cat "$DATA/PG_VERSION")"
  [ "$(control "$scratch" 'Database system identifier')" = "$(control "$DATA" 'Database system identifier')" ] || fail "backup $best is of another server: its system identifier is another"
  if [ -L "$scratch/pg_wal" ]; then { rm "$scratch/pg_wal" && mkdir "$scratch/pg_wal"; } || fail "pg_wal of $scratch"; fi
  no_links_out "$scratch"
  label="$scratch/backup_label"
  [ -e "$label" ] || [ "$(control "$scratch" 'Database cluster state')" = 'shut down' ] || fail "backup $best has no backup_label and is not of a stopped server: it is a copy that cannot be trusted"
  { rm -rf "$scratch/pg_replslot" && mkdir "$scratch/pg_replslot"; } || fail "pg_replslot of $scratch"
  chmod 700 "$scratch"
  begun=$(sed -n 's/^START WAL LOCATION: \([0-9A-F/]*\).*/\1/p' "$label" 2>/dev/null)
  of=$(sed -n 's/^START TIMELINE: //p' "$label" 2>/dev/null)
  if [ -n "$begun" ] && [ -n "$of" ] && [ "$of" != "$timeline" ]; then
    fork=$(left_at "$of" "$timeline")
    if [ -z "$fork" ] || later "$begun" "$fork"; then fail "backup $best was taken on a branch (timeline $of at $begun) that timeline $timeline does not come from: take an older one"; fi
  fi
  # A manifest that came from an older copy is of that one.
  if [ -n "$begun" ] && grep -q "\"Start-LSN\": \"$begun\"" "$scratch/backup_manifest" 2>/dev/null; then
    said=$(pg_verifybackup -n -q -e "$scratch" 2>&1) || {
      said=$(printf '%s\n' "$said" | grep -v -E 'pg_replslot|"(postmaster|standby|recovery)\.' | grep 'error:' | head -n 3)
      [ -z "$said" ] || { say "$said"; fail "backup $best is corrupt: $said"; }
    }
    fact manifest pass
  fi
}

# --- beside: recover

setting() { printf "%s = '%s'\n" "$1" "$(printf '%s' "$2" | sed "s/\\\\/\\\\\\\\/g; s/'/''/g")"; }
# A hot standby needs what its primary has, and what it had on the way.
most() {
  { control "$scratch" "$1"; control "$DATA" "$1"; sed -n "s/^$2 //p" "$state.raised" 2>/dev/null; echo "$3"; } | sort -n | tail -n 1
}
# What runs by itself in a server that has these would run twice.
preloaded() {
  [ "$PRELOAD" = live ] || { printf '%s' "$PRELOAD"; return; }
  postgres -C shared_preload_libraries -D "$DATA" ${CONFIG:+-c config_file="$CONFIG"} 2>/dev/null | tr ', ' '\n' |
    grep -v -x -E '|.*(pg_cron|pglogical|bdr|spock|repmgr|pgautofailover|pg_squeeze|pg_partman_bgw|powa|pg_auto_failover|pg_background|pg_net|plprofiler|supabase.*)(\.so)?' |
    paste -s -d, -
}

sockets() {
  sockets="$work/s-$(printf '%s' "$RESTORE" | cut -c1-8)"
  if [ ${#sockets} -gt 80 ]; then
    sockets=$(cat "$state.sockets" 2>/dev/null) || { sockets=$(mktemp -d /tmp/drctl-XXXXXX) && printf '%s' "$sockets" | put "$state.sockets"; }
  fi
  mkdir -p "$sockets" && chmod 700 "$sockets"
}

# Only what is written here holds: none of the settings that came along, and nobody but us can connect.
configure() {
  mkdir -p "$scratch/drctl.was"
  for file in postgresql.conf postgresql.auto.conf pg_hba.conf; do
    if [ -e "$scratch/$file" ] && ! [ -e "$scratch/drctl.was/$file" ]; then mv "$scratch/$file" "$scratch/drctl.was/"; fi
  done
  cp "$state.take" "$scratch/drctl.take"
  {
    setting listen_addresses ''
    setting unix_socket_directories "$sockets"
    setting unix_socket_permissions 0700
    setting port $port
    setting ssl off
    setting logging_collector off
    setting log_destination stderr
    setting log_min_messages warning
    setting log_min_error_statement panic
    setting log_timezone UTC
    setting timezone UTC
    setting lc_messages C
    setting autovacuum off
    setting max_logical_replication_workers 0
    setting shared_preload_libraries "$(preloaded)"
    setting max_connections "$(most 'max_connections setting' max_connections 20)"
    setting max_wal_senders "$(most 'max_wal_senders setting' max_wal_senders 0)"
    setting max_prepared_transactions "$(most 'max_prepared_xacts setting' max_prepared_transactions 0)"
    setting max_locks_per_transaction "$(most 'max_locks_per_xact setting' max_locks_per_transaction 64)"
    # An exit code above 125 says that the command itself is at fault, and recovery ends.
    setting restore_command "( $ARCHIVE_GET ); e=\$?; if [ \$e -gt 0 ] && [ \$e -le 125 ]; then sh drctl.take %f %p; else exit \$e; fi"
    setting recovery_target_time "$target+00"
    setting recovery_target_inclusive on
    setting recovery_target_timeline "$timeline"
    setting recovery_target_action "$1"
    if [ "$1" = pause ]; then
      setting hot_standby on
      setting max_worker_processes "$(most 'max_worker_processes setting' max_worker_processes 8)"
      setting archive_mode off
    else
      # Without hot standby no setting has to be the primary's, so nothing that works by itself is let in. What the new timeline
      # needs in the archive waits there for the live server's own command.
      setting hot_standby off
      setting max_worker_processes 0
      setting wal_level replica
      setting archive_mode on
      setting archive_command ''
    fi
  } >"$scratch/postgresql.conf" || fail "no room for the settings of the copy"
  : >"$scratch/postgresql.auto.conf"
  printf 'local all all trust\n' >"$scratch/pg_hba.conf"
}

launch() {
  : >"$log"
  apart pg_ctl -D "$scratch" -W -s -l "$log" start </dev/null >/dev/null
  tries=0
  until server "$scratch" >/dev/null || grep -q -E 'FATAL|PANIC' "$log" || [ $tries -ge 10 ]; do tries=$((tries + 1)); sleep 1; done
}
halt() {
  server "$scratch" >/dev/null || return 0
  pg_ctl -D "$scratch" -m fast -w -t 600 stop >/dev/null || pg_ctl -D "$scratch" -m immediate -w stop >/dev/null
  ! server "$scratch" >/dev/null
}

inside() {
  for who in ${role:-} "$(id -un)" postgres "$LOGIN"; do
    PGOPTIONS="-c default_transaction_read_only=on -c statement_timeout=${SECONDS_EACH}s" PGPASSWORD='' \
      psql -X -A -t -q -v ON_ERROR_STOP=1 -h "$sockets" -p $port -U "$who" -d "$1" -c "$2" 2>"$state.said" && { role=$who; return 0; }
    grep -q 'role .* does not exist' "$state.said" || return 1
  done
  return 1
}

# Settings that were once larger than now: an older server stops, a newer one waits.
raise() {
  sed -n -E 's/.*(max_[a-z_]+) = [0-9]+ is a lower setting than on the [a-z]+ server[^0-9]*([0-9]+).*/\1 \2/p' "$log" >"$state.more"
  [ -s "$state.more" ] || return 1
  say "the server had larger settings on the way: $(paste -s -d, "$state.more")"
  cat "$state.more" >>"$state.raised"
  halt
}

recover() {
  [ ! -e "$state.recovered" ] || return 0
  since=$(date +%s)
  to_target
  reached $(($(date +%s) - since))
}

# Runs it up to the target, where it waits.
to_target() {
  sockets
  if ! server "$scratch" >/dev/null; then
    say "recovering to $TIME on timeline $timeline"
    : >"$scratch/recovery.signal"
    configure pause
    launch
  fi
  turns=0
  until grep -q "$stopping" "$log" && [ "$(inside template1 'SELECT pg_is_in_recovery() AND pg_is_wal_replay_paused()')" = t ]; do
    if ! server "$scratch" >/dev/null || grep -q 'recovery has paused' "$log"; then
      if raise; then configure pause; launch; continue; fi
      server "$scratch" >/dev/null || why_not
    fi
    if [ "$(inside template1 'SELECT pg_is_in_recovery()')" = f ]; then halt; why_not; fi
    room "$RESERVE" || full
    turns=$((turns + 1))
    if [ $((turns % 10)) = 0 ]; then fact progress "$(inside template1 'SELECT pg_last_wal_replay_lsn(), pg_last_xact_replay_timestamp()')"; fi
    sleep 1
  done
}

# It stopped: before a commit after the target, and nowhere else.
reached() {
  line=$(grep "$stopping" "$log" | tail -n 1)
  next=$(sortable "${line##*time }")
  if [ -z "$next" ] || ! less "$target" "$next"; then fail "recovery stopped where it should not: $line"; fi
  stop=$(inside template1 'SELECT pg_last_wal_replay_lsn()')
  last=$(inside template1 "SELECT to_char(pg_last_xact_replay_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')")
  [ -n "$stop" ] || fail "the copy does not say how far it is"
  ! less "$target" "$(sortable "$last")" || fail "the copy holds a commit of $last"
  fresh_probe
  late=$(times_from "$timeline" "$stop" 2 | awk -v t="$target" '($0 "") <= t' | wc -l)
  [ "$late" = 0 ] || say "$late transactions that ended by then were logged after one that ended later (a clock that was set back?): they are not in the copy"
  printf 'stop\t%s\nlast\t%s\nnext\t%s\nlate\t%s\ntimeline\t%s\ntarget\t%s\nseconds\t%s\nredo\t%s\n' "$stop" "$last" "$next" "$late" "$timeline" "$target" "$1" "$(control "$scratch" "Latest checkpoint's REDO location")" | put "$state.recovered"
}

forget() { rm -f "$state.fetched" "$state.recovered" "$state.verified" "$state.promoted"; }
# The live server writes to the same disk.
full() {
  halt
  rm -rf "$scratch"
  forget
  fail "the disk got full while the log was replayed: stopped, and the copy is removed"
}

# Why recovery ended before the target, in words that say what to do.
why_not() {
  if grep -q 'No space left' "$log" || ! room "$RESERVE"; then full; fi
  if grep -q 'before consistent recovery point' "$log"; then fail "backup $best was not complete yet at $TIME: take an older one"; fi
  redo=$(sed -n 's/.*redo done at \([0-9A-F/]*\).*/\1/p' "$log" | tail -n 1)
  case "$(cat "$log")" in
    *'ended before configured recovery target'* | *'redo done at'* | *'wrong size'* | *'WAL ends before'* | *'could not locate required checkpoint'* | *'invalid checkpoint'*) unreached ;;
  esac
  fail "the copy does not start: $(grep -E 'FATAL|PANIC|ERROR' "$log" | tail -n 1 | sed 's/^.*\] *//')"
}

unreached() {
  final=$(sed -n 's/.*last completed transaction was at log time //p' "$log" | tail -n 1)
  reach="nothing after the backup can be reached"
  if [ -n "$final" ]; then reach="the last time that can be reached is just before $final"; fact reachable "$final"; fi
  [ -n "$redo" ] || redo=$(begin "$(number "$(sed -n 's/.*redo starts at \([0-9A-F/]*\).*/\1/p; s/^START WAL LOCATION: \([0-9A-F/]*\).*/\1/p' "$log" "$scratch/backup_label" "$scratch/backup_label.old" 2>/dev/null | head -n 1)")")
  fresh_probe
  at=$(number "$redo")
  here=$(named "$(timeline_of "$at" "$timeline")" "$at")
  then=$(named "$(timeline_of $((at + 1)) "$timeline")" $((at + 1)))
  bad=$(grep -E 'checksum in record|invalid|unexpected|wrong size|contrecord|incorrect prev-link|record with' "$log" | tail -n 1 | sed 's/^.*LOG: *//; s/^.*FATAL: *//')
  # Where it says that the log is bad; at the end of an archive that is only its end.
  spot=$(printf '%s' "$bad" | sed -n 's/.*archive file "\([0-9A-F]*\)".*/\1/p')
  if [ -z "$spot" ]; then
    spot=$(printf '%s' "$bad" | sed -n -E 's/.* at ([0-9A-F]+\/[0-9A-F]+).*/\1/p')
    if [ -n "$spot" ]; then spot=$(named "$(timeline_of "$(number "$spot")" "$timeline")" "$(number "$spot")"); else spot=$here; fi
  fi
  case "$bad" in *checksum* | *'wrong size'*) fail "segment $spot in the archive is damaged: $bad; $reach" ;; esac
  obtain "$here" || fail "segment $here of the log is missing in the archive; $reach"
  if obtain "$then"; then fail "segment $spot in the archive is damaged: ${bad:-it ends too early}; $reach"; fi
  if later "$live_end" "$(begin $((at + 1)))" && [ "$timeline" = "$live" ]; then fail "segment $then of the log is missing in the archive, and the live server has written up to $live_end; $reach"; fi
  fail "the log of timeline $timeline ends with segment $here, before $TIME; $reach (was another timeline in use then? TIMELINE names one)"
}

beside() {
  [ ! -e "$state.swap" ] || fail "restore $RESTORE was put in place already"
  where_to
  [ -e "$scratch" ] || forget
  [ "$(field fetched target)" = "$target" ] || [ ! -e "$state.fetched" ] || fail "restore $RESTORE is one to $(field fetched target) UTC"
  mark
  choose_timeline
  if [ ! -e "$state.fetched" ]; then backups; pick; fetch; fi
  best=$(field fetched backup)
  recover
  fact backup "$best"
  tell
  say "recovered to $TIME: the last commit in it is ${last:+of }${last:-of before the end of its backup}, the next one was of $(field recovered next) UTC"
}

tell() {
  last=$(field recovered last)
  fact position "$(field recovered stop)" "$(field recovered timeline)"
  fact last_commit "$last"
  fact next_commit "$(field recovered next)"
  fact late "$(field recovered late)"
  fact replayed_in "$(field recovered seconds)"
}

# --- verify

bad() { printf '%s\n' "$1 $2" >>"$state.bad"; fact "$@"; }
said() { sed 's/^psql: //; s/^error: //' "$state.said" | head -n 1; }
databases() { inside template1 "SELECT datname FROM pg_database WHERE datallowconn AND datname <> 'template0' ORDER BY 1"; }
quoted() { printf "'%s'" "$(printf '%s' "$1" | sed "s/'/''/g")"; }

invariant() {
  found=$(inside "$2" "$5") || { bad invariant "$1" error "$3 $4" "$(said)"; return 0; }
  case "$3" in
    is) [ "$found" = "$4" ] && holds=t ;;
    at_least) holds=$(inside template1 "SELECT $(quoted "$found")::numeric >= $(quoted "$4")::numeric") || holds='' ;;
    *) holds='' ;;
  esac
  if [ "${holds:-}" = t ]; then fact invariant "$1" pass "$3 $4" "$found"; else bad invariant "$1" fail "$3 $4" "$found"; fi
  holds=
}

rows() {
  count=$(inside "$1" "SELECT count(*) FROM $2") || { bad rows "$1 $2" error "$(said)"; return 0; }
  fact rows "$1 $2" "$count"
}

# As the server checks a constraint when it is made (ri_triggers.c, RI_Initial_Check), and without the indexes: a broken one would
# show what it holds and not what the tables hold.
keys_of() {
  inside "$1" "SELECT concat_ws(chr(9), c.conrelid::regclass || '.' || c.conname, c.convalidated,
      format('SELECT count(*) FROM %s%s fk LEFT JOIN %s%s pk ON %s WHERE pk.%I IS NULL AND (%s)', CASE f.relkind WHEN 'p' THEN '' ELSE 'ONLY ' END,
        c.conrelid::regclass, CASE p.relkind WHEN 'p' THEN '' ELSE 'ONLY ' END, c.confrelid::regclass, k.same, k.first, k.filled))
    FROM pg_constraint c JOIN pg_class f ON f.oid = c.conrelid JOIN pg_class p ON p.oid = c.confrelid,
      LATERAL (SELECT string_agg(format('pk.%I OPERATOR(%I.%s) fk.%I', pa.attname, n.nspname, o.oprname, fa.attname) ||
            CASE WHEN pa.attcollation <> fa.attcollation AND pa.attcollation <> 0 THEN (SELECT format(' COLLATE %I.%I', cn.nspname, l.collname)
              FROM pg_collation l JOIN pg_namespace cn ON cn.oid = l.collnamespace WHERE l.oid = pa.attcollation) ELSE '' END, ' AND ' ORDER BY u.i) AS same,
          string_agg(format('fk.%I IS NOT NULL', fa.attname), CASE c.confmatchtype WHEN 'f' THEN ' OR ' ELSE ' AND ' END) AS filled,
          (array_agg(pa.attname ORDER BY u.i))[1] AS first
        FROM unnest(c.conkey, c.confkey, c.conpfeqop) WITH ORDINALITY u(fk, pk, op, i)
          JOIN pg_attribute fa ON fa.attrelid = c.conrelid AND fa.attnum = u.fk JOIN pg_attribute pa ON pa.attrelid = c.confrelid AND pa.attnum = u.pk
          JOIN pg_operator o ON o.oid = u.op JOIN pg_namespace n ON n.oid = o.oprnamespace) k
    WHERE c.contype = 'f' AND c.conparentid = 0 ORDER BY 1"
}
foreign_keys() {
  keys_of "$1" >"$state.keys" || { bad foreign_keys "$1" error "$(said)"; return 0; }
  good=0 unproven=0 broken=0
  while IFS='	' read -r name validated query; do
    # Its owner never had it checked: that is so on the live server, too.
    if [ "$validated" = f ]; then unproven=$((unproven + 1)); continue; fi
    orphans=$(inside "$1" "SET enable_indexscan = off; SET enable_indexonlyscan = off; SET enable_bitmapscan = off; $query") ||
      { broken=$((broken + 1)); bad foreign_key "$1 $name" error "$(said)"; continue; }
    if [ "$orphans" = 0 ]; then good=$((good + 1)); else broken=$((broken + 1)); bad foreign_key "$1 $name" fail "$orphans rows"; fi
  done <"$state.keys"
  fact foreign_keys "$1" "$good" "$broken" "$unproven"
}

# Without checksums: the indexes against the tables where the extension is there, and every row is read.
read_all() {
  for database in $(databases); do
    if [ "$(inside "$database" "SELECT count(*) FROM pg_extension WHERE extname = 'amcheck'")" = 1 ] && command -v pg_amcheck >/dev/null; then
      if pg_amcheck -h "$sockets" -p $port -U "$role" -d "$database" --heapallindexed >"$state.said" 2>&1; then fact amcheck "$database" pass
      else bad amcheck "$database" fail "$(grep -v '^pg_amcheck: query' "$state.said" | head -n 2)"; fi
    else
      fact amcheck "$database" unknown 'no pg_amcheck, or no extension there'
    fi
    if pg_dump -h "$sockets" -p $port -U "$role" -d "$database" >/dev/null 2>"$state.said"; then fact readable "$database" pass
    else bad readable "$database" fail "$(said)"; fi
  done
}

verify() {
  where_to
  if [ ! -e "$state.recovered" ] || [ ! -e "$scratch" ]; then fail "nothing was restored yet"; fi
  [ ! -e "$state.promoted" ] || fail "the copy was promoted already: it is looked at before that"
  timeline=$(field recovered timeline) best=$(field fetched backup) live=$timeline live_end=0/0
  rm -f "$state.verified"
  : >"$state.bad"
  to_target
  [ "$(inside template1 'SELECT pg_last_wal_replay_lsn()')" = "$(field recovered stop)" ] || fail "the copy is not where recovery left it"
  inside template1 'SELECT 1' >/dev/null
  tell
  # What the copy would do by itself once it serves.
  fact prepared "$(inside template1 'SELECT count(*) FROM pg_prepared_xacts')"
  for database in $(databases); do
    many=$(inside "$database" 'SELECT count(*) FROM pg_subscription WHERE subenabled AND subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())')
    [ "${many:-0}" = 0 ] || fact subscriptions "$database" "$many"
    foreign_keys "$database"
  done
  invariants
  sums=$(control "$scratch" 'Data page checksum version')
  [ "${sums:-0}" != 0 ] || read_all
  halt || fail "the copy does not stop"
  if [ "${sums:-0}" != 0 ]; then
    say "checking every page"
    if pg_checksums --check -D "$scratch" >"$state.said" 2>&1; then fact checksums pass "$(sed -n 's/^Blocks scanned: *//p' "$state.said")"
    else bad checksums fail "$(sed -n 's/^Bad checksums: *//p' "$state.said")" "$(grep -m 1 'error:' "$state.said" | sed "s|$scratch/||")"; fi
  fi
  [ ! -s "$state.bad" ] || fail "the copy is not sound: $(paste -s -d ';' "$state.bad")"
  printf '%s\n' "$KEY" | put "$state.verified"
  say "the copy is sound"
}

# --- loss: what the live server holds and the copy does not

padded() { printf '%08X%08X' $((0x${1%/*})) $((0x${1#*/})); }
# When each transaction was committed that changed rows of a table (files below 16384 are of catalogs), or made one.
commits_of_rows() {
  awk -v skip="$1" -v after="$(padded "${2:-0/0}")" -v clean=$((2 - $#)) '
    function xid() { return match($0, /tx: +[0-9]+/) ? substr($0, RSTART + 3, RLENGTH - 3) + 0 : 0 }
    # What ran already where this log begins may have changed rows before; nothing ran if it begins with a shutdown.
    /desc: RUNNING_XACTS/ && !clean && !seen++ && match($0, /xacts: [0-9 ]+/) {
      n = split(substr($0, RSTART + 7, RLENGTH - 7), all, " ")
      for (k = 1; k <= n; k++) running[all[k]] = 1
    }
    /^rmgr: Heap/ && /desc: (INSERT|UPDATE|HOT_UPDATE|DELETE|MULTI_INSERT|TRUNCATE)/ && match($0, /rel [0-9]+\/[0-9]+\/[0-9]+/) {
      name = substr($0, RSTART + 4, RLENGTH - 4); split(name, file, "/")
      if (file[3] >= 16384) { if (skip != "" && file[2] "/" file[3] == skip) ours[xid()] = 1; else changed[xid()] = 1 }
    }
    /^rmgr: Storage/ && match($0, /CREATE base\/[0-9]+\/[0-9]+/) {
      split(substr($0, RSTART, RLENGTH), file, "/")
      if (skip != "" && file[2] "/" file[3] == skip) ours[xid()] = 1; else made[xid()] = 1
    }
    /^rmgr: Transaction/ && /desc: COMMIT/ {
      of = xid()
      if (match($0, /COMMIT_PREPARED [0-9]+/)) of = substr($0, RSTART + 16, RLENGTH - 16) + 0
      n = 0
      if (match($0, /subxacts: [0-9 ]+/)) n = split(substr($0, RSTART + 10, RLENGTH - 10), all, " ")
      all[n + 1] = of
      hit = new = own = old = 0
      for (k = 1; k <= n + 1; k++) {
        hit += all[k] in changed; new += all[k] in made; own += all[k] in ours
        old += all[k] in running
      }
      match($0, /lsn: [0-9A-F]+\/[0-9A-F]+/)
      split(substr($0, RSTART + 5, RLENGTH - 5), lsn, "/")
      if (substr("00000000" lsn[1], length(lsn[1]) + 1) substr("00000000" lsn[2], length(lsn[2]) + 1) < after) next
      if ((hit || old || (new && !own)) && match($0, /[0-9]+-[0-9]+-[0-9]+ [0-9:.]+/)) print substr($0, RSTART, RLENGTH) (hit || !old ? "" : " ?")
    }'
}

canary() {
  [ -n "$CANARY" ] || return 0
  # shellcheck disable=SC2153
  found=$(psql -X -A -t -q -d "$SOURCE dbname='$DATABASE'" -c "SELECT (SELECT oid FROM pg_database WHERE datname = current_database()) || '/' || pg_relation_filenode(to_regclass($(quoted "$CANARY")))" 2>/dev/null)
  [ -z "$found" ] || printf '%s' "$found" | put "$state.canary"
}

# Two segments at a time: a record may begin in one and end in the next.
log_from() {
  start=$1
  while :; do
    have=$(named "$(timeline_of "$at" "$live")" "$at")
    obtain "$have" || { printf '%s' "$have" >"$state.hole"; return; }
    obtain "$(named "$(timeline_of $((at + 1)) "$live")" $((at + 1)))"
    pg_waldump -p "$probe" -t "$(timeline_of "$at" "$live")" -s "$start" -e "$(begin $((at + 1)))" 2>/dev/null
    rm -f "$probe/$have"
    at=$((at + 1))
    start=$(begin "$at")
    later "$live_end" "$start" || return
  done
}

loss() {
  where_to
  [ -e "$state.recovered" ] || fail "nothing was restored yet"
  [ ! -e "$state.swap" ] || fail "restore $RESTORE was put in place already"
  timeline=$(field recovered timeline) from=$(field recovered stop)
  live=$(ask "SELECT ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int" 2>/dev/null) || live=$(control "$DATA" "Latest checkpoint's TimeLineID")
  live_end=$(ask 'SELECT pg_current_wal_lsn()' 2>/dev/null) || live_end=$(control "$DATA" 'Latest checkpoint location')
  canary
  if [ "$timeline" != "$live" ]; then
    fork=$(left_at "$timeline" "$live")
    [ -n "$fork" ] || fail "timeline $timeline is not of the live server's history"
    if later "$from" "$fork"; then from=$fork; fi
  fi
  # What was under way at that position had changed rows before.
  since=$(field recovered redo)
  if later "$since" "$from"; then since=$from; fi
  at=$(number "$since")
  rm -f "$state.hole"
  log_from "$since" | commits_of_rows "$(cat "$state.canary" 2>/dev/null)" "$from" >"$state.lost"
  # From the first commit that is lost to the last: what a person has to judge.
  basis=exactly
  if grep -q '?' "$state.lost"; then basis=at_most; fi
  if [ -e "$state.hole" ]; then basis="at_least"; say "segment $(cat "$state.hole") is not to be had"; fi
  fact loss $basis "$(wc -l <"$state.lost")" "$(head -n 1 "$state.lost" | tr -d '?')" "$(tail -n 1 "$state.lost" | tr -d '?')"
  say "$(wc -l <"$state.lost") transactions that changed rows are not in the copy"
}

# --- swap

# Ends the recovery of the copy, while the live server still serves. Nothing but its own first checkpoint is written.
promote() {
  [ ! -e "$state.promoted" ] || return 0
  sockets
  halt || fail "the copy does not stop"
  say "promoting the copy"
  configure promote
  launch
  until [ "$(inside template1 'SELECT NOT pg_is_in_recovery()')" = t ]; do
    server "$scratch" >/dev/null || why_not
    sleep 1
  done
  halt || fail "the copy does not stop"
  [ "$(control "$scratch" 'Database cluster state')" = 'shut down' ] || fail "the copy was not shut down cleanly"
  new_timeline=$(control "$scratch" "Latest checkpoint's TimeLineID")
  history=$(printf '%s/pg_wal/%08X.history' "$scratch" "$new_timeline")
  fork=$(awk '$1 ~ /^[0-9]+$/ { print $1, $2 }' "$history" | tail -n 1)
  [ "$fork" = "$(field recovered timeline) $(field recovered stop)" ] || fail "the copy was promoted at another position than the one that was verified: $fork"
  printf 'timeline\t%s\n' "$new_timeline" | put "$state.promoted"
}

# It gets the live server's settings and certificates, and nothing of ours stays in it.
dress() {
  chmod "$(stat -c %a "$DATA")" "$scratch" || return 1
  rm -rf "$scratch/postgresql.conf" "$scratch/postgresql.auto.conf" "$scratch/pg_hba.conf" "$scratch/drctl.was" "$scratch/drctl.take" \
    "$scratch/recovery.signal" "$scratch/standby.signal" || return 1
  for file in "$DATA"/*.conf "$DATA"/*.crt "$DATA"/*.key "$DATA"/*.pem "$DATA"/conf.d; do
    if [ -d "$file" ]; then rm -rf "${scratch:?}/$(basename "$file")"; fi
    if [ -e "$file" ]; then cp -pR "$file" "$scratch/" || return 1; fi
  done
}

# What the archive has is not sent there again: most commands refuse to write over a file, and archiving would stand still.
settle_archive() {
  for file in "$1"/pg_wal/????????????????????????*; do
    name=$(basename "$file" .partial)
    if [ ${#name} -ne 24 ] || [ $((0x$(printf '%s' "$name" | cut -c1-8))) = "$(field promoted timeline)" ] || ! from_archive "$name"; then continue; fi
    rm -f "$probe/$name" "$1/pg_wal/archive_status/$(basename "$file").ready"
    : >"$1/pg_wal/archive_status/$(basename "$file").done" || return 1
  done
}

prepare() {
  this_is_the_one
  no_links_out "$DATA"
  ! [ -L "$DATA" ] || fail "$DATA is a link: the plan has to name the folder itself"
  [ "$(stat -c %d "$DATA")" = "$(stat -c %d "$scratch")" ] || fail "$DATA is a mount point: it cannot be renamed"
  [ ! -e "$before" ] || fail "$before is there already"
  [ ! -L "$DATA/pg_wal" ] || { fact wal_folder inside "$(readlink "$DATA/pg_wal")"; say "the live server's log is in $(readlink "$DATA/pg_wal"), the restored server's will be in its data folder"; }
  promote
  dress || fail "no room for the settings of the live server"
  if running; then
    fact standbys "$(ask "SELECT string_agg(application_name, ' ') FROM pg_stat_replication" 2>/dev/null)"
    say "stopping the live server"
    stop || fail "the live server does not stop"
  fi
  running && fail "the live server still runs"
  settle_archive "$scratch" || { apart start; fail "no room in $scratch; the live server was started again"; }
  printf 'old\t%s\nnew\t%s\nfrom\t%s\nend\t%s\n' "$(inode "$DATA")" "$(inode "$scratch")" "$(control "$scratch" 'Latest checkpoint location')" \
    "$(control "$DATA" 'Latest checkpoint location')" | put "$state.swap"
}

# The old data are where they were, whatever happened.
back() {
  say "$1: putting the old data back"
  if running; then stop || pg_ctl -D "$DATA" -m immediate -w stop >/dev/null; fi
  running && fail "$1; the restored server neither serves nor stops, and the old data are in $before"
  if [ "$(inode "$DATA")" = "$(field swap new)" ]; then mv "$DATA" "$scratch" || fail "$1; $DATA cannot be renamed, and the old data are in $before"; fi
  if ! [ -e "$DATA" ]; then mv "$before" "$DATA" || fail "$1; $before cannot be renamed to $DATA"; fi
  rm -f "$state.swap"
  apart start || fail "$1; the old data are back in $DATA, and their server does not start: its own log says why"
  fact put_back yes
  fail "$1; the old data are back in $DATA, and their server was started"
}

ready() {
  running || apart start || return 1
  tries=0
  until pg_isready -q -d "$SOURCE"; do
    tries=$((tries + 1))
    [ $tries -lt 60 ] && running || return 1
    sleep 1
  done
}

swap() {
  [ -e "$state.recovered" ] || fail "nothing was restored yet"
  [ -e "$state.verified" ] || fail "the copy was not found to be sound"
  timeline=$(field recovered timeline) target=$(field recovered target) best=$(field fetched backup) live=$timeline live_end=0/0
  size_of_segments
  fresh_probe
  write_take | put "$state.take"
  new=$(field swap new)
  if [ -z "$new" ] || [ "$(inode "$DATA")" != "$new" ]; then
    if [ -e "$DATA" ]; then
      prepare
      mv "$DATA" "$before" || { apart start; rm -f "$state.swap"; fail "$DATA cannot be renamed (a mount point?); the live server was started again"; }
    elif [ -n "$CHECKPOINTER" ]; then fail "the endpoint answers, and there is no $DATA: the plan's host is another one"
    fi
    { [ "$(inode "$before")" = "$(field swap old)" ] && [ "$(inode "$scratch")" = "$(field swap new)" ]; } || fail "$before and $scratch are not what this restore made"
    mv "$scratch" "$DATA" || back "$scratch cannot be renamed to $DATA"
  fi
  say "starting the restored server"
  ready || back "the restored server does not start, or does not answer at the endpoint"
  in_service
}

in_service() {
  fact swapped "$before" "$(field promoted timeline)" "$(field swap from)"
  # Roles and their passwords are those of the time, too, and so is the fence.
  if told=$(ask "SELECT pg_is_in_recovery() || ' ' || ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int" 2>/dev/null); then
    [ "$told" = "false $(field promoted timeline)" ] || back "another server answers at the endpoint"
    fact login works
  else
    fact login refused
  fi
  if [ "$(ask 'SHOW archive_mode' 2>/dev/null)" = off ]; then fact archiving off
  else
    tries=0
    name=$(printf '%08X.history' "$(field promoted timeline)")
    until [ -e "$DATA/pg_wal/archive_status/$name.done" ] || [ $tries -ge 30 ]; do tries=$((tries + 1)); sleep 1; done
    if [ $tries -lt 30 ]; then fact archiving yes; else fact archiving no "the history of the new timeline was not archived within 30 s"; fi
  fi
  # What the old server had not archived is only there.
  fact unarchived "$(find "$before/pg_wal/archive_status" -name '*.ready' | wc -l)"
  say "the restored server serves; the old data are in $before"
}

# --- undo

# Nothing but what drctl itself writes was committed since.
unwritten() {
  fresh_probe
  rm -f "$state.hole"
  live=$(field promoted timeline)
  live_end=$(ask 'SELECT pg_current_wal_lsn()' 2>/dev/null) || live_end=$(control "$DATA" 'Latest checkpoint location')
  at=$(number "$(field swap from)")
  log_from "$(field swap from)" >"$state.dump"
  { [ ! -e "$state.hole" ] && [ -s "$state.dump" ]; } || { why="the log since then is not to be had"; return 1; }
  commits_of_rows "$(cat "$state.canary" 2>/dev/null)" <"$state.dump" >"$state.written"
  [ ! -s "$state.written" ] || { why="$(wc -l <"$state.written") transactions changed rows since, the first at $(head -n 1 "$state.written")"; return 1; }
  # Stopped, its end is known: everything up to there was looked at.
  final=$(tail -n 1 "$state.dump" | sed -n 's/.*lsn: \([0-9A-F/]*\),.*CHECKPOINT_SHUTDOWN.*/\1/p')
  running || [ "$(padded "${final:-0/0}")" = "$(padded "$(control "$DATA" 'Latest checkpoint location')")" ] ||
    { why="the log since then cannot be read to its end"; return 1; }
}

undo() {
  size_of_segments
  fresh_probe
  write_take | put "$state.take"
  new=$(field swap new)
  if [ -z "$new" ]; then say "nothing was swapped"; fact undone nothing; return 0; fi
  if [ "$(inode "$DATA")" = "$new" ]; then
    # That it is the one is certain: this restore put it there. Its logins may be others than the plan's.
    [ "$(inode "$before")" = "$(field swap old)" ] || fail "$before is not what this restore put there"
    canary
    unwritten || fail "the restored server stays: $why"
    if running; then stop || fail "the restored server does not stop"; fi
    running && fail "the restored server still runs"
    unwritten || { apart start; fail "the restored server stays, and was started again: $why"; }
    mv "$DATA" "$scratch" || { apart start; fail "$DATA cannot be renamed"; }
  elif [ -e "$DATA" ]; then
    # An earlier attempt got as far as the names, and not to its end.
    [ "$(inode "$DATA")" = "$(field swap old)" ] || fail "$DATA is not what this restore knows"
  elif [ -n "$CHECKPOINTER" ]; then fail "the endpoint answers, and there is no $DATA: the plan's host is another one"
  fi
  if ! [ -e "$DATA" ]; then
    [ "$(inode "$before")" = "$(field swap old)" ] || fail "$before is not what this restore put there"
    mv "$before" "$DATA" || fail "$before cannot be renamed to $DATA"
  fi
  ready || fail "the old data are back in $DATA, and their server does not start or does not answer: its own log says why"
  rm -f "$state.swap"
  fact undone "$DATA"
  say "the old data are back in $DATA, and their server serves"
}

# --- destroy

users_of() {
  find /proc/[0-9]*/cwd /proc/[0-9]*/fd -maxdepth 1 -type l -printf '%p %l\n' 2>/dev/null | grep -F " $1" | cut -d/ -f3 | sort -u
}

destroy() {
  [ -e "$DATA/PG_VERSION" ] || fail "there are no data in $DATA: what is restored may be all there is"
  [ "$(readlink -f "$scratch")" != "$(readlink -f "$DATA")" ] || fail "$scratch is the live server's"
  if [ -e "$scratch" ]; then
    halt || fail "the copy does not stop"
    # An attempt that was broken off has counted it whole.
    [ -e "$state.was" ] || printf 'was\t%s\t%s\n' "$(find "$scratch" -type f | wc -l)" "$(find "$scratch" -type f -exec stat -c %s {} + | awk '{ n += $1 } END { printf "%.0f", n }')" | put "$state.was"
    say "removing $scratch"
    rm -rf "$scratch" || fail "$scratch was not removed whole"
  fi
  [ ! -e "$scratch" ] || fail "$scratch is still there"
  users=$(users_of "$scratch")
  [ -z "$users" ] || fail "processes still use what was in $scratch: $(printf '%s' "$users" | tr '\n' ' ')"
  fact destroyed "$scratch" "$(sed -n 's/^was	\([0-9]*\)	.*/\1/p' "$state.was" 2>/dev/null)" "$(sed -n 's/^was	[0-9]*	//p' "$state.was" 2>/dev/null)" 0 0
  rm -rf "$probe" "$log" "$state.dump" "$state.keys" "$state.said" "$state.more" "$state.raised" "$state.list" "$state.take"
  rm -rf "$(cat "$state.sockets" 2>/dev/null || printf '%s/s-%s' "$work" "$(printf '%s' "$RESTORE" | cut -c1-8)")" "$state.sockets"
  # After a swap these are needed to undo it.
  if [ ! -e "$state.swap" ]; then forget; rm -f "$state.canary" "$state.bad"; fi
  say "nothing is left of $scratch"
}

job() {
  [ ! -e "$work/$KEY.exit" ] || exit "$(cat "$work/$KEY.exit")"
  : >"$work/$KEY.facts" || fail "no room in $work"
  case "$RESTORE" in '' | *[!0-9a-f]*) fail "RESTORE is no name: $RESTORE" ;; esac
  case "$DATA" in *[!A-Za-z0-9/._+@:-]*) fail "the name of $DATA has characters that commands of archives would trip over" ;; esac
  pg_ctl --version >/dev/null 2>&1 || fail "pg_ctl is not in ${BIN:-the path}: \`bin\` in the plan names its folder"
  case "$PART" in
    look | beside | verify | loss | swap | undo | destroy) "$PART" ;;
    *) fail "there is no part $PART" ;;
  esac
}

# What an earlier attempt left running (a fetch, a check) holds this; servers do not.
exec 9>"$work/restore.lock"
flock -n 9 || { printf '%s waiting for what an earlier attempt left running\n' "$(date -u +%H:%M:%SZ)" >>"$work/$KEY.log"; flock 9; }
(job) >>"$work/$KEY.log" 2>&1 </dev/null
ended=$?
printf '%s' "$ended" >"$work/$KEY.exit"
rm -f "$0"
