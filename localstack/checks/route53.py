"""Route 53: propagation, atomic and exact batches, limits, listings."""

import uuid

from checks.harness import OTHER, Server, check, equal, eventually, refused

BATCH = "InvalidChangeBatch"
_made: list[str] = []


def zone(server: Server, name: str) -> tuple[str, str]:
    """Creates a zone; returns its ID and name."""
    name = f"{name}.example"
    made = server.client("route53").create_hosted_zone(Name=name, CallerReference=str(uuid.uuid4()))
    zone_id = made["HostedZone"]["Id"].rsplit("/", 1)[-1]
    _made.append(zone_id)
    return zone_id, name


def simple(name: str, *values: str, ttl: int = 60, kind: str = "A") -> dict:
    return {"Name": name, "Type": kind, "TTL": ttl, "ResourceRecords": [{"Value": v} for v in values]}


def weighted(name: str, identifier: str, weight: int, value: str, ttl: int = 30) -> dict:
    return {**simple(name, value, ttl=ttl), "SetIdentifier": identifier, "Weight": weight}


def change(server: Server, zone_id: str, *changes: tuple[str, dict], account: str | None = None) -> dict:
    batch = {"Changes": [{"Action": action, "ResourceRecordSet": record_set} for action, record_set in changes]}
    client = server.client("route53", account=account) if account else server.client("route53")
    return client.change_resource_record_sets(HostedZoneId=zone_id, ChangeBatch=batch)["ChangeInfo"]


def sets(server: Server, zone_id: str) -> list[dict]:
    pages = server.client("route53").get_paginator("list_resource_record_sets").paginate(HostedZoneId=zone_id)
    return [s for page in pages for s in page["ResourceRecordSets"] if s["Type"] not in ("NS", "SOA")]


def clean_up(server: Server) -> None:
    client = server.client("route53")
    for zone_id in _made:
        left = [("DELETE", record_set) for record_set in sets(server, zone_id)]
        for first in range(0, len(left), 100):
            change(server, zone_id, *left[first : first + 100])
        client.delete_hosted_zone(Id=zone_id)


@check
def propagation(server: Server) -> None:
    """a change is PENDING for a while, then INSYNC; an unknown change is unknown; zone ids begin with Z"""
    zone_id, name = zone(server, "sync")
    equal(zone_id[0], "Z", "first letter of a zone id")
    client = server.client("route53")
    with server.settings(insync_ms=1500):
        info = change(server, zone_id, ("CREATE", simple(f"a.{name}", "192.0.2.1")))
        equal((info["Id"][:9], info["Status"]), ("/change/C", "PENDING"), "answer")
        change_id = info["Id"]
        equal(client.get_change(Id=change_id)["ChangeInfo"]["Status"], "PENDING", "at once")
        eventually(lambda: client.get_change(Id=change_id)["ChangeInfo"]["Status"] == "INSYNC", "INSYNC")
    refused("NoSuchChange", lambda: client.get_change(Id="C0000000000000000000"))
    refused("NoSuchChange", lambda: server.client("route53", account=OTHER).get_change(Id=change_id))


@check
def prior_request(server: Server) -> None:
    """a second change while the zone is being changed can be refused; off by default; other zones go on"""
    zone_id, name = zone(server, "prior")
    other_id, other = zone(server, "prior2")
    first, second = (("UPSERT", simple(f"{letter}.{name}", "192.0.2.1")) for letter in "ab")
    with server.settings(zone_apply_ms=60_000):
        change(server, zone_id, first)
        refused("PriorRequestNotComplete", lambda: change(server, zone_id, second))
        change(server, other_id, ("UPSERT", simple(f"a.{other}", "192.0.2.1")))
        equal(len(sets(server, zone_id)), 1, "sets")
    change(server, zone_id, second)


@check
def exact_delete(server: Server) -> None:
    """DELETE must repeat name, type, set identifier, TTL, values and weight, or nothing of the batch happens"""
    zone_id, name = zone(server, "delete")
    plain = simple(f"www.{name}", "192.0.2.1", "192.0.2.2")
    pair = [weighted(f"api.{name}", "west", 100, "192.0.2.3"), weighted(f"api.{name}", "east", 0, "192.0.2.4")]
    change(server, zone_id, ("CREATE", plain), *(("CREATE", s) for s in pair))
    before = sets(server, zone_id)
    wrong = [
        ({**plain, "TTL": 61}, "values provided do not match"),
        ({**plain, "ResourceRecords": [{"Value": "192.0.2.1"}]}, "values provided do not match"),
        ({**plain, "Type": "TXT", "ResourceRecords": [{"Value": '"x"'}]}, "not found"),
        ({**plain, "Name": f"w.{name}"}, "not found"),
        ({**pair[0], "Weight": 99}, "values provided do not match"),
        ({**pair[0], "SetIdentifier": "north"}, "not found"),
        (simple(f"api.{name}", "192.0.2.3", ttl=30), "not found"),
    ]
    extra = ("CREATE", simple(f"extra.{name}", "192.0.2.9"))
    for record_set, reason in wrong:
        refused(BATCH, lambda: change(server, zone_id, extra, ("DELETE", record_set)), reason)
    equal(sets(server, zone_id), before, "sets after the refusals")
    turned = {**plain, "ResourceRecords": plain["ResourceRecords"][::-1], "Name": f"WWW.{name}."}
    change(server, zone_id, ("DELETE", turned), ("DELETE", pair[0]))
    equal([s["SetIdentifier"] for s in sets(server, zone_id)], ["east"], "what is left")


@check
def atomic(server: Server) -> None:
    """one bad change refuses the whole batch, with every reason; CREATE of what exists is bad"""
    zone_id, name = zone(server, "atomic")
    change(server, zone_id, ("CREATE", simple(f"a.{name}", "192.0.2.1")))
    changes = [
        ("UPSERT", simple(f"a.{name}", "192.0.2.99")),
        ("CREATE", simple(f"b.{name}", "192.0.2.2")),
        ("DELETE", simple(f"c.{name}", "192.0.2.3")),
        ("CREATE", simple("d.elsewhere.example", "192.0.2.4")),
        ("CREATE", simple(f"e.{name}", "not-an-address")),
    ]
    said = refused(BATCH, lambda: change(server, zone_id, *changes), "was not found")
    assert "is not permitted in zone" in said and "not a valid IPv4" in said, said
    refused(BATCH, lambda: change(server, zone_id, ("CREATE", simple(f"a.{name}", "192.0.2.1"))), "already exists")
    twice = ("UPSERT", simple(f"a.{name}", "192.0.2.5"))
    refused(BATCH, lambda: change(server, zone_id, twice, twice), "invalid set of changes")
    equal([s["ResourceRecords"] for s in sets(server, zone_id)], [[{"Value": "192.0.2.1"}]], "sets")
    swap = [("DELETE", simple(f"a.{name}", "192.0.2.1")), ("CREATE", simple(f"a.{name}", "192.0.2.7"))]
    change(server, zone_id, *swap)
    equal(sets(server, zone_id)[0]["ResourceRecords"], [{"Value": "192.0.2.7"}], "after delete and create")


@check
def mixed_policies(server: Server) -> None:
    """a weighted and a simple set, two policies, two TTLs, or a CNAME beside others cannot share a name"""
    zone_id, name = zone(server, "mixed")
    west, east = weighted(f"a.{name}", "west", 1, "192.0.2.1"), weighted(f"a.{name}", "east", 0, "192.0.2.2")
    change(server, zone_id, ("CREATE", west), ("CREATE", simple(f"b.{name}", "192.0.2.3")))
    plain = ("UPSERT", simple(f"a.{name}", "192.0.2.4"))
    refused(BATCH, lambda: change(server, zone_id, plain), "as other RRSets exist with the same name and type")
    on_simple = ("UPSERT", weighted(f"b.{name}", "west", 1, "192.0.2.5", ttl=60))
    refused(BATCH, lambda: change(server, zone_id, on_simple), "a non-weighted set exists")
    latency = {**simple(f"a.{name}", "192.0.2.6", ttl=30), "SetIdentifier": "l", "Region": "us-east-1"}
    refused(BATCH, lambda: change(server, zone_id, ("CREATE", latency)), "a non-latency set exists")
    refused(BATCH, lambda: change(server, zone_id, ("CREATE", {**east, "TTL": 31})), "must contain the same TTL")
    cname = simple(f"b.{name}", "elsewhere.example", kind="CNAME")
    refused(BATCH, lambda: change(server, zone_id, ("CREATE", cname)), "conflicts with other records")
    change(server, zone_id, ("CREATE", east))
    change(server, zone_id, ("UPSERT", {**west, "TTL": 5}), ("UPSERT", {**east, "TTL": 5}))
    equal([s["TTL"] for s in sets(server, zone_id) if s["Name"] == f"a.{name}."], [5, 5], "TTLs changed together")
    no_policy = {**simple(f"c.{name}", "192.0.2.7"), "SetIdentifier": "x"}
    refused("InvalidInput", lambda: change(server, zone_id, ("CREATE", no_policy)))


@check
def switch_weights(server: Server) -> None:
    """one UPSERT batch turns the weights of a pair, zero included"""
    zone_id, name = zone(server, "weights")
    pair = [weighted(f"api.{name}", "west", 100, "192.0.2.1"), weighted(f"api.{name}", "east", 0, "192.0.2.2")]
    change(server, zone_id, *(("CREATE", s) for s in pair))
    change(server, zone_id, ("UPSERT", {**pair[0], "Weight": 0}), ("UPSERT", {**pair[1], "Weight": 100}))
    equal({s["SetIdentifier"]: s["Weight"] for s in sets(server, zone_id)}, {"west": 0, "east": 100}, "weights")


@check
def alias_sets(server: Server) -> None:
    """an alias has no TTL, and DELETE must repeat its target"""
    zone_id, name = zone(server, "alias")
    target = {"HostedZoneId": "Z35SXDOTRQ7X7K", "DNSName": "lb.example.", "EvaluateTargetHealth": True}
    alias = {"Name": name, "Type": "A", "AliasTarget": target}
    change(server, zone_id, ("CREATE", alias))
    equal(sets(server, zone_id)[0]["AliasTarget"], target, "target")
    assert "TTL" not in sets(server, zone_id)[0], "an alias with a TTL"
    other = {**alias, "AliasTarget": {**target, "EvaluateTargetHealth": False}}
    refused(BATCH, lambda: change(server, zone_id, ("DELETE", other)), "do not match")
    both = {**simple(name, "192.0.2.1"), "AliasTarget": target}
    refused("InvalidInput", lambda: change(server, zone_id, ("UPSERT", both)), "found more than one")
    change(server, zone_id, ("DELETE", alias))
    equal(sets(server, zone_id), [], "sets")


@check
def batch_limits(server: Server) -> None:
    """1,000 elements and 32,000 characters a request, an UPSERT counted twice"""
    zone_id, name = zone(server, "limits")

    def batch(action: str, number: int) -> list:
        return [(action, simple(f"n{i}.{name}", "192.0.2.1")) for i in range(number)]

    refused(BATCH, lambda: change(server, zone_id, *batch("UPSERT", 501)), "limit of 1000 exceeded")
    refused(BATCH, lambda: change(server, zone_id, *batch("CREATE", 1001)), "limit of 1000 exceeded")
    change(server, zone_id, *batch("UPSERT", 500))
    text = simple(f"t.{name}", '"' + "x" * 250 + '"', kind="TXT")
    long = [("UPSERT", {**text, "Name": f"t{i}.{name}"}) for i in range(64)]  # 64 * 252 * 2 characters
    refused(BATCH, lambda: change(server, zone_id, *long), "limit of 32000 exceeded")
    change(server, zone_id, *long[:63])


@check
def listing(server: Server) -> None:
    """a listing is ordered by reversed labels and pages through name, type and set identifier"""
    zone_id, name = zone(server, "list")
    pair = [weighted(f"api.{name}", letter, 1, "192.0.2.1") for letter in "abc"]
    others = [simple(f"{label}.{name}", "192.0.2.2") for label in ("z", "a.b", "b", "*.w")]
    change(server, zone_id, *(("CREATE", s) for s in pair + others))
    client, found, start = server.client("route53"), [], {}
    while True:
        page = client.list_resource_record_sets(HostedZoneId=zone_id, MaxItems="2", **start)
        found += [(s["Name"].removesuffix(f".{name}."), s.get("SetIdentifier")) for s in page["ResourceRecordSets"]]
        if not page["IsTruncated"]:
            break
        names = ("Name", "Type", "Identifier")
        start = {f"StartRecord{n}": page[f"NextRecord{n}"] for n in names if f"NextRecord{n}" in page}
    own = [("api", "a"), ("api", "b"), ("api", "c"), ("b", None), ("a.b", None), ("\\052.w", None), ("z", None)]
    equal([item for item in found if item[0] != f"{name}."], own, "order")


@check
def zones_of_accounts(server: Server) -> None:
    """a zone of one account is unknown to another"""
    zone_id, name = zone(server, "mine")
    record_set = ("CREATE", simple(f"a.{name}", "192.0.2.1"))
    refused("NoSuchHostedZone", lambda: change(server, zone_id, record_set, account=OTHER))
