# DIR/world.json: all that a test needs to know of a world; sourced after common.sh.
# shellcheck shell=bash disable=SC2154

describe() {
  local region who comma=
  {
    printf '{\n  "id": %s, "zone": "%s", "ttl": 5, "home": "west", "database": "shop",\n' "$id" "$zone"
    printf '  "names": {"www": "www.%s", "db": "db.%s"}, "health": "http://www.%s/health",\n' "$zone" "$zone" "$zone"
    printf '  "bin": "%s", "run": "%s",\n  "archive": %s,\n  "regions": {' "$(postgres_bin)" "$run" "$(archive_url)"
    for region in $regions; do
      printf '%s\n    "%s": {"namespace": "%s", "subnet": "%s.%s.0/24",\n' \
        "$comma" "$region" "$(ns "$region")" "$net" "$(number "$region")"
      printf '      "web": "%s", "db": "%s", "endpoint": "%s:5432/shop", "ssh": "%s:22", "self": "%s", "api": %s,\n' \
        "$(address "$region" web)" "$(address "$region" db)" "$(address "$region" db)" "$(address "$region" db)" \
        "$(address "$region" self)" "$(api_url "$region")"
      printf '      "data": "%s", "disk": "%s", "log": "%s"}' \
        "$(data "$region")" "$run/$region/disk" "$run/$region/postgres.log"
      comma=,
    done
    printf '\n  },\n  "users": {"namespace": "%s"},\n' "$(ns users)"
    printf '  "cloud": {"namespace": "%s", "api": %s},\n  "net": {"namespace": "%s"},\n' \
      "$(ns cloud)" "$(api_url cloud)" "$(ns net)"
    printf '  "ca": %s,\n' "$(if [ -n "$localstack" ]; then printf '"%s"' "$dir/tls/ca.pem"; else printf null; fi)"
    printf '  "dns": {"address": "%s", "api": "http://%s:8081", "key": "%s"},\n  "logins": {' \
      "$(address cloud dns)" "$(address cloud dns)" "$(password dns)"
    comma=
    for who in app drctl repl; do
      printf '%s"%s": "%s"' "$comma" "$who" "$dir/logins/$who.json"
      comma=', '
    done
    printf '}\n}\n'
  } > "$dir/world.json"
}

api_url() { if [ -n "$localstack" ]; then printf '"http://%s:4566"' "$(address "$1" api)"; else printf null; fi; }
archive_url() { if [ -n "$localstack" ]; then printf '"%s/%s"' "$localstack" "$bucket"; else printf null; fi; }
