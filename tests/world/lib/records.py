"""PowerDNS over its API. Usage: records.py WORLD create | set NAME REGION | show | sync"""

import json
import sys
import time
import urllib.error
import urllib.request

with open(sys.argv[1]) as file:
    WORLD = json.load(file)
DNS, ZONE = WORLD["dns"], WORLD["zone"] + "."
URL = f"{DNS['api']}/api/v1/servers/localhost/zones"


def call(method: str, url: str, body: dict | None = None) -> dict:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"X-API-Key": DNS["key"]}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.loads(answer.read() or "{}")
    except urllib.error.HTTPError as error:
        raise SystemExit(f"PowerDNS answered {error.code}: {error.read().decode()}") from error


def record_set(name: str, kind: str, contents: list[str], ttl: int) -> dict:
    records = [{"content": content, "disabled": False} for content in contents]
    return {"name": name, "type": kind, "ttl": ttl, "changetype": "REPLACE", "records": records}


def leads_to(name: str, region: str) -> dict:
    if name not in WORLD["names"] or region not in WORLD["regions"]:
        raise SystemExit(f"know {', '.join(WORLD['names'])} in {', '.join(WORLD['regions'])}")
    role = {"www": "web", "db": "db"}[name]
    return record_set(WORLD["names"][name] + ".", "A", [WORLD["regions"][region][role]], WORLD["ttl"])


def change(sets: list[dict]) -> None:
    if sets:
        call("PATCH", f"{URL}/{ZONE}", {"rrsets": sets})


def create() -> None:
    home = WORLD["home"]
    soa = f"ns.{ZONE} hostmaster.{ZONE} 1 3600 600 86400 1"
    fixed = [record_set(ZONE, "SOA", [soa], 3600), record_set(f"ns.{ZONE}", "A", [DNS["address"]], 3600)]
    names = [leads_to(name, home) for name in WORLD["names"]]
    zone = {"name": ZONE, "kind": "Native", "nameservers": [f"ns.{ZONE}"], "rrsets": fixed + names}
    end = time.monotonic() + 20
    while True:  # the server may still be starting
        try:
            call("POST", URL, zone)
            return
        except urllib.error.URLError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def weighted(sets: list[dict], kind: str) -> str:
    """Like Route 53: shares by weight; if all weights are zero, all are equal."""
    zero = not any(s.get("Weight") for s in sets)
    shares = [(1 if zero else s["Weight"], r["Value"]) for s in sets for r in s["ResourceRecords"]]
    pairs = ", ".join(f"{{{weight}, '{value}'}}" for weight, value in shares if weight)
    return f'{kind} "pickwrandom({{{pairs}}})"'


def by_health(sets: list[dict]) -> bool:
    """Whether the answer depends on health as well as on the zone; then LocalStack's extension computes it."""
    return any("Failover" in s or "HealthCheckId" in s for s in sets)


def answered(name: str, kind: str, choices: list[dict]) -> list[dict]:
    gone = {"name": name, "type": kind if len(choices) > 1 else "LUA", "changetype": "DELETE"}
    if len(choices) == 1:
        return [gone, record_set(name, kind, choices[0]["values"], choices[0]["ttl"])]
    shares = []
    for choice in choices:
        values = [{"Value": value} for value in choice["values"]]
        shares.append({"Weight": max(1, round(255 * choice["share"])), "ResourceRecords": values})
    return [gone, record_set(name, "LUA", [weighted(shares, kind)], choices[0]["ttl"])]


def take_over(name: str, kind: str, sets: list[dict], choices: list[dict]) -> list[dict]:
    """The changes that replace a name and type, plain or weighted, with what Route 53 has now."""
    gone = [{"name": name, "type": t, "changetype": "DELETE"} for t in (kind, "LUA")]
    if not sets:
        return gone
    if by_health(sets) and choices and all(c["values"] for c in choices):
        return answered(name, kind, choices)
    ttl = sets[0].get("TTL", 60)
    if "AliasTarget" in sets[0]:
        raise SystemExit(f"{name}: an alias, which a world does not have")
    if "SetIdentifier" in sets[0]:
        return [gone[0], record_set(name, "LUA", [weighted(sets, kind)], ttl)]
    return [gone[1], record_set(name, kind, [r["Value"] for r in sets[0]["ResourceRecords"]], ttl)]


def sync() -> None:
    """Changes only names that the batch touched, because others may be managed elsewhere."""
    batch = json.load(sys.stdin)
    answers = {(a["name"], a["type"]): a["choices"] for a in batch.get("answers", [])}
    sets = []
    for name, kind in {(c["name"], c["type"]) for c in batch["changed"]}:
        same = [s for s in batch["record_sets"] if (s["Name"], s["Type"]) == (name, kind)]
        sets += take_over(name, kind, same, answers.get((name, kind), []))
    change(sets)


def show() -> None:
    rrsets = call("GET", f"{URL}/{ZONE}")["rrsets"]
    keep = [{"name": s["name"], "type": s["type"], "ttl": s["ttl"]} for s in rrsets]
    for shown, s in zip(keep, rrsets):
        shown["values"] = [r["content"] for r in s["records"]]
    print(json.dumps(sorted(keep, key=lambda s: (s["name"], s["type"])), indent=2))


match sys.argv[2:]:
    case ["create"]:
        create()
    case ["set", name, region]:
        change([leads_to(name, region)])
    case ["show"]:
        show()
    case ["sync"]:
        sync()
    case _:
        raise SystemExit(__doc__)
