# Stops a primary so that nothing brings it back as a writer, says how that is, or takes it back. Runs on the server's host as the owner of
# its data. In front of it are set: DATA BIN CONFIG KEY CHECKPOINTER PORT DO, and the functions stop and start.
#
# standby.signal is the mark: whatever starts a server with it starts a standby (PostgreSQL documentation, «Standby Server Operation»), which
# takes no writes. What is in the file means nothing to the server: here it says whose it is.
set -u
umask 077
export LC_ALL=C TZ=UTC
PATH="${BIN:+$BIN:}$PATH"
work="$DATA.drctl"
signal="$DATA/standby.signal"

fail() { echo "$*" >&2; exit 1; }
running() { pg_ctl -D "$DATA" status >/dev/null 2>&1; }
ours() { grep -qs '^drctl fence' "$signal"; }

# A server and all that it starts work in its data folder: one that lost its postmaster may write for a moment yet.
processes() {
  folder=$(readlink -f "$DATA")
  for at in /proc/[0-9]*; do
    [ "$(readlink "$at/cwd" 2>/dev/null)" = "$folder" ] || continue
    case "$(cat "$at/comm" 2>/dev/null)" in postgres* | postmaster*) echo "${at#/proc/}" ;; esac
  done
}

# Why this is not the server of the endpoint; nothing if it is.
another() {
  [ -e "$DATA/PG_VERSION" ] || { echo "$DATA is no data folder of a server"; return; }
  pid=$(head -n 1 "$DATA/postmaster.pid" 2>/dev/null)
  if ! running; then
    [ -z "$CHECKPOINTER" ] || echo "the endpoint answers, and no server runs in $DATA: the plan's host is another one"
  elif [ -n "$CHECKPOINTER" ]; then
    parent=$(sed 's/.*) //' "/proc/$CHECKPOINTER/stat" 2>/dev/null | cut -d' ' -f2)
    [ "$parent" = "$pid" ] || echo "the server that runs in $DATA is not the one that answers at the endpoint: the plan's host is another one"
  else
    port=$(sed -n 4p "$DATA/postmaster.pid")
    [ "$port" = "$PORT" ] || echo "the endpoint does not answer, and the server that runs in $DATA listens on port $port: is the plan's host that of the endpoint?"
  fi
}

able() {
  pg_ctl --version >/dev/null 2>&1 || echo "pg_ctl is not in ${BIN:-the path}: \`bin\` in the plan names its folder"
  command -v flock >/dev/null || echo "flock is not in the path"
  [ -w "$DATA" ] || echo "$(id -un) may not write to $DATA"
}

look() {
  printf 'mark\t%s\n' "$(if ours; then echo ours; elif [ -e "$signal" ] || [ -e "$DATA/recovery.signal" ]; then echo others; else echo none; fi)"
  [ ! -e "$DATA/postmaster.pid" ] || printf 'pid\t%s\n' "$(head -n 1 "$DATA/postmaster.pid")"
  for one in $(processes); do printf 'process\t%s\n' "$one"; done
  { able; another; } | sed 's/^/obstacle\t/'
}

refuse_another() {
  why=$({ able; another; } | head -n 1)
  [ -z "$why" ] || fail "$why"
}

# What its postmaster left behind does not go by itself while it works.
end_orphans() {
  for signal_name in QUIT QUIT QUIT KILL KILL; do
    running && return
    left=$(processes)
    [ -n "$left" ] || break
    # shellcheck disable=SC2086
    kill -s "$signal_name" $left 2>/dev/null
    sleep 1
  done
  running || [ -n "$(processes)" ] || rm -f "$DATA/postmaster.pid"
}

halt() {
  # Its own supervisor would start it again if it were stopped behind its back.
  if running; then stop || pg_ctl -D "$DATA" -w -t 60 -m immediate stop >/dev/null; fi
  end_orphans
  [ "$1" = standby ] || ! running || fail "the server does not stop"
}

set_it() {
  refuse_another
  if [ -e "$signal" ] && ! ours || [ -e "$DATA/recovery.signal" ]; then fail "it is a replica; the writer is another"; fi
  # First: from then on whatever starts it starts no writer.
  printf 'drctl fence %s\n' "$KEY" >"$signal.drctl" && mv "$signal.drctl" "$signal" && sync || fail "no mark could be left in $DATA"
  halt standby
}

lift() {
  refuse_another
  if ours; then
    halt down
    rm -f "$signal" && sync || fail "the mark in $DATA could not be removed"
  fi
  running || start || fail "the server does not start; its own log says why"
}

# If the way here is cut the work goes on.
trap '' HUP
mkdir -p "$work" || fail "$work cannot be made"
case "$DO" in
  look) look ;;
  *)
    exec 9>"$work/lock"
    flock -w 5 9 || { echo 'another job on this server runs' >&2; exit 75; }
    case "$DO" in set) set_it ;; lift) lift ;; esac 9>&- >&2
    ;;
esac
