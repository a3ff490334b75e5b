# Functions for positions in the WAL and for the commits in it. The jobs that count what one server has and another lacks include
# this file first. `size` is the size of a WAL segment.
#
# Sources: PostgreSQL documentation, «pg_waldump»; heapdesc.c, xactdesc.c, standbydesc.c and smgrdesc.c for what it prints;
# procarray.c, GetRunningTransactionData, for what a list of running transactions holds (prepared ones, too).

number() { printf '%d' $(( ((0x${1%/*} << 32) | 0x${1#*/}) / size )); }
named() { printf '%08X%08X%08X' "$1" $(( $2 / (0x100000000 / size) )) $(( $2 % (0x100000000 / size) )); }
begin() { printf '%X/%X' $(( ($1 * size) >> 32 )) $(( ($1 * size) & 0xFFFFFFFF )); }
later() { [ $(( (0x${1%/*} << 32) | 0x${1#*/} )) -gt $(( (0x${2%/*} << 32) | 0x${2#*/} )) ]; }
padded() { printf '%08X%08X' $((0x${1%/*})) $((0x${1#*/})); }

position_of='
  function position(line) {
    if (!match(line, /lsn: [0-9A-F]+\/[0-9A-F]+/)) return ""
    split(substr(line, RSTART + 5, RLENGTH - 5), half, "/")
    return substr("00000000" half[1], length(half[1]) + 1) substr("00000000" half[2], length(half[2]) + 1)
  }
'
# The records that begin before a position. Fails if no record follows them. pg_waldump itself leaves out the record that begins
# before the end position and ends after it.
up_to() { awk -v end="$(padded "$1")" "$position_of"'position($0) >= end { behind = 1; exit } { print } END { exit !behind }'; }

# These functions read the output of pg_waldump.
#   commits_of_rows FILE AFTER END ONLY: prints the commit time of each transaction that committed at AFTER or later and changed rows
#     of a table or created its file; rows in FILE (`database/file`) do not count. A `?` after the time means that it is uncertain:
#     the transaction may have changed rows before this WAL begins. Writes the position of the last record to the file END; the IDs
#     of those transactions, one a line, to ONLY.xids; and the files that they changed (`database/file`), with the number of rows
#     inserted, updated and deleted, to ONLY.touched. All four arguments are optional.
#   under_way_in: prints the records of transactions that are still open at the end of this WAL. commits_of_rows needs them in front
#     of the WAL that follows. Prints nothing if the input has the line `broken`.
# Files below 16384 (FirstNormalObjectId) belong to catalogs, which a fence or ANALYZE changes. Of these only large objects (2613)
# are user data.
commits_of_rows() { end="${3:-}" only="${4:-}" awk -v skip="${1:-}" -v after="$(padded "${2:-0/0}")" "$of_the_log"; }
under_way_in() { awk -v open=1 "$of_the_log"; }
of_the_log="$position_of"'
  # Transaction IDs stay strings: some versions of awk print numbers above 2^31 as 3e+09, which is the same text for many IDs.
  function text(of) { sub(/^[^0-9]*/, "", of); return of "" }
  function xid() { return match($0, /tx: +[0-9]+/) ? text(substr($0, RSTART + 3, RLENGTH - 3)) : "0" }
  # All IDs of the transaction that ends on this line.
  function ended() {
    of = xid()
    twophase = match($0, /(COMMIT|ABORT)_PREPARED [0-9]+/)
    if (twophase) { of = substr($0, RSTART, RLENGTH); sub(/.* /, "", of); of = of "" }
    many = 0
    if (match($0, /subxacts: [0-9 ]+/)) many = split(substr($0, RSTART + 10, RLENGTH - 10), all, " ")
    all[++many] = of
  }
  # Records what a transaction did to a file, and how many rows of it count. For records from before this WAL only the file is
  # known.
  function did(file, what, rows) {
    if (ENVIRON["only"] == "") return
    if (!((xid(), file) in touches)) { touches[xid(), file] = 1; list[xid()] = list[xid()] " " file }
    if (position($0) >= after) rowsof[xid(), file, what] += rows
  }
  function forget(of,   n, k, w, files) {
    n = split(list[of], files, " ")
    for (k = 1; k <= n; k++) { delete touches[of, files[k]]; for (w = 0; w <= 3; w++) delete rowsof[of, files[k], w] }
    delete list[of]; delete changed[of]; delete made[of]; delete ours[of]
  }
  function rows_in() { return match($0, /ntuples: [0-9]+|[0-9]+ tuples/) ? substr($0, RSTART + ($0 ~ /ntuples/ ? 9 : 0)) + 0 : 1 }
  function counts(of,   n, k, w, files) {
    print of >(ENVIRON["only"] ".xids")
    n = split(list[of], files, " ")
    for (k = 1; k <= n; k++) {
      touched[files[k]] = 1
      for (w = 1; w <= 3; w++) total[files[k], w] += rowsof[of, files[k], w]
    }
  }
  { last = $0 }
  /^broken/ { broken = 1 }
  # A transaction that was open when this WAL begins may have changed rows before. After a shutdown or a recovery, only prepared
  # transactions are open.
  !known && /desc: (RUNNING_XACTS|CHECKPOINT_SHUTDOWN|END_OF_RECOVERY)/ {
    known = 1
    n = match($0, /xacts: [0-9 ]+/) ? split(substr($0, RSTART + 7, RLENGTH - 7), all, " ") : 0
    for (k = 1; k <= n; k++) running[all[k] ""] = 1
    first = $0
  }
  /^rmgr: Heap/ && /desc: (INSERT|UPDATE|HOT_UPDATE|DELETE|MULTI_INSERT|TRUNCATE)/ && match($0, /rel [0-9]+\/[0-9]+\/[0-9]+/) {
    split(substr($0, RSTART + 4, RLENGTH - 4), file, "/")
    if (file[3] >= 16384) did(file[2] "/" file[3], /desc: (MULTI_)?INSERT/ ? 1 : /desc: DELETE/ ? 3 : 2, rows_in())
    if (file[3] >= 16384 || file[3] == 2613) { if (skip != "" && file[2] "/" file[3] == skip) ours[xid()] = $0; else changed[xid()] = $0 }
  }
  /^rmgr: Storage/ && match($0, /CREATE (base|pg_tblspc\/[0-9]+\/[^\/ ]+)\/[0-9]+\/[0-9]+/) {
    n = split(substr($0, RSTART, RLENGTH), file, "/")
    did(file[n - 1] "/" file[n], 0, 0)
    if (skip != "" && file[n - 1] "/" file[n] == skip) ours[xid()] = $0; else made[xid()] = $0
  }
  /^rmgr: Transaction/ && /desc: PREPARE/ { prepared[xid()] = $0 }
  open && /^rmgr: Transaction/ && /desc: (COMMIT|ABORT)/ {
    ended()
    for (k = 1; k <= many; k++) { delete changed[all[k]]; delete made[all[k]]; delete prepared[all[k]] }
  }
  !open && /^rmgr: Transaction/ && /desc: COMMIT/ && position($0) >= after {
    ended()
    hit = new = own = old = 0
    for (k = 1; k <= many; k++) { hit += all[k] in changed; new += all[k] in made; own += all[k] in ours; old += all[k] in running }
    sure = hit || (new && !own)
    maybe = old || !known || (twophase && !(of in prepared))
    if ((sure || maybe) && ENVIRON["only"] != "") for (k = 1; k <= many; k++) counts(all[k])
    if ((sure || maybe) && match($0, /[0-9]+-[0-9]+-[0-9]+ [0-9:.]+/)) print substr($0, RSTART, RLENGTH) (sure ? "" : " ?")
  }
  !open && /^rmgr: Transaction/ && /desc: (COMMIT|ABORT)/ { ended(); for (k = 1; k <= many; k++) forget(all[k] "") }
  END {
    if (open && known && !broken) { print first; for (k in changed) print changed[k]; for (k in made) print made[k]; for (k in prepared) print prepared[k] }
    for (k in touched) printf "%s %.0f %.0f %.0f\n", k, total[k, 1], total[k, 2], total[k, 3] >(ENVIRON["only"] ".touched")
    at = position(last)
    if (ENVIRON["end"] != "" && at != "") print substr(at, 1, 8) "/" substr(at, 9) >ENVIRON["end"]
  }'
