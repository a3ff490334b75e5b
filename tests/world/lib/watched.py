"""DNS names that follow an S3 object: failover record sets; the primary's inverted health check reads an object in the other region's S3.
Usage: watched.py WORLD AWS LOCALSTACK. Prints the created resources as JSON.
"""

import json
import sys
import time
import urllib.error
import urllib.request

sys.path.insert(0, __file__.rsplit("/", 1)[0])
from aws import REGIONS, Account, tag  # noqa: E402

KEY = "failover/www"


def s3(aws: Account, region: str, method: str, path: str, body: str = "") -> None:
    scope = f"{aws.number}/20260101/{region}/s3/aws4_request"
    signed = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"
    headers = {"Authorization": signed, "Host": f"s3.{region}.amazonaws.com", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{aws.endpoint}/{path}", body.encode() or None, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30):
            pass
    except urllib.error.HTTPError as error:
        raise RuntimeError(f"{method} {path}: {error.code}: {error.read().decode()}") from error


def bucket(aws: Account, region: str) -> str:
    """A public bucket, because health checkers have no credentials."""
    name = f"signal-{aws.number}"
    s3(aws, region, "PUT", name)
    s3(aws, region, "DELETE", f"{name}?publicAccessBlock")
    statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{name}/*"}
    s3(aws, region, "PUT", f"{name}?policy", json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    return name


def health_check(aws: Account, region: str, name: str) -> str:
    config = (
        f"<Type>HTTPS</Type><ResourcePath>/{KEY}</ResourcePath>"
        f"<FullyQualifiedDomainName>{name}.s3.{region}.amazonaws.com</FullyQualifiedDomainName>"
        "<RequestInterval>10</RequestInterval><FailureThreshold>1</FailureThreshold><Inverted>true</Inverted>"
    )
    reference = f"<CallerReference>{name}</CallerReference>"
    body = f"<CreateHealthCheckRequest>{reference}<HealthCheckConfig>{config}</HealthCheckConfig></CreateHealthCheckRequest>"
    return tag(aws.send("route53", "us-east-1", "2013-04-01/healthcheck", body), "Id")


def change(action: str, name: str, address: str, ttl: int, more: str = "", check: str = "") -> str:
    values = f"<ResourceRecords><ResourceRecord><Value>{address}</Value></ResourceRecord></ResourceRecords>"
    record_set = f"<Name>{name}</Name><Type>A</Type>{more}<TTL>{ttl}</TTL>{values}{check}"
    return f"<Change><Action>{action}</Action><ResourceRecordSet>{record_set}</ResourceRecordSet></Change>"


def main() -> None:
    with open(sys.argv[1]) as file, open(sys.argv[2]) as other:
        world, made = json.load(file), json.load(other)
    aws = Account(sys.argv[3].rstrip("/"), made["account"])
    away = REGIONS["east"]
    name = bucket(aws, away)
    check = health_check(aws, away, name)
    # A new inverted check is unhealthy until the first probe.
    end = time.monotonic() + 60
    while not any(c["health_check"] == check and c["healthy"] for c in checks(aws)):
        if time.monotonic() > end:
            raise SystemExit(f"the health check does not settle: {checks(aws)}")
        time.sleep(0.5)
    ttl, watched, batch = world["ttl"], f"<HealthCheckId>{check}</HealthCheckId>", []
    for which, role in (("www", "web"), ("db", "db")):
        full = world["names"][which]
        west, east = (world["regions"][region][role] for region in ("west", "east"))
        first = "<SetIdentifier>west</SetIdentifier><Failover>PRIMARY</Failover>"
        second = "<SetIdentifier>east</SetIdentifier><Failover>SECONDARY</Failover>"
        batch += [change("DELETE", full, west, ttl), change("CREATE", full, west, ttl, first, watched)]
        batch += [change("CREATE", full, east, ttl, second)]
    body = f"<ChangeBatch><Changes>{''.join(batch)}</Changes></ChangeBatch>"
    body = f"<ChangeResourceRecordSetsRequest>{body}</ChangeResourceRecordSetsRequest>"
    aws.send("route53", "us-east-1", f"2013-04-01/hostedzone/{made['zone']}/rrset/", body)
    json.dump({"url": f"s3://{name}/{KEY}", "health_check": check}, sys.stdout)


def checks(aws: Account) -> list[dict]:
    with urllib.request.urlopen(f"{aws.endpoint}/_drctl/healthchecks", timeout=10) as answer:
        return json.load(answer)["healthchecks"]


main()
