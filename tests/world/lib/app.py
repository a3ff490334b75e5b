"""The application of one region. GET /health answers 200 if a row could be written and read back through the database's name."""

import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from db import World, within

WORLD, SITE = World(sys.argv[1]), sys.argv[2]
# An answer comes within two seconds, whatever the database does.
BUDGET_S = 1.8
# Rows are wide, so that a full disk shows after a few of them.
WRITE = "INSERT INTO health (site, filler) VALUES (%s, repeat('x', 1500)) RETURNING n, host(inet_server_addr())"


def look(found: dict) -> None:
    try:
        within(BUDGET_S)
        connection = WORLD.connect()
        try:
            with connection.cursor() as cursor:
                cursor.execute(WRITE, (SITE,))
                number, server = cursor.fetchone()
                cursor.execute("SELECT site FROM health WHERE n = %s", (number,))
                found |= {"ok": cursor.fetchone() == (SITE,), "server": server, "server_site": WORLD.site(server)}
        finally:
            connection.close()
    except Exception as why:  # after any error, the application is not healthy
        found |= {"error": " ".join(f"{type(why).__name__}: {why}".split())}


class Health(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        found: dict = {}
        # A lookup has no timeout: if the name server does not answer, it waits in a thread of its own.
        worker = threading.Thread(target=look, args=(found,), daemon=True)
        worker.start()
        worker.join(BUDGET_S)
        found = {"ok": False, "site": SITE, "server": None, "error": None if found else "no answer in time", **found}
        body = json.dumps(found).encode()
        self.send_response(200 if found["ok"] else 503)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_) -> None:
        pass


os.chdir("/")
ThreadingHTTPServer(("127.0.0.1", 8000), Health).serve_forever()
