# Only the lines between these two marks belong to drctl.
begin_mark='# drctl fence: begin'
end_mark='# drctl fence: end'

# `whole`, `none`, or `broken`: if broken, it is unclear which lines belong to drctl.
marks() {
  awk -v b="$begin_mark" -v e="$end_mark" '
    index($0, b) == 1 { if (inside) bad = 1; inside = 1; found = 1; next }
    $0 == e { if (!inside) bad = 1; inside = 0 }
    END { print bad || inside ? "broken" : found ? "whole" : "none" }' "$1"
}

# Restores the file byte by byte; its last line may have no newline.
without_marks() { sed -e "/^$begin_mark/,/^$end_mark\$/d" "$1"; }

# Replaces file $1 atomically with standard input, keeping owner and mode. Fails if it no longer equals $2, the copy that was
# read.
takes_place() {
  rm -f "$1.drctl"
  cp -p "$1" "$1.drctl" && cat >"$1.drctl" && [ "$(stat -c %u:%g:%a "$1")" = "$(stat -c %u:%g:%a "$1.drctl")" ] && cmp -s "$1" "$2" &&
    sync "$1.drctl" && mv "$1.drctl" "$1" && sync "$(dirname "$1")" && return
  rm -f "$1.drctl"
  return 1
}

# The files of this server that may have such lines: the one that the server names, the one that was last written, and the usual
# ones.
hba_files() {
  for one in "${HBA:-}" "$(cat "$DATA.drctl/hba" 2>/dev/null)" "$DATA/pg_hba.conf" "${CONFIG:+$(dirname "$CONFIG")/pg_hba.conf}"; do
    if [ -n "$one" ] && [ -f "$one" ]; then readlink -f "$one"; fi
  done | sort -u
}

# Removes the lines from all of them.
without_fence() {
  hba_files | while read -r one; do
    case "$(marks "$one")" in
      none) ;;
      broken) echo "the lines of the drctl fence in $one are incomplete. Remove them by hand, from \`$begin_mark\` to \`$end_mark\`" >&2; exit 1 ;;
      whole)
        cp "$one" "$DATA.drctl/hba.read" && without_marks "$DATA.drctl/hba.read" | takes_place "$one" "$DATA.drctl/hba.read" ||
          { echo "cannot write $one, or another process just changed it" >&2; exit 1; }
        ;;
    esac
  done
}
