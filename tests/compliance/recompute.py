"""Computes the figures of a compliance report anew, from what `drctl audit export` wrote and nothing else.

It shares no code with drctl, and reads raw events. Usage: recompute.py AUDIT.jsonl SINCE UNTIL
"""
import datetime
import json
import math
import sys

file, since, until = sys.argv[1:]


def ms(text):
    at = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return round(at.timestamp() * 1000)


since, until = ms(since), ms(until)
runs = {}
for line in open(file, encoding="utf-8"):
    record = json.loads(line)
    event = record.get("event") or record.get("bytes") or record
    if isinstance(event, str):
        event = json.loads(event)
    if isinstance(event, dict) and "kind" in event:
        runs.setdefault(record["run"], []).append(event)


def rto(created, runbook, events):
    """From the first failed public probe, or from when a person says that it began, to the last one that was good again."""
    publics = {p.get("name") and p["name"]: p for p in runbook["probes"] if p["role"] == "public"}
    began, known, restored = None, True, None
    for name in publics:
        turns = [e for e in events if e["kind"] == "probe_turned" and e["probe"].split("/")[-1] == name]
        kept = []
        for turn in turns:
            if not kept or kept[-1]["good"] != turn["good"]:
                kept.append(turn)
        bad = next((t for t in kept if not t["good"]), None)
        if bad is None:
            continue
        began = ms(bad["since"]) if began is None else min(began, ms(bad["since"]))
        known = known and bad.get("last_other") is not None
        if kept[-1]["good"]:
            restored = max(restored or 0, ms(kept[-1]["since"]))
    declared = created.get("outage_began")
    if declared and (began is None or ms(declared) <= began):
        began, known = ms(declared), True
    if began is None or restored is None:
        return None, False
    return (restored - began) / 1000, known and not any(e["kind"] == "clock_jumped" for e in events)


def quantile(figures, share):
    figures = sorted(figures)
    return figures[max(0, math.ceil(len(figures) * share) - 1)] if figures else None


groups, total = {}, {"runs": 0, "incidents": 0, "drills": 0, "planned": 0, "overrides": 0, "good": 0}
for run, events in runs.items():
    created = events[0]
    at = ms(created["at"])
    if created["world"] != "live" or not since <= at < until:
        continue
    runbook = json.loads(created["runbook"])
    tier = next((l.split(":", 1)[1].strip() for l in created["plan_text"].splitlines() if l.startswith("tier:")), "none")
    drill, intent = runbook.get("drill"), runbook["intent"]
    kind = "drills" if drill else "incidents" if intent in ("failover", "restore") else "planned"
    end = next((e for e in events if e["kind"] == "run_finished"), None)
    total["runs"] += 1
    total[kind] += 1
    total["good"] += bool(end and end["outcome"] == "recovered")
    total["overrides"] += sum(e["kind"] == "overridden" for e in events)
    achieved, measured = rto(created, runbook, events)
    objective = runbook["objectives"]["rto_ms"] / 1000
    for key in (("tier", tier), ("plan", created["plan"]), ("all", "")):
        group = groups.setdefault(key, {"runs": 0, "met": 0, "missed": 0, "known": []})
        group["runs"] += 1
        if measured:
            group["known"].append(achieved)
            group["met" if achieved <= objective else "missed"] += 1
for group in groups.values():
    known = group.pop("known")
    group.update(known=len(known), p50=quantile(known, 0.5), p95=quantile(known, 0.95), max=max(known, default=None))
print(json.dumps({"total": total, "groups": [{"by": k, "name": n, **g} for (k, n), g in groups.items()]}))
