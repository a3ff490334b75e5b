"""Tell AWS its instances' latest restorable time: just before the first commit that is not archived. Usage: restorable.py DIR LOCALSTACK

It reads only the servers' files, so that no database session appears that is not a user's.
"""

import glob
import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from datetime import UTC, datetime, timedelta

REGIONS = {"west": "us-west-2", "east": "us-east-1"}
SEGMENT = 1 << 20
COMMIT = re.compile(r"len \(rec/tot\): +\d+/ +(\d+), .* lsn: (\w+)/(\w+), .* COMMIT(?:_PREPARED \d+:)? (\S+ \S+) UTC")
# A commit gets its time before it is in the files.
MARGIN = timedelta(seconds=1)


def read(path: str) -> str:
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return ""


def runs(data: str) -> bool:
    pid = read(f"{data}/postmaster.pid").split("\n")[0]
    return bool(pid) and read(f"/proc/{pid}/comm") == "postgres"


def restorable(world: dict, disk: str) -> datetime | None:
    """The latest restorable time. None without a backup, and if the server is a standby, stopped or not archiving."""
    data, archived, begun = f"{disk}/data", read(f"{disk}/archived"), read(f"{disk}/backed-up")
    if not archived or not begun or os.path.exists(f"{data}/standby.signal") or not runs(data):
        return None
    latest = datetime.now(UTC) - MARGIN
    log, number = int(archived[8:16], 16), int(archived[16:], 16)
    start, end = f"{log:X}/{number * SEGMENT:X}", (log << 32) + (number + 1) * SEGMENT
    follows = f"{archived[:8]}{end >> 32:08X}{(end & 0xFFFFFFFF) // SEGMENT:08X}"
    # Without a next file, pg_waldump waits for one.
    told = commits(world, data, archived[:8], start) if os.path.exists(f"{data}/pg_wal/{follows}") else []
    for length, high, low, at in told:
        if (int(high, 16) << 32) + int(low, 16) + int(length) > end:
            latest = min(latest, datetime.fromisoformat(f"{at}+00:00") - timedelta(milliseconds=1))
    return latest if latest >= datetime.fromisoformat(begun.replace("Z", "+00:00")) else None


def commits(world: dict, data: str, timeline: str, start: str) -> list[tuple[str, ...]]:
    """Reads from the start of the last archived segment, because a commit record can continue in the next segment."""
    command = [f"{world['bin']}/pg_waldump", "-p", f"{data}/pg_wal", "-t", str(int(timeline, 16)), "-s", start]
    told = subprocess.run([*command, "-r", "Transaction"], capture_output=True, text=True, env={"TZ": "UTC", "LC_ALL": "C"})
    # pg_waldump always reports an error at the end of the WAL. An unreadable first record is a different case.
    if not told.stdout and "could not find a valid record" not in told.stderr and "error in WAL record" not in told.stderr:
        raise ValueError(told.stderr.strip())
    return COMMIT.findall(told.stdout)


def tell(account: str, region: str, name: str, latest: datetime) -> None:
    told = {"account": account, "region": REGIONS[region], "instance": name, "latest_restorable_time": latest.isoformat()}
    request = urllib.request.Request(f"{sys.argv[2]}/_drctl/rds", json.dumps(told).encode())
    with urllib.request.urlopen(request, timeout=10):
        pass


def main() -> None:
    with open(f"{sys.argv[1]}/world.json") as file, open(f"{sys.argv[1]}/aws.json") as other:
        world, account = json.load(file), json.load(other)["account"]
    run = world["run"]
    while True:
        for region in REGIONS:
            own = {f"{run}/{region}": f"{world['database']}-{region}"}
            others = {path.rstrip("/"): os.path.basename(path.rstrip("/")) for path in glob.glob(f"{run}/{region}/servers/*/")}
            for place, name in (own | others).items():
                try:
                    latest = restorable(world, f"{place}/disk")
                    if latest:
                        tell(account, region, name, latest)
                        open(f"{place}/restorable", "w").close()
                except (OSError, ValueError) as why:  # a file is being renamed, created or removed
                    print(f"{name}: {why}", flush=True)
        time.sleep(1)


main()
