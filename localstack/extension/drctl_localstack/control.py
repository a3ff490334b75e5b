"""The control surface for tests: JSON over HTTP under /_drctl/ on LocalStack's own port. The README lists it."""

import json
import time

from localstack.http import Request, Response

from drctl_localstack import arc, arc_endpoints, asg_engine, health, rds_expected, rds_global, rds_overlay
from drctl_localstack import settings, traffic
from drctl_localstack.settings import LOCK


class NotThere(Exception):
    pass


def _where(body: dict, kind: str) -> tuple[str, str, str]:
    missing = [name for name in ("account", "region", kind) if not body.get(name)]
    if missing:
        raise ValueError(f"missing {', '.join(missing)}")
    return body.pop("account"), body.pop("region"), body.pop(kind)


def _set_instance(body: dict) -> dict:
    from moto.rds.models import rds_backends

    account, region, name = _where(body, "instance")
    if "expected" in body:
        return _expect_instance(account, region, name, body)
    with LOCK:
        rds_overlay.settle_account(account, time.time())
        db = rds_backends[account][region].databases.get(name)
        if db is None:
            raise NotThere(f"no DB instance {name} in account {account}, region {region}")
        rds_overlay.configure(db, body)
        return rds_overlay.describe(db)


def _expect_instance(account: str, region: str, name: str, body: dict) -> dict:
    expected = body.pop("expected")
    if not isinstance(expected, bool) or (body and not expected):
        raise ValueError("expected must be true, or false and alone")
    with LOCK:
        rds_expected.expect(account, region, name, body if expected else None)
    return {"instance": name, "expected": expected}


def _set_cluster(body: dict) -> dict:
    from moto.rds.models import rds_backends

    account, region, name = _where(body, "cluster")
    with LOCK:
        rds_global.settle(account, time.time())
        cluster = rds_backends[account][region].clusters.get(name)
        answer = None if cluster is None else rds_global.configure(cluster, body)
    if answer is None:
        raise NotThere(f"no DB cluster {name} of a global cluster in account {account}, region {region}")
    return answer


def _set_group(body: dict) -> dict:
    from moto.autoscaling.models import autoscaling_backends

    account, region, name = _where(body, "group")
    with LOCK:
        group = autoscaling_backends[account][region].autoscaling_groups.get(name)
        if group is None:
            raise NotThere(f"no group {name} in account {account}, region {region}")
        asg_engine.configure(group, body)
        return {"group": name, "capacity_limit": asg_engine.of(group).capacity_limit}


def _set_zone(body: dict) -> dict:
    from drctl_localstack import route53

    missing = [name for name in ("account", "zone") if not body.get(name)]
    if missing:
        raise ValueError(f"missing {', '.join(missing)}")
    account, zone = body.pop("account"), body.pop("zone")
    with LOCK:
        answer = route53.configure(account, zone, body)
    if answer is None:
        raise NotThere(f"no hosted zone {zone} in account {account}")
    return answer


def _bridges(request: Request) -> dict:
    from drctl_localstack import route53

    with LOCK:
        shown = [
            {"account": db.account_id, "region": db.region, "instance": db.db_instance_identifier}
            | rds_overlay.of(db).bridge.show()
            for db in rds_overlay.bridged()
        ]
        shown += rds_expected.bridged()
        for (account, zone), bridge in route53.bridged().items():
            shown.append({"account": account, "zone": zone} | bridge.show())
    return {"bridges": shown}


def _set_settings(body: dict) -> dict:
    from drctl_localstack import route53

    with LOCK:
        route53.settle()
        settings.update(body)
        return settings.snapshot()


def _reset(body: dict) -> dict:
    """Restores the defaults; with {"estate": true}, also deletes all resources."""
    from drctl_localstack import route53

    with LOCK:
        route53.settle()
        settings.reset()
        traffic.clear_faults()
        traffic.clear_counts()
        rds_expected.forget()
        health.forget_knobs()
        arc_endpoints.mend()
        if body.get("estate"):
            _forget_estate()
            route53.reset()
            arc.reset()
            rds_global.forget()
        else:
            route53.forget_bridges()
            rds_overlay.forget_knobs()
            rds_global.forget_knobs()
            _forget_limits()
    return {"reset": "estate" if body.get("estate") else "control"}


def _forget_limits() -> None:
    from moto.autoscaling.models import autoscaling_backends

    for account in list(autoscaling_backends.values()):
        for backend in list(account.values()):
            for group in backend.autoscaling_groups.values():
                asg_engine.configure(group, {"capacity_limit": None, "shortfall_message": None})


def _forget_estate() -> None:
    from localstack.services.s3.models import s3_stores
    from moto.core.base_backend import BackendDict

    BackendDict.reset()
    s3_stores.reset()


def _calls(request: Request) -> dict:
    return {"calls": traffic.counts()}


def _log(request: Request) -> dict:
    return {"log": traffic.log(int(request.args.get("since", 0)))}


def _set_check(body: dict) -> dict:
    wanted = body.get("health_check")
    answer = health.control(body)
    if answer is None:
        raise NotThere(f"no health check {wanted}")
    return answer


def _set_endpoint(body: dict) -> dict:
    wanted = f"{body.get('cluster')} in {body.get('region')}"
    answer = arc_endpoints.control(body)
    if answer is None:
        raise NotThere(f"no endpoint of {wanted}")
    return answer


def _dns(request: Request) -> dict:
    from drctl_localstack import route53

    unknown = set(request.args) - {"name", "type", "account", "zone"}
    if unknown or "name" not in request.args:
        raise ValueError("know name, and type (A), account and zone")
    kind = request.args.get("type", "A").upper()
    return route53.resolve(request.args["name"], kind, request.args.get("account"), request.args.get("zone"))


READS = {
    "": lambda request: {"extension": "drctl", "settings": settings.snapshot()},
    "settings": lambda request: settings.snapshot(),
    "faults": lambda request: {"faults": traffic.faults()},
    "bridges": _bridges,
    "healthchecks": lambda request: health.shown(),
    "dns": _dns,
    "arc": lambda request: arc.shown(),
    "calls": _calls,
    "log": _log,
}
WRITES = {
    "settings": _set_settings,
    "rds": _set_instance,
    "aurora": _set_cluster,
    "route53": _set_zone,
    "autoscaling": _set_group,
    "healthchecks": _set_check,
    "arc": _set_endpoint,
    "faults": traffic.add_fault,
    "reset": _reset,
}
REMOVALS = {"faults": traffic.clear_faults, "calls": traffic.clear_counts}


def serve(request: Request, what: str = "", **_) -> Response:
    what = what.strip("/")
    try:
        return _json(_answer(request, what))
    except NotThere as error:
        return _json({"error": str(error)}, 404)
    except KeyError as error:
        return _json({"error": f"{error} is missing, or is no account or region"}, 400)
    except (ValueError, TypeError) as error:
        return _json({"error": str(error)}, 400)


def _answer(request: Request, what: str) -> dict:
    known = {"GET": READS, "POST": WRITES, "DELETE": REMOVALS}[request.method]
    if what not in known:
        raise NotThere(f"{request.method} /_drctl/{what}: know {', '.join('/_drctl/' + name for name in known)}")
    if request.method == "GET":
        return known[what](request)
    if request.method == "DELETE":
        known[what]()
        return {"cleared": what}
    body = json.loads(request.get_data(as_text=True) or "{}")
    if not isinstance(body, dict):
        raise ValueError("the body must be a JSON object")
    return known[what](body)


def _json(document: dict, status: int = 200) -> Response:
    return Response.for_json(document, status=status)
