job() {
  [ ! -e "$work/$KEY.exit" ] || exit "$(cat "$work/$KEY.exit")"
  : >"$work/$KEY.facts" || fail "no room in $work"
  case "$RESTORE" in '' | *[!0-9a-f]*) fail "RESTORE is no name: $RESTORE" ;; esac
  case "$DATA" in *[!A-Za-z0-9/._+@:-]*) fail "the name of $DATA has characters that commands of archives would trip over" ;; esac
  pg_ctl --version >/dev/null 2>&1 || fail "pg_ctl is not in ${BIN:-the path}: \`bin\` in the plan names its folder"
  case "$PART" in
    look | beside | verify | loss | swap | undo | destroy) "$PART" ;;
    *) fail "there is no part $PART" ;;
  esac
}

# What an earlier attempt left running (a fetch, a check) holds this; servers do not.
exec 9>"$work/restore.lock"
flock -n 9 || { printf '%s waiting for what an earlier attempt left running\n' "$(date -u +%H:%M:%SZ)" >>"$work/$KEY.log"; flock 9; }
(job) >>"$work/$KEY.log" 2>&1 </dev/null
ended=$?
printf '%s' "$ended" >"$work/$KEY.exit"
rm -f "$0"
