"""New instances from backups. moto copies the source with its network and zones, and accepts any point in time."""

from datetime import UTC, datetime

from localstack.aws.api import CommonServiceException, RequestContext
from localstack.services.moto import call_moto_with_request
from moto.rds.models import DBInstance, DBSnapshot, RDSBackend, rds_backends

from drctl_localstack import rds_backups, rds_snapshots
from drctl_localstack import rds_overlay as overlays
from drctl_localstack.rds_create import add, begin, copy_of, forget_network, named
from drctl_localstack.rds_rules import combination, find, invalid, require_free, require_groups, require_valid, state_error


def to_time(context: RequestContext, request: dict) -> dict:
    name = request["TargetDBInstanceIdentifier"]
    require_valid(name, "TargetDBInstanceIdentifier")
    source = _source(context, request)
    require_free(context.account_id, context.region, name)
    at = _time(source, request)
    told = {"event": "restored", "source": named(source.region, source)}
    told["restore_time"] = at.isoformat()
    wanted = {**request, "SourceDBInstanceIdentifier": source.db_instance_identifier}
    wanted.pop("SourceDbiResourceId", None)
    return _restored(context, wanted, name, told)


def from_snapshot(context: RequestContext, request: dict) -> dict:
    name = request["DBInstanceIdentifier"]
    require_valid(name)
    snapshot = rds_snapshots.find(context, request.get("DBSnapshotIdentifier") or "")
    require_free(context.account_id, context.region, name)
    rds_snapshots.require_available(snapshot)
    told = {"event": "restored", "source": named(snapshot.region, snapshot)}
    told["snapshot"] = snapshot.db_snapshot_identifier
    return _restored(context, {**request, "DBSnapshotIdentifier": snapshot.db_snapshot_identifier}, name, told)


def _restored(context: RequestContext, request: dict, name: str, told: dict) -> dict:
    require_groups(context, request.get("VpcSecurityGroupIds") or [])
    if request.get("MultiAZ") and request.get("AvailabilityZone"):
        raise combination("Requesting a specific availability zone is not valid for Multi-AZ instances.")
    response = call_moto_with_request(context, request)
    begin(find(context, name), told)
    return response


def _source(context: RequestContext, request: dict) -> DBInstance:
    name, identity = request.get("SourceDBInstanceIdentifier"), request.get("SourceDbiResourceId")
    if bool(name) == bool(identity):
        raise combination("One of SourceDBInstanceIdentifier and SourceDbiResourceId must be specified.")
    if name:
        return find(context, name)
    databases = rds_backends[context.account_id][context.region].databases.values()
    source = next((db for db in databases if db.dbi_resource_id.lower() == identity.lower()), None)
    if source is None:
        raise CommonServiceException("DBInstanceNotFound", f"DBInstance {identity} not found.", 404, True)
    return source


def _time(source: DBInstance, request: dict) -> datetime:
    """The requested time. AWS documents no error for one that cannot be restored; InvalidRestoreFault is about
    networks.
    """
    if not source.backup_retention_period:
        message = f"Point in time restore is not enabled for DB instance {source.db_instance_identifier}."
        raise CommonServiceException("PointInTimeRestoreNotEnabled", message, 400, True)
    at, latest = request.get("RestoreTime"), request.get("UseLatestRestorableTime")
    if bool(at) == bool(latest):
        raise combination("Specify either RestoreTime or UseLatestRestorableTime.")
    now = datetime.now(UTC).timestamp()
    window = rds_backups.window(source, overlays.of(source), now)
    if window is None:  # its first backup is still being created
        raise state_error(f"DB instance {source.db_instance_identifier} has no backup yet.")
    if latest:
        return window[1]
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    if not window[0] <= at <= window[1]:
        raise invalid(
            f"The DB instance {source.db_instance_identifier} cannot be restored to {at.isoformat()}, only to a time from "
            f"{window[0].isoformat()} to {window[1].isoformat()}."
        )
    return at


def _new(backend: RDSBackend, source: DBInstance, name: str, wanted: dict) -> DBInstance:
    """Like the source, but in the default network; it has the source's tags unless others are given."""
    if (wanted.get("allocated_storage") or source.allocated_storage) < source.allocated_storage:
        raise invalid("Allocated storage size can't be less than the source instance size.")
    db = copy_of(source, backend)
    forget_network(db)
    db.tags = [dict(tag) for tag in source.tags]
    db.db_instance_identifier = name
    of_the_source = ("source_db_instance_identifier", "db_snapshot_identifier", "restore_time", "db_instance_identifier")
    add(db, {key: value for key, value in wanted.items() if key not in of_the_source})
    db.add_event("DB_INSTANCE_CREATE")
    return db


def _to_time(self: RDSBackend, source_db_identifier: str, target_db_identifier: str, overrides: dict) -> DBInstance:
    return _new(self, self.databases[source_db_identifier], target_db_identifier, overrides)


def _from_snapshot(self: RDSBackend, from_snapshot_id: str, overrides: dict) -> DBInstance:
    snapshot: DBSnapshot = self.get_db_snapshot(from_snapshot_id)
    db = _new(self, snapshot.database, overrides["db_instance_identifier"], overrides)
    db.storage_encrypted, db.kms_key_id = snapshot.encrypted, snapshot.kms_key_id
    return db


RDSBackend.restore_db_instance_to_point_in_time = _to_time
RDSBackend.restore_db_instance_from_db_snapshot = _from_snapshot
