# The start of every job that changes a server on its host. It checks that this is the right server and that drctl can work here.
# Runs as the owner of its data. Set before it: DATA BIN CONFIG KEY CHECKPOINTER PORT DO, and the functions stop and start.
set -u
umask 077
export LC_ALL=C TZ=UTC
PATH="${BIN:+$BIN:}$PATH"
work="$DATA.drctl"

fail() { echo "$*" >&2; exit 1; }
running() { pg_ctl -D "$DATA" status >/dev/null 2>&1; }

# Why this is not the server of the endpoint; prints nothing if it is.
another() {
  [ -e "$DATA/PG_VERSION" ] || { echo "$DATA is not the data folder of a server"; return; }
  pid=$(head -n 1 "$DATA/postmaster.pid" 2>/dev/null)
  if ! running; then
    [ -z "$CHECKPOINTER" ] || echo "the endpoint answers, but no server runs in $DATA. The plan names a different host"
  elif [ -n "$CHECKPOINTER" ]; then
    parent=$(sed 's/.*) //' "/proc/$CHECKPOINTER/stat" 2>/dev/null | cut -d' ' -f2)
    [ "$parent" = "$pid" ] || echo "the server that runs in $DATA is not the server that answers at the endpoint. The plan names a different host"
  else
    port=$(sed -n 4p "$DATA/postmaster.pid")
    [ "$port" = "$PORT" ] || echo "the endpoint does not answer, and the server that runs in $DATA listens on port $port. Check that the host in the plan is the host of the endpoint"
  fi
}

able() {
  pg_ctl --version >/dev/null 2>&1 || echo "pg_ctl is not in ${BIN:-the path}. Set \`bin\` in the plan to its folder"
  command -v flock >/dev/null || echo "flock is not in the path"
  [ -w "$DATA" ] || echo "$(id -un) cannot write to $DATA"
}

refuse_another() {
  why=$({ able; another; } | head -n 1)
  [ -z "$why" ] || fail "$why"
}

# Only one job runs at a time. It continues if the connection to the host is lost.
alone_here() {
  exec 9>"$work/lock"
  flock -w 5 9 || { echo 'another job on this server runs' >&2; exit 75; }
}
trap '' HUP
mkdir -p "$work" || fail "cannot create $work"
