"""The RDS operations that differ from moto's. All others are moto's, with corrected responses."""

import time

from localstack.aws.api import RequestContext
from localstack.aws.spec import load_service
from localstack.services.moto import call_moto, call_moto_with_request
from moto.rds.models import rds_backends
from moto.rds.responses import RDSResponse

from drctl_localstack import (
    paging,
    rds_aurora,
    rds_create,
    rds_events,
    rds_global,
    rds_rename,
    rds_restore,
    rds_snapshots,
)
from drctl_localstack import rds_overlay as overlays
from drctl_localstack.rds_overlay import Busy, GroupChange, Promotion
from drctl_localstack.rds_rules import NOT_AVAILABLE, find, require_available, require_groups, state_error
from drctl_localstack.settings import LOCK


def promote(context: RequestContext, request: dict) -> dict:
    db = find(context, request["DBInstanceIdentifier"])
    if not db.is_replica:
        raise state_error("DB Instance is not a read replica.")
    overlay = overlays.of(db)
    if overlay.promotion:
        raise state_error(NOT_AVAILABLE)
    require_available(db)
    overlay.promotion = Promotion(
        time.time(), request.get("BackupRetentionPeriod"), request.get("PreferredBackupWindow")
    )
    # moto promotes at once if it sees a replica, and otherwise only describes it, which is all we need here.
    db.is_replica = False
    try:
        return call_moto(context)
    finally:
        db.is_replica = True


def modify(context: RequestContext, request: dict) -> dict:
    db = find(context, request["DBInstanceIdentifier"])
    require_available(db)
    groups = request.get("VpcSecurityGroupIds") or []
    require_groups(context, groups)
    new_name = rds_rename.wanted(db, request)
    old = overlays.group_ids(db)
    rest = {key: value for key, value in request.items() if key != "NewDBInstanceIdentifier"}
    response = call_moto_with_request(context, rest)  # moto would rename at once, even over an existing one
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
        raise state_error("Cannot stop or start a Read-Replica instance")
    if db.replicas:
        raise state_error("Cannot stop or start an instance that has Read-Replicas")
    require_available(db, f"Instance {db.db_instance_identifier} is not in available state.")
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
    require_available(db)
    response = call_moto(context)
    overlays.of(db).busy = Busy("rebooting", time.time(), "db_reboot_ms", {"event": "rebooted"})
    return response


def delete(context: RequestContext, request: dict) -> dict:
    db = find(context, request["DBInstanceIdentifier"])
    overlay = overlays.of(db)
    if overlay.busy and overlay.busy.status == "deleting":
        raise state_error(f"Instance {db.db_instance_identifier} is already being deleted.")
    if db.is_replica and overlays.find_source(db) is None:
        db.is_replica = False  # otherwise moto fails, because it looks for a source that is gone
    response = call_moto(context)
    if not db.db_cluster_identifier:
        overlay.forced_status = overlay.promotion = overlay.group_change = None
        overlay.busy = Busy("deleting", time.time(), "db_delete_ms", {"event": "deleted"})
        db.backend.databases[db.db_instance_identifier] = db  # moto has already removed it
    return response


# The defaults of an account and region: Amazon RDS User Guide, «Quotas and constraints».
MAX_INSTANCES, MAX_STORAGE_GIB = 40, 100_000


def quotas(context: RequestContext, request: dict) -> dict:
    databases = list(rds_backends[context.account_id][context.region].databases.values())
    storage = sum(int(db.allocated_storage or 0) for db in databases)
    held = (("DBInstances", len(databases), MAX_INSTANCES), ("AllocatedStorage", storage, MAX_STORAGE_GIB))
    return {"AccountQuotas": [{"AccountQuotaName": name, "Used": used, "Max": most} for name, used, most in held]}


def forward(context: RequestContext, request: dict) -> dict:
    return call_moto(context)


CUSTOM = {
    **rds_aurora.OPERATIONS,
    "CreateDBInstance": rds_create.create,
    "CreateDBInstanceReadReplica": rds_create.create_replica,
    "CreateDBSnapshot": rds_snapshots.create,
    "DeleteDBInstance": delete,
    "DeleteDBSnapshot": rds_snapshots.delete,
    "DescribeAccountAttributes": quotas,
    "DescribeDBInstanceAutomatedBackups": rds_snapshots.automated,
    "DescribeDBSnapshots": rds_snapshots.describe,
    "DescribeEvents": rds_events.describe,
    "ModifyDBInstance": modify,
    "PromoteReadReplica": promote,
    "RebootDBInstance": reboot,
    "RestoreDBInstanceFromDBSnapshot": rds_restore.from_snapshot,
    "RestoreDBInstanceToPointInTime": rds_restore.to_time,
    "StartDBInstance": start,
    "StopDBInstance": stop,
}


def _paginate(self: RDSResponse, resources: list) -> tuple[list, str | None]:
    """Replaces moto's paging: 50 a page where AWS has 100, and an internal error for an unknown marker."""
    return paging.page({resource.resource_id: resource for resource in resources}, self.params)


RDSResponse._paginate = _paginate


def _guarded(operation):
    """Uses one point in time for the whole call, so that a change that ends meanwhile does not show in half of the
    response.
    """

    def handler(context: RequestContext, request: dict) -> dict:
        with LOCK:
            now = time.time()
            overlays.settle_account(context.account_id, now)
            rds_global.settle(context.account_id, now)
            response = operation(context, request)
            _decorate_response(context, response, now)
            return response

    return handler


def _decorate_response(context: RequestContext, response: dict, now: float) -> None:
    databases = rds_backends[context.account_id][context.region].databases
    for shown in [*response.get("DBInstances", []), *filter(None, [response.get("DBInstance")])]:
        db = databases.get(shown["DBInstanceIdentifier"])
        if db is not None:
            overlays.decorate(db, shown, now)
    for shown in [*response.get("DBClusters", []), *filter(None, [response.get("DBCluster")])]:
        rds_aurora.decorate(context, shown)


def table() -> dict:
    return {name: _guarded(CUSTOM.get(name, forward)) for name in load_service("rds").operation_names}
