"""Database connections on which every wait is bounded: a server that vanished must not block its client for minutes."""

import json
import select
import threading
import time

import psycopg2
from psycopg2 import extensions

_now = threading.local()


class TooLate(Exception):
    pass


def within(seconds: float) -> None:
    """From now on, all operations on this thread's connections together must finish within this time."""
    _now.end = time.monotonic() + seconds


def _wait(connection) -> None:
    while (state := connection.poll()) != extensions.POLL_OK:
        left = max(_now.end - time.monotonic(), 0)
        reads = [connection.fileno()] if state == extensions.POLL_READ else []
        writes = [connection.fileno()] if state == extensions.POLL_WRITE else []
        if not any(select.select(reads, writes, [], left)):
            raise TooLate("no answer in time")


extensions.set_wait_callback(_wait)


class World:
    """The contents of world.json."""

    def __init__(self, path: str) -> None:
        with open(path) as file:
            self.facts = json.load(file)
        self.regions: dict = self.facts["regions"]
        with open(self.facts["logins"]["app"]) as file:
            self.login = json.load(file)

    def site(self, server: str | None) -> str | None:
        """The region of the database server with this address."""
        subnet = server.rpartition(".")[0] if server else None
        return next((name for name, region in self.regions.items() if region["subnet"].rpartition(".")[0] == subnet), None)

    def connect(self):
        """Connects by name, so the name is resolved again each time; or to the endpoint in the client's secret."""
        connection = psycopg2.connect(
            host=self.login.get("host", self.facts["names"]["db"]),
            port=self.login.get("port", 5432),
            dbname=self.facts["database"],
            user=self.login["username"],
            password=self.login["password"],
            sslmode="disable",
            gssencmode="disable",
            options="-c statement_timeout=2000",
        )
        connection.autocommit = True
        return connection
