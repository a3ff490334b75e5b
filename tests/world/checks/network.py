"""Names, routes, and network faults."""

import json
import os
import stat
import time

from checks.harness import HERE, NOTHING_CAME, TOLD, World, check, check_with_localstack, equal, eventually, later, run


@check
def logins(world: World, other: World) -> None:
    """every login is a file for root alone, and its role may do what it is for, and no more"""
    for path in world.facts["logins"].values():
        equal(stat.S_IMODE(os.stat(path).st_mode), 0o600, f"mode of {path}")
        with open(path) as file:
            assert set(json.load(file)) == {"username", "password"}, path
    facts = "SELECT rolname, rolsuper, rolcreaterole, rolreplication FROM pg_roles WHERE rolname IN ('app','drctl','repl')"
    equal(world.sql("west", facts + " ORDER BY 1"), "app|f|f|f\ndrctl|f|t|f\nrepl|f|f|t", "roles")
    may = "SELECT has_function_privilege('{}', '{}', 'EXECUTE')"
    for role, function in (("drctl", "pg_promote(boolean, int)"), ("repl", "pg_read_binary_file(text)")):
        for database in ("shop", "postgres"):
            equal(world.sql("west", may.format(role, function), database), "t", f"{role} and {function}")
    equal(world.sql("west", may.format("app", "pg_promote(boolean, int)")), "f", "app and pg_promote")
    shown = "SHOW track_commit_timestamp; SHOW wal_log_hints; SHOW data_checksums; SHOW max_slot_wal_keep_size"
    for region in ("west", "east"):
        found = [world.sql(region, f"{one}") for one in shown.split(";")]
        equal(found, ["on", "on", "on", "96MB"], f"settings in {region}")


@check
def names(world: World, other: World) -> None:
    """a changed record is seen by users when the time to live of the old one is over, not before"""
    try:
        cached_then_new(world)
    finally:
        world.do("dns", "set", "www", "west")
    equal(json.loads(world.do("dns", "show"))[-1]["values"], [world.region("west")["web"]], "the zone")
    world.do("dns", "set", "www", "nowhere", code=1)
    eventually(lambda: world.healthy("west"), "west serves again")


def cached_then_new(world: World) -> None:
    ttl = world.facts["ttl"]
    for _ in range(5):
        # A cached answer may be about to expire: the next one is new.
        time.sleep(ttl + 0.2)
        began = time.monotonic()
        eventually(lambda: world.healthy("west"), "west is healthy")
        world.do("dns", "set", "www", "east")
        site = world.health()["site"]
        # On a busy machine the TTL may have passed by now, so this check proves nothing.
        if time.monotonic() - began < ttl - 0.5:
            equal(site, "west", "site from the cache")
            break
        world.do("dns", "set", "www", "west")
    else:
        raise AssertionError("the machine is too busy: no look was made within the time to live")
    eventually(lambda: world.health()["site"] == "east", "the new address", ttl + 5)
    found = world.health()
    equal((found["ok"], found["server_site"]), (True, "west"), "east's application writes to west's database")


@check
def weighted(world: World, other: World) -> None:
    """sync takes over what Route 53 has of a name: weighted, then plain, then nothing; other names stay"""
    name, addresses = "api.shop.test.", [world.region(region)["web"] for region in ("west", "east")]

    def found() -> set[str]:
        answer = run(f"{HERE}/in", world.folder, "users", "getent", "ahostsv4", name, code=None)
        return {line.split()[0] for line in answer.splitlines()}

    def others() -> list[dict]:
        return [s for s in json.loads(world.do("dns", "show")) if s["name"] != name and s["type"] != "SOA"]

    def sync(*sets: dict) -> None:
        common = {"Name": name, "Type": "A", "TTL": 0}
        batch = {"changed": [{"name": name, "type": "A"}], "record_sets": [{**common, **more} for more in sets]}
        world.do("dns", "sync", text=json.dumps(batch))

    before = others()
    west, east = ({"ResourceRecords": [{"Value": address}]} for address in addresses)
    for shares, expected in (((0, 1), {addresses[1]}), ((1, 0), {addresses[0]}), ((1, 1), set(addresses))):
        weights = [{"SetIdentifier": str(i), "Weight": weight} for i, weight in enumerate(shares)]
        sync({**west, **weights[0]}, {**east, **weights[1]})
        equal(set().union(*(found() for _ in range(20))), expected, f"answers for the weights {shares}")
    sync(east)
    equal(found(), {addresses[1]}, "the plain answer")
    sync()
    equal(found(), set(), "the answer without a set")
    equal(others(), before, "other names")


@check
def host(world: World, other: World) -> None:
    """a host runs commands as postgres, inside its region, also when asked from another one; exit codes come back"""
    equal(world.do("host", "west", "id", "-un").strip(), "postgres", "user")
    assert world.region("west")["db"] in world.do("host", "west", "cat", "/proc/net/fib_trie"), "not inside west"
    world.do("host", "west", "sh", "-c", "exit 7", code=7)
    nested = world.do("in", "east", os.path.abspath(f"{__file__}/../../host"), world.folder, "west", "id", "-un")
    equal(nested.strip(), "postgres", "user, asked from inside east")


@check
def black_hole(world: World, other: World) -> None:
    """a black-holed region answers nobody and refuses nobody, ssh hangs too, and it is back after heal"""
    world.do("packets", "reset")
    world.fault("black-hole", "west")
    for place in ("users", "east"):
        code, _, took = world.curl(place, world.web("west"), 2)
        equal(code, NOTHING_CAME, f"curl from {place}")
        assert took >= 2, f"{place} was told after {took} s"
    began = time.monotonic()
    world.do("host", "west", "true", code=255)
    assert 4.5 < time.monotonic() - began < 20, f"ssh gave up after {time.monotonic() - began} s"
    equal(world.curl("west", world.web("west"))[0], 0, "inside the region: curl")
    dropped = world.packets()["dropped"]
    assert dropped.get("users>west") and dropped.get("east>west"), dropped
    assert all("west" in way for way in dropped), dropped
    world.fault("heal", "west")
    eventually(lambda: world.healthy("west"), "west is back")
    world.do("host", "west", "true")


@check
def one_way(world: World, other: World) -> None:
    """one way cut: east cannot reach west, which goes on serving users"""
    world.do("packets", "reset")
    world.fault("one-way", "east", "west")
    equal(world.curl("east", world.web("west"), 2)[0], NOTHING_CAME, "curl from east")
    eventually(lambda: world.healthy("west"), "users reach west")
    equal(list(world.packets()["dropped"]), ["east>west"], "what was dropped")
    world.fault("heal", "east")
    equal(world.curl("east", world.web("west"))[0], 0, "curl from east after heal")


@check
def link(world: World, other: World) -> None:
    """a cable that is out is told to whoever sends, at once"""
    world.fault("link-down", "west")
    code, _, took = world.curl("users", world.web("west"))
    equal(code, TOLD, "curl")
    assert took < 3, f"told after {took} s"
    world.fault("link-up", "west")
    eventually(lambda: world.healthy("west"), "west is back")


@check
def slow(world: World, other: World) -> None:
    """a slow region: each packet takes its time in both directions, until it is quick again"""

    def took() -> float:
        return world.curl("users", f"http://{world.region('west')['web']}/nothing")[2]

    before = took()
    world.fault("slow", "west", "150")
    # A connection and a request are two round trips.
    late = took()
    assert late >= 0.6, f"{late} s, and {before} s before"
    world.fault("slow", "west", "0")
    eventually(lambda: took() < 0.6, "quick again")


@check
def all_healed(world: World, other: World) -> None:
    """heal-all ends every fault of network and disk at once"""
    for fault in ("black-hole east", "link-down north", "one-way users west", "slow west 100", "fill-disk north"):
        world.fault(*fault.split())
    equal(world.curl("users", world.web("west"), 1)[0], NOTHING_CAME, "curl")
    world.fault("heal-all")
    eventually(lambda: world.healthy("west"), "west is healthy")
    for region in ("east", "north"):
        found = world.curl("users", world.web(region))[1]
        equal((found["ok"], found["server_site"]), (True, "west"), f"{region}'s application")
    used = world.do("host", "north", "df", "--output=pcent", world.region("north")["disk"])
    assert "100%" not in used, used


@check
def pooled(world: World, other: World) -> None:
    """a fresh client follows the name, a pooled one keeps its connection; a closed group stops the first only"""
    with world.client("fresh") as fresh, world.client("pooled") as pool:
        world.do("groups", "west", "closed")
        later(fresh, lambda a: "no answer" in (a["error"] or ""), "new connections find nobody")
        later(pool, lambda a: a["ok"], "the open connection writes")
        world.do("groups", "west", "open")
        later(fresh, lambda a: a["ok"], "new connections again")
        world.do("dns", "set", "db", "east")
        later(fresh, lambda a: "read-only" in (a["error"] or ""), "the fresh client meets the standby", 8)
        equal(later(pool, lambda a: True, "a write")["site"], "west", "where the pooled client still is")
        world.do("dns", "set", "db", "west")
        later(fresh, lambda a: a["ok"], "the fresh client is back", 8)
    assert all(a["ok"] for a in pool()), "the pooled client was disturbed"


@check
def packets(world: World, other: World) -> None:
    """the backbone counts who began what with whom, by port, and nobody is counted who did nothing"""
    world.do("packets", "reset")
    world.curl("east", world.web("west"))
    found = json.loads(world.do("packets"))
    rows = [(r["from"], r["to"], r["protocol"], r["port"]) for r in found["sent"] if r["packets"] and r["bytes"]]
    assert ("east", "west", "tcp", 80) in rows, rows
    assert not [row for row in rows if row[0] == "users"], rows
    assert found["totals"]["replies"]["west>east"], found["totals"]


@check_with_localstack
def aws_names(world: World, other: World) -> None:
    """AWS's own names lead to each region's AWS, by TLS; a dark region's does not answer, the others' and Route 53's do"""

    def asked(host: str) -> int:
        return world.curl("east", f"https://{host}.amazonaws.com/_drctl", 2)[0]

    hosts = ("rds.us-west-2", "sts.us-east-1", "bucket.s3.us-east-1", "route53")
    equal([asked(host) for host in hosts], [0, 0, 0, 0], "curl")
    equal(world.curl("east", f"{world.region('west')['api']}/_drctl")[1]["extension"], "drctl", "AWS in west")
    world.fault("black-hole", "west")
    equal([asked(host) for host in hosts], [NOTHING_CAME, 0, 0, 0], "curl, while west is dark")
    world.fault("heal", "west")
