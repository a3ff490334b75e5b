"""How a group reaches its desired capacity: launches take time, can fail or be suspended, and are recorded as
activities.

moto reaches the desired capacity within the call. Here, a change of capacity only records the desired value, and every
read calls `reconcile`, which advances the group according to the recorded start times.
"""

import json
import uuid
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime

from moto.autoscaling.models import AutoScalingBackend, FakeAutoScalingGroup, InstanceState

from drctl_localstack import settings
from drctl_localstack.settings import LOCK


def stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Activity:
    group_name: str
    group_arn: str
    description: str
    cause: str
    start: float
    status_code: str
    progress: int
    zone: str
    end: float | None = None
    status_message: str | None = None
    activity_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def finish(self, status_code: str, at: float) -> None:
        self.status_code, self.end, self.progress = status_code, at, 100

    def shown(self) -> dict:
        answer = {
            "ActivityId": self.activity_id,
            "AutoScalingGroupName": self.group_name,
            "AutoScalingGroupARN": self.group_arn,
            "Description": self.description,
            "Cause": self.cause,
            "StartTime": datetime.fromtimestamp(self.start, UTC),
            "StatusCode": self.status_code,
            "Progress": self.progress,
            "Details": json.dumps({"Availability Zone": self.zone}),
        }
        if self.end is not None:
            answer["EndTime"] = datetime.fromtimestamp(self.end, UTC)
        if self.status_message:
            answer["StatusMessage"] = self.status_message
        return answer


@dataclass
class Moving:
    """An instance that is being launched or terminated. `place` is its position in the batch: they change one by one.
    """

    state: InstanceState
    activity: Activity
    since: float
    place: int = 1


@dataclass
class Runtime:
    capacity_limit: int | None = None
    shortfall_message: str | None = None
    activities: deque = field(default_factory=lambda: deque(maxlen=500))  # newest first
    launching: list[Moving] = field(default_factory=list)
    leaving: list[Moving] = field(default_factory=list)
    request: str = ""  # how the last request changed the desired capacity, in AWS's words; the Cause begins with it
    refused_at: float | None = None


def of(group: FakeAutoScalingGroup) -> Runtime:
    return group.__dict__.setdefault("drctl", Runtime())


def want(group: FakeAutoScalingGroup, desired: int, request: str) -> None:
    """Record a new desired capacity; `request` is the sentence that describes the request in the Cause."""
    runtime = of(group)
    group.desired_capacity = desired
    runtime.request = request
    runtime.refused_at = None  # a new request is tried at once, even if the last one was refused


def reconcile(group: FakeAutoScalingGroup, now: float) -> None:
    runtime = of(group)
    _finish_launches(runtime, now)
    _finish_leavings(group, runtime, now)
    _retire_unhealthy(group, now)
    counted = _counted(group)
    missing = (group.desired_capacity or 0) - len(counted)
    if missing == 0:
        runtime.request = ""  # reached: later changes have another cause
    if missing > 0 and not suspended(group, "Launch"):
        _scale_out(group, runtime, missing, len(counted), now)
    elif missing < 0 and not suspended(group, "Terminate"):
        _scale_in(group, runtime, counted, -missing, now)


def suspended(group: FakeAutoScalingGroup, process: str) -> bool:
    return any(p["ProcessName"] == process for p in group.suspended_processes)


def zone_of(state: InstanceState) -> str:
    return getattr(state.availability_zone, "zone", state.availability_zone)


def _counted(group: FakeAutoScalingGroup) -> list[InstanceState]:
    return [s for s in group.instance_states if s.lifecycle_state in ("Pending", "InService")]


def _finish_launches(runtime: Runtime, now: float) -> None:
    waiting = []
    for launch in runtime.launching:
        ready = launch.since + launch.place * settings.seconds("instance_ready_ms")
        if now >= ready:
            launch.state.lifecycle_state = "InService"
            launch.activity.finish("Successful", ready)
        else:
            waiting.append(launch)
    runtime.launching = waiting


def _finish_leavings(group: FakeAutoScalingGroup, runtime: Runtime, now: float) -> None:
    waiting = []
    for leave in runtime.leaving:
        gone = leave.since + settings.seconds("instance_terminate_ms")
        if now >= gone:
            group.instance_states = [s for s in group.instance_states if s is not leave.state]
            group.ec2_backend.terminate_instances([leave.state.instance_id])
            leave.activity.finish("Successful", gone)
        else:
            waiting.append(leave)
    runtime.leaving = waiting


def _retire_unhealthy(group: FakeAutoScalingGroup, now: float) -> None:
    if suspended(group, "ReplaceUnhealthy") or suspended(group, "HealthCheck") or suspended(group, "Terminate"):
        return
    for state in _counted(group):
        if state.health_status == "Unhealthy" and state.lifecycle_state == "InService":
            why = f"At {stamp(now)} an instance was taken out of service in response to a user health-check."
            retire(group, state, why, now)


def _scale_out(group: FakeAutoScalingGroup, runtime: Runtime, missing: int, have: int, now: float) -> None:
    room = missing
    if runtime.capacity_limit is not None:
        room = max(0, min(missing, runtime.capacity_limit - have))
    cause = (
        f"{runtime.request}  At {stamp(now)} an instance was started in response to a difference between desired "
        f"and actual capacity, increasing the capacity from {have} to {group.desired_capacity}."
    ).strip()
    if room:
        _launch(group, runtime, room, cause, now)
    refused = missing - room
    if not refused:
        runtime.refused_at = None
    elif runtime.refused_at is None or now >= runtime.refused_at + settings.seconds("launch_retry_ms"):
        runtime.refused_at = now
        for _ in range(refused):
            runtime.activities.appendleft(_refusal(group, runtime, cause, now))


def _launch(group: FakeAutoScalingGroup, runtime: Runtime, count: int, cause: str, now: float) -> None:
    for place in range(1, count + 1):
        state = _new_instance(group)
        state.lifecycle_state = "Pending"
        description = f"Launching a new EC2 instance: {state.instance_id}"
        activity = _activity(group, description, cause, now, "PreInService", zone_of(state))
        runtime.launching.append(Moving(state, activity, now, place))
        runtime.activities.appendleft(activity)


def _new_instance(group: FakeAutoScalingGroup) -> InstanceState:
    """Launch an instance in the zone with the fewest. moto picks one zone for a batch, so it is shown only the wanted
    one.
    """
    zones = group.availability_zones
    used = [zone_of(s) for s in group.instance_states if s.lifecycle_state != "Terminating"]
    group.availability_zones = [min(zones, key=used.count)]
    try:
        group.replace_autoscaling_group_instances(1, group.get_propagated_tags())
    finally:
        group.availability_zones = zones
    return group.instance_states[-1]


def _refusal(group: FakeAutoScalingGroup, runtime: Runtime, cause: str, now: float) -> Activity:
    zone, *others = group.availability_zones
    kind = group.instance_type or "the requested"
    elsewhere = f" or choosing {', '.join(others)}" if others else ""
    message = runtime.shortfall_message or (
        "Could not launch On-Demand Instances. InsufficientInstanceCapacity - We currently do not have sufficient "
        f"{kind} capacity in the Availability Zone you requested ({zone}). Our system will be working on provisioning "
        f"additional capacity. You can currently get {kind} capacity by not specifying an Availability Zone in your "
        f"request{elsewhere}. Launching EC2 instance failed."
    )
    description = f"Launching a new EC2 instance.  Status Reason: {message}"
    activity = _activity(group, description, cause, now, "Failed", zone)
    activity.finish("Failed", now)
    activity.status_message = message
    return activity


def _scale_in(
    group: FakeAutoScalingGroup, runtime: Runtime, counted: list[InstanceState], surplus: int, now: float
) -> None:
    free = [s for s in counted if not s.protected_from_scale_in]
    free.sort(key=lambda s: s.lifecycle_state != "InService")  # stable: terminates the oldest in service first
    cause = (
        f"{runtime.request}  At {stamp(now)} an instance was taken out of service in response to a difference between "
        f"desired and actual capacity, shrinking the capacity from {len(counted)} to {group.desired_capacity}."
    ).strip()
    for state in free[:surplus]:
        retire(group, state, cause, now)


def retire(group: FakeAutoScalingGroup, state: InstanceState, cause: str, now: float) -> Activity:
    runtime = of(group)
    for launch in [m for m in runtime.launching if m.state is state]:
        launch.activity.finish("Cancelled", now)
        runtime.launching.remove(launch)
    state.lifecycle_state = "Terminating"
    description = f"Terminating EC2 instance: {state.instance_id}"
    activity = _activity(group, description, cause, now, "InProgress", zone_of(state))
    runtime.leaving.append(Moving(state, activity, now))
    runtime.activities.appendleft(activity)
    return activity


def _activity(
    group: FakeAutoScalingGroup, description: str, cause: str, now: float, code: str, zone: str
) -> Activity:
    progress = 30 if code == "PreInService" else 0
    return Activity(group.name, group.arn, description, cause, now, code, progress, zone)


def configure(group: FakeAutoScalingGroup, body: dict) -> None:
    known = {"capacity_limit", "shortfall_message"}
    if set(body) - known:
        raise ValueError(f"unknown {sorted(set(body) - known)}; known: {sorted(known)}")
    runtime = of(group)
    if "capacity_limit" in body:
        limit = body["capacity_limit"]
        if limit is not None and (not isinstance(limit, int) or limit < 0):
            raise ValueError("capacity_limit must be a whole number, not negative, or null")
        runtime.capacity_limit = limit
        runtime.refused_at = None
    if "shortfall_message" in body:
        runtime.shortfall_message = body["shortfall_message"]


def _record_desired(self: FakeAutoScalingGroup, new_capacity: int | None) -> None:
    """Replaces moto's method, which launches and terminates instances within the call."""
    self.desired_capacity = self.min_size if new_capacity is None else new_capacity


def _forget_instances(self: AutoScalingBackend, instance_ids: list[str]) -> None:
    """EC2 TerminateInstances without the group's knowledge. moto replaces at once; here the next reconcile does it."""
    with LOCK:
        for group in self.autoscaling_groups.values():
            group.instance_states = [s for s in group.instance_states if s.instance_id not in instance_ids]
            runtime = of(group)
            runtime.launching = [m for m in runtime.launching if m.state.instance_id not in instance_ids]
            runtime.leaving = [m for m in runtime.leaving if m.state.instance_id not in instance_ids]


FakeAutoScalingGroup.set_desired_capacity = _record_desired
AutoScalingBackend.notify_terminate_instances = _forget_instances
