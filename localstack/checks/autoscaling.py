"""Auto Scaling: bounds, capacity that takes time or does not become available, activities, suspended processes."""

import time

from checks.harness import EAST, MAIN, RUN, WEST, Server, check, equal, eventually, refused, steps

_made: list[str] = []


def group(server: Server, name: str, low: int = 0, desired: int = 0, high: int = 8) -> str:
    name = f"{name}-{RUN}"
    scaling = server.client("autoscaling", EAST)
    if not _made:
        scaling.create_launch_configuration(
            LaunchConfigurationName=f"lc-{RUN}", ImageId="ami-12c6146b", InstanceType="m6i.large"
        )
    _made.append(name)
    scaling.create_auto_scaling_group(
        AutoScalingGroupName=name,
        LaunchConfigurationName=f"lc-{RUN}",
        AvailabilityZones=[f"{EAST}a", f"{EAST}b"],
        MinSize=low,
        MaxSize=high,
        DesiredCapacity=desired,
    )
    return name


def show(server: Server, name: str) -> dict:
    return server.client("autoscaling", EAST).describe_auto_scaling_groups(AutoScalingGroupNames=[name])[
        "AutoScalingGroups"
    ][0]


def count(server: Server, name: str, state: str = "InService") -> int:
    return sum(i["LifecycleState"] == state for i in show(server, name)["Instances"])


def activities(server: Server, name: str) -> list[dict]:
    return server.client("autoscaling", EAST).describe_scaling_activities(AutoScalingGroupName=name)["Activities"]


def want(server: Server, name: str, desired: int, **more) -> None:
    server.client("autoscaling", EAST).set_desired_capacity(
        AutoScalingGroupName=name, DesiredCapacity=desired, **more
    )


def full(server: Server, name: str, desired: int) -> str:
    """A group that has reached its capacity, without waiting."""
    with server.settings(instance_ready_ms=0):
        want(server, name, desired)
        equal(count(server, name), desired, "in service")
    return name


def clean_up(server: Server) -> None:
    for name in _made:
        try:
            server.client("autoscaling", EAST).delete_auto_scaling_group(AutoScalingGroupName=name, ForceDelete=True)
        except Exception as error:
            print(f"left behind: {name}: {error}")


@check
def desired_bounds(server: Server) -> None:
    """SetDesiredCapacity outside min and max is refused in AWS's words"""
    name = group(server, "bounds", low=1, desired=1, high=3)
    refused("ValidationError", lambda: want(server, name, 99), "New SetDesiredCapacity value 99 is above max value 3")
    refused("ValidationError", lambda: want(server, name, 0), "New SetDesiredCapacity value 0 is below min value 1")
    refused("ValidationError", lambda: want(server, "nobody", 1), "name not found")
    equal(show(server, name)["DesiredCapacity"], 1, "desired")


@check
def update_bounds(server: Server) -> None:
    """UpdateAutoScalingGroup refuses bad bounds and pulls the desired capacity inside new ones"""
    name = group(server, "update", low=0, desired=0, high=4)

    def update(**more):
        server.client("autoscaling", EAST).update_auto_scaling_group(AutoScalingGroupName=name, **more)

    said = "Desired capacity:9 must be between the specified min size:0 and max size:4"
    refused("ValidationError", lambda: update(DesiredCapacity=9), said)
    refused("ValidationError", lambda: update(MinSize=5), "Max bound, 4, must be greater than or equal to min bound, 5")
    update(MinSize=2)
    equal(show(server, name)["DesiredCapacity"], 2, "desired follows min")
    update(MinSize=0, MaxSize=1)
    equal(show(server, name)["DesiredCapacity"], 1, "desired follows max")
    update(DesiredCapacity=3, MaxSize=3)
    equal(show(server, name)["DesiredCapacity"], 3, "desired within the new max")


@check
def one_by_one(server: Server) -> None:
    """instances are Pending first and come into service one by one, each with its activity, newest first"""
    name = group(server, "steps")
    with server.settings(instance_ready_ms=500):
        want(server, name, 3)
        first = activities(server, name)
        equal(len(show(server, name)["Instances"]), 3, "instances at once")
        equal({a["StatusCode"] for a in first} <= {"PreInService", "Successful"}, True, "codes at once")
        seen, end = [0], time.monotonic() + 8
        while time.monotonic() < end and seen[-1] < 3:
            seen.append(count(server, name))
            time.sleep(0.02)
    way = steps(seen)
    assert way == sorted(way) and way[-1] == 3 and len(way) > 2, f"in service over time: {way}"
    done = activities(server, name)
    equal([a["StatusCode"] for a in done], ["Successful"] * 3, "codes")
    starts = [a["StartTime"] for a in done]
    equal(starts, sorted(starts, reverse=True), "newest first")
    assert "explicitly set group desired capacity changing the desired capacity from 0 to 3" in done[0]["Cause"]
    assert all(a["EndTime"] >= a["StartTime"] for a in done), "an end before its start"
    equal({i["HealthStatus"] for i in show(server, name)["Instances"]}, {"Healthy"}, "health")


@check
def capacity_shortfall(server: Server) -> None:
    """with a capacity limit only so many come; the rest fail with a reason, are retried, and come once it is lifted"""
    name = group(server, "short")
    limit = {"account": MAIN, "region": EAST, "group": name}
    server.control("autoscaling", {**limit, "capacity_limit": 2})
    with server.settings(instance_ready_ms=0, launch_retry_ms=600_000):
        want(server, name, 4)
        equal(len(show(server, name)["Instances"]), 2, "instances that came")
        failed = [a for a in activities(server, name) if a["StatusCode"] == "Failed"]
        equal(len(failed), 2, "failed activities")
        assert "InsufficientInstanceCapacity" in failed[0]["StatusMessage"], failed[0]["StatusMessage"]
        assert "sufficient m6i.large capacity" in failed[0]["StatusMessage"], failed[0]["StatusMessage"]
        equal(activities(server, name)[0]["StatusCode"], "Failed", "newest activity")
        server.control("settings", {"launch_retry_ms": 0})
        equal(len([a for a in activities(server, name) if a["StatusCode"] == "Failed"]) > 2, True, "retried")
        server.control("autoscaling", {**limit, "capacity_limit": None})
        eventually(lambda: count(server, name) == 4, "all four in service")
    equal(server.status("autoscaling", {**limit, "capacity_limit": -1}), 400, "negative limit")


@check
def suspended_launch(server: Server) -> None:
    """with Launch suspended nothing comes and nothing fails; resuming acts at once"""
    name = group(server, "suspend")
    scaling = server.client("autoscaling", EAST)
    scaling.suspend_processes(AutoScalingGroupName=name, ScalingProcesses=["Launch"])
    want(server, name, 2)
    equal((show(server, name)["Instances"], activities(server, name)), ([], []), "instances and activities")
    equal([p["ProcessName"] for p in show(server, name)["SuspendedProcesses"]], ["Launch"], "suspended")
    scaling.resume_processes(AutoScalingGroupName=name, ScalingProcesses=["Launch"])
    equal(len(show(server, name)["Instances"]), 2, "instances after resume")


@check
def scaling_in(server: Server) -> None:
    """instances leave through Terminating; with Terminate suspended they stay"""
    name = full(server, group(server, "in"), 3)
    scaling = server.client("autoscaling", EAST)
    scaling.suspend_processes(AutoScalingGroupName=name, ScalingProcesses=["Terminate"])
    want(server, name, 1)
    equal(count(server, name), 3, "in service while suspended")
    with server.settings(instance_terminate_ms=60_000):
        scaling.resume_processes(AutoScalingGroupName=name, ScalingProcesses=["Terminate"])
        equal((count(server, name), count(server, name, "Terminating")), (1, 2), "in service and leaving")
        newest = activities(server, name)[0]
        equal(newest["StatusCode"], "InProgress", "code of the newest activity")
        assert newest["Description"].startswith("Terminating EC2 instance: i-"), newest["Description"]
    with server.settings(instance_terminate_ms=0):
        equal(len(show(server, name)["Instances"]), 1, "instances afterwards")


@check
def cooldown(server: Server) -> None:
    """HonorCooldown is refused while an activity is under way"""
    name = group(server, "cool")
    with server.settings(instance_ready_ms=60_000):
        want(server, name, 1)
        refused("ScalingActivityInProgress", lambda: want(server, name, 2, HonorCooldown=True), "blocks this action")
        want(server, name, 2, HonorCooldown=False)


@check
def replacement(server: Server) -> None:
    """an unhealthy instance, one terminated in EC2, and one terminated through the group are replaced"""
    name = full(server, group(server, "replace"), 3)
    scaling, ec2 = server.client("autoscaling", EAST), server.client("ec2", EAST)
    ids = [i["InstanceId"] for i in show(server, name)["Instances"]]
    with server.settings(instance_ready_ms=0, instance_terminate_ms=0):
        scaling.set_instance_health(InstanceId=ids[0], HealthStatus="Unhealthy")
        ec2.terminate_instances(InstanceIds=[ids[1]])
        scaling.terminate_instance_in_auto_scaling_group(InstanceId=ids[2], ShouldDecrementDesiredCapacity=False)

        def renewed() -> bool:
            now = {i["InstanceId"] for i in show(server, name)["Instances"] if i["LifecycleState"] == "InService"}
            return len(now) == 3 and not now & set(ids)

        eventually(renewed, "three new instances in service")
    scaling.update_auto_scaling_group(AutoScalingGroupName=name, MinSize=3)
    last = show(server, name)["Instances"][0]["InstanceId"]
    shrink = {"InstanceId": last, "ShouldDecrementDesiredCapacity": True}
    refused(
        "ValidationError", lambda: scaling.terminate_instance_in_auto_scaling_group(**shrink), "equals minSize (3)"
    )


@check
def deletion(server: Server) -> None:
    """a group with instances is deleted only by force"""
    name = full(server, group(server, "delete"), 1)
    scaling = server.client("autoscaling", EAST)
    refused("ResourceInUse", lambda: scaling.delete_auto_scaling_group(AutoScalingGroupName=name))
    scaling.delete_auto_scaling_group(AutoScalingGroupName=name, ForceDelete=True)
    _made.remove(name)
    refused("ValidationError", lambda: want(server, name, 1))


@check
def several_groups(server: Server) -> None:
    """several groups are described in one call, unknown ones left out; activities are told apart by group"""
    names = [group(server, name) for name in ("many-a", "many-b", "many-c")]
    for name in names[:2]:
        full(server, name, 1)
    scaling = server.client("autoscaling", EAST)
    found = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[*names[:2], "nobody"])["AutoScalingGroups"]
    equal({g["AutoScalingGroupName"]: len(g["Instances"]) for g in found}, {n: 1 for n in names[:2]}, "groups")
    for name, wanted in zip(names, (1, 1, 0)):
        equal([a["AutoScalingGroupName"] for a in activities(server, name)], [name] * wanted, f"activities of {name}")
    both = {a["AutoScalingGroupName"] for a in scaling.describe_scaling_activities()["Activities"]}
    assert set(names[:2]) <= both, f"activities of all groups are of {both}"
    refused("ValidationError", lambda: activities(server, "nobody"), "not found")


@check
def regions(server: Server) -> None:
    """a group of one region is unknown in the other"""
    name = group(server, "iso")
    west = server.client("autoscaling", WEST)
    found = west.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
    equal(found, [], "groups in the west")
    change = {"AutoScalingGroupName": name, "DesiredCapacity": 1}
    refused("ValidationError", lambda: west.set_desired_capacity(**change), "not found")
