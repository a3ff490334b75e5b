"""Creation of instances: plain, as replicas, and restored. An instance has no endpoint until it is available."""

import copy
import time
from datetime import UTC, datetime

from localstack.aws.api import CommonServiceException, RequestContext
from localstack.services.moto import call_moto
from moto.ec2 import ec2_backends
from moto.rds.exceptions import DBParameterGroupNotFoundError
from moto.rds.models import DBInstance, DBSnapshot, RDSBackend, rds_backends

from drctl_localstack import rds_expected
from drctl_localstack import rds_overlay as overlays
from drctl_localstack.rds_overlay import Busy, Overlay
from drctl_localstack.rds_rules import (
    combination,
    find,
    invalid,
    require_available,
    require_free,
    require_groups,
    require_valid,
    state_error,
)


def begin(db: DBInstance, told: dict) -> None:
    overlays.adopt(db, Overlay(busy=Busy("creating", time.time(), "db_create_ms", told)))
    if not db.db_cluster_identifier:
        rds_expected.apply(db)


def create(context: RequestContext, request: dict) -> dict:
    require_free(context.account_id, context.region, request["DBInstanceIdentifier"])
    require_groups(context, request.get("VpcSecurityGroupIds") or [])
    response = call_moto(context)
    begin(find(context, request["DBInstanceIdentifier"]), {"event": "created", "source": None})
    return response


def create_replica(context: RequestContext, request: dict) -> dict:
    name = request["DBInstanceIdentifier"]
    require_valid(name)
    require_free(context.account_id, context.region, name)
    source = _named_source(context, request.get("SourceDBInstanceIdentifier"))
    if request.get("MultiAZ") and request.get("AvailabilityZone"):
        raise combination("Requesting a specific availability zone is not valid for Multi-AZ instances.")
    require_available(source)
    if not source.backup_retention_period:
        raise state_error(
            "Automated backups are not enabled for this database instance. To enable automated backups, "
            "use ModifyDBInstance to set the backup retention period to a non-zero value."
        )
    _require_key(source, context.region, request.get("KmsKeyId"))
    require_groups(context, request.get("VpcSecurityGroupIds") or [])
    response = call_moto(context)
    begin(find(context, name), {"event": "created", "source": named(source.region, source)})
    return response


def named(region: str, source: DBInstance | DBSnapshot) -> dict:
    """How a bridge is told of the source instance; its resource ID does not change when it is renamed."""
    return {"region": region, "instance": source.db_instance_identifier, "resource": source.dbi_resource_id}


def _named_source(context: RequestContext, name: str | None) -> DBInstance:
    if not name:
        raise combination("A source DB instance identifier must be specified.")  # DB clusters are not supported here
    if not name.startswith("arn:"):
        return find(context, name)
    parts = name.split(":")
    if len(parts) != 7 or parts[2] != "rds" or parts[5] != "db":
        raise invalid(f"Invalid source DB instance identifier: {name}")
    region, account, identifier = parts[3], parts[4], parts[6]
    if account != context.account_id:
        raise CommonServiceException("DBInstanceNotFound", f"DBInstance {name} not found.", 404, True)
    return find(context, identifier, region)


def _require_key(source: DBInstance, region: str, key: str | None) -> None:
    """A KMS key belongs to one region: a replica in another region needs its own, and one in the same region takes
    none.
    """
    if key and source.region == region:
        raise combination(
            "Your request does not require the KMS key parameter. Please remove the KMS key parameter and try your "
            "request again."
        )
    if key and not source.storage_encrypted:
        raise combination("Cannot create an encrypted read replica from an unencrypted source.")
    if source.region == region or not source.storage_encrypted:
        return
    if not key:
        raise combination("Cannot create a cross region unencrypted read replica from encrypted source.")
    if key.startswith("arn:") and key.split(":")[3] != region:
        message = (
            f"Specified KMS key [{key}] does not exist, is not enabled or you do not have permissions to access it."
        )
        raise CommonServiceException("KMSKeyNotAccessibleFault", message, 400, True)


def copy_of(source: DBInstance, backend: RDSBackend) -> DBInstance:
    """A new instance with the properties of another, but independent of it. Like AWS, starts as Single-AZ."""
    db = copy.copy(source)
    db.backend = backend
    db.is_replica, db.replicas, db.source_db_instance_identifier = False, [], None
    db.created = db.instance_create_time = datetime.now(UTC)
    db.multi_az = db.deletion_protection = db.copy_tags_to_snapshot = False
    db.manage_master_user_password = False
    db.__dict__.pop("master_user_secret", None)
    db.availability_zone = f"{backend.region_name}a"
    db.tags, db.enabled_cloudwatch_logs_exports, db._associated_roles = [], [], []
    db.vpc_security_group_ids = list(source.vpc_security_group_ids)
    return db


def forget_network(db: DBInstance) -> None:
    db.db_parameter_group_name = db._db_subnet_group_name = None
    db.__dict__.pop("db_subnet_group", None)
    db.vpc_security_group_ids = []


def add(db: DBInstance, wanted: dict) -> None:
    """Adds the instance with the settings from the call. Uses the groups of its own region; moto uses the source's."""
    group = wanted.get("db_parameter_group_name")
    if group and not db.is_default_parameter_group(group) and group not in db.backend.db_parameter_groups:
        raise DBParameterGroupNotFoundError(group)
    if wanted.get("db_subnet_group_name"):
        db.vpc_security_group_ids = []
    db.update(**wanted)
    db.vpc_security_group_ids = db.vpc_security_group_ids or [_default_group(db)]
    db.backend.databases[db.db_instance_identifier] = db


def _default_group(db: DBInstance) -> str:
    """The default security group of the subnet group's network, or of the region's default network."""
    ec2 = ec2_backends[db.account_id][db.region]
    subnet_group = db.__dict__.get("db_subnet_group")
    return ec2.get_default_security_group(subnet_group.vpc_id if subnet_group else ec2.default_vpc.id).id


def _new_replica(self: RDSBackend, wanted: dict) -> DBInstance:
    """Has no backups, and across regions none of the source's network settings."""
    source = self.find_db_from_id(wanted["source_db_instance_identifier"])
    crosses = source.region != self.region_name
    db = copy_of(source, self)
    db.is_replica, db.backup_retention_period = True, 0
    if crosses:
        forget_network(db)
    add(db, wanted)
    db.source_db_instance_identifier = source.db_instance_arn if crosses else source.db_instance_identifier
    source.add_replica(db)
    return db


RDSBackend.create_db_instance_read_replica = _new_replica
