"""What Route 53's name servers answer, computed from record sets and health check states by a pure function.

Follows "How Amazon Route 53 chooses records when health checking is configured": a set without a health check is
healthy, and if all sets are unhealthy, all are treated as healthy. Of failover sets, the primary answers while it is
healthy, then the secondary while that is healthy, then the primary again.
"""

from collections.abc import Callable
from dataclasses import dataclass

from drctl_localstack import records

MOST_MULTIVALUE = 8
DEEPEST = 8  # the longest chain of aliases and CNAMEs that is followed


class NotSupported(ValueError):
    pass


@dataclass
class Zone:
    """One hosted zone: its record sets, and callbacks for facts that the record sets do not contain."""

    id: str
    name: str
    sets: list[dict]
    check: Callable[[str], bool]  # health check id -> healthy
    outside: Callable[[str], tuple[list[str], bool]]  # name of an external alias target -> values, healthy

    def group(self, name: str, kind: str) -> list[dict]:
        return [s for s in self.sets if s["Name"] == name and s["Type"] == kind]

    def has(self, name: str) -> bool:
        return any(s["Name"] == name or s["Name"].endswith("." + name) for s in self.sets)

    def covering(self, name: str) -> str:
        """The name itself if it exists, otherwise the wildcard that covers it."""
        at = name
        while at != self.name and not self.has(at):
            at = at.split(".", 1)[1]
            if self.has("\\052." + at):
                return "\\052." + at
        return name


def is_healthy(zone: Zone, record_set: dict, depth: int = 0) -> bool:
    by_check = zone.check(record_set["HealthCheckId"]) if "HealthCheckId" in record_set else True
    target = record_set.get("AliasTarget")
    if not target or not target["EvaluateTargetHealth"] or not by_check:
        return by_check
    if target["HostedZoneId"] != zone.id:
        return zone.outside(target["DNSName"])[1]
    group = zone.group(target["DNSName"], record_set["Type"])
    return depth < DEEPEST and any(is_healthy(zone, s, depth + 1) for s in group)


def choose(zone: Zone, group: list[dict]) -> list[tuple[dict, float]]:
    """The sets that can be the answer, each with its share of queries. Multivalue sets are all returned, each with
    share 1.
    """
    healthy = [s for s in group if is_healthy(zone, s)]
    first = group[0]
    if "SetIdentifier" not in first:
        return [(first, 1.0)]
    if "Failover" in first:
        return [(_failover(group, healthy), 1.0)]
    if "Weight" in first:
        return _weighted(healthy or group)
    if "MultiValueAnswer" in first:
        return [(s, 1.0) for s in (healthy or group)[:MOST_MULTIVALUE]]
    raise NotSupported(f"{first['Name']}: know simple, weighted, failover and multivalue answer routing only")


def _failover(group: list[dict], healthy: list[dict]) -> dict:
    primary = [s for s in group if s["Failover"] == "PRIMARY"]
    secondary = [s for s in group if s["Failover"] == "SECONDARY"]
    for each in (*primary, *secondary):
        if each in healthy:
            return each
    return (primary or secondary)[0]


def _weighted(candidates: list[dict]) -> list[tuple[dict, float]]:
    """Sets with weight zero are used only if no other set is available; if all weights are zero, all shares are equal.
    """
    some = [s for s in candidates if s["Weight"] > 0]
    total = sum(s["Weight"] for s in some)
    return [(s, s["Weight"] / total) for s in some] or [(s, 1 / len(candidates)) for s in candidates]


def values(zone: Zone, record_set: dict, kind: str, depth: int = 0) -> list[dict]:
    """Each possible answer: values, TTL, share, and the set identifiers that led to it."""
    path = [record_set["SetIdentifier"]] if "SetIdentifier" in record_set else []
    target = record_set.get("AliasTarget")
    if not target:
        found = [r["Value"] for r in record_set["ResourceRecords"]]
        return [{"values": found, "ttl": record_set["TTL"], "share": 1.0, "sets": path}]
    if target["HostedZoneId"] != zone.id:
        return [{"values": zone.outside(target["DNSName"])[0], "ttl": 60, "share": 1.0, "sets": path}]
    return [{**each, "sets": path + each["sets"]} for each in _of_name(zone, target["DNSName"], kind, depth + 1)]


def _of_name(zone: Zone, name: str, kind: str, depth: int = 0) -> list[dict]:
    group = zone.group(zone.covering(name), kind) if depth < DEEPEST else []
    if not group:
        return []
    chosen = choose(zone, group)
    each = [{**a, "share": a["share"] * share} for s, share in chosen for a in values(zone, s, kind, depth)]
    if "MultiValueAnswer" in group[0]:
        every = [value for a in each for value in a["values"]]
        return [{"values": every, "ttl": each[0]["ttl"], "share": 1.0, "sets": [i for a in each for i in a["sets"]]}]
    return each


def answer(zone: Zone, name: str, kind: str) -> dict:
    """The answer to a query. `choices` are all answers that a resolver may currently receive."""
    name = records.fqdn(name)
    covering, cname = zone.covering(name), []
    for _ in range(DEEPEST):
        alias = zone.group(covering, "CNAME")
        if kind == "CNAME" or not alias:
            break
        follow = _of_name(zone, covering, "CNAME")
        cname.append(records.fqdn(follow[0]["values"][0]))
        covering = zone.covering(cname[-1])
    choices = _of_name(zone, covering, kind)
    code = "NOERROR" if choices or cname or zone.has(covering) else "NXDOMAIN"
    group = zone.group(covering, kind)
    shown = [
        {
            "set": s.get("SetIdentifier"),
            "role": s.get("Failover"),
            "weight": s.get("Weight"),
            "health_check": s.get("HealthCheckId"),
            "healthy": is_healthy(zone, s),
        }
        for s in group
    ]
    return {"name": name, "type": kind, "rcode": code, "cname": cname, "choices": choices, "sets": shown}


def table(zone: Zone) -> list[dict]:
    """The answers of every name with several sets or an alias: those that can change with health alone."""
    found = []
    for name, kind in sorted({(s["Name"], s["Type"]) for s in zone.sets if "SetIdentifier" in s or "AliasTarget" in s}):
        try:
            found.append({"name": name, "type": kind, "choices": _of_name(zone, name, kind)})
        except NotSupported:
            continue
    return found
