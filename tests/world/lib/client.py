"""A client of record: writes numbered rows, and remembers of each whether it was told that the row is safe."""

import argparse
import json
import random
import signal
import time
from datetime import UTC, datetime

import led
from db import World, within

INSERT = "INSERT INTO ledger (n, via) VALUES (%s, %s) RETURNING host(inet_server_addr())"
TIMEOUT_S = 2.0


class Client:
    def __init__(self, world: World, mode: str, secret: tuple[str, str] | None = None) -> None:
        self.world, self.mode, self.connection, self.secret = world, mode, None, secret
        self.restart()

    def restart(self) -> None:
        """Closes the connection and reads the client's secret, which it does at no other time."""
        if self.connection is not None:
            self.connection.close()
        self.connection = None
        if self.secret:
            site, account = self.secret
            self.world.login = led.read(self.world.regions[site]["api"], account, led.REGIONS[site])

    def write(self, n: int) -> str:
        """Returns the server that accepted the row."""
        if self.connection is None:
            within(TIMEOUT_S)
            self.connection = self.world.connect()
        within(TIMEOUT_S)
        with self.connection.cursor() as cursor:
            cursor.execute(INSERT, (n, self.mode))
            return cursor.fetchone()[0]

    def attempt(self, n: int) -> dict:
        sent, sent_mono = datetime.now(UTC), time.monotonic()
        server = error = None
        try:
            server = self.write(n)
        except Exception as why:  # after any error, the row is not known to be safe
            error = " ".join(f"{type(why).__name__}: {why}".split())
        done_mono, done = time.monotonic(), datetime.now(UTC)
        if self.connection and (self.mode == "fresh" or self.connection.closed or "TooLate" in (error or "")):
            self.connection.close()
            self.connection = None
        return {
            "n": n,
            "sent_at": sent.isoformat(),
            "done_at": done.isoformat(),
            "sent_mono": sent_mono,
            "done_mono": done_mono,
            "ok": error is None,
            "error": error,
            "server": server,
            "site": self.world.site(server),
        }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("world")
    parser.add_argument("--mode", choices=("fresh", "pooled", "led"), required=True)
    parser.add_argument("--secret", nargs=2, metavar=("REGION", "ACCOUNT"), help="for `led`: whose secret it reads; anew at SIGHUP")
    parser.add_argument("--rate", type=float, default=10, help="attempts a second, at most")
    parser.add_argument("--out", required=True)
    parser.add_argument("--first", type=int, default=random.getrandbits(22) << 30, help="the first row's number")
    parser.add_argument("--count", type=int, help="end after so many attempts; fail if one of them failed")
    options = parser.parse_args()
    ended, again = [], []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    signal.signal(signal.SIGHUP, lambda *_: again.append(True))
    client = Client(World(options.world), options.mode, options.secret)
    n, due, failed = options.first, time.monotonic(), False
    with open(options.out, "a", buffering=1) as out:
        while not ended and (options.count is None or n < options.first + options.count):
            if again:
                again.clear()
                client.restart()
            line = client.attempt(n)
            out.write(json.dumps(line) + "\n")
            failed |= not line["ok"]
            n += 1
            due = max(due + 1 / options.rate, time.monotonic())
            while not ended and (left := due - time.monotonic()) > 0:
                time.sleep(min(left, 0.1))
    raise SystemExit(options.count is not None and failed)


main()
