"""The same servers and the same zone through AWS's API."""

import json
import sys

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
)

sys.path.insert(0, f"{HERE}/lib")

from aws import Account, tag  # noqa: E402

RECOVERS = "SELECT pg_is_in_recovery()"


@check_apart_with_localstack
def failover(folder: str) -> None:
    """AWS's calls really fence, promote, redirect and lose no row; renamed instances make room for replicas, both ways"""
    world = World(f"{folder}/aws", "--localstack", LOCALSTACK)
    try:
        words = (process := world.start()).communicate(timeout=60)[1]
        equal(process.returncode, 0, f"exit code of up: {words}")
        world.open()
        world.do("aws")
        with open(f"{world.folder}/aws.json") as file:
            made = json.load(file)
        failed_over(world, made)
        came_back(world, made)
        replaced(world, made, "west", "east", 1)
        only_server(world, made)
        promoted(world, made, "west")
        segment = segment_of(world.region("east")["data"])
        world.fault("kill", "east", "postgres")
        replaced(world, made, "east", "west", 2)
        assert segment not in segments(), "shared memory of the server that was killed is left"
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
    """What AWS says of an instance; nothing if there is none of that name."""
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
    """As long as nobody has come in its place, the old primary is back under its own name, with its rows."""
    rows = world.sql("west", "SELECT count(*) FROM ledger")
    renamed(made, "west", "shop-west", "shop-west-aside")
    renamed(made, "west", "shop-west-aside", "shop-west")
    equal(world.sql("west", "SELECT count(*) FROM ledger"), rows, "rows of the one that came back")
    equal(tag(database(made, "west", "shop-west"), "Address"), world.region("west")["db"], "its endpoint")


def replaced(world: World, made: dict, place: str, source: str, row: int) -> None:
    """The old primary makes room, a replica of the new one comes under its name, and what is written there is here."""
    name, old = made["sites"][place]["instance"], f"{made['sites'][place]['instance']}-old"
    renamed(made, place, name, old)
    gone = world.do("host", place, "psql", "-X", "-d", "shop", "-c", "SELECT 1", code=2)
    assert "Connection refused" in gone, f"the renamed server is not stopped: {gone}"
    assert old in tag(database(made, place, old), "Address"), "the renamed one's endpoint is still that of the server"
    arn = tag(database(made, source, made["sites"][source]["instance"]), "DBInstanceArn")
    more = {"SourceDBInstanceIdentifier": arn, "VpcSecurityGroupIds_VpcSecurityGroupId_1": made["sites"][place]["group"]}
    call(made, place, "CreateDBInstanceReadReplica", DBInstanceIdentifier=name, **more)
    is_now(made, place, name, "available")
    equal(tag(database(made, place, name), "Address"), world.region(place)["db"], "endpoint of the new one")
    world.sql(source, f"INSERT INTO ledger (n, via) VALUES (-{row}, 'replaced')")
    rows = f"SELECT count(*) FROM ledger WHERE n = -{row}"
    eventually(lambda: world.sql(place, rows) == "1", f"the row that was written in {source} is in {place}")
    equal(world.sql(place, RECOVERS), "t", f"{place} in recovery")
    since = world.sql(place, "SELECT pg_postmaster_start_time()")
    call(made, place, "RebootDBInstance", DBInstanceIdentifier=old)
    is_now(made, place, old, "available")
    equal(world.sql(place, "SELECT pg_postmaster_start_time()"), since, "when the server of the new one started")


def only_server(world: World, made: dict) -> None:
    """A second instance beside one that is alive gets none; it stays as it is until it is deleted, and disturbs nobody."""
    arn = tag(database(made, "east", made["sites"]["east"]["instance"]), "DBInstanceArn")
    second = {"DBInstanceIdentifier": "second"}
    call(made, "west", "CreateDBInstanceReadReplica", **second, SourceDBInstanceIdentifier=arn)
    account = Account(LOCALSTACK, made["account"])
    mine = eventually(lambda: [b for b in account.bridges() if b["instance"] == "second" and b.get("failed")], "a failure")
    assert "the only server in west is that of shop-west" in mine[0]["error"], mine
    equal(tag(database(made, "west", "second"), "DBInstanceStatus"), "creating", "status of the second")
    call(made, "west", "DeleteDBInstance", **second, SkipFinalSnapshot="true")
    eventually(lambda: not database(made, "west", "second"), "it is deleted")
    equal(world.sql("west", RECOVERS), "t", "west in recovery")
