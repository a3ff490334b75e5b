"""The same servers and the same zone through AWS's API."""

import json
import sys

from checks.harness import HERE, LOCALSTACK, World, check_apart_with_localstack, equal, eventually, later

sys.path.insert(0, f"{HERE}/lib")

from aws import Account, tag  # noqa: E402

RECOVERS = "SELECT pg_is_in_recovery()"


@check_apart_with_localstack
def failover(folder: str) -> None:
    """AWS's calls fence, promote and redirect really: a group, a reboot, a promotion, a record, and no row is lost"""
    world = World(f"{folder}/aws", "--localstack", LOCALSTACK)
    try:
        words = (process := world.start()).communicate(timeout=60)[1]
        equal(process.returncode, 0, f"exit code of up: {words}")
        world.open()
        world.do("aws")
        failed_over(world)
    finally:
        world.do("down")


def failed_over(world: World) -> None:
    with open(f"{world.folder}/aws.json") as file:
        made = json.load(file)
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
