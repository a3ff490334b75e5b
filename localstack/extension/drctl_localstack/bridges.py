"""Programs that do in a real world what an API call promised there: promote a server, close its group, change a zone.

What is under way here ends only when its program has; and one that fails leaves it under way, and is shown.
"""

import json
import logging
import subprocess
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

from drctl_localstack.settings import LOCK

LOG = logging.getLogger(__name__)
LONGEST_S = 60


class Bridge:
    """One program. Its runs follow each other, so that a later change is never overtaken by an earlier one."""

    def __init__(self, argv: list[str]) -> None:
        if not isinstance(argv, list) or not argv or not all(isinstance(word, str) for word in argv):
            raise ValueError("a bridge is a program and its arguments, as a list of strings")
        self.argv, self.runs, self.failed, self.error = argv, 0, 0, None
        self._line = ThreadPoolExecutor(1, thread_name_prefix="bridge")

    def start(self, document: dict) -> Future:
        """The result is whether the program did it."""
        return self._line.submit(self._run, json.dumps(document))

    def _run(self, document: str) -> bool:
        error = self._outcome(document)
        with LOCK:
            self.runs += 1
            if error:
                self.failed += 1
                self.error = error
                LOG.error("bridge %s: %s", self.argv, error)
        return error is None

    def _outcome(self, document: str) -> str | None:
        try:
            done = subprocess.run(self.argv, input=document, capture_output=True, text=True, timeout=LONGEST_S)
        except (OSError, subprocess.TimeoutExpired) as why:
            return str(why)
        return None if done.returncode == 0 else f"exit {done.returncode}: {done.stderr.strip()}"

    def show(self) -> dict:
        return {"argv": self.argv, "runs": self.runs, "failed": self.failed, "error": self.error}


def made(argv: list[str] | None) -> Bridge | None:
    return None if argv is None else Bridge(argv)


def did(run: Future) -> bool:
    return run.done() and run.result()


_watched: list = []


def watch(settle) -> None:
    """Elsewhere it is enough to work out what is true when somebody looks; what is real must happen unseen, too."""
    with LOCK:
        if _watched:
            return
        _watched.append(settle)

    def look() -> None:
        while True:
            time.sleep(0.1)
            with LOCK:
                settle(time.time())

    threading.Thread(target=look, name="bridges", daemon=True).start()
