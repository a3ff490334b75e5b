"""Conditional DELETE, which S3 supports for ordinary buckets since September 2025 and LocalStack 4.12 refuses; and the
refusals of Block Public Access and object ownership (s3_public).

LocalStack's conditional PUT is correct. A guard needs both: it is taken with If-None-Match and returned with If-Match.
"""

import threading

from localstack.aws.api import CommonServiceException, RequestContext

from drctl_localstack import s3_public

# Held during every PUT and every conditional DELETE, so that nothing happens between a check and its effect.
_ONE_AT_A_TIME = threading.Lock()


_provider: list = []


def remember(provider) -> None:
    _provider[:] = [provider]


def storage():
    """LocalStack's storage of object contents."""
    return _provider[0]._storage_backend


def put(inner):
    def handler(context: RequestContext, request: dict):
        s3_public.refuse_acl(request["Bucket"], request.get("ACL"))
        with _ONE_AT_A_TIME:
            return inner(context, request)

    return handler


def delete(inner):
    """Checks the precondition, then passes the delete on without it."""

    def handler(context: RequestContext, request: dict):
        if not request.get("IfMatch"):
            return inner(context, request)
        wanted = request["IfMatch"].strip('"')
        with _ONE_AT_A_TIME:
            current = _etag(context, request["Bucket"], request["Key"])
            if current is None or wanted not in ("*", current):
                message = "At least one of the pre-conditions you specified did not hold"
                raise CommonServiceException("PreconditionFailed", message, 412, True)
            return inner(context, {key: value for key, value in request.items() if key != "IfMatch"})

    return handler


def _etag(context: RequestContext, name: str, key: str) -> str | None:
    """Reads LocalStack's store directly: an API call from inside would use the network and need credentials."""
    from localstack.services.s3.models import s3_stores

    buckets = s3_stores[context.account_id][context.region].buckets
    owner = s3_stores[context.account_id][context.region].global_bucket_map.get(name)
    bucket = buckets.get(name) or (owner and s3_stores[owner][context.region].buckets.get(name))
    found = bucket.objects.get(key) if bucket else None
    return getattr(found, "etag", None)  # a delete marker has no ETag


def put_policy(inner):
    def handler(context: RequestContext, request: dict):
        s3_public.refuse_policy(request["Bucket"], request.get("Policy"))
        return inner(context, request)

    return handler


def put_acl(inner):
    def handler(context: RequestContext, request: dict):
        s3_public.refuse_acl(request["Bucket"], request.get("ACL"))
        return inner(context, request)

    return handler


def table(inner: dict) -> dict:
    return {
        **inner,
        "PutObject": put(inner["PutObject"]),
        "DeleteObject": delete(inner["DeleteObject"]),
        "PutBucketPolicy": put_policy(inner["PutBucketPolicy"]),
        "PutBucketAcl": put_acl(inner["PutBucketAcl"]),
        "PutObjectAcl": put_acl(inner["PutObjectAcl"]),
    }
