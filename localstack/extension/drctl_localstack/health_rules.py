"""Route 53's rules for health checks, without clock or network access: which configurations are valid, when a checker
changes its state, and when the whole check is healthy.
"""

import ipaddress
from dataclasses import dataclass, field

from localstack.aws.api import CommonServiceException

ENDPOINT_TYPES = ("HTTP", "HTTPS", "HTTP_STR_MATCH", "HTTPS_STR_MATCH", "TCP")
# "If more than 18% of health checkers report that an endpoint is healthy, Route 53 considers it healthy."
ENOUGH = 0.18
# Two checkers a region, out of the ranges that AWS publishes as ROUTE53_HEALTHCHECKS.
ADDRESSES = {
    "us-east-1": ("54.243.31.193", "107.23.255.5"),
    "us-west-1": ("54.183.255.130", "54.241.32.65"),
    "us-west-2": ("54.244.52.194", "54.245.168.1"),
    "eu-west-1": ("54.228.16.1", "176.34.159.195"),
    "ap-southeast-1": ("54.251.31.129", "54.255.254.193"),
    "ap-southeast-2": ("54.252.79.130", "54.252.254.197"),
    "ap-northeast-1": ("54.248.220.3", "54.250.253.195"),
    "sa-east-1": ("54.232.40.65", "177.71.207.129"),
}


@dataclass
class Checker:
    """One of many independent checkers. It reports healthy until enough probes in a row have failed."""

    region: str
    address: str
    first_after: float  # share of an interval, because checkers do not probe at the same time
    healthy: bool = True
    streak: int = 0  # probes in a row that contradict the current state
    status: str | None = None
    at: float | None = None
    failure: str | None = None
    failed_at: float | None = None
    busy: bool = False

    def saw(self, passed: bool, status: str, at: float, threshold: int) -> None:
        self.status, self.at = status, at
        if not passed:
            self.failure, self.failed_at = status, at
        self.streak = 0 if passed == self.healthy else self.streak + 1
        if self.streak >= threshold:
            self.healthy, self.streak = passed, 0


@dataclass
class Check:
    account: str
    id: str
    reference: str
    config: dict
    asked: dict  # the config as it was sent, which a repeated request with the same CallerReference must match
    created: float
    version: int = 1
    checkers: list[Checker] = field(default_factory=list)
    forced: dict[int, bool] = field(default_factory=dict)  # checker -> what it reports; -1: the whole check
    healthy: bool | None = None  # the last known state; `since` is when it began
    since: float | None = None

    @property
    def watches_endpoint(self) -> bool:
        return self.config["Type"] in ENDPOINT_TYPES


def checkers(regions: list[str]) -> list[Checker]:
    """The first checker of each region, then the second of each, so that the first few are not all in one place."""
    places = [(region, ADDRESSES[region][turn]) for turn in (0, 1) for region in regions]
    return [Checker(region, address, i / len(places)) for i, (region, address) in enumerate(places)]


def reported(check: Check) -> bool:
    """The combined result of an endpoint's checkers."""
    said = [check.forced.get(i, checker.healthy) for i, checker in enumerate(check.checkers)]
    return sum(said) > ENOUGH * len(said)


def calculated(config: dict, children: list[bool]) -> bool:
    """At least HealthThreshold children are healthy: 0 always holds, and more than the number of children never does.
    """
    return sum(children) >= config["HealthThreshold"]


def verdict(config: dict, raw: bool) -> bool:
    """A disabled check counts as healthy, and inversion is applied last."""
    healthy = True if config["Disabled"] else raw
    return not healthy if config["Inverted"] else healthy


def _invalid(message: str) -> CommonServiceException:
    return CommonServiceException("InvalidInput", f"Invalid parameter : {message}", 400, True)


def _only(config: dict, kind: str, *fields: str) -> None:
    more = [name for name in config if name not in (*fields, "Type", "Inverted", "Disabled")]
    if more:
        raise _invalid(f"{', '.join(sorted(more))} cannot be specified for a health check of type {kind}")


def public_address(text: str) -> None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise _invalid(f"{text} is not an IP address") from None
    if not address.is_global or address.is_multicast:
        raise _invalid(f"IP address {text} is in a local, private, non-routable, or multicast range")


def complete(config: dict) -> dict:
    """A new config, validated and completed with the defaults that AWS shows."""
    config = {key: value for key, value in config.items() if value is not None and value != []}
    kind = config["Type"]
    base = {"Inverted": False, "Disabled": False}
    if kind in ENDPOINT_TYPES:
        return base | _endpoint(kind, config)
    if kind == "CALCULATED":
        _only(config, kind, "HealthThreshold", "ChildHealthChecks")
        if len(config.get("ChildHealthChecks", [])) > 255:
            raise _invalid("at most 255 child health checks")
        return base | {"HealthThreshold": 0, "ChildHealthChecks": []} | config
    if kind == "RECOVERY_CONTROL":
        _only(config, kind, "RoutingControlArn")
        if not config.get("RoutingControlArn"):
            raise _invalid("RoutingControlArn must be specified")
        return base | config
    raise _invalid(f"health checks of type {kind} are not there")


def _endpoint(kind: str, config: dict) -> dict:
    known = ("IPAddress", "Port", "FullyQualifiedDomainName", "RequestInterval", "FailureThreshold", "MeasureLatency")
    _only(config, kind, *known, "ResourcePath", "SearchString", "EnableSNI", "Regions")
    secure = kind.startswith("HTTPS")
    defaults = {"RequestInterval": 30, "FailureThreshold": 3, "MeasureLatency": False, "EnableSNI": secure}
    if kind != "TCP":
        defaults["Port"] = 443 if secure else 80
    config = defaults | config
    if config["RequestInterval"] not in (10, 30):
        raise _invalid("RequestInterval must be 10 or 30")
    check_values(kind, config)
    return config


def check_values(kind: str, config: dict) -> None:
    """Validates the values of a new or updated endpoint check."""
    if not config.get("IPAddress") and not config.get("FullyQualifiedDomainName"):
        raise _invalid("IPAddress or FullyQualifiedDomainName must be specified")
    if config.get("IPAddress"):
        public_address(config["IPAddress"])
    if not config.get("Port"):
        raise _invalid("Port must be specified for a TCP health check")
    if not 1 <= config["FailureThreshold"] <= 10:
        raise _invalid("FailureThreshold must be between 1 and 10")
    if kind.endswith("_STR_MATCH") != bool(config.get("SearchString")):
        raise _invalid("SearchString is for the types with STR_MATCH, which need it")
    if config.get("Regions") and len(config["Regions"]) < 3:
        raise _invalid("at least three regions must be specified")
    unknown = [region for region in config.get("Regions", []) if region not in ADDRESSES]
    if unknown:
        raise _invalid(f"no health checkers in {', '.join(unknown)}")
