"""Every API call passes through here and is counted, logged, and failed or delayed as a test requested."""

import time
from collections import Counter, deque
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from localstack.aws.api import CommonServiceException, RequestContext
from localstack.aws.protocol.serializer import create_serializer

from drctl_localstack.settings import LOCK

ANY = "*"
# Codes that imply an HTTP status, as AWS returns it. Every other code is a client error, 400.
STATUS_OF = {
    "InternalFailure": 500,
    "InternalError": 500,
    "ServiceUnavailable": 503,
    "SlowDown": 503,
    "RequestLimitExceeded": 503,
    "AccessDenied": 403,
    "AccessDeniedException": 403,
    "ExpiredToken": 403,
    "ExpiredTokenException": 403,
    "PreconditionFailed": 412,
    "EndpointTemporarilyUnavailableException": 503,
}


@dataclass
class Fault:
    """With `when` "after", the call is carried out and its response replaced, so the caller cannot know the outcome."""

    service: str
    operation: str = ANY
    code: str | None = None
    message: str = "injected by a test"
    status: int | None = None
    calls: int | None = 1  # None: until the fault is removed
    region: str = ANY
    account: str = ANY
    when: str = "before"
    delay_ms: float = 0
    hits: int = 0

    def matches(self, context: RequestContext) -> bool:
        asked = (context.service.service_name, context.operation.name, context.region, context.account_id)
        wanted = (self.service, self.operation, self.region, self.account)
        return self.calls != 0 and all(w in (ANY, a) for w, a in zip(wanted, asked))

    def error(self) -> CommonServiceException:
        status = self.status or STATUS_OF.get(self.code, 400)
        return CommonServiceException(self.code, self.message, status, sender_fault=status < 500)


_faults: list[Fault] = []
_counts: Counter = Counter()
_failed: Counter = Counter()
_log: deque = deque(maxlen=10_000)
_sequence = 0


def add_fault(body: dict) -> dict:
    fault = Fault(**body)
    if fault.when not in ("before", "after"):
        raise ValueError("when must be 'before' or 'after'")
    if not fault.code and not fault.delay_ms:
        raise ValueError("a fault needs a code, a delay_ms or both")
    with LOCK:
        _faults.append(fault)
    return asdict(fault)


def faults() -> list[dict]:
    with LOCK:
        return [asdict(fault) for fault in _faults]


def standing(service: str, operation: str, region: str) -> Fault | None:
    """The fault that also affects callers whose calls are not counted, such as health checkers: only one without a
    limit of calls and for all accounts.
    """
    with LOCK:
        for fault in _faults:
            wanted = zip((fault.service, fault.operation, fault.region), (service, operation, region))
            if fault.calls is None and fault.account == ANY and all(w in (ANY, a) for w, a in wanted):
                return fault
    return None


def clear_faults() -> None:
    with LOCK:
        _faults.clear()


def before(chain, context: RequestContext, response) -> None:
    """Request handler. The first matching fault is used; the lock is not held during a delay."""
    if not context.operation or context.is_internal_call:
        return
    with LOCK:
        fault = next((f for f in _faults if f.matches(context)), None)
        if fault:
            fault.hits += 1
            fault.calls = fault.calls if fault.calls is None else fault.calls - 1
    if not fault:
        return
    if fault.delay_ms:
        time.sleep(fault.delay_ms / 1000)
    if fault.code and fault.when == "before":
        context.drctl_faulted = True
        raise fault.error()
    if fault.code:
        context.drctl_lose_answer = fault


def after(chain, context: RequestContext, response) -> None:
    """Response handler: replaces the response if requested, then logs the call as the caller saw it."""
    if not context.operation or context.is_internal_call:
        return
    code = getattr(context.service_exception, "code", None)
    fault = getattr(context, "drctl_lose_answer", None)
    if fault:
        code = fault.code
        serializer = create_serializer(context.service, context.protocol)
        headers = context.request.headers
        lost = serializer.serialize_error_to_response(fault.error(), context.operation, headers, context.request_id)
        response.update_from(lost)
    _record(context, response.status_code, code, bool(fault) or hasattr(context, "drctl_faulted"))


def _record(context: RequestContext, status: int, code: str | None, faulted: bool) -> None:
    global _sequence
    key = (context.account_id, context.region, context.service.service_name, context.operation.name)
    with LOCK:
        _sequence += 1
        _counts[key] += 1
        _failed[key] += status >= 400
        entry = dict(zip(("account", "region", "service", "operation"), key))
        at = datetime.now(UTC).isoformat()
        _log.append({"seq": _sequence, "at": at, **entry, "status": status, "code": code, "faulted": faulted})


def counts() -> list[dict]:
    with LOCK:
        names = ("account", "region", "service", "operation")
        return [{**dict(zip(names, key)), "calls": n, "failed": _failed[key]} for key, n in sorted(_counts.items())]


def log(since: int = 0) -> list[dict]:
    with LOCK:
        return [entry for entry in _log if entry["seq"] > since]


def clear_counts() -> None:
    """The sequence numbers continue, so that a reader's `since` stays valid."""
    with LOCK:
        _counts.clear()
        _failed.clear()
        _log.clear()
