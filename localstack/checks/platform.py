"""What all other checks rely on: S3's conditions, STS across accounts, and the control surface itself."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import boto3

from checks.harness import EAST, MAIN, OTHER, RUN, WEST, Server, check, equal, refused

_buckets: list[str] = []


def bucket(server: Server, name: str) -> str:
    name = f"{name}-{RUN}"
    server.client("s3").create_bucket(Bucket=name)
    _buckets.append(name)
    return name


def clean_up(server: Server) -> None:
    s3 = server.client("s3")
    for name in _buckets:
        listed = s3.list_object_versions(Bucket=name)
        for found in [*listed.get("Versions", []), *listed.get("DeleteMarkers", [])]:
            s3.delete_object(Bucket=name, Key=found["Key"], VersionId=found["VersionId"])
        s3.delete_bucket(Bucket=name)


@check
def on_one_address(server: Server) -> None:
    """LocalStack listens on 127.0.0.1 and on no other address of this machine"""
    port = urlsplit(server.endpoint).port
    socket.create_connection(("127.0.0.1", port), 5).close()
    try:
        socket.create_connection(("127.0.0.2", port), 5).close()
    except OSError:
        return
    raise AssertionError("another address of the machine answers")


@check
def conditional_put(server: Server) -> None:
    """S3: If-None-Match * is taken once; If-Match only with the current ETag; else 412"""
    s3, name = server.client("s3"), bucket(server, "guard")
    first = s3.put_object(Bucket=name, Key="db", Body=b"one", IfNoneMatch="*")["ETag"]
    refused("PreconditionFailed", lambda: s3.put_object(Bucket=name, Key="db", Body=b"two", IfNoneMatch="*"))
    second = s3.put_object(Bucket=name, Key="db", Body=b"two", IfMatch=first)["ETag"]
    refused("PreconditionFailed", lambda: s3.put_object(Bucket=name, Key="db", Body=b"three", IfMatch=first))
    equal(s3.get_object(Bucket=name, Key="db")["Body"].read(), b"two", "content")
    assert first != second, "one ETag for two contents"


@check
def one_winner(server: Server) -> None:
    """S3: of eight that take the same guard at once, exactly one wins, time after time"""
    s3, name = server.client("s3"), bucket(server, "race")

    def take(key: str) -> bool:
        try:
            s3.put_object(Bucket=name, Key=key, Body=b"mine", IfNoneMatch="*")
            return True
        except s3.exceptions.ClientError as error:
            equal(error.response["Error"]["Code"], "PreconditionFailed", "code for a loser")
            return False

    with ThreadPoolExecutor(8) as pool:
        for turn in range(5):
            equal(sum(pool.map(take, [f"db-{turn}"] * 8)), 1, "winners")


@check
def conditional_delete(server: Server) -> None:
    """S3: DELETE with If-Match goes through only with the current ETag"""
    s3, name = server.client("s3"), bucket(server, "release")
    etag = s3.put_object(Bucket=name, Key="db", Body=b"one")["ETag"]
    other = '"00000000000000000000000000000000"'
    refused("PreconditionFailed", lambda: s3.delete_object(Bucket=name, Key="db", IfMatch=other))
    s3.delete_object(Bucket=name, Key="db", IfMatch=etag)
    equal(s3.list_objects_v2(Bucket=name)["KeyCount"], 0, "objects left")
    refused("PreconditionFailed", lambda: s3.delete_object(Bucket=name, Key="db", IfMatch="*"))


@check
def conditions_between(server: Server) -> None:
    """S3: a guard given back can be taken anew; If-Match of a missing key is NoSuchKey; versioned buckets, too"""
    s3, name = server.client("s3"), bucket(server, "again")

    def take() -> str:
        return s3.put_object(Bucket=name, Key="db", Body=b"x", IfNoneMatch="*")["ETag"]

    refused("NoSuchKey", lambda: s3.put_object(Bucket=name, Key="db", Body=b"x", IfMatch=f'"{"0" * 32}"'))
    s3.delete_object(Bucket=name, Key="db", IfMatch=take())
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    s3.delete_object(Bucket=name, Key="db", IfMatch=take())
    take()
    refused("PreconditionFailed", take)


@check
def secrets(server: Server) -> None:
    """Secrets Manager: a value by name, by ARN and by stage; those of other regions and deleted ones fail"""
    manager, name = server.client("secretsmanager"), f"drctl/{RUN}"
    arn = manager.create_secret(Name=name, SecretString='{"password": "one"}')["ARN"]
    for wanted in (name, arn):
        equal(manager.get_secret_value(SecretId=wanted)["SecretString"], '{"password": "one"}', f"value of {wanted}")
    manager.put_secret_value(SecretId=name, SecretString="two")
    now = manager.get_secret_value(SecretId=name)
    equal((now["SecretString"], now["VersionStages"]), ("two", ["AWSCURRENT"]), "newer value")
    old = manager.get_secret_value(SecretId=name, VersionStage="AWSPREVIOUS")
    equal(old["SecretString"], '{"password": "one"}', "previous value")
    other = server.client("secretsmanager", WEST)
    refused("ResourceNotFoundException", lambda: other.get_secret_value(SecretId=name))
    manager.delete_secret(SecretId=name)
    refused("InvalidRequestException", lambda: manager.get_secret_value(SecretId=name))
    manager.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)


@check
def identities(server: Server) -> None:
    """STS: a 12-digit key is its account; a role of another account gives credentials of that account"""
    sts = server.client("sts", WEST)
    equal(sts.get_caller_identity()["Account"], MAIN, "own account")
    arn = f"arn:aws:iam::{OTHER}:role/drctl-dns"
    answer = sts.assume_role(RoleArn=arn, RoleSessionName="check", ExternalId="ts", DurationSeconds=900)
    keys = answer["Credentials"]
    session = boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], EAST)
    who = server.client("sts", session=session).get_caller_identity()
    equal(who["Account"], OTHER, "account of the role")
    equal(who["Arn"], f"arn:aws:sts::{OTHER}:assumed-role/drctl-dns/check", "ARN of the session")
    zone = server.client("route53", session=session).create_hosted_zone(Name="r.example", CallerReference=RUN)
    zone_id = zone["HostedZone"]["Id"]
    other = server.client("route53", account=OTHER)
    equal(other.get_hosted_zone(Id=zone_id)["HostedZone"]["Name"], "r.example.", "made in the role's account")
    other.delete_hosted_zone(Id=zone_id)
    left = keys["Expiration"].timestamp() - time.time()
    assert 0 < left < 1000, f"the session lives {left} s, 900 were asked for"


@check
def faults(server: Server) -> None:
    """the next N calls of one operation fail as told, in one region only, then it works again"""
    rds = server.client("rds", WEST)
    where = {"service": "rds", "operation": "DescribeDBInstances", "region": WEST, "account": MAIN}
    server.control("faults", {**where, "code": "Throttling", "message": "Rate exceeded", "calls": 2})
    for _ in range(2):
        refused("Throttling", rds.describe_db_instances, "Rate exceeded")
        server.client("rds", EAST).describe_db_instances()
    rds.describe_db_instances()
    equal(server.control("faults")["faults"][-1]["hits"], 2, "hits")
    server.control("faults", {"service": "*", "code": "ServiceUnavailable", "calls": None, "region": "eu-west-1"})
    refused("ServiceUnavailable", lambda: server.client("rds", "eu-west-1").describe_db_instances())
    refused("ServiceUnavailable", lambda: server.client("autoscaling", "eu-west-1").describe_auto_scaling_groups())
    server.control("faults", method="DELETE")
    server.client("rds", "eu-west-1").describe_db_instances()


@check
def lost_answer(server: Server) -> None:
    """a fault after the call carries the call out and loses the answer; a delay only delays"""
    s3, name = server.client("s3"), bucket(server, "doubt")
    server.control("faults", {"service": "s3", "operation": "PutObject", "code": "InternalError", "when": "after"})
    refused("InternalError", lambda: s3.put_object(Bucket=name, Key="done", Body=b"x"))
    equal(s3.list_objects_v2(Bucket=name)["KeyCount"], 1, "objects")
    server.control("faults", {"service": "s3", "operation": "ListObjectsV2", "delay_ms": 300})
    began = time.monotonic()
    s3.list_objects_v2(Bucket=name)
    assert time.monotonic() - began >= 0.3, "not delayed"
    equal(server.status("faults", {"service": "s3"}), 400, "a fault without code and delay")
    equal(server.status("faults", {"service": "s3", "code": "X", "kind": "y"}), 400, "an unknown field")


@check
def counters(server: Server) -> None:
    """calls are counted by account, region, service and operation, and logged in order with what they answered"""

    def calls() -> tuple[int, int]:
        for row in server.control("calls")["calls"]:
            if (row["account"], row["region"], row["operation"]) == (MAIN, WEST, "DescribeDBInstances"):
                return row["calls"], row["failed"]
        return 0, 0

    before, rds = calls(), server.client("rds", WEST)
    rds.describe_db_instances()
    refused("DBInstanceNotFound", lambda: rds.describe_db_instances(DBInstanceIdentifier="nobody"))
    equal(calls(), (before[0] + 2, before[1] + 1), "calls and failures")
    last = server.control("log")["log"][-2:]
    equal([e["operation"] for e in last], ["DescribeDBInstances"] * 2, "operations in the log")
    equal([e["code"] for e in last], [None, "DBInstanceNotFound"], "codes in the log")
    equal(server.control(f"log?since={last[0]['seq']}")["log"], last[1:], "log since")


@check
def settings(server: Server) -> None:
    """a misspelt or impossible setting is an error and changes nothing"""
    before = server.control("settings")
    equal(server.status("settings", {"insync_ms": 5, "insink_ms": 5}), 400, "misspelt")
    equal(server.status("settings", {"insync_ms": -1}), 400, "negative")
    equal(server.status("settings", {"sg_status_modifying": 1}), 400, "not a boolean")
    equal(server.control("settings"), before, "settings")
    equal(server.status("nothing", {}), 404, "unknown path")
