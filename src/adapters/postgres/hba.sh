# Adds lines at the top of pg_hba.conf that reject every client except drctl's own login, reports their state, or removes them.
# this_server.sh and hba_marks.sh are included before it. Input: HBA, the file as the server names it, if known; LINES, the lines
# to add; PIDS, the sessions to end.
#
# The server loads the file as a whole: if a line has an error, it keeps the previous rules. drctl asks the server whether it
# loaded this file.
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
  # The inode change time is the time of the rename; the text was written before that.
  [ ! -f "$file" ] || printf 'changed\t%s\n' "$(stat -c %.6Z "$file" 2>/dev/null || stat -c %Z "$file")"
  able_here | sed 's/^/obstacle\t/'
}

set_it() {
  why=$(able_here | head -n 1)
  [ -z "$why" ] || fail "$why"
  file=$(readlink -f "$HBA")
  printf '%s\n' "$file" >"$work/hba.new" && mv "$work/hba.new" "$work/hba" || fail "no room in $work"
  # Another process may change the file in the meantime; then read it again.
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

# The owner of the server's processes may end sessions that SQL may not, such as those of superusers. Skip a PID that has been
# reused by another process.
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
