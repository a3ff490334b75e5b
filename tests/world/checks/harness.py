"""What the checks share: two worlds, clients in them, and functions that wait."""

import glob
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import contextmanager

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LOCALSTACK = os.environ.get("DRCTL_TEST_LOCALSTACK")
NOTHING_CAME = 28  # curl's exit code where packets vanish
TOLD = 7  # and where the connection fails at once
CHECKS: list[tuple[str, Callable]] = []
APART: list[tuple[str, Callable]] = []  # checks that have their own world, and so run in parallel with the others


def check(function: Callable) -> Callable:
    CHECKS.append((f"{function.__module__.split('.')[-1]}: {function.__doc__}", function))
    return function


def check_apart_with_localstack(function: Callable) -> Callable:
    if LOCALSTACK:
        APART.append((f"{function.__module__.split('.')[-1]}: {function.__doc__}", function))
    return function


def check_with_localstack(function: Callable) -> Callable:
    return check(function) if LOCALSTACK else function


def equal(found: object, expected: object, what: str) -> None:
    assert found == expected, f"{what}: expected {expected!r}, found {found!r}"


def run(*command: str, code: int | None = 0, text: str = "") -> str:
    """The command's output, with stderr if it was expected to fail."""
    done = subprocess.run(command, input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert code is None or done.returncode == code, f"{command}: {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout + ("" if code == 0 else done.stderr)


def eventually(probe: Callable[[], object], what: str, within: float = 30.0) -> object:
    end = time.monotonic() + within
    while not (value := probe()):
        assert time.monotonic() < end, f"{what}: not within {within} s"
        time.sleep(0.1)
    return value


class World:
    def __init__(self, folder: str, *options: str) -> None:
        self.folder, self.options, self.clients = folder, options, 0

    def start(self) -> subprocess.Popen:
        """Started in its own session, so that it can be killed together with all its children."""
        command, words = [f"{HERE}/up", self.folder, *self.options], {"stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, start_new_session=True, **words)

    def open(self) -> None:
        with open(f"{self.folder}/world.json") as file:
            self.facts = json.load(file)

    @property
    def id(self) -> str | None:
        """The world's number, even if it is only half built."""
        for mark in glob.glob("/run/world*/dir"):
            with open(mark) as file:
                if file.read().strip() == self.folder:
                    return mark.removeprefix("/run/world").removesuffix("/dir")
        return None

    def do(self, name: str, *args: str, **more) -> str:
        return run(f"{HERE}/{name}", self.folder, *args, **more)

    def fault(self, *args: str) -> None:
        self.do("fault", *args)

    def region(self, name: str) -> dict:
        return self.facts["regions"][name]

    def data(self, server: str) -> str:
        """The data directory of a region's own server, or of REGION/INSTANCE."""
        region, _, instance = server.partition("/")
        return f"{self.facts['run']}/{region}/servers/{instance}/disk/data" if instance else self.region(region)["data"]

    def sql(self, region: str, text: str, database: str = "shop") -> str:
        """Runs as superuser on the region's database host."""
        return self.do("host", region, "psql", "-X", "-At", "-d", database, "-c", text).strip()

    def curl(self, place: str, url: str, seconds: float = 4) -> tuple[int, dict, float]:
        """curl's exit code, the answer, and how long it took."""
        began = time.monotonic()
        trust = ["--cacert", self.facts["ca"]] if self.facts["ca"] else []
        command = [f"{HERE}/in", self.folder, place, "curl", "-s", "-m", str(seconds), *trust, url]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        try:
            answer = json.loads(done.stdout)
        except ValueError:  # an error page of nginx
            answer = {}
        return done.returncode, answer, time.monotonic() - began

    def health(self) -> dict:
        return self.curl("users", self.facts["health"])[1]

    def healthy(self, site: str) -> bool:
        found = self.health()
        return found.get("ok", False) and found["site"] == site

    def web(self, region: str) -> str:
        return f"http://{self.region(region)['web']}/health"

    def packets(self) -> dict:
        return json.loads(self.do("packets"))["totals"]

    def truth(self, region: str, *clients: Callable) -> dict:
        return json.loads(self.do("truth", "--client", *[c.path for c in clients], "--region", region))

    @contextmanager
    def client(self, mode: str):
        """Starts a client; yields a function that returns all attempts so far."""
        self.clients += 1
        path = f"{self.folder}/{mode}-{self.clients}.jsonl"
        process = subprocess.Popen([f"{HERE}/client", self.folder, "--mode", mode, "--rate", "20", "--out", path])

        def attempts() -> list[dict]:
            if not os.path.exists(path):
                return []
            with open(path) as file:
                return [json.loads(line) for line in file if line.endswith("\n")]

        attempts.path = path
        try:
            eventually(attempts, "a first attempt")
            yield attempts
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(10)
        equal(code, 0, "exit code of a client that was asked to end")


def later(attempts: Callable, wanted: Callable[[dict], bool], what: str, within: float = 30.0) -> dict:
    """The first attempt that begins after this call and satisfies `wanted`."""
    now = time.monotonic()

    def found() -> dict | None:
        return next((a for a in attempts() if a["sent_mono"] > now and wanted(a)), None)

    return eventually(found, what, within)


def segments(unused: bool = False) -> set[str]:
    with open("/proc/sysvipc/shm") as file:
        return {line.split()[1] for line in file if not unused or line.split()[6] == "0"}


def segment_of(data: str) -> str:
    """The shared memory segment that a running PostgreSQL recorded."""
    with open(f"{data}/postmaster.pid") as file:
        return file.read().split("\n")[6].split()[1]


def traces(folder: str, number: str) -> list[str]:
    """Everything on this machine that belongs to this world; other worlds may start and stop meanwhile."""
    found = [s.split()[0] for s in run("ip", "netns", "list").split("\n") if s.startswith(f"world{number}-")]
    with open("/proc/mounts") as file:
        found += [line for line in file if f"world{number}-" in line or f"/run/world{number}/" in line]
    for path in (f"/run/world{number}", *(f"/etc/netns/{s}" for s in found)):
        found += [path] if os.path.exists(path) else []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline") as file:
                words = file.read().replace("\0", " ")
        except OSError:
            continue
        if f"/run/world{number}/" in words or f"{folder}/" in words:
            found.append(f"{pid} {words}")
    return found
