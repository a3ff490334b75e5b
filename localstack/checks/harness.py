"""What the checks share: clients for each account and region, the control surface, and functions that wait."""

import json
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from contextlib import contextmanager

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

WEST, EAST = "us-west-2", "us-east-1"
MAIN, OTHER = "999999999901", "999999999902"
RUN = uuid.uuid4().hex[:6]

# A single attempt: a check must see the error that it provoked, not the result of a retry.
CONFIG = Config(retries={"total_max_attempts": 1}, read_timeout=30, s3={"addressing_style": "path"})


class Server:
    """A running LocalStack with the extension."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._clients: dict[tuple, object] = {}

    def client(self, service: str, region: str = EAST, account: str = MAIN, session: boto3.Session | None = None):
        if session:
            return session.client(service, endpoint_url=self.endpoint, config=CONFIG)
        key = (service, region, account)
        if key not in self._clients:
            keys = boto3.Session(account, "test", region_name=region)
            self._clients[key] = keys.client(service, endpoint_url=self.endpoint, config=CONFIG)
        return self._clients[key]

    def at(self, endpoint: dict, account: str = MAIN, region: str | None = None, **config):
        """A client for one endpoint of a routing-control cluster, as DescribeCluster lists it."""
        key = (endpoint["Endpoint"], account, region, *config.items())
        if key not in self._clients:
            keys = boto3.Session(account, "test", region_name=region or endpoint["Region"])
            own = {"endpoint_url": endpoint["Endpoint"], "config": CONFIG.merge(Config(**config))}
            self._clients[key] = keys.client("route53-recovery-cluster", **own)
        return self._clients[key]

    def control(self, path: str, body: dict | None = None, method: str | None = None) -> dict:
        data = None if body is None else json.dumps(body).encode()
        url = f"{self.endpoint}/_drctl/{path}"
        request = urllib.request.Request(url, data, method=method or ("GET" if data is None else "POST"))
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def status(self, path: str, body: dict) -> int:
        """The HTTP status of a control call that is expected to fail."""
        try:
            self.control(path, body)
        except urllib.error.HTTPError as error:
            return error.code
        return 200

    @contextmanager
    def settings(self, **values):
        """Other durations while the context lasts."""
        before = self.control("settings")
        self.control("settings", values)
        try:
            yield
        finally:
            self.control("settings", {name: before[name] for name in values})


CHECKS: list[tuple[str, Callable[[Server], None]]] = []


def check(function: Callable[[Server], None]) -> Callable[[Server], None]:
    CHECKS.append((f"{function.__module__.split('.')[-1]}: {function.__doc__}", function))
    return function


def refused(code: str, call: Callable[[], object], containing: str = "") -> str:
    """The call must fail with this code, and its message must contain this text. Returns the message."""
    try:
        call()
    except ClientError as error:
        found, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
        assert found == code, f"expected {code}, got {found}: {message}"
        assert containing in message, f"{containing!r} is not in {message!r}"
        return message
    raise AssertionError(f"expected {code}, but the call was accepted")


def eventually(probe: Callable[[], object], what: str, within: float = 8.0) -> object:
    """Poll until the probe returns a true value, which is returned; otherwise fail and name what did not happen."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        value = probe()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"{what}: not within {within} s")


def equal(found: object, expected: object, what: str) -> None:
    assert found == expected, f"{what}: expected {expected!r}, found {found!r}"


def steps(values: list) -> list:
    """The values of a sampled timeline without repetitions."""
    return [value for i, value in enumerate(values) if i == 0 or values[i - 1] != value]
