"""Servers that die, run out of disk space and recover, and what clients see."""

import time

from checks.harness import World, check, check_with_localstack, equal, eventually, later, run

STREAMS = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND client_addr = '{}'"


@check
def parts(world: World, other: World) -> None:
    """nginx or the application dies alone, and starts again"""
    for part in ("nginx", "app"):
        world.fault("kill", "west", part)
        assert not world.health().get("ok"), f"healthy without {part}"
        world.fault("start", "west", part)
        assert world.healthy("west"), f"not healthy with {part} again"


@check
def lost_rows(world: World, other: World) -> None:
    """a primary is killed while its standby is behind: east is promoted, clients follow the name, lost rows are known"""
    with world.client("fresh") as fresh, world.client("pooled") as pool:
        world.fault("one-way", "west", "east")
        time.sleep(1)
        world.fault("kill", "west", "postgres")
        later(fresh, lambda a: "refused" in (a["error"] or ""), "nobody listens")
        world.fault("heal", "west")
        world.sql("east", "SELECT pg_promote()")
        world.do("dns", "set", "db", "east")
        for client in (fresh, pool):
            equal(later(client, lambda a: a["ok"], "a write")["site"], "east", "where clients write")
        time.sleep(0.5)
    world.do("dns", "set", "www", "east")
    eventually(lambda: world.healthy("east"), "east serves users")
    truth = world.truth("east", fresh, pool)
    assert truth["lost"], "no row was lost: the standby was not behind"
    assert all(row["server"] == world.region("west")["db"] for row in truth["lost"]), truth["lost"]
    equal(truth["acknowledged"] - truth["present"], len(truth["lost"]), "lost rows")
    for client in truth["clients"]:
        assert client["longest_outage"]["s"] > 0.5 and client["open_outage_s"] < 10, client


@check
def rewind(world: World, other: World) -> None:
    """the old primary comes back with rows of its own, and pg_rewind by its host makes it a standby of the new one"""
    data, east = world.region("west")["data"], world.region("east")["db"]
    world.fault("start", "west", "postgres")
    equal(world.sql("west", "SELECT pg_is_in_recovery()"), "f", "it thinks that it is in recovery")
    world.do("host", "west", "pg_ctl", "-D", data, "-m", "fast", "-w", "stop")
    world.sql("east", "SELECT pg_create_physical_replication_slot('west')")
    world.sql("east", "CHECKPOINT")
    source = f"host={east} user=repl dbname=postgres"
    world.do("host", "west", "pg_rewind", "-D", data, "--source-server", source, "-R")
    world.do("host", "west", "sh", "-c", f"echo \"primary_slot_name = 'west'\" >> {data}/postgresql.auto.conf")
    world.do("host", "west", "pg_ctl", "-D", data, "-l", world.region("west")["log"], "-w", "start")
    west = world.region("west")["self"]
    eventually(lambda: world.sql("east", STREAMS.format(west)) == "1", "west streams from east")


@check
def still(world: World, other: World) -> None:
    """a server stands still: connections are made and nothing is answered, and what was begun is done when it wakes"""
    world.fault("freeze", "east")
    try:
        assert not world.health().get("ok"), "healthy while it stands still"
        assert other.healthy("west"), "the other world's server stands still as well"
    finally:
        world.fault("wake", "east")
    eventually(lambda: world.healthy("east"), "writes again")


@check
def full_disk(world: World, other: World) -> None:
    """a full disk makes writes fail in its region alone, and they work again when there is space"""
    world.fault("fill-disk", "east")
    eventually(lambda: not world.health().get("ok"), "a write fails", 8)
    error = world.health()["error"]
    assert other.healthy("west"), "the other world's disk is full as well"
    world.fault("free-disk", "east")
    if "No space left" not in error:  # the server itself has stopped, which a full disk can also cause
        world.fault("start", "east", "postgres")
    eventually(lambda: world.healthy("east"), "writes again")


@check_with_localstack
def archive(world: World, other: World) -> None:
    """WAL arrives in LocalStack's S3"""
    world.sql("east", "SELECT pg_switch_wal()")
    listing = f"{world.facts['archive']}?list-type=2&prefix=wal/0"
    eventually(lambda: "<Key>" in run("curl", "-s", listing), "a file in the archive")
