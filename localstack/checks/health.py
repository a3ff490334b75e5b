"""Route 53 health checks: that they probe, what they probe, and when their status changes."""

import json
import threading
import time
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from checks.harness import EAST, MAIN, OTHER, RUN, WEST, Server, check, equal, eventually, refused

_made: list[tuple[str, str]] = []
_buckets: list[tuple[str, str]] = []
FAST = 20  # a second of RequestInterval lasts 20 ms: ten seconds are 0.2 s
PUBLIC = "8.8.4.4"  # an address that AWS would look at; tests say where it is


def bucket(server: Server, name: str, region: str = EAST, open_to_all: bool = True) -> str:
    """A bucket that everybody can read, as the health check of an object needs it."""
    name, s3 = f"health-{name}-{RUN}", server.client("s3", region)
    where = {} if region == EAST else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    s3.create_bucket(Bucket=name, **where)
    _buckets.append((region, name))
    if open_to_all:
        s3.delete_public_access_block(Bucket=name)
        s3.put_bucket_policy(Bucket=name, Policy=policy(name))
    return name


def policy(name: str, action: str = "s3:GetObject", **more) -> str:
    resource = f"arn:aws:s3:::{name}" + ("/*" if action == "s3:GetObject" else "")
    statement = {"Effect": "Allow", "Principal": "*", "Action": action, "Resource": resource, **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def made(server: Server, reference: str = "", account: str = MAIN, **config) -> str:
    client = server.client("route53", account=account)
    reference = reference or f"{RUN}-{len(_made)}-{time.monotonic_ns()}"
    check_id = client.create_health_check(CallerReference=reference, HealthCheckConfig=config)["HealthCheck"]["Id"]
    _made.append((account, check_id))
    return check_id


def of_object(server: Server, name: str, key: str = "up", region: str = EAST, **more) -> str:
    base = {"Type": "HTTPS", "FullyQualifiedDomainName": f"{name}.s3.{region}.amazonaws.com", "ResourcePath": f"/{key}"}
    return made(server, **{**base, "RequestInterval": 10, "FailureThreshold": 1, **more})


def state(server: Server, check_id: str) -> dict:
    every = server.control("healthchecks")["healthchecks"]
    return next(each for each in every if each["health_check"] == check_id)


def becomes(server: Server, check_id: str, healthy: bool, what: str, within: float = 5.0) -> dict:
    """Waits until all checkers have probed and report this."""

    def probe() -> dict | None:
        found = state(server, check_id)
        looked = found["checkers"]["looked"] == found["checkers"]["of"]
        return found if looked and found["healthy"] == healthy else None

    try:
        return eventually(probe, what, within)
    except AssertionError as error:
        raise AssertionError(f"{error}; it is {state(server, check_id)}") from error


def said(server: Server, check_id: str) -> set[str]:
    answer = server.client("route53").get_health_check_status(HealthCheckId=check_id)["HealthCheckObservations"]
    return {each["StatusReport"]["Status"] for each in answer}


def says(server: Server, check_id: str, text: str) -> None:
    eventually(lambda: said(server, check_id) == {text}, f"every checker says {text!r}, not {said(server, check_id)}")


def clean_up(server: Server) -> None:
    for account, check_id in _made:
        client = server.client("route53", account=account)
        with suppress(client.exceptions.NoSuchHealthCheck):
            client.delete_health_check(HealthCheckId=check_id)
    for region, name in _buckets:
        s3 = server.client("s3", region)
        for found in s3.list_objects_v2(Bucket=name).get("Contents", []):
            s3.delete_object(Bucket=name, Key=found["Key"])
        s3.delete_bucket(Bucket=name)


class Site:
    """A web server with a configurable answer that counts the requests."""

    def __init__(self) -> None:
        self.status, self.body, self.delay, self.asked = 200, b"all is well", 0.0, []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append((self.path, self.headers.get("Host"), self.headers.get("User-Agent")))
                time.sleep(site.delay)
                self.send_response(site.status)
                self.send_header("Content-Length", str(len(site.body)))
                self.end_headers()
                with suppress(OSError):  # the client did not wait
                    self.wfile.write(site.body)

            def log_message(self, *args) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        return self.server.server_address[1]


@contextmanager
def served(server: Server, *names: str):
    """A site that these names lead to."""
    site = Site()
    for name in names:
        server.control("healthchecks", {"host": name, "address": "127.0.0.1", "port": site.port})
    try:
        yield site
    finally:
        for name in names:
            server.control("healthchecks", {"host": name, "known": False})
        site.server.shutdown()
        site.server.server_close()


@check
def of_an_object(server: Server) -> None:
    """an object that is there makes its check healthy, and its going unhealthy; each checker says what it saw"""
    name, s3, client = bucket(server, "object"), server.client("s3"), server.client("route53")
    with server.settings(health_second_ms=FAST):
        s3.put_object(Bucket=name, Key="up", Body=b"here")
        check_id = of_object(server, name)
        becomes(server, check_id, True, "healthy")
        says(server, check_id, "Success: HTTP Status Code 200, OK")
        answer = client.get_health_check_status(HealthCheckId=check_id)["HealthCheckObservations"]
        distinct = [len({o[what] for o in answer}) for what in ("Region", "IPAddress")]
        equal((len(answer), distinct), (16, [8, 16]), "checkers")
        age = time.time() - max(o["StatusReport"]["CheckedTime"].timestamp() for o in answer)
        assert -1 < age < 2, f"the last look was {age} s ago"
        failures = client.get_health_check_last_failure_reason
        equal(failures(HealthCheckId=check_id)["HealthCheckObservations"], [], "failures")
        s3.delete_object(Bucket=name, Key="up")
        becomes(server, check_id, False, "unhealthy")
        says(server, check_id, "Failure: HTTP Status Code 403, Forbidden")
        s3.put_object(Bucket=name, Key="up", Body=b"here")
        becomes(server, check_id, True, "healthy again")
        found = {o["StatusReport"]["Status"] for o in failures(HealthCheckId=check_id)["HealthCheckObservations"]}
        equal(found, {"Failure: HTTP Status Code 403, Forbidden"}, "last failures")


@check
def public_or_not(server: Server) -> None:
    """an object is seen only where policy and Block Public Access let everybody read; 404 needs the right to list"""
    name, s3 = bucket(server, "private", open_to_all=False), server.client("s3")
    s3.put_object(Bucket=name, Key="up", Body=b"here")
    forbidden = "Failure: HTTP Status Code 403, Forbidden"
    with server.settings(health_second_ms=FAST):
        check_id = of_object(server, name)
        says(server, check_id, forbidden)
        refused("AccessDenied", lambda: s3.put_bucket_policy(Bucket=name, Policy=policy(name)), "BlockPublicPolicy")
        block = {"BlockPublicAcls": True, "IgnorePublicAcls": True, "RestrictPublicBuckets": True}
        s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=block)
        s3.put_bucket_policy(Bucket=name, Policy=policy(name))
        time.sleep(0.5)
        equal(said(server, check_id), {forbidden}, "with a policy, but RestrictPublicBuckets")
        s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration={**block, "RestrictPublicBuckets": False})
        says(server, check_id, "Success: HTTP Status Code 200, OK")
        s3.put_bucket_policy(Bucket=name, Policy=policy(name, "s3:ListBucket"))
        says(server, check_id, forbidden)
        s3.delete_object(Bucket=name, Key="up")
        says(server, check_id, "Failure: HTTP Status Code 404, Not Found")
        s3.delete_bucket_policy(Bucket=name)
        says(server, check_id, forbidden)
        gone = of_object(server, f"{name}-gone")
        says(server, gone, "Failure: HTTP Status Code 404, Not Found")


@check
def by_address(server: Server) -> None:
    """a policy for the health checkers' addresses alone is not public, so Block Public Access may stay; Deny wins"""
    name, s3 = bucket(server, "address", open_to_all=False), server.client("s3")
    s3.put_object(Bucket=name, Key="up", Body=b"here")

    def allow(*ranges: str) -> str:
        return policy(name, Condition={"IpAddress": {"aws:SourceIp": list(ranges)}})

    with server.settings(health_second_ms=FAST):
        check_id = of_object(server, name)
        checkers = server.client("route53").get_health_check_status
        eventually(lambda: len(checkers(HealthCheckId=check_id)["HealthCheckObservations"]) == 16, "all looked")
        ranges = [f"{o['IPAddress']}/26" for o in checkers(HealthCheckId=check_id)["HealthCheckObservations"]]
        refused("AccessDenied", lambda: s3.put_bucket_policy(Bucket=name, Policy=allow("0.0.0.0/1", "128.0.0.0/1")))
        s3.put_bucket_policy(Bucket=name, Policy=allow(*ranges))
        says(server, check_id, "Success: HTTP Status Code 200, OK")
        s3.put_bucket_policy(Bucket=name, Policy=allow("198.51.100.0/24"))
        says(server, check_id, "Failure: HTTP Status Code 403, Forbidden")
        both = json.loads(allow(*ranges))
        deny = {**both["Statement"][0], "Effect": "Deny", "Condition": {"Bool": {"aws:SecureTransport": "true"}}}
        s3.put_bucket_policy(Bucket=name, Policy=allow(*ranges))
        becomes(server, check_id, True, "healthy")
        s3.put_bucket_policy(Bucket=name, Policy=json.dumps({**both, "Statement": [*both["Statement"], deny]}))
        becomes(server, check_id, False, "unhealthy by a Deny")


@check
def by_acl(server: Server) -> None:
    """an ACL counts only where the bucket takes ACLs and they are not ignored"""
    name, s3 = bucket(server, "acl", open_to_all=False), server.client("s3")
    s3.put_object(Bucket=name, Key="up", Body=b"here")
    give = {"Bucket": name, "Key": "up", "ACL": "public-read"}
    refused("AccessControlListNotSupported", lambda: s3.put_object_acl(**give))
    owner = {"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]}
    s3.put_bucket_ownership_controls(Bucket=name, OwnershipControls=owner)
    refused("AccessDenied", lambda: s3.put_object_acl(**give))
    refused("AccessDenied", lambda: s3.put_object(**give, Body=b"here"))
    with server.settings(health_second_ms=FAST):
        check_id = of_object(server, name)
        s3.delete_public_access_block(Bucket=name)
        s3.put_object_acl(**give)
        becomes(server, check_id, True, "healthy by the ACL")
        owner = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
        s3.put_bucket_ownership_controls(Bucket=name, OwnershipControls=owner)
        becomes(server, check_id, False, "unhealthy without ACLs")


@check
def names_of_s3(server: Server) -> None:
    """an object by host, by path, by website; another region's endpoint answers 301, which is healthy whatever is there"""
    name, s3 = bucket(server, "names", WEST), server.client("s3", WEST)
    s3.put_object(Bucket=name, Key="deep/up", Body=b"here")
    with server.settings(health_second_ms=FAST):
        host = of_object(server, name, "deep/up", WEST)
        plain = {"Type": "HTTP", "FullyQualifiedDomainName": f"s3.{WEST}.amazonaws.com"}
        by_path = of_object(server, name, f"{name}/deep/up", **plain)
        wrong = of_object(server, name, "nothing", EAST)
        plain["FullyQualifiedDomainName"] = f"{name}.s3-website-{WEST}.amazonaws.com"
        site = of_object(server, name, "deep/up", **plain)
        for each in (host, by_path):
            says(server, each, "Success: HTTP Status Code 200, OK")
        says(server, wrong, "Success: HTTP Status Code 301, Moved Permanently")
        says(server, site, "Failure: HTTP Status Code 404, Not Found")
        s3.put_bucket_website(Bucket=name, WebsiteConfiguration={"IndexDocument": {"Suffix": "index.html"}})
        says(server, site, "Success: HTTP Status Code 200, OK")


@check
def dark_region(server: Server) -> None:
    """a fault that stays in the bucket's region meets health checkers, too; one that is counted is left for its caller"""
    name, s3 = bucket(server, "dark", WEST), server.client("s3", WEST)
    s3.put_object(Bucket=name, Key="up", Body=b"here")
    with server.settings(health_second_ms=FAST):
        check_id = of_object(server, name, region=WEST)
        becomes(server, check_id, True, "healthy")
        server.control("faults", {"service": "s3", "operation": "GetObject", "region": WEST, "code": "SlowDown"})
        time.sleep(0.5)
        becomes(server, check_id, True, "still healthy")
        equal(server.control("faults")["faults"][0]["calls"], 1, "faults left")
        server.control("faults", method="DELETE")
        server.control("faults", {"service": "*", "region": WEST, "code": "ServiceUnavailable", "calls": None})
        becomes(server, check_id, False, "unhealthy in the dark")
        says(server, check_id, "Failure: HTTP Status Code 503")
        server.control("faults", method="DELETE")
        becomes(server, check_id, True, "healthy in the light")


@check
def patience(server: Server) -> None:
    """a checker changes its mind after FailureThreshold looks in a row, both ways, RequestInterval apart"""
    name, s3 = bucket(server, "patience"), server.client("s3")
    s3.put_object(Bucket=name, Key="up", Body=b"here")
    with server.settings(health_second_ms=FAST):
        hasty, slow = of_object(server, name), of_object(server, name, FailureThreshold=5)
        for each in (hasty, slow):
            becomes(server, each, True, "healthy")
        for healthy, act in ((False, s3.delete_object), (True, lambda **k: s3.put_object(**k, Body=b"here"))):
            began = time.monotonic()
            act(Bucket=name, Key="up")
            becomes(server, hasty, healthy, "the hasty one")
            first = time.monotonic() - began
            becomes(server, slow, healthy, "the slow one")
            taken = time.monotonic() - began
            assert taken > 0.8 and taken - first > 0.4, f"{first:.2f} s and {taken:.2f} s; five looks take 0.8 s"


@check
def interval(server: Server) -> None:
    """ten seconds look three times as often as thirty; no other interval is taken"""
    names = [f"ten-{RUN}.example", f"thirty-{RUN}.example"]
    with server.settings(health_second_ms=FAST), served(server, *names) as site:
        for name, seconds in zip(names, (10, 30)):
            made(server, Type="HTTP", FullyQualifiedDomainName=name, RequestInterval=seconds)
        time.sleep(1)
        site.asked.clear()
        time.sleep(1.2)
        ten, thirty = (sum(host == name for _, host, _ in site.asked) for name in names)
        assert 1.8 < ten / thirty < 4.5, f"{ten} and {thirty} requests in 1.2 s"
    refused("InvalidInput", lambda: made(server, Type="HTTP", FullyQualifiedDomainName="a.example", RequestInterval=20))


@check
def of_a_site(server: Server) -> None:
    """2xx and 3xx pass, and with a search string also its being within the first 5,120 bytes; two seconds are too long"""
    name = f"site-{RUN}.example"
    base = {"FullyQualifiedDomainName": name, "ResourcePath": "/health", "RequestInterval": 10, "FailureThreshold": 1}
    with server.settings(health_second_ms=FAST):
        with served(server, name, PUBLIC) as site:
            plain = made(server, Type="HTTP", **base)
            text = made(server, Type="HTTP_STR_MATCH", SearchString="is well", **base)
            by_address = made(server, Type="HTTP", **{**base, "IPAddress": PUBLIC, "Port": 8080})
            for each in (plain, text, by_address):
                becomes(server, each, True, "healthy")
            wanted = {("/health", name), ("/health", f"{name}:8080")}
            equal({(path, host) for path, host, _ in site.asked}, wanted, "paths and hosts")
            assert all("Route53-Health-Check" in agent for *_, agent in site.asked), "user agent"
            site.body = b"x" * 5115 + b"is well"
            becomes(server, text, False, "unhealthy with the string too far behind")
            becomes(server, plain, True, "healthy without a string")
            site.status, site.body = 302, b"is well"
            becomes(server, text, True, "healthy with 302")
            site.status = 500
            for each in (plain, text, by_address):
                becomes(server, each, False, "unhealthy with 500")
            says(server, plain, "Failure: HTTP Status Code 500, Internal Server Error")
            site.status, site.delay = 200, 2.4
            time.sleep(0.5)
            becomes(server, plain, False, "unhealthy when slow", 8)
            eventually(lambda: all("timed out" in s for s in said(server, plain)), "every checker says that it timed out")
            site.delay = 0
            becomes(server, plain, True, "healthy when quick", 8)
        becomes(server, plain, False, "unhealthy without a name")
        assert any("DNS resolution failed" in s for s in said(server, plain)), said(server, plain)


@check
def new_ones(server: Server) -> None:
    """a new check is healthy until something was seen, and unhealthy if inverted; nobody has a status yet"""
    name, client = bucket(server, "new"), server.client("route53")
    plain, inverted = (of_object(server, name, RequestInterval=30, Inverted=i) for i in (False, True))
    equal((state(server, plain)["healthy"], state(server, inverted)["healthy"]), (True, False), "at first")
    with server.settings(health_second_ms=FAST):
        becomes(server, plain, False, "unhealthy once it looked")
        becomes(server, inverted, True, "the inverse")
        equal(said(server, inverted), {"Failure: HTTP Status Code 403, Forbidden"}, "status of an inverted check")
        client.update_health_check(HealthCheckId=plain, Disabled=True)
        client.update_health_check(HealthCheckId=inverted, Disabled=True)
        equal((state(server, plain)["healthy"], state(server, inverted)["healthy"]), (True, False), "disabled")


@check
def share(server: Server) -> None:
    """more than 18 % of the checkers make a check healthy: of sixteen three do, two do not"""
    name, s3 = bucket(server, "share"), server.client("s3")
    s3.put_object(Bucket=name, Key="up", Body=b"here")
    with server.settings(health_second_ms=FAST):
        check_id = of_object(server, name)
        becomes(server, check_id, True, "healthy")
        for number, healthy in ((13, True), (14, False)):
            body = {"health_check": check_id, "force": "unhealthy", "checkers": number}
            found = server.control("healthchecks", body)
            equal((found["healthy"], found["checkers"]["healthy"]), (healthy, 16 - number), f"with {number} against it")
        three = of_object(server, name, Regions=[EAST, WEST, "eu-west-1"])
        equal(becomes(server, three, True, "healthy")["checkers"]["of"], 6, "checkers of three regions")
    equal(server.control("healthchecks", {"health_check": check_id, "force": None})["healthy"], True, "not forced")
    equal(server.status("healthchecks", {"health_check": check_id, "force": "sick"}), 400, "an unknown state")
    equal(server.status("healthchecks", {"health_check": "nobody", "force": None}), 404, "an unknown check")


@check
def calculated(server: Server) -> None:
    """a calculated check counts its healthy children, follows them at once, and has no checkers to ask"""
    children = [made(server, Type="HTTP", IPAddress=PUBLIC, RequestInterval=30) for _ in range(3)]

    def force(number: int) -> None:
        for i, child in enumerate(children):
            server.control("healthchecks", {"health_check": child, "force": "healthy" if i < number else "unhealthy"})

    parents = {n: made(server, Type="CALCULATED", ChildHealthChecks=children, HealthThreshold=n) for n in (0, 2, 4)}
    inverted = made(server, Type="CALCULATED", ChildHealthChecks=[parents[2]], HealthThreshold=1, Inverted=True)
    for number, expected in ((3, (True, True, False)), (2, (True, True, False)), (1, (True, False, False))):
        force(number)
        equal(tuple(state(server, parents[n])["healthy"] for n in (0, 2, 4)), expected, f"with {number} healthy")
        equal(state(server, inverted)["healthy"], not expected[1], "the inverse of one of them")
    client = server.client("route53")
    refused("InvalidInput", lambda: client.get_health_check_status(HealthCheckId=inverted))
    client.update_health_check(HealthCheckId=parents[2], HealthThreshold=1)
    equal(state(server, parents[2])["healthy"], True, "after the threshold was lowered")
    refused("NoSuchHealthCheck", lambda: made(server, Type="CALCULATED", ChildHealthChecks=["nobody"], HealthThreshold=1))


@check
def operations(server: Server) -> None:
    """create is idempotent by its reference, update by its version; listings page; what is impossible is refused"""
    client, site = server.client("route53"), {"Type": "HTTPS", "FullyQualifiedDomainName": "ops.example"}
    first = made(server, f"{RUN}-ops", **site)
    equal(made(server, f"{RUN}-ops", **site), first, "the same again")
    refused("HealthCheckAlreadyExists", lambda: made(server, f"{RUN}-ops", **site, Inverted=True))
    found = client.get_health_check(HealthCheckId=first)["HealthCheck"]
    defaults = {"Port": 443, "RequestInterval": 30, "FailureThreshold": 3, "Inverted": False, "EnableSNI": True}
    equal({k: found["HealthCheckConfig"][k] for k in defaults}, defaults, "defaults")
    assert "IPAddress" not in found["HealthCheckConfig"], "an address that nobody gave"
    new = client.update_health_check(HealthCheckId=first, HealthCheckVersion=1, ResourcePath="/a")["HealthCheck"]
    equal((new["HealthCheckVersion"], new["HealthCheckConfig"]["ResourcePath"]), (2, "/a"), "updated")
    refused("HealthCheckVersionMismatch", lambda: client.update_health_check(HealthCheckId=first, HealthCheckVersion=1))
    refused("InvalidInput", lambda: client.update_health_check(HealthCheckId=first, IPAddress=PUBLIC))
    reset = client.update_health_check(HealthCheckId=first, ResetElements=["ResourcePath"])["HealthCheck"]
    assert "ResourcePath" not in reset["HealthCheckConfig"], "not reset"
    own = [made(server, account=OTHER, **site) for _ in range(3)]
    other, pages = server.client("route53", account=OTHER), []
    for page in other.get_paginator("list_health_checks").paginate(PaginationConfig={"PageSize": 2}):
        pages.append([c["Id"] for c in page["HealthChecks"]])
    equal(([len(p) for p in pages], sorted(sum(pages, []))), ([2, 1], sorted(own)), "pages")
    equal(other.get_health_check_count()["HealthCheckCount"], 3, "count")
    refused("NoSuchHealthCheck", lambda: other.get_health_check(HealthCheckId=first))
    client.delete_health_check(HealthCheckId=first)
    refused("NoSuchHealthCheck", lambda: client.get_health_check_status(HealthCheckId=first))
    refused("HealthCheckAlreadyExists", lambda: made(server, f"{RUN}-ops", **site))
    impossible = [
        {"Type": "HTTP"},
        {"Type": "HTTP", "IPAddress": "10.0.0.1"},
        {"Type": "HTTP_STR_MATCH", "FullyQualifiedDomainName": "a.example"},
        {"Type": "CALCULATED", "HealthThreshold": 1, "Port": 80},
        {"Type": "RECOVERY_CONTROL"},
        {"Type": "RECOVERY_CONTROL", "RoutingControlArn": "arn", "RequestInterval": 10},
    ]
    for config in impossible:
        refused("InvalidInput", lambda: made(server, **config))
