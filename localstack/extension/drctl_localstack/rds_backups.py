"""Automated backups: each instance has its own, from when it is created and has a retention period. moto takes one of
any instance at once, with an identity that all instances share and a name that a second instance may need.
"""

from datetime import UTC, datetime, timedelta

from moto.rds.models import DBInstance, DBSnapshot

from drctl_localstack import settings


def keep(db: DBInstance, overlay, now: float) -> str | None:
    """Begins the first backup when backups are on, and drops all when they are off. Returns the name of a begun backup.
    """
    on = bool(db.backup_retention_period)
    begun = overlay.backing_up is not None or overlay.backups_since is not None
    if not on and begun:
        overlay.backups_since = overlay.backing_up = None
        _drop(db)
    return _take(db, now) if on and not begun else None


def own(db: DBInstance) -> dict[str, DBSnapshot]:
    """All snapshots of this instance, under any name that it had."""
    every = db.backend.database_snapshots.items()
    return {name: snapshot for name, snapshot in every if snapshot.dbi_resource_id == db.dbi_resource_id}


def _drop(db: DBInstance) -> None:
    for name, snapshot in own(db).items():
        if snapshot.snapshot_type == "automated":
            del db.backend.database_snapshots[name]


def _take(db: DBInstance, now: float) -> str:
    """Creates the snapshot directly, because moto would count it towards the quota of manual snapshots."""
    db.add_event("DB_INSTANCE_BACKUP_START")
    snapshot = DBSnapshot(db.backend, db, _free_name(db, now), "automated")
    snapshot.status = "creating"
    db.backend.database_snapshots[snapshot.db_snapshot_identifier] = snapshot
    snapshot.add_event("DB_SNAPSHOT_CREATE_AUTOMATED_START")
    return snapshot.db_snapshot_identifier


def taken(db: DBInstance, overlay, name: str, now: float) -> None:
    overlay.backups_since = now
    snapshot = db.backend.database_snapshots[name]
    snapshot.status = "available"
    snapshot.add_event("DB_SNAPSHOT_CREATE_AUTOMATED_FINISH")
    db.add_event("DB_INSTANCE_BACKUP_FINISH")


def _free_name(db: DBInstance, now: float) -> str:
    """Named by the minute; another instance that had this name before may have a snapshot from the same minute."""
    at = datetime.fromtimestamp(now, UTC)
    while (name := f"rds:{db.db_instance_identifier}-{at:%Y-%m-%d-%H-%M}") in db.backend.database_snapshots:
        at += timedelta(minutes=1)
    return name


def latest_restorable(db: DBInstance, overlay, now: float) -> datetime | None:
    if not db.backup_retention_period or overlay.backups_since is None:
        return None
    if overlay.restorable_time or overlay.real_backups:
        return overlay.restorable_time
    return datetime.fromtimestamp(now, UTC) - _lag(overlay)


def window(db: DBInstance, overlay, now: float) -> tuple[datetime, datetime] | None:
    """The earliest and latest restorable time: as far back as backups are kept and were on. The first backup takes
    time; here it counts as taken when logs were last shipped, so that the window is never empty."""
    latest = latest_restorable(db, overlay, now)
    if latest is None:
        return None
    kept = datetime.fromtimestamp(now, UTC) - timedelta(days=db.backup_retention_period)
    first = datetime.fromtimestamp(overlay.backups_since, UTC) - _lag(overlay)
    return min(overlay.earliest_time or max(kept, first), latest), latest


def _lag(overlay) -> timedelta:
    lag_ms = overlay.restorable_lag_ms
    return timedelta(milliseconds=settings.get("restorable_lag_ms") if lag_ms is None else lag_ms)


DBInstance.save_automated_backup = lambda self: None  # `keep` does this
