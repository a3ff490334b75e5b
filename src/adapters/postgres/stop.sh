# Stops a primary so that it cannot return as a writer, reports its state, or undoes that. this_server.sh is included before it.
#
# standby.signal is the mark: a server that has it starts as a standby (PostgreSQL documentation, «Standby Server Operation»),
# which takes no writes. The server ignores what is in the file; drctl uses it to recognize its own mark.
signal="$DATA/standby.signal"

ours() { grep -qs '^drctl fence' "$signal"; }

# All processes of a server work in its data folder. Those that lost their postmaster may still write for a moment.
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

# Processes that outlived their postmaster do not end while they are busy.
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
  # Use its own service manager, which would restart a server that is stopped in another way.
  if running; then stop || pg_ctl -D "$DATA" -w -t 60 -m immediate stop >/dev/null; fi
  end_orphans
  [ "$1" = standby ] || ! running || fail "the server does not stop"
}

set_it() {
  refuse_another
  if [ -e "$signal" ] && ! ours || [ -e "$DATA/recovery.signal" ]; then fail "it is a replica; another server is the writer"; fi
  # Set the mark first: from here on the server cannot start as a writer.
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
