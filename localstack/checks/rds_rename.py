"""RDS: renaming an instance, after which everything that belongs to it has the new name."""

import time

from checks import rds
from checks.bridges import Told, shown
from checks.harness import EAST, MAIN, WEST, Server, check, equal, eventually, refused, steps
from checks.rds import STATE, database, knob, pair, replica, show

NOT_FOUND, TAKEN = "DBInstanceNotFound", "DBInstanceAlreadyExists"


def ask(server: Server, name: str, new_name: str, region: str = WEST, at_once: bool = True, **more) -> dict:
    change = {"DBInstanceIdentifier": name, "NewDBInstanceIdentifier": new_name, "ApplyImmediately": at_once}
    return server.client("rds", region).modify_db_instance(**change, **more)["DBInstance"]


def rename(server: Server, name: str, region: str = WEST) -> str:
    """Renames at once and returns the new name."""
    new_name = f"{name}-new"
    with server.settings(db_rename_ms=0):
        ask(server, name, new_name, region)
        show(server, new_name, region)
    note(name, new_name, region)
    return new_name


def note(name: str, new_name: str, region: str = WEST) -> None:
    """Registers the name for cleanup."""
    rds._made[rds._made.index((region, name))] = (region, new_name)


def snapshots(server: Server, name: str) -> list[dict]:
    return server.client("rds", WEST).describe_db_snapshots(DBInstanceIdentifier=name)["DBSnapshots"]


def bridged_as(server: Server, name: str) -> bool:
    return name in [bridge.get("instance") for bridge in server.control("bridges")["bridges"]]


@check
def timeline(server: Server) -> None:
    """a rename reads renaming under the old name, then available under the new one only; ARN and endpoint follow"""
    name = database(server, "ren").split(":")[-1]
    new_name, before, seen = f"{name}-new", show(server, name, WEST), []
    with server.settings(db_rename_ms=800):
        answer = ask(server, name, new_name.upper())
        equal((answer["DBInstanceIdentifier"], answer["DBInstanceStatus"]), (name, "renaming"), "the answer")
        equal(answer["PendingModifiedValues"], {"DBInstanceIdentifier": new_name}, "what is pending")
        note(name, new_name)
        end = time.monotonic() + 8
        while time.monotonic() < end and seen[-1:] != [(new_name, "available")]:
            found = server.client("rds", WEST).describe_db_instances()["DBInstances"]
            mine = [d for d in found if d["DBInstanceIdentifier"] in (name, new_name)]
            seen += [(d["DBInstanceIdentifier"], d["DBInstanceStatus"]) for d in mine]
            time.sleep(0.03)
    equal(steps(seen), [(name, "renaming"), (new_name, "available")], "name and status")
    refused(NOT_FOUND, lambda: show(server, name, WEST))
    after = show(server, new_name, WEST)
    equal(after["DbiResourceId"], before["DbiResourceId"], "DbiResourceId")
    equal(after["DBInstanceArn"], before["DBInstanceArn"] + "-new", "ARN")
    equal(after["PendingModifiedValues"], {}, "what is pending afterwards")
    assert after["Endpoint"]["Address"].startswith(f"{new_name}."), f"endpoint: {after['Endpoint']}"


@check
def waits(server: Server) -> None:
    """without ApplyImmediately a rename is only pending, and goes along with the next change that is applied at once"""
    name = database(server, "renwait").split(":")[-1]
    new_name = f"{name}-new"
    with server.settings(db_rename_ms=0):
        ask(server, name, new_name, at_once=False, BackupRetentionPeriod=9)
        now = show(server, name, WEST)
        equal((now["DBInstanceStatus"], now["BackupRetentionPeriod"]), ("available", 9), "status, and what else it changed")
        equal(now["PendingModifiedValues"], {"DBInstanceIdentifier": new_name}, "what is pending")
        client = server.client("rds", WEST)
        client.modify_db_instance(DBInstanceIdentifier=name, ApplyImmediately=True)
        equal(show(server, new_name, WEST)["PendingModifiedValues"], {}, "what is pending afterwards")
    note(name, new_name)
    refused(NOT_FOUND, lambda: show(server, name, WEST))


@check
def both_ends(server: Server) -> None:
    """source and replicas name each other by the new name, in the region and across, whichever is renamed"""
    source, far = pair(server, "renends")
    near = replica(server, "renends-n", source, WEST)
    source = rename(server, source)
    arn = show(server, source, WEST)["DBInstanceArn"]
    equal(show(server, far)["ReadReplicaSourceDBInstanceIdentifier"], arn, "source of the far replica")
    equal(show(server, near, WEST)["ReadReplicaSourceDBInstanceIdentifier"], source, "source of the near one")
    near, far = rename(server, near, WEST), rename(server, far, EAST)
    found = set(show(server, source, WEST)["ReadReplicaDBInstanceIdentifiers"])
    equal(found, {near, show(server, far)["DBInstanceArn"]}, "replicas of the source")
    with server.settings(promote_lag_before_modifying_ms=0, promote_modifying_ms=0):
        rds.promote(server, far)
        equal(show(server, source, WEST)["ReadReplicaDBInstanceIdentifiers"], [near], "replicas after a promotion")


@check
def refusals(server: Server) -> None:
    """a rename to a name in use, to one that another rename has taken, to no name, and of a busy instance is refused"""
    one, other = (database(server, f"renno-{letter}").split(":")[-1] for letter in "ab")
    identity = show(server, other, WEST)["DbiResourceId"]
    for taken in (other, other.upper(), one):
        refused(TAKEN, lambda: ask(server, one, taken))
    refused(TAKEN, lambda: ask(server, one, other, at_once=False))
    for wrong in ("1st", "two--hyphens", "ends-", "a" * 64):
        refused("InvalidParameterValue", lambda: ask(server, one, wrong), "not a valid identifier")
    equal(show(server, other, WEST)["DbiResourceId"], identity, "the instance whose name was wanted")
    with server.settings(db_rename_ms=60_000):
        ask(server, one, f"{one}-new")
        refused(TAKEN, lambda: ask(server, other, f"{one}-new"))
        refused(TAKEN, lambda: database(server, "renno-a"))
        refused(NOT_FOUND, lambda: show(server, f"{one}-new", WEST))
        refused(STATE, lambda: ask(server, one, f"{one}-newer"))
        refused(STATE, lambda: server.client("rds", WEST).reboot_db_instance(DBInstanceIdentifier=one))
    with server.settings(db_rename_ms=0):
        show(server, f"{one}-new", WEST)
    note(one, f"{one}-new")
    refused(NOT_FOUND, lambda: ask(server, one, f"{one}-newer"))


@check
def goes_along(server: Server) -> None:
    """tags and backups go with the instance, and not to a new one that gets the old name"""
    arn = database(server, "rental", Tags=[{"Key": "tier", "Value": "1"}])
    name, client = arn.split(":")[-1], server.client("rds", WEST)
    client.create_db_snapshot(DBInstanceIdentifier=name, DBSnapshotIdentifier=f"{name}-manual")
    kept = {s["DBSnapshotIdentifier"] for s in snapshots(server, name)}
    equal(len(kept), 2, "an automated and a manual snapshot")
    identity, new_name = show(server, name, WEST)["DbiResourceId"], rename(server, name)
    database(server, "rental")
    for each, ours in ((new_name, True), (name, False)):
        equal(show(server, each, WEST)["DbiResourceId"] == identity, ours, f"{each} is the one that there was")
        tags = client.list_tags_for_resource(ResourceName=show(server, each, WEST)["DBInstanceArn"])["TagList"]
        equal(bool(tags), ours, f"tags of {each}")
        found = snapshots(server, each)
        equal(kept & {s["DBSnapshotIdentifier"] for s in found} == kept, ours, f"{each} has the snapshots")
        equal({s["DBInstanceIdentifier"] for s in found}, {each}, f"instance of the snapshots of {each}")
        assert {s["DbiResourceId"] for s in found} == {show(server, each, WEST)["DbiResourceId"]}, "whose snapshots"
    client.delete_db_snapshot(DBSnapshotIdentifier=f"{name}-manual")


@check
def what_was_set(server: Server) -> None:
    """an endpoint, a status and a restore point that were set stay with the instance; its bridge is told at once"""
    name = database(server, "renset").split(":")[-1]
    told = Told("rename")
    knob(server, name, WEST, endpoint={"address": "127.0.0.1", "port": 5443}, bridge=told.argv)
    knob(server, name, WEST, latest_restorable_time="2026-01-02T03:04:05Z")
    with server.settings(db_rename_ms=0):
        ask(server, name, f"{name}-new")
        eventually(told, "the bridge is told")
        found = [(t["event"], t["account"], t["region"], t["instance"], t["new_instance"]) for t in told()]
        equal(found, [("renamed", MAIN, WEST, name, f"{name}-new")], "told")
        equal(show(server, name, WEST)["DBInstanceStatus"], "renaming", "status while the bridge works")
        told.go()
        eventually(lambda: bridged_as(server, f"{name}-new"), "it is listed by the new name")
    note(name, f"{name}-new")
    now = show(server, f"{name}-new", WEST)
    equal((now["Endpoint"]["Address"], now["Endpoint"]["Port"]), ("127.0.0.1", 5443), "endpoint")
    equal(now["LatestRestorableTime"].year, 2026, "restore point")
    knob(server, f"{name}-new", WEST, bridge=["false"])
    with server.settings(db_rename_ms=0):
        ask(server, f"{name}-new", name)
        eventually(lambda: shown(server, f"{name}-new")["failed"], "a failure")
        equal(show(server, f"{name}-new", WEST)["DBInstanceStatus"], "renaming", "status after a failure")
        knob(server, f"{name}-new", WEST, bridge=None)
        equal(show(server, name, WEST)["DBInstanceStatus"], "available", "status without the bridge")
    note(f"{name}-new", name)
