"""The data plane of routing controls (route53-recovery-cluster), as served by each of a cluster's five endpoints."""

import time
from collections import deque

from localstack.aws.api import RequestContext
from localstack.aws.api.core import ServiceException

from drctl_localstack import arc, arc_endpoints, settings
from drctl_localstack.arc import Resource
from drctl_localstack.settings import LOCK

MOST_ENTRIES, PAGE = 10, 500
# According to the Smithy model; botocore's copy omits the status.
STATUS_OF = {
    "AccessDeniedException": 403,
    "ConflictException": 409,
    "EndpointTemporarilyUnavailableException": 503,
    "ResourceNotFoundException": 404,
    "ServiceLimitExceededException": 402,
    "ThrottlingException": 429,
    "ValidationException": 400,
}
CONTROL = "AWS::Route53RecoveryControl::RoutingControl"
RULE = "AWS::Route53RecoveryControl::SafetyRule"

_recent: dict[tuple[str, str], deque] = {}


def failure(code: str, message: str, **more) -> ServiceException:
    status = STATUS_OF[code]
    return ServiceException(message, code=code, status_code=status, sender_fault=status < 500, **more)


def _invalid(name: str, message: str) -> ServiceException:
    fields = [{"name": name, "message": message}]
    return failure("ValidationException", message, reason="fieldValidationFailed", fields=fields)


def _enter(context: RequestContext) -> str:
    """The ARN of the cluster whose endpoint was called."""
    endpoint = arc_endpoints.asked(context)
    if endpoint is None:
        message = "Routing control states are at the endpoints of a cluster, which DescribeCluster lists."
        raise failure("ValidationException", message, reason="other")
    arc_endpoints.check_signature(context, endpoint.region, "us-west-2")
    if endpoint.mode == "unavailable":
        message = "The cluster endpoint isn't available. Try another cluster endpoint."
        raise failure("EndpointTemporarilyUnavailableException", message)
    return endpoint.cluster


def _control(context: RequestContext, cluster: str, arn: str) -> Resource:
    control = arc.find(arn, "RoutingControl")
    if control is None or control.cluster != cluster or control.status() != "DEPLOYED":
        message = f"Routing control {arn} was not found in this cluster."
        raise failure("ResourceNotFoundException", message, resourceId=arn, resourceType=CONTROL)
    if control.account != context.account_id:
        raise failure("AccessDeniedException", f"User is not authorized to access {arn}")
    return control


def get_state(context: RequestContext, request: dict) -> dict:
    with LOCK:
        control = _control(context, _enter(context), request["RoutingControlArn"])
        return {
            "RoutingControlArn": control.arn,
            "RoutingControlState": control.state,
            "RoutingControlName": control.name,
        }


def list_controls(context: RequestContext, request: dict) -> dict:
    with LOCK:
        cluster, panel = _enter(context), request.get("ControlPanelArn")
        known = arc.find(panel, "ControlPanel") if panel else None
        if panel and (known is None or known.cluster != cluster):
            kind = "AWS::Route53RecoveryControl::ControlPanel"
            message = f"Control panel {panel} was not found in this cluster."
            raise failure("ResourceNotFoundException", message, resourceId=panel, resourceType=kind)
        found = [c for c in arc.every("RoutingControl", cluster=cluster) if panel in (None, c.panel)]
        found = [_listed(c) for c in found if c.account == context.account_id]
    start = _position(request.get("NextToken"))
    end = start + (request.get("MaxResults") or PAGE)
    return {"RoutingControls": found[start:end]} | ({"NextToken": str(end)} if end < len(found) else {})


def _position(token: str | None) -> int:
    if token and not token.isdigit():
        raise _invalid("NextToken", "NextToken is not one that was given.")
    return int(token or 0)


def _listed(control: Resource) -> dict:
    return {
        "ControlPanelArn": control.panel,
        "ControlPanelName": arc.find(control.panel).name,
        "RoutingControlArn": control.arn,
        "RoutingControlName": control.name,
        "RoutingControlState": control.state,
        "Owner": control.account,
    }


def update_state(context: RequestContext, request: dict) -> dict:
    return _update(context, [request], request.get("SafetyRulesToOverride") or [])


def update_states(context: RequestContext, request: dict) -> dict:
    entries = request["UpdateRoutingControlStateEntries"]
    return _update(context, entries, request.get("SafetyRulesToOverride") or [])


def _update(context: RequestContext, entries: list[dict], overridden: list[str]) -> dict:
    """Applies all entries, or none of them."""
    with LOCK:
        cluster, now = _enter(context), time.time()
        _throttle(cluster, context.region, now)
        wanted = _wanted(context, cluster, entries)
        for arn in overridden:
            rule = arc.find(arn, "AssertionRule", "GatingRule")
            if rule is None or rule.cluster != cluster:
                message = f"Safety rule {arn} was not found in this cluster."
                raise failure("ResourceNotFoundException", message, resourceId=arn, resourceType=RULE)
        blocked = arc.blocking(wanted, overridden, now)
        if blocked:
            rule, why = blocked
            message = f"The update is blocked by the safety rule {rule.name} ({rule.arn}): {why}."
            raise failure("ConflictException", message, resourceId=rule.arn, resourceType=RULE)
        arc.change(wanted, now)
    return {}


def _wanted(context: RequestContext, cluster: str, entries: list[dict]) -> dict[str, str]:
    if not entries:
        raise _invalid("UpdateRoutingControlStateEntries", "At least one routing control state entry is needed.")
    if len(entries) > MOST_ENTRIES:
        message = f"At most {MOST_ENTRIES} routing control states can be updated at the same time."
        limit = {"limitCode": "RoutingControlStatesPerUpdate", "serviceCode": arc_endpoints.SERVICE}
        raise failure("ServiceLimitExceededException", message, resourceId=cluster, resourceType=CONTROL, **limit)
    wanted = {}
    for entry in entries:
        arn, state = entry["RoutingControlArn"], entry["RoutingControlState"]
        if state not in (arc.ON, arc.OFF):
            raise _invalid("RoutingControlState", f"{state} is not On or Off.")
        if arn in wanted:
            raise _invalid("RoutingControlArn", f"{arn} is there more than once.")
        wanted[_control(context, cluster, arn).arn] = state
    return wanted


def _throttle(cluster: str, region: str, now: float) -> None:
    most = settings.get("arc_changes_per_s")
    if not most:
        return
    recent = _recent.setdefault((cluster, region), deque())
    while recent and recent[0] <= now - 1:
        recent.popleft()
    if len(recent) >= most:
        raise failure("ThrottlingException", "Rate exceeded", retryAfterSeconds=1)
    recent.append(now)


def table() -> dict:
    return {
        "GetRoutingControlState": get_state,
        "ListRoutingControls": list_controls,
        "UpdateRoutingControlState": update_state,
        "UpdateRoutingControlStates": update_states,
    }
