"""What Route 53's name servers answer: failover, weights and aliases by health, and changes that are on their way."""

import time

from checks import health
from checks.bridges import Told
from checks.harness import MAIN, Server, check, equal, eventually, refused
from checks.health import PUBLIC, bucket, made, of_object
from checks.route53 import BATCH, change, simple, weighted, zone

WEST_IP, EAST_IP = "192.0.2.1", "198.51.100.1"


def asked(server: Server, name: str, kind: str = "A") -> dict:
    return server.control(f"dns?name={name}&type={kind}&account={MAIN}")


def ask(server: Server, name: str, kind: str = "A") -> list[str]:
    return asked(server, name, kind)["values"]


def shares(server: Server, name: str) -> dict[str, float]:
    return {value: round(c["share"], 3) for c in asked(server, name)["choices"] for value in c["values"]}


def some_check(server: Server) -> str:
    return made(server, Type="HTTP", IPAddress=PUBLIC)


def force(server: Server, **checks: tuple[str, bool | None]) -> None:
    for check_id, healthy in checks.values():
        word = None if healthy is None else "healthy" if healthy else "unhealthy"
        server.control("healthchecks", {"health_check": check_id, "force": word})


def failover(name: str, role: str, value: str, check_id: str | None = None) -> dict:
    more = {"HealthCheckId": check_id} if check_id else {}
    return {**simple(name, value), "SetIdentifier": role.lower(), "Failover": role, **more}


def pair(server: Server, zone_id: str, name: str, primary: str | None, secondary: str | None) -> None:
    sets = failover(name, "PRIMARY", WEST_IP, primary), failover(name, "SECONDARY", EAST_IP, secondary)
    change(server, zone_id, *(("CREATE", s) for s in sets))


@check
def primary_and_secondary(server: Server) -> None:
    """the primary while it is healthy, then the secondary while that is, then the primary again"""
    zone_id, name = zone(server, "failover")
    first, second = some_check(server), some_check(server)
    with server.settings(insync_ms=0):
        pair(server, zone_id, f"www.{name}", first, second)
        pair(server, zone_id, f"last.{name}", first, None)
        pair(server, zone_id, f"sure.{name}", None, second)
    # The health of primary and secondary, and which of them is in the answer: both checked, only the primary, only the secondary.
    for healthy, expected in (
        ((True, True), (WEST_IP, WEST_IP, WEST_IP)),
        ((True, False), (WEST_IP, WEST_IP, WEST_IP)),
        ((False, True), (EAST_IP, EAST_IP, WEST_IP)),
        ((False, False), (WEST_IP, EAST_IP, WEST_IP)),
    ):
        force(server, first=(first, healthy[0]), second=(second, healthy[1]))
        found = tuple(ask(server, f"{label}.{name}")[0] for label in ("www", "last", "sure"))
        equal(found, expected, f"with health {healthy}")
    shown = {s["set"]: (s["role"], s["healthy"]) for s in asked(server, f"www.{name}")["sets"]}
    equal(shown, {"primary": ("PRIMARY", False), "secondary": ("SECONDARY", False)}, "sets")


@check
def failover_sets(server: Server) -> None:
    """a second primary is refused, and a set whose check does not exist"""
    zone_id, name = zone(server, "roles")
    known = some_check(server)
    pair(server, zone_id, name, known, None)
    third = {**failover(name, "PRIMARY", PUBLIC), "SetIdentifier": "third"}
    refused(BATCH, lambda: change(server, zone_id, ("CREATE", third)), "a primary failover set exists")
    unknown = failover(name, "PRIMARY", WEST_IP, "00000000-0000-0000-0000-000000000000")
    refused("NoSuchHealthCheck", lambda: change(server, zone_id, ("UPSERT", unknown)))
    listed = server.client("route53").list_resource_record_sets(HostedZoneId=zone_id)["ResourceRecordSets"]
    equal([s.get("HealthCheckId") for s in listed if s["Type"] == "A"], [known, None], "checks of the sets")


@check
def standby_takes_over(server: Server) -> None:
    """an object put into the standby region's bucket moves the name by an inverted check, with no change of the zone"""
    zone_id, name = zone(server, "stop")
    folder, s3 = bucket(server, "stop"), server.client("s3")
    with server.settings(health_second_ms=health.FAST, insync_ms=0):
        inverted = of_object(server, folder, "failover", Inverted=True)
        pair(server, zone_id, name, inverted, None)
        health.becomes(server, inverted, True, "healthy without the object")
        equal(ask(server, name), [WEST_IP], "answer before")
        before = server.control("log")["log"][-1]["seq"]
        s3.put_object(Bucket=folder, Key="failover", Body=b"")
        eventually(lambda: ask(server, name) == [EAST_IP], "the standby answers")
        called = {e["service"] for e in server.control(f"log?since={before}")["log"] if e["account"] == MAIN}
        equal(called, {"s3"}, "services that were called")
        s3.delete_object(Bucket=folder, Key="failover")
        eventually(lambda: ask(server, name) == [WEST_IP], "the primary answers again")
        # A change of the bucket's policy disables the switch without an error.
        s3.put_object(Bucket=folder, Key="failover", Body=b"")
        eventually(lambda: ask(server, name) == [EAST_IP], "the standby answers")
        block = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True)
        s3.put_public_access_block(Bucket=folder, PublicAccessBlockConfiguration=block)
        eventually(lambda: ask(server, name) == [WEST_IP], "the primary answers, though the object is there")


@check
def weights(server: Server) -> None:
    """unhealthy sets are left out; zero weights come only where no other is healthy; all unhealthy are all healthy"""
    zone_id, name = zone(server, "shares")
    ids = [some_check(server) for _ in range(3)]
    sets = [
        {**weighted(name, f"s{i}", weight, f"192.0.2.{i + 1}"), "HealthCheckId": ids[i]}
        for i, weight in enumerate((30, 10, 0))
    ]
    with server.settings(insync_ms=0):
        change(server, zone_id, *(("CREATE", s) for s in sets))
    a, b, c = (f"192.0.2.{i}" for i in (1, 2, 3))
    for healthy, expected in (
        ((True, True, True), {a: 0.75, b: 0.25}),
        ((False, True, True), {b: 1.0}),
        ((False, False, True), {c: 1.0}),
        ((False, False, False), {a: 0.75, b: 0.25}),
    ):
        force(server, **{f"c{i}": (check_id, healthy[i]) for i, check_id in enumerate(ids)})
        equal(shares(server, name), expected, f"with health {healthy}")
    drawn = {ask(server, name)[0] for _ in range(60)}
    equal(drawn, {a, b}, "drawn")
    with server.settings(insync_ms=0):
        change(server, zone_id, *(("UPSERT", {**s, "Weight": 0}) for s in sets))
    equal(shares(server, name), dict.fromkeys((a, b, c), 0.333), "all zero")


@check
def aliases(server: Server) -> None:
    """an alias answers what it stands for, and has its health where that is to be evaluated"""
    zone_id, name = zone(server, "aliases")
    west, east = some_check(server), some_check(server)
    lb = f"lb-{name}"

    def alias(role: str, target: str, where: str = zone_id, evaluate: bool = True) -> dict:
        to = {"HostedZoneId": where, "DNSName": target, "EvaluateTargetHealth": evaluate}
        return {"Name": f"www.{name}", "Type": "A", "SetIdentifier": role.lower(), "Failover": role, "AliasTarget": to}

    own = {**weighted(f"west.{name}", "a", 1, WEST_IP), "HealthCheckId": west}
    sets = [own, alias("PRIMARY", f"west.{name}"), alias("SECONDARY", lb, "Z35SXDOTRQ7X7K")]
    with server.settings(insync_ms=0):
        change(server, zone_id, *(("CREATE", s) for s in sets))
        server.control("healthchecks", {"host": lb, "address": EAST_IP})
        force(server, west=(west, True), east=(east, True))
        equal(ask(server, f"www.{name}"), [WEST_IP], "healthy")
        force(server, west=(west, False))
        equal(ask(server, f"www.{name}"), [EAST_IP], "its target unhealthy")
        server.control("healthchecks", {"host": lb, "healthy": False})
        equal(ask(server, f"www.{name}"), [WEST_IP], "both unhealthy")
        server.control("healthchecks", {"host": lb, "healthy": True})
        change(server, zone_id, ("UPSERT", alias("PRIMARY", f"west.{name}", evaluate=False)))
        equal(ask(server, f"www.{name}"), [WEST_IP], "not evaluated")
        equal(asked(server, f"www.{name}")["choices"][0]["sets"], ["primary", "a"], "the way there")
        server.control("healthchecks", {"host": lb, "known": False})


@check
def names(server: Server) -> None:
    """wildcards, CNAMEs, multivalue answers, names without such a type, names that are not there, zones that are not"""
    zone_id, name = zone(server, "names")
    ids = [some_check(server) for _ in range(2)]
    many = [{**simple(f"m.{name}", f"192.0.2.{i}"), "SetIdentifier": str(i), "MultiValueAnswer": True} for i in (7, 8, 9)]
    for each, check_id in zip(many, ids):
        each["HealthCheckId"] = check_id
    plain = [simple(f"a.{name}", WEST_IP), simple(f"*.w.{name}", EAST_IP), simple(f"c.{name}", f"a.{name}", kind="CNAME")]
    with server.settings(insync_ms=0):
        change(server, zone_id, *(("CREATE", s) for s in plain + many))
    equal(ask(server, f"A.{name}."), [WEST_IP], "in capitals")
    equal((ask(server, f"x.w.{name}"), ask(server, f"y.x.w.{name}")), ([EAST_IP], [EAST_IP]), "by a wildcard")
    found = asked(server, f"c.{name}")
    equal((found["cname"], found["values"], found["ttl"]), ([f"a.{name}."], [WEST_IP], 60), "by a CNAME")
    force(server, a=(ids[0], False), b=(ids[1], True))
    equal(sorted(ask(server, f"m.{name}")), ["192.0.2.8", "192.0.2.9"], "healthy values")
    rcodes = [asked(server, n, k)["rcode"] for n, k in ((f"a.{name}", "AAAA"), (f"w.{name}", "A"), (f"n.{name}", "A"))]
    equal(rcodes, ["NOERROR", "NOERROR", "NXDOMAIN"], "codes")
    equal(asked(server, "nowhere.invalid")["rcode"], "REFUSED", "no such zone")
    equal(server.status(f"dns?name=a.{name}", {}), 404, "POST")


@check
def on_the_way(server: Server) -> None:
    """a change that is PENDING is not answered yet, nor one whose bridge has not done it"""
    zone_id, name = zone(server, "coming")
    with server.settings(insync_ms=0):
        change(server, zone_id, ("CREATE", simple(name, WEST_IP)))
    with server.settings(insync_ms=700):
        change(server, zone_id, ("UPSERT", simple(name, EAST_IP)))
        found = asked(server, name)
        equal((found["values"], found["pending"]), ([WEST_IP], True), "at once")
        eventually(lambda: ask(server, name) == [EAST_IP], "the new answer")
        equal(asked(server, name)["pending"], False, "after that")
    told = Told("coming")
    server.control("route53", {"account": MAIN, "zone": zone_id, "bridge": told.argv})
    with server.settings(insync_ms=0):
        change(server, zone_id, ("UPSERT", simple(name, WEST_IP)))
        eventually(told, "the bridge is told")
        equal(ask(server, name), [EAST_IP], "while the bridge works")
        told.go()
        eventually(lambda: ask(server, name) == [WEST_IP], "the answer after the bridge")
    server.control("route53", {"account": MAIN, "zone": zone_id, "bridge": None})


@check
def followed(server: Server) -> None:
    """a bridge is told the answers when health changes them, once each time, and not when it changes none"""
    zone_id, name = zone(server, "followed")
    first, other = some_check(server), some_check(server)
    told = Told("followed")
    told.go()
    with server.settings(insync_ms=0):
        pair(server, zone_id, f"www.{name}", first, None)
        pair(server, zone_id, f"api.{name}", first, other)
        server.control("route53", {"account": MAIN, "zone": zone_id, "bridge": told.argv})
        force(server, first=(first, True), other=(other, False))
        time.sleep(0.3)
        equal(told(), [], "told before anything changed")
        force(server, first=(first, False))
        eventually(told, "the bridge is told")
        force(server, first=(first, True))
        eventually(lambda: len(told()) == 2, "the bridge is told again")
        force(server, other=(other, True))
        time.sleep(0.3)
    found = told()
    equal([t["event"] for t in found], ["health", "health"], "events")
    equal([t["changed"] for t in found], [[{"name": f"www.{name}.", "type": "A"}]] * 2, "changed")
    answered = [[c["values"] for a in t["answers"] if a["name"] == f"www.{name}." for c in a["choices"]] for t in found]
    equal(answered, [[[EAST_IP]], [[WEST_IP]]], "answers")
    server.control("route53", {"account": MAIN, "zone": zone_id, "bridge": None})
