# --- swap

# Ends the recovery of the copy while the live server still serves. Only the first checkpoint of the copy is written.
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
  [ "$fork" = "$(field recovered timeline) $(field recovered stop)" ] || fail "the copy was promoted at a different position than the verified one: $fork"
  printf 'timeline\t%s\n' "$new_timeline" | put "$state.promoted"
}

# Gives the copy the live server's settings and certificates, and removes drctl's.
dress() {
  chmod "$(stat -c %a "$DATA")" "$scratch" || return 1
  rm -rf "$scratch/postgresql.conf" "$scratch/postgresql.auto.conf" "$scratch/pg_hba.conf" "$scratch/drctl.was" "$scratch/drctl.take" \
    "$scratch/recovery.signal" "$scratch/standby.signal" || return 1
  for file in "$DATA"/*.conf "$DATA"/*.crt "$DATA"/*.key "$DATA"/*.pem "$DATA"/conf.d; do
    if [ -d "$file" ]; then rm -rf "${scratch:?}/$(basename "$file")"; fi
    if [ -e "$file" ]; then cp -pR "$file" "$scratch/" || return 1; fi
  done
}

# Marks segments that the archive has as done: most archive commands refuse to overwrite a file, which would block archiving.
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
  why=$(unswappable)
  [ -z "$why" ] || fail "$why"
  [ ! -L "$DATA/pg_wal" ] || { fact wal_folder inside "$(readlink "$DATA/pg_wal")"; say "the WAL of the live server is in $(readlink "$DATA/pg_wal"); the WAL of the restored server will be in its data folder"; }
  promote
  dress || fail "no room for the settings of the live server"
  if running; then
    fact standbys "$(ask "SELECT string_agg(application_name, ' ') FROM pg_stat_replication" 2>/dev/null)"
    say "stopping the live server"
    stop || fail "the live server does not stop"
  fi
  running && fail "the live server still runs"
  settle_archive "$scratch" || { apart start; fail "no room in $scratch; the live server runs again"; }
  printf 'old\t%s\nnew\t%s\nfrom\t%s\nend\t%s\n' "$(inode "$DATA")" "$(inode "$scratch")" "$(control "$scratch" 'Latest checkpoint location')" \
    "$(control "$DATA" 'Latest checkpoint location')" | put "$state.swap"
}

# Puts the previous data back, unless something was written into the restored server meanwhile: that is not discarded.
back() {
  say "$1; restoring the previous data"
  served=''
  if [ "$(inode "$DATA")" = "$(field swap new)" ] && { [ -e "$state.served" ] || running; }; then served=1; fi
  # Another server may answer at the endpoint, so do not ask there; no rows count as drctl's own.
  [ -z "$served" ] || unwritten '' || fail "$1; drctl keeps the restored server in place: $why"
  if running; then stop || pg_ctl -D "$DATA" -m immediate -w stop >/dev/null; fi
  running && fail "$1; the restored server neither serves nor stops, and the previous data is in $before"
  if [ -n "$served" ] && ! unwritten ''; then
    apart start || fail "$1; drctl keeps the restored server in place, but it does not start again: $why"
    fail "$1; drctl keeps the restored server in place, and it runs again: $why"
  fi
  if [ "$(inode "$DATA")" = "$(field swap new)" ]; then mv "$DATA" "$scratch" || fail "$1; cannot rename $DATA, and the previous data is in $before"; fi
  if ! [ -e "$DATA" ]; then mv "$before" "$DATA" || fail "$1; cannot rename $before to $DATA"; fi
  rm -f "$state.swap" "$state.served"
  apart start || fail "$1; the previous data is back in $DATA, but its server does not start; see its log"
  fact put_back yes
  fail "$1; the previous data is back in $DATA, and its server runs"
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
  [ -e "$state.recovered" ] || fail "no copy exists yet"
  [ -e "$state.verified" ] || fail "the copy did not pass its checks"
  timeline=$(field recovered timeline) target=$(field recovered target) best=$(field fetched backup) live=$timeline live_end=0/0
  size_of_segments
  fresh_probe
  write_take | put "$state.take"
  new=$(field swap new)
  if [ -z "$new" ] || [ "$(inode "$DATA")" != "$new" ]; then
    if [ -e "$DATA" ]; then
      prepare
      mv "$DATA" "$before" || { apart start; rm -f "$state.swap"; fail "cannot rename $DATA (a mount point?); the live server runs again"; }
    elif [ -n "$CHECKPOINTER" ]; then fail "the endpoint answers, but $DATA does not exist. The plan names a different host"
    fi
    { [ "$(inode "$before")" = "$(field swap old)" ] && [ "$(inode "$scratch")" = "$(field swap new)" ]; } || fail "$before and $scratch are not from this restore"
    mv "$scratch" "$DATA" || back "$scratch cannot be renamed to $DATA"
  fi
  say "starting the restored server"
  ready || back "the restored server does not start, or does not answer at the endpoint"
  true >"$state.served"
  in_service
}

in_service() {
  fact swapped "$before" "$(field promoted timeline)" "$(field swap from)"
  # Roles, their passwords and any fence are restored to that time as well.
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
    if [ $tries -lt 30 ]; then fact archiving yes; else fact archiving no "the server did not archive the history of the new timeline within 30 s"; fi
  fi
  # WAL that the old server had not archived exists only there.
  fact unarchived "$(find "$before/pg_wal/archive_status" -name '*.ready' | wc -l)"
  tidy
  say "the restored server serves; the previous data is in $before"
}

# --- undo

# Whether nothing was committed since, except rows of one file that only drctl writes. $2 is the end of the WAL; if empty, the
# control file tells.
unwritten() {
  fresh_probe
  rm -f "$state.hole"
  live=$(field promoted timeline)
  live_end=${2:-}
  [ -n "$live_end" ] || live_end=$(control "$DATA" 'Latest checkpoint location')
  at=$(number "$(field swap from)")
  log_from "$(field swap from)" >"$state.dump"
  { [ ! -e "$state.hole" ] && [ -s "$state.dump" ]; } || { why="the WAL since then is missing"; return 1; }
  commits_of_rows "$1" <"$state.dump" >"$state.written"
  [ ! -s "$state.written" ] || { why="$(wc -l <"$state.written") transactions changed rows since, the first at $(head -n 1 "$state.written")"; return 1; }
  # The server is stopped, so the end of its WAL is known: check that everything up to there was read.
  final=$(tail -n 1 "$state.dump" | sed -n 's/.*lsn: \([0-9A-F/]*\),.*CHECKPOINT_SHUTDOWN.*/\1/p')
  running || [ "$(padded "${final:-0/0}")" = "$(padded "$(control "$DATA" 'Latest checkpoint location')")" ] ||
    { why="the WAL since then cannot be read to its end"; return 1; }
}

undo() {
  size_of_segments
  fresh_probe
  write_take | put "$state.take"
  new=$(field swap new)
  if [ -z "$new" ]; then say "nothing was swapped"; fact undone nothing; return 0; fi
  if [ "$(inode "$DATA")" = "$new" ]; then
    # The inode proves that this restore put it there. Its logins may differ from the plan's.
    [ "$(inode "$before")" = "$(field swap old)" ] || fail "$before is not from this restore"
    canary
    ours=$(cat "$state.canary" 2>/dev/null)
    unwritten "$ours" "$(ask 'SELECT pg_current_wal_lsn()' 2>/dev/null)" || fail "drctl keeps the restored server in place: $why"
    if running; then stop || fail "the restored server does not stop"; fi
    running && fail "the restored server still runs"
    unwritten "$ours" || { apart start; fail "drctl keeps the restored server in place, and it runs again: $why"; }
    mv "$DATA" "$scratch" || { apart start; fail "cannot rename $DATA"; }
  elif [ -e "$DATA" ]; then
    # An earlier attempt renamed the folders, but did not finish.
    [ "$(inode "$DATA")" = "$(field swap old)" ] || fail "$DATA is not from this restore"
  elif [ -n "$CHECKPOINTER" ]; then fail "the endpoint answers, but $DATA does not exist. The plan names a different host"
  fi
  if ! [ -e "$DATA" ]; then
    [ "$(inode "$before")" = "$(field swap old)" ] || fail "$before is not from this restore"
    mv "$before" "$DATA" || fail "cannot rename $before to $DATA"
  fi
  ready || fail "the previous data is back in $DATA, but its server does not start or does not answer; see its log"
  rm -f "$state.swap" "$state.served"
  fact undone "$DATA"
  say "the previous data is back in $DATA, and its server serves"
}

# --- destroy

users_of() {
  find /proc/[0-9]*/cwd /proc/[0-9]*/fd -maxdepth 1 -type l -printf '%p %l\n' 2>/dev/null | grep -F " $1" | cut -d/ -f3 | sort -u
}

destroy() {
  [ -e "$DATA/PG_VERSION" ] || fail "$DATA has no data, so the copy may be the only data left"
  [ "$(readlink -f "$scratch")" != "$(readlink -f "$DATA")" ] || fail "$scratch belongs to the live server"
  if [ -e "$scratch" ]; then
    halt || fail "the copy does not stop"
    # An interrupted attempt has already counted all of it.
    [ -e "$state.was" ] || printf 'was\t%s\t%s\n' "$(find "$scratch" -type f | wc -l)" "$(find "$scratch" -type f -exec stat -c %s {} + | awk '{ n += $1 } END { printf "%.0f", n }')" | put "$state.was"
    say "removing $scratch"
    rm -rf "$scratch" || fail "cannot remove $scratch completely"
  fi
  [ ! -e "$scratch" ] || fail "$scratch still exists"
  users=$(users_of "$scratch")
  [ -z "$users" ] || fail "processes still use files that were in $scratch: $(printf '%s' "$users" | tr '\n' ' ')"
  fact destroyed "$scratch" "$(sed -n 's/^was	\([0-9]*\)	.*/\1/p' "$state.was" 2>/dev/null)" "$(sed -n 's/^was	[0-9]*	//p' "$state.was" 2>/dev/null)" 0 0
  tidy
  # After a swap, the remaining files are needed to undo it.
  [ -e "$state.swap" ] || forget_all
  say "$scratch is removed completely"
}

# Removes what was needed only to make the copy.
tidy() {
  rm -rf "$(cat "$state.sockets" 2>/dev/null || printf '%s/s-%s' "$work" "$(printf '%s' "$RESTORE" | cut -c1-8)")"
  for of in sockets probe server.log dump keys said more raised list take hole lost written bad; do rm -rf "$state.$of"; done
}
# Keeps what was destroyed, so that it can be reported again, and how each job ended, so that a job that was requested long ago
# and starts late does not run again.
forget_all() {
  for file in "$state".*; do
    case "${file#"$state."}" in was | group | jobs) ;; *) rm -rf "$file" ;; esac
  done
  while read -r key; do
    [ "$key" != "$KEY" ] || continue
    rm -f "$work/$key.facts" "$work/$key.log"
    if [ -e "$work/$key.exit" ]; then rm -f "$work/$key.sh"; fi
  done <"$state.jobs"
  printf '%s\n' "$KEY" | put "$state.jobs"
}
