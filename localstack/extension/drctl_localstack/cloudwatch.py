"""Lag of RDS replicas and of Aurora secondary clusters, computed on request. All other metrics are LocalStack's."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from localstack.aws.api import RequestContext
from moto.rds.models import rds_backends

from drctl_localstack import rds_global, rds_overlay, settings
from drctl_localstack.settings import LOCK

# CloudWatch itself returns no more points for one metric in one call.
MOST_POINTS = 1440
OF_CLUSTERS = ("AuroraGlobalDBReplicationLag", "AuroraGlobalDBRPOLag")


@dataclass
class Series:
    metric: str
    unit: str
    since: float | None
    until: float | None
    value: Callable[[float], float | None]


def _series(context: RequestContext, namespace: str, metric: str, dimensions: list[dict]) -> Series | None:
    """The requested series, or None if LocalStack should answer."""
    named = {d["Name"]: d["Value"] for d in dimensions or []}
    backend = rds_backends[context.account_id][context.region]
    if namespace == "AWS/RDS" and metric == "ReplicaLag" and set(named) == {"DBInstanceIdentifier"}:
        db = backend.databases.get(named["DBInstanceIdentifier"])
        overlay = db and rds_overlay.of(db)
        return db and Series(
            metric, "Seconds", overlay.replica_since, overlay.replica_until, lambda at: rds_overlay.lag_at(overlay, at)
        )
    if namespace == "AWS/RDS" and metric in OF_CLUSTERS and "DBClusterIdentifier" in named:
        return _of_cluster(backend.clusters.get(named.pop("DBClusterIdentifier")), metric, named)
    return None


def _of_cluster(cluster, metric: str, more: dict) -> Series | None:
    """A lag metric of a secondary cluster, in its own region. The dimension SourceRegion, which AWS adds, is optional.
    """
    found = cluster and rds_global.of_cluster(cluster)
    if not found:
        return None
    each, member = found
    if more not in ({}, {"SourceRegion": each.writer.region}):
        return None
    return Series(
        metric, "Milliseconds", member.follows_since, member.follows_until, lambda at: rds_global.lag_at(member, at)
    )


def _epoch(moment: datetime) -> float:
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def points(series: Series, start: datetime, end: datetime, period: int) -> list[tuple[datetime, float]]:
    """One point for each period, stamped with the period's beginning, with the value in force at its end (or now).

    AWS samples once a minute and averages. Returning the last value instead lets a test set a lag and read it back,
    while the age of the timestamp stays realistic.
    """
    if series.since is None:
        return []
    horizon = time.time() - settings.seconds("metric_delay_ms")
    if series.until is not None:
        horizon = min(horizon, series.until)
    at = int(max(_epoch(start), series.since)) // period * period
    found = []
    while at < min(_epoch(end), horizon) and len(found) < MOST_POINTS:
        value = series.value(max(min(at + period, horizon), series.since))
        if value is not None:
            found.append((datetime.fromtimestamp(at, UTC), value))
        at += period
    return found


def _own_result(context: RequestContext, request: dict, query: dict) -> dict | None:
    stat = query.get("MetricStat")
    if not stat:
        return None
    metric = stat["Metric"]
    series = _series(context, metric.get("Namespace"), metric.get("MetricName"), metric.get("Dimensions"))
    if series is None:
        return None
    found = points(series, request["StartTime"], request["EndTime"], int(stat["Period"]))
    if request.get("ScanBy") != "TimestampAscending":
        found.reverse()
    return {
        "Id": query["Id"],
        "Label": query.get("Label") or series.metric,
        "Timestamps": [at for at, _ in found],
        "Values": [value for _, value in found],
        "StatusCode": "Complete",
    }


def _settle(context: RequestContext) -> None:
    rds_overlay.settle_account(context.account_id, time.time())
    rds_global.settle(context.account_id, time.time())


def get_metric_data(inner):
    def handler(context: RequestContext, request: dict) -> dict:
        own, others = {}, []
        with LOCK:
            _settle(context)
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
            _settle(context)
            series = _series(context, request["Namespace"], request["MetricName"], request.get("Dimensions"))
            times = (request["StartTime"], request["EndTime"], int(request["Period"]))
            found = None if series is None else points(series, *times)
        if found is None:
            return inner(context, request)
        wanted = request.get("Statistics") or []
        return {
            "Label": series.metric,
            "Datapoints": [
                {"Timestamp": at, "Unit": series.unit} | {name: 1.0 if name == "SampleCount" else lag for name in wanted}
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
