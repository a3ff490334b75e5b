"""Renaming an instance. moto renames at once, even over an existing instance, and leaves all references with the old
name; on AWS it takes time, and replicas on both ends, backups and tags follow.
"""

import time

from moto.rds.models import DBInstance, RDSBackend, rds_backends

from drctl_localstack import rds_backups
from drctl_localstack import rds_overlay as overlays
from drctl_localstack.rds_overlay import Busy
from drctl_localstack.rds_rules import require_free, require_valid


def wanted(db: DBInstance, request: dict) -> str | None:
    """The new name that this change leads to, if any: ApplyImmediately also applies a rename that was pending."""
    name = request.get("NewDBInstanceIdentifier")
    if not name and request.get("ApplyImmediately"):
        name = overlays.of(db).pending_name
    if not name:
        return None
    require_valid(name, "NewDBInstanceIdentifier")
    require_free(db.account_id, db.region, name)
    return name.lower()


def begin(db: DBInstance, name: str, at_once: bool) -> None:
    overlay = overlays.of(db)
    overlay.pending_name = None if at_once else name
    if at_once:
        told = {"event": "renamed", "new_instance": name}
        overlay.busy = Busy("renaming", time.time(), "db_rename_ms", told)


def _finish(db: DBInstance, busy: Busy, end: float) -> None:
    old_name, old_arn, new_name = db.db_instance_identifier, db.db_instance_arn, busy.told["new_instance"]
    backend: RDSBackend = db.backend
    del backend.databases[old_name]
    backend.databases[new_name] = db
    db.db_instance_identifier = new_name  # ARN and endpoint are derived from it
    new = {old_arn: db.db_instance_arn}
    for other_region in list(rds_backends[db.account_id].values()):
        here = new | ({old_name: new_name} if other_region is backend else {})
        for other in other_region.databases.values():
            _point_to(other, here)
    for snapshot in rds_backups.own(db).values():  # backups belong to the instance; moto keeps a copy of it in each
        snapshot.db_instance_identifier = snapshot.database.db_instance_identifier = new_name
    overlay = overlays.of(db)
    if overlay.replica_since is not None:
        overlay.replica_since = max(overlay.replica_since, end)  # metrics are recorded by name


def _point_to(other: DBInstance, new: dict[str, str]) -> None:
    """Update the references in its source or replicas: by name within the region, by ARN across regions."""
    if other.source_db_instance_identifier in new:
        other.source_db_instance_identifier = new[other.source_db_instance_identifier]
    other.replicas = [new.get(name, name) for name in other.replicas]


overlays.ENDS["renaming"] = _finish
