"""Route 53 based on LocalStack's own provider: changes take time, batches are atomic and strict, listings are paged
correctly, and the name servers' answers follow the INSYNC changes and the states of health checks.
"""

import random
import string
import time
from concurrent.futures import Future
from datetime import UTC, datetime

from localstack.aws.api import CommonServiceException, RequestContext
from moto.route53.models import FakeZone, RecordSet, route53_backends

from drctl_localstack import answers, bridges, health, health_checks, health_probe, records, settings
from drctl_localstack.bridges import Bridge
from drctl_localstack.settings import LOCK

MOST_ITEMS = 300

# Change ID -> when it was accepted, and (account, zone) -> when its last batch was. Kept until a reset.
_changes: dict[tuple[str, str], float] = {}
_last_batch: dict[tuple[str, str], float] = {}
# (account, zone) -> the bridge that copies its record sets to real name servers, and change ID -> its run of that bridge.
_bridges: dict[tuple[str, str], Bridge] = {}
_runs: dict[str, tuple[tuple[str, str], Future]] = {}
# (account, zone) -> the sets on the name servers, and the changes that have not reached all of them.
_served: dict[tuple[str, str], list[dict]] = {}
_coming: dict[tuple[str, str], list[tuple[str, list[dict]]]] = {}
# (account, zone) -> the answers that its bridge got last.
_told: dict[tuple[str, str], list[dict]] = {}


def _zone(context: RequestContext, zone_id: str) -> FakeZone:
    zone = route53_backends[context.account_id][context.partition].zones.get(zone_id.rsplit("/", 1)[-1])
    if zone is None:
        raise CommonServiceException("NoSuchHostedZone", f"No hosted zone found with ID: {zone_id}", 404, True)
    return zone


def _as_api(record: RecordSet) -> dict:
    """The set in the API's shape: as we stored it, or converted if moto made it (NS and SOA)."""
    kept = getattr(record, "drctl", None)
    if kept is not None:
        return kept
    values = [r["Value"] if isinstance(r, dict) else r for r in record.records]
    return records.normal(
        {
            "Name": record.name,
            "Type": record.type_,
            "TTL": int(record.ttl),
            "ResourceRecords": [{"Value": value} for value in values],
        }
    )


def _as_moto(record_set: dict) -> RecordSet:
    values = [r["Value"] for r in record_set.get("ResourceRecords", [])]
    record = RecordSet({**record_set, "ResourceRecords": values})
    record.drctl = record_set
    return record


def _new_change(account: str) -> dict:
    change_id = "C" + "".join(random.choices(string.ascii_uppercase + string.digits, k=20))
    _changes[(account, change_id)] = time.time()
    return _change_info(account, change_id)


def _change_info(account: str, change_id: str) -> dict:
    accepted = _changes[(account, change_id)]
    pending = time.time() < accepted + settings.seconds("insync_ms") or not _bridged(change_id)
    return {
        "Id": f"/change/{change_id}",
        "Status": "PENDING" if pending else "INSYNC",
        "SubmittedAt": datetime.fromtimestamp(accepted, UTC),
    }


def change_record_sets(context: RequestContext, request: dict) -> dict:
    with LOCK:
        zone = _zone(context, request["HostedZoneId"])
        key = (context.account_id, zone.id)
        if time.time() < _last_batch.get(key, 0.0) + settings.seconds("zone_apply_ms"):
            message = "The request was rejected because Route 53 was still processing a prior request."
            raise CommonServiceException("PriorRequestNotComplete", message, 400, True)
        existing = [_as_api(record) for record in zone.rrsets]
        try:
            after = records.apply_batch(zone.name, existing, request["ChangeBatch"]["Changes"])
        except records.Refused as refused:
            text = "; ".join(refused.messages)
            if refused.code == "InvalidChangeBatch":
                text = f"[{', '.join(refused.messages)}]"
            raise CommonServiceException(refused.code, text, 400, True) from refused
        _check_health_checks(request["ChangeBatch"]["Changes"])
        served = _now_served(key, existing)
        zone.rrsets = [_as_moto(record_set) for record_set in after]
        _last_batch[key] = time.time()
        info = _new_change(context.account_id)
        _served[key] = served
        _coming.setdefault(key, []).append((info["Id"].rsplit("/", 1)[-1], after))
        _tell_bridge(key, zone, info, request["ChangeBatch"]["Changes"], after)
        if request["ChangeBatch"].get("Comment"):
            info["Comment"] = request["ChangeBatch"]["Comment"]
        return {"ChangeInfo": info}


def _check_health_checks(changes: list[dict]) -> None:
    for change in changes:
        check_id = change["ResourceRecordSet"].get("HealthCheckId")
        if check_id and change["Action"] != "DELETE" and health.find(check_id) is None:
            raise health_checks.missing(check_id)


def _now_served(key: tuple[str, str], existing: list[dict]) -> list[dict]:
    """The sets that the name servers answer with. On AWS a PENDING change has reached only some of them; here it has
    reached none.
    """
    account, coming = key[0], _coming.get(key, [])
    synced = [i for i, (change, _) in enumerate(coming) if _change_info(account, change)["Status"] == "INSYNC"]
    if synced:
        _served[key] = coming[synced[-1]][1]
        del coming[: synced[-1] + 1]
    return _served.get(key, existing)


def settle() -> None:
    """Make INSYNC changes permanent, even if a test then makes propagation slower. The caller holds the lock."""
    for key in list(_coming):
        _served[key] = _now_served(key, [])


def _answering(account: str, zone: FakeZone, sets: list[dict] | None = None) -> answers.Zone:
    existing = [_as_api(record) for record in zone.rrsets]
    served = _now_served((account, zone.id), existing) if sets is None else sets
    return answers.Zone(zone.id, records.fqdn(zone.name), served, health.is_healthy, _outside)


def _outside(name: str) -> tuple[list[str], bool]:
    """The target of an alias to a load balancer, a bucket or a distribution: a test sets its address and health."""
    found = health_probe.host(name)
    return ([found.address] if found and found.address else []), found is None or found.healthy


def _zones_of(name: str, account: str | None, zone_id: str | None) -> list[tuple[str, FakeZone]]:
    """The public zones with the longest name that contains this one."""
    name, found = records.fqdn(name), []
    for number, partitions in list(route53_backends.items()):
        for zone in list(partitions["aws"].zones.values()):
            inside = name == records.fqdn(zone.name) or name.endswith("." + records.fqdn(zone.name))
            wanted = account in (None, number) and zone_id in (None, zone.id)
            if inside and wanted and not zone.private_zone:
                found.append((number, zone))
    longest = max((len(zone.name) for _, zone in found), default=0)
    return [(number, zone) for number, zone in found if len(zone.name) == longest]


def resolve(name: str, kind: str, account: str | None, zone_id: str | None) -> dict:
    """What the zone's name servers answer now. One of the possible answers is drawn, as for each real query."""
    with LOCK:
        found = _zones_of(name, account, zone_id)
        if len(found) > 1:
            where = ", ".join(f"{zone.id} of account {number}" for number, zone in found)
            raise ValueError(f"{name} is in more than one zone: {where}; name one")
        if not found:
            return {"name": records.fqdn(name), "type": kind, "rcode": "REFUSED", "zone": None, "values": []}
        number, zone = found[0]
        answer = answers.answer(_answering(number, zone), name, kind)
        pending = bool(_coming.get((number, zone.id)))
    choices = answer["choices"]
    drawn = random.choices(choices, [c["share"] for c in choices])[0] if choices else {"values": [], "ttl": None}
    where = {"account": number, "zone": zone.id, "pending": pending}
    return answer | where | {"values": drawn["values"], "ttl": drawn["ttl"]}


def _follow_health() -> None:
    """Tell bridged zones of answers that changed through health alone. The caller holds the lock."""
    for key, bridge in _bridges.items():
        zone = route53_backends[key[0]]["aws"].zones.get(key[1])
        if zone is None:
            continue
        sets = [_as_api(record) for record in zone.rrsets]
        current = answers.table(_answering(key[0], zone, sets))
        before = {(a["name"], a["type"]): a for a in _told.get(key, current)}
        changed = [a for a in current if before.get((a["name"], a["type"]), a) != a]
        if changed:
            document = _document(key, zone.name, [{"name": a["name"], "type": a["type"]} for a in changed], sets)
            bridge.start({**document, "event": "health", "answers": current})
        _told[key] = current


def _document(key: tuple[str, str], zone: str, changed: list[dict], sets: list[dict]) -> dict:
    return {"account": key[0], "zone_id": key[1], "zone": zone, "changed": changed, "record_sets": sets}


def _bridged(change_id: str) -> bool:
    key, run = _runs.get(change_id, (None, None))
    return key not in _bridges or bridges.did(run)


def _tell_bridge(key: tuple[str, str], zone: FakeZone, info: dict, changes: list[dict], after: list[dict]) -> None:
    bridge = _bridges.get(key)
    if bridge is None:
        return
    touched = [records.normal(change["ResourceRecordSet"]) for change in changes]
    changed = [{"name": name, "type": kind} for name, kind in sorted({(s["Name"], s["Type"]) for s in touched})]
    _told[key] = answers.table(_answering(key[0], zone, after))
    document = _document(key, zone.name, changed, after) | {"event": "changed", "answers": _told[key]}
    _runs[info["Id"].rsplit("/", 1)[-1]] = (key, bridge.start(document))


def configure(account: str, zone_id: str, body: dict) -> dict | None:
    """Applies settings from the control surface. None if there is no such zone."""
    if set(body) != {"bridge"}:
        raise ValueError(f"know bridge, not {sorted(body)}")
    if zone_id not in route53_backends[account]["aws"].zones:
        return None
    bridge = bridges.made(body["bridge"])
    _told.pop((account, zone_id), None)
    if bridge:
        health.follow(_follow_health)
        _bridges[(account, zone_id)] = bridge
    else:
        _bridges.pop((account, zone_id), None)
    return {"zone": zone_id, "bridge": bridge and bridge.show()}


def bridged() -> dict[tuple[str, str], Bridge]:
    return dict(_bridges)


def forget_bridges() -> None:
    """Remove all bridges; changes no longer wait for them."""
    _bridges.clear()
    _runs.clear()
    _told.clear()


def list_record_sets(context: RequestContext, request: dict) -> dict:
    with LOCK:
        zone = _zone(context, request["HostedZoneId"])
        found = sorted((_as_api(record) for record in zone.rrsets), key=records.order)
    name, kind = request.get("StartRecordName"), request.get("StartRecordType")
    if kind and not name:
        raise CommonServiceException("InvalidInput", "The input is not valid", 400, True)
    if name:
        start = records.listing_key(name, kind, request.get("StartRecordIdentifier"))
        found = [record_set for record_set in found if records.order(record_set) >= start]
    most = min(int(request.get("MaxItems") or MOST_ITEMS), MOST_ITEMS)
    answer = {"ResourceRecordSets": found[:most], "IsTruncated": len(found) > most, "MaxItems": str(most)}
    if len(found) > most:
        following = found[most]
        answer |= {"NextRecordName": following["Name"], "NextRecordType": following["Type"]}
        if "SetIdentifier" in following:
            answer["NextRecordIdentifier"] = following["SetIdentifier"]
    return answer


def get_change(context: RequestContext, request: dict) -> dict:
    change_id = request["Id"].rsplit("/", 1)[-1]
    with LOCK:
        if (context.account_id, change_id) not in _changes:
            message = f"Could not find resource with ID: {change_id}"
            raise CommonServiceException("NoSuchChange", message, 404, True)
        settle()
        return {"ChangeInfo": _change_info(context.account_id, change_id)}


def _rename(context: RequestContext, response: dict) -> None:
    """Real zone IDs begin with Z, and drctl checks this in plans; moto's IDs are any 22 characters."""
    zones = route53_backends[context.account_id][context.partition].zones
    old = response["HostedZone"]["Id"].rsplit("/", 1)[-1]
    new = "Z" + old[1:]
    zone = zones.pop(old)
    zone.id = new
    zones[new] = zone
    response["HostedZone"]["Id"] = f"/hostedzone/{new}"
    response["Location"] = f"https://route53.amazonaws.com/2013-04-01/hostedzone/{new}"


def _with_real_change(inner):
    """Gives every change its own ID; moto uses one constant ID that is always INSYNC."""

    def handler(context: RequestContext, request: dict) -> dict:
        with LOCK:
            response = inner(context, request)
            if context.operation.name == "CreateHostedZone":
                _rename(context, response)
            response["ChangeInfo"] = _new_change(context.account_id)
            return response

    return handler


def reset() -> None:
    for kept in (_changes, _last_batch, _served, _coming):
        kept.clear()
    health.reset()
    health_checks.reset()
    forget_bridges()


def table(inner: dict) -> dict:
    return {
        **inner,
        **health_checks.table(),
        "ChangeResourceRecordSets": change_record_sets,
        "ListResourceRecordSets": list_record_sets,
        "GetChange": get_change,
        "CreateHostedZone": _with_real_change(inner["CreateHostedZone"]),
        "DeleteHostedZone": _with_real_change(inner["DeleteHostedZone"]),
    }
