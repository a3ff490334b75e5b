"""What the public can read from S3: the answer to a GET without credentials, according to bucket policy, ACL and Block
Public Access. LocalStack lets everybody read everything, so a health check of a private object would wrongly pass.
"""

import ipaddress
import json
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from http.client import responses
from urllib.parse import unquote

from localstack.aws.api import CommonServiceException

ALL_USERS = "http://acs.amazonaws.com/groups/global/AllUsers"
_REGION = r"(?P<region>[a-z]{2}(?:-[a-z]+)+-\d)"
_NAMES = (
    ("website", re.compile(rf"^(?P<bucket>.+)\.s3-website[.-]{_REGION}\.amazonaws\.com$")),
    ("path", re.compile(rf"^s3(?:\.dualstack)?(?:[.-]{_REGION})?\.amazonaws\.com$")),
    ("host", re.compile(rf"^(?P<bucket>.+)\.s3(?:\.dualstack)?(?:[.-]{_REGION})?\.amazonaws\.com$")),
)
# AWS does not call a policy with one of these in an Allow public, whatever its principal is.
_FIXED = ("aws:sourcearn", "aws:sourceaccount", "aws:sourcevpc", "aws:sourcevpce", "aws:principalorgid", "aws:userid")


@dataclass(frozen=True)
class Place:
    """The bucket and key that a request for an S3 host name and path addresses."""

    kind: str
    bucket: str
    key: str
    region: str | None


@dataclass(frozen=True)
class Caller:
    address: str
    secure: bool


@dataclass(frozen=True)
class Reply:
    status: int
    body: bytes = b""

    @property
    def reason(self) -> str:
        return responses.get(self.status, "Unknown")


def place(host: str, path: str) -> Place | None:
    """None if the host is not a name of S3."""
    path = unquote(path.split("?", 1)[0]).lstrip("/")
    for kind, pattern in _NAMES:
        match = pattern.match(host.lower().rstrip("."))
        if match:
            found = match.groupdict()
            bucket = found.get("bucket")
            if kind == "path":
                bucket, _, path = path.partition("/")
            return Place(kind, bucket, path, found.get("region"))
    return None


def _bucket(name: str):
    from localstack.services.s3.models import s3_stores

    for account in list(s3_stores.values()):
        for region in list(account.values()):
            bucket = region.buckets.get(name)
            if bucket:
                return bucket
    return None


def region_of(bucket: str) -> str | None:
    found = _bucket(bucket)
    return found and found.bucket_region


def get(where: Place, caller: Caller) -> Reply:
    """Checks in S3's order: the bucket, its region, the permission, and only then whether the object exists."""
    bucket = _bucket(where.bucket)
    if bucket is None:
        return Reply(404)
    if where.region and where.region != bucket.bucket_region:
        return Reply(301)  # PermanentRedirect, which a health checker counts as healthy
    key = where.key
    if where.kind == "website":
        if not bucket.website_configuration:
            return Reply(404)
        if not key or key.endswith("/"):
            key += (bucket.website_configuration.get("IndexDocument") or {}).get("Suffix", "")
    found = bucket.objects.get(key) if key else None
    found = found if hasattr(found, "etag") else None  # a delete marker has no ETag
    if not key or found is None:
        return Reply(404 if _may_list(bucket, caller) or _website_tells(where, bucket, key, caller) else 403)
    if not may_read(bucket, key, found, caller):
        return Reply(403)
    return Reply(200, _body(bucket.name, found))


def _website_tells(where: Place, bucket, key: str, caller: Caller) -> bool:
    return where.kind == "website" and policy_allows(bucket, "s3:GetObject", f"{bucket.name}/{key}", caller)


def _body(bucket: str, found) -> bytes:
    from drctl_localstack import s3

    stored = s3.storage().open(bucket, found, mode="r")
    try:
        return stored.read(5120) or b""
    finally:
        stored.close()


def _may_list(bucket, caller: Caller) -> bool:
    by_acl = not ignores_acls(bucket) and _granted(bucket.acl)
    return by_acl or policy_allows(bucket, "s3:ListBucket", bucket.name, caller)


def may_read(bucket, key: str, found, caller: Caller) -> bool:
    resource = f"{bucket.name}/{key}"
    if not ignores_acls(bucket) and _granted(found.acl):
        return not _denied(bucket, "s3:GetObject", resource, caller)
    return policy_allows(bucket, "s3:GetObject", resource, caller)


def _granted(acl) -> bool:
    grants = (acl or {}).get("Grants") or []
    return any(g["Permission"] in ("READ", "FULL_CONTROL") and g["Grantee"].get("URI") == ALL_USERS for g in grants)


def ignores_acls(bucket) -> bool:
    return bucket.object_ownership == "BucketOwnerEnforced" or blocks(bucket, "IgnorePublicAcls")


def blocks(bucket, what: str) -> bool:
    """Whether this setting is on for the bucket or for its account."""
    if (bucket.public_access_block or {}).get(what):
        return True
    from moto.s3control.models import s3control_backends

    of_account = s3control_backends[bucket.bucket_account_id]["aws"].public_access_block
    snake = re.sub(r"(?<!^)(?=[A-Z])", "_", what).lower()
    return str(getattr(of_account, snake, "")).lower() == "true"


def policy_allows(bucket, action: str, resource: str, caller: Caller) -> bool:
    policy = json.loads(bucket.policy) if bucket.policy else None
    if not policy or (is_public(policy) and blocks(bucket, "RestrictPublicBuckets")):
        return False
    return _decides(policy, "Allow", action, resource, caller) and not _denied(bucket, action, resource, caller)


def _denied(bucket, action: str, resource: str, caller: Caller) -> bool:
    policy = json.loads(bucket.policy) if bucket.policy else {}
    return _decides(policy, "Deny", action, resource, caller)


def _list(value) -> list:
    return value if isinstance(value, list) else [] if value is None else [value]


def _everybody(statement: dict) -> bool:
    principal = statement.get("Principal")
    return principal == "*" or (isinstance(principal, dict) and "*" in _list(principal.get("AWS")))


def _named(statement: dict, what: str, value: str) -> bool:
    patterns = [p.lower() if what == "Action" else p for p in _list(statement.get(what))]
    excepted = [p.lower() if what == "Action" else p for p in _list(statement.get(f"Not{what}"))]
    if excepted:
        return not any(fnmatchcase(value, p) for p in excepted)
    return any(fnmatchcase(value, p) for p in patterns)


def _decides(policy: dict, effect: str, action: str, resource: str, caller: Caller) -> bool:
    for statement in _list(policy.get("Statement")):
        # Anonymous callers are never listed in NotPrincipal, so such a Deny applies to them.
        meant = _everybody(statement) or (effect == "Deny" and "NotPrincipal" in statement)
        if statement.get("Effect") != effect or not meant:
            continue
        if not _named(statement, "Action", action.lower()):
            continue
        if _named(statement, "Resource", f"arn:aws:s3:::{resource}") and _holds(statement, effect, caller):
            return True
    return False


def _holds(statement: dict, effect: str, caller: Caller) -> bool:
    """Whether the statement's conditions hold. Knows source address and transport; any other counts against reading."""
    for operator, facts in (statement.get("Condition") or {}).items():
        for name, values in facts.items():
            match = _condition(operator.lower(), name.lower(), [str(v) for v in _list(values)], caller)
            if match is None:
                match = effect == "Deny"
            if not match:
                return False
    return True


def _condition(operator: str, name: str, values: list[str], caller: Caller) -> bool | None:
    if name == "aws:securetransport" and operator == "bool":
        return str(caller.secure).lower() in [v.lower() for v in values]
    if name == "aws:sourceip" and operator in ("ipaddress", "notipaddress"):
        address = ipaddress.ip_address(caller.address)
        inside = any(address in ipaddress.ip_network(v, strict=False) for v in values)
        return inside == (operator == "ipaddress")
    return None


def is_public(policy: dict) -> bool:
    """Public as AWS defines it: for everybody, without limits on the callers. Ranges wider than /8 (IPv6: /32) are no
    limit.
    """
    return any(
        s.get("Effect") == "Allow" and _everybody(s) and not _fixes(s.get("Condition") or {})
        for s in _list(policy.get("Statement"))
    )


def _fixes(conditions: dict) -> bool:
    for operator, facts in conditions.items():
        for name, values in facts.items():
            if name.lower() in _FIXED and not any("*" in str(v) for v in _list(values)):
                return True
            if name.lower() == "aws:sourceip" and operator.lower() == "ipaddress":
                networks = [ipaddress.ip_network(v, strict=False) for v in _list(values)]
                if all(n.prefixlen >= (8 if n.version == 4 else 32) for n in networks):
                    return True
    return False


def refuse_policy(bucket_name: str, text: str) -> None:
    """BlockPublicPolicy: a public policy is refused."""
    bucket = _bucket(bucket_name)
    try:
        policy = json.loads(text or "")
    except ValueError:
        return  # LocalStack reports what is wrong with it
    if bucket and isinstance(policy, dict) and blocks(bucket, "BlockPublicPolicy") and is_public(policy):
        reason = "because public policies are prevented by the BlockPublicPolicy setting in S3 Block Public Access."
        message = f"User is not authorized to perform: s3:PutBucketPolicy on resource: {bucket.bucket_arn} {reason}"
        raise CommonServiceException("AccessDenied", message, 403, True)


def refuse_acl(bucket_name: str, canned: str | None) -> None:
    """With BucketOwnerEnforced ownership, ACLs are refused; with BlockPublicAcls, public ACLs are."""
    bucket = _bucket(bucket_name)
    if bucket is None or canned in (None, "bucket-owner-full-control"):
        return
    if bucket.object_ownership == "BucketOwnerEnforced" and canned != "private":
        raise CommonServiceException("AccessControlListNotSupported", "The bucket does not allow ACLs", 400, True)
    if canned.startswith("public-") and blocks(bucket, "BlockPublicAcls"):
        raise CommonServiceException("AccessDenied", "Access Denied", 403, True)
