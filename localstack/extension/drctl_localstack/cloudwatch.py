"""ReplicaLag of RDS replicas, worked out when it is asked for. Every other metric is LocalStack's own."""

import time
from datetime import UTC, datetime

from localstack.aws.api import RequestContext
from moto.rds.models import DBInstance, rds_backends

from drctl_localstack import rds_overlay, settings
from drctl_localstack.settings import LOCK

# CloudWatch itself refuses to return more for one metric of one call.
MOST_POINTS = 1440


def _replica(context: RequestContext, namespace: str, metric: str, dimensions: list[dict]) -> DBInstance | None:
    """The instance whose lag is asked for, or None where the question is not ours to answer."""
    named = {d["Name"]: d["Value"] for d in dimensions or []}
    if (namespace, metric) != ("AWS/RDS", "ReplicaLag") or set(named) != {"DBInstanceIdentifier"}:
        return None
    return rds_backends[context.account_id][context.region].databases.get(named["DBInstanceIdentifier"])


def _epoch(moment: datetime) -> float:
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def points(db: DBInstance, start: datetime, end: datetime, period: int) -> list[tuple[datetime, float]]:
    """One point a period, stamped with the period's beginning, holding the value in force at its end (or now).

    AWS samples once a minute and averages. Taking the last value instead lets a test set a lag and read it back,
    while the age of the stamp stays what it would be.
    """
    overlay = rds_overlay.of(db)
    if overlay.replica_since is None:
        return []
    horizon = time.time() - settings.seconds("metric_delay_ms")
    if overlay.replica_until is not None:
        horizon = min(horizon, overlay.replica_until)
    at = int(max(_epoch(start), overlay.replica_since)) // period * period
    found = []
    while at < min(_epoch(end), horizon) and len(found) < MOST_POINTS:
        value = rds_overlay.lag_at(overlay, max(min(at + period, horizon), overlay.replica_since))
        if value is not None:
            found.append((datetime.fromtimestamp(at, UTC), value))
        at += period
    return found


def _own_result(context: RequestContext, request: dict, query: dict) -> dict | None:
    stat = query.get("MetricStat")
    if not stat:
        return None
    metric = stat["Metric"]
    db = _replica(context, metric.get("Namespace"), metric.get("MetricName"), metric.get("Dimensions"))
    if db is None:
        return None
    found = points(db, request["StartTime"], request["EndTime"], int(stat["Period"]))
    if request.get("ScanBy") != "TimestampAscending":
        found.reverse()
    return {
        "Id": query["Id"],
        "Label": query.get("Label") or "ReplicaLag",
        "Timestamps": [at for at, _ in found],
        "Values": [value for _, value in found],
        "StatusCode": "Complete",
    }


def get_metric_data(inner):
    def handler(context: RequestContext, request: dict) -> dict:
        own, others = {}, []
        with LOCK:
            rds_overlay.settle_account(context.account_id, time.time())
            for query in request["MetricDataQueries"]:
                result = _own_result(context, request, query)
                if result is None:
                    others.append(query)
                elif query.get("ReturnData", True):
                    own[query["Id"]] = result
        if not own and others:
            return inner(context, request)
        answer = inner(context, {**request, "MetricDataQueries": others}) if others else {}
        results = {**own, **{r["Id"]: r for r in answer.get("MetricDataResults", [])}}
        ordered = [results[q["Id"]] for q in request["MetricDataQueries"] if q["Id"] in results]
        return {**answer, "MetricDataResults": ordered}

    return handler


def get_metric_statistics(inner):
    def handler(context: RequestContext, request: dict) -> dict:
        with LOCK:
            rds_overlay.settle_account(context.account_id, time.time())
            db = _replica(context, request["Namespace"], request["MetricName"], request.get("Dimensions"))
            found = None if db is None else points(db, request["StartTime"], request["EndTime"], int(request["Period"]))
        if found is None:
            return inner(context, request)
        wanted = request.get("Statistics") or []
        return {
            "Label": "ReplicaLag",
            "Datapoints": [
                {"Timestamp": at, "Unit": "Seconds"} | {name: 1.0 if name == "SampleCount" else lag for name in wanted}
                for at, lag in found
            ],
        }

    return handler


def table(inner: dict) -> dict:
    return {
        **inner,
        "GetMetricData": get_metric_data(inner["GetMetricData"]),
        "GetMetricStatistics": get_metric_statistics(inner["GetMetricStatistics"]),
    }
