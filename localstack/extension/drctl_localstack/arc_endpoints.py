"""The five endpoints of a cluster: separate listeners in this process, which a test can shut down, slow down or
silence.

Each endpoint forwards requests to LocalStack's own port and adds a header that identifies the endpoint. An endpoint
that is shut down keeps its port bound without listening, so connections are refused, as by a running machine, and no
other process can take the port.

Where only LocalStack's own port can be reached, from a container or another network, each endpoint is also available as
a path on that port. There, only the mode `unavailable` and the delay work; a proxy in front of the port has to provide
the other modes.
"""

import http.client
import logging
import re
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler

from localstack import config as localstack_config
from localstack.aws.api import CommonServiceException, RequestContext

from drctl_localstack import arc
from drctl_localstack.settings import LOCK

LOG = logging.getLogger(__name__)
HEADER = "X-Drctl-Cluster-Endpoint"
PATH = re.compile(r"^/_arc/([0-9a-f-]+)/([a-z0-9-]+)/")
SERVICE, CONFIG = "route53-recovery-cluster", "route53-recovery-control-config"
MODES = ("up", "refuse", "hang", "cut", "unavailable")
LONGEST_S = 120


class Endpoint:
    """Modes: `up`; `refuse`: no listener; `hang`: accepts connections and never answers; `cut`: carries out the call,
    then closes the connection; `unavailable`: answers EndpointTemporarilyUnavailableException.
    """

    def __init__(self, cluster: str, region: str) -> None:
        self.cluster, self.region = cluster, region
        self.mode, self.delay_ms = "up", 0.0
        self._connections: set[socket.socket] = set()
        self._socket = self._bound(0)
        self.port = self._socket.getsockname()[1]
        self._listen()

    def _bound(self, port: int) -> socket.socket:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        return listener

    def _listen(self) -> None:
        self._socket.listen(64)
        threading.Thread(target=self._accept, args=(self._socket,), name=f"arc-{self.region}", daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, address = listener.accept()
            except OSError:  # the endpoint was shut down
                return
            threading.Thread(target=self._serve, args=(connection, address), daemon=True).start()

    def _serve(self, connection: socket.socket, address: tuple) -> None:
        self._connections.add(connection)
        try:
            _Handler(connection, address, self)
        except (OSError, ValueError):
            pass  # the caller disconnected, or the endpoint cut the connection
        finally:
            self._connections.discard(connection)
            connection.close()

    @property
    def url(self) -> str:
        host, port = self._socket.getsockname()
        return f"http://{host}:{port}/v1"

    def set(self, mode: str, delay_ms: float) -> None:
        was_up, self.mode, self.delay_ms = self.mode != "refuse", mode, delay_ms
        if was_up and mode == "refuse":
            self.close()
            self._socket = self._bound(self.port)
        elif not was_up and mode != "refuse":
            self._listen()

    def close(self) -> None:
        """Closes the listener, and the connections that callers keep open for the next call."""
        for each in (self._socket, *list(self._connections)):
            try:
                each.shutdown(socket.SHUT_RDWR)  # wakes the thread that is blocked on it
            except OSError:
                pass
        self._socket.close()

    def show(self) -> dict:
        path = f"/_arc/{self.cluster.rpartition('/')[2]}/{self.region}/v1"
        place = {"region": self.region, "endpoint": self.url, "path": path}
        return place | {"mode": self.mode, "delay_ms": self.delay_ms}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    server_version = "drctl"

    def log_message(self, *args) -> None:
        pass  # no access log: the control surface logs calls

    def do_POST(self) -> None:
        endpoint: Endpoint = self.server
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if endpoint.mode == "refuse":  # accepted before the endpoint was shut down, but not read yet
            self.close_connection = True
            return
        if endpoint.mode == "hang":
            self._hang(endpoint)
            return
        time.sleep(endpoint.delay_ms / 1000)
        status, headers, answer = self._pass_on(endpoint, body)
        if endpoint.mode == "cut":
            self.close_connection = True
            return
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in ("content-length", "connection", "transfer-encoding", "date", "server"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_PUT = do_DELETE = do_POST

    def _hang(self, endpoint: Endpoint) -> None:
        end = time.monotonic() + LONGEST_S
        while endpoint.mode == "hang" and time.monotonic() < end:
            time.sleep(0.05)
        self.close_connection = True

    def _pass_on(self, endpoint: Endpoint, body: bytes) -> tuple[int, list, bytes]:
        port = localstack_config.GATEWAY_LISTEN[0].port
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LONGEST_S)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in ("connection", HEADER.lower())}
        headers[HEADER] = f"{endpoint.region} {endpoint.cluster}"
        try:
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()


_endpoints: dict[str, list[Endpoint]] = {}


def open_for(cluster: str) -> None:
    _endpoints[cluster] = [Endpoint(cluster, region) for region in arc.REGIONS]


def of_cluster(cluster: str) -> list[Endpoint]:
    return _endpoints.get(cluster, [])


def close_for(cluster: str) -> None:
    for endpoint in _endpoints.pop(cluster, []):
        endpoint.close()


def close_all() -> None:
    for cluster in list(_endpoints):
        close_for(cluster)


def mend() -> None:
    for endpoints in _endpoints.values():
        for endpoint in endpoints:
            endpoint.set("up", 0)


def asked(context: RequestContext) -> Endpoint | None:
    """The endpoint that this call came through, or None."""
    region, _, cluster = (context.request.headers.get(HEADER) or "").partition(" ")
    path = PATH.match(context.request.path)
    if path:
        number, region = path.groups()
        cluster = next((arn for arn in list(_endpoints) if arn.endswith(f"/{number}")), "")
    return next((e for e in of_cluster(cluster) if e.region == region), None)


def enter(chain, context: RequestContext, response) -> None:
    """Request handler: counts and faults use the endpoint's region, whatever region the call was signed for."""
    if not context.service or context.service.service_name != SERVICE:
        return
    endpoint = asked(context)
    if endpoint:
        context.drctl_signed_region = context.region
        context.region = endpoint.region
        if HEADER not in context.request.headers:
            time.sleep(endpoint.delay_ms / 1000)


def leave(chain, context: RequestContext, response) -> None:
    """Response handler: sets the media types of AWS JSON 1.0 and REST JSON, because LocalStack uses others."""
    kind = {SERVICE: "application/x-amz-json-1.0", CONFIG: "application/json"}
    if context.service and context.service.service_name in kind:
        response.headers["Content-Type"] = kind[context.service.service_name]


def check_signature(context: RequestContext, *regions: str) -> None:
    signed = getattr(context, "drctl_signed_region", context.region)
    if signed not in regions:
        message = "Credential should be scoped to a valid region."
        raise CommonServiceException("InvalidSignatureException", message, 403, True)


def control(body: dict) -> dict | None:
    """Changes the mode or delay of an endpoint. None if there is no such endpoint."""
    missing = [name for name in ("cluster", "region") if not body.get(name)]
    if missing:
        raise ValueError(f"missing {', '.join(missing)}")
    cluster, region = body.pop("cluster"), body.pop("region")
    if set(body) - {"mode", "delay_ms"} or not body:
        raise ValueError("know mode and delay_ms")
    with LOCK:
        found = [e for e in of_cluster(cluster) if region in ("*", e.region)]
        if not found:
            return None
        mode, delay = body.get("mode"), body.get("delay_ms")
        if mode not in (None, *MODES):
            raise ValueError(f"mode must be one of {', '.join(MODES)}")
        if delay is not None and (isinstance(delay, bool) or not isinstance(delay, (int, float)) or delay < 0):
            raise ValueError("delay_ms must be a number, not negative")
        for endpoint in found:
            endpoint.set(mode or endpoint.mode, endpoint.delay_ms if delay is None else delay)
        return {"endpoints": [e.show() for e in found]}
