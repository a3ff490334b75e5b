# AWS in the world: LocalStack, at an address in each region and one for what is global; sourced after common.sh.
# shellcheck shell=bash disable=SC2154

aws_region() { case $1 in west) echo us-west-2 ;; east) echo us-east-1 ;; north) echo eu-west-1 ;; esac; }

# The calls leave the world through a Unix socket, so they do not depend on its network.
api() {
  local place way
  echo "$localstack" > "$run/localstack"
  certificate
  spawn_outside api /usr/bin/python3 -B "$here/lib/forward.py" "unix:$run/api" "tcp:${localstack#http://}"
  for place in $regions cloud; do
    for way in "tcp:$(address "$place" api):4566" "tls:$(address "$place" api):443:$dir/tls"; do
      spawn api "$place" /usr/bin/python3 -B "$here/lib/forward.py" "$way" "unix:$run/api"
    done
  done
  echo "$localstack/$bucket" > "$run/bucket"
  # Runs in the data folder. Once a server is an RDS instance, its WAL is kept under that instance's resource, which a rename does not
  # change.
  cat > "$run/archive" <<SH
#!/bin/sh
set -e
owner=\$(cat ../resource 2>/dev/null || true)
curl -sf -m 20 -o /dev/null --aws-sigv4 aws:amz:us-east-1:s3 -u 111111111111:test \\
  -T "\$1" "http://$(address east api):4566/$bucket/\${owner:+\$owner/}wal/\$2"
case \$2 in *.*) ;; *) echo "\$2" > ../archived.new && mv ../archived.new ../archived ;; esac
SH
  # A missing file is the end of the archive (1); an unreachable archive ends the recovery (above 125).
  cat > "$run/fetch" <<SH
#!/bin/sh
code=\$(curl -s -m 20 -o "\$2" -w '%{http_code}' "\$1") || exit 200
case \$code in 200) ;; 404) rm -f "\$2"; exit 1 ;; *) exit 200 ;; esac
SH
  chmod +x "$run/archive" "$run/fetch"
  until_true 10 "the bucket" curl -sf -m 5 -X PUT "$localstack/$bucket"
}

# A CA of the world's own signs certificates for AWS's names. Clients trust it by SSL_CERT_FILE.
certificate() {
  local region names="DNS:*.amazonaws.com,DNS:*.s3.amazonaws.com"
  for region in $regions; do
    names="$names,DNS:*.$(aws_region "$region").amazonaws.com,DNS:*.s3.$(aws_region "$region").amazonaws.com"
  done
  mkdir -p "$dir/tls"
  (
    cd "$dir/tls" || exit 1
    request() {
      openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3 "$@" 2>> "$dir/log/tls.log"
    }
    request -subj "/CN=world $id" -keyout ca.key -out ca.pem
    request -subj /CN=amazonaws.com -addext "subjectAltName=$names" -addext basicConstraints=critical,CA:FALSE \
      -CA ca.pem -CAkey ca.key -keyout key.pem -out cert.pem
  )
}

# Lines for a resolver: names of a region resolve to the region, all others to the global address.
aws_names() {
  local region name
  {
    echo "amazonaws.com $(address cloud api)"
    for region in $regions; do echo "$(aws_region "$region").amazonaws.com $(address "$region" api)"; done
  } | while read -r name address; do
    printf '  local-zone: "%s." redirect\n  local-data: "%s. 60 A %s"\n' "$name" "$name" "$address"
  done
}
