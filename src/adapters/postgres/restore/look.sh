# --- what is there

# Fails, before changing anything, if the plan names a folder of another machine.
this_is_the_one() {
  running || { [ -z "$CHECKPOINTER" ] || fail "the endpoint answers, but no server runs in $DATA. The plan names a different host"; return 0; }
  [ -n "$CHECKPOINTER" ] || fail "a server runs in $DATA, but the endpoint does not answer. Check that the host in the plan is the host of the endpoint"
  parent=$(sed 's/.*) //' "/proc/$CHECKPOINTER/stat" 2>/dev/null | cut -d' ' -f2)
  [ "$parent" = "$(head -n 1 "$DATA/postmaster.pid")" ] ||
    fail "the server that runs in $DATA is not the server that answers at the endpoint. The plan names a different host"
}

# Tablespaces are links to other folders: a started copy would write into those of the live server. Prints the problem, if any.
links_out() {
  if [ -n "$(ls -A "$1/pg_tblspc" 2>/dev/null)" ] || [ -s "$1/tablespace_map" ]; then printf '%s' "$1 has tablespaces outside of its folder: that is not supported"; return; fi
  out=$(find "$1" -mindepth 1 -type l ! -path "$1/pg_wal" ! -path "$1/conf.d/*" ! -path "$1/drctl.was/*" |
    while IFS= read -r link; do [ "${link%/*}" = "$1" ] && [ ! -d "$link" ] || echo "$link"; done | head -n 1)
  [ -z "$out" ] || printf '%s' "$out is a link out of the data folder: that is not supported"
}

# Why the live data cannot be put aside for a copy; nothing if they can. Checked by a dry run, and before anything is stopped.
unswappable() {
  found=$(links_out "$DATA")
  if [ -n "$found" ]; then printf '%s' "$found"
  elif [ -L "$DATA" ]; then printf '%s' "$DATA is a link: the plan has to name the folder itself"
  elif [ "$(stat -c %d "$DATA")" != "$(stat -c %d "$(dirname "$DATA")")" ] ||
    awk -v data="$(readlink -f "$DATA")" '$5 == data { found = 1 } END { exit !found }' /proc/self/mountinfo 2>/dev/null; then
    printf '%s' "$DATA is a mount point: it cannot be renamed"
  elif [ -e "$before" ]; then printf '%s' "$before already exists"
  fi
}

backups() {
  (unset PGPASSWORD; by_sh "$BACKUP_LIST") >"$state.list" 9>&- || fail "cannot read the list of backups: BACKUP_LIST ended with $?"
  [ -s "$state.list" ] || fail "there is no backup; the list is empty"
  while read -r name started ended bytes first rest; do
    if [ -z "$(sortable "$started")" ] || [ -z "$(sortable "$ended")" ] || [ -n "$rest" ]; then fail "the list of backups has a line with the wrong format: $name $started $ended $bytes $first $rest"; fi
    case "$bytes" in '' | *[!0-9]*) fail "backup $name has no size in bytes: $bytes" ;; esac
  done <"$state.list"
}

# Whether a backup is on the way to the timeline, and not from a branch that its history left.
on_the_way() {
  [ ${#1} -eq 24 ] || return 0
  of=$((0x$(printf '%s' "$1" | cut -c1-8)))
  [ "$of" != "$2" ] || return 0
  until_then=$(left_at "$of" "$2")
  [ -n "$until_then" ] || return 1
  ! less "$(named 1 "$(number "$until_then")" | cut -c9-)" "$(printf '%s' "$1" | cut -c9-)"
}

# The newest backup that ended before the target.
pick() {
  best='' best_end='' best_size=0 best_first='' oldest='' why=''
  while read -r name started ended bytes first; do
    end=$(sortable "$ended")
    if [ -z "$oldest" ] || less "$end" "$oldest"; then oldest=$end; fi
    if [ -n "$BACKUP" ] && [ "$BACKUP" != "$name" ]; then continue; fi
    if less "$target" "$end"; then why="it ended at $ended"; continue; fi
    on_the_way "${first:-}" "$timeline" || { why="it is from a branch that timeline $timeline left"; continue; }
    if [ -z "$best" ] || less "$best_end" "$end"; then best=$name best_end=$end best_size=$bytes best_first=${first:-}; fi
  done <"$state.list"
  [ -n "$best" ] || [ -z "$BACKUP" ] || fail "backup $BACKUP cannot be restored to $TIME: ${why:-it is not in the list}"
  [ -n "$best" ] || fail "no backup can be restored to $TIME: the oldest one ended at $oldest UTC${why:+; the last one: $why}"
}

# The live server's timeline, or an ancestor if only that has the commits up to the target: after a restore that went too far
# back, or for commits that only a lost primary had.
choose_timeline() {
  live=$(control "$DATA" "Latest checkpoint's TimeLineID")
  told=$(ask "SELECT ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int" 2>/dev/null) && live=$told
  timeline=$(field recovered timeline)
  [ -z "$timeline" ] || return 0
  timeline=${TIMELINE:-$live}
  left=''
  while [ -z "$TIMELINE" ] && [ "$timeline" -gt 1 ]; do
    forks "$timeline" >"$probe/forks" || fail "the history of timeline $timeline is neither in the archive nor in $DATA"
    read -r parent position <<LAST
$(tail -n 1 "$probe/forks")
LAST
    first=$(times_from "$timeline" "$position" 16 any | head -n 1)
    if [ -n "$first" ] && ! less "$target" "$first"; then break; fi
    other=$(times_from "$parent" "$position" 16 any | head -n 1)
    if [ -z "$other" ] || less "$target" "$other"; then break; fi
    say "timeline $timeline started after $TIME, and timeline $parent has commits from that time after the fork at $position. Using timeline $parent"
    timeline=$parent
    left=$position
  done
  [ "$timeline" = "$live" ] || leads_there
}

# On an abandoned timeline, recovery ends only if the timeline has a commit after the target. Checks that before a copy is
# fetched. Finds the end of the WAL by binary search, because each segment has to be fetched.
leads_there() {
  [ -n "$left" ] || left=$(left_at "$timeline" "$live")
  [ -n "$left" ] || left=$(forks "$timeline" | tail -n 1 | cut -d' ' -f2)
  # Whatever needs a missing segment later reports it.
  { [ -n "$left" ] && in_log "$(number "$left")"; } || return 0
  low=$(number "$left")
  step=1
  while in_log $((low + step)); do low=$((low + step)) step=$((step * 2)); done
  high=$((low + step))
  while [ $((high - low)) -gt 1 ]; do
    middle=$(((low + high) / 2))
    if in_log $middle; then low=$middle; else high=$middle; fi
  done
  final=''
  back=0
  while [ -z "$final" ] && [ $back -lt 16 ] && [ $((low - back)) -ge "$(number "$left")" ]; do
    from=$(begin $((low - back)))
    if later "$left" "$from"; then from=$left; fi
    final=$(times_from "$timeline" "$from" $((back + 1)) | sort | tail -n 1)
    back=$((back + 1))
  done
  if [ -z "$final" ] || less "$target" "$final"; then return 0; fi
  fact reachable "$final"
  fail "the WAL of timeline $timeline ends with a transaction of $final, not after $TIME. Choose a time before $final, or, if another timeline was in use then, name it with \`--timeline N\` (timeline $live is in use now)"
}
in_log() { obtain "$(named "$timeline" "$1")" && rm -f "$probe/$(named "$timeline" "$1")"; }

# Recovery to a time ends only at a commit after that time, so give an idle server one. A standby receives the commits of its
# primary.
mark() {
  live_end=$(end_of_log) || { live_end=$(control "$DATA" 'Latest checkpoint location'); return 0; }
  [ "$(ask 'SELECT pg_is_in_recovery()')" = f ] || return 0
  now=$(sortable "$(ask "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')")")
  less "$target" "$now" || fail "$TIME is in the future; the clock of the live server shows $now UTC"
  ask 'SELECT txid_current()' >/dev/null || fail "the login cannot start a transaction"
  sleep 1
  live_end=$(ask 'SELECT pg_current_wal_lsn()')
}

where_to() {
  target=$(sortable "$TIME")
  [ -n "$target" ] || fail "$TIME is not an RFC 3339 time in UTC"
  [ -e "$DATA/PG_VERSION" ] || fail "$DATA is not the data folder of a server"
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
  live_end=$(end_of_log) || live_end=$(control "$DATA" 'Latest checkpoint location')
  choose_timeline
  backups
  while read -r name started ended bytes first; do fact backup "$name" "$started" "$ended" "$bytes" "${first:-}"; done <"$state.list"
  fact timeline "$timeline" "$live"
  for copy in "$DATA".restored-*; do [ ! -e "$copy" ] || fact copy "$copy"; done
  fact free "$(free)"
  fact checksums "$(control "$DATA" 'Data page checksum version')"
  why=$(unswappable)
  if [ -n "$why" ]; then fact swappable no "$why"; else fact swappable yes; fi
  pick
  fact chosen "$best" "$best_end" "$best_size"
  [ ${#best_first} -ne 24 ] || fact replay $(( ($(number "$live_end") + 1 - 0x$(printf '%s' "$best_first" | cut -c9-16) * (0x100000000 / size) - 0x$(printf '%s' "$best_first" | cut -c17-24)) * size ))
}
