# The parts that `up` builds; sourced after common.sh.
# shellcheck shell=bash disable=SC2154

# Claims a number that no other world has, by creating its folder.
claim() {
  local first try number
  first=$(printf %s "$dir" | cksum | cut -d' ' -f1)
  for try in $(seq 0 249); do
    number=$(((first + try) % 250 + 1))
    if mkdir "/run/world$number" 2>/dev/null; then
      echo "$1" > "/run/world$number/regions"
      echo "$dir" > "/run/world$number/dir"
      return
    fi
  done
  die "250 worlds are up already"
}

# Logins are files in the format that drctl reads. Only root can open them; PostgreSQL's user, only its own.
folders() {
  local region who
  mkdir -p "$dir/log" "$dir/logins"
  for who in app drctl repl; do
    (umask 077; printf '{"username": "%s", "password": "%s"}\n' "$who" "$(password "$who")" > "$dir/logins/$who.json")
  done
  (umask 077; echo "*:*:*:repl:$(password repl)" > "$run/pgpass")
  chown postgres "$run/pgpass"
  for region in $regions; do
    mkdir -p "$dir/$region"
    room "$region"
  done
  mkdir -p "$dir/cloud" "$dir/users"
}
password() { echo "$1-of-world-$id"; }

backbone() {
  local place
  for place in $(places); do
    ip netns add "$(ns "$place")"
    inside "$place" sh -c 'echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6' 2>/dev/null || true
  done
  ip -n "$(ns net)" link set lo up
  inside net sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward; echo 0 > /proc/sys/net/ipv4/conf/all/rp_filter'
  # Every packet to a region with an unplugged cable leads to an error.
  inside net sh -c 'echo 0 > /proc/sys/net/ipv4/icmp_ratelimit'
}

# One cable from the backbone to the place. Neither end is ever outside of the world.
connect() {
  local place=$1 sub role
  sub="$net.$(number "$place")"
  ip link add "$place" netns "$(ns net)" type veth peer name eth0 netns "$(ns "$place")"
  printf '%s\n' "address add $sub.1/24 dev $place" "link set $place up" | ip -n "$(ns net)" -batch -
  { for role in self web db api dns; do echo "address add $(address "$place" "$role")/24 dev eth0"; done
    printf '%s\n' 'link set lo up' 'link set eth0 up' "route add default via $sub.1 src $sub.10"
  } | ip -n "$(ns "$place")" -batch -
  mkdir -p "/etc/netns/$(ns "$place")"
  printf 'nameserver %s\noptions timeout:1 attempts:2\n' "$(asked "$place")" > "/etc/netns/$(ns "$place")/resolv.conf"
}

# Faults drop packets by subnet, not by cable, because a delayed packet passes twice. Packets are counted when they are sent, whether or not
# a fault then drops them. Services have ports below 32768, so the rest are replies.
firewall() {
  inside net nft -f - <<NFT
table ip world {
  set hidden { type ipv4_addr; flags interval; }
  set cut { type ipv4_addr . ipv4_addr; flags interval; }
  set sent { typeof iifname . ip daddr . meta l4proto . th dport; flags dynamic; size 65535; counter; }
  set replies { typeof iifname . ip daddr . meta l4proto . th sport; flags dynamic; size 65535; counter; }
  set dropped { typeof iifname . ip daddr . meta l4proto . th dport; flags dynamic; size 65535; counter; }
  chain count {
    type filter hook forward priority -10;
    iifname "slow*" accept
    th dport < 32768 update @sent { iifname . ip daddr . meta l4proto . th dport }
    th dport >= 32768 th sport < 32768 update @replies { iifname . ip daddr . meta l4proto . th sport }
  }
  chain gone { update @dropped { iifname . ip daddr . meta l4proto . th dport }; drop; }
  chain faults {
    type filter hook forward priority 0;
    ip saddr @hidden goto gone
    ip daddr @hidden goto gone
    ip saddr . ip daddr @cut goto gone
  }
}
NFT
  local region
  for region in $regions; do
    inside "$region" nft -f - <<NFT
table ip world {
  set closed { type ipv4_addr; }
  chain group {
    type filter hook input priority 0;
    ip daddr @closed tcp dport 5432 tcp flags & (fin|syn|rst|ack) == syn counter drop
  }
}
NFT
  done
}

create_primary() {
  local data
  data=$(data west)
  # If it is interrupted it leaves shared memory, which disappears with a mount that only it sees.
  # shellcheck disable=SC2016
  inside west sh -c 'mount -t tmpfs shm /dev/shm && cd / && exec runuser -u postgres -- "$@"' - \
    "$(postgres_bin)/initdb" -D "$data" -U postgres -A peer --no-sync --data-checksums --wal-segsize=1 -E UTF8 --no-locale \
    > "$dir/log/initdb.log"
  # Nothing in it names a region, so that a copy works in another one, also after pg_rewind.
  cat >> "$data/postgresql.conf" <<CONF
include_if_exists '../here.conf'
wal_level = replica
hot_standby = on
track_commit_timestamp = on
wal_log_hints = on
fsync = off
# Its ANALYZE commits at any time, which a fence cannot distinguish from a client.
autovacuum = off
max_connections = 60
shared_buffers = 16MB
# A killed server leaves nothing in /dev/shm.
dynamic_shared_memory_type = mmap
# Statistics need shared memory, which would be files on a disk that a fault fills.
min_dynamic_shared_memory = 16MB
# pg_rewind reads a server's own WAL back to the fork.
wal_keep_size = 32MB
min_wal_size = 8MB
max_wal_size = 48MB
max_slot_wal_keep_size = 96MB
wal_sender_timeout = 10s
wal_receiver_timeout = 10s
wal_retrieve_retry_interval = 500ms
log_line_prefix = '%m [%p] %u %h '
CONF
  if [ -n "$localstack" ]; then
    printf "archive_mode = on\narchive_timeout = 30s\narchive_command = '%s %%p %%f'\n" "$run/archive" \
      >> "$data/postgresql.conf"
  fi
  cat > "$data/pg_hba.conf" <<HBA
local all,replication all peer
host all all $net.0.0/16 scram-sha-256
host replication repl $net.0.0/16 scram-sha-256
HBA
  start_postgres west
}

fill_primary() {
  as_postgres west psql -X -q -v ON_ERROR_STOP=1 -d postgres > "$dir/log/seed.log" <<SQL
CREATE ROLE app LOGIN PASSWORD '$(password app)';
CREATE ROLE drctl LOGIN CREATEROLE PASSWORD '$(password drctl)';
GRANT pg_signal_backend, pg_monitor TO drctl;
CREATE ROLE repl LOGIN REPLICATION PASSWORD '$(password repl)';
CREATE DATABASE shop OWNER drctl;
$(rights)
\\connect shop
$(rights)
CREATE TABLE ledger (n bigint PRIMARY KEY, at timestamptz DEFAULT clock_timestamp(), via text);
CREATE TABLE health (n bigserial, at timestamptz DEFAULT clock_timestamp(), site text, filler text);
GRANT ALL ON ledger, health, health_n_seq TO app;
SELECT pg_create_physical_replication_slot(r) FROM unnest(string_to_array('${regions#west }', ' ')) r;
SQL
}

# Rights on functions belong to one database. pg_rewind needs these to read the source's files.
rights() {
  cat <<SQL
GRANT EXECUTE ON FUNCTION pg_promote TO drctl;
GRANT EXECUTE ON FUNCTION pg_ls_dir(text, boolean, boolean), pg_stat_file(text, boolean), pg_read_binary_file(text),
  pg_read_binary_file(text, bigint, bigint, boolean) TO repl;
SQL
}

# One process in each region answers with an SSH greeting.
ssh() {
  local region
  for region in $regions; do
    spawn ssh "$region" /usr/bin/python3 -B "$here/lib/forward.py" "tcp:$(address "$region" db):22" banner:SSH-2.0-stand-in
  done
}

name_server() {
  local home="$dir/cloud"
  /usr/bin/python3 - "$home/zone.db" <<'PY'
import sqlite3, sys
with open("/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql") as schema:
    sqlite3.connect(sys.argv[1]).executescript(schema.read())
PY
  cat > "$home/pdns.conf" <<CONF
launch=gsqlite3
gsqlite3-database=$home/zone.db
gsqlite3-pragma-synchronous=0
local-address=$(address cloud dns)
api=yes
api-key=$(password dns)
webserver-address=$(address cloud dns)
webserver-port=8081
webserver-allow-from=$net.0.0/16
cache-ttl=0
query-cache-ttl=0
negquery-cache-ttl=0
zone-cache-refresh-interval=0
enable-lua-records=yes
security-poll-suffix=
socket-dir=$run
CONF
  spawn pdns cloud pdns_server --config-dir="$home"
}

# The resolver of a place: its own, or the one of the users.
asked() { if [ "$resolvers" = one ] && [ "$1" != users ]; then address users self; else echo 127.0.0.1; fi; }
resolver() {
  cat > "$dir/$1/unbound.conf" <<CONF
server:
  interface: 127.0.0.1
$([ "$resolvers" != one ] || [ "$1" != users ] || printf '  interface: %s\n  access-control: %s.0.0/16 allow\n' "$(address users self)" "$net")
  do-ip6: no
  username: ""
  chroot: ""
  directory: "$dir/$1"
  pidfile: ""
  use-syslog: no
  do-daemonize: no
  num-threads: 1
  module-config: "iterator"
  # Client ports, so that queries can be distinguished from the answers of services.
  outgoing-port-avoid: 0-32767
  local-zone: "." refuse
  local-zone: "$zone." transparent
  # A server that was unreachable is tried again at once; its answers are cached for their TTL.
  infra-host-ttl: 1
  cache-max-negative-ttl: 1
stub-zone:
  name: "$zone."
  stub-addr: $(address cloud dns)
server:
$([ -z "$localstack" ] || aws_names)
remote-control:
  control-enable: no
CONF
  spawn unbound "$1" unbound -d -c "$dir/$1/unbound.conf"
}

front() {
  cat > "$dir/$1/nginx.conf" <<CONF
daemon off;
user root;
worker_processes 1;
pid $run/$1/nginx.pid;
events { worker_connections 256; }
http {
  access_log off;
  client_body_temp_path $run/$1/body;
  proxy_temp_path $run/$1/proxy;
  fastcgi_temp_path $run/$1/fastcgi;
  uwsgi_temp_path $run/$1/uwsgi;
  scgi_temp_path $run/$1/scgi;
  server {
    listen $(address "$1" web):80;
    location / { proxy_pass http://127.0.0.1:8000; proxy_read_timeout 3s; }
  }
}
CONF
  start_app "$1"
  start_nginx "$1"
}

ready() {
  local count
  count=$(echo "${regions#west }" | wc -w)
  until_true 20 "streaming standbys" streaming "$count"
  until_true 20 "a healthy application" inside users curl -sf -m 3 "http://www.$zone/health"
  "$here/client" "$dir" --mode fresh --rate 20 --count 1 --out "$dir/log/first-write.jsonl"
}
streaming() {
  [ "$(as_postgres west psql -X -At -c "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'")" = "$1" ]
}
