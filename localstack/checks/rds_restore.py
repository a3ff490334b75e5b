"""RDS: instances restored from backups, restorable times, and snapshots."""

from datetime import UTC, datetime, timedelta

from checks import rds
from checks.bridges import Told
from checks.harness import MAIN, RUN, WEST, Server, check, equal, eventually, refused
from checks.rds import STATE, database, knob, replica, show
from checks.rds_replica import NOT_FOUND, TAKEN, TOGETHER, expect

WRONG, NO_SNAPSHOT, SNAPSHOT_STATE = "InvalidParameterValue", "DBSnapshotNotFound", "InvalidDBSnapshotState"


def restore(server: Server, source: str, name: str, **more) -> dict:
    """Restores to the latest time, unless another one is given."""
    asked = {"SourceDBInstanceIdentifier": source, "TargetDBInstanceIdentifier": f"{name}-{RUN}", **more}
    if "RestoreTime" not in more:
        asked.setdefault("UseLatestRestorableTime", True)
    asked = {key: value for key, value in asked.items() if value is not None}
    return noted(server.client("rds", WEST).restore_db_instance_to_point_in_time(**asked))


def noted(made: dict) -> dict:
    rds._made.append((WEST, made["DBInstance"]["DBInstanceIdentifier"]))
    return made["DBInstance"]


def snapshot(server: Server, source: str, name: str) -> dict:
    asked = {"DBInstanceIdentifier": source, "DBSnapshotIdentifier": f"{name}-{RUN}"}
    return server.client("rds", WEST).create_db_snapshot(**asked)["DBSnapshot"]


def backups(server: Server, **asked) -> list[dict]:
    return server.client("rds", WEST).describe_db_instance_automated_backups(**asked)["DBInstanceAutomatedBackups"]


def source_of(server: Server, name: str, **more) -> str:
    name = database(server, name, **more).split(":")[-1]
    equal(show(server, name, WEST)["DBInstanceStatus"], "available", "status of the source")
    return name


@check
def its_own(server: Server) -> None:
    """a restored instance is its own: Single-AZ, default groups, no replicas, the source's class, backups and tags"""
    client, ec2 = server.client("rds", WEST), server.client("ec2", WEST)
    family = {"DBParameterGroupFamily": "postgres16", "Description": "of a check"}
    client.create_db_parameter_group(DBParameterGroupName=f"own-{RUN}", **family)
    group = ec2.create_security_group(GroupName=f"own-{RUN}", Description="of a check")["GroupId"]
    more = {"VpcSecurityGroupIds": [group], "DBParameterGroupName": f"own-{RUN}", "DeletionProtection": False}
    source = source_of(server, "whole", Tags=[{"Key": "tier", "Value": "1"}], Port=5499, **more)
    replica(server, "whole-r", show(server, source, WEST)["DBInstanceArn"])
    made = restore(server, source, "whole-copy")
    equal((made["DBInstanceStatus"], "Endpoint" in made), ("creating", False), "while it is created")
    old, new = show(server, source, WEST), show(server, made["DBInstanceIdentifier"], WEST)
    assert old["DbiResourceId"] != new["DbiResourceId"], "one identity for both"
    equal(new["DBInstanceArn"], old["DBInstanceArn"].replace(source, new["DBInstanceIdentifier"]), "ARN")
    equal((old["MultiAZ"], new["MultiAZ"], made["MultiAZ"]), (True, False, False), "Multi-AZ")
    equal((len(old["ReadReplicaDBInstanceIdentifiers"]), new["ReadReplicaDBInstanceIdentifiers"]), (1, []), "replicas")
    assert "ReadReplicaSourceDBInstanceIdentifier" not in new, "it has a source"
    groups = [ec2.describe_security_groups(GroupIds=[g["VpcSecurityGroupId"]]) for g in new["VpcSecurityGroups"]]
    equal([g["SecurityGroups"][0]["GroupName"] for g in groups], ["default"], "security groups")
    assert new["DBParameterGroups"][0]["DBParameterGroupName"].startswith("default."), new["DBParameterGroups"]
    for member in ("DBInstanceClass", "BackupRetentionPeriod", "TagList", "Engine", "EngineVersion", "AllocatedStorage"):
        equal(new[member], old[member], member)
    equal(new["Endpoint"]["Port"], 5499, "port")
    equal(len(client.describe_db_snapshots(DBInstanceIdentifier=new["DBInstanceIdentifier"])["DBSnapshots"]), 1, "backups")
    asked = {"MultiAZ": True, "DBInstanceClass": "db.t3.micro", "Port": 5502, "DBParameterGroupName": f"own-{RUN}"}
    asked |= {"VpcSecurityGroupIds": [group], "Tags": [{"Key": "b", "Value": "2"}]}
    name = restore(server, source, "whole-asked", **asked)["DBInstanceIdentifier"]
    new = show(server, name, WEST)
    equal((new["MultiAZ"], new["DBInstanceClass"], new["Endpoint"]["Port"]), (True, "db.t3.micro", 5502), "as asked")
    equal([g["VpcSecurityGroupId"] for g in new["VpcSecurityGroups"]], [group], "groups as asked")
    equal(new["DBParameterGroups"][0]["DBParameterGroupName"], f"own-{RUN}", "parameter group as asked")
    equal(new["TagList"], [{"Key": "b", "Value": "2"}], "tags as asked")


@check
def times(server: Server) -> None:
    """only a time of the restore window can be restored, which is what the automated backups say; and one time only"""
    source = source_of(server, "when")
    window = backups(server, DBInstanceIdentifier=source)[0]["RestoreWindow"]
    second, shown = timedelta(seconds=1), show(server, source, WEST)["LatestRestorableTime"]
    assert abs(window["LatestTime"] - shown) < second, f"{window} and {shown}"
    for at in (window["LatestTime"] + timedelta(seconds=60), window["EarliestTime"] - second, datetime.now(UTC)):
        refused(WRONG, lambda: restore(server, source, "when-x", RestoreTime=at), "cannot be restored to")
    knob(server, source, WEST, earliest_restorable_time=f"{datetime.now(UTC) - timedelta(days=2):%Y-%m-%dT%H:%M:%SZ}")
    yesterday = datetime.now(UTC) - timedelta(days=1)
    for number, at in enumerate((window["LatestTime"], window["EarliestTime"], yesterday)):
        restore(server, source, f"when-{number}", RestoreTime=at)
    refused(WRONG, lambda: restore(server, source, "when-x", RestoreTime=yesterday - timedelta(days=2)))
    refused(TOGETHER, lambda: restore(server, source, "when-x", RestoreTime=yesterday, UseLatestRestorableTime=True))
    refused(TOGETHER, lambda: restore(server, source, "when-x", UseLatestRestorableTime=False))
    knob(server, source, WEST, latest_restorable_time="2026-01-02T03:04:05Z")
    refused(WRONG, lambda: restore(server, source, "when-x", RestoreTime=yesterday))
    restore(server, source, "when-frozen", RestoreTime=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))


@check
def refusals(server: Server) -> None:
    """no backups, no source, a taken or impossible name, less space, groups of nowhere: refused, and nothing is made"""
    source, bare = source_of(server, "deny"), source_of(server, "denybare", retention=0)
    refused("PointInTimeRestoreNotEnabled", lambda: restore(server, bare, "deny-x"))
    refused("PointInTimeRestoreNotEnabled", lambda: restore(server, bare, "deny-x", RestoreTime=datetime.now(UTC)))
    refused(NOT_FOUND, lambda: restore(server, "nobody", "deny-x"))
    refused(TAKEN, lambda: restore(server, source, "denybare"))
    refused(WRONG, lambda: restore(server, source, "deny--x"), "not a valid identifier")
    refused(WRONG, lambda: restore(server, source, "deny-x", AllocatedStorage=1), "less than")
    refused(WRONG, lambda: restore(server, source, "deny-x", VpcSecurityGroupIds=["sg-0"]), "sg-0")
    refused("DBParameterGroupNotFound", lambda: restore(server, source, "deny-x", DBParameterGroupName="nobodys"))
    refused("DBSubnetGroupNotFoundFault", lambda: restore(server, source, "deny-x", DBSubnetGroupName="nobodys"))
    refused(NOT_FOUND, lambda: show(server, f"deny-x-{RUN}", WEST))
    refused(TOGETHER, lambda: restore(server, None, "deny-x"))
    refused(NOT_FOUND, lambda: restore(server, None, "deny-x", SourceDbiResourceId="db-NOBODY"))
    identity = show(server, source, WEST)["DbiResourceId"]
    made = restore(server, None, "deny-by-id", SourceDbiResourceId=identity)
    assert made["DbiResourceId"] != identity, "restored by identity, it has the same one"
    with server.settings(db_create_ms=60_000):
        young = database(server, "denyyoung").split(":")[-1]
        refused(STATE, lambda: restore(server, young, "deny-x"))
    show(server, young, WEST)


@check
def automated(server: Server) -> None:
    """automated backups are listed for instances that have them, with their restore window; creating until they are there"""
    source, bare = source_of(server, "auto"), source_of(server, "autobare", retention=0)
    found = backups(server, DBInstanceIdentifier=source)[0]
    equal((found["Status"], found["BackupRetentionPeriod"], found["Region"]), ("active", 7, WEST), "status and retention")
    equal(found["DbiResourceId"], show(server, source, WEST)["DbiResourceId"], "identity")
    equal(backups(server, DBInstanceIdentifier=bare), [], "without backups")
    refused("DBInstanceAutomatedBackupNotFound", lambda: backups(server, DBInstanceIdentifier="nobody"))
    only = [{"Name": "dbi-resource-id", "Values": [found["DbiResourceId"]]}, {"Name": "status", "Values": ["active"]}]
    equal([b["DBInstanceIdentifier"] for b in backups(server, Filters=only)], [source], "by filters")
    equal(backups(server, DbiResourceId=found["DbiResourceId"].lower())[0]["DBInstanceIdentifier"], source, "by identity")
    refused(WRONG, lambda: backups(server, Filters=[{"Name": "engine", "Values": ["postgres"]}]))
    with server.settings(db_create_ms=60_000):
        young = database(server, "autoyoung").split(":")[-1]
        found = backups(server, DBInstanceIdentifier=young)[0]
        equal((found["Status"], "RestoreWindow" in found), ("creating", False), "while it is created")
    client = server.client("rds", WEST)
    for retention, count in ((0, 0), (3, 1)):
        client.modify_db_instance(DBInstanceIdentifier=young, BackupRetentionPeriod=retention, ApplyImmediately=True)
        show(server, young, WEST)
        equal(len(backups(server, DBInstanceIdentifier=young)), count, f"backups with a retention of {retention}")
        left = client.describe_db_snapshots(DBInstanceIdentifier=young, SnapshotType="automated")["DBSnapshots"]
        equal(len(left), count, f"automated snapshots with a retention of {retention}")


@check
def snapshots(server: Server) -> None:
    """a snapshot takes its time, in which its instance is backing-up; it outlives it, and an instance can be made of it"""
    client, source = server.client("rds", WEST), source_of(server, "snap")
    name = f"snap-m-{RUN}"
    with server.settings(db_snapshot_ms=60_000):
        made = snapshot(server, source, "snap-m")
        equal((made["Status"], made["PercentProgress"]), ("creating", 0), "while it is taken")
        equal(show(server, source, WEST)["DBInstanceStatus"], "backing-up", "status of the instance")
        refused(STATE, lambda: snapshot(server, source, "snap-n"))
        refused(SNAPSHOT_STATE, lambda: from_snapshot(server, name, "snap-x"))
        refused(SNAPSHOT_STATE, lambda: client.delete_db_snapshot(DBSnapshotIdentifier=name))
    found = client.describe_db_snapshots(DBSnapshotIdentifier=name)["DBSnapshots"][0]
    equal((found["Status"], found["PercentProgress"], found["SnapshotType"]), ("available", 100, "manual"), "afterwards")
    refused("DBSnapshotAlreadyExists", lambda: snapshot(server, source, "snap-m"))
    refused(NO_SNAPSHOT, lambda: client.describe_db_snapshots(DBSnapshotIdentifier="nobodys"))
    refused(NO_SNAPSHOT, lambda: from_snapshot(server, "nobodys", "snap-x"))
    refused(TAKEN, lambda: from_snapshot(server, name, "snap"))
    own = client.describe_db_snapshots(DBInstanceIdentifier=source, SnapshotType="automated")["DBSnapshots"]
    equal([s["DBSnapshotIdentifier"].startswith(f"rds:{source}-") for s in own], [True], "automated snapshots")
    automated_one = own[0]["DBSnapshotIdentifier"]
    refused(SNAPSHOT_STATE, lambda: client.delete_db_snapshot(DBSnapshotIdentifier=automated_one))
    from_snapshot(server, automated_one, "snap-auto")
    client.delete_db_instance(DBInstanceIdentifier=source, SkipFinalSnapshot=True)
    rds._made.remove((WEST, source))
    refused(NOT_FOUND, lambda: show(server, source, WEST))
    new = show(server, from_snapshot(server, found["DBSnapshotArn"], "snap-new")["DBInstanceIdentifier"], WEST)
    equal((new["DBInstanceStatus"], new["MultiAZ"], new["DBInstanceClass"]), ("available", False, "db.r6g.large"), "new")
    assert new["DbiResourceId"] != found["DbiResourceId"], "restored from a snapshot, it has the old identity"
    client.delete_db_snapshot(DBSnapshotIdentifier=name)


def from_snapshot(server: Server, name: str, target: str) -> dict:
    asked = {"DBInstanceIdentifier": f"{target}-{RUN}", "DBSnapshotIdentifier": name}
    return noted(server.client("rds", WEST).restore_db_instance_from_db_snapshot(**asked))


@check
def told_of(server: Server) -> None:
    """an expected bridge is told of a restore: from which instance, and to which time or of which snapshot"""
    source, at = source_of(server, "bridged-restore"), datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    knob(server, source, WEST, latest_restorable_time=at.isoformat())
    snapshot(server, source, "bridged-restore-m")
    show(server, source, WEST)
    named = {"region": WEST, "instance": source, "resource": show(server, source, WEST)["DbiResourceId"]}
    told = {}
    for name in ("bridged-to-time", "bridged-to-snapshot"):
        told[name] = Told(name)
        expect(server, f"{name}-{RUN}", WEST, bridge=told[name].argv)
    try:
        restore(server, source, "bridged-to-time")
        from_snapshot(server, f"bridged-restore-m-{RUN}", "bridged-to-snapshot")
        for name, what in (("time", {"restore_time": at.isoformat()}), ("snapshot", {"snapshot": f"bridged-restore-m-{RUN}"})):
            name = f"bridged-to-{name}"
            found = eventually(told[name], "the bridge is told")
            wanted = {"event": "restored", "account": MAIN, "region": WEST, "instance": f"{name}-{RUN}", "source": named}
            wanted["resource"] = show(server, f"{name}-{RUN}", WEST)["DbiResourceId"]
            equal([{k: v for k, v in t.items() if k != "groups"} for t in found], [wanted | what], "told")
            equal(show(server, f"{name}-{RUN}", WEST)["DBInstanceStatus"], "creating", "status while the bridge works")
            told[name].go()
            eventually(lambda: show(server, f"{name}-{RUN}", WEST)["DBInstanceStatus"] == "available", "available")
    finally:
        for name in told:
            expect(server, f"{name}-{RUN}", WEST, expected=False)
    server.client("rds", WEST).delete_db_snapshot(DBSnapshotIdentifier=f"bridged-restore-m-{RUN}")


@check
def real_backups(server: Server) -> None:
    """an expected bridge is told of every snapshot: until the first is taken there is no restore window, and then what is set"""
    name, told, client = f"real-{RUN}", Told("real"), server.client("rds", WEST)
    expect(server, name, WEST, bridge=told.argv)
    try:
        database(server, "real", retention=0)
        eventually(told, "the bridge is told")
        told.go()
        eventually(lambda: show(server, name, WEST)["DBInstanceStatus"] == "available", "available")
    finally:
        expect(server, name, WEST, expected=False)
    told.halt()
    client.modify_db_instance(DBInstanceIdentifier=name, BackupRetentionPeriod=7, ApplyImmediately=True)
    eventually(lambda: len(told()) == 2, "the bridge is told of the automated snapshot")
    automated = client.describe_db_snapshots(DBInstanceIdentifier=name, SnapshotType="automated")["DBSnapshots"][0]
    own = {"account": MAIN, "region": WEST, "instance": name, "resource": show(server, name, WEST)["DbiResourceId"]}
    first = {**own, "event": "snapshot", "snapshot": automated["DBSnapshotIdentifier"], "automated": True}
    equal({k: v for k, v in told()[1].items() if k != "groups"}, first, "told")
    equal(automated["Status"], "creating", "the snapshot while the bridge works")
    equal(backups(server, DBInstanceIdentifier=name)[0]["Status"], "creating", "backups while the bridge works")
    told.go()
    eventually(lambda: backups(server, DBInstanceIdentifier=name)[0]["Status"] == "active", "backups")
    assert "RestoreWindow" not in backups(server, DBInstanceIdentifier=name)[0], "a window that nobody has set"
    refused(STATE, lambda: restore(server, name, "real-x"))
    until = datetime.now(UTC).replace(microsecond=0)
    knob(server, name, WEST, earliest_restorable_time=until.isoformat(), latest_restorable_time=until.isoformat())
    equal(backups(server, DBInstanceIdentifier=name)[0]["RestoreWindow"], dict.fromkeys(("EarliestTime", "LatestTime"), until), "window")
    equal(show(server, name, WEST)["LatestRestorableTime"], until, "latest")
    told.halt()
    snapshot(server, name, "real-m")
    eventually(lambda: len(told()) == 3, "the bridge is told of the snapshot")
    equal({k: told()[2][k] for k in first}, {**first, "snapshot": f"real-m-{RUN}", "automated": False}, "told")
    equal(show(server, name, WEST)["DBInstanceStatus"], "backing-up", "status while the bridge works")
    refused(SNAPSHOT_STATE, lambda: from_snapshot(server, f"real-m-{RUN}", "real-x"))
    told.go()
    eventually(lambda: show(server, name, WEST)["DBInstanceStatus"] == "available", "available")
    client.delete_db_snapshot(DBSnapshotIdentifier=f"real-m-{RUN}")
