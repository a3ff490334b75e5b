"""Programs that carry out in a real environment what an API call started here: promote a server, close its security
group, change a zone.

An operation here completes only when its program has succeeded. If the program fails, the operation stays in progress,
and the error is shown.
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
    """One program. Its runs are queued, so that a later change never overtakes an earlier one."""

    def __init__(self, argv: list[str]) -> None:
        if not isinstance(argv, list) or not argv or not all(isinstance(word, str) for word in argv):
            raise ValueError("a bridge is a program and its arguments, as a list of strings")
        self.argv, self.runs, self.failed, self.error = argv, 0, 0, None
        self._line = ThreadPoolExecutor(1, thread_name_prefix="bridge")

    def start(self, document: dict) -> Future:
        """Queues a run. The result is whether it succeeded."""
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
    """Calls `settle` regularly in the background. Reads compute simulated state, but bridges must run even without
    reads.
    """
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
