"""Automated backups: each instance has its own, from when it has a retention period and is created. moto takes one of
any instance at once, under an identity that all instances share and a name that a second instance may need.
"""

from datetime import UTC, datetime, timedelta

from moto.rds.models import DBInstance, DBSnapshot

from drctl_localstack import settings


def keep(db: DBInstance, overlay, now: float) -> str | None:
    """The first one is taken when backups are on, and none is left when they are off. Gives the name of one begun."""
    on = bool(db.backup_retention_period)
    begun = overlay.backing_up is not None or overlay.backups_since is not None
    if not on and begun:
        overlay.backups_since = overlay.backing_up = None
        _drop(db)
    return _take(db, now) if on and not begun else None


def own(db: DBInstance) -> dict[str, DBSnapshot]:
    """All snapshots of this instance, whatever it was called."""
    every = db.backend.database_snapshots.items()
    return {name: snapshot for name, snapshot in every if snapshot.dbi_resource_id == db.dbi_resource_id}


def _drop(db: DBInstance) -> None:
    for name, snapshot in own(db).items():
        if snapshot.snapshot_type == "automated":
            del db.backend.database_snapshots[name]


def _take(db: DBInstance, now: float) -> str:
    """Not moto's way, which counts it into the quota of manual ones."""
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
    """Named by the minute; another instance that bore this name may have one of the same minute."""
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
    """From when to when it can be restored: as far back as backups are kept, and were on. A first backup takes its time,
    here it is as if it had been taken when logs were last shipped, so that the window is never empty."""
    latest = latest_restorable(db, overlay, now)
    if latest is None:
        return None
    kept = datetime.fromtimestamp(now, UTC) - timedelta(days=db.backup_retention_period)
    first = datetime.fromtimestamp(overlay.backups_since, UTC) - _lag(overlay)
    return min(overlay.earliest_time or max(kept, first), latest), latest


def _lag(overlay) -> timedelta:
    lag_ms = overlay.restorable_lag_ms
    return timedelta(milliseconds=settings.get("restorable_lag_ms") if lag_ms is None else lag_ms)


DBInstance.save_automated_backup = lambda self: None  # `keep` does
