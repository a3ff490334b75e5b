"""Automated backups: each instance has its own, from when it has a retention period and is created. moto takes one of
any instance at once, under an identity that all instances share and a name that a second instance may need.
"""

from datetime import UTC, datetime, timedelta

from moto.rds.models import DBInstance, DBSnapshot

from drctl_localstack import settings


def keep(db: DBInstance, overlay, now: float) -> None:
    """The first one is taken when backups are on, and none is left when they are off."""
    on = bool(db.backup_retention_period)
    if not on and overlay.backups_since is not None:
        overlay.backups_since = None
        _drop(db)
    elif on and overlay.backups_since is None:
        overlay.backups_since = now
        _take(db, now)


def own(db: DBInstance) -> dict[str, DBSnapshot]:
    """All snapshots of this instance, whatever it was called."""
    every = db.backend.database_snapshots.items()
    return {name: snapshot for name, snapshot in every if snapshot.dbi_resource_id == db.dbi_resource_id}


def _drop(db: DBInstance) -> None:
    for name, snapshot in own(db).items():
        if snapshot.snapshot_type == "automated":
            del db.backend.database_snapshots[name]


def _take(db: DBInstance, now: float) -> None:
    """Not moto's way, which counts it into the quota of manual ones."""
    db.add_event("DB_INSTANCE_BACKUP_START")
    snapshot = DBSnapshot(db.backend, db, _free_name(db, now), "automated")
    db.backend.database_snapshots[snapshot.db_snapshot_identifier] = snapshot
    snapshot.add_event("DB_SNAPSHOT_CREATE_AUTOMATED_START")
    snapshot.add_event("DB_SNAPSHOT_CREATE_AUTOMATED_FINISH")
    db.add_event("DB_INSTANCE_BACKUP_FINISH")


def _free_name(db: DBInstance, now: float) -> str:
    """Named by the minute; another instance that bore this name may have one of the same minute."""
    at = datetime.fromtimestamp(now, UTC)
    while (name := f"rds:{db.db_instance_identifier}-{at:%Y-%m-%d-%H-%M}") in db.backend.database_snapshots:
        at += timedelta(minutes=1)
    return name


def latest_restorable(db: DBInstance, overlay, now: float) -> datetime | None:
    if not db.backup_retention_period:
        return None
    if overlay.restorable_time:
        return overlay.restorable_time
    lag_ms = overlay.restorable_lag_ms
    lag_ms = settings.get("restorable_lag_ms") if lag_ms is None else lag_ms
    return datetime.fromtimestamp(now, UTC) - timedelta(milliseconds=lag_ms)


DBInstance.save_automated_backup = lambda self: None  # `keep` does
