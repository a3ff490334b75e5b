"""One probe by one health checker: of an object in this server's own S3, or of a host whose real address a test has
set.

No name is ever resolved externally: a name that neither belongs to S3 nor was set by a test does not resolve here.
"""

import http.client
import socket
import ssl
import time
from dataclasses import dataclass, replace

from drctl_localstack import s3_public, traffic

# Four seconds to connect, then two to answer; ten to connect for a TCP check.
CONNECT_S, ANSWER_S, TCP_S = 4, 2, 10
SEARCHED = 5120
AGENT = "Amazon-Route53-Health-Check-Service"
LOST = "The endpoint or the internet connection is down, or requests are being blocked by your firewall."


@dataclass(frozen=True)
class Host:
    """Where a name or address from the plan is really served; without an address, it does not answer."""

    address: str | None = None
    port: int | None = None
    healthy: bool = True  # the health that an alias to it with EvaluateTargetHealth inherits


_hosts: dict[str, Host] = {}


def tell(body: dict) -> dict:
    name = str(body.pop("host")).lower().rstrip(".")
    unknown = set(body) - {"address", "port", "healthy", "known"}
    if unknown:
        raise ValueError(f"know host, address, port, healthy and known, not {sorted(unknown)}")
    if body.pop("known", True) is False:
        _hosts.pop(name, None)
        return {"host": name, "known": False}
    if not isinstance(body.get("healthy", True), bool):
        raise ValueError("healthy must be true or false")
    _hosts[name] = replace(_hosts.get(name, Host()), **body)
    return {"host": name, **vars(_hosts[name])}


def host(name: str) -> Host | None:
    return _hosts.get(name.lower().rstrip("."))


def hosts() -> dict[str, dict]:
    return {name: vars(found) for name, found in _hosts.items()}


def forget_hosts() -> None:
    _hosts.clear()


def quick(config: dict) -> bool:
    """Whether the probe stays within this process."""
    return bool(s3_place(config))


def s3_place(config: dict) -> s3_public.Place | None:
    name = config.get("FullyQualifiedDomainName")
    if not name or config.get("IPAddress") or host(name):
        return None
    return s3_public.place(name, config.get("ResourcePath") or "/")


def look(config: dict, source: str) -> tuple[bool, str]:
    """Whether the probe passed, and the text that GetHealthCheckStatus returns for it."""
    where = s3_place(config)
    if where:
        return _look_at_s3(config, where, source)
    name = config.get("IPAddress") or config["FullyQualifiedDomainName"]
    found = host(name)
    if found is None and not config.get("IPAddress"):
        return False, "Failure: DNS resolution failed: DNS response error code NXDOMAIN"
    if found is None or not found.address:
        return False, f"Failure: Connection timed out. {LOST}"
    try:
        return _look_at_host(config, found)
    except TimeoutError:
        return False, f"Failure: Connection timed out. {LOST}"
    except (OSError, http.client.HTTPException) as error:
        return False, f"Failure: {type(error).__name__}. {LOST}"


def _look_at_s3(config: dict, where: s3_public.Place, source: str) -> tuple[bool, str]:
    kind, secure = config["Type"], config["Type"].startswith("HTTPS")
    served = (80,) if where.kind == "website" else (80, 443)
    wrong_port = config["Port"] not in served or (kind != "TCP" and secure != (config["Port"] == 443))
    region = s3_public.region_of(where.bucket) or where.region or "us-east-1"
    fault = traffic.standing("s3", "GetObject", region)
    if wrong_port or (fault and fault.delay_ms > ANSWER_S * 1000):
        return False, f"Failure: Connection timed out. {LOST}"
    if fault and fault.code:
        return False, f"Failure: HTTP Status Code {fault.error().status_code}"
    if kind == "TCP":
        return True, "Success: TCP connection established"
    return _judge(config, s3_public.get(where, s3_public.Caller(source, secure)))


def _judge(config: dict, reply: s3_public.Reply) -> tuple[bool, str]:
    said = f"HTTP Status Code {reply.status}, {reply.reason}"
    if not 200 <= reply.status < 400:
        return False, f"Failure: {said}"
    text = config.get("SearchString")
    if text and text.encode() not in reply.body[:SEARCHED]:
        return False, f"Failure: {said}. The response body does not contain the search string."
    return True, f"Success: {said}"


def _look_at_host(config: dict, found: Host) -> tuple[bool, str]:
    target = (found.address, found.port or config["Port"])
    if config["Type"] == "TCP":
        socket.create_connection(target, TCP_S).close()
        return True, "Success: TCP connection established"
    connection = http.client.HTTPConnection(*target)
    connection.sock = socket.create_connection(target, CONNECT_S)
    try:
        connection.sock.settimeout(ANSWER_S)
        if config["Type"].startswith("HTTPS"):
            connection.sock = _tls(connection.sock, config)
        path = "/" + (config.get("ResourcePath") or "").lstrip("/")
        headers = {"Host": _host_header(config), "User-Agent": AGENT, "Connection": "close"}
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        body = _first(answer) if config.get("SearchString") else b""
        return _judge(config, s3_public.Reply(answer.status, body))
    finally:
        connection.close()


def _first(answer: http.client.HTTPResponse) -> bytes:
    """The beginning of the body, as far as it arrives within two more seconds."""
    body, end = b"", time.monotonic() + ANSWER_S
    while len(body) < SEARCHED and time.monotonic() < end:
        more = answer.read1(SEARCHED - len(body))
        if not more:
            break
        body += more
    return body


def _tls(plain: socket.socket, config: dict) -> ssl.SSLSocket:
    """TLS without verification: "HTTPS health checks don't validate SSL/TLS certificates" (AWS documentation)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    name = config.get("FullyQualifiedDomainName") if config.get("EnableSNI") else None
    return context.wrap_socket(plain, server_hostname=name)


def _host_header(config: dict) -> str:
    name = config.get("FullyQualifiedDomainName") or config["IPAddress"]
    usual = 443 if config["Type"].startswith("HTTPS") else 80
    return name if config["Port"] == usual else f"{name}:{config['Port']}"
