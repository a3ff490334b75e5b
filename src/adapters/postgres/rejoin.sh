# Makes a server a standby of another one. Runs on the server's host as the owner of its data. Never deletes anything that only
# this server has. Set before it: DATA BIN CONFIG SOURCE CONNINFO SLOT KEY CHECKPOINTER DATABASE RECONCILE PGPASSWORD, and the
# functions stop and start. commits.sh and hba_marks.sh are included before it. RECONCILE lists tables of DATABASE, one a line.
#
# Sources: PostgreSQL documentation, «postgres», «Options for Single-User Mode»; «System Columns»; «COPY»; «pg_rewind», «pg_basebackup», «pg_waldump», «Log-Shipping Standby Servers».
set -u
umask 077
export PGPASSWORD PGCONNECT_TIMEOUT=10 LC_ALL=C TZ=UTC
PATH="${BIN:+$BIN:}$PATH"
work="$DATA.drctl"

say() { printf '%s %s\n' "$(date -u +%H:%M:%SZ)" "$*"; }
fail() { say "FAILED: $*"; exit 1; }
# For machines: number of transactions, position and timeline of the fork, first commit, last commit, folder that keeps the WAL.
diverged() { printf 'diverged\t%s\t%s\t%s\t%s\t%s\t%s\n' "$@" >"$work/$KEY.facts"; }
running() { pg_ctl -D "$DATA" status >/dev/null 2>&1; }
control() { pg_controldata "$DATA" | sed -n "s/^$1: *//p"; }
ask() { psql -X -A -t -q -v ON_ERROR_STOP=1 -d "$SOURCE" -c "$1"; }

# A single-user server of a killed job may still be exporting rows.
nobody_reads() {
  tries=0
  while case "$(head -n 1 "$DATA/postmaster.pid" 2>/dev/null)" in -*) running ;; *) false ;; esac; do
    tries=$((tries + 1))
    [ "$tries" -lt 300 ] || fail "a single-user server from an earlier job still runs in $DATA"
    sleep 2
  done
}

# Checks the table names before anything is stopped. A name without a schema is in public.
tables_are_known() {
  for table in $RECONCILE; do
    known=$(psql -X -A -t -q -v ON_ERROR_STOP=1 -d "${SOURCE% dbname=postgres} dbname=$DATABASE" -c "SELECT to_regclass($(literal "$(relation "$table")")) IS NOT NULL" 2>&1) ||
      { say "cannot look up the names under \`reconcile:\` in $DATABASE: $known"; return 0; }
    [ "$known" = t ] || fail "table $table does not exist in $DATABASE of the new primary. Correct \`reconcile:\` in the plan; drctl stopped nothing"
  done
}

# Fails, before changing anything, if the plan names a folder of another machine, or if this is the server to follow.
this_is_the_one() {
  [ "$(control 'Database system identifier')" = "$(ask 'SELECT system_identifier FROM pg_control_system()')" ] ||
    fail "the data in $DATA does not belong to a server of this component: its system identifier differs"
  [ "$(ask 'SELECT pg_is_in_recovery()')" = f ] || fail "the new primary is itself a standby"
  running || { [ -z "$CHECKPOINTER" ] || fail "the endpoint answers, but no server runs in $DATA. The plan names a different host"; return 0; }
  [ -n "$CHECKPOINTER" ] || fail "a server runs in $DATA, but the endpoint does not answer. Check that the host in the plan is the host of the endpoint"
  parent=$(sed 's/.*) //' "/proc/$CHECKPOINTER/stat" 2>/dev/null | cut -d' ' -f2)
  [ "$parent" = "$(head -n 1 "$DATA/postmaster.pid")" ] ||
    fail "the server that runs in $DATA is not the server that answers at the endpoint. The plan names a different host"
}

# Until the source's control file has its new timeline, pg_rewind finds nothing to do.
source_checkpoint() {
  ask CHECKPOINT 2>/dev/null && return
  say "the login cannot run CHECKPOINT (GRANT pg_checkpoint allows it); waiting for the next checkpoint of the source"
  tries=0
  until [ "$(ask "SELECT timeline_id = ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int FROM pg_control_checkpoint()")" = t ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 450 ] || fail "the source made no checkpoint within 15 minutes"
    sleep 2
  done
}

# If two servers are on the same timeline, pg_rewind takes their histories to be the same, whatever they wrote.
same_history() {
  timeline=$(control "Latest checkpoint's TimeLineID")
  [ "$timeline" = "$(ask 'SELECT timeline_id FROM pg_control_checkpoint()')" ] || return 0
  ahead=$(ask "SELECT '$(control 'Latest checkpoint location')'::pg_lsn > pg_current_wal_lsn()")
  [ "$ahead" = f ] || return 1
  [ "$timeline" -gt 1 ] || return 0
  name=$(printf '%08X.history' "$timeline")
  [ "$(cat "$DATA/pg_wal/$name" 2>/dev/null)" = "$(ask "SELECT convert_from(pg_read_binary_file('pg_wal/$name'), 'UTF8')" 2>/dev/null)" ]
}

# A server that crashed goes through crash recovery first, because pg_rewind requires a clean shutdown.
recover() {
  # Rewound data start as a standby.
  if [ -e "$DATA/standby.signal" ]; then return 0; fi
  case "$(control 'Database cluster state')" in
    'shut down' | 'shut down in recovery') return 0 ;;
  esac
  say "recovery after a crash"
  alone template1 </dev/null >/dev/null
}
# Runs the server without letting anybody connect. It keeps all WAL, which pg_rewind needs. Nobody could cancel a lock wait here,
# so locks have a time limit.
alone() { postgres --single -D "$DATA" ${CONFIG:+-c config_file="$CONFIG"} -c wal_keep_size=2147483647 -c log_destination=stderr -c lc_messages=C -c statement_timeout=0 -c lock_timeout=30s "$@"; }

# The position where the source left this server's timeline, and that timeline; nothing if both are on the same one.
fork() {
  ours=$(control "Latest checkpoint's TimeLineID")
  theirs=$(ask "SELECT ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int")
  [ "$theirs" -gt "$ours" ] || return 0
  ask "SELECT convert_from(pg_read_binary_file('pg_wal/$(printf '%08X' "$theirs").history'), 'UTF8')" |
    awk -v ours="$ours" '$1 == ours { print $2, ours; exit }'
}

# The redo position of the last checkpoint before a position; the list of running transactions follows it in the WAL. Without a
# checkpoint, the oldest position from which all WAL is here.
log_before() {
  at=$(number "$1")
  end=$1
  while [ -e "$DATA/pg_wal/$(named "$2" "$at")" ]; do
    from=$(begin "$at")
    redo=$(pg_waldump -p "$DATA/pg_wal" -t "$2" -r XLOG -s "$from" -e "$end" 2>/dev/null |
      sed -n 's/.*desc: CHECKPOINT_[A-Z]* redo \([0-9A-F/]*\);.*/\1/p' | tail -n 1)
    if [ -n "$redo" ]; then
      while [ "$at" -gt "$(number "$redo")" ] && [ -e "$DATA/pg_wal/$(named "$2" $((at - 1)))" ]; do at=$((at - 1)); done
      if [ "$at" -gt "$(number "$redo")" ]; then begin "$at"; else printf '%s' "$redo"; fi
      return
    fi
    end=$from
    at=$((at - 1))
  done
  printf '%s' "$from"
}

# Transactions that were open at the fork may have changed rows before it, and committed only here. Read them while the WAL from
# before the fork still exists: the checkpoint of a shutdown or a recovery removes it.
under_way() {
  if [ $# != 2 ] || [ -e "$work/rewinding" ] || [ -e "$work/under-way-$2-$(padded "$1")" ]; then return 0; fi
  [ -e "$DATA/pg_wal/$(named "$2" "$(number "$1")")" ] || return 0
  { pg_waldump -p "$DATA/pg_wal" -t "$2" -s "$(log_before "$1" "$2")" -e "$1" 2>/dev/null || echo broken; } | under_way_in >"$work/under-way.new" &&
    mv "$work/under-way.new" "$work/under-way-$2-$(padded "$1")"
}

# Counts what was committed only here, and keeps its WAL. Together with a backup from before the fork, no row is lost.
keep_diverged() {
  [ $# = 2 ] || return 0
  first=$(named "$2" "$(number "$1")")
  [ -e "$DATA/pg_wal/$first" ] || { say "the WAL after the fork no longer exists here"; return 1; }
  under_way "$1" "$2" || fail "no room in $work"
  commits="$work/$KEY.commits"
  rm -f "$work/$KEY.end" "$work/$KEY.only".*
  { cat "$work/under-way-$2-$(padded "$1")"; pg_waldump -p "$DATA/pg_wal" -t "$2" -s "$1" 2>/dev/null; } | commits_of_rows '' "$1" "$work/$KEY.end" "$work/$KEY.only" >"$commits.may" || fail "no room in $work"
  sed 's/ ?$//' "$commits.may" >"$commits" || fail "no room in $work"
  end=$(cat "$work/$KEY.end" 2>/dev/null)
  checkpoint=$(control 'Latest checkpoint location')
  if later "$checkpoint" "$1" && later "$checkpoint" "${end:-0/0}"; then say "the WAL after the fork exists here only up to ${end:-the fork}"; return 1; fi
  : >"$work/$KEY.counted"
  [ -s "$commits" ] || return 0
  unsure=$(grep -c '?' "$commits.may")
  [ "$unsure" = 0 ] || say "it is unknown whether $unsure transactions changed rows: they started before the WAL that exists here"
  kept="$work/diverged-$KEY"
  mkdir -p "$kept" || fail "no room in $work for the WAL of what only this server has"
  for file in "$DATA"/pg_wal/"$(printf '%08X' "$2")"*; do
    name=$(basename "$file")
    if [ ${#name} -eq 24 ] && ! [ "$name" \< "$first" ]; then
      cp -p "$file" "$kept/" || fail "no room in $work for the WAL of what only this server has"
    fi
  done
  count=$(wc -l <"$commits")
  diverged "$count" "$1" "$2" "$(head -n 1 "$commits")" "$(tail -n 1 "$commits")" "$kept"
  say "diverged at $1 of timeline $2: $count transactions changed rows only here; their WAL is kept in $kept"
  mkdir -p "$kept/rows" || fail "no room in $kept"
  if [ -e "$DATA/standby.signal" ]; then say "it was a standby, so drctl does not export its rows"; return 0; fi
  name_tables
  for table in $RECONCILE; do export_rows "$table"; done
  # If this job fails later, the next one reports these facts.
  cp "$work/$KEY.facts" "$work/untold.new" && mv "$work/untold.new" "$work/untold" || fail "no room in $work"
}

relation() { case $1 in *.*) printf %s "$1" ;; *) printf 'public.%s' "$1" ;; esac | sed 's/\./"."/g; s/^/"/; s/$/"/'; }
literal() { printf "'%s'" "$(printf %s "$1" | sed "s/'/''/g")"; }
# Counts the changed rows of each table by name, so that tables that the plan does not list are reported as well. Indexes and
# TOAST tables are not counted separately.
name_tables() {
  [ -s "$work/$KEY.only.touched" ] || return 0
  rm -f "$work/$KEY.names"
  printf '%s\n' "COPY (SELECT d.oid || '/' || pg_relation_filenode(c.oid), n.nspname || '.' || o.relname, b.oid <> c.oid FROM pg_database d, pg_class c LEFT JOIN pg_index i ON i.indexrelid = c.oid LEFT JOIN pg_class t ON t.reltoastrelid = coalesce(i.indrelid, c.oid) JOIN pg_class b ON b.oid = coalesce(t.oid, i.indrelid, c.oid) JOIN pg_class o ON o.oid = coalesce(pg_partition_root(b.oid), b.oid) JOIN pg_namespace n ON n.oid = o.relnamespace WHERE d.datname = current_database() AND pg_relation_filenode(c.oid) IS NOT NULL) TO $(literal "$work/$KEY.names")" |
    alone -c default_transaction_read_only=on "$DATABASE" >/dev/null 2>"$work/$KEY.alone" ||
    say "cannot list the tables: $(tail -n 1 "$work/$KEY.alone")"
  awk -F '\t' -v names="$work/$KEY.names" -v listed="$(for table in $RECONCILE; do relation "$table" | tr -d '"'; printf ' '; done)" '
    BEGIN { while ((getline <names) > 0) { named[$1] = $2; aside[$1] = $3 == "t" } FS = " "; n = split(listed, of, " "); for (k = 1; k <= n; k++) first[of[k]] = 1 }
    { split($0, of, " "); name = of[1] in named ? named[of[1]] : "file " of[1]; seen[name] = 1
      if (!aside[of[1]]) for (w = 2; w <= 4; w++) sum[name, w] += of[w] }
    END { for (name in seen) printf "%d\t%.0f\ttouched\t%s\t%.0f\t%.0f\t%.0f\n", name in first, sum[name, 2] + sum[name, 3] + sum[name, 4], name, sum[name, 2], sum[name, 3], sum[name, 4] }
  ' "$work/$KEY.only.touched" | sort -t "$(printf '\t')" -k 1,1nr -k 2,2nr -k 4 | cut -f 3- >"$kept/rows/touched" || fail "no room in $kept"
  rm -f "$work/$KEY.names"
  head -n 200 "$kept/rows/touched" >>"$work/$KEY.facts"
  many=$(wc -l <"$kept/rows/touched")
  [ "$many" -le 200 ] || printf 'more\t%s\t%s\n' $((many - 200)) "$kept/rows/touched" >>"$work/$KEY.facts"
}

# Exports the rows of a table that those transactions wrote, for whoever decides what to do with them. xmin identifies the rows.
# Deleted rows cannot be exported.
export_rows() {
  rows="$kept/rows"
  cp "$work/$KEY.only.xids" "$rows/xids" || fail "no room in $kept"
  rm -f "$rows/$1.csv" "$rows/$1.count"
  of="FROM $(relation "$1") WHERE xmin::text::bigint IN (SELECT x::bigint FROM regexp_split_to_table(pg_read_file($(literal "$rows/xids")), chr(10)) AS x WHERE x <> '')"
  # Both are in one command, so that the second does not run if the first fails.
  printf '%s\n' "COPY (SELECT * $of) TO $(literal "$rows/$1.csv") WITH (FORMAT csv, HEADER); COPY (SELECT count(*) $of) TO $(literal "$rows/$1.count")" |
    alone -c default_transaction_read_only=on "$DATABASE" >/dev/null 2>"$work/$KEY.alone"
  count=$(cat "$rows/$1.count" 2>/dev/null)
  # A table that exists only on the new primary has no rows here.
  if [ -z "$count" ] && grep -q "ERROR:  relation .* does not exist" "$work/$KEY.alone"; then
    count=0
    : >"$rows/$1.csv"
  fi
  # After the rewind it is too late for an export.
  [ -n "$count" ] || fail "cannot export the rows of $1, which the plan lists under \`reconcile:\`: $(grep -m 1 -E 'ERROR|FATAL' "$work/$KEY.alone" || tail -n 1 "$work/$KEY.alone"); a prepared transaction may hold the table"
  rm -f "$rows/$1.count"
  chmod 600 "$rows/$1.csv"
  printf 'rows\t%s\t%s\t%s\n' "$1" "$count" "$rows/$1.csv" >>"$work/$KEY.facts"
  say "$count rows of $1 are in $rows/$1.csv"
}

keep_settings() {
  rm -rf "$work/settings"
  mkdir -p "$work/settings" || return 1
  for file in "$DATA"/*.conf "$DATA"/*.crt "$DATA"/*.key "$DATA"/*.pem "$DATA"/conf.d; do
    if [ -e "$file" ]; then cp -pR "$file" "$work/settings/" || return 1; fi
  done
}
# Both tools copy the settings of the other server, whose port, paths and certificates do not fit here.
restore_settings() {
  for file in "$work"/settings/*; do
    if [ -d "$file" ]; then rm -rf "${DATA:?}/$(basename "$file")"; fi
    if [ -e "$file" ]; then cp -pR "$file" "$DATA/" || return 1; fi
  done
}

# From here on the source keeps WAL for this standby, so do everything slow before.
slot() { ask "SELECT pg_create_physical_replication_slot('$SLOT', true) WHERE NOT EXISTS (SELECT 1 FROM pg_replication_slots WHERE slot_name = '$SLOT')" >/dev/null || fail "slot $SLOT"; }

# An earlier job already rewound it to this source, and it has not started since: a start removes backup_label.
rewound() {
  [ -e "$DATA/backup_label" ] && [ "$(cat "$work/rewound" 2>/dev/null)" = "$SLOT $SOURCE" ] || return 1
  say "it was already rewound"
  slot
}

rewind() {
  # A rewind that was interrupted leaves files that belong to neither server.
  [ -e "$work/rewinding" ] && return 1
  same_history || { say "it has a different history on the same timeline"; return 1; }
  # shellcheck disable=SC2046
  keep_diverged $(fork) || return 1
  slot
  found=$(pg_rewind --dry-run -D "$DATA" --source-server="$SOURCE" 2>&1) || {
    say "$found"
    case "$found" in *'permission denied'*) fail "the replication login cannot read what pg_rewind needs (docs: plans/postgres.md)" ;; esac
    return 1
  }
  case "$found" in *'no rewind required'*) say "nothing to rewind"; return 0 ;; esac
  # Do not overwrite what was not counted.
  [ -e "$work/$KEY.counted" ] || return 1
  keep_settings || fail "no room in $work for the settings"
  say "rewinding"
  : >"$work/rewinding"
  pg_rewind -D "$DATA" --source-server="$SOURCE" ${CONFIG:+--config-file="$CONFIG"} || return 1
  restore_settings || return 1
  rm -f "$work/rewinding"
  printf '%s' "$SLOT $SOURCE" >"$work/rewound"
}

# Keeps the previous files in a folder beside the new ones, with the key in its name.
base_backup() {
  say "base backup: this copies all data"
  slot
  [ -e "$work/rewinding" ] || keep_settings || fail "no room in $work for the settings"
  new="$DATA.new-$KEY"
  pg_basebackup -D "$new" -d "$SOURCE" -X stream -c fast -S "$SLOT" || fail "pg_basebackup failed and left $new"
  mv "$DATA" "$DATA.before-$KEY" || fail "cannot rename $DATA (a mount point?); the new data is in $new"
  mv "$new" "$DATA" || fail "cannot rename $new to $DATA"
  rm -f "$work/rewinding"
  if ! [ -e "$work/$KEY.counted" ]; then diverged uncounted '' '' '' '' "$DATA.before-$KEY"; fi
  restore_settings || fail "cannot restore the settings in $work/settings"
  say "the previous data is kept in $DATA.before-$KEY"
}

follow() {
  auto="$DATA/postgresql.auto.conf"
  { sed -e '/^primary_conninfo/d' -e '/^primary_slot_name/d' -e '/^recovery_target_timeline/d' "$auto" 2>/dev/null
    printf "primary_conninfo = '%s'\nprimary_slot_name = '%s'\nrecovery_target_timeline = 'latest'\n" "$CONNINFO" "$SLOT"
  } >"$auto.new" && mv "$auto.new" "$auto" && : >"$DATA/standby.signal"
}

# If this server had a slot for the source, it would keep WAL forever.
drop_slot_of_source() {
  slot=$(ask 'SHOW primary_slot_name')
  case "$slot" in '' | *[!a-z0-9_]*) return 0 ;; esac
  rm -rf "$DATA/pg_replslot/$slot"
}

job() {
  # It waited for the lock until another job with the same key had ended.
  [ ! -e "$work/$KEY.exit" ] || exit "$(cat "$work/$KEY.exit")"
  pg_ctl --version >/dev/null 2>&1 || fail "pg_ctl is not in ${BIN:-the path}. Set \`bin\` in the plan to its folder"
  [ -e "$DATA/PG_VERSION" ] || [ -e "$work/rewinding" ] || fail "$DATA is not the data folder of a server"
  ask 'SELECT 1' >/dev/null || fail "the new primary does not answer from here, or refuses the login"
  nobody_reads
  this_is_the_one
  tables_are_known
  if [ -e "$work/untold" ]; then cp "$work/untold" "$work/$KEY.facts" && : >"$work/$KEY.counted"; fi
  size=$(control 'Bytes per WAL segment')
  # shellcheck disable=SC2046
  under_way $(fork) || fail "no room in $work"
  if running; then say "stopping"; stop || fail "the server does not stop"; fi
  running && fail "the server still runs"
  # The mark of a fence that stopped the server: the server was not a standby.
  if grep -qs '^drctl fence' "$DATA/standby.signal"; then rm -f "$DATA/standby.signal"; fi
  source_checkpoint
  rewound || { recover && rewind; } || base_backup
  drop_slot_of_source
  follow || fail "cannot write the standby settings"
  # Remove the lines of a fence wherever they came from: a standby must let its readers in.
  without_fence || fail "the lines of a pg_hba fence are still there"
  say "starting"
  (unset PGPASSWORD PGCONNECT_TIMEOUT LC_ALL TZ; start) || fail "the server does not start; see its log"
  rm -f "$work"/under-way* "$work/untold" "$work/rewound"
  say "started as a standby"
}

# The braces make the shell read the whole script before it runs any of it. The file is then emptied, because it contains a
# password; that it exists still shows that the job was started.
{
[ "$0" != "$work/$KEY.sh" ] || true >"$0"
(job) >>"$work/$KEY.log" 2>&1 </dev/null
ended=$?
# An unused slot makes the primary keep WAL until its disk is full.
if [ "$ended" != 0 ]; then
  ask "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '$SLOT' AND NOT active" >/dev/null 2>&1
fi
printf '%s' "$ended" >"$work/$KEY.exit"
rm -f "$0"
exit
}
