"""Scalable targets of Application Auto Scaling: their limits. There are no policies, so nothing scales by itself."""

import time

from localstack.aws.api import RequestContext
from localstack.aws.api.core import CommonServiceException

from drctl_localstack.settings import LOCK

KEY = ("ServiceNamespace", "ResourceId", "ScalableDimension")

_targets: dict[tuple[str, str], dict[tuple, dict]] = {}


def _of(context: RequestContext) -> dict[tuple, dict]:
    return _targets.setdefault((context.account_id, context.region), {})


def register(context: RequestContext, request: dict) -> dict:
    """An update changes only what it names. A new target needs both limits."""
    key = tuple(request[name] for name in KEY)
    with LOCK:
        known = _of(context).get(key, {"CreationTime": time.time(), "RoleARN": "arn:aws:iam::000000000000:role/ecs"})
        target = known | {name: request[name] for name in ("MinCapacity", "MaxCapacity") if name in request}
        if "MinCapacity" not in target or "MaxCapacity" not in target:
            raise CommonServiceException("ValidationException", "MinCapacity and MaxCapacity are required", 400, True)
        if target["MinCapacity"] > target["MaxCapacity"]:
            message = "Maximum capacity cannot be less than minimum capacity"
            raise CommonServiceException("ValidationException", message, 400, True)
        _of(context)[key] = target
    return {}


def describe(context: RequestContext, request: dict) -> dict:
    """All in one page."""
    ids, dimension = request.get("ResourceIds"), request.get("ScalableDimension")

    def wanted(key: tuple) -> bool:
        namespace, resource, of = key
        return namespace == request["ServiceNamespace"] and (not ids or resource in ids) and dimension in (None, of)

    with LOCK:
        found = [dict(zip(KEY, key, strict=True)) | target for key, target in _of(context).items() if wanted(key)]
    return {"ScalableTargets": found}


def table() -> dict:
    return {"RegisterScalableTarget": register, "DescribeScalableTargets": describe}
