"""The operations on health checks: Create, Get, List, Update, Delete, and the reports of their checkers."""

import time
import uuid
from datetime import UTC, datetime

from localstack.aws.api import CommonServiceException, RequestContext

from drctl_localstack import health, health_rules
from drctl_localstack.health_rules import Check
from drctl_localstack.settings import LOCK

MOST_ITEMS = 1000
UPDATED = (
    "IPAddress",
    "Port",
    "ResourcePath",
    "FullyQualifiedDomainName",
    "SearchString",
    "FailureThreshold",
    "Inverted",
    "Disabled",
    "HealthThreshold",
    "ChildHealthChecks",
    "EnableSNI",
    "Regions",
)
# (account, CallerReference) of checks that were deleted: "Route 53 returns a HealthCheckAlreadyExists error".
_used: set[tuple[str, str]] = set()


def missing(check_id: str) -> CommonServiceException:
    message = f"A health check with id {check_id} does not exist."
    return CommonServiceException("NoSuchHealthCheck", message, 404, True)


def _find(context: RequestContext, request: dict) -> Check:
    check = health.find(request["HealthCheckId"])
    if check is None or check.account != context.account_id:
        raise missing(request["HealthCheckId"])
    return check


def as_api(check: Check) -> dict:
    return {
        "Id": check.id,
        "CallerReference": check.reference,
        "HealthCheckConfig": {k: v for k, v in check.config.items() if v != []},
        "HealthCheckVersion": check.version,
    }


def create(context: RequestContext, request: dict) -> dict:
    reference, asked = request["CallerReference"], request["HealthCheckConfig"]
    with LOCK:
        same = [c for c in health.of_account(context.account_id) if c.reference == reference]
        if (context.account_id, reference) in _used or (same and same[0].asked != asked):
            message = f"A health check with the caller reference {reference} already exists."
            raise CommonServiceException("HealthCheckAlreadyExists", message, 409, True)
        check = same[0] if same else _made(context.account_id, reference, asked)
        location = f"https://route53.amazonaws.com/2013-04-01/healthcheck/{check.id}"
        return {"HealthCheck": as_api(check), "Location": location}


def _made(account: str, reference: str, asked: dict) -> Check:
    config = health_rules.complete(asked)
    for child in config.get("ChildHealthChecks", []):
        if health.find(child) is None:
            raise missing(child)
    check = Check(account, str(uuid.uuid4()), reference, config, asked, time.time())
    if check.watches_endpoint:
        check.checkers = health_rules.checkers(config.get("Regions") or list(health_rules.ADDRESSES))
    health.add(check)
    return check


def get(context: RequestContext, request: dict) -> dict:
    with LOCK:
        return {"HealthCheck": as_api(_find(context, request))}


def update(context: RequestContext, request: dict) -> dict:
    with LOCK:
        check = _find(context, request)
        if request.get("HealthCheckVersion") not in (None, check.version):
            message = f"The health check is at version {check.version}."
            raise CommonServiceException("HealthCheckVersionMismatch", message, 409, True)
        config = _changed(check.config, request)
        if config.get("Regions") != check.config.get("Regions"):
            check.checkers = health_rules.checkers(config.get("Regions") or list(health_rules.ADDRESSES))
        check.config, check.version = config, check.version + 1
        return {"HealthCheck": as_api(check)}


def _changed(before: dict, request: dict) -> dict:
    kind = before["Type"]
    new = {name: request[name] for name in UPDATED if request.get(name) is not None}
    if ("IPAddress" in new) and "IPAddress" not in before:
        message = "Invalid parameter : IPAddress cannot be added to a health check that has none"
        raise CommonServiceException("InvalidInput", message, 400, True)
    config = before | new
    for name in request.get("ResetElements") or []:
        config.pop(name, None)
    if kind in health_rules.ENDPOINT_TYPES:
        health_rules.check_values(kind, config)
        return config
    return health_rules.complete(config)


def delete(context: RequestContext, request: dict) -> dict:
    """Allowed even while record sets use the check; AWS does not define how those behave afterwards."""
    with LOCK:
        check = _find(context, request)
        health.remove(check)
        _used.add((check.account, check.reference))
    return {}


def list_checks(context: RequestContext, request: dict) -> dict:
    most = min(int(request.get("MaxItems") or 100), MOST_ITEMS)
    with LOCK:
        found = [c for c in health.of_account(context.account_id) if c.id >= (request.get("Marker") or "")]
        answer = {
            "HealthChecks": [as_api(check) for check in found[:most]],
            "Marker": request.get("Marker") or "",
            "IsTruncated": len(found) > most,
            "MaxItems": str(most),
        }
    return answer | ({"NextMarker": found[most].id} if len(found) > most else {})


def count(context: RequestContext, request: dict) -> dict:
    with LOCK:
        return {"HealthCheckCount": len(health.of_account(context.account_id))}


def _watching(context: RequestContext, request: dict) -> Check:
    check = _find(context, request)
    if not check.watches_endpoint:
        message = f"Invalid parameter : a health check of type {check.config['Type']} has no status of health checkers"
        raise CommonServiceException("InvalidInput", message, 400, True)
    return check


def _observation(checker: health_rules.Checker, status: str, at: float) -> dict:
    report = {"Status": status, "CheckedTime": datetime.fromtimestamp(at, UTC)}
    return {"Region": checker.region, "IPAddress": checker.address, "StatusReport": report}


def status(context: RequestContext, request: dict) -> dict:
    """What each checker last saw of the endpoint; Inverted, Disabled and the failure threshold do not affect it."""
    with LOCK:
        seen = [c for c in _watching(context, request).checkers if c.at is not None]
        return {"HealthCheckObservations": [_observation(c, c.status, c.at) for c in seen]}


def last_failure(context: RequestContext, request: dict) -> dict:
    with LOCK:
        failed = [c for c in _watching(context, request).checkers if c.failed_at is not None]
        return {"HealthCheckObservations": [_observation(c, c.failure, c.failed_at) for c in failed]}


def reset() -> None:
    _used.clear()


def table() -> dict:
    return {
        "CreateHealthCheck": create,
        "GetHealthCheck": get,
        "UpdateHealthCheck": update,
        "DeleteHealthCheck": delete,
        "ListHealthChecks": list_checks,
        "GetHealthCheckCount": count,
        "GetHealthCheckStatus": status,
        "GetHealthCheckLastFailureReason": last_failure,
    }
