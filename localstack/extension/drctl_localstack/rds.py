"""The RDS operations that differ from moto's. Everything else is moto's, with the answer corrected on the way out."""

import time
from datetime import UTC, datetime

from localstack.aws.api import CommonServiceException, RequestContext
from localstack.aws.spec import load_service
from localstack.services.moto import call_moto, call_moto_with_request
from moto.ec2 import ec2_backends
from moto.rds.models import DBInstance, rds_backends
from moto.rds.responses import RDSResponse

from drctl_localstack import paging, rds_events, rds_rename
from drctl_localstack import rds_overlay as overlays
from drctl_localstack.rds_overlay import Busy, GroupChange, Overlay, Promotion
from drctl_localstack.settings import LOCK

NOT_AVAILABLE = "Database instance is not in available state."


def _state_error(message: str) -> CommonServiceException:
    return CommonServiceException("InvalidDBInstanceState", message, 400, sender_fault=True)


def find(context: RequestContext, identifier: str, region: str | None = None) -> DBInstance:
    db = rds_backends[context.account_id][region or context.region].databases.get(identifier)
    if db is None:
        raise CommonServiceException("DBInstanceNotFound", f"DBInstance {identifier} not found.", 404, True)
    return db


def _require_available(db: DBInstance, message: str = NOT_AVAILABLE) -> None:
    if overlays.status(db, time.time()) != "available":
        raise _state_error(message)


def _require_groups(context: RequestContext, ids: list[str]) -> None:
    """A group of the other region is the classic mistake of a fence; AWS refuses it, moto takes anything."""
    known = ec2_backends[context.account_id][context.region]
    for group_id in ids:
        if not known.get_security_group_from_id(group_id):
            message = f"Invalid security group, groupId= {group_id}, groupName=."
            raise CommonServiceException("InvalidParameterValue", message, 400, True)


def create(context: RequestContext, request: dict) -> dict:
    rds_rename.require_free(context.account_id, context.region, request["DBInstanceIdentifier"])
    _require_groups(context, request.get("VpcSecurityGroupIds") or [])
    response = call_moto(context)
    db = find(context, request["DBInstanceIdentifier"])
    overlays.adopt(db, Overlay(busy=Busy("creating", time.time(), "db_create_ms")))
    return response


def restore(context: RequestContext, request: dict) -> dict:
    """Restores copy the source's attributes, its overlay included: give the new instance its own."""
    name = request.get("TargetDBInstanceIdentifier") or request["DBInstanceIdentifier"]
    rds_rename.require_free(context.account_id, context.region, name)
    response = call_moto(context)
    db = find(context, name)
    db.is_replica, db.replicas, db.source_db_instance_identifier = False, [], None
    overlays.adopt(db, Overlay(busy=Busy("creating", time.time(), "db_create_ms")))
    return response


def create_replica(context: RequestContext, request: dict) -> dict:
    name = request["DBInstanceIdentifier"]
    rds_rename.require_free(context.account_id, context.region, name)
    source = _named_source(context, request["SourceDBInstanceIdentifier"])
    _require_available(source)
    if not source.backup_retention_period:
        raise _state_error(
            "Automated backups are not enabled for this database instance. To enable automated backups, "
            "use ModifyDBInstance to set the backup retention period to a non-zero value."
        )
    _require_groups(context, request.get("VpcSecurityGroupIds") or [])
    response = call_moto(context)
    _make_replica_its_own(context, request, source, find(context, name))
    return response


def _named_source(context: RequestContext, name: str) -> DBInstance:
    if not name.startswith("arn:"):
        return find(context, name)
    _, _, _, region, account, _, identifier = name.split(":", 6)
    if account != context.account_id:
        raise CommonServiceException("DBInstanceNotFound", f"DBInstance {name} not found.", 404, True)
    return find(context, identifier, region)


def _make_replica_its_own(context: RequestContext, request: dict, source: DBInstance, db: DBInstance) -> None:
    """moto copies the source whole. AWS starts a replica Single-AZ, without backups, in its own region's network."""
    now = time.time()
    overlays.adopt(db, Overlay(busy=Busy("creating", now, "db_create_ms"), replica_since=now))
    db.created = db.instance_create_time = datetime.now(UTC)
    db.backup_retention_period = 0
    db.multi_az = request.get("MultiAZ", False)
    db.deletion_protection = request.get("DeletionProtection", False)
    db.availability_zone = request.get("AvailabilityZone") or f"{context.region}a"
    db.tags = list(request.get("Tags") or [])
    crosses = source.region != context.region
    db.source_db_instance_identifier = source.db_instance_arn if crosses else source.db_instance_identifier
    if crosses and not request.get("VpcSecurityGroupIds"):
        ec2 = ec2_backends[context.account_id][context.region]
        db.vpc_security_group_ids = [ec2.get_default_security_group(ec2.default_vpc.id).id]


def promote(context: RequestContext, request: dict) -> dict:
    db = find(context, request["DBInstanceIdentifier"])
    if not db.is_replica:
        raise _state_error("DB Instance is not a read replica.")
    overlay = overlays.of(db)
    if overlay.promotion:
        raise _state_error(NOT_AVAILABLE)
    _require_available(db)
    overlay.promotion = Promotion(
        time.time(), request.get("BackupRetentionPeriod"), request.get("PreferredBackupWindow")
    )
    # moto promotes at once when it sees a replica, and only describes when it does not: all we want here is its answer.
    db.is_replica = False
    try:
        return call_moto(context)
    finally:
        db.is_replica = True


def modify(context: RequestContext, request: dict) -> dict:
    db = find(context, request["DBInstanceIdentifier"])
    _require_available(db)
    groups = request.get("VpcSecurityGroupIds") or []
    _require_groups(context, groups)
    new_name = rds_rename.wanted(db, request)
    old = overlays.group_ids(db)
    rest = {key: value for key, value in request.items() if key != "NewDBInstanceIdentifier"}
    response = call_moto_with_request(context, rest)  # moto would rename at once, over an existing instance as well
    overlay = overlays.of(db)
    if groups and set(groups) != set(old):
        overlay.group_change = GroupChange(time.time(), old)
    if set(rest) - {"DBInstanceIdentifier", "ApplyImmediately", "VpcSecurityGroupIds"}:
        overlay.busy = Busy("modifying", time.time(), "db_modify_ms")
    if new_name:
        rds_rename.begin(db, new_name, bool(request.get("ApplyImmediately")))
    return response


def stop(context: RequestContext, request: dict) -> dict:
    db = find(context, request["DBInstanceIdentifier"])
    if db.is_replica:
        raise _state_error("Cannot stop or start a Read-Replica instance")
    if db.replicas:
        raise _state_error("Cannot stop or start an instance that has Read-Replicas")
    _require_available(db, f"Instance {db.db_instance_identifier} is not in available state.")
    response = call_moto(context)
    overlays.of(db).busy = Busy("stopping", time.time(), "db_stop_ms")
    return response


def start(context: RequestContext, request: dict) -> dict:
    db = find(context, request["DBInstanceIdentifier"])
    response = call_moto(context)
    overlays.of(db).busy = Busy("starting", time.time(), "db_start_ms")
    return response


def reboot(context: RequestContext, request: dict) -> dict:
    db = find(context, request["DBInstanceIdentifier"])
    _require_available(db)
    response = call_moto(context)
    overlays.of(db).busy = Busy("rebooting", time.time(), "db_reboot_ms", {"event": "rebooted"})
    return response


def delete(context: RequestContext, request: dict) -> dict:
    db = find(context, request["DBInstanceIdentifier"])
    if db.is_replica and overlays.find_source(db) is None:
        db.is_replica = False  # moto would fail looking for a source that is gone
    return call_moto(context)


def forward(context: RequestContext, request: dict) -> dict:
    return call_moto(context)


CUSTOM = {
    "CreateDBInstance": create,
    "CreateDBInstanceReadReplica": create_replica,
    "DeleteDBInstance": delete,
    "DescribeEvents": rds_events.describe,
    "ModifyDBInstance": modify,
    "PromoteReadReplica": promote,
    "RebootDBInstance": reboot,
    "RestoreDBInstanceFromDBSnapshot": restore,
    "RestoreDBInstanceToPointInTime": restore,
    "StartDBInstance": start,
    "StopDBInstance": stop,
}


def _paginate(self: RDSResponse, resources: list) -> tuple[list, str | None]:
    """moto has 50 to a page where AWS has 100, and an internal error for a marker it does not find."""
    return paging.page({resource.resource_id: resource for resource in resources}, self.params)


RDSResponse._paginate = _paginate


def _guarded(operation):
    """One instant for the whole call: what ends while it runs must not show in half of the answer."""

    def handler(context: RequestContext, request: dict) -> dict:
        with LOCK:
            now = time.time()
            overlays.settle_account(context.account_id, now)
            response = operation(context, request)
            _decorate_response(context, response, now)
            return response

    return handler


def _decorate_response(context: RequestContext, response: dict, now: float) -> None:
    databases = rds_backends[context.account_id][context.region].databases
    for shown in [*response.get("DBInstances", []), *filter(None, [response.get("DBInstance")])]:
        db = databases.get(shown["DBInstanceIdentifier"])
        if db is not None:  # it is gone after DeleteDBInstance
            overlays.decorate(db, shown, now)


def table() -> dict:
    return {name: _guarded(CUSTOM.get(name, forward)) for name in load_service("rds").operation_names}
