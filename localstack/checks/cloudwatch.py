"""CloudWatch: ReplicaLag, and LocalStack's own metrics beside it."""

import json
import urllib.request
from datetime import UTC, datetime, timedelta

import cbor2

from checks.harness import EAST, MAIN, RUN, WEST, Server, check, equal
from checks.rds import knob, pair, promote, show


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


@check
def other_protocols(server: Server) -> None:
    """the JSON and CBOR forms that newer SDKs speak give the same answer, fractions of a second included"""
    _, name = pair(server, "wire")
    knob(server, name, replica_lag_s=7)
    end = datetime.now(UTC)
    question = {"MetricDataQueries": [lag_query(name)], "StartTime": end - timedelta(minutes=5), "EndTime": end}
    target, service = "GraniteServiceVersion20100801", f"{server.endpoint}/service"
    plain = json.dumps(question, default=lambda moment: moment.timestamp()).encode()
    forms = [
        (server.endpoint, plain, "application/x-amz-json-1.0", {"X-Amz-Target": f"{target}.GetMetricData"}, json.loads),
        (
            f"{service}/{target}/operation/GetMetricData",
            cbor2.dumps(question, datetime_as_timestamp=True),
            "application/cbor",
            {"smithy-protocol": "rpc-v2-cbor", "Accept": "application/cbor"},
            cbor2.loads,
        ),
    ]
    scope = f"{MAIN}/20260101/{EAST}/monitoring/aws4_request"
    signed = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=none"
    for url, body, kind, headers, read in forms:
        request = urllib.request.Request(url, body, {**headers, "Content-Type": kind, "Authorization": signed})
        with urllib.request.urlopen(request, timeout=10) as answer:
            equal(read(answer.read())["MetricDataResults"][0]["Values"][0], 7.0, f"value by {kind}")


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
