"""RDS DescribeEvents: the proof that a reboot ended, which must not come early or for another instance."""

import time
from datetime import UTC, datetime, timedelta

from checks import rds
from checks.harness import EAST, MAIN, RUN, WEST, Server, check, equal, eventually, refused, steps
from checks.rds import STATE, database, knob, pair, show

SHUTDOWN, RESTARTED = "DB instance shutdown", "DB instance restarted"


def tell(server: Server, name: str, region: str = WEST, **asked) -> list[dict]:
    asked = {"SourceIdentifier": name, "SourceType": "db-instance", "EventCategories": ["availability"], **asked}
    return server.client("rds", region).describe_events(**asked)["Events"]


def messages(server: Server, name: str, region: str = WEST, **asked) -> list[str]:
    return [event["Message"] for event in tell(server, name, region, **asked)]


def boot(server: Server, name: str, region: str = WEST) -> None:
    server.client("rds", region).reboot_db_instance(DBInstanceIdentifier=name)


def boot_at_once(server: Server, name: str, region: str = WEST) -> None:
    with server.settings(db_reboot_ms=0):
        boot(server, name, region)
        equal(show(server, name, region)["DBInstanceStatus"], "available", "status")


@check
def at_the_end(server: Server) -> None:
    """a reboot's events come when it is over, not before: shutdown dated at its beginning, restarted at its end"""
    arn = database(server, "event")
    name = arn.split(":")[-1]
    began, seen = datetime.now(UTC), []
    with server.settings(db_reboot_ms=1000):
        boot(server, name)
        end = time.monotonic() + 8
        while time.monotonic() < end and (not seen or not seen[-1][0]):
            seen.append((tuple(messages(server, name)), show(server, name, WEST)["DBInstanceStatus"]))
            time.sleep(0.03)
    first, *between, last = steps(seen)
    equal((first, last), (((), "rebooting"), ((SHUTDOWN, RESTARTED), "available")), "events and status")
    assert between in ([], [((), "available")]), f"between them: {between}"
    down, up = tell(server, name)
    apart = up["Date"] - down["Date"]  # of dates in milliseconds, cut off
    assert abs(apart - timedelta(seconds=1)) <= timedelta(milliseconds=1), f"{apart} between the two"
    assert began - timedelta(milliseconds=1) <= down["Date"] < began + timedelta(seconds=1), f"{began}: {down}"
    for event in (down, up):
        equal(event["SourceArn"], arn, "ARN")
        equal((event["SourceIdentifier"], event["SourceType"]), (name, "db-instance"), "source")
        equal(event["EventCategories"], ["availability"], "categories")


@check
def only_its_own(server: Server) -> None:
    """events are of one instance in one region; they outlive it; an unknown instance has none"""
    source, name = pair(server, "evown")
    other = database(server, "evother").split(":")[-1]
    boot_at_once(server, name, EAST)
    equal(messages(server, name, EAST)[-1:], [RESTARTED], "of the replica")
    equal((messages(server, name, WEST), messages(server, source), messages(server, other)), ([], [], []), "others")
    equal(messages(server, name.upper(), EAST)[-1:], [RESTARTED], "by another case")
    equal(messages(server, "nobody"), [], "of an unknown instance")
    gone = database(server, "evgone").split(":")[-1]
    boot_at_once(server, gone)
    with server.settings(db_reboot_ms=60_000):
        boot(server, gone)
        server.client("rds", WEST).delete_db_instance(DBInstanceIdentifier=gone, SkipFinalSnapshot=True)
        rds._made.remove((WEST, gone))
    with server.settings(db_reboot_ms=0):
        equal(messages(server, gone), [SHUTDOWN, RESTARTED], "of a deleted instance: one reboot ended, one did not")


@check
def single_az(server: Server) -> None:
    """whether a Single-AZ instance tells of its shutdown can be chosen; it always tells of its restart"""
    _, name = pair(server, "evsingle")
    with server.settings(single_az_shutdown_event=False):
        boot_at_once(server, name, EAST)
    equal(messages(server, name, EAST), [RESTARTED], "without")
    with server.settings(single_az_shutdown_event=True):
        boot_at_once(server, name, EAST)
    equal(sorted(messages(server, name, EAST)), [RESTARTED, RESTARTED, SHUTDOWN], "with")
    both = database(server, "evmulti").split(":")[-1]
    with server.settings(single_az_shutdown_event=False):
        boot_at_once(server, both)
    equal(messages(server, both), [SHUTDOWN, RESTARTED], "Multi-AZ")


@check
def made_shorter(server: Server) -> None:
    """a reboot that a test ends by a shorter duration did not end before it was last seen under way"""
    name = database(server, "evshort").split(":")[-1]
    with server.settings(db_reboot_ms=3_600_000):
        boot(server, name)
        time.sleep(0.3)
        equal(show(server, name, WEST)["DBInstanceStatus"], "rebooting", "status")
        equal(messages(server, name), [], "events while it hangs")
        server.control("settings", {"db_reboot_ms": 0})
        down, up = tell(server, name)
    assert up["Date"] - down["Date"] >= timedelta(seconds=0.3), f"{down['Date']} to {up['Date']}"


@check
def told_later(server: Server) -> None:
    """events can be told later than the instance is available, or never"""
    name = database(server, "evlate").split(":")[-1]
    with server.settings(event_delay_ms=3_600_000):
        boot_at_once(server, name)
        equal(messages(server, name), [], "events at first")
        server.control("settings", {"event_delay_ms": 0})
        down, up = tell(server, name)
    assert up["Date"] >= down["Date"] > datetime.now(UTC) - timedelta(minutes=1), "the delay changed the dates"
    equal(server.status("settings", {"event_delay_ms": -1}), 400, "negative delay")


@check
def what_was_asked(server: Server) -> None:
    """StartTime, EndTime, Duration (60 minutes), categories and type are honoured; an identifier needs a type"""
    name = database(server, "evask").split(":")[-1]
    boot_at_once(server, name)
    at = tell(server, name)[-1]["Date"]

    def found(**asked) -> bool:
        return RESTARTED in messages(server, name, **asked)

    def minutes(count: float) -> datetime:
        return at + timedelta(minutes=count)

    equal((found(StartTime=at), found(StartTime=minutes(0.1))), (True, False), "StartTime")
    equal((found(EndTime=at), found(EndTime=minutes(-0.1))), (True, False), "EndTime")
    equal((found(EndTime=minutes(9), Duration=10), found(EndTime=minutes(11), Duration=10)), (True, False), "Duration")
    equal((found(EndTime=minutes(59)), found(EndTime=minutes(61))), (True, False), "Duration by default")
    equal((found(Duration=1), found(Duration=0)), (True, False), "Duration back from now")
    equal(found(StartTime=minutes(-2880), EndTime=minutes(-1440)), False, "another day")
    equal(found(EventCategories=["backup", "creation"]), False, "other categories")
    equal(found(EventCategories=["backup", "availability"]), True, "one of several categories")
    equal(found(SourceType="db-snapshot"), False, "another type")
    everything = server.client("rds", WEST).describe_events(SourceType="db-instance", MaxRecords=100)["Events"]
    dates = [event["Date"] for event in everything]
    equal(dates, sorted(dates), "oldest first")
    alone = {"SourceIdentifier": name}
    refused("InvalidParameterCombination", lambda: server.client("rds", WEST).describe_events(**alone))


@check
def in_pages(server: Server) -> None:
    """DescribeEvents pages by MaxRecords (20 to 100) and Marker, without gaps or repetitions"""
    name = database(server, "evpage").split(":")[-1]
    with server.settings(db_reboot_ms=0):
        for _ in range(21):
            boot(server, name)
        show(server, name, WEST)  # a reboot ends with the next read after its time
    client = server.client("rds", WEST)
    asked = {"SourceIdentifier": name, "SourceType": "db-instance", "EventCategories": ["availability"]}
    first = client.describe_events(**asked, MaxRecords=20)
    pages = list(client.get_paginator("describe_events").paginate(**asked, PaginationConfig={"PageSize": 20}))
    equal([len(page["Events"]) for page in pages], [20, 20, 2], "sizes")
    equal([event for page in pages for event in page["Events"]], tell(server, name), "all pages together")
    equal(first["Events"], pages[0]["Events"], "first page")
    assert first["Marker"] and "Marker" not in pages[-1], "the last page has a marker, or the first none"
    for wrong in ({"MaxRecords": 19}, {"MaxRecords": 101}, {"Marker": "bogus"}):
        refused("InvalidParameterValue", lambda: client.describe_events(**asked, **wrong))


@check
def fence(server: Server) -> None:
    """a database rebooted while its groups change: both go on by themselves, and it cannot be rebooted twice at once"""
    name = database(server, "evfence").split(":")[-1]
    client, ec2 = server.client("rds", WEST), server.client("ec2", WEST)
    group = ec2.create_security_group(GroupName=f"evfence-{RUN}", Description="fence")["GroupId"]

    def groups() -> list[tuple[str, str]]:
        return [(g["VpcSecurityGroupId"], g["Status"]) for g in show(server, name, WEST)["VpcSecurityGroups"]]

    with server.settings(sg_apply_ms=60_000, db_reboot_ms=60_000):
        client.modify_db_instance(DBInstanceIdentifier=name, VpcSecurityGroupIds=[group], ApplyImmediately=True)
        with server.settings(sg_status_modifying=True):
            refused(STATE, lambda: boot(server, name))
        boot(server, name)
        refused(STATE, lambda: boot(server, name))
        refused(STATE, lambda: client.modify_db_instance(DBInstanceIdentifier=name, BackupRetentionPeriod=3))
        equal((show(server, name, WEST)["DBInstanceStatus"], groups()[0]), ("rebooting", (group, "adding")), "both")
        server.control("settings", {"sg_apply_ms": 0})
        equal((groups(), messages(server, name)), ([(group, "active")], []), "groups first")
        server.control("settings", {"sg_apply_ms": 60_000, "db_reboot_ms": 0})
        eventually(lambda: messages(server, name) == [SHUTDOWN, RESTARTED], "the reboot's events")
    equal((show(server, name, WEST)["DBInstanceStatus"], groups()), ("available", [(group, "active")]), "afterwards")
    server.control("faults", {"service": "rds", "operation": "DescribeEvents", "account": MAIN, "code": "Throttling"})
    refused("Throttling", lambda: tell(server, name))
    knob(server, name, WEST, status="incompatible-network")
    refused(STATE, lambda: boot(server, name))
    equal(messages(server, name), [SHUTDOWN, RESTARTED], "events of a refused reboot")
