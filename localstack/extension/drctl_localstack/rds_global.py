"""Aurora global databases: one cluster that writes, and clusters in other regions that replicate from it. moto supports
global clusters within one region only, never moves the writer, and ignores a request to remove a member that it does
not know.

The clusters are moto's; which clusters belong together is recorded here.
"""

import time
import uuid
from dataclasses import dataclass, field

from moto.rds.models import DBCluster

from drctl_localstack import settings
from drctl_localstack.rds_overlay import LagPoint

CONNECTED, RESYNC = "connected", "pending-resync"


@dataclass
class Member:
    cluster: DBCluster
    forwards: bool = False
    follows_since: float | None = None  # None: it is the writer
    follows_until: float | None = None
    resync_since: float | None = None
    removed_since: float | None = None
    forced_synchronization: str | None = None
    lag: list[LagPoint] = field(default_factory=list)

    @property
    def arn(self) -> str:
        return self.cluster.db_cluster_arn

    @property
    def region(self) -> str:
        return self.cluster.region


@dataclass
class Operation:
    """A switchover, or a failover, which may lose data and detaches the other members."""

    since: float
    target: Member
    loses_data: bool


@dataclass
class GlobalCluster:
    account: str
    identifier: str
    region: str  # where the global cluster was created
    engine: str
    version: str
    database: str | None = None
    encrypted: bool = False
    protected: bool = False
    tags: list[dict] = field(default_factory=list)
    members: list[Member] = field(default_factory=list)
    writer: Member | None = None
    operation: Operation | None = None
    number: str = field(default_factory=lambda: uuid.uuid4().hex[:16])

    @property
    def arn(self) -> str:
        return f"arn:aws:rds::{self.account}:global-cluster:{self.identifier}"

    def seen_in(self, region: str) -> bool:
        """Whether the region has a member; a global cluster without members is seen where it was created."""
        return region in ([member.region for member in self.members] or [self.region])

    def member(self, arn: str) -> Member | None:
        return next((member for member in self.members if member.arn == arn), None)


_known: dict[tuple[str, str], GlobalCluster] = {}


def known(account: str) -> list[GlobalCluster]:
    return [each for (owner, _), each in _known.items() if owner == account]


def get(account: str, identifier: str) -> GlobalCluster | None:
    return _known.get((account, identifier.lower()))


def put(each: GlobalCluster) -> None:
    _known[each.account, each.identifier] = each


def drop(each: GlobalCluster) -> None:
    del _known[each.account, each.identifier]


def forget() -> None:
    _known.clear()


def forget_knobs() -> None:
    for each in _known.values():
        for member in each.members:
            member.forced_synchronization, member.lag = None, []


def of_cluster(cluster: DBCluster) -> tuple[GlobalCluster, Member] | None:
    for each in known(cluster.account_id):
        member = each.member(cluster.db_cluster_arn)
        if member:
            return each, member
    return None


def join(each: GlobalCluster, cluster: DBCluster, forwards: bool) -> None:
    """The first member is the writer; all others replicate from it."""
    member = Member(cluster, forwards)
    each.members.append(member)
    if each.writer is None:
        _make_writer(each, member)
    else:
        member.follows_since = time.time()
    cluster.global_cluster_identifier = each.identifier


def _make_writer(each: GlobalCluster, member: Member) -> None:
    each.writer = member
    member.cluster.is_writer = True
    member.resync_since = member.forced_synchronization = None


def begin(each: GlobalCluster, target: Member, loses_data: bool) -> None:
    each.operation = Operation(time.time(), target, loses_data)


def settle(account: str, now: float) -> None:
    for each in known(account):
        _settle_operation(each, now)
        for member in list(each.members):
            if member.removed_since is not None and now >= member.removed_since + settings.seconds("global_remove_ms"):
                _remove(each, member, now)
            if member.resync_since is not None and now >= member.resync_since + settings.seconds("global_resync_ms"):
                member.resync_since = None


def _settle_operation(each: GlobalCluster, now: float) -> None:
    operation = each.operation
    if operation is None:
        return
    moves = settings.seconds("global_failover_ms" if operation.loses_data else "global_switchover_ms")
    end = operation.since + settings.seconds("global_pending_ms") + moves
    if now < end:
        return
    old, each.operation = each.writer, None
    old.cluster.is_writer = False
    old.follows_since, old.follows_until, old.lag = end, None, []
    operation.target.follows_until = end
    _make_writer(each, operation.target)
    if operation.loses_data:  # detached members have to be created again from the new writer
        for member in each.members:
            member.resync_since = None if member is each.writer else end


def _remove(each: GlobalCluster, member: Member, now: float) -> None:
    """Removes a member, which is then a standalone, writable cluster."""
    each.members.remove(member)
    if member is each.writer:
        each.writer = None
    member.follows_until = now
    member.cluster.global_cluster_identifier = None
    member.cluster.is_writer = True


def synchronization(member: Member) -> str:
    return member.forced_synchronization or (CONNECTED if member.resync_since is None else RESYNC)


def lag_at(member: Member, at: float) -> float | None:
    """In milliseconds, like AWS's metrics; None: no data points."""
    point = next((p for p in reversed(member.lag) if p.since <= at), None)
    if point is None:
        return float(settings.get("global_lag_ms"))
    if point.seconds is None:
        return None
    return (point.seconds + (at - point.since if point.grows else 0.0)) * 1000


KNOBS = {"replication_lag_ms", "lag_grows", "synchronization", "forwards"}


def configure(cluster: DBCluster, body: dict) -> dict | None:
    """Applies settings from the control surface. None if the cluster belongs to no global cluster."""
    unknown = set(body) - KNOBS
    if unknown:
        raise ValueError(f"unknown {sorted(unknown)}; known: {sorted(KNOBS)}")
    found = of_cluster(cluster)
    if found is None:
        return None
    each, member = found
    if "replication_lag_ms" in body:
        value = body["replication_lag_ms"]
        seconds = None if value is None else float(value) / 1000
        member.lag.append(LagPoint(time.time(), seconds, bool(body.get("lag_grows", False))))
    if "synchronization" in body:
        if body["synchronization"] not in (None, CONNECTED, RESYNC):
            raise ValueError(f"synchronization must be {CONNECTED}, {RESYNC} or null")
        member.forced_synchronization = body["synchronization"]
    if "forwards" in body:
        member.forwards = bool(body["forwards"])
    now = time.time()
    return {
        "cluster": cluster.db_cluster_identifier,
        "global_cluster": each.identifier,
        "writer": member is each.writer,
        "synchronization": synchronization(member),
        "replication_lag_ms": None if member is each.writer else lag_at(member, now),
    }


def shown(each: GlobalCluster, now: float) -> dict:
    found = {
        "GlobalClusterIdentifier": each.identifier,
        "GlobalClusterResourceId": f"cluster-{each.number}",
        "GlobalClusterArn": each.arn,
        "Status": "available",
        "Engine": each.engine,
        "EngineVersion": each.version,
        "StorageEncrypted": each.encrypted,
        "DeletionProtection": each.protected,
        "Endpoint": f"{each.identifier}.global-{each.number[:12]}.global.rds.amazonaws.com",
        "GlobalClusterMembers": [_member_shown(each, member) for member in each.members],
        "TagList": each.tags,
    }
    if each.database:
        found["DatabaseName"] = each.database
    if each.operation:
        found |= _operation_shown(each, each.operation, now)
    return found


def _member_shown(each: GlobalCluster, member: Member) -> dict:
    writes = member is each.writer
    found = {
        "DBClusterArn": member.arn,
        "IsWriter": writes,
        "Readers": [other.arn for other in each.members if writes and other is not member],
        "SynchronizationStatus": synchronization(member),
    }
    if not writes:
        found["GlobalWriteForwardingStatus"] = "enabled" if member.forwards else "disabled"
    return found


def _operation_shown(each: GlobalCluster, operation: Operation, now: float) -> dict:
    moving = "failing-over" if operation.loses_data else "switching-over"
    verified = now >= operation.since + settings.seconds("global_pending_ms")
    state = {
        "Status": moving if verified else "pending",
        "FromDbClusterArn": each.writer.arn,
        "ToDbClusterArn": operation.target.arn,
        "IsDataLossAllowed": operation.loses_data,
    }
    return {"Status": moving, "FailoverState": state}
