# Shared by up and down; sourced, with the state directory as $1.

dir=${1:-.localstack}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
port=${DRCTL_LOCALSTACK_PORT:-4566}
endpoint="http://127.0.0.1:$port"

say() { echo "localstack: $*" >&2; }
die() { say "$*"; exit 1; }

# The start time of a process, in this system's format. Together with the PID it identifies a process.
started_at() {
  if [ -r "/proc/$1/stat" ]; then
    sed 's/.*) //' "/proc/$1/stat" | cut -d' ' -f20
  else
    ps -o lstart= -p "$1" 2>/dev/null | tr -s ' ' _
  fi
}

command_of() {
  if [ -r "/proc/$1/cmdline" ]; then tr '\0' ' ' < "/proc/$1/cmdline"; else ps -o command= -p "$1" 2>/dev/null; fi
}

# Whether the process in the PID file is still there: the same PID and the same start time.
alive() {
  local pid start
  [ -r "$dir/pid" ] && read -r pid start < "$dir/pid" || return 1
  [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null && [ "$(started_at "$pid")" = "$start" ]
}

# Whether it is also the program that `up` starts. Start times count from the boot, so after a reboot another process may have both numbers.
# On a busy machine a new process takes seconds to become this program: `up` must not ask this about the process that it just started.
running() {
  alive || return 1
  case "$(command_of "$(cut -d' ' -f1 "$dir/pid")")" in *drctl_localstack.main*) return 0 ;; *) return 1 ;; esac
}

taken() { (exec 3<> "/dev/tcp/127.0.0.1/$port") 2>/dev/null; }

# Whether our extension answers. Uses bash's own sockets, because not every machine has curl.
answers() {
  local line
  { exec 3<> "/dev/tcp/127.0.0.1/$port"; } 2>/dev/null || return 1
  printf 'GET /_drctl HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3
  read -r -t 5 line <&3 || line=
  exec 3<&- 3>&-
  case "$line" in *" 200 "*) return 0 ;; *) return 1 ;; esac
}
