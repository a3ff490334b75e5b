"""RDS: Aurora global databases, whose writer can move from one region to another."""

import time
from datetime import UTC, datetime, timedelta

from checks.harness import EAST, MAIN, RUN, WEST, Server, check, equal, refused, steps

FAR = "eu-west-1"
GLOBAL_STATE, STATE, TOGETHER = "InvalidGlobalClusterStateFault", "InvalidDBClusterStateFault", "InvalidParameterCombination"
NO_GLOBAL, NO_CLUSTER = "GlobalClusterNotFoundFault", "DBClusterNotFoundFault"
AT_ONCE = {f"global_{what}_ms": 0 for what in ("pending", "switchover", "failover", "remove", "resync")}
_made: list[str] = []


def cluster(server: Server, name: str, region: str, **more) -> str:
    asked = {"DBClusterIdentifier": f"{name}-{RUN}", "Engine": "aurora-postgresql", "EngineVersion": "16.4", **more}
    return server.client("rds", region).create_db_cluster(**asked)["DBCluster"]["DBClusterArn"]


def instance(server: Server, arn: str) -> None:
    asked = {"DBInstanceIdentifier": f"{arn.split(':')[-1]}-1", "DBClusterIdentifier": arn.split(":")[-1]}
    asked |= {"DBInstanceClass": "db.r6g.large", "Engine": "aurora-postgresql"}
    server.client("rds", arn.split(":")[3]).create_db_instance(**asked)


def world(server: Server, name: str, headless: bool = False) -> tuple[str, str, str]:
    """A writer in the west, a secondary in the east."""
    west = cluster(server, f"{name}-w", WEST, MasterUsername="main", MasterUserPassword="not-a-secret")
    made = server.client("rds", WEST).create_global_cluster(
        GlobalClusterIdentifier=f"{name.upper()}-{RUN}", SourceDBClusterIdentifier=west
    )["GlobalCluster"]
    _made.append(made["GlobalClusterIdentifier"])
    east = cluster(server, f"{name}-e", EAST, GlobalClusterIdentifier=made["GlobalClusterIdentifier"])
    for arn in (west,) if headless else (west, east):
        instance(server, arn)
    return made["GlobalClusterIdentifier"], west, east


def show(server: Server, name: str, region: str = EAST) -> dict:
    return server.client("rds", region).describe_global_clusters(GlobalClusterIdentifier=name)["GlobalClusters"][0]


def member(server: Server, name: str, arn: str) -> dict:
    return next(m for m in show(server, name)["GlobalClusterMembers"] if m["DBClusterArn"] == arn)


def writer(server: Server, name: str) -> str:
    return next(m["DBClusterArn"] for m in show(server, name)["GlobalClusterMembers"] if m["IsWriter"])


def move(server: Server, name: str, target: str, how: str = "switchover", region: str = EAST, **more) -> dict:
    asked = {"GlobalClusterIdentifier": name, "TargetDbClusterIdentifier": target, **more}
    return getattr(server.client("rds", region), f"{how}_global_cluster")(**asked)["GlobalCluster"]


def remove(server: Server, name: str, arn: str, region: str = EAST) -> dict:
    asked = {"GlobalClusterIdentifier": name, "DbClusterIdentifier": arn}
    return server.client("rds", region).remove_from_global_cluster(**asked)["GlobalCluster"]


def clean_up(server: Server) -> None:
    with server.settings(**AT_ONCE):
        for name in _made:
            found = next((show(server, name, r) for r in (WEST, EAST) if seen(server, name, r)), None)
            for m in sorted(found["GlobalClusterMembers"] if found else [], key=lambda m: m["IsWriter"]):
                remove(server, name, m["DBClusterArn"], m["DBClusterArn"].split(":")[3])
            if found:
                server.client("rds", WEST).delete_global_cluster(GlobalClusterIdentifier=name)
        for region in (WEST, EAST, FAR):
            _delete_clusters(server.client("rds", region))


def _delete_clusters(client) -> None:
    for found in client.describe_db_clusters()["DBClusters"]:
        if found["DBClusterIdentifier"].endswith(RUN):
            for each in found["DBClusterMembers"]:
                client.delete_db_instance(DBInstanceIdentifier=each["DBInstanceIdentifier"], SkipFinalSnapshot=True)
            client.delete_db_cluster(DBClusterIdentifier=found["DBClusterIdentifier"], SkipFinalSnapshot=True)


def seen(server: Server, name: str, region: str) -> bool:
    found = server.client("rds", region).describe_global_clusters()["GlobalClusters"]
    return name in [each["GlobalClusterIdentifier"] for each in found]


@check
def members(server: Server) -> None:
    """a global cluster names its writer and who follows it, and is known where it has members only"""
    name, west, east = world(server, "glo")
    for region in (WEST, EAST):
        found = show(server, name, region)
        equal((found["Status"], found["Engine"], "FailoverState" in found), ("available", "aurora-postgresql", False), region)
    first, second = found["GlobalClusterMembers"]
    equal((first["DBClusterArn"], first["IsWriter"], first["Readers"]), (west, True, [east]), "the writer")
    equal((second["DBClusterArn"], second["IsWriter"], second["Readers"]), (east, False, []), "the other")
    equal(second["GlobalWriteForwardingStatus"], "disabled", "write forwarding")
    equal([m["SynchronizationStatus"] for m in (first, second)], ["connected"] * 2, "synchronization")
    equal(name, f"glo-{RUN}", "its name")
    refused(NO_GLOBAL, lambda: show(server, name, FAR))
    equal((seen(server, name, EAST), seen(server, name, FAR)), (True, False), "where it is listed")
    client = server.client("rds", EAST)
    here = client.describe_global_clusters(Filters=[{"Name": "region", "Values": [WEST]}])["GlobalClusters"]
    assert name in [g["GlobalClusterIdentifier"] for g in here], "it is not found by its writer's region"
    there = client.describe_global_clusters(Filters=[{"Name": "region", "Values": [FAR]}])["GlobalClusters"]
    equal(there, [], "by another region")
    of = client.describe_db_clusters(DBClusterIdentifier=east.split(":")[-1])["DBClusters"][0]
    equal([m["IsClusterWriter"] for m in of["DBClusterMembers"]], [False], "instances of a cluster that follows")


@check
def joining(server: Server) -> None:
    """a second cluster of a region, of another engine, with a user, or of nobody's global cluster is refused"""
    name, west, _ = world(server, "join")
    joined = {"GlobalClusterIdentifier": name}
    refused("InvalidParameterValue", lambda: cluster(server, "join-x", EAST, **joined), "already")
    refused(TOGETHER, lambda: cluster(server, "join-x", FAR, MasterUsername="main", **joined), "user name")
    refused(TOGETHER, lambda: cluster(server, "join-x", FAR, **{**joined, "Engine": "aurora-mysql"}))
    refused(TOGETHER, lambda: cluster(server, "join-x", FAR, **{**joined, "EngineVersion": "15.4"}))
    refused(NO_GLOBAL, lambda: cluster(server, "join-x", FAR, GlobalClusterIdentifier="nobodys"))
    refused("DBClusterAlreadyExistsFault", lambda: cluster(server, "join-e", EAST))
    client = server.client("rds", WEST)
    again = {"GlobalClusterIdentifier": name, "Engine": "aurora-mysql"}
    refused("GlobalClusterAlreadyExistsFault", lambda: client.create_global_cluster(**again))
    asked = {"GlobalClusterIdentifier": f"other-{RUN}", "SourceDBClusterIdentifier": west}
    refused(STATE, lambda: client.create_global_cluster(**asked))
    refused(TOGETHER, lambda: client.create_global_cluster(**asked, Engine="aurora-postgresql"))
    refused(STATE, lambda: client.delete_db_cluster(DBClusterIdentifier=west.split(":")[-1], SkipFinalSnapshot=True))
    refused(GLOBAL_STATE, lambda: client.delete_global_cluster(GlobalClusterIdentifier=name))
    alone = {"GlobalClusterIdentifier": f"empty-{RUN}", "Engine": "aurora-postgresql", "EngineVersion": "16.4"}
    empty = client.create_global_cluster(**alone)["GlobalCluster"]["GlobalClusterIdentifier"]
    _made.append(empty)
    refused("InvalidParameterValue", lambda: cluster(server, "join-p", WEST, GlobalClusterIdentifier=empty), "MasterUsername")
    user = {"MasterUsername": "main", "MasterUserPassword": "not-a-secret"}
    first = cluster(server, "join-p", WEST, GlobalClusterIdentifier=empty, **user)
    equal(show(server, empty, WEST)["GlobalClusterMembers"][0]["IsWriter"], True, "the first one writes")
    equal(show(server, empty, WEST)["GlobalClusterMembers"][0]["DBClusterArn"], first, "the first one")


@check
def switchover(server: Server) -> None:
    """a switchover is pending, then switching-over; only at its end the writer has moved, and nobody is behind"""
    name, west, east = world(server, "swi")
    found = []
    with server.settings(global_pending_ms=300, global_switchover_ms=600):
        answer = move(server, name, east, region=WEST)
        state = answer["FailoverState"]
        equal((state["FromDbClusterArn"], state["ToDbClusterArn"], state["IsDataLossAllowed"]), (west, east, False), "state")
        for call in (lambda: move(server, name, east), lambda: remove(server, name, east)):
            refused(GLOBAL_STATE, call)
        end = time.monotonic() + 8
        while time.monotonic() < end and (not found or found[-1][0] != "available"):
            now = show(server, name)
            found.append((now["Status"], now.get("FailoverState", {}).get("Status"), writer(server, name) == east))
            time.sleep(0.03)
    expected = [("switching-over", "pending", False), ("switching-over", "switching-over", False), ("available", None, True)]
    equal([f for f in steps(found) if f in expected], expected, "status, state, and whether the writer has moved")
    equal({m["SynchronizationStatus"] for m in show(server, name)["GlobalClusterMembers"]}, {"connected"}, "afterwards")
    equal(member(server, name, west)["GlobalWriteForwardingStatus"], "disabled", "the old writer follows")
    of = server.client("rds", WEST).describe_db_clusters(DBClusterIdentifier=west.split(":")[-1])["DBClusters"][0]
    equal([m["IsClusterWriter"] for m in of["DBClusterMembers"]], [False], "instances of the old writer")


@check
def failover(server: Server) -> None:
    """a failover must be told that data may be lost, else it is a switchover; the old writer has to be made anew"""
    name, west, east = world(server, "fail")
    with server.settings(**AT_ONCE):
        equal(move(server, name, east, "failover")["FailoverState"]["IsDataLossAllowed"], False, "without AllowDataLoss")
        equal(writer(server, name), east, "the writer")
        move(server, name, west, "failover", Switchover=True)
        equal(writer(server, name), west, "the writer, back")
    both = {"AllowDataLoss": True, "Switchover": True}
    refused(TOGETHER, lambda: move(server, name, east, "failover", **both))
    with server.settings(**{**AT_ONCE, "global_resync_ms": 60_000}):
        state = move(server, name, east, "failover", AllowDataLoss=True)
        equal((state["Status"], state["FailoverState"]["IsDataLossAllowed"]), ("failing-over", True), "the answer")
        equal(writer(server, name), east, "the writer")
        equal(member(server, name, west)["SynchronizationStatus"], "pending-resync", "the old writer")
        refused(GLOBAL_STATE, lambda: move(server, name, west))
    with server.settings(**AT_ONCE):
        equal(member(server, name, west)["SynchronizationStatus"], "connected", "the old writer, later")
    place = {"account": MAIN, "region": WEST, "cluster": west.split(":")[-1]}
    equal(server.control("aurora", {**place, "synchronization": "pending-resync"})["writer"], False, "what was set")
    refused(GLOBAL_STATE, lambda: move(server, name, west))
    server.control("aurora", {**place, "synchronization": None})
    equal(member(server, name, west)["SynchronizationStatus"], "connected", "what was unset")
    for forwards, word in ((True, "enabled"), (False, "disabled")):
        server.control("aurora", {**place, "forwards": forwards})
        equal(member(server, name, west)["GlobalWriteForwardingStatus"], word, "write forwarding")
    for wrong in ({"synchronization": "x"}, {"nothing": 1}):
        equal(server.status("aurora", {**place, **wrong}), 400, f"{wrong}")
    equal(server.status("aurora", {**place, "cluster": "nobodys"}), 404, "an unknown cluster")


@check
def refusals(server: Server) -> None:
    """a target that writes, has no instance, is no member or no ARN is refused, and a region without a member knows nothing"""
    name, west, east = world(server, "gno", headless=True)
    refused(STATE, lambda: move(server, name, west), "primary")
    refused(STATE, lambda: move(server, name, east), "no DB instance")
    refused(STATE, lambda: move(server, name, east, "failover", AllowDataLoss=True), "no DB instance")
    refused("InvalidParameterValue", lambda: move(server, name, east.split(":")[-1]))
    refused(NO_CLUSTER, lambda: move(server, name, east + "x"))
    alone = cluster(server, "gno-a", FAR, MasterUsername="main", MasterUserPassword="not-a-secret")
    refused(NO_CLUSTER, lambda: move(server, name, alone))
    refused(NO_GLOBAL, lambda: move(server, name, east, region=FAR))
    refused(NO_GLOBAL, lambda: move(server, "nobodys", east))
    equal((show(server, name)["Status"], writer(server, name)), ("available", west), "what it is after all that")
    instance(server, east)
    with server.settings(**AT_ONCE):
        move(server, name.upper(), east)
        equal(writer(server, name), east, "the writer, when the target has an instance")


@check
def removal(server: Server) -> None:
    """a member that is removed stands alone when its time is up; a writer that others follow cannot be"""
    name, west, east = world(server, "rem")
    refused(GLOBAL_STATE, lambda: remove(server, name, west))
    with server.settings(global_remove_ms=60_000):
        equal(len(remove(server, name, east)["GlobalClusterMembers"]), 2, "members at first")
        refused(GLOBAL_STATE, lambda: move(server, name, east))
    with server.settings(**AT_ONCE):
        equal([m["DBClusterArn"] for m in show(server, name, WEST)["GlobalClusterMembers"]], [west], "members afterwards")
        refused(NO_GLOBAL, lambda: show(server, name, EAST))
        refused(NO_CLUSTER, lambda: remove(server, name, east, WEST))
        client = server.client("rds", EAST)
        of = client.describe_db_clusters(DBClusterIdentifier=east.split(":")[-1])["DBClusters"][0]
        equal([m["IsClusterWriter"] for m in of["DBClusterMembers"]], [True], "it takes writes")
        equal(of.get("GlobalClusterIdentifier"), None, "it belongs to nobody")
        remove(server, name, west, WEST)
        equal(show(server, name, WEST)["GlobalClusterMembers"], [], "members in the end")
        west_client = server.client("rds", WEST)
        new = west_client.modify_global_cluster(GlobalClusterIdentifier=name, NewGlobalClusterIdentifier=f"{name}-new")
        equal(new["GlobalCluster"]["GlobalClusterIdentifier"], f"{name}-new", "another name")
        west_client.delete_global_cluster(GlobalClusterIdentifier=f"{name}-new")
    refused(NO_GLOBAL, lambda: show(server, f"{name}-new", WEST))


@check
def lag(server: Server) -> None:
    """both lags are to be had in the region that follows, in milliseconds, as they were set; the writer has none"""
    name, west, east = world(server, "lag")
    place = {"account": MAIN, "region": EAST, "cluster": east.split(":")[-1]}

    def points(arn: str, metric: str, **more: str) -> list[float]:
        dimensions = [{"Name": "DBClusterIdentifier", "Value": arn.split(":")[-1]}]
        dimensions += [{"Name": key, "Value": value} for key, value in more.items()]
        now, region = datetime.now(UTC), arn.split(":")[3]
        found = server.client("cloudwatch", region).get_metric_statistics(
            Namespace="AWS/RDS",
            MetricName=metric,
            Dimensions=dimensions,
            StartTime=now - timedelta(minutes=5),
            EndTime=now + timedelta(seconds=1),
            Period=60,
            Statistics=["Maximum"],
        )["Datapoints"]
        return [(p["Maximum"], p["Unit"]) for p in sorted(found, key=lambda p: p["Timestamp"])]

    for metric in ("AuroraGlobalDBReplicationLag", "AuroraGlobalDBRPOLag"):
        equal(points(east, metric)[-1:], [(100.0, "Milliseconds")], f"{metric} that nobody set")
        equal(points(east, metric, SourceRegion=WEST)[-1:], [(100.0, "Milliseconds")], f"{metric} by region")
        equal((points(east, metric, SourceRegion=FAR), points(west, metric)), ([], []), f"{metric} of others")
    server.control("aurora", {**place, "replication_lag_ms": 4200})
    equal(points(east, "AuroraGlobalDBRPOLag")[-1:], [(4200.0, "Milliseconds")], "a lag that was set")
    server.control("aurora", {**place, "replication_lag_ms": 1000, "lag_grows": True})
    time.sleep(0.3)
    assert points(east, "AuroraGlobalDBReplicationLag")[-1][0] >= 1300, "it does not grow"
    with server.settings(**AT_ONCE):
        move(server, name, east)
        equal(writer(server, name), east, "the writer")
    equal(points(west, "AuroraGlobalDBReplicationLag")[-1:], [(100.0, "Milliseconds")], "lag of the old writer")
