"""Bridges: programs that carry out what a call promised, and what responses show until they have."""

import json
import tempfile
from pathlib import Path

from checks import rds
from checks.harness import EAST, MAIN, WEST, Server, check, equal, eventually, refused
from checks.rds import knob, pair, promote, show
from checks.route53 import BATCH, change, simple, zone

_folder = tempfile.TemporaryDirectory()


class Told:
    """A bridge that records what it was told, and completes once the file `go` exists."""

    def __init__(self, name: str) -> None:
        self.path = Path(_folder.name) / name
        go = f"while [ ! -e {self.path}.go ]; do sleep 0.05; done"
        self.argv = ["sh", "-c", f"cat >> {self.path}; echo >> {self.path}; {go}"]

    def __call__(self) -> list[dict]:
        return [json.loads(line) for line in self.path.read_text().splitlines()] if self.path.exists() else []

    def go(self) -> None:
        Path(f"{self.path}.go").touch()

    def halt(self) -> None:
        Path(f"{self.path}.go").unlink()


def shown(server: Server, name: str) -> dict:
    every = server.control("bridges")["bridges"]
    return next(bridge for bridge in every if name in (bridge.get("instance"), bridge.get("zone")))


@check
def promotion(server: Server) -> None:
    """a promotion is told when it takes effect, also if nobody looks, and is over when its bridge has done it"""
    _, name = pair(server, "bridged")
    told = Told("promotion")
    knob(server, name, bridge=told.argv)
    with server.settings(promote_lag_before_modifying_ms=0, promote_modifying_ms=200):
        promote(server, name)
        eventually(told, "the bridge is told")
        found = told()
        equal([(t["event"], t["account"], t["region"], t["instance"]) for t in found], [("promoted", MAIN, EAST, name)], "told")
        equal(show(server, name)["DBInstanceStatus"], "modifying", "status while the bridge works")
        assert "ReadReplicaSourceDBInstanceIdentifier" in show(server, name), "it lost its source before it was promoted"
        told.go()
        eventually(lambda: show(server, name)["DBInstanceStatus"] == "available", "available")
    assert "ReadReplicaSourceDBInstanceIdentifier" not in show(server, name), "the source is still there"
    # A promoted replica has backups from then on.
    eventually(lambda: len(told()) > 1, "the bridge is told of the first backup")
    equal([t["event"] for t in told()], ["promoted", "snapshot"], "all that it was told")
    runs = {"runs": 2, "failed": 0, "error": None}
    eventually(lambda: shown(server, name) == {**shown(server, name), **runs}, "what is shown of its runs")


@check
def groups(server: Server) -> None:
    """security groups are told with their names, and are active when the bridge has done it; a restore has no bridge"""
    source, _ = pair(server, "bridged-groups")
    ec2 = server.client("ec2", WEST)
    fence = ec2.create_security_group(GroupName=f"fence-{source}", Description="fence")["GroupId"]
    told = Told("groups")
    knob(server, source, WEST, bridge=told.argv)
    with server.settings(sg_apply_ms=100):
        server.client("rds", WEST).modify_db_instance(DBInstanceIdentifier=source, VpcSecurityGroupIds=[fence])
        eventually(told, "the bridge is told")
        equal([(t["event"], t["groups"]) for t in told()], [("groups", [fence])], "told")
        states = {g["VpcSecurityGroupId"]: g["Status"] for g in show(server, source, WEST)["VpcSecurityGroups"]}
        equal(states[fence], "adding", "the group while the bridge works")
        told.go()
        eventually(lambda: [g["Status"] for g in show(server, source, WEST)["VpcSecurityGroups"]] == ["active"], "active")
    server.client("rds", WEST).restore_db_instance_to_point_in_time(
        SourceDBInstanceIdentifier=source, TargetDBInstanceIdentifier=f"{source}-copy", UseLatestRestorableTime=True
    )
    rds._made.append((WEST, f"{source}-copy"))
    equal([b["instance"] for b in server.control("bridges")["bridges"] if source in b.get("instance", "")], [source], "bridges")


@check
def reboot(server: Server) -> None:
    """a reboot is told when it begins, and lasts as long as its bridge"""
    source, _ = pair(server, "bridged-reboot")
    told = Told("reboot")
    knob(server, source, WEST, bridge=told.argv)
    with server.settings(db_reboot_ms=100):
        server.client("rds", WEST).reboot_db_instance(DBInstanceIdentifier=source)
        eventually(told, "the bridge is told")
        equal([t["event"] for t in told()], ["rebooted"], "told")
        equal(show(server, source, WEST)["DBInstanceStatus"], "rebooting", "status while the bridge works")
        told.go()
        eventually(lambda: show(server, source, WEST)["DBInstanceStatus"] == "available", "available")


@check
def failure(server: Server) -> None:
    """what a bridge failed to do stays under way, and is shown; another one tries again, and without one it goes on"""
    _, name = pair(server, "bridged-broken")
    knob(server, name, bridge=["sh", "-c", "echo no such server >&2; exit 3"])
    with server.settings(promote_lag_before_modifying_ms=0, promote_modifying_ms=0):
        promote(server, name)
        found = eventually(lambda: shown(server, name)["failed"] and shown(server, name), "a failure")
        equal((found["runs"], found["error"]), (1, "exit 3: no such server"), "what is shown")
        equal(show(server, name)["DBInstanceStatus"], "modifying", "status after the failure")
        told = Told("again")
        knob(server, name, bridge=told.argv)
        equal([t["event"] for t in eventually(told, "another bridge is told")], ["promoted"], "told")
        equal(show(server, name)["DBInstanceStatus"], "modifying", "status while the other bridge works")
        knob(server, name, bridge=None)
        equal(show(server, name)["DBInstanceStatus"], "available", "status without the bridge")
        told.go()
    body = {"account": MAIN, "region": EAST, "instance": name}
    equal(server.status("rds", {**body, "bridge": "a string"}), 400, "a bridge that is no list")
    assert not [b for b in server.control("bridges")["bridges"] if b.get("instance") == name], "it is still listed"


@check
def zones(server: Server) -> None:
    """an accepted batch is told with the sets that result, in order, and is INSYNC when its bridge has done it"""
    zone_id, name = zone(server, "bridged")
    told = Told("zone")
    server.control("route53", {"account": MAIN, "zone": zone_id, "bridge": told.argv})
    client = server.client("route53")
    with server.settings(insync_ms=0):
        change_id = change(server, zone_id, ("CREATE", simple(f"a.{name}", "192.0.2.1")))["Id"]
        second = change(server, zone_id, ("UPSERT", simple(f"a.{name}", "192.0.2.2")))["Id"]
        refused(BATCH, lambda: change(server, zone_id, ("CREATE", simple(f"a.{name}", "192.0.2.3"))))
        eventually(told, "the bridge is told")
        equal(len(told()), 1, "runs at once")
        equal(client.get_change(Id=change_id)["ChangeInfo"]["Status"], "PENDING", "while the bridge works")
        told.go()
        for each in (change_id, second):
            eventually(lambda: client.get_change(Id=each)["ChangeInfo"]["Status"] == "INSYNC", "INSYNC")
    equal([t["changed"] for t in told()], [[{"name": f"a.{name}.", "type": "A"}]] * 2, "changed")
    values = [[s["ResourceRecords"] for s in t["record_sets"] if s["Name"] == f"a.{name}."] for t in told()]
    equal(values, [[[{"Value": "192.0.2.1"}]], [[{"Value": "192.0.2.2"}]]], "sets that result")
    server.control("route53", {"account": MAIN, "zone": zone_id, "bridge": ["false"]})
    change_id = change(server, zone_id, ("UPSERT", simple(f"a.{name}", "192.0.2.4")))["Id"]
    eventually(lambda: shown(server, zone_id)["failed"], "a failure")
    with server.settings(insync_ms=0):
        equal(client.get_change(Id=change_id)["ChangeInfo"]["Status"], "PENDING", "after a failure")
        server.control("route53", {"account": MAIN, "zone": zone_id, "bridge": None})
        equal(client.get_change(Id=change_id)["ChangeInfo"]["Status"], "INSYNC", "without the bridge")
    equal(server.status("route53", {"account": MAIN, "zone": "Z0", "bridge": None}), 404, "an unknown zone")


@check
def reset(server: Server) -> None:
    """a reset removes the bridges, and keeps what they served"""
    zone_id, _ = zone(server, "bridged-reset")
    server.control("route53", {"account": MAIN, "zone": zone_id, "bridge": ["true"]})
    before = server.control("settings")
    server.control("reset", {})
    server.control("settings", before)
    equal(server.control("bridges"), {"bridges": []}, "bridges")
