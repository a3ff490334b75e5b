# Shared by the commands of a world; sourced, with their folder in `here`. Names and addresses follow from the world's number alone.
# shellcheck shell=bash disable=SC2034,SC2154

zone=shop.test
LC_ALL=C.UTF-8
export LC_ALL

say() { echo "world: $*" >&2; }
die() { say "$*"; exit 1; }

# Opens the world's folder. There is no number before `up` has claimed one.
open_world() {
  local mark
  [ "$(id -u)" = 0 ] || die "namespaces need root"
  dir=$(realpath -m "$1")
  id='' regions=''
  # The world's own files are outside of DIR: PostgreSQL's user must be able to read them, and `down` must find them if DIR is gone.
  for mark in /run/world*/dir; do
    if [ "$(cat "$mark" 2>/dev/null)" = "$dir" ]; then id=${mark#/run/world} id=${id%/dir}; fi
  done
  run=/run/world${id:-none}
  net="10.${id:-0}"
  if [ -e "$run/regions" ]; then regions=$(cat "$run/regions"); fi
}

need_world() {
  open_world "$1"
  [ -n "$id" ] || die "$1 is not up"
}

ns() { echo "world$id-$1"; }
places() { echo "net $regions users cloud"; }

# The third part of a place's addresses.
number() {
  case $1 in
    west) echo 1 ;; east) echo 2 ;; north) echo 3 ;; users) echo 8 ;; cloud) echo 9 ;;
    *) die "unknown place $1" ;;
  esac
}

# web: nginx. db: PostgreSQL and its host's port 22. api: AWS in that region. dns: PowerDNS.
address() {
  local host
  case $2 in self) host=10 ;; web) host=2 ;; db) host=3 ;; api) host=4 ;; dns) host=53 ;; esac
  echo "$net.$(number "$1").$host"
}

# A region's own server has the region's name: `west`. Others, which AWS's API creates, have region and instance: `west/NAME`.
server_named() { if [ -z "${2:-}" ] || [ "$2" = "shop-$1" ]; then echo "$1"; else echo "$1/$2"; fi; }
region_of() { echo "${1%%/*}"; }
instance_of() { case $1 in */*) echo "${1#*/}" ;; *) echo "shop-$1" ;; esac; }
need_server() {
  need_region "$(region_of "$1")"
  [ -d "$(place "$1")" ] || die "no server $1; there are: $(servers | tr '\n' ' ')"
}
servers() {
  local region server
  for region in $regions; do
    echo "$region"
    for server in "$run/$region/servers"/*/; do [ ! -d "$server" ] || echo "$region/$(basename "$server")"; done
  done
}

# An endpoint belongs to a name, as in AWS: the server that has the name is reached at it, and no other.
db_address() {
  local region names line
  region=$(region_of "$1") names="$run/${1%%/*}/names"
  case $1 in
    */*)
      line=$(grep -nxF -- "${1#*/}" "$names" 2>/dev/null | cut -d: -f1) || true
      [ -n "$line" ] || { echo "${1#*/}" >> "$names"; line=$(wc -l < "$names"); }
      [ "$line" -le 150 ] || die "no address in $region for another name"
      echo "$net.$(number "$region").$((99 + line))"
      ;;
    *) address "$region" db ;;
  esac
}

is_region() { case " $regions " in *" $1 "*) return 0 ;; *) return 1 ;; esac; }
need_region() { is_region "$1" || die "no region $1; this world has: $regions"; }

inside() { ip netns exec "$(ns "$1")" "${@:2}"; }

# Starts a daemon in its own session, without our file descriptors. $1 is the name of its log, $2 the place.
spawn() {
  local log="$dir/log/$2-$1.log"
  setsid ip netns exec "$(ns "$2")" "${@:3}" >> "$log" 2>&1 < /dev/null &
}

# The same outside of the namespaces. `down` ends it by the PID that is recorded here.
spawn_outside() {
  setsid "${@:2}" >> "$dir/log/$1.log" 2>&1 < /dev/null &
  echo "$! $(started_at $!)" > "$run/$1.pid"
}

# Runs PostgreSQL's programs as its user, in a server's region. The socket is abstract, so it belongs to the namespace.
as_postgres() {
  local region bin
  region=$(region_of "$1") bin=$(postgres_bin)
  (cd / && ip netns exec "$(ns "$region")" runuser -u postgres -- \
    env PATH="$bin:$PATH" PGHOST="$(socket "$1")" PGPASSFILE="$run/pgpass" PGCONNECT_TIMEOUT=5 "${@:2}")
}
socket() { case $1 in */*) echo "@${1#*/}" ;; *) echo @postgres ;; esac; }

postgres_bin() {
  local found
  found=$(compgen -G '/usr/lib/postgresql/*/bin/initdb' | sort -V | tail -n 1)
  dirname "${found:?PostgreSQL is not installed}"
}

place() { case $1 in */*) echo "$run/${1%%/*}/servers/${1#*/}" ;; *) echo "$run/$1" ;; esac; }
data() { echo "$(place "$1")/disk/data"; }

# Creates the disk of a server. Files beside the data folder belong to the name, and so are not in any copy of the data.
room() {
  local at
  at=$(place "$1")
  mkdir -p "$at/disk"
  chown postgres "$at"
  mountpoint -q "$at/disk" ||
    mount -t tmpfs -o "size=256m,mode=0700,uid=$(id -u postgres)" "world$id-$(region_of "$1")" "$at/disk"
  printf "listen_addresses = '%s'\nunix_socket_directories = '%s'\n" "$(db_address "$1")" "$(socket "$1")" > "$at/disk/here.conf"
}

start_postgres() { pg_ctl "$1" start; }
pg_ctl() {
  try_pg_ctl "$@" || { tail -n 5 "$(place "$1")/postgres.log" >&2; die "PostgreSQL in $1 did not ${!#}"; }
}
try_pg_ctl() {
  as_postgres "$1" pg_ctl -D "$(data "$1")" -l "$(place "$1")/postgres.log" -w -t 60 "${@:2}" > /dev/null 2>&1
}
serves() { [ -n "$(pids_of_server "$1")" ]; }
stop_postgres() { ! serves "$1" || pg_ctl "$1" -m "${2:-fast}" stop; }

# The processes of a server, which run in its data folder.
pids_of_server() {
  local pid name data
  data=$(data "$1")
  for pid in $(ip netns pids "$(ns "$(region_of "$1")")" 2>/dev/null); do
    if [ "/proc/$pid/cwd" -ef "$data" ] && read -r name 2>/dev/null < "/proc/$pid/comm" && [ "$name" = postgres ]; then
      echo "$pid"
    fi
  done
}

# Recreates a server as a standby of another one, which has the slot $3 for it.
create_standby() {
  as_postgres "$1" pg_basebackup -d "host=$(db_address "$2") user=repl application_name=$(region_of "$1")" -D "$(data "$1")" \
    -R -X stream -c fast -S "$3"
  start_postgres "$1"
}

# Frees the shared memory of a killed server: the segment that it recorded, if nothing uses it.
free_segment() {
  local key segment
  if read -r key segment < <(sed -n 7p "$(data "$1")/postmaster.pid" 2>/dev/null) &&
    awk -v key="$key" -v id="$segment" \
      '$1 == key && $2 == id && $7 == 0 { found = 1 } END { exit !found }' /proc/sysvipc/shm; then
    ipcrm -m "$segment"
  fi
}

start_nginx() { spawn nginx "$1" nginx -e stderr -c "$dir/$1/nginx.conf"; }
start_app() { spawn app "$1" /usr/bin/python3 -B "$here/lib/app.py" "$dir/world.json" "$1"; }

# The start time of a process, which identifies it together with its PID.
started_at() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }

# The processes of a place with this name or, for scripts, this command line.
pids_of() {
  local pid
  for pid in $(ip netns pids "$(ns "$1")" 2>/dev/null); do
    if [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$2" ] ||
      tr '\0' ' ' 2>/dev/null < "/proc/$pid/cmdline" | grep -q "/$2 "; then
      echo "$pid"
    fi
  done
}

# Waits until a command succeeds: at most $1 seconds; $2 describes the condition.
until_true() {
  local end=$((SECONDS + $1))
  until "${@:3}" > /dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || die "$2: not within $1 s"
    sleep 0.1
  done
}
