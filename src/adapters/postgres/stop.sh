# Stops a primary so that nothing brings it back as a writer, says how that is, or takes it back. this_server.sh stands in
# front of it.
#
# standby.signal is the mark: whatever starts a server with it starts a standby (PostgreSQL documentation, «Standby Server Operation»), which
# takes no writes. What is in the file means nothing to the server: here it says whose it is.
signal="$DATA/standby.signal"

ours() { grep -qs '^drctl fence' "$signal"; }

# A server and all that it starts work in its data folder: one that lost its postmaster may write for a moment yet.
processes() {
  folder=$(readlink -f "$DATA")
  for at in /proc/[0-9]*; do
    [ "$(readlink "$at/cwd" 2>/dev/null)" = "$folder" ] || continue
    case "$(cat "$at/comm" 2>/dev/null)" in postgres* | postmaster*) echo "${at#/proc/}" ;; esac
  done
}

look() {
  printf 'mark\t%s\n' "$(if ours; then echo ours; elif [ -e "$signal" ] || [ -e "$DATA/recovery.signal" ]; then echo others; else echo none; fi)"
  [ ! -e "$DATA/postmaster.pid" ] || printf 'pid\t%s\n' "$(head -n 1 "$DATA/postmaster.pid")"
  for one in $(processes); do printf 'process\t%s\n' "$one"; done
  { able; another; } | sed 's/^/obstacle\t/'
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
  if [ -e "$signal" ] && ! ours || [ -e "$DATA/recovery.signal" ]; then fail "it is a replica; another server is the writer"; fi
  # First: from then on whatever starts it starts no writer.
  printf 'drctl fence %s\n' "$KEY" >"$signal.drctl" && mv "$signal.drctl" "$signal" && sync || fail "cannot write a mark in $DATA"
  halt standby
}

lift() {
  refuse_another
  if ours; then
    halt down
    rm -f "$signal" && sync || fail "cannot remove the mark in $DATA"
  fi
  running || start || fail "the server does not start; see its log"
}

case "$DO" in
  look) look ;;
  *)
    alone_here
    case "$DO" in set) set_it ;; lift) lift ;; esac 9>&- >&2
    ;;
esac
