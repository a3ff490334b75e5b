# Puts lines in front of pg_hba.conf that reject every client but drctl's own login, says how that is, or takes them out again. this_server.sh
# and hba_marks.sh stand in front of it, and besides: HBA, the file as the server names it, if that is known; LINES, what is put there; PIDS,
# the sessions to end.
#
# The server reads the file as a whole: with an error in it, it goes on with what it had. Whether it took this one, drctl asks the server.
# Sources: PostgreSQL documentation, «The pg_hba.conf File»; «pg_hba_file_rules»; `pg_ctl`, reload.

able_here() {
  able
  another
  running || echo "no server runs in $DATA, so nothing would read the file"
  file=$(readlink -f "$HBA")
  [ -f "$file" ] || { echo "file ${HBA:-pg_hba.conf} does not exist on the host"; return; }
  [ -r "$file" ] || echo "$(id -un) cannot read $file"
  [ -w "$(dirname "$file")" ] || echo "$(id -un) cannot write to $(dirname "$file"), so drctl cannot replace $file"
  [ "$(stat -c %U "$file")" = "$(id -un)" ] || echo "$file belongs to $(stat -c %U "$file"), but a file that $(id -un) writes would not"
  [ "$(marks "$file")" != broken ] || echo "the lines of the drctl fence in $file are incomplete. Remove them by hand, from \`$begin_mark\` to \`$end_mark\`"
}

look() {
  file=$(readlink -f "$HBA")
  printf 'mark\t%s\n' "$(if [ -f "$file" ]; then marks "$file"; else echo none; fi)"
  # By the change of its name, which its text was written before.
  [ ! -f "$file" ] || printf 'changed\t%s\n' "$(stat -c %.6Z "$file" 2>/dev/null || stat -c %Z "$file")"
  able_here | sed 's/^/obstacle\t/'
}

set_it() {
  why=$(able_here | head -n 1)
  [ -z "$why" ] || fail "$why"
  file=$(readlink -f "$HBA")
  printf '%s\n' "$file" >"$work/hba.new" && mv "$work/hba.new" "$work/hba" || fail "no room in $work"
  # Somebody may change it meanwhile: then that is read, too.
  for try in 1 2 3; do
    cp "$file" "$work/hba.read" || fail "cannot read $file"
    { printf '%s %s\n%s\n%s\n' "$begin_mark" "$KEY" "$LINES" "$end_mark"; without_marks "$work/hba.read"; } >"$work/hba.set" || fail "no room in $work"
    if cmp -s "$work/hba.set" "$file"; then break; fi
    takes_place "$file" "$work/hba.read" <"$work/hba.set" && break
    [ "$try" != 3 ] || fail "cannot replace $file with the same owner and mode, or another process keeps changing it"
  done
  pg_ctl -D "$DATA" reload >/dev/null || fail "pg_ctl reload failed, so the server has not read $file"
}

lift() {
  refuse_another
  without_fence || exit 1
  ! running || pg_ctl -D "$DATA" reload >/dev/null || fail "pg_ctl reload failed, so the server has not read its pg_hba.conf"
}

# What SQL may not end, as sessions of superusers, its owner may. A number that is another process by now is none of the server's.
end_sessions() {
  refuse_another
  for pid in $PIDS; do
    parent=$(sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null | cut -d' ' -f2)
    [ "$parent" != "$(head -n 1 "$DATA/postmaster.pid")" ] || kill -s TERM "$pid" 2>/dev/null
  done
}

case "$DO" in
  look) look ;;
  *)
    alone_here
    case "$DO" in set) set_it ;; lift) lift ;; end) end_sessions ;; esac 9>&- >&2
    ;;
esac
