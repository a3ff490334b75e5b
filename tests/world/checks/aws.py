"""The same servers and the same zone, controlled through the AWS API."""

import json
import os
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from checks.harness import (
    HERE,
    LOCALSTACK,
    World,
    check_apart_with_localstack,
    equal,
    eventually,
    later,
    segment_of,
    segments,
    traces,
)

sys.path.insert(0, f"{HERE}/lib")

from aws import Account, tag  # noqa: E402

RECOVERS = "SELECT pg_is_in_recovery()"


@check_apart_with_localstack
def failover(folder: str) -> None:
    """AWS's calls really fence, promote, redirect and lose no row; a replica comes under a renamed instance's name, both ways"""
    with of_aws(f"{folder}/aws") as (world, made):
        failed_over(world, made)
        came_back(world, made)
        replaced(world, made, "west", "east", 1)
        second(world, made)
        promoted(world, made, "west")
        segment = segment_of(world.region("east")["data"])
        world.fault("kill", "east", "postgres")
        replaced(world, made, "east", "west", 2)
        assert segment not in segments(), "shared memory of the server that was killed is left"
        used = {segment_of(world.data(server)) for server in ("west", "west/shop-west-old", "east", "east/shop-east-old")}
        equal(len(used & segments()), 4, "servers with shared memory of their own")
        world.fault("kill", "west/shop-west-old", "postgres")
        number = world.id
        world.do("down")
        equal(used & segments(), set(), "shared memory left")
        eventually(lambda: not traces(world.folder, number), "nothing is left of a world of four servers", 5)


@contextmanager
def of_aws(folder: str):
    """A separate world that the AWS API controls as well."""
    world = World(folder, "--localstack", LOCALSTACK)
    try:
        words = (process := world.start()).communicate(timeout=60)[1]
        equal(process.returncode, 0, f"exit code of up: {words}")
        world.open()
        world.do("aws")
        with open(f"{world.folder}/aws.json") as file:
            yield world, json.load(file)
    finally:
        world.do("down")


def failed_over(world: World, made: dict) -> None:
    west, east = made["sites"]["west"], made["sites"]["east"]
    aws = Account(LOCALSTACK, made["account"])

    def instance(site: dict) -> str:
        return aws.query("rds", site["region"], "DescribeDBInstances", DBInstanceIdentifier=site["instance"])

    def call(site: dict, action: str, **more: str) -> None:
        aws.query("rds", site["region"], action, DBInstanceIdentifier=site["instance"], **more)

    equal(tag(instance(west), "Address"), world.region("west")["db"], "endpoint")
    with world.client("fresh") as fresh, world.client("pooled") as pool:
        call(west, "ModifyDBInstance", VpcSecurityGroupIds_VpcSecurityGroupId_1=west["fence_group"])
        later(fresh, lambda a: "no answer" in (a["error"] or ""), "new connections find nobody")
        equal(later(pool, lambda a: True, "a write")["site"], "west", "where the pooled client still writes")
        eventually(lambda: tag(instance(west), "Status") == "active", "the fence is active")
        call(west, "RebootDBInstance")
        later(pool, lambda a: not a["ok"], "the pooled client loses its session")
        call(east, "PromoteReadReplica")
        equal(world.sql("east", RECOVERS), "t", "in recovery, before the promotion takes effect")
        eventually(lambda: tag(instance(east), "DBInstanceStatus") == "modifying", "modifying")
        eventually(lambda: tag(instance(east), "DBInstanceStatus") == "available", "promoted")
        equal(world.sql("east", RECOVERS), "f", "in recovery, when AWS says that it is promoted")
        aws.record(made["zone"], world.facts["names"]["db"], world.region("east")["db"], 5)
        for client in (fresh, pool):
            equal(later(client, lambda a: a["ok"], "a write")["site"], "east", "where clients write")
    equal(world.truth("east", fresh, pool)["lost"], [], "lost rows")


def database(made: dict, place: str, name: str) -> str:
    """What AWS returns for an instance; empty if no instance has that name."""
    every = call(made, place, "DescribeDBInstances").split("<DBInstance>")
    return next((one for one in every if f"<DBInstanceIdentifier>{name}<" in one), "")


def call(made: dict, place: str, action: str, **more: str) -> str:
    return Account(LOCALSTACK, made["account"]).query("rds", made["sites"][place]["region"], action, **more)


def is_now(made: dict, place: str, name: str, status: str) -> None:
    wanted = f"<DBInstanceStatus>{status}<"
    eventually(lambda: wanted in database(made, place, name), f"{name} is {status}")


def promoted(world: World, made: dict, place: str) -> None:
    name = made["sites"][place]["instance"]
    call(made, place, "PromoteReadReplica", DBInstanceIdentifier=name)
    eventually(lambda: "<ReadReplicaSourceDBInstanceIdentifier>" not in database(made, place, name), f"{name} is promoted")
    equal(world.sql(place, RECOVERS), "f", f"{place} in recovery")


def renamed(made: dict, place: str, name: str, new_name: str) -> None:
    change = {"NewDBInstanceIdentifier": new_name, "ApplyImmediately": "true"}
    call(made, place, "ModifyDBInstance", DBInstanceIdentifier=name, **change)
    is_now(made, place, new_name, "available")


def came_back(world: World, made: dict) -> None:
    """The old primary keeps running under another name, reachable only there and still fenced; then it gets its old name back."""
    count, west = "SELECT count(*) FROM ledger", world.region("west")["db"]
    rows, group = world.sql("west", count), {"VpcSecurityGroupIds_VpcSecurityGroupId_1": made["sites"]["west"]["group"]}
    renamed(made, "west", "shop-west", "shop-west-aside")
    aside = tag(database(made, "west", "shop-west-aside"), "Address")
    assert aside != west, "the endpoint is still that of the old name"
    assert "timeout" in reached(world, aside, count, 2), "a fence is lifted by another name"
    call(made, "west", "ModifyDBInstance", DBInstanceIdentifier="shop-west-aside", **group)
    eventually(lambda: reached(world, aside, count, None) == rows, "its rows are there, when it is open")
    assert "refused" in reached(world, west, count, 2), "somebody listens at the old name's endpoint"
    renamed(made, "west", "shop-west-aside", "shop-west")
    equal(tag(database(made, "west", "shop-west"), "Address"), west, "its endpoint")
    equal(reached(world, west, count), rows, "rows of the one that came back")
    assert "refused" in reached(world, aside, count, 2), "somebody listens at an endpoint that nobody has"


def reached(world: World, address: str, text: str, code: int | None = 0) -> str:
    """What a user of the application gets from an endpoint."""
    with open(world.facts["logins"]["app"]) as file:
        login = json.load(file)
    way = f"host={address} dbname=shop user={login['username']} password={login['password']} connect_timeout=2"
    return world.do("in", "users", f"{world.facts['bin']}/psql", "-X", "-At", "-d", way, "-c", text, code=code).strip()


def replaced(world: World, made: dict, place: str, source: str, row: int) -> None:
    """The old primary is renamed and keeps its data; a replica of the new primary gets its name and receives new rows."""
    name, old = made["sites"][place]["instance"], f"{made['sites'][place]['instance']}-old"
    renamed(made, place, name, old)
    rows = world.sql(f"{place}/{old}", "SELECT count(*) FROM ledger")
    arn = tag(database(made, source, made["sites"][source]["instance"]), "DBInstanceArn")
    more = {"SourceDBInstanceIdentifier": arn, "VpcSecurityGroupIds_VpcSecurityGroupId_1": made["sites"][place]["group"]}
    call(made, place, "CreateDBInstanceReadReplica", DBInstanceIdentifier=name, **more)
    is_now(made, place, name, "available")
    equal(tag(database(made, place, name), "Address"), world.region(place)["db"], "endpoint of the new one")
    world.sql(source, f"INSERT INTO ledger (n, via) VALUES (-{row}, 'replaced')")
    there = f"SELECT count(*) FROM ledger WHERE n = -{row}"
    eventually(lambda: world.sql(place, there) == "1", f"the row that was written in {source} is in {place}")
    equal(world.sql(place, RECOVERS), "t", f"{place} in recovery")
    equal(world.sql(f"{place}/{old}", "SELECT count(*) FROM ledger"), rows, "rows of the old one, which goes on")
    equal(world.sql(f"{place}/{old}", RECOVERS), "f", "the old one in recovery")
    at = {tag(database(made, place, each), "Address") for each in (name, old)}
    equal(len(at), 2, "endpoints")
    since = world.sql(place, "SELECT pg_postmaster_start_time()")
    call(made, place, "RebootDBInstance", DBInstanceIdentifier=old)
    is_now(made, place, old, "available")
    equal(world.sql(place, "SELECT pg_postmaster_start_time()"), since, "when the server of the new one started")


def second(world: World, made: dict) -> None:
    """A second standby can have any name and has its own endpoint and group; it survives a rename, and disappears when it is deleted."""
    arn = tag(database(made, "east", "shop-east"), "DBInstanceArn")
    more = {"SourceDBInstanceIdentifier": arn, "VpcSecurityGroupIds_VpcSecurityGroupId_1": made["sites"]["west"]["group"]}
    call(made, "west", "CreateDBInstanceReadReplica", DBInstanceIdentifier="second", **more)
    is_now(made, "west", "second", "available")
    renamed(made, "west", "second", "other")
    at = tag(database(made, "west", "other"), "Address")
    world.sql("east", "INSERT INTO ledger (n, via) VALUES (-9, 'second')")
    there = "SELECT count(*) FROM ledger WHERE n = -9"
    for address in (at, world.region("west")["db"]):
        eventually(lambda: reached(world, address, there) == "1", f"the row that was written in east is at {address}")
    assert "read-only" in reached(world, at, "INSERT INTO ledger (n) VALUES (-10)", 1), "the second standby takes writes"
    fence = {"VpcSecurityGroupIds_VpcSecurityGroupId_1": made["sites"]["west"]["fence_group"]}
    call(made, "west", "ModifyDBInstance", DBInstanceIdentifier="other", **fence)
    eventually(lambda: "timeout" in reached(world, at, there, None), "its group is closed")
    equal(reached(world, world.region("west")["db"], there), "1", "the row at the first, whose group is open")
    slots = "SELECT count(*) FROM pg_replication_slots WHERE active"
    equal(world.sql("east", slots), "2", "standbys of east")
    source_renamed(world, made, slots)
    segment, place = segment_of(world.data("west/other")), os.path.dirname(os.path.dirname(world.data("west/other")))
    call(made, "west", "DeleteDBInstance", DBInstanceIdentifier="other", SkipFinalSnapshot="true")
    eventually(lambda: not database(made, "west", "other"), "it is deleted")
    assert segment not in segments() and not os.path.exists(place), f"left in {place}"
    assert "refused" in reached(world, at, there, 2), "somebody listens at the endpoint of the one that is deleted"
    equal(world.sql("east", "SELECT count(*) FROM pg_replication_slots WHERE slot_name <> 'west' AND NOT active"), "0", "slots left")
    equal(world.sql("west", RECOVERS), "t", "west in recovery")


def source_renamed(world: World, made: dict, slots: str) -> None:
    """Standbys follow their source when it is renamed, and when it is renamed back."""
    for name, new, row in (("shop-east", "shop-east-new", 11), ("shop-east-new", "shop-east", 12)):
        renamed(made, "east", name, new)
        server = "east" if new == "shop-east" else f"east/{new}"
        world.sql(server, f"INSERT INTO ledger (n, via) VALUES (-{row}, 'renamed')")
        for standby in ("west", "west/other"):
            there = f"SELECT count(*) FROM ledger WHERE n = -{row}"
            eventually(lambda: world.sql(standby, there) == "1", f"{standby} follows {new}")


@check_apart_with_localstack
def restored(folder: str) -> None:
    """an instance is made of a backup and the archive: to a moment, to the latest, of a snapshot; beside the old, and exactly"""
    with of_aws(f"{folder}/restored") as (world, made):
        ways = {"west": "shop-west"}
        marked(world, 1)
        snapshot = {"DBSnapshotIdentifier": "marked", "DBInstanceIdentifier": "shop-west"}
        call(made, "west", "CreateDBSnapshot", **snapshot)
        is_now(made, "west", "shop-west", "available")
        marked(world, 2)
        # Exactly the commit time of the second row: it includes that row, and nothing later.
        moment = world.sql("west", COMMITTED)
        marked(world, 3)
        too_late(made, moment)
        shipped(world, made, "shop-west", moment)
        # Nothing is committed or archived after the last row, so there is no more WAL.
        quiet = world.sql("west", NOW)
        eventually(lambda: latest(made, "west", "shop-west") > moment_of(quiet), "time goes on where nobody writes")
        source = {"SourceDBInstanceIdentifier": "shop-west"}
        restore = "RestoreDBInstanceToPointInTime"
        call(made, "west", restore, TargetDBInstanceIdentifier="moment", RestoreTime=moment, **source)
        call(made, "west", restore, TargetDBInstanceIdentifier="quiet", RestoreTime=quiet, **source)
        call(made, "west", restore, TargetDBInstanceIdentifier="latest", UseLatestRestorableTime="true", **source)
        call(made, "west", "RestoreDBInstanceFromDBSnapshot", DBInstanceIdentifier="of-snapshot", DBSnapshotIdentifier="marked")
        expected = {"moment": "1,2", "quiet": "1,2,3", "latest": "1,2,3", "of-snapshot": "1"}
        for name, rows in expected.items():
            is_now(made, "west", name, "available")
            at = tag(database(made, "west", name), "Address")
            equal(reached(world, at, MARKS), rows, f"rows of {name}")
            equal(world.sql(f"west/{name}", RECOVERS), "f", f"{name} in recovery")
            ways[name] = at
        equal(len(set(ways.values())), 5, "endpoints")
        reached(world, ways["moment"], "INSERT INTO ledger (n, via) VALUES (-100, 'marked')")
        equal([world.sql("west", MARKS), world.sql("east", MARKS)], ["1,2,3"] * 2, "rows of the source and its replica")
        again(world, made)
        gone(world, made, list(expected))
        broken_off(world, made)


MARKS = "SELECT string_agg((-n)::text, ',' ORDER BY -n) FROM ledger WHERE via = 'marked'"
IN_UTC = "SELECT to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
NOW = IN_UTC.format("clock_timestamp()")
COMMITTED = IN_UTC.format("pg_xact_commit_timestamp(xmin)") + " FROM ledger WHERE n = -2"


def marked(world: World, number: int) -> None:
    world.sql("west", f"INSERT INTO ledger (n, via) VALUES (-{number}, 'marked')")


def moment_of(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def latest(made: dict, place: str, name: str) -> datetime:
    """The latest restorable time, or a time long ago if there is none."""
    found = database(made, place, name)
    return moment_of(tag(found, "LatestRestorableTime") if "<LatestRestorableTime>" in found else "1970-01-01T00:00:00Z")


def shipped(world: World, made: dict, name: str, moment: str) -> None:
    """Waits until this moment can be restored, which is so as soon as the WAL is archived."""
    server = "west" if name == "shop-west" else f"west/{name}"

    def reaches() -> bool:
        world.sql(server, "SELECT pg_switch_wal()")
        return latest(made, "west", name) > moment_of(moment)

    eventually(reaches, f"{moment} of {name} can be restored")


def too_late(made: dict, moment: str) -> None:
    """Neither a moment that is not archived nor one in the future can be restored."""
    time.sleep(3)  # enough time for a wrong answer that depended on time alone
    soon = f"{datetime.now(UTC) + timedelta(minutes=1):%Y-%m-%dT%H:%M:%SZ}"
    assert latest(made, "west", "shop-west") < moment_of(moment), "the time of a row that is not archived counts as restorable"
    for at in (moment, soon):
        try:
            more = {"SourceDBInstanceIdentifier": "shop-west", "RestoreTime": at}
            call(made, "west", "RestoreDBInstanceToPointInTime", TargetDBInstanceIdentifier="late", **more)
        except RuntimeError as refused:
            assert "cannot be restored to" in str(refused), refused
        else:
            raise AssertionError(f"restored to {at}, which is not archived")


def again(world: World, made: dict) -> None:
    """A restored instance has its own backups, from which another one can be restored."""
    since = world.sql("west/moment", NOW)
    shipped(world, made, "moment", since)
    more = {"SourceDBInstanceIdentifier": "moment", "TargetDBInstanceIdentifier": "again", "RestoreTime": since}
    call(made, "west", "RestoreDBInstanceToPointInTime", **more)
    is_now(made, "west", "again", "available")
    equal(world.sql("west/again", MARKS), "1,2,100", "rows of one that was restored from a restored one")


def gone(world: World, made: dict, names: list[str]) -> None:
    """Deleting a server, even a killed one, removes it and its data; the others stay until the world is taken down."""
    data, alive = {name: world.data(f"west/{name}") for name in names}, world.data("west/again")
    used = {segment_of(data[name]) for name in names}
    equal(len(used & segments()), len(names), "shared memory of the restored servers")
    world.fault("kill", f"west/{names[0]}", "postgres")
    for name in names:
        call(made, "west", "DeleteDBInstance", DBInstanceIdentifier=name, SkipFinalSnapshot="true")
    for name in names:
        eventually(lambda: not database(made, "west", name), f"{name} is deleted")
        assert not os.path.exists(data[name]), f"the data of {name} is left"
    equal(used & segments(), set(), "shared memory left")
    equal(world.sql("west/again", RECOVERS), "f", "the one that is left in recovery")
    assert os.path.exists(alive), "its data is elsewhere, so that nothing is proven of the others'"
    call(made, "east", "DeleteDBInstance", DBInstanceIdentifier="shop-east", SkipFinalSnapshot="true")
    eventually(lambda: not database(made, "east", "shop-east"), "shop-east is deleted")
    assert not os.path.exists(world.data("east")), "the data of a region's own server is left"
    assert "refused" in reached(world, world.region("east")["db"], "SELECT 1", 2), "it still listens"


def broken_off(world: World, made: dict) -> None:
    """A world can be taken down while servers are being created in it."""
    number, more = world.id, {"SourceDBInstanceIdentifier": "again", "UseLatestRestorableTime": "true"}
    begun = moment_of(world.sql("west/again", NOW)) - timedelta(minutes=5)
    eventually(lambda: latest(made, "west", "again") > begun, "backups of the last one")
    for name in ("midway", "waiting"):
        call(made, "west", "RestoreDBInstanceToPointInTime", TargetDBInstanceIdentifier=name, **more)
    eventually(lambda: os.path.exists(world.data("west/midway")), "the data of one that is being made")
    known = segments()
    world.do("down")
    eventually(lambda: not traces(world.folder, number), "nothing is left", 5)
    # Servers of other worlds come and go; the remains of a killed one disappear after a while.
    eventually(lambda: not segments(unused=True) - known, "no shared memory is left")
