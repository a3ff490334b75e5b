"""Routing controls of Application Recovery Controller: clusters, control panels, controls, and evaluation of safety
rules.

Names and shapes are those of the API (route53-recovery-control-config). A resource's `shape` is a dict as the API
returns it; the other fields are for this implementation only.
"""

import time
import uuid
from dataclasses import dataclass, field

from drctl_localstack import settings
from drctl_localstack.settings import LOCK

# "ARC creates endpoints for each cluster in the following five Regions."
REGIONS = ("us-east-1", "eu-west-1", "us-west-2", "ap-northeast-1", "ap-southeast-2")
ON, OFF = "On", "Off"


@dataclass
class Resource:
    """`kind` is Cluster, ControlPanel, RoutingControl or a kind of safety rule: AssertionRule or GatingRule."""

    kind: str
    arn: str
    account: str
    shape: dict
    cluster: str  # the ARN of the cluster that it belongs to, or its own ARN
    panel: str | None = None
    made: float = 0.0
    tags: dict = field(default_factory=dict)
    # Of a control.
    state: str = OFF
    before: str = OFF
    changed: float = 0.0
    # Of a rule: when a change that it governs was taken last.
    let_through: float | None = None

    @property
    def name(self) -> str:
        return self.shape["Name"]

    @property
    def is_rule(self) -> bool:
        return self.kind in ("AssertionRule", "GatingRule")

    def status(self) -> str:
        return "PENDING" if time.time() < self.made + settings.seconds("arc_deploy_ms") else "DEPLOYED"

    def governs(self) -> list[str]:
        return self.shape["AssertedControls" if self.kind == "AssertionRule" else "TargetControls"]


_resources: dict[str, Resource] = {}


def add(resource: Resource) -> Resource:
    resource.made = time.time()
    _resources[resource.arn] = resource
    return resource


def remove(arn: str) -> None:
    del _resources[arn]


def find(arn: str, *kinds: str) -> Resource | None:
    found = _resources.get(arn)
    return found if found and (not kinds or found.kind in kinds) else None


def every(*kinds: str, **facts: str) -> list[Resource]:
    """The resources of these kinds whose fields have these values, in the order of creation."""
    return [r for r in _resources.values() if r.kind in kinds and all(getattr(r, k) == v for k, v in facts.items())]


def new_arn(account: str, kind: str, panel: str | None = None) -> str:
    """A new ARN with IDs as long as AWS's, because drctl checks the form of ARNs in plans."""
    if kind == "Cluster":
        return f"arn:aws:route53-recovery-control::{account}:cluster/{uuid.uuid4()}"
    if kind == "ControlPanel":
        return f"arn:aws:route53-recovery-control::{account}:controlpanel/{uuid.uuid4().hex}"
    word = "routingcontrol" if kind == "RoutingControl" else "safetyrule"
    return f"{panel}/{word}/{uuid.uuid4().hex[:16]}"


def is_on(arn: str, now: float) -> bool:
    """Whether health checks see the control as On, which follows the cluster with a delay. A deleted control is Off."""
    control = find(arn, "RoutingControl")
    if control is None:
        return False
    applied = now >= control.changed + settings.seconds("arc_apply_ms")
    return (control.state if applied else control.before) == ON


def holds(config: dict, states: list[str]) -> bool:
    """Whether the states satisfy the rule. "AND" requires all states to be On, and "OR" requires at least one."""
    least = {"ATLEAST": config["Threshold"], "AND": len(states), "OR": 1}[config["Type"]]
    return (states.count(ON) >= least) != config["Inverted"]


def blocking(entries: dict[str, str], overridden: list[str], now: float) -> tuple[Resource, str] | None:
    """The first safety rule that blocks this transaction, and why. Like AWS, names one rule at a time.

    An assertion rule is evaluated on the states after the transaction. A gating rule is evaluated on its gating
    controls before the transaction, so a batch cannot open its own gate. Both block every change to
    their controls during the wait period after the last one.
    """
    panels = {_resources[arn].panel for arn in entries}
    for rule in every("AssertionRule", "GatingRule"):
        governed = set(rule.governs()) & set(entries)
        if rule.panel not in panels or rule.arn in overridden or not governed or rule.status() != "DEPLOYED":
            continue
        if rule.let_through is not None and now < rule.let_through + rule.shape["WaitPeriodMs"] / 1000:
            return rule, "its wait period is not over"
        asserted = rule.kind == "AssertionRule"
        looked_at = rule.shape["AssertedControls" if asserted else "GatingControls"]
        after = entries if asserted else {}
        if not holds(rule.shape["RuleConfig"], [after.get(arn, _state(arn)) for arn in looked_at]):
            return rule, "its criteria are not met"
    return None


def _state(arn: str) -> str:
    control = find(arn, "RoutingControl")
    return control.state if control else OFF


def change(entries: dict[str, str], now: float) -> None:
    for arn, state in entries.items():
        control = _resources[arn]
        if control.state != state:
            control.before, control.state, control.changed = control.state, state, now
    for rule in every("AssertionRule", "GatingRule"):
        if set(rule.governs()) & set(entries):
            rule.let_through = now


def shown() -> dict:
    from drctl_localstack import arc_endpoints

    with LOCK:
        return {
            "clusters": [
                {
                    "account": cluster.account,
                    "cluster": cluster.arn,
                    "name": cluster.name,
                    "status": cluster.status(),
                    "endpoints": [e.show() for e in arc_endpoints.of_cluster(cluster.arn)],
                    "controls": [
                        {"arn": c.arn, "name": c.name, "panel": find(c.panel).name, "state": c.state}
                        for c in every("RoutingControl", cluster=cluster.arn)
                    ],
                }
                for cluster in every("Cluster")
            ]
        }


def reset() -> None:
    from drctl_localstack import arc_endpoints

    _resources.clear()
    arc_endpoints.close_all()
