"""Routing controls: clusters with five endpoints, safety rules, and the health checks and DNS names that follow them.
"""

import time
import uuid
from concurrent.futures import ThreadPoolExecutor

from botocore.exceptions import ConnectionClosedError, EndpointConnectionError, ReadTimeoutError

from checks.answers import EAST_IP, WEST_IP, ask, pair
from checks.harness import EAST, MAIN, OTHER, RUN, WEST, Server, check, equal, eventually, refused
from checks.health import made, state
from checks.route53 import zone

FIVE = ["us-east-1", "eu-west-1", "us-west-2", "ap-northeast-1", "ap-southeast-2"]
_clusters: list[str] = []


def config(server: Server, account: str = MAIN, region: str = WEST):
    return server.client("route53-recovery-control-config", region, account)


def cluster(server: Server) -> dict:
    """One cluster, shared by all checks that do not need their own."""
    if not _clusters:
        made_now = config(server).create_cluster(ClusterName=f"c-{RUN}")["Cluster"]
        _clusters.append(made_now["ClusterArn"])
    return config(server).describe_cluster(ClusterArn=_clusters[0])["Cluster"]


class Panel:
    """A separate panel with its controls by name, and the calls on them through one endpoint."""

    def __init__(self, server: Server, *names: str, rules: bool = True) -> None:
        self.server, self.cluster, self.config = server, cluster(server), config(server)
        asked = {"ClusterArn": self.cluster["ClusterArn"], "ControlPanelName": f"p-{uuid.uuid4().hex[:8]}"}
        self.arn = self.config.create_control_panel(**asked)["ControlPanel"]["ControlPanelArn"]
        self.controls = {name: self.control(name) for name in names}

    def control(self, name: str) -> str:
        asked = {"ClusterArn": self.cluster["ClusterArn"], "ControlPanelArn": self.arn, "RoutingControlName": name}
        return self.config.create_routing_control(**asked)["RoutingControl"]["RoutingControlArn"]

    def at(self, number: int = 0, **more):
        return self.server.at(self.cluster["ClusterEndpoints"][number], **more)

    def states(self, number: int = 0) -> dict[str, str]:
        found = self.at(number).list_routing_controls(ControlPanelArn=self.arn)["RoutingControls"]
        return {c["RoutingControlName"]: c["RoutingControlState"] for c in found}

    def entries(self, **wanted: str) -> list[dict]:
        return [{"RoutingControlArn": self.controls[n], "RoutingControlState": s} for n, s in wanted.items()]

    def set(self, number: int = 0, override: tuple[str, ...] = (), **wanted: str) -> dict:
        more = {"SafetyRulesToOverride": list(override)} if override else {}
        return self.send(self.entries(**wanted), number, **more)

    def send(self, entries: list[dict], number: int = 0, **more) -> dict:
        return self.at(number).update_routing_control_states(UpdateRoutingControlStateEntries=entries, **more)

    def rule(self, kind: str, name: str, type_: str, wait: int = 0, threshold: int = 0, inverted: bool = False, **controls):
        lists = {key: [self.controls[n] for n in names] for key, names in controls.items()}
        arithmetic = {"Type": type_, "Threshold": threshold, "Inverted": inverted}
        shape = {"Name": name, "ControlPanelArn": self.arn, "RuleConfig": arithmetic, "WaitPeriodMs": wait, **lists}
        return self.config.create_safety_rule(**{kind: shape})[kind]["SafetyRuleArn"]


def clean_up(server: Server) -> None:
    client = config(server)
    for arn in _clusters:
        server.control("arc", {"cluster": arn, "region": "*", "mode": "up", "delay_ms": 0})
        for panel in client.list_control_panels(ClusterArn=arn)["ControlPanels"]:
            where = {"ControlPanelArn": panel["ControlPanelArn"]}
            for rule in client.list_safety_rules(**where)["SafetyRules"]:
                client.delete_safety_rule(SafetyRuleArn=next(iter(rule.values()))["SafetyRuleArn"])
            for control in client.list_routing_controls(**where)["RoutingControls"]:
                client.delete_routing_control(RoutingControlArn=control["RoutingControlArn"])
            if not panel["DefaultControlPanel"]:
                client.delete_control_panel(**where)
        client.delete_cluster(ClusterArn=arn)


def status_of(error_of) -> tuple[str, int, dict]:
    """The code, HTTP status and other members of the error that the call must fail with."""
    try:
        error_of()
    except Exception as error:
        answer = getattr(error, "response", None)
        assert answer, f"no answer, but {error!r}"
        return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"], answer
    raise AssertionError("the call was accepted")


@check
def clusters(server: Server) -> None:
    """a cluster has five endpoints of its own and is DEPLOYED after a while; its control plane is in us-west-2 only"""
    refused("InvalidSignatureException", lambda: config(server, region=EAST).list_clusters())
    client, name = config(server, OTHER), f"own-{RUN}"
    with server.settings(arc_deploy_ms=800):
        made_now = client.create_cluster(ClusterName=name, ClientToken="t1")["Cluster"]
        arn = made_now["ClusterArn"]
        assert arn.startswith(f"arn:aws:route53-recovery-control::{OTHER}:cluster/"), arn
        equal(made_now["Status"], "PENDING", "status")
        control = {"ClusterArn": arn, "RoutingControlName": "west"}
        refused("ConflictException", lambda: client.create_routing_control(**control))
        eventually(lambda: client.describe_cluster(ClusterArn=arn)["Cluster"]["Status"] == "DEPLOYED", "DEPLOYED")
    found = client.describe_cluster(ClusterArn=arn)["Cluster"]["ClusterEndpoints"]
    equal([e["Region"] for e in found], FIVE, "regions")
    equal((len({e["Endpoint"] for e in found}), found[0]["Endpoint"][-3:]), (5, "/v1"), "endpoints")
    equal(client.create_cluster(ClusterName=name, ClientToken="t1")["Cluster"]["ClusterArn"], arn, "the same again")
    refused("ConflictException", lambda: client.create_cluster(ClusterName=name, ClientToken="t2"))
    refused("ConflictException", lambda: client.create_cluster(ClusterName="other", ClientToken="t1"))
    second = client.create_cluster(ClusterName=f"second-{RUN}")["Cluster"]["ClusterArn"]
    refused("ServiceQuotaExceededException", lambda: client.create_cluster(ClusterName=f"third-{RUN}"))
    made_now = client.create_routing_control(**control)["RoutingControl"]
    panel = client.describe_control_panel(ControlPanelArn=made_now["ControlPanelArn"])["ControlPanel"]
    equal((panel["DefaultControlPanel"], panel["RoutingControlCount"]), (True, 1), "the panel of a control without one")
    elsewhere = server.at(client.describe_cluster(ClusterArn=second)["Cluster"]["ClusterEndpoints"][0], OTHER)
    ask_state = {"RoutingControlArn": made_now["RoutingControlArn"]}
    refused("ResourceNotFoundException", lambda: elsewhere.get_routing_control_state(**ask_state))
    equal(server.at(found[3], OTHER).get_routing_control_state(**ask_state)["RoutingControlState"], "Off", "a new control")
    refused("AccessDeniedException", lambda: server.at(found[3]).get_routing_control_state(**ask_state))
    refused("AccessDeniedException", lambda: config(server).describe_cluster(ClusterArn=arn))
    refused("ConflictException", lambda: client.delete_cluster(ClusterArn=arn))
    client.delete_routing_control(**ask_state)
    for each in (arn, second):
        client.delete_cluster(ClusterArn=each)
    refused("ResourceNotFoundException", lambda: client.describe_cluster(ClusterArn=arn))
    equal(client.list_clusters()["Clusters"], [], "clusters left")
    try:
        server.at(found[0], OTHER).list_routing_controls()
    except EndpointConnectionError:
        return
    raise AssertionError("the endpoint of a deleted cluster answers")


@check
def config_lists(server: Server) -> None:
    """panels, controls and rules are listed in pages, renamed, tagged, and refused in use or twice"""
    panel = Panel(server, "a", "b", "c")
    client, where = panel.config, {"ControlPanelArn": panel.arn}
    rule = panel.rule("AssertionRule", "one", "OR", AssertedControls=["a", "b"])
    pages = client.get_paginator("list_routing_controls").paginate(**where, PaginationConfig={"PageSize": 2})
    equal([[c["Name"] for c in p["RoutingControls"]] for p in pages], [["a", "b"], ["c"]], "pages")
    listed = client.list_safety_rules(**where)["SafetyRules"]
    equal([(list(r), r["ASSERTION"]["SafetyRuleArn"]) for r in listed], [(["ASSERTION"], rule)], "rules")
    equal(client.describe_safety_rule(SafetyRuleArn=rule)["AssertionRule"]["RuleConfig"]["Type"], "OR", "rule")
    refused("ConflictException", lambda: panel.control("a"))
    refused("ConflictException", lambda: client.delete_routing_control(RoutingControlArn=panel.controls["a"]))
    refused("ConflictException", lambda: client.delete_control_panel(**where))
    least = {"Type": "ATLEAST", "Threshold": 3, "Inverted": False}
    bad = {"Name": "two", **where, "RuleConfig": least, "WaitPeriodMs": 0, "AssertedControls": [panel.controls["a"]]}
    refused("ValidationException", lambda: client.create_safety_rule(AssertionRule=bad))
    client.update_routing_control(RoutingControlArn=panel.controls["c"], RoutingControlName="d")
    equal(sorted(panel.states()), ["a", "b", "d"], "names after a change")
    client.update_safety_rule(AssertionRuleUpdate={"SafetyRuleArn": rule, "Name": "uno", "WaitPeriodMs": 9})
    equal(client.describe_safety_rule(SafetyRuleArn=rule)["AssertionRule"]["WaitPeriodMs"], 9, "wait period")
    client.tag_resource(ResourceArn=panel.arn, Tags={"plan": "x"})
    equal(client.list_tags_for_resource(ResourceArn=panel.arn)["Tags"], {"plan": "x"}, "tags")
    client.delete_safety_rule(SafetyRuleArn=rule)
    client.delete_routing_control(RoutingControlArn=panel.controls["a"])
    equal(client.describe_control_panel(**where)["ControlPanel"]["RoutingControlCount"], 2, "controls left")


@check
def states(server: Server) -> None:
    """what one endpoint takes, all five tell; many states change at once or not at all"""
    panel = Panel(server, "west", "east")
    west, east = panel.controls["west"], panel.controls["east"]
    panel.at(1).update_routing_control_state(RoutingControlArn=west, RoutingControlState="On")
    for number in range(5):
        equal(panel.states(number), {"west": "On", "east": "Off"}, f"states at endpoint {number}")
    found = panel.at(2).get_routing_control_state(RoutingControlArn=west)
    equal((found["RoutingControlName"], found["RoutingControlState"]), ("west", "On"), "one state")
    panel.set(4, west="Off", east="On")
    equal(panel.states(), {"west": "Off", "east": "On"}, "after the switch")
    unknown = {"RoutingControlArn": f"{panel.arn}/routingcontrol/0", "RoutingControlState": "On"}
    wrong = [*panel.entries(west="On"), unknown]
    code, status, answer = status_of(lambda: panel.send(wrong))
    expected = ("ResourceNotFoundException", 404, unknown["RoutingControlArn"])
    equal((code, status, answer["resourceId"]), expected, "answer")
    equal(answer["ResponseMetadata"]["HTTPHeaders"]["content-type"], "application/x-amz-json-1.0", "content type")
    equal(panel.states(), {"west": "Off", "east": "On"}, "after a refusal")
    listed = panel.at().list_routing_controls(MaxResults=1)
    equal((len(listed["RoutingControls"]), "NextToken" in listed), (1, True), "a page")


@check
def impossible(server: Server) -> None:
    """eleven states at once, one twice, no such state, another account, another region, and the common port are refused"""
    panel = Panel(server, *(f"c{i}" for i in range(11)))
    panel.set(**{f"c{i}": "On" for i in range(10)})
    code, status, answer = status_of(lambda: panel.set(**{f"c{i}": "Off" for i in range(11)}))
    equal((code, status), ("ServiceLimitExceededException", 402), "eleven")
    assert answer["limitCode"] and answer["serviceCode"], answer
    equal(set(panel.states().values()), {"On", "Off"}, "states after that")
    twice = panel.entries(c0="On") + panel.entries(c0="Off")
    code, status, answer = status_of(lambda: panel.send(twice))
    equal((code, status, answer["reason"]), ("ValidationException", 400, "fieldValidationFailed"), "twice")
    equal([f["name"] for f in answer["fields"]], ["RoutingControlArn"], "fields")
    one = {"RoutingControlArn": panel.controls["c0"]}
    refused("ValidationException", lambda: panel.at().update_routing_control_state(**one, RoutingControlState="on"))
    refused("InvalidSignatureException", lambda: panel.at(0, region="eu-central-1").get_routing_control_state(**one))
    refused("ValidationException", lambda: server.client("route53-recovery-cluster", WEST).get_routing_control_state(**one))
    equal(panel.at(0, region=WEST).get_routing_control_state(**one)["RoutingControlState"], "On", "signed for us-west-2")


@check
def assertions(server: Server) -> None:
    """an assertion rule holds after the transaction, names itself when it does not, and can be overridden by name"""
    panel = Panel(server, "west", "east")
    panel.set(west="On")
    rule = panel.rule("AssertionRule", "one-is-on", "ATLEAST", threshold=1, AssertedControls=["west", "east"])
    code, status, answer = status_of(lambda: panel.set(west="Off"))
    equal((code, status, answer["resourceId"]), ("ConflictException", 409, rule), "answer")
    assert rule in answer["Error"]["Message"] and answer["resourceType"], answer
    equal(panel.states(), {"west": "On", "east": "Off"}, "states after a refusal")
    panel.set(west="Off", east="On")
    equal(panel.states(), {"west": "Off", "east": "On"}, "states after the switch in one")
    refused("ResourceNotFoundException", lambda: panel.set(east="Off", override=(f"{panel.arn}/safetyrule/0",)))
    panel.set(east="Off", override=(rule,))
    equal(set(panel.states().values()), {"Off"}, "states after an override")
    never_both = panel.rule("AssertionRule", "never-both", "AND", inverted=True, AssertedControls=["west", "east"])
    refused("ConflictException", lambda: panel.set(west="On", east="On"), never_both)
    panel.set(west="On")


@check
def gates(server: Server) -> None:
    """targets move only while the gate stood open before; one rule is named at a time, so all have to be overridden"""
    panel = Panel(server, "gate", "west", "east")
    gate = panel.rule("GatingRule", "gate", "OR", GatingControls=["gate"], TargetControls=["west", "east"])
    refused("ConflictException", lambda: panel.set(west="On"), gate)
    refused("ConflictException", lambda: panel.set(gate="On", west="On"), gate)
    panel.set(gate="On")
    panel.set(west="On")
    panel.set(gate="Off")
    refused("ConflictException", lambda: panel.set(west="Off"), gate)
    one = panel.rule("AssertionRule", "one-is-on", "OR", AssertedControls=["west", "east"])
    refused("ConflictException", lambda: panel.set(west="Off"), gate)
    refused("ConflictException", lambda: panel.set(west="Off", override=(gate,)), one)
    panel.set(west="Off", override=(gate, one))
    equal(panel.states(), {"gate": "Off", "west": "Off", "east": "Off"}, "states")


@check
def waiting(server: Server) -> None:
    """after a change nothing goes through a rule until its wait period is over, not even the same again"""
    panel = Panel(server, "west", "east", "free")
    rule = panel.rule("AssertionRule", "calm", "OR", wait=700, AssertedControls=["west", "east"])
    panel.set(west="On")
    began = time.monotonic()
    refused("ConflictException", lambda: panel.set(west="Off", east="On"), rule)
    refused("ConflictException", lambda: panel.set(west="On"), "wait period")
    panel.set(free="On")
    panel.set(west="Off", east="On", override=(rule,))
    time.sleep(max(0.0, 0.75 - (time.monotonic() - began)))
    refused("ConflictException", lambda: panel.set(west="On"), "wait period")
    eventually(lambda: panel.at() and _went(panel), "the wait period is over")
    equal(panel.states(), {"west": "On", "east": "On", "free": "On"}, "states")


def _went(panel: Panel) -> bool:
    try:
        panel.set(west="On")
    except Exception:
        return False
    return True


@check
def one_winner(server: Server) -> None:
    """of two that switch in opposite directions under a rule, the rule holds whoever is first"""
    panel = Panel(server, "west", "east")
    panel.set(west="On", east="On")
    panel.rule("AssertionRule", "one-is-on", "OR", AssertedControls=["west", "east"])

    def off(which: int) -> bool:
        try:
            panel.set(which, **{("west", "east")[which]: "Off"})
        except Exception:
            return False
        return True

    for _ in range(5):
        with ThreadPoolExecutor(2) as pool:
            equal(sum(pool.map(off, (0, 1))), 1, "winners")
        equal(list(panel.states().values()).count("On"), 1, "controls that are on")
        panel.set(west="On", east="On")


@check
def endpoints(server: Server) -> None:
    """an endpoint can be refused, hang, cut, be slow or unavailable; the other four go on, and the state is one"""
    panel = Panel(server, "west")
    arn, one = panel.cluster["ClusterArn"], {"RoutingControlArn": panel.controls["west"]}

    def mode(number: int, **what) -> None:
        server.control("arc", {"cluster": arn, "region": FIVE[number], **what})

    def fails(error: type, call) -> None:
        try:
            call()
        except error:
            return
        raise AssertionError(f"no {error.__name__}")

    mode(0, mode="refuse")
    fails(EndpointConnectionError, lambda: panel.at(0).get_routing_control_state(**one))
    mode(1, mode="hang")
    fails(ReadTimeoutError, lambda: panel.at(1, read_timeout=0.5).get_routing_control_state(**one))
    mode(2, mode="unavailable")
    code, status, _ = status_of(lambda: panel.at(2).update_routing_control_state(**one, RoutingControlState="On"))
    equal((code, status), ("EndpointTemporarilyUnavailableException", 503), "unavailable")
    mode(3, delay_ms=400)
    began = time.monotonic()
    equal(panel.at(3).get_routing_control_state(**one)["RoutingControlState"], "Off", "slow")
    assert time.monotonic() - began >= 0.4, "not slow"
    mode(4, mode="cut")
    fails(ConnectionClosedError, lambda: panel.at(4).update_routing_control_state(**one, RoutingControlState="On"))
    equal(panel.states(3), {"west": "On"}, "carried out, though the answer was lost")
    shown = next(c for c in server.control("arc")["clusters"] if c["cluster"] == arn)
    equal([e["mode"] for e in shown["endpoints"]], ["refuse", "hang", "unavailable", "up", "cut"], "modes")
    server.control("arc", {"cluster": arn, "region": "*", "mode": "up", "delay_ms": 0})
    after = config(server).describe_cluster(ClusterArn=arn)["Cluster"]["ClusterEndpoints"]
    equal(after, panel.cluster["ClusterEndpoints"], "endpoints after that")
    for number in range(5):
        equal(panel.states(number), {"west": "On"}, f"endpoint {number} after that")
    equal(server.status("arc", {"cluster": arn, "region": EAST, "mode": "down"}), 400, "an unknown mode")
    equal(server.status("arc", {"cluster": "c", "region": EAST, "mode": "up"}), 404, "an unknown cluster")


@check
def by_path(server: Server) -> None:
    """each endpoint is also a path of the common port, where it can be slow or unavailable"""
    panel = Panel(server, "west")
    arn, one = panel.cluster["ClusterArn"], {"RoutingControlArn": panel.controls["west"]}
    shown = next(c for c in server.control("arc")["clusters"] if c["cluster"] == arn)["endpoints"]
    tokyo = server.at({"Endpoint": server.endpoint + shown[3]["path"], "Region": shown[3]["region"]})
    tokyo.update_routing_control_state(**one, RoutingControlState="On")
    equal((panel.states(0), server.control("log")["log"][-2]["region"]), ({"west": "On"}, FIVE[3]), "state and region")
    server.control("arc", {"cluster": arn, "region": FIVE[3], "mode": "unavailable", "delay_ms": 300})
    began = time.monotonic()
    refused("EndpointTemporarilyUnavailableException", lambda: tokyo.get_routing_control_state(**one))
    assert time.monotonic() - began >= 0.3, "not slow"
    server.control("arc", {"cluster": arn, "region": "*", "mode": "up", "delay_ms": 0})


@check
def counted(server: Server) -> None:
    """calls are logged and counted in their endpoint's region, and a dark region takes its endpoint along"""
    panel = Panel(server, "west")
    one = {"RoutingControlArn": panel.controls["west"]}
    before = server.control("log")["log"][-1]["seq"]
    panel.at(1, region=WEST).get_routing_control_state(**one)
    server.control("faults", {"service": "*", "region": WEST, "code": "ServiceUnavailable", "calls": None})
    refused("ServiceUnavailable", lambda: panel.at(2).get_routing_control_state(**one))
    refused("ServiceUnavailable", lambda: config(server).list_clusters())
    panel.at(0).update_routing_control_state(**one, RoutingControlState="On")
    server.control("faults", method="DELETE")
    found = [(e["region"], e["operation"], e["status"], e["code"]) for e in server.control(f"log?since={before}")["log"]]
    expected = [
        ("eu-west-1", "GetRoutingControlState", 200, None),
        (WEST, "GetRoutingControlState", 503, "ServiceUnavailable"),
        (WEST, "ListClusters", 503, "ServiceUnavailable"),
        (EAST, "UpdateRoutingControlState", 200, None),
    ]
    equal(found, expected, "log")
    rows = server.control("calls")["calls"]
    assert [r for r in rows if (r["region"], r["service"]) == ("eu-west-1", "route53-recovery-cluster")], "not counted"


@check
def rates(server: Server) -> None:
    """with a limit set, the fourth change of a second at one endpoint is throttled, and reads are not"""
    panel = Panel(server, "west")
    with server.settings(arc_changes_per_s=3):
        for state_ in ("On", "Off", "On"):
            panel.set(0, west=state_)
        code, status, answer = status_of(lambda: panel.set(0, west="Off"))
        equal((code, status, answer["retryAfterSeconds"]), ("ThrottlingException", 429, 1), "the fourth")
        panel.set(1, west="Off")
        equal(panel.states(0), {"west": "Off"}, "a read")


@check
def moves_names(server: Server) -> None:
    """a routing control is a health check, which moves failover sets; neither the zone nor Route 53 is called for it"""
    panel = Panel(server, "west", "east")
    zone_id, name = zone(server, "routed")
    checks = {n: made(server, Type="RECOVERY_CONTROL", RoutingControlArn=arn) for n, arn in panel.controls.items()}
    listed = panel.config.list_associated_route53_health_checks(RoutingControlArn=panel.controls["west"])
    equal(listed["HealthCheckIds"], [checks["west"]], "checks of a control")
    refused("InvalidInput", lambda: server.client("route53").get_health_check_status(HealthCheckId=checks["west"]))
    with server.settings(insync_ms=0, arc_apply_ms=300):
        pair(server, zone_id, name, checks["west"], checks["east"])
        panel.set(west="On")
        equal(state(server, checks["west"])["healthy"], False, "at once")
        eventually(lambda: state(server, checks["west"])["healthy"], "healthy")
        equal(ask(server, name), [WEST_IP], "answer before")
        before = server.control("log")["log"][-1]["seq"]
        panel.set(3, west="Off", east="On")
        equal(ask(server, name), [WEST_IP], "answer at once")
        eventually(lambda: ask(server, name) == [EAST_IP], "the other answer")
        called = [(e["service"], e["region"]) for e in server.control(f"log?since={before}")["log"]]
        equal(called, [("route53-recovery-cluster", "ap-northeast-1")], "calls")
        panel.set(west="Off", east="Off")
        time.sleep(0.4)
        equal(ask(server, name), [WEST_IP], "both off: fails open, to the primary")
        own = made(server, Type="RECOVERY_CONTROL", RoutingControlArn=panel.controls["west"], Inverted=True)
        equal(state(server, own)["healthy"], True, "inverted")
