"""State that moto's DBInstance does not have: states that take time, replication health, lag, a realistic restore
point.

The overlay is an attribute of moto's object, so it disappears with the instance.
"""

import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime

from moto.rds.models import DBInstance, rds_backends

from drctl_localstack import bridges, rds_backups, rds_events, settings
from drctl_localstack.bridges import Bridge


@dataclass
class Busy:
    """A state that ends by itself when the duration named by `setting` is over."""

    status: str
    since: float
    setting: str
    told: dict | None = None  # sent to the instance's bridge when it begins; the bridge then ends the state
    seen: float = 0.0  # when it was last seen in progress: it cannot end before, however short it is made
    bridged: Future | None = None


@dataclass
class Promotion:
    since: float
    retention: int | None
    window: str | None
    bridged: Future | None = None


@dataclass
class GroupChange:
    since: float
    old: list[str]
    bridged: Future | None = None


@dataclass
class Backup:
    """An automated snapshot that is being taken."""

    snapshot: str
    bridged: Future | None = None


@dataclass
class LagPoint:
    since: float
    seconds: float | None  # None: no data points from here on
    grows: bool = False


@dataclass
class Overlay:
    forced_status: str | None = None
    busy: Busy | None = None
    pending_name: str | None = None  # a rename that waits for the maintenance window, which never comes here
    promotion: Promotion | None = None
    group_change: GroupChange | None = None
    replication_status: str = "replicating"
    replication_message: str | None = None
    endpoint: dict | None = None
    restorable_lag_ms: float | None = None
    event_delay_ms: float = 0.0  # added to the setting of that name, for this instance's restart events only
    restorable_time: datetime | None = None
    earliest_time: datetime | None = None
    replica_since: float | None = None
    replica_until: float | None = None
    backups_since: float | None = None
    backing_up: Backup | None = None  # the first automated backup
    real_backups: bool = False  # taken by a bridge, so only a test that inspects them knows their restorable time
    lag: list[LagPoint] = field(default_factory=list)
    bridge: Bridge | None = None

    def __deepcopy__(self, _) -> "Overlay":
        """moto deep-copies a cluster and all it references, to show its former state; bridge runs cannot be copied."""
        return Overlay()


def of(db: DBInstance) -> Overlay:
    return db.__dict__.setdefault("drctl", Overlay())


def adopt(db: DBInstance, overlay: Overlay) -> None:
    """Give a new instance its own identity: moto uses one DbiResourceId for all, and a replica is a shallow copy."""
    db.drctl = overlay
    db.dbi_resource_id = "db-" + uuid.uuid4().hex[:26].upper()


def group_ids(db: DBInstance) -> list[str]:
    return list(db.vpc_security_group_ids or [])


def status(db: DBInstance, now: float) -> str:
    overlay = of(db)
    if overlay.forced_status:
        return overlay.forced_status
    if overlay.promotion:
        gap = settings.seconds("promote_lag_before_modifying_ms")
        return "available" if now < overlay.promotion.since + gap else "modifying"
    if overlay.busy:
        return overlay.busy.status
    if overlay.group_change and settings.get("sg_status_modifying"):
        return "modifying"
    return db.status


def settle(db: DBInstance, now: float) -> None:
    """Complete everything that is over by now."""
    overlay = of(db)
    if overlay.busy:
        _settle_busy(db, overlay, overlay.busy, now)
        if db.backend.databases.get(db.db_instance_identifier) is not db:
            return
    if overlay.group_change and now >= overlay.group_change.since + settings.seconds("sg_apply_ms"):
        if _really(db, overlay, overlay.group_change, {"event": "groups"}):
            overlay.group_change = None
    if overlay.promotion:
        duration = settings.seconds("promote_lag_before_modifying_ms") + settings.seconds("promote_modifying_ms")
        due = overlay.promotion.since + duration
        if now >= due and _really(db, overlay, overlay.promotion, {"event": "promoted"}):
            _finish_promotion(db, overlay, now if overlay.bridge else due)
    if not (overlay.busy and overlay.busy.status in ("creating", "deleting")) and not db.db_cluster_identifier:
        _back_up(db, overlay, now)


def _back_up(db: DBInstance, overlay: Overlay, now: float) -> None:
    name = rds_backups.keep(db, overlay, now)
    if name:
        overlay.backing_up = Backup(name)
    backup = overlay.backing_up
    if backup and _really(db, overlay, backup, {"event": "snapshot", "snapshot": backup.snapshot, "automated": True}):
        overlay.backing_up = None
        overlay.real_backups = backup.bridged is not None
        rds_backups.taken(db, overlay, backup.snapshot, now)


def _really(db: DBInstance, overlay: Overlay, change: Busy | Promotion | GroupChange | Backup, told: dict) -> bool:
    """Whether the instance's bridge has carried out the change. The first call sends the change to the bridge."""
    if overlay.bridge is None:
        return True
    if change.bridged is None:
        names = {"account": db.account_id, "region": db.region, "instance": db.db_instance_identifier}
        names["resource"] = db.dbi_resource_id
        change.bridged = overlay.bridge.start({**names, "groups": group_ids(db), **told})
    return bridges.did(change.bridged)


# Further effects at the end of a state, by state. Each gets the instance, the state, and the end time.
ENDS: dict[str, Callable[[DBInstance, Busy, float], None]] = {}


def _settle_busy(db: DBInstance, overlay: Overlay, busy: Busy, now: float) -> None:
    end = busy.since + settings.seconds(busy.setting)
    happened = busy.told is None or _really(db, overlay, busy, busy.told)
    if now < end or not happened:
        busy.seen = now
        return
    overlay.busy = None
    if busy.status in ENDS:
        ENDS[busy.status](db, busy, max(end, busy.seen))


def _created(db: DBInstance, busy: Busy, end: float) -> None:
    if db.is_replica:
        of(db).replica_since = end


def _deleted(db: DBInstance, busy: Busy, end: float) -> None:
    del db.backend.databases[db.db_instance_identifier]


ENDS["creating"] = _created
ENDS["deleting"] = _deleted
ENDS["rebooting"] = lambda db, busy, end: rds_events.record_reboot(db, busy.since, end, of(db).event_delay_ms)


def settle_account(account: str, now: float) -> None:
    """Settle the instances of all regions: a promotion in one region changes the source's replica list in another."""
    for backend in list(rds_backends[account].values()):
        for db in list(backend.databases.values()):
            settle(db, now)


def bridged() -> list[DBInstance]:
    return [
        db
        for account in list(rds_backends.values())
        for backend in list(account.values())
        for db in list(backend.databases.values())
        if of(db).bridge
    ]


def settle_bridged(now: float) -> None:
    for db in bridged():
        settle(db, now)


def _finish_promotion(db: DBInstance, overlay: Overlay, at: float) -> None:
    source = find_source(db)
    if source:
        source.remove_replica(db)
    db.is_replica = False
    db.source_db_instance_identifier = None
    # Backups are off on a fresh replica; promoting turns them on unless the replica already had its own retention.
    db.backup_retention_period = overlay.promotion.retention or db.backup_retention_period or 1
    if overlay.promotion.window:
        db.preferred_backup_window = overlay.promotion.window
    overlay.promotion = None
    overlay.replica_until = at


def find_source(db: DBInstance) -> DBInstance | None:
    name = db.source_db_instance_identifier
    if not name:
        return None
    region, identifier = (name.split(":")[3], name.split(":")[-1]) if name.startswith("arn:") else (db.region, name)
    return rds_backends[db.account_id][region].databases.get(identifier)


def _remove_replica(self: DBInstance, replica: DBInstance) -> None:
    """moto compares only the name, and so fails for a replica in another region, which it stored by ARN."""
    gone = (replica.db_instance_identifier, replica.db_instance_arn)
    self.replicas = [name for name in self.replicas if name not in gone]


DBInstance.remove_replica = _remove_replica


def decorate(db: DBInstance, shown: dict, now: float) -> None:
    """Correct one DBInstance of a response. Members of a cluster are left as moto has them."""
    if shown.get("DBClusterIdentifier"):
        return
    overlay = of(db)
    shown["DBInstanceStatus"] = status(db, now)
    shown["DbiResourceId"] = db.dbi_resource_id  # the response to a creation is made before the instance has its own ID
    shown["VpcSecurityGroups"] = _groups_shown(db, overlay)
    shown["PendingModifiedValues"] = _pending_shown(overlay)
    if overlay.endpoint:
        shown["Endpoint"] = {**shown.get("Endpoint", {}), **overlay.endpoint}
    shown.pop("ListenerEndpoint", None)  # SQL Server only; moto always has it
    shown.pop("StatusInfos", None)
    if overlay.busy and overlay.busy.status == "creating":
        for name in ("Endpoint", "InstanceCreateTime", "LatestRestorableTime"):
            shown.pop(name, None)
        return
    if db.is_replica:
        shown["StatusInfos"] = [_replication_shown(overlay)]
    shown.pop("LatestRestorableTime", None)
    restorable = rds_backups.latest_restorable(db, overlay, now)
    if restorable:
        shown["LatestRestorableTime"] = restorable


def _groups_shown(db: DBInstance, overlay: Overlay) -> list[dict]:
    new = group_ids(db)
    old = overlay.group_change.old if overlay.group_change else new
    shown = [{"VpcSecurityGroupId": i, "Status": "active" if i in old else "adding"} for i in new]
    return shown + [{"VpcSecurityGroupId": i, "Status": "removing"} for i in old if i not in new]


def _replication_shown(overlay: Overlay) -> dict:
    info = {
        "StatusType": "read replication",
        "Normal": overlay.replication_status == "replicating",
        "Status": overlay.replication_status,
    }
    if overlay.replication_message:
        info["Message"] = overlay.replication_message
    return info


def _pending_shown(overlay: Overlay) -> dict:
    renaming = overlay.busy and overlay.busy.status == "renaming"
    name = overlay.busy.told["new_instance"] if renaming else overlay.pending_name
    return {"DBInstanceIdentifier": name} if name else {}


def lag_at(overlay: Overlay, at: float) -> float | None:
    """The lag that was set for that moment, or else the default from the settings."""
    point = next((p for p in reversed(overlay.lag) if p.since <= at), None)
    if point is None:
        return float(settings.get("replica_lag_s"))
    if point.seconds is None:
        return None
    return point.seconds + (at - point.since if point.grows else 0.0)


KNOBS = {
    "status",
    "replica_lag_s",
    "lag_grows",
    "replication",
    "replication_message",
    "endpoint",
    "restorable_lag_ms",
    "event_delay_ms",
    "latest_restorable_time",
    "earliest_restorable_time",
    "bridge",
}


def configure(db: DBInstance, body: dict) -> None:
    """Apply settings from the control surface: only keys that are present change; null restores the default."""
    unknown = set(body) - KNOBS
    if unknown:
        raise ValueError(f"unknown {sorted(unknown)}; known: {sorted(KNOBS)}")
    overlay = of(db)
    if "status" in body:
        overlay.forced_status = body["status"]
    if "replica_lag_s" in body:
        value = body["replica_lag_s"]
        overlay.lag.append(
            LagPoint(time.time(), None if value is None else float(value), bool(body.get("lag_grows", False)))
        )
    if "replication" in body:
        overlay.replication_status = body["replication"] or "replicating"
        overlay.replication_message = body.get("replication_message")
    if "endpoint" in body:
        overlay.endpoint = _endpoint(body["endpoint"])
    if "restorable_lag_ms" in body:
        overlay.restorable_lag_ms = body["restorable_lag_ms"]
    if "event_delay_ms" in body:
        overlay.event_delay_ms = float(body["event_delay_ms"] or 0)
        if body["event_delay_ms"] is None:
            rds_events.tell_now(db)
    if "latest_restorable_time" in body:
        overlay.restorable_time = _time(body["latest_restorable_time"])
    if "earliest_restorable_time" in body:
        overlay.earliest_time = _time(body["earliest_restorable_time"])
    if "bridge" in body:
        overlay.bridge = bridges.made(body["bridge"])
        _try_again(overlay)
        bridges.watch(settle_bridged)


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text.replace("Z", "+00:00")) if text else None


def _try_again(overlay: Overlay) -> None:
    """Send to the new bridge what the previous one failed to do."""
    for change in (overlay.busy, overlay.promotion, overlay.group_change, overlay.backing_up):
        if change and change.bridged and change.bridged.done() and not change.bridged.result():
            change.bridged = None


def _endpoint(value: dict | None) -> dict | None:
    if value is None:
        return None
    return {"Address": str(value["address"]), "Port": int(value["port"])}


def describe(db: DBInstance) -> dict:
    """The response of the control surface: the instance's current state."""
    now = time.time()
    overlay = of(db)
    return {
        "instance": db.db_instance_identifier,
        "status": status(db, now),
        "is_replica": db.is_replica,
        "promoting": overlay.promotion is not None,
        "replica_lag_s": lag_at(overlay, now) if db.is_replica else None,
        "replication": overlay.replication_status if db.is_replica else None,
    }


def forget_knobs() -> None:
    """Reset what tests set by hand: statuses, lags, endpoints, restore points. Operations in progress continue."""
    for account in list(rds_backends.values()):
        for backend in list(account.values()):
            for db in list(backend.databases.values()):
                overlay = of(db)
                db.drctl = Overlay(
                    busy=overlay.busy,
                    pending_name=overlay.pending_name,
                    promotion=overlay.promotion,
                    group_change=overlay.group_change,
                    replica_since=overlay.replica_since,
                    replica_until=overlay.replica_until,
                    backups_since=overlay.backups_since,
                    backing_up=overlay.backing_up,
                )
