"""The control plane of routing controls (route53-recovery-control-config), which AWS provides in us-west-2 only."""

import json

from localstack.aws.api import CommonServiceException, RequestContext

from drctl_localstack import arc, arc_endpoints, health
from drctl_localstack.arc import Resource
from drctl_localstack.settings import LOCK

HOME = "us-west-2"
QUOTAS = {"Cluster": 2, "ControlPanel": 50, "RoutingControl": 300}
MOST_CONTROLS_OF_PANEL, MOST_RULES_OF_PANEL = 100, 20
RULES = ("AssertionRule", "GatingRule")
PAGE = 1000
# (account, operation, client token) -> the request, and the ARN that it created.
_tokens: dict[tuple[str, str, str], tuple[str, str]] = {}


def _failure(code: str, message: str, status: int) -> CommonServiceException:
    return CommonServiceException(code, message, status, sender_fault=True)


def _invalid(message: str) -> CommonServiceException:
    return _failure("ValidationException", message, 400)


def _conflict(message: str) -> CommonServiceException:
    return _failure("ConflictException", message, 409)


def _find(context: RequestContext, arn: str | None, *kinds: str) -> Resource:
    found = arc.find(arn or "", *kinds)
    if found is None:
        raise _failure("ResourceNotFoundException", f"{arn} does not exist.", 404)
    if found.account != context.account_id:
        raise _failure("AccessDeniedException", f"User is not authorized to access {arn}", 403)
    return found


def _deployed(context: RequestContext, arn: str | None, kind: str) -> Resource:
    found = _find(context, arn, kind)
    if found.status() != "DEPLOYED":
        raise _conflict(f"{arn} is {found.status()}.")
    return found


def _operation(handler):
    def enter(context: RequestContext, request: dict) -> dict:
        arc_endpoints.check_signature(context, HOME)
        with LOCK:
            return handler(context, request)

    return enter


def _once(handler):
    """Makes creation idempotent: the same token and request return the existing resource; another request is a
    conflict.
    """

    def enter(context: RequestContext, request: dict) -> dict:
        token = request.get("ClientToken")
        key = (context.account_id, context.operation.name, token)
        asked = json.dumps({k: v for k, v in request.items() if k != "ClientToken"}, sort_keys=True)
        before, arn = _tokens.get(key, (None, None))
        if before is not None and arc.find(arn):
            if before != asked:
                raise _conflict(f"The client token {token} was used for another request.")
            return _answer(arc.find(arn))
        made = handler(context, request)
        if token:
            _tokens[key] = (asked, made.arn)
        return _answer(made)

    return _operation(enter)


def _answer(resource: Resource) -> dict:
    return {resource.kind: as_api(resource)}


def as_api(resource: Resource) -> dict:
    shape = {**resource.shape, "Status": resource.status(), "Owner": resource.account}
    if resource.kind == "Cluster":
        endpoints = [{"Endpoint": e.url, "Region": e.region} for e in arc_endpoints.of_cluster(resource.arn)]
        return shape | {"ClusterArn": resource.arn, "ClusterEndpoints": endpoints}
    if resource.kind == "ControlPanel":
        count = len(arc.every("RoutingControl", panel=resource.arn))
        return shape | {"ControlPanelArn": resource.arn, "ClusterArn": resource.cluster, "RoutingControlCount": count}
    key = "SafetyRuleArn" if resource.is_rule else "RoutingControlArn"
    return shape | {key: resource.arn, "ControlPanelArn": resource.panel}


def _free(name: str, among: list[Resource], most: int) -> None:
    if not name or any(c.isspace() for c in name) or len(name) > 64:
        raise _invalid("A name has 1 to 64 characters, none of them white space.")
    if any(r.name == name for r in among):
        raise _conflict(f"The name {name} is in use.")
    if len(among) >= most:
        raise _failure("ServiceQuotaExceededException", f"The quota of {most} is reached.", 402)


def _make(
    context: RequestContext, kind: str, shape: dict, cluster: str = "", panel: str | None = None, tags: dict | None = None
) -> Resource:
    arn = arc.new_arn(context.account_id, kind, panel)
    return arc.add(Resource(kind, arn, context.account_id, shape, cluster or arn, panel, tags=dict(tags or {})))


def create_cluster(context: RequestContext, request: dict) -> Resource:
    name = request["ClusterName"]
    _free(name, arc.every("Cluster", account=context.account_id), QUOTAS["Cluster"])
    shape = {"Name": name, "NetworkType": request.get("NetworkType") or "IPV4"}
    cluster = _make(context, "Cluster", shape, tags=request.get("Tags"))
    arc_endpoints.open_for(cluster.arn)
    _make(context, "ControlPanel", {"Name": "DefaultControlPanel", "DefaultControlPanel": True}, cluster.arn)
    return cluster


def create_panel(context: RequestContext, request: dict) -> Resource:
    cluster, name = _deployed(context, request["ClusterArn"], "Cluster"), request["ControlPanelName"]
    _free(name, arc.every("ControlPanel", cluster=cluster.arn), QUOTAS["ControlPanel"])
    shape = {"Name": name, "DefaultControlPanel": False}
    return _make(context, "ControlPanel", shape, cluster.arn, tags=request.get("Tags"))


def create_control(context: RequestContext, request: dict) -> Resource:
    """Creates a routing control, which is Off at first."""
    cluster = _deployed(context, request["ClusterArn"], "Cluster")
    panels = arc.every("ControlPanel", cluster=cluster.arn)
    arn = request.get("ControlPanelArn") or next(p.arn for p in panels if p.shape["DefaultControlPanel"])
    panel = _deployed(context, arn, "ControlPanel")
    if panel.cluster != cluster.arn:
        raise _invalid(f"{panel.arn} is not of the cluster {cluster.arn}.")
    _free(request["RoutingControlName"], arc.every("RoutingControl", panel=panel.arn), MOST_CONTROLS_OF_PANEL)
    if len(arc.every("RoutingControl", cluster=cluster.arn)) >= QUOTAS["RoutingControl"]:
        raise _failure("ServiceQuotaExceededException", "The quota of the cluster is reached.", 402)
    return _make(context, "RoutingControl", {"Name": request["RoutingControlName"]}, cluster.arn, panel.arn)


def create_rule(context: RequestContext, request: dict) -> Resource:
    asked = [(kind, request[kind]) for kind in RULES if request.get(kind)]
    if len(asked) != 1:
        raise _invalid("Expected exactly one of AssertionRule and GatingRule.")
    kind, rule = asked[0]
    panel = _deployed(context, rule["ControlPanelArn"], "ControlPanel")
    _free(rule["Name"], arc.every(*RULES, panel=panel.arn), MOST_RULES_OF_PANEL)
    lists = ("AssertedControls",) if kind == "AssertionRule" else ("GatingControls", "TargetControls")
    for name in lists:
        if not rule[name]:
            raise _invalid(f"{name} must not be empty.")
        for arn in rule[name]:
            if _find(context, arn, "RoutingControl").panel != panel.arn:
                raise _invalid(f"{arn} is not of the control panel {panel.arn}.")
    config, most = rule["RuleConfig"], len(rule[lists[0]])
    if config["Type"] == "ATLEAST" and not 0 < config["Threshold"] <= most:
        raise _invalid(f"Threshold must be between 1 and {most}.")
    if rule["WaitPeriodMs"] < 0:
        raise _invalid("WaitPeriodMs must not be negative.")
    shape = {name: rule[name] for name in ("Name", "RuleConfig", "WaitPeriodMs", *lists)}
    return _make(context, kind, shape, panel.cluster, panel.arn, request.get("Tags"))


def _describe(key: str, *kinds: str):
    return _operation(lambda context, request: _answer(_find(context, request[key], *kinds)))


def _rename(key: str, name_key: str, kind: str):
    def handler(context: RequestContext, request: dict) -> dict:
        found = _find(context, request[key], kind)
        siblings = [r for r in arc.every(kind, cluster=found.cluster, panel=found.panel) if r is not found]
        _free(request[name_key], siblings, QUOTAS[kind])
        found.shape["Name"] = request[name_key]
        return _answer(found)

    return _operation(handler)


def update_cluster(context: RequestContext, request: dict) -> dict:
    found = _find(context, request["ClusterArn"], "Cluster")
    found.shape["NetworkType"] = request["NetworkType"]
    return _answer(found)


def update_rule(context: RequestContext, request: dict) -> dict:
    asked = [(kind, request[f"{kind}Update"]) for kind in RULES if request.get(f"{kind}Update")]
    if len(asked) != 1:
        raise _invalid("Expected exactly one of AssertionRuleUpdate and GatingRuleUpdate.")
    kind, new = asked[0]
    rule = _find(context, new["SafetyRuleArn"], kind)
    rule.shape |= {"Name": new["Name"], "WaitPeriodMs": new["WaitPeriodMs"]}
    return _answer(rule)


def _delete(key: str, *kinds: str):
    """Makes a handler for deletion, which is refused while other resources use the one to be deleted."""

    def handler(context: RequestContext, request: dict) -> dict:
        found = _find(context, request[key], *kinds)
        holders = _holders(found)
        if holders:
            raise _conflict(f"{found.arn} is used by {', '.join(h.arn for h in holders)}.")
        if found.shape.get("DefaultControlPanel"):
            raise _conflict("The default control panel goes with its cluster.")
        for panel in arc.every("ControlPanel", cluster=found.arn):
            arc.remove(panel.arn)
        arc.remove(found.arn)
        arc_endpoints.close_for(found.arn)
        return {}

    return _operation(handler)


def _holders(found: Resource) -> list[Resource]:
    if found.kind == "Cluster":
        panels = [p for p in arc.every("ControlPanel", cluster=found.arn) if not p.shape["DefaultControlPanel"]]
        return panels + arc.every("RoutingControl", cluster=found.arn)
    if found.kind == "ControlPanel":
        return arc.every("RoutingControl", *RULES, panel=found.arn)
    if found.kind == "RoutingControl":
        rules = arc.every(*RULES, panel=found.panel)
        return [r for r in rules if found.arn in r.governs() + r.shape.get("GatingControls", [])]
    return []


def _page(request: dict, found: list, key: str) -> dict:
    token = request.get("NextToken") or "0"
    if not token.isdigit():
        raise _invalid("NextToken is not one that was given.")
    start, end = int(token), int(token) + int(request.get("MaxResults") or PAGE)
    return {key: found[start:end]} | ({"NextToken": str(end)} if end < len(found) else {})


def list_clusters(context: RequestContext, request: dict) -> dict:
    return _page(request, [as_api(c) for c in arc.every("Cluster", account=context.account_id)], "Clusters")


def list_panels(context: RequestContext, request: dict) -> dict:
    found = arc.every("ControlPanel", account=context.account_id)
    if request.get("ClusterArn"):
        cluster = _find(context, request["ClusterArn"], "Cluster")
        found = [p for p in found if p.cluster == cluster.arn]
    return _page(request, [as_api(p) for p in found], "ControlPanels")


def list_controls(context: RequestContext, request: dict) -> dict:
    panel = _find(context, request["ControlPanelArn"], "ControlPanel")
    return _page(request, [as_api(c) for c in arc.every("RoutingControl", panel=panel.arn)], "RoutingControls")


def list_rules(context: RequestContext, request: dict) -> dict:
    panel = _find(context, request["ControlPanelArn"], "ControlPanel")
    shown = [
        {"ASSERTION" if r.kind == "AssertionRule" else "GATING": as_api(r)} for r in arc.every(*RULES, panel=panel.arn)
    ]
    return _page(request, shown, "SafetyRules")


def list_health_checks(context: RequestContext, request: dict) -> dict:
    control = _find(context, request["RoutingControlArn"], "RoutingControl")
    mine = health.of_account(context.account_id)
    found = [c.id for c in mine if c.config.get("RoutingControlArn") == control.arn]
    return _page(request, found, "HealthCheckIds")


def list_tags(context: RequestContext, request: dict) -> dict:
    return {"Tags": _find(context, request["ResourceArn"]).tags}


def tag(context: RequestContext, request: dict) -> dict:
    _find(context, request["ResourceArn"]).tags.update(request["Tags"])
    return {}


def untag(context: RequestContext, request: dict) -> dict:
    tags = _find(context, request["ResourceArn"]).tags
    for key in request["TagKeys"]:
        tags.pop(key, None)
    return {}


def no_policy(context: RequestContext, request: dict) -> dict:
    raise _failure("ResourceNotFoundException", "The resource has no policy.", 404)


def table() -> dict:
    return {
        "CreateCluster": _once(create_cluster),
        "CreateControlPanel": _once(create_panel),
        "CreateRoutingControl": _once(create_control),
        "CreateSafetyRule": _once(create_rule),
        "DescribeCluster": _describe("ClusterArn", "Cluster"),
        "DescribeControlPanel": _describe("ControlPanelArn", "ControlPanel"),
        "DescribeRoutingControl": _describe("RoutingControlArn", "RoutingControl"),
        "DescribeSafetyRule": _describe("SafetyRuleArn", *RULES),
        "UpdateCluster": _operation(update_cluster),
        "UpdateControlPanel": _rename("ControlPanelArn", "ControlPanelName", "ControlPanel"),
        "UpdateRoutingControl": _rename("RoutingControlArn", "RoutingControlName", "RoutingControl"),
        "UpdateSafetyRule": _operation(update_rule),
        "DeleteCluster": _delete("ClusterArn", "Cluster"),
        "DeleteControlPanel": _delete("ControlPanelArn", "ControlPanel"),
        "DeleteRoutingControl": _delete("RoutingControlArn", "RoutingControl"),
        "DeleteSafetyRule": _delete("SafetyRuleArn", *RULES),
        "ListClusters": _operation(list_clusters),
        "ListControlPanels": _operation(list_panels),
        "ListRoutingControls": _operation(list_controls),
        "ListSafetyRules": _operation(list_rules),
        "ListAssociatedRoute53HealthChecks": _operation(list_health_checks),
        "ListTagsForResource": _operation(list_tags),
        "TagResource": _operation(tag),
        "UntagResource": _operation(untag),
        "GetResourcePolicy": _operation(no_policy),
    }
