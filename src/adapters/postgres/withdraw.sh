# Withdraws a promotion that was requested but has not begun: stops the standby and starts it as a standby again. Runs on the
# server's host as the owner of its data. Set before it: DATA BIN CONFIG KEY CHECKPOINTER SUPERVISED, and the functions stop and
# start.
#
# A server that starts has no pending request: a request that its startup process had read ends with that process, and a file that
# it had not read is removed (PostgreSQL, `RemovePromoteSignalFiles` in xlogrecovery.c). If a WAL receiver hangs, a fast stop
# would wait for it forever; an immediate stop kills it after five seconds, and the standby continues from its last restart point.
set -u
umask 077
export LC_ALL=C TZ=UTC
PATH="${BIN:+$BIN:}$PATH"
work="$DATA.drctl"

say() { printf '%s %s\n' "$(date -u +%H:%M:%SZ)" "$*"; }
fail() { say "FAILED: $*"; exit 1; }
running() { pg_ctl -D "$DATA" status >/dev/null 2>&1; }
immediately() { pg_ctl -D "$DATA" -w -t 60 -m immediate stop >/dev/null 2>&1; }
# A service manager would start the server again in between, so use its own stop command.
halted() { if [ -n "$SUPERVISED" ]; then stop; else immediately; fi; }

this_is_the_one() {
  [ -n "$CHECKPOINTER" ] || fail "it is unknown which server answers at the endpoint"
  parent=$(sed 's/.*) //' "/proc/$CHECKPOINTER/stat" 2>/dev/null | cut -d' ' -f2)
  [ "$parent" = "$(head -n 1 "$DATA/postmaster.pid" 2>/dev/null)" ] ||
    fail "the server that runs in $DATA is not the server that answers at the endpoint. The plan names a different host"
}

job() {
  [ ! -e "$work/$KEY.exit" ] || exit "$(cat "$work/$KEY.exit")"
  pg_ctl --version >/dev/null 2>&1 || fail "pg_ctl is not in ${BIN:-the path}. Set \`bin\` in the plan to its folder"
  [ -e "$DATA/standby.signal" ] || fail "$DATA does not belong to a standby: it has no standby.signal"
  this_is_the_one
  say "stopping"
  halted || immediately
  running && fail "the server does not stop"
  # A finished promotion removes this file: then the server is a primary, and starts as one.
  [ -e "$DATA/standby.signal" ] && still=yes || still=no
  say "starting"
  start || fail "the server does not start; see its log"
  [ "$still" = yes ] || fail "it was promoted before it was stopped"
  say "started as a standby"
}

# The braces make the shell read the whole script before it runs any of it.
{
(job) >>"$work/$KEY.log" 2>&1 </dev/null
printf '%s' "$?" >"$work/$KEY.exit"
exit
}
