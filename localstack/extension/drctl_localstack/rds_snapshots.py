"""The API of backups: snapshots, which take time, and the automated backups of each instance."""

import time
import uuid

from localstack.aws.api import CommonServiceException, RequestContext
from localstack.services.moto import call_moto
from moto.rds.exceptions import DBSnapshotNotFoundFault
from moto.rds.models import DBInstance, DBSnapshot, rds_backends

from drctl_localstack import paging, rds_backups, rds_rules
from drctl_localstack import rds_overlay as overlays
from drctl_localstack.rds_overlay import Busy


def _not_found(self: DBSnapshotNotFoundFault, identifier: str) -> None:
    """moto answers with the exception's name, which is not its error code."""
    super(DBSnapshotNotFoundFault, self).__init__("DBSnapshotNotFound", f"DBSnapshot {identifier} not found.")


DBSnapshotNotFoundFault.__init__ = _not_found


def find(context: RequestContext, name: str) -> DBSnapshot:
    """The snapshot with this name, or with this ARN of the region."""
    name = name.removeprefix(f"arn:aws:rds:{context.region}:{context.account_id}:snapshot:")
    snapshot = rds_backends[context.account_id][context.region].database_snapshots.get(name)
    if snapshot is None:
        raise CommonServiceException("DBSnapshotNotFound", f"DBSnapshot {name} not found.", 404, True)
    return snapshot


def require_available(snapshot: DBSnapshot) -> None:
    if snapshot.status != "available":
        raise _state_error(f"The snapshot {snapshot.db_snapshot_identifier} is not in available state.")


def _state_error(message: str) -> CommonServiceException:
    return CommonServiceException("InvalidDBSnapshotState", message, 400, sender_fault=True)


def create(context: RequestContext, request: dict) -> dict:
    """The instance is `backing-up` until the snapshot is complete."""
    db = rds_rules.find(context, request["DBInstanceIdentifier"])
    rds_rules.require_available(db)
    response = call_moto(context)
    snapshot = find(context, response["DBSnapshot"]["DBSnapshotIdentifier"])
    snapshot.status = "creating"
    told = {"event": "snapshot", "snapshot": snapshot.db_snapshot_identifier, "automated": False}
    overlays.of(db).busy = Busy("backing-up", time.time(), "db_snapshot_ms", told)
    _decorate(context, response["DBSnapshot"])
    return response


def _taken(db: DBInstance, busy: Busy, end: float) -> None:
    snapshot = rds_backups.own(db).get(busy.told["snapshot"])
    if snapshot:
        snapshot.status = "available"


overlays.ENDS["backing-up"] = _taken


def delete(context: RequestContext, request: dict) -> dict:
    snapshot = find(context, request["DBSnapshotIdentifier"])
    if snapshot.snapshot_type == "automated":
        raise _state_error("Only manual snapshots may be deleted.")
    require_available(snapshot)
    return call_moto(context)


def describe(context: RequestContext, request: dict) -> dict:
    found = call_moto(context)["DBSnapshots"]
    for shown in found:
        _decorate(context, shown)
    page, marker = paging.page({shown["DBSnapshotIdentifier"]: shown for shown in found}, request)
    return {"DBSnapshots": page, **({"Marker": marker} if marker else {})}


def _decorate(context: RequestContext, shown: dict) -> None:
    snapshot = rds_backends[context.account_id][context.region].database_snapshots.get(shown["DBSnapshotIdentifier"])
    if snapshot is None:  # a snapshot that another account shares
        return
    shown["Status"] = snapshot.status
    shown["PercentProgress"] = 100 if snapshot.status == "available" else 0
    shown["AvailabilityZone"] = snapshot.database.availability_zone


def automated(context: RequestContext, request: dict) -> dict:
    """The automated backups of existing instances. AWS can also keep those of deleted instances."""
    now, name = time.time(), request.get("DBInstanceIdentifier")
    backend = rds_backends[context.account_id][context.region]
    if name and name not in backend.databases:
        message = f"DBInstanceAutomatedBackup {name} not found."
        raise CommonServiceException("DBInstanceAutomatedBackupNotFound", message, 404, True)
    found = {}
    for db in backend.databases.values():
        if db.backup_retention_period and not db.db_cluster_identifier and _asked_for(db, request):
            found[db.db_instance_identifier] = _shown(db, now)
    page, marker = paging.page(found, request)
    return {"DBInstanceAutomatedBackups": page, **({"Marker": marker} if marker else {})}


def _status(db: DBInstance) -> str:
    return "creating" if overlays.of(db).backups_since is None else "active"


def _asked_for(db: DBInstance, request: dict) -> bool:
    facts = {
        "status": {_status(db)},
        "db-instance-id": {db.db_instance_identifier, db.db_instance_arn},
        "dbi-resource-id": {db.dbi_resource_id},
    }
    wanted = {each["Name"]: set(each.get("Values") or []) for each in request.get("Filters") or []}
    if set(wanted) - set(facts):
        raise rds_rules.invalid(f"Unrecognized filter name: {', '.join(sorted(set(wanted) - set(facts)))}")
    name, identity = request.get("DBInstanceIdentifier"), request.get("DbiResourceId")
    return (
        (not name or name.lower() == db.db_instance_identifier)
        and (not identity or identity.lower() == db.dbi_resource_id.lower())
        and all(facts[key] & values for key, values in wanted.items())
    )


def _shown(db: DBInstance, now: float) -> dict:
    number = uuid.uuid5(uuid.NAMESPACE_OID, db.dbi_resource_id).hex[:26].upper()
    prefix = f"arn:{db.partition}:rds:{db.region}:{db.account_id}"
    shown = {
        "DBInstanceArn": db.db_instance_arn,
        "DBInstanceAutomatedBackupsArn": f"{prefix}:auto-backup:ab-{number}",
        "DBInstanceIdentifier": db.db_instance_identifier,
        "DbiResourceId": db.dbi_resource_id,
        "Region": db.region,
        "Status": _status(db),
        "BackupRetentionPeriod": db.backup_retention_period,
        "AllocatedStorage": db.allocated_storage,
        "AvailabilityZone": db.availability_zone,
        "Encrypted": bool(db.storage_encrypted),
        "Engine": db.engine,
        "EngineVersion": db.engine_version,
        "InstanceCreateTime": db.instance_create_time,
        "MasterUsername": db.master_username,
        "Port": db.port,
        "StorageType": db.storage_type,
    }
    window = rds_backups.window(db, overlays.of(db), now)
    if window:
        shown["RestoreWindow"] = {"EarliestTime": window[0], "LatestTime": window[1]}
    return shown
