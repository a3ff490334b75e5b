"""What DescribeEvents returns: moto's few events, and the two of a reboot, which moto does not have.

They are kept in moto's backend and not in the overlay, because events outlive their instance.
"""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from localstack.aws.api import CommonServiceException, RequestContext
from moto.rds.models import DBInstance, rds_backends

from drctl_localstack import paging, settings

# RDS-EVENT-0004 and RDS-EVENT-0006. The API returns neither the IDs nor a final full stop.
SHUTDOWN, RESTARTED = "DB instance shutdown", "DB instance restarted"
KEPT = timedelta(days=14)


@dataclass
class Event:
    """Like moto's event, with `known_at`: when it becomes visible, which may be later than its date."""

    source_identifier: str
    source_arn: str
    message: str
    event_categories: list[str]
    date: datetime
    known_at: datetime
    source_type: str = "db-instance"


def record_reboot(db: DBInstance, began: float, ended: float, late_ms: float) -> None:
    """Both events become visible when the reboot is over: a restart event before that, if it can still fail, proves
    nothing.
    """
    known_at = ended + late_ms / 1000
    if db.multi_az or settings.get("single_az_shutdown_event"):
        _record(db, SHUTDOWN, began, known_at)
    _record(db, RESTARTED, ended, known_at)


def _record(db: DBInstance, message: str, at: float, known_at: float) -> None:
    date, known = datetime.fromtimestamp(at, UTC), datetime.fromtimestamp(known_at, UTC)
    event = Event(db.db_instance_identifier, db.db_instance_arn, message, ["availability"], date, known)
    rds_backends[db.account_id][db.region].events.append(event)


def tell_now(db: DBInstance) -> None:
    """Delayed events of an instance become visible now."""
    now = datetime.fromtimestamp(time.time(), UTC)
    for event in rds_backends[db.account_id][db.region].events:
        if isinstance(event, Event) and event.source_identifier == db.db_instance_identifier:
            event.known_at = min(event.known_at, now)


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _date(event) -> datetime:
    """In milliseconds, like AWS's: a query from or up to a date that was returned must find that event again."""
    date = _utc(event.date)
    return date.replace(microsecond=date.microsecond // 1000 * 1000)


def _window(request: dict, now: datetime) -> tuple[datetime, datetime]:
    """Duration counts only without StartTime, back from EndTime or now."""
    end = _utc(request["EndTime"]) if request.get("EndTime") else now
    duration = request.get("Duration")
    start = end - timedelta(minutes=60 if duration is None else duration)
    if request.get("StartTime"):
        start = _utc(request["StartTime"])
    return max(start, now - KEPT), end


def _asked_for(event, request: dict) -> bool:
    identifier, categories = request.get("SourceIdentifier"), request.get("EventCategories")
    return (
        (not identifier or event.source_identifier.lower() == identifier.lower())
        and event.source_type == (request.get("SourceType") or event.source_type)
        and (not categories or bool(set(categories) & set(event.event_categories)))
    )


def _shown(event) -> dict:
    return {
        "SourceIdentifier": event.source_identifier,
        "SourceType": event.source_type,
        "Message": event.message,
        "EventCategories": event.event_categories,
        "Date": _date(event),
        "SourceArn": event.source_arn,
    }


def describe(context: RequestContext, request: dict) -> dict:
    """Oldest first. An unknown identifier has no events and is not an error."""
    if request.get("SourceIdentifier") and not request.get("SourceType"):
        message = "Cannot specify source identifier without source type"
        raise CommonServiceException("InvalidParameterCombination", message, 400, sender_fault=True)
    now = datetime.fromtimestamp(time.time(), UTC)
    told_by = now - timedelta(milliseconds=settings.get("event_delay_ms"))
    start, end = _window(request, now)
    found = {}
    for number, event in enumerate(rds_backends[context.account_id][context.region].events):
        date = _date(event)
        told = getattr(event, "known_at", date) <= told_by
        if told and start <= date <= end and _asked_for(event, request):
            found[f"{date:%Y%m%d%H%M%S%f}-{number:09}"] = _shown(event)
    events, marker = paging.page(found, request)
    return {"Events": events, **({"Marker": marker} if marker else {})}
