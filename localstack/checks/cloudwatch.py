"""CloudWatch: ReplicaLag, together with LocalStack's own metrics."""

import io
import json
import struct
import urllib.error
import urllib.parse
import urllib.request
from datetime import UTC, datetime, timedelta

import cbor2

from checks.harness import EAST, MAIN, RUN, WEST, Server, check, equal
from checks.rds import knob, pair, promote, show

TARGET = "GraniteServiceVersion20100801"


def lag_query(name: str, query_id: str = "lag") -> dict:
    metric = {
        "Namespace": "AWS/RDS",
        "MetricName": "ReplicaLag",
        "Dimensions": [{"Name": "DBInstanceIdentifier", "Value": name}],
    }
    return {"Id": query_id, "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Maximum"}}


def window() -> dict:
    now = datetime.now(UTC)
    return {"StartTime": now - timedelta(minutes=10), "EndTime": now}


def lag(server: Server, name: str, region: str = EAST) -> tuple[list, list]:
    client = server.client("cloudwatch", region)
    result = client.get_metric_data(MetricDataQueries=[lag_query(name)], **window())["MetricDataResults"][0]
    return result["Values"], result["Timestamps"]


@check
def lag_is_read_back(server: Server) -> None:
    """a lag that was set comes back through GetMetricData and GetMetricStatistics, stamped with this minute"""
    _, name = pair(server, "lag")
    knob(server, name, replica_lag_s=42.5)
    values, stamps = lag(server, name)
    equal(values[0], 42.5, "newest value")
    age = (datetime.now(UTC) - stamps[0]).total_seconds()
    assert 0 <= age < 61, f"the newest stamp is {age} s old"
    equal(stamps[0].second, 0, "seconds of the stamp")
    answer = server.client("cloudwatch", EAST).get_metric_statistics(
        Namespace="AWS/RDS",
        MetricName="ReplicaLag",
        Dimensions=[{"Name": "DBInstanceIdentifier", "Value": name}],
        Period=60,
        Statistics=["Average", "Maximum"],
        **window(),
    )
    point = max(answer["Datapoints"], key=lambda p: p["Timestamp"])
    equal((point["Average"], point["Maximum"], point["Unit"]), (42.5, 42.5, "Seconds"), "statistics")


@check
def lag_grows_or_stops(server: Server) -> None:
    """a growing lag grows with the clock; null stops the data points; visibility can be late"""
    _, name = pair(server, "grow")
    knob(server, name, replica_lag_s=100, lag_grows=True)
    first, second = lag(server, name)[0][0], lag(server, name)[0][0]
    assert 100 <= first < second < 110, f"{first} then {second}"
    with server.settings(metric_delay_ms=3_600_000):
        equal(lag(server, name)[0], [], "values not visible yet")
    knob(server, name, replica_lag_s=None)
    equal(lag(server, name)[0][:1], [], "values after null")


@check
def lag_of_replicas_only(server: Server) -> None:
    """a primary and the other region have no lag; after promotion no more points come"""
    source, name = pair(server, "only")
    equal(lag(server, source, WEST)[0], [], "lag of the primary")
    equal(lag(server, name, WEST)[0], [], "lag in the other region")
    assert lag(server, name)[0], "no lag for the replica"
    with server.settings(promote_lag_before_modifying_ms=0, promote_modifying_ms=0):
        promote(server, name)
        show(server, name)
    before = lag(server, name)[0]
    knob(server, name, replica_lag_s=999)
    equal(lag(server, name)[0], before, "lag after promotion")


def post(server: Server, path: str, body: bytes, kind: str, **headers) -> tuple[int, object, bytes]:
    scope = f"{MAIN}/20260101/{EAST}/monitoring/aws4_request"
    signed = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=none"
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    url = f"{server.endpoint}{path}"
    request = urllib.request.Request(url, body, {**headers, "Content-Type": kind, "Authorization": signed})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def post_cbor(server: Server, question: dict) -> tuple[int, object, bytes]:
    """The exact bytes that aws-sdk-cloudwatch 1.140 for Rust sends: maps of indefinite length, and these headers."""
    headers = {"smithy_protocol": "rpc-v2-cbor", "accept": "application/cbor", "x_amzn_query_mode": "true"}
    path = f"/service/{TARGET}/operation/GetMetricData"
    return post(server, path, cbor(question), "application/cbor", **headers)


def cbor(value: object) -> bytes:
    if isinstance(value, dict):
        return b"\xbf" + b"".join(cbor(part) for pair in value.items() for part in pair) + b"\xff"
    if isinstance(value, list):
        assert len(value) < 24, "a longer list has a longer head"
        return bytes([0x80 + len(value)]) + b"".join(map(cbor, value))
    if isinstance(value, datetime):
        return b"\xc1\xfb" + struct.pack(">d", value.timestamp())
    return cbor2.dumps(value)


def form(value: object, name: str = "") -> list[tuple[str, str]]:
    """A request in the query protocol."""
    if isinstance(value, dict):
        return [item for key, part in value.items() for item in form(part, f"{name}.{key}" if name else key)]
    if isinstance(value, list):
        return [item for n, part in enumerate(value, 1) for item in form(part, f"{name}.member.{n}")]
    return [(name, value.isoformat() if isinstance(value, datetime) else str(value))]


@check
def rust_protocol(server: Server) -> None:
    """RPC v2 CBOR as the Rust SDK speaks it: fractions of a second in, tagged times and floats out, nothing after"""
    _, name = pair(server, "cbor")
    knob(server, name, replica_lag_s=7)
    start = datetime.now(UTC) - timedelta(minutes=5)
    question = {"MetricDataQueries": [lag_query(name)], "StartTime": start, "EndTime": datetime.now(UTC)}
    status, headers, body = post_cbor(server, question)
    kinds = (headers["Content-Type"], headers["Smithy-Protocol"])
    equal((status, *kinds), (200, "application/cbor", "rpc-v2-cbor"), "head")
    stream = io.BytesIO(body)
    found = cbor2.load(stream)["MetricDataResults"][0]
    equal(stream.read(), b"", "bytes after the answer")
    equal((found["Id"], found["StatusCode"], found["Values"][0]), ("lag", "Complete", 7.0), "answer")
    equal({type(value) for value in found["Values"]}, {float}, "types of the values")
    assert b"jTimestamps\x9f\xc1\xfb" in body, "times are not tagged floats, which the SDK insists on"
    equal({type(stamp) for stamp in found["Timestamps"]}, {datetime}, "types of the times")
    nobody = {**question, "MetricDataQueries": [lag_query("nobody")]}
    equal(cbor2.loads(post_cbor(server, nobody)[2])["MetricDataResults"][0]["Values"], [], "of an unknown instance")


@check
def rust_errors(server: Server) -> None:
    """an error in RPC v2 CBOR names its code in x-amzn-query-error, where the Rust SDK looks first"""
    question = {"MetricDataQueries": [lag_query("nobody")], **window()}
    fault = {"service": "cloudwatch", "operation": "GetMetricData", "account": MAIN, "message": "not now"}
    for when in ("before", "after"):
        for code, wanted, side in (("Throttling", 400, "Sender"), ("InternalFailure", 500, "Receiver")):
            server.control("faults", {**fault, "code": code, "when": when})
            status, headers, body = post_cbor(server, question)
            equal((status, headers["x-amzn-query-error"]), (wanted, f"{code};{side}"), f"{code} {when}")
            equal(cbor2.loads(body)["message"], "not now", f"message of {code} {when}")


@check
def other_protocols(server: Server) -> None:
    """the query protocol of older SDKs and the JSON form of others give the same answer"""
    _, name = pair(server, "wire")
    knob(server, name, replica_lag_s=7)
    end = datetime.now(UTC)
    question = {"MetricDataQueries": [lag_query(name)], "StartTime": end - timedelta(minutes=5), "EndTime": end}
    plain = json.dumps(question, default=lambda moment: moment.timestamp()).encode()
    status, _, body = post(server, "/", plain, "application/x-amz-json-1.0", X_Amz_Target=f"{TARGET}.GetMetricData")
    equal((status, json.loads(body)["MetricDataResults"][0]["Values"][0]), (200, 7.0), "by JSON")
    fields = form({"Action": "GetMetricData", "Version": "2010-08-01", **question})
    kind = "application/x-www-form-urlencoded"
    status, _, body = post(server, "/", urllib.parse.urlencode(fields).encode(), kind)
    assert status == 200 and b"<Values><member>7.0</member>" in body, f"by query: {status} {body!r}"


@check
def other_metrics(server: Server) -> None:
    """LocalStack's own metrics are answered in the same call, in the order of the questions"""
    _, name = pair(server, "mixed")
    client = server.client("cloudwatch", EAST)
    space = f"Drctl/{RUN}"
    client.put_metric_data(Namespace=space, MetricData=[{"MetricName": "Writes", "Value": 7}])
    own = {"Metric": {"Namespace": space, "MetricName": "Writes"}, "Period": 60, "Stat": "Sum"}
    queries = [{"Id": "writes", "MetricStat": own}, lag_query(name)]
    span = {"StartTime": window()["StartTime"], "EndTime": datetime.now(UTC) + timedelta(minutes=2)}
    results = client.get_metric_data(MetricDataQueries=queries, **span)["MetricDataResults"]
    equal([r["Id"] for r in results], ["writes", "lag"], "order")
    equal(results[0]["Values"], [7.0], "own metric")
    equal(len(results[1]["Values"]) > 0, True, "lag present")
