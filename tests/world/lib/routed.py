"""DNS names that follow routing controls: failover record sets, each with the health check of its region's control.
Usage: routed.py WORLD AWS LOCALSTACK WAIT_MS, which prints the created resources as JSON,
or .. turn ON OFF RULE, which overrides the rule

A cluster endpoint in one of the world's regions is reached through that region's AWS, so that a region's outage includes it.
"""

import json
import sys
import urllib.error
import urllib.request

sys.path.insert(0, __file__.rsplit("/", 1)[0])
from aws import REGIONS, Account, tag  # noqa: E402

CONFIG, DATA = "route53-recovery-control-config", "route53-recovery-cluster"


def call(aws: Account, service: str, path: str, body: dict, target: str = "", region: str = "us-west-2") -> dict:
    scope = f"{aws.number}/20260101/{region}/{service}/aws4_request"
    signed = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"
    kind = "application/x-amz-json-1.0" if target else "application/json"
    headers = {"Authorization": signed, "Content-Type": kind} | ({"X-Amz-Target": target} if target else {})
    request = urllib.request.Request(f"{aws.endpoint}{path}", json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise RuntimeError(f"{service} {path}: {error.code}: {error.read().decode()}") from error


def endpoints(aws: Account, cluster: str) -> list[dict]:
    with urllib.request.urlopen(f"{aws.endpoint}/_drctl/arc", timeout=10) as answer:
        found = [c for c in json.load(answer)["clusters"] if c["cluster"] == cluster]
    return found[0]["endpoints"]


def endpoint_of(aws: Account) -> str:
    """A working endpoint of this world's cluster."""
    with urllib.request.urlopen(f"{aws.endpoint}/_drctl/arc", timeout=10) as answer:
        found = [c for c in json.load(answer)["clusters"] if c["account"] == aws.number]
    return next(e["path"] for e in found[0]["endpoints"] if e["mode"] == "up" and not e["delay_ms"])


def turn(aws: Account, path: str, on: str, off: str, *overridden: str) -> None:
    entries = [{"RoutingControlArn": a, "RoutingControlState": s} for a, s in ((on, "On"), (off, "Off"))]
    body = {"UpdateRoutingControlStateEntries": entries, "SafetyRulesToOverride": list(overridden)}
    call(aws, DATA, path, body, "ToggleCustomerAPI.UpdateRoutingControlStates")


def health_check(aws: Account, name: str, arn: str) -> str:
    config = f"<Type>RECOVERY_CONTROL</Type><RoutingControlArn>{arn}</RoutingControlArn>"
    reference = f"<CallerReference>{name}</CallerReference>"
    body = f"<CreateHealthCheckRequest>{reference}<HealthCheckConfig>{config}</HealthCheckConfig></CreateHealthCheckRequest>"
    return tag(aws.send("route53", "us-east-1", "2013-04-01/healthcheck", body), "Id")


def change(action: str, name: str, address: str, ttl: int, more: str = "", check: str = "") -> str:
    values = f"<ResourceRecords><ResourceRecord><Value>{address}</Value></ResourceRecord></ResourceRecords>"
    watched = f"<HealthCheckId>{check}</HealthCheckId>" if check else ""
    record_set = f"<Name>{name}</Name><Type>A</Type>{more}<TTL>{ttl}</TTL>{values}{watched}"
    return f"<Change><Action>{action}</Action><ResourceRecordSet>{record_set}</ResourceRecordSet></Change>"


def records(aws: Account, world: dict, zone: str, checks: dict[str, str]) -> None:
    batch, ttl = [], world["ttl"]
    for which, role in (("www", "web"), ("db", "db")):
        name = world["names"][which]
        batch.append(change("DELETE", name, world["regions"]["west"][role], ttl))
        for region, kind in (("west", "PRIMARY"), ("east", "SECONDARY")):
            more = f"<SetIdentifier>{region}</SetIdentifier><Failover>{kind}</Failover>"
            batch.append(change("CREATE", name, world["regions"][region][role], ttl, more, checks[region]))
    body = f"<ChangeBatch><Changes>{''.join(batch)}</Changes></ChangeBatch>"
    body = f"<ChangeResourceRecordSetsRequest>{body}</ChangeResourceRecordSetsRequest>"
    aws.send("route53", "us-east-1", f"2013-04-01/hostedzone/{zone}/rrset/", body)


def main() -> None:
    with open(sys.argv[1]) as file, open(sys.argv[2]) as other:
        world, made = json.load(file), json.load(other)
    aws = Account(sys.argv[3].rstrip("/"), made["account"])
    if sys.argv[4] == "turn":
        turn(aws, endpoint_of(aws), *sys.argv[5:])
        return
    cluster = call(aws, CONFIG, "/cluster", {"ClientToken": "c", "ClusterName": "shop"})["Cluster"]["ClusterArn"]
    controls = {}
    for region in REGIONS:
        body = {"ClientToken": region, "ClusterArn": cluster, "RoutingControlName": region}
        controls[region] = call(aws, CONFIG, "/routingcontrol", body)["RoutingControl"]
    arns = {region: control["RoutingControlArn"] for region, control in controls.items()}
    rule = {
        "Name": "one-serves",
        "ControlPanelArn": controls["west"]["ControlPanelArn"],
        "AssertedControls": list(arns.values()),
        "RuleConfig": {"Type": "ATLEAST", "Threshold": 1, "Inverted": False},
        "WaitPeriodMs": int(sys.argv[4]),
    }
    rule = call(aws, CONFIG, "/safetyrule", {"ClientToken": "r", "AssertionRule": rule})["AssertionRule"]
    ways = endpoints(aws, cluster)
    turn(aws, ways[0]["path"], arns["west"], arns["east"])
    checks = {region: health_check(aws, f"{made['account']}-{region}", arn) for region, arn in arns.items()}
    records(aws, world, made["zone"], checks)
    at = {REGIONS[name]: region["api"] for name, region in world["regions"].items() if name in REGIONS}
    urls = {way["region"]: at.get(way["region"], world["cloud"]["api"]) + way["path"] for way in ways}
    json.dump(
        {
            "cluster": cluster,
            "controls": arns,
            "health_checks": checks,
            "endpoints": urls,
            "rule": rule["SafetyRuleArn"],
        },
        sys.stdout,
    )


main()
