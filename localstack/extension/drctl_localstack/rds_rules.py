"""What RDS refuses in more than one operation."""

import time

from localstack.aws.api import CommonServiceException, RequestContext
from moto.ec2 import ec2_backends
from moto.rds.exceptions import InvalidDBInstanceIdentifier
from moto.rds.models import DBInstance, RDSBackend, rds_backends

from drctl_localstack import rds_overlay as overlays

NOT_AVAILABLE = "Database instance is not in available state."


def state_error(message: str) -> CommonServiceException:
    return CommonServiceException("InvalidDBInstanceState", message, 400, sender_fault=True)


def find(context: RequestContext, identifier: str, region: str | None = None) -> DBInstance:
    db = rds_backends[context.account_id][region or context.region].databases.get(identifier)
    if db is None:
        raise CommonServiceException("DBInstanceNotFound", f"DBInstance {identifier} not found.", 404, True)
    return db


def require_available(db: DBInstance, message: str = NOT_AVAILABLE) -> None:
    if overlays.status(db, time.time()) != "available":
        raise state_error(message)


def require_groups(context: RequestContext, ids: list[str]) -> None:
    """A security group of the other region is the classic mistake of a fence; AWS refuses it, moto accepts any."""
    known = ec2_backends[context.account_id][context.region]
    for group_id in ids:
        if not known.get_security_group_from_id(group_id):
            message = f"Invalid security group, groupId= {group_id}, groupName=."
            raise CommonServiceException("InvalidParameterValue", message, 400, True)


def combination(message: str) -> CommonServiceException:
    return CommonServiceException("InvalidParameterCombination", message, 400, sender_fault=True)


def invalid(message: str) -> CommonServiceException:
    return CommonServiceException("InvalidParameterValue", message, 400, sender_fault=True)


def require_valid(name: str, parameter: str = "DBInstanceIdentifier") -> None:
    try:
        RDSBackend._validate_db_identifier(name)
    except (InvalidDBInstanceIdentifier, IndexError) as error:
        raise invalid(
            f"The parameter {parameter} is not a valid identifier. Identifiers must begin with a letter; must contain "
            "only ASCII letters, digits, and hyphens; and must not end with a hyphen or contain two consecutive hyphens."
        ) from error


def require_free(account: str, region: str, name: str) -> None:
    """A new name is taken as soon as a rename to it begins, and the old name until the rename ends."""
    name = name.lower()
    for known, db in rds_backends[account][region].databases.items():
        busy = overlays.of(db).busy
        if name == known.lower() or (busy and busy.status == "renaming" and name == busy.told["new_instance"]):
            raise CommonServiceException("DBInstanceAlreadyExists", "DB instance already exists", 400, True)
