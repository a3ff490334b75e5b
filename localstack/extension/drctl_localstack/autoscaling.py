"""The Auto Scaling operations that differ from moto's: bounds are enforced, capacity takes time, activities exist."""

import time

from localstack.aws.api import CommonServiceException, RequestContext
from localstack.aws.spec import load_service
from localstack.services.moto import call_moto
from moto.autoscaling.models import FakeAutoScalingGroup, autoscaling_backends

from drctl_localstack import asg_engine as engine
from drctl_localstack.settings import LOCK


def _invalid(message: str) -> CommonServiceException:
    return CommonServiceException("ValidationError", message, 400, sender_fault=True)


def groups(context: RequestContext) -> dict[str, FakeAutoScalingGroup]:
    return autoscaling_backends[context.account_id][context.region].autoscaling_groups


def find(context: RequestContext, name: str) -> FakeAutoScalingGroup:
    group = groups(context).get(name)
    if group is None:
        raise _invalid(f"AutoScalingGroup name not found - AutoScalingGroup '{name}' not found")
    return group


def _check_bounds(low: int, high: int, desired: int | None) -> None:
    if low > high:
        raise _invalid(f"Max bound, {high}, must be greater than or equal to min bound, {low}")
    if desired is not None and not low <= desired <= high:
        raise _invalid(
            f"Desired capacity:{desired} must be between the specified min size:{low} and max size:{high}"
        )


def create_group(context: RequestContext, request: dict) -> dict:
    name = request["AutoScalingGroupName"]
    if name in groups(context):
        message = f"AutoScalingGroup by this name already exists - A group with the name {name} already exists"
        raise CommonServiceException("AlreadyExists", message, 400, True)
    desired = request.get("DesiredCapacity")
    _check_bounds(request["MinSize"], request["MaxSize"], desired)
    response = call_moto(context)
    desired = request["MinSize"] if desired is None else desired
    at = engine.stamp(time.time())
    sentence = f"At {at} a user request created an AutoScalingGroup changing the desired capacity from 0 to {desired}."
    engine.want(find(context, name), desired, sentence)
    return response


def update_group(context: RequestContext, request: dict) -> dict:
    """Like AWS, adjusts the existing desired capacity to new bounds, but refuses a requested one outside them."""
    group = find(context, request["AutoScalingGroupName"])
    low = request.get("MinSize", group.min_size)
    high = request.get("MaxSize", group.max_size)
    _check_bounds(low, high, request.get("DesiredCapacity"))
    old = group.desired_capacity
    desired = request.get("DesiredCapacity", min(max(old, low), high))
    response = call_moto(context)
    group.desired_capacity = desired
    if {"MinSize", "MaxSize", "DesiredCapacity"} & set(request):
        change = f" changing the desired capacity from {old} to {desired}" if old != desired else ""
        at = engine.stamp(time.time())
        bounds = f"min: {low}, max: {high}, desired: {desired}"
        sentence = f"At {at} a user request update of AutoScalingGroup constraints to {bounds}{change}."
        engine.want(group, desired, sentence)
    return response


def set_desired_capacity(context: RequestContext, request: dict) -> dict:
    group = find(context, request["AutoScalingGroupName"])
    wanted, old = request["DesiredCapacity"], group.desired_capacity
    for bound, side, outside in (
        (group.max_size, "above max", wanted > group.max_size),
        (group.min_size, "below min", wanted < group.min_size),
    ):
        if outside:
            message = f"New SetDesiredCapacity value {wanted} is {side} value {bound} for the AutoScalingGroup."
            raise _invalid(message)
    runtime = engine.of(group)
    if request.get("HonorCooldown") and (runtime.launching or runtime.leaving):
        under_way = (runtime.launching or runtime.leaving)[0].activity.activity_id
        message = f"Scaling activity {under_way} is in progress and blocks this action"
        raise CommonServiceException("ScalingActivityInProgress", message, 400, True)
    at = engine.stamp(time.time())
    change = f"changing the desired capacity from {old} to {wanted}"
    engine.want(group, wanted, f"At {at} a user request explicitly set group desired capacity {change}.")
    return {}


def describe_activities(context: RequestContext, request: dict) -> dict:
    name = request.get("AutoScalingGroupName")
    chosen = [find(context, name)] if name else list(groups(context).values())
    found = [activity for group in chosen for activity in engine.of(group).activities]
    if not name:
        found.sort(key=lambda activity: activity.start, reverse=True)
    wanted = request.get("ActivityIds")
    if wanted:
        found = [activity for activity in found if activity.activity_id in wanted]
    first = int(request.get("NextToken") or 0)
    last = first + min(request.get("MaxRecords") or 100, 100)
    answer = {"Activities": [activity.shown() for activity in found[first:last]]}
    if last < len(found):
        answer["NextToken"] = str(last)
    return answer


def delete_group(context: RequestContext, request: dict) -> dict:
    group = find(context, request["AutoScalingGroupName"])
    if group.instance_states and not request.get("ForceDelete"):
        message = (
            "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) "
            "still in the group."
        )
        raise CommonServiceException("ResourceInUse", message, 400, True)
    ids = [state.instance_id for state in group.instance_states]
    if ids:
        group.ec2_backend.terminate_instances(ids)
    group.instance_states = []
    return call_moto(context)


def terminate_instance(context: RequestContext, request: dict) -> dict:
    wanted = request["InstanceId"]
    for group in groups(context).values():
        for state in group.instance_states:
            if state.instance_id == wanted:
                return _terminate(group, state, bool(request.get("ShouldDecrementDesiredCapacity")))
    raise _invalid(f"Instance Id not found - No managed instance found for instance ID: {wanted}")


def _terminate(group: FakeAutoScalingGroup, state, decrement: bool) -> dict:
    now = time.time()
    old = group.desired_capacity
    if decrement and old <= group.min_size:
        raise _invalid(
            f"Currently, desiredSize equals minSize ({group.min_size}). Terminating instance without replacement will "
            "violate group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false or lower "
            "group's min size."
        )
    group.desired_capacity = old - 1 if decrement else old
    shrinking = f", shrinking the capacity from {old} to {old - 1}" if decrement else ""
    what = f"instance {state.instance_id} was taken out of service in response to a user request{shrinking}"
    return {"Activity": engine.retire(group, state, f"At {engine.stamp(now)} {what}.", now).shown()}


def forward(context: RequestContext, request: dict) -> dict:
    return call_moto(context)


CUSTOM = {
    "CreateAutoScalingGroup": create_group,
    "DeleteAutoScalingGroup": delete_group,
    "DescribeScalingActivities": describe_activities,
    "SetDesiredCapacity": set_desired_capacity,
    "TerminateInstanceInAutoScalingGroup": terminate_instance,
    "UpdateAutoScalingGroup": update_group,
}


def _settle(context: RequestContext) -> None:
    backend = autoscaling_backends[context.account_id][context.region]
    for group in list(backend.autoscaling_groups.values()):
        engine.reconcile(group, time.time())
        backend.update_attached_elbs(group.name)
        backend.update_attached_target_groups(group.name)


def _guarded(operation):
    def handler(context: RequestContext, request: dict) -> dict:
        with LOCK:
            _settle(context)
            response = operation(context, request)
            _settle(context)  # so that a resumed process or a new desired capacity takes effect within the same call
            return response

    return handler


def table() -> dict:
    return {name: _guarded(CUSTOM.get(name, forward)) for name in load_service("autoscaling").operation_names}
