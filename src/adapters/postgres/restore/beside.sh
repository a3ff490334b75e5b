# --- beside: fetch

room() {
  have=$(free)
  [ "$have" -ge "$1" ] || { say "$(dirname "$DATA") has $have bytes free but needs $1"; return 1; }
}

fetch() {
  [ -e "$state.fetched" ] && return 0
  room $((best_size + RESERVE)) || fail "no room for backup $best: it has $best_size bytes, and $RESERVE must stay free for the live server"
  # The remains of an interrupted attempt are useless.
  if [ -e "$scratch" ]; then
    if server "$scratch" >/dev/null; then fail "a server that this restore did not fetch runs in $scratch"; fi
    rm -rf "$scratch" || fail "cannot remove $scratch"
  fi
  mkdir "$scratch" || fail "cannot create $scratch"
  say "fetching backup $best"
  since=$(date +%s)
  DRCTL_BACKUP=$best DRCTL_FOLDER=$scratch DRCTL_TIME=$TIME PGPASSWORD='' DRCTL_TEXT=$BACKUP_FETCH setsid sh -c 'eval "$DRCTL_TEXT"' &
  fetcher=$!
  printf '%s' "$fetcher" | put "$state.fetcher"
  while kill -0 $fetcher 2>/dev/null; do
    room "$RESERVE" || { kill -s KILL -- "-$fetcher"; wait $fetcher; rm -rf "$scratch"; fail "the disk became full while backup $best was fetched. The job stopped and removed the fetched files"; }
    sleep 1
  done
  wait $fetcher
  ended=$?
  if [ $ended != 0 ]; then
    rm -rf "$scratch"
    fail "cannot fetch backup $best: BACKUP_FETCH ended with $ended. The job removed what it left"
  fi
  # With the lock file of the copied server, this copy would look like that server.
  rm -f "$scratch/postmaster.pid" "$scratch/postmaster.opts" "$scratch/standby.signal" "$scratch/recovery.signal" "$scratch/recovery.conf"
  sound
  fact fetched "$best" "$(du -s -k "$scratch" | awk '{ printf "%.0f", $1 * 1024 }')" $(($(date +%s) - since))
  printf 'backup\t%s\ntarget\t%s\n' "$best" "$target" | put "$state.fetched"
}

# Checks the copy before it is started for the first time.
sound() {
  [ -e "$scratch/PG_VERSION" ] || fail "backup $best does not contain a data folder: BACKUP_FETCH must put PG_VERSION directly into \$DRCTL_FOLDER"
  [ "$(cat "$scratch/PG_VERSION")" = "$(cat "$DATA/PG_VERSION")" ] || fail "backup $best is from PostgreSQL $(cat "$scratch/PG_VERSION"), but the live server is $(cat "$DATA/PG_VERSION")"
  [ "$(control "$scratch" 'Database system identifier')" = "$(control "$DATA" 'Database system identifier')" ] || fail "backup $best is from another server: its system identifier differs"
  if [ -L "$scratch/pg_wal" ]; then { rm "$scratch/pg_wal" && mkdir "$scratch/pg_wal"; } || fail "cannot replace pg_wal of $scratch"; fi
  out=$(links_out "$scratch")
  [ -z "$out" ] || fail "$out"
  label="$scratch/backup_label"
  [ -e "$label" ] || [ "$(control "$scratch" 'Database cluster state')" = 'shut down' ] || fail "backup $best has no backup_label, and its server was not stopped, so the copy is not reliable"
  { rm -rf "$scratch/pg_replslot" && mkdir "$scratch/pg_replslot"; } || fail "cannot empty pg_replslot of $scratch"
  chmod 700 "$scratch"
  begun=$(sed -n 's/^START WAL LOCATION: \([0-9A-F/]*\).*/\1/p' "$label" 2>/dev/null)
  of=$(sed -n 's/^START TIMELINE: //p' "$label" 2>/dev/null)
  if [ -n "$begun" ] && [ -n "$of" ] && [ "$of" != "$timeline" ]; then
    fork=$(left_at "$of" "$timeline")
    if [ -z "$fork" ] || later "$begun" "$fork"; then fail "backup $best is from a branch (timeline $of at $begun) that timeline $timeline does not come from. Use an older one"; fi
  fi
  # The manifest may be left from an older backup: it must match this one.
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
# A hot standby needs limits at least as large as those of its primary, now and during the replayed time.
most() {
  { control "$scratch" "$1"; control "$DATA" "$1"; sed -n "s/^$2 //p" "$state.raised" 2>/dev/null; echo "$3"; } | sort -n | tail -n 1
}
# Leave out libraries that start background work of their own: the copy would do that work a second time.
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

# Only the settings written here apply, none from the backup, and only drctl can connect.
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
    # An exit code above 125 means that the command itself is broken; it ends the recovery.
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
      # Without hot standby the limits need not match the primary's, so no background workers are allowed. WAL of the new timeline
      # waits for the live server's own archive command.
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

# Settings may have been larger in the past: an older version of PostgreSQL then stops, a newer one pauses.
raise() {
  sed -n -E 's/.*(max_[a-z_]+) = [0-9]+ is a lower setting than on the [a-z]+ server[^0-9]*([0-9]+).*/\1 \2/p' "$log" >"$state.more"
  [ -s "$state.more" ] || return 1
  say "the server used larger settings during that time: $(paste -s -d, "$state.more")"
  cat "$state.more" >>"$state.raised"
  halt
}

recover() {
  [ ! -e "$state.recovered" ] || return 0
  since=$(date +%s)
  to_target
  reached $(($(date +%s) - since))
}

# Runs the recovery up to the target, where it pauses.
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

# Recovery must have stopped before a commit after the target, and nowhere else.
reached() {
  line=$(grep "$stopping" "$log" | tail -n 1)
  next=$(sortable "${line##*time }")
  if [ -z "$next" ] || ! less "$target" "$next"; then fail "recovery stopped at the wrong position: $line"; fi
  stop=$(inside template1 'SELECT pg_last_wal_replay_lsn()')
  last=$(inside template1 "SELECT to_char(pg_last_xact_replay_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')")
  [ -n "$stop" ] || fail "the copy does not report its position"
  ! less "$target" "$(sortable "$last")" || fail "the copy contains a commit of $last"
  fresh_probe
  late=$(times_from "$timeline" "$stop" 2 | awk -v t="$target" '($0 "") <= t' | wc -l)
  [ "$late" = 0 ] || say "$late earlier transactions come after a later one in the WAL (was the clock set back?) and are not in the copy"
  printf 'stop\t%s\nlast\t%s\nnext\t%s\nlate\t%s\ntimeline\t%s\ntarget\t%s\nseconds\t%s\nredo\t%s\n' "$stop" "$last" "$next" "$late" "$timeline" "$target" "$1" "$(control "$scratch" "Latest checkpoint's REDO location")" | put "$state.recovered"
}

forget() { rm -f "$state.fetched" "$state.recovered" "$state.verified" "$state.promoted"; }
# The copy shares its disk with the live server.
full() {
  halt
  rm -rf "$scratch"
  forget
  fail "the disk became full during the replay of the WAL. The job stopped and removed the copy"
}

# Says why recovery ended before the target, and what to do.
why_not() {
  if grep -q 'No space left' "$log" || ! room "$RESERVE"; then full; fi
  if grep -q 'before consistent recovery point' "$log"; then fail "backup $best was not complete yet at $TIME. Use an older one"; fi
  redo=$(sed -n 's/.*redo done at \([0-9A-F/]*\).*/\1/p' "$log" | tail -n 1)
  case "$(cat "$log")" in
    *'ended before configured recovery target'* | *'redo done at'* | *'wrong size'* | *'WAL ends before'* | *'could not locate required checkpoint'* | *'invalid checkpoint'*) unreached ;;
  esac
  fail "the copy does not start: $(grep -E 'FATAL|PANIC|ERROR' "$log" | tail -n 1 | sed 's/^.*\] *//')"
}

unreached() {
  final=$(sed -n 's/.*last completed transaction was at log time //p' "$log" | tail -n 1)
  reach="nothing after the backup can be reached"
  if [ -n "$final" ]; then reach="the latest possible time is just before $final"; fact reachable "$final"; fi
  [ -n "$redo" ] || redo=$(begin "$(number "$(sed -n 's/.*redo starts at \([0-9A-F/]*\).*/\1/p; s/^START WAL LOCATION: \([0-9A-F/]*\).*/\1/p' "$log" "$scratch/backup_label" "$scratch/backup_label.old" 2>/dev/null | head -n 1)")")
  fresh_probe
  at=$(number "$redo")
  here=$(named "$(timeline_of "$at" "$timeline")" "$at")
  then=$(named "$(timeline_of $((at + 1)) "$timeline")" $((at + 1)))
  bad=$(grep -E 'checksum in record|invalid|unexpected|wrong size|contrecord|incorrect prev-link|record with' "$log" | tail -n 1 | sed 's/^.*LOG: *//; s/^.*FATAL: *//')
  # The position that the message gives for the damage; at the end of an archive it is only the end of the WAL.
  spot=$(printf '%s' "$bad" | sed -n 's/.*archive file "\([0-9A-F]*\)".*/\1/p')
  if [ -z "$spot" ]; then
    spot=$(printf '%s' "$bad" | sed -n -E 's/.* at ([0-9A-F]+\/[0-9A-F]+).*/\1/p')
    if [ -n "$spot" ]; then spot=$(named "$(timeline_of "$(number "$spot")" "$timeline")" "$(number "$spot")"); else spot=$here; fi
  fi
  case "$bad" in *checksum* | *'wrong size'*) fail "WAL segment $spot in the archive is damaged: $bad; $reach" ;; esac
  obtain "$here" || fail "WAL segment $here is missing in the archive; $reach"
  if obtain "$then"; then fail "WAL segment $spot in the archive is damaged: ${bad:-it ends too early}; $reach"; fi
  if later "$live_end" "$(begin $((at + 1)))" && [ "$timeline" = "$live" ]; then fail "WAL segment $then is missing in the archive, although the live server has written up to $live_end; $reach"; fi
  fail "the WAL of timeline $timeline ends with segment $here, before $TIME; $reach (if another timeline was in use then, name it with \`--timeline N\`)"
}

beside() {
  [ ! -e "$state.swap" ] || fail "restore $RESTORE is already in place"
  where_to
  [ -e "$scratch" ] || forget
  [ "$(field fetched target)" = "$target" ] || [ ! -e "$state.fetched" ] || fail "restore $RESTORE is for $(field fetched target) UTC"
  mark
  choose_timeline
  if [ ! -e "$state.fetched" ]; then backups; pick; fetch; fi
  best=$(field fetched backup)
  recover
  fact backup "$best"
  tell
  say "recovered to $TIME: last commit in the copy ${last:-before the end of its backup}, next commit $(field recovered next) UTC"
}

tell() {
  last=$(field recovered last)
  fact position "$(field recovered stop)" "$(field recovered timeline)"
  fact last_commit "$last"
  fact next_commit "$(field recovered next)"
  fact late "$(field recovered late)"
  fact replayed_in "$(field recovered seconds)"
}
