"""Starts LocalStack on the IPv4 address that GATEWAY_LISTEN names. LocalStack itself takes only the port from it, and listens on every
address of the machine (localstack/runtime/server/twisted.py).
"""

from functools import partial

from localstack import config
from localstack.runtime.main import main
from twisted.internet import endpoints


def _on_its_address() -> None:
    hosts = {named.host for named in config.GATEWAY_LISTEN if not config.is_ipv6_address(named.host)}
    if len(hosts) == 1:
        endpoints.TCP4ServerEndpoint = partial(endpoints.TCP4ServerEndpoint, interface=hosts.pop())


if __name__ == "__main__":
    _on_its_address()
    main()
