# --- the job itself

job() {
  [ ! -e "$work/$KEY.exit" ] || exit "$(cat "$work/$KEY.exit")"
  : >"$work/$KEY.facts" || fail "no room in $work"
  case "$RESTORE" in '' | *[!0-9a-f]*) fail "RESTORE is not a valid name: $RESTORE" ;; esac
  case "$DATA" in *[!A-Za-z0-9/._+@:-]*) fail "the name of $DATA has characters that archive commands may not handle" ;; esac
  pg_ctl --version >/dev/null 2>&1 || fail "pg_ctl is not in ${BIN:-the path}. Set \`bin\` in the plan to its folder"
  case "$PART" in
    look | beside | verify | loss | swap | undo | destroy) "$PART" ;;
    *) fail "part $PART does not exist" ;;
  esac
}

# A look needs no job: `sh` reads this script from standard input, and the facts are printed. It leaves nothing behind except the
# lock.
inline() {
  [ "$PART" = look ] || { echo "only the part look can run like this" >&2; exit 2; }
  mkdir -p "$work" || exit 1
  exec 9>"$work/restore.lock"
  flock -w 5 9 || { busy="another restore of this server runs"; printf 'failed\t%s\n' "$busy"; echo "$busy" >&2; exit 75; }
  trap 'rm -rf "$work/$KEY".* "$probe" "$state.list" "$state.take"' EXIT
  trap 'exit 129' HUP INT TERM
  (job) >>"$work/$KEY.log" 2>&1 </dev/null
  ended=$?
  [ -s "$work/$KEY.facts" ] && cat "$work/$KEY.facts"
  [ "$ended" = 0 ] || tail -n 1 "$work/$KEY.log" >&2
  exit "$ended"
}
[ "${INLINE:-}" != 1 ] || inline

# The braces make the shell read the whole script before it runs any of it. The file is then emptied, because it contains a
# password; that it exists still shows that the job was started.
{
[ "$0" != "$work/$KEY.sh" ] || true >"$0"
# A fetch or check that an earlier attempt left running holds this lock; servers do not.
exec 9>"$work/restore.lock"
flock -n 9 || { printf '%s waiting for what an earlier attempt left running\n' "$(date -u +%H:%M:%SZ)" >>"$work/$KEY.log"; flock 9; }
# To remove the copy, drctl first ends this job by its process group, which is that of the lock.
printf '%s' "$PPID" >"$state.group"
grep -q -s -x -F -e "$KEY" "$state.jobs" || printf '%s\n' "$KEY" >>"$state.jobs"
(job) >>"$work/$KEY.log" 2>&1 </dev/null
ended=$?
rm -f "$state.group" "$state.fetcher"
printf '%s' "$ended" >"$work/$KEY.exit"
[ "$0" != "$work/$KEY.sh" ] || rm -f "$0"
exit
}
