"""Route 53 health checks that really run: a thread makes every checker probe when it is due.

The result of a probe cannot be computed later, so unlike everything else it does not wait for a read.
"""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from drctl_localstack import health_probe, health_rules, settings
from drctl_localstack.health_rules import Check, Checker
from drctl_localstack.settings import LOCK

LOG = logging.getLogger(__name__)
TICK_S = 0.05
DEEPEST = 20  # how deeply health checks may be nested; also ends cycles

_checks: dict[str, Check] = {}
_workers = ThreadPoolExecutor(32, thread_name_prefix="health")
_followers: list[Callable[[], None]] = []
_started: list[threading.Thread] = []


def add(check: Check) -> None:
    _checks[check.id] = check
    if not _started:
        _started.append(threading.Thread(target=_run, name="health", daemon=True))
        _started[0].start()


def remove(check: Check) -> None:
    del _checks[check.id]


def find(check_id: str) -> Check | None:
    return _checks.get(check_id)


def of_account(account: str) -> list[Check]:
    return sorted((c for c in _checks.values() if c.account == account), key=lambda c: c.id)


def follow(follower: Callable[[], None]) -> None:
    """Registers a function that is called, with the lock held, after each round of probes."""
    if follower not in _followers:
        _followers.append(follower)


def raw(check: Check, depth: int = 0) -> bool:
    """The state before Disabled and Inverted are applied."""
    if -1 in check.forced:
        return check.forced[-1]
    if check.watches_endpoint:
        return health_rules.reported(check)
    if check.config["Type"] == "RECOVERY_CONTROL":
        from drctl_localstack import arc

        return arc.is_on(check.config["RoutingControlArn"], time.time())
    if depth > DEEPEST:
        return True
    children = [_checks.get(child) for child in check.config["ChildHealthChecks"]]
    return health_rules.calculated(check.config, [c is None or healthy(c, depth + 1) for c in children])


def healthy(check: Check, depth: int = 0) -> bool:
    return health_rules.verdict(check.config, raw(check, depth))


def is_healthy(check_id: str) -> bool:
    """Whether a record set's health check is healthy. A deleted check, for which AWS defines no result, counts as
    healthy.
    """
    check = _checks.get(check_id)
    return check is None or healthy(check)


def _due(check: Check, checker: Checker, now: float) -> bool:
    interval = check.config["RequestInterval"] * settings.seconds("health_second_ms")
    last = check.created + (checker.first_after - 1) * interval if checker.at is None else checker.at
    return not checker.busy and now >= last + interval


def _run() -> None:
    while True:
        time.sleep(TICK_S)
        try:
            with LOCK:
                _tick(time.time())
        except Exception:  # if the thread ended silently, health would never change again
            LOG.exception("health checks")


def _tick(now: float) -> None:
    for check in list(_checks.values()):
        if check.watches_endpoint and not check.config["Disabled"]:
            for checker in check.checkers:
                if _due(check, checker, now):
                    _let_look(check, checker)
    for check in _checks.values():
        note(check, now)
    for follower in _followers:
        follower()


def note(check: Check, now: float) -> None:
    """Records the current state, and since when it holds."""
    current = healthy(check)
    if current != check.healthy:
        check.healthy, check.since = current, now


def _let_look(check: Check, checker: Checker) -> None:
    if health_probe.quick(check.config):
        _look(check, checker)
    else:
        checker.busy = True
        _workers.submit(_look, check, checker)


def _look(check: Check, checker: Checker) -> None:
    try:
        passed, status = health_probe.look(check.config, checker.address)
    except Exception as error:
        LOG.exception("health check %s", check.id)
        passed, status = False, f"Failure: {error}"
    with LOCK:
        checker.busy = False
        checker.saw(passed, status, time.time(), check.config["FailureThreshold"])


def control(body: dict) -> dict | None:
    """Sets where a host is really served, or what a check's checkers report. None if there is no such check."""
    if "host" in body:
        with LOCK:
            return health_probe.tell(body)
    missing = [name for name in ("health_check", "force") if name not in body]
    if missing:
        raise ValueError(f"missing {', '.join(missing)} (or host)")
    check_id, force, number = body.pop("health_check"), body.pop("force"), body.pop("checkers", None)
    if body or force not in ("healthy", "unhealthy", None):
        raise ValueError("know health_check, force (healthy, unhealthy or null) and checkers")
    with LOCK:
        check = _checks.get(check_id)
        if check is None:
            return None
        if number is not None and not (check.watches_endpoint and 0 < number <= len(check.checkers)):
            raise ValueError(f"checkers must be between 1 and {len(check.checkers)}")
        which = [-1] if number is None else range(number)
        check.forced = {} if force is None else {i: force == "healthy" for i in which}
        return show(check)


def show(check: Check) -> dict:
    now = time.time()
    note(check, now)
    said = [check.forced.get(i, c.healthy) for i, c in enumerate(check.checkers)]
    return {
        "account": check.account,
        "health_check": check.id,
        "type": check.config["Type"],
        "healthy": check.healthy,
        "for_s": now - check.since,
        "before_inversion": raw(check),
        "inverted": check.config["Inverted"],
        "disabled": check.config["Disabled"],
        "checkers": {"healthy": sum(said), "of": len(said), "looked": sum(c.at is not None for c in check.checkers)},
        "forced": check.forced.get(-1, len(check.forced) or None),
        "last": max(((c.at, c.status) for c in check.checkers if c.at), default=(None, None))[1],
        "config": check.config,
    }


def shown() -> dict:
    with LOCK:
        return {"healthchecks": [show(c) for c in _checks.values()], "hosts": health_probe.hosts()}


def forget_knobs() -> None:
    health_probe.forget_hosts()
    for check in _checks.values():
        check.forced = {}


def reset() -> None:
    _checks.clear()
    health_probe.forget_hosts()
