# --- verify

bad() { printf '%s\n' "$1 $2" >>"$state.bad"; fact "$@"; }
said() { sed 's/^psql: //; s/^error: //' "$state.said" | head -n 1; }
databases() { inside template1 "SELECT datname FROM pg_database WHERE datallowconn AND datname <> 'template0' ORDER BY 1"; }
quoted() { printf "'%s'" "$(printf '%s' "$1" | sed "s/'/''/g")"; }

invariant() {
  found=$(inside "$2" "$5") || { bad invariant "$1" error "$3 $4" "$(said)"; return 0; }
  case "$3" in
    is) [ "$found" = "$4" ] && holds=t ;;
    at_least) holds=$(inside template1 "SELECT $(quoted "$found")::numeric >= $(quoted "$4")::numeric AND $(quoted "$found")::numeric <> 'NaN'") || holds='' ;;
    *) holds='' ;;
  esac
  if [ "${holds:-}" = t ]; then fact invariant "$1" pass "$3 $4" "$found"; else bad invariant "$1" fail "$3 $4" "$found"; fi
  holds=
}

rows() {
  count=$(inside "$1" "SELECT count(*) FROM $2") || { bad rows "$1 $2" error "$(said)"; return 0; }
  fact rows "$1 $2" "$count"
}

keys_of() { inside "$1" "$(foreign_keys_sql)"; }
foreign_keys() {
  keys_of "$1" >"$state.keys" || { bad foreign_keys "$1" error "$(said)"; return 0; }
  good=0 unproven=0 broken=0
  while IFS='	' read -r name validated query; do
    # Never validated by its owner, so it may be broken on the live server as well.
    if [ "$validated" = f ]; then unproven=$((unproven + 1)); continue; fi
    orphans=$(inside "$1" "SET enable_indexscan = off; SET enable_indexonlyscan = off; SET enable_bitmapscan = off; $query") ||
      { broken=$((broken + 1)); bad foreign_key "$1 $name" error "$(said)"; continue; }
    if [ "$orphans" = 0 ]; then good=$((good + 1)); else broken=$((broken + 1)); bad foreign_key "$1 $name" fail "$orphans rows"; fi
  done <"$state.keys"
  fact foreign_keys "$1" "$good" "$broken" "$unproven"
}

# For copies without checksums: checks the indexes against the tables if the extension is installed, and reads every row.
read_all() {
  for database in $(databases); do
    if [ "$(inside "$database" "SELECT count(*) FROM pg_extension WHERE extname = 'amcheck'")" = 1 ] && command -v pg_amcheck >/dev/null; then
      if pg_amcheck -h "$sockets" -p $port -U "$role" -d "$database" --heapallindexed >"$state.said" 2>&1; then fact amcheck "$database" pass
      else bad amcheck "$database" fail "$(grep -v '^pg_amcheck: query' "$state.said" | head -n 2)"; fi
    else
      fact amcheck "$database" unknown 'pg_amcheck or the extension is not installed'
    fi
    if pg_dump -h "$sockets" -p $port -U "$role" -d "$database" >/dev/null 2>"$state.said"; then fact readable "$database" pass
    else bad readable "$database" fail "$(said)"; fi
  done
}

verify() {
  where_to
  if [ ! -e "$state.recovered" ] || [ ! -e "$scratch" ]; then fail "no copy exists yet"; fi
  [ ! -e "$state.promoted" ] || fail "the copy was already promoted; drctl verifies it before that"
  timeline=$(field recovered timeline) best=$(field fetched backup) live=$timeline live_end=0/0
  rm -f "$state.verified"
  : >"$state.bad"
  to_target
  [ "$(inside template1 'SELECT pg_last_wal_replay_lsn()')" = "$(field recovered stop)" ] || fail "the copy is not at the position where recovery stopped"
  inside template1 'SELECT 1' >/dev/null
  tell
  # What the copy would start by itself in service.
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
  [ ! -s "$state.bad" ] || fail "the copy failed its checks: $(paste -s -d ';' "$state.bad")"
  printf '%s\n' "$KEY" | put "$state.verified"
  say "the copy passed its checks"
}

# --- loss: what the live server holds and the copy does not

canary() {
  [ -n "$CANARY" ] || return 0
  # shellcheck disable=SC2153
  found=$(psql -X -A -t -q -d "$SOURCE dbname='$DATABASE'" -c "SELECT (SELECT oid FROM pg_database WHERE datname = current_database()) || '/' || pg_relation_filenode(to_regclass($(quoted "$CANARY")))" 2>/dev/null)
  [ -z "$found" ] || printf '%s' "$found" | put "$state.canary"
}

# Reads two segments at a time, because a record may continue in the next one. The next one may belong to a child timeline, which
# has it under its own name.
log_from() {
  start=$1
  while :; do
    on=$(timeline_of "$at" "$live")
    have=$(named "$on" "$at")
    next=$(named "$(timeline_of $((at + 1)) "$live")" $((at + 1)))
    obtain "$have" || { printf '%s' "$have" >"$state.hole"; return; }
    if obtain "$next" && [ ! -e "$probe/$(named "$on" $((at + 1)))" ]; then ln "$probe/$next" "$probe/$(named "$on" $((at + 1)))"; fi
    pg_waldump -p "$probe" -t "$on" -s "$start" -e "$(begin $((at + 2)))" 2>/dev/null | up_to "$(begin $((at + 1)))" ||
      [ "$(number "$live_end")" -le $((at + 1)) ] || printf '%s' "$have" >"$state.hole"
    rm -f "$probe/$have"
    at=$((at + 1))
    start=$(begin "$at")
    later "$live_end" "$start" || return
  done
}

loss() {
  where_to
  [ -e "$state.recovered" ] || fail "no copy exists yet"
  [ ! -e "$state.swap" ] || fail "restore $RESTORE is already in place"
  timeline=$(field recovered timeline) from=$(field recovered stop)
  live=$(ask "SELECT ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int" 2>/dev/null) || live=$(control "$DATA" "Latest checkpoint's TimeLineID")
  live_end=$(ask 'SELECT pg_current_wal_lsn()' 2>/dev/null) || live_end=$(control "$DATA" 'Latest checkpoint location')
  canary
  if [ "$timeline" != "$live" ]; then
    fork=$(left_at "$timeline" "$live")
    [ -n "$fork" ] || fail "timeline $timeline does not belong to the history of the live server"
    if later "$from" "$fork"; then from=$fork; fi
  fi
  # Transactions that were open at that position had changed rows before it.
  since=$(field recovered redo)
  if later "$since" "$from"; then since=$from; fi
  at=$(number "$since")
  rm -f "$state.hole"
  log_from "$since" | commits_of_rows "$(cat "$state.canary" 2>/dev/null)" "$from" >"$state.lost"
  # From the first lost commit to the last: a person has to judge that range.
  basis=exactly
  if grep -q '?' "$state.lost"; then basis=at_most; fi
  if [ -e "$state.hole" ]; then basis="at_least"; say "WAL segment $(cat "$state.hole") is missing or damaged"; fi
  fact loss $basis "$(wc -l <"$state.lost")" "$(head -n 1 "$state.lost" | tr -d '?')" "$(tail -n 1 "$state.lost" | tr -d '?')"
  say "$(wc -l <"$state.lost") transactions that changed rows are not in the copy"
}
