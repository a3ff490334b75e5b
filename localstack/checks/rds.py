"""RDS: promotion, fencing groups, restore points, and references between the two regions."""

import time
from datetime import UTC, datetime

from checks.harness import EAST, MAIN, OTHER, RUN, WEST, Server, check, equal, eventually, refused, steps

STATE = "InvalidDBInstanceState"
_made: list[tuple[str, str]] = []


def database(server: Server, name: str, region: str = WEST, retention: int = 7, account: str = MAIN, **more) -> str:
    name = f"{name}-{RUN}"
    made = server.client("rds", region, account).create_db_instance(
        DBInstanceIdentifier=name,
        DBInstanceClass="db.r6g.large",
        Engine="postgres",
        EngineVersion="16.4",
        MasterUsername="main",
        MasterUserPassword="not-a-secret",
        BackupRetentionPeriod=retention,
        MultiAZ=True,
        **more,
    )
    _made.append((region, name)) if account == MAIN else None
    return made["DBInstance"]["DBInstanceArn"]


def replica(server: Server, name: str, source_arn: str, region: str = EAST) -> str:
    name = f"{name}-{RUN}"
    server.client("rds", region).create_db_instance_read_replica(
        DBInstanceIdentifier=name, SourceDBInstanceIdentifier=source_arn, SourceRegion=WEST
    )
    _made.append((region, name))
    return name


def pair(server: Server, name: str) -> tuple[str, str]:
    """A primary in the west and its replica in the east; returns their names."""
    arn = database(server, name)
    return arn.split(":")[-1], replica(server, f"{name}-r", arn)


def show(server: Server, name: str, region: str = EAST) -> dict:
    return server.client("rds", region).describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0]


def knob(server: Server, name: str, region: str = EAST, **body) -> dict:
    return server.control("rds", {"account": MAIN, "region": region, "instance": name, **body})


def promote(server: Server, name: str, region: str = EAST):
    return server.client("rds", region).promote_read_replica(DBInstanceIdentifier=name)


def clean_up(server: Server) -> None:
    for region, name in reversed(_made):
        try:
            server.client("rds", region).delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)
        except Exception as error:
            print(f"left behind: {name} in {region}: {error}")


@check
def replica_is_its_own(server: Server) -> None:
    """a cross-region replica has its own identity, network and backups, and both ends name each other by ARN"""
    source, name = pair(server, "own")
    west, east = show(server, source, WEST), show(server, name)
    equal(east["ReadReplicaSourceDBInstanceIdentifier"], west["DBInstanceArn"], "source")
    equal(west["ReadReplicaDBInstanceIdentifiers"], [east["DBInstanceArn"]], "replicas of the source")
    infos = [(i["StatusType"], i["Normal"], i["Status"]) for i in east["StatusInfos"]]
    equal(infos, [("read replication", True, "replicating")], "StatusInfos")
    assert west["DbiResourceId"] != east["DbiResourceId"], "both have one DbiResourceId"
    equal((east["BackupRetentionPeriod"], east["MultiAZ"]), (0, False), "retention and Multi-AZ of the replica")
    equal((west["BackupRetentionPeriod"], west["MultiAZ"]), (7, True), "retention and Multi-AZ of the source")
    equal(east["DBInstanceClass"], "db.r6g.large", "class")
    equal(east["AvailabilityZone"][:-1], EAST, "zone of the replica")
    east_groups = {g["VpcSecurityGroupId"] for g in east["VpcSecurityGroups"]}
    known = {g["GroupId"] for g in server.client("ec2", EAST).describe_security_groups()["SecurityGroups"]}
    assert east_groups <= known, f"the replica has groups of another region: {east_groups}"


@check
def promotion_refusals(server: Server) -> None:
    """promotion is refused for a non-replica, an unknown instance, while backing-up, and a second time"""
    source, name = pair(server, "refuse")
    refused(STATE, lambda: promote(server, source, WEST), "not a read replica")
    refused("DBInstanceNotFound", lambda: promote(server, "nobody"))
    knob(server, name, status="backing-up")
    refused(STATE, lambda: promote(server, name))
    knob(server, name, status=None)
    with server.settings(promote_lag_before_modifying_ms=60_000):
        promote(server, name)
        refused(STATE, lambda: promote(server, name))


@check
def promotion_timeline(server: Server) -> None:
    """a promotion reads available, then modifying, then available; only then is the source gone on both ends"""
    source, name = pair(server, "time")
    with server.settings(promote_lag_before_modifying_ms=500, promote_modifying_ms=1000):
        answer = promote(server, name)["DBInstance"]
        seen = [(answer["DBInstanceStatus"], "ReadReplicaSourceDBInstanceIdentifier" in answer)]
        end = time.monotonic() + 8
        while time.monotonic() < end:
            now = show(server, name)
            seen.append((now["DBInstanceStatus"], "ReadReplicaSourceDBInstanceIdentifier" in now))
            if seen[-1] == ("available", False):
                break
            time.sleep(0.03)
    equal(steps(seen), [("available", True), ("modifying", True), ("available", False)], "status and has a source")
    equal(now.get("StatusInfos", []), [], "StatusInfos")
    equal(now["BackupRetentionPeriod"], 1, "backups after promotion")
    equal(show(server, source, WEST)["ReadReplicaDBInstanceIdentifiers"], [], "replicas of the old source")


@check
def stuck_promotion(server: Server) -> None:
    """changing a duration moves a promotion that is under way"""
    _, name = pair(server, "stuck")
    with server.settings(promote_lag_before_modifying_ms=0, promote_modifying_ms=600_000):
        promote(server, name)
        equal(show(server, name)["DBInstanceStatus"], "modifying", "status")
        refused(STATE, lambda: promote(server, name))
    with server.settings(promote_lag_before_modifying_ms=0, promote_modifying_ms=0):
        assert "ReadReplicaSourceDBInstanceIdentifier" not in show(server, name), "still a replica"


@check
def replica_needs_backups(server: Server) -> None:
    """a source without backups, or not available, or unknown, gets no replica"""
    arn = database(server, "nobackup", retention=0)
    refused(STATE, lambda: replica(server, "x", arn), "Automated backups are not enabled")
    other = database(server, "busy")
    knob(server, other.split(":")[-1], WEST, status="rebooting")
    refused(STATE, lambda: replica(server, "x", other))
    refused("DBInstanceNotFound", lambda: replica(server, "x", other + "-no"))


@check
def security_groups_take_time(server: Server) -> None:
    """changing the security groups shows adding and removing first, then active"""
    name = database(server, "groups").split(":")[-1]
    rds, ec2 = server.client("rds", WEST), server.client("ec2", WEST)
    fence = ec2.create_security_group(GroupName=f"fence-{RUN}", Description="fence")["GroupId"]
    old = show(server, name, WEST)["VpcSecurityGroups"][0]["VpcSecurityGroupId"]

    def groups() -> dict:
        return {g["VpcSecurityGroupId"]: g["Status"] for g in show(server, name, WEST)["VpcSecurityGroups"]}

    with server.settings(sg_apply_ms=60_000, sg_status_modifying=True):
        rds.modify_db_instance(DBInstanceIdentifier=name, VpcSecurityGroupIds=[fence], ApplyImmediately=True)
        equal(groups(), {fence: "adding", old: "removing"}, "groups at once")
        equal(show(server, name, WEST)["DBInstanceStatus"], "modifying", "status where it is asked for")
    with server.settings(sg_apply_ms=0):
        equal(groups(), {fence: "active"}, "groups later")
    wrong = server.client("ec2", EAST).describe_security_groups()["SecurityGroups"][0]["GroupId"]
    change = {"DBInstanceIdentifier": name, "VpcSecurityGroupIds": [wrong]}
    refused("InvalidParameterValue", lambda: rds.modify_db_instance(**change), wrong)
    knob(server, name, WEST, status="backing-up")
    refused(STATE, lambda: rds.modify_db_instance(DBInstanceIdentifier=name, BackupRetentionPeriod=3))


@check
def stopping(server: Server) -> None:
    """stop is refused for a source and for a replica; alone, it goes stopping, stopped, starting, available"""
    source, name = pair(server, "stop")
    west = server.client("rds", WEST)
    refused(STATE, lambda: west.stop_db_instance(DBInstanceIdentifier=source))
    refused(STATE, lambda: server.client("rds", EAST).stop_db_instance(DBInstanceIdentifier=name))
    with server.settings(promote_lag_before_modifying_ms=0, promote_modifying_ms=0):
        promote(server, name)
        show(server, name)
    with server.settings(db_stop_ms=60_000):
        west.stop_db_instance(DBInstanceIdentifier=source)
        equal(show(server, source, WEST)["DBInstanceStatus"], "stopping", "status")
    with server.settings(db_stop_ms=0, db_start_ms=60_000):
        equal(show(server, source, WEST)["DBInstanceStatus"], "stopped", "status")
        west.start_db_instance(DBInstanceIdentifier=source)
        equal(show(server, source, WEST)["DBInstanceStatus"], "starting", "status")
    with server.settings(db_start_ms=0):
        equal(show(server, source, WEST)["DBInstanceStatus"], "available", "status")


@check
def deleting_a_replica(server: Server) -> None:
    """deleting a cross-region replica works and clears the source's list"""
    source, name = pair(server, "gone")
    server.client("rds", EAST).delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)
    _made.remove((EAST, name))
    equal(show(server, source, WEST)["ReadReplicaDBInstanceIdentifiers"], [], "replicas of the source")
    refused("DBInstanceNotFound", lambda: show(server, name))


@check
def restore_point(server: Server) -> None:
    """LatestRestorableTime lags as configured, can be frozen, and is absent without backups"""
    name = database(server, "restore").split(":")[-1]

    def age() -> float:
        return (datetime.now(UTC) - show(server, name, WEST)["LatestRestorableTime"]).total_seconds()

    with server.settings(restorable_lag_ms=300_000):
        assert 299 < age() < 305, f"default lag: {age()}"
        knob(server, name, WEST, restorable_lag_ms=60_000)
        assert 59 < age() < 65, f"own lag: {age()}"
        knob(server, name, WEST, latest_restorable_time="2026-01-02T03:04:05Z")
        frozen = show(server, name, WEST)["LatestRestorableTime"]
        equal(frozen, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "frozen")
    _, other = pair(server, "norestore")
    assert "LatestRestorableTime" not in show(server, other), "a replica without backups has a restore point"


@check
def knobs(server: Server) -> None:
    """status, endpoint and replication health of an instance can be set and unset"""
    _, name = pair(server, "knob")
    knob(server, name, endpoint={"address": "127.0.0.1", "port": 5442}, status="storage-full")
    knob(server, name, replication="error", replication_message="WAL segment has been removed")
    now = show(server, name)
    equal((now["Endpoint"]["Address"], now["Endpoint"]["Port"]), ("127.0.0.1", 5442), "endpoint")
    equal(now["DBInstanceStatus"], "storage-full", "status")
    info = now["StatusInfos"][0]
    equal((info["Normal"], info["Status"]), (False, "error"), "replication")
    equal(info["Message"], "WAL segment has been removed", "message")
    knob(server, name, endpoint=None, status=None, replication=None)
    equal(show(server, name)["DBInstanceStatus"], "available", "status afterwards")
    equal(server.status("rds", {"account": MAIN, "region": EAST, "instance": "nobody"}), 404, "unknown instance")
    bad = {"account": MAIN, "region": EAST, "instance": name, "stauts": "x"}
    equal(server.status("rds", bad), 400, "misspelt knob")


@check
def reboot(server: Server) -> None:
    """a reboot takes time"""
    name = database(server, "boot").split(":")[-1]
    with server.settings(db_reboot_ms=1000):
        server.client("rds", WEST).reboot_db_instance(DBInstanceIdentifier=name)
        equal(show(server, name, WEST)["DBInstanceStatus"], "rebooting", "status")
        eventually(lambda: show(server, name, WEST)["DBInstanceStatus"] == "available", "available again")


@check
def regions_and_accounts(server: Server) -> None:
    """the same name in another region or account is another instance"""
    name = database(server, "iso").split(":")[-1]
    refused("DBInstanceNotFound", lambda: show(server, name, EAST))
    database(server, "iso", account=OTHER)
    other = server.client("rds", WEST, OTHER)
    arn = other.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0]["DBInstanceArn"]
    equal(arn.split(":")[4], OTHER, "account in the ARN")
    other.delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)
    equal(show(server, name, WEST)["DBInstanceStatus"], "available", "ours is untouched")
