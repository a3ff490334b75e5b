"""Recomputes the figures of a compliance report from the output of `drctl audit export` and the bundles, and nothing else.

It shares no code with drctl, and reads raw events. Usage: recompute.py AUDIT.jsonl BUNDLES SINCE UNTIL NOW TIERS
NOW is when the report was written; TIERS is JSON with the interval in seconds at which each tier has to be proven.
It exits on cases that it does not support (runs that continue others, manual promotions, clock jumps) instead of guessing.
"""
import datetime
import json
import math
import os
import re
import sys

file, bundles, since, until, now, tiers = sys.argv[1:]
tiers = json.loads(tiers)


def ms(text):
    at = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return round(at.timestamp() * 1000)


since, until, now = ms(since), ms(until), ms(now)
last = min(until, now)


def read():
    """Events by run, and what the ledger records of drills and of messages to people."""
    runs, drills, told = {}, [], {}
    for line in open(file, encoding="utf-8"):
        record = json.loads(line)
        if "bytes" not in record:
            continue
        event = json.loads(record["bytes"])
        if record["run"] != "ledger":
            runs.setdefault(record["run"], []).append(event)
        elif isinstance(event, dict) and event["ledger"] == "drill":
            drills.append(event)
        elif isinstance(event, dict) and event["ledger"] == "notice" and event["delivered"] and "run" in event:
            told.setdefault(event["run"], []).append(ms(event["at"]))
    return runs, drills, told


def steps_of(runbook, op):
    return {s["id"]: s["action"]["db"]["component"] for s in runbook["steps"] if s["action"].get("op") == op}


def rto(created, runbook, events):
    """From the first failed public probe, or from when a person says that the outage began, to the last probe that recovered.

    Returns milliseconds, their quality, what the probes' intervals can hide, and whether users were never seen to be served again. Of an
    interval, the milliseconds are the most, and without what is hidden the least."""
    began, known, restored, hidden_start, hidden_end = None, True, 0, 0, 0
    unsampled_start = unsampled_end = False
    for probe in (p for p in runbook["probes"] if p["role"] == "public"):
        hidden_start, hidden_end = max(hidden_start, probe["every_ms"]), max(hidden_end, probe["every_ms"])
        kept = []
        for turn in (e for e in events if e["kind"] == "probe_turned" and e["probe"].split("@")[0] == probe["name"]):
            if not kept or kept[-1]["good"] != turn["good"]:
                kept.append(turn)
        bad = next((t for t in kept if not t["good"]), None)
        if bad is None:
            continue
        began = ms(bad["since"]) if began is None else min(began, ms(bad["since"]))
        known = known and bad.get("last_other") is not None
        for turn in (bad, kept[-1]):
            if not turn.get("last_other"):
                continue
            gap = ms(turn["since"]) - ms(turn["last_other"])
            # Longer than that, no process sampled.
            unsampled = gap > 2 * probe["every_ms"] + probe["timeout_ms"]
            if turn["good"]:
                hidden_end, unsampled_end = max(hidden_end, gap), unsampled_end or unsampled
            elif turn is bad:
                hidden_start, unsampled_start = max(hidden_start, gap), unsampled_start or unsampled
        restored = max(restored, ms(kept[-1]["since"])) if kept[-1]["good"] else math.inf
    declared = created.get("outage_began")
    if declared and (began is None or ms(declared) <= began):
        # That time is exact, whatever the probes' intervals can hide of the start.
        began, known, hidden_start, unsampled_start = ms(declared), True, 0, False
    hidden = max(hidden_start, hidden_end)
    if began is None or restored == 0:
        sys.exit(f"{created['run']}: an outage that nobody saw begin or end")
    if restored == math.inf:
        if any(e["kind"] == "run_finished" for e in events):
            sys.exit(f"{created['run']}: ended without users being served")
        # Users may be served for this long before a probe shows it.
        publics = [p for p in runbook["probes"] if p["role"] == "public"]
        unseen = runbook["probe_consecutive"] * max(max(p["every_ms"], p["timeout_ms"]) for p in publics)
        return max(now, ms(events[-1]["at"])) - unseen - began, "lower_bound", hidden, True
    exact = known and not any(e["kind"] == "clock_jumped" for e in events)
    if exact and unsampled_start and not unsampled_end:
        return restored - began + hidden_start, "interval", hidden_start, False
    return restored - began, "measured" if exact else "lower_bound", hidden, False


def missing(before, fenced, taken):
    """The time between the old primary's last commit and the last replayed one: measured by one clock, else a bound."""
    last, replayed = fenced.get("last_commit_there"), taken.get("last_replayed_there")
    clock = fenced.get("clock")
    one_clock = clock is None or before is None or abs(clock["ahead_ms"] - before) <= clock["within_ms"] + 2000
    if last and replayed and one_clock and ms(last) >= ms(replayed):
        return ms(last) - ms(replayed), "measured"
    if not taken.get("last_replayed"):
        return None, "unknown"
    earliest = ms(taken["last_replayed"])
    if replayed:
        ahead = max([a for a in (before, clock and clock["ahead_ms"]) if a is not None], default=0)
        earliest = min(earliest, ms(replayed) - max(0, ahead))
    return ms(fenced.get("last_commit") or fenced["at"]) - earliest, "upper_bound"


def rpo(runbook, events):
    """The worst loss of all stores, as measured before promotion, and corrected if the old primary was fenced only afterwards."""
    promotes, taken, promoted, owed, fenced, diverged = steps_of(runbook, "promote"), {}, {}, set(), {}, set()
    for event in events:
        if event["kind"] in ("found_promoted", "debt_settled", "clock_jumped"):
            sys.exit(f"{event['kind']} is not recomputed here")
        if event["kind"] == "fence_waived":
            owed.add(event["component"])
        if event["kind"] == "call_intended" and event["step"] in promotes:
            promoted[promotes[event["step"]]] = ms(event["at"])
        for fact in event.get("facts", []) if event["kind"] == "step_finished" else []:
            if fact["fact"] == "exposure" and fact["component"] not in promoted:
                taken[fact["component"]] = fact
            if fact["fact"] == "fenced":
                fenced[fact["component"]] = fact
            if fact["fact"] == "rejoined" and fact.get("diverged"):
                diverged.add(fact["component"])
    figures = []
    for component, at in promoted.items():
        of = taken[component]
        value, basis = of["figure"]["value_ms"], of["figure"]["basis"]
        if component in owed and component in fenced:
            checks = (s["action"] for s in runbook["steps"] if s["action"].get("what") == "exposure")
            before = [a.get("ahead_ms") for a in checks if a["db"]["component"] == component and a.get("ahead_ms") is not None]
            value, basis = missing(max(before, default=None), fenced[component], of)
        elif of["grows"] and value is not None:
            value += (max(now, ms(events[-1]["at"])) if component in owed else at) - ms(of["taken_at"])
            basis = "lower_bound" if basis == "lower_bound" else "upper_bound"
        if basis == "measured" and component in diverged:
            value, basis = None, "unknown"
        figures.append((value, basis))
    if any(value is None for value, _ in figures):
        return None, "unknown", 0, False
    rank = ["measured", "upper_bound", "lower_bound"]
    worst = max((basis for _, basis in figures), key=rank.index, default="measured")
    return max((value for value, _ in figures), default=0), worst, 0, False


def verdict(figure, objective):
    value, basis, hidden, _ = figure
    if value is None:
        return "not_proven"
    if basis in ("measured", "interval", "upper_bound") and value + (0 if basis == "interval" else hidden) <= objective:
        return "met"
    # Sampling may have missed this much at either end: what still exceeds the objective is missed.
    least = value - hidden if basis in ("measured", "interval") else value
    return "missed" if basis in ("measured", "interval", "lower_bound") and least > objective else "not_proven"


def quantile(samples, share):
    """By nearest rank; a run that has not recovered sorts last. A sample is (not recovered, least, seconds, most)."""
    if not samples:
        return None
    at = max(0, math.ceil(len(samples) * share) - 1)
    ranked = lambda real: sorted((never, real(bounds)) for never, *bounds in samples)[at]
    never, seconds = found = ranked(lambda bounds: bounds[1])
    # The least and the most that this rank can be, if bounds are replaced by the least and the most that they can be.
    less, more = ranked(lambda bounds: bounds[0]) < found, ranked(lambda bounds: bounds[2]) > found
    return {"seconds": seconds, "at_least": more, "at_most": less, "not_recovered": never}


def sample(value, basis, hidden, never):
    """The least, the most that is known, and the most that it can be, in seconds."""
    seconds = value / 1000
    least = {"upper_bound": 0, "interval": (value - hidden) / 1000}.get(basis, seconds)
    return never, least, seconds, math.inf if basis == "lower_bound" else seconds


def median(samples):
    rank = quantile(samples, 0.5)
    return None if rank is None or rank["at_least"] or rank["at_most"] else rank["seconds"]


def duties_missed(run, created, events, told):
    """Duties that were due and not done, or done late. Updates without a configured recipient are unknown, not missed."""
    watch = [s["id"] for s in json.loads(created["runbook"])["steps"] if s["phase"] == "watch" and s["action"]["verb"] == "wait" and not s.get("background")]
    over = lambda e: e["kind"] == "run_finished" or (e["kind"] == "step_started" and e["step"] in watch)
    duties, end = created.get("duties"), next((e for e in events if over(e)), None)
    if not duties:
        return 0
    began, ended = ms(created["at"]), ms(end["at"]) if end else now
    missed = 0
    if run in told:
        marks = [began, *(at for at in told[run] if began <= at <= ended), ended]
        missed += any(b - a > duties["update_every_ms"] + 60_000 for a, b in zip(marks, marks[1:]))
    hour = 3_600_000
    due = {
        "monitoring": duties["monitor_ms"] + hour,
        "incident_report": duties["report_within_ms"],
        "post_mortem": duties["review_within_ms"],
    }
    for duty, within in due.items() if end else ():
        done = next((ms(e["at"]) for e in events if e["kind"] == "fulfilled" and e["duty"] == duty), now)
        missed += done > ended + within
    return missed


def open_gap(marks, every):
    """Whether the last proof is older than the required interval at the end of the report."""
    marks = [mark for mark in marks if mark <= last]
    return bool(marks) and max(max(marks) + every, since) < last


def unprotected(runs):
    """How long stores had no standby after their promotion, until a step proved that one streams, in seconds. Each period is rounded.

    `runs` are those of one application, by start time."""
    without, total = {}, 0
    inside = lambda begin, end: (max(0, min(end, last) - max(begin, since)) + 500) // 1000
    for created, runbook, events in runs:
        promotes = steps_of(runbook, "promote")
        promoted = {promotes[e["step"]]: ms(e["at"]) for e in events if e["kind"] == "call_intended" and e["step"] in promotes}
        changes = [(at, True, component) for component, at in promoted.items()]
        for e in (e for e in events if e["kind"] == "step_finished"):
            changes += [(ms(e["at"]), False, f["component"]) for f in e.get("facts", []) if f["fact"] == "rejoined"]
        for at, alone, component in sorted(changes):
            if alone:
                without.setdefault(component, at)
            elif component in without:
                total += inside(without.pop(component), at)
    return total + sum(inside(begin, last) for begin in without.values())


runs, drills, told = read()
groups, by_plan, proofs = {}, {}, {}
counted = ("runs", "incidents", "drills", "planned", "returns", "read", "tests")
names = (*counted, "good", "not_recovered", "not_recovered_yet", "moves_not_recovered", "moves_not_recovered_yet", "waivers", "unfenced", "fences_pending", "overrides", "steps_without_proof", "obligations_missed", "without_evidence", "beyond_evidence")
total = dict.fromkeys(names, 0)
tally = lambda: dict.fromkeys(("met", "missed", "not_proven", "not_applicable"), 0)
verdicts = {name: tally() for name in ("rto", "rpo", "rto_of_incidents", "rpo_of_incidents")}
for run, events in sorted(runs.items(), key=lambda pair: ms(pair[1][0]["at"])):
    created, at = events[0], ms(events[0]["at"])
    if created["world"] != "live":
        continue
    if created.get("continues"):
        sys.exit("runs that go on with others are not recomputed here")
    runbook = json.loads(created["runbook"])
    by_plan.setdefault(created["plan"], []).append((created, runbook, events))
    tier = re.search(r"^tier: *(\S+)", created["plan_text"], re.M)
    tier = tier.group(1) if tier else "none"
    end = next((e for e in events if e["kind"] == "run_finished"), None)
    good = bool(end and end["outcome"] == "recovered")
    figures = {"rto": rto(created, runbook, events), "rpo": rpo(runbook, events)}
    judged = {name: verdict(figure, runbook["objectives"][f"{name}_ms"]) for name, figure in figures.items()}
    waived = {e["component"] for e in events if e["kind"] == "fence_waived"}
    asked = {e["step"] for e in events if e["kind"] == "call_intended"}
    waived = {c for c in waived if any(c == of and step in asked for step, of in steps_of(runbook, "promote").items())}
    fenced = {f["component"] for e in events if e["kind"] == "step_finished" for f in e.get("facts", []) if f["fact"] == "fenced"}
    # While a fence is pending, the old primary may take writes that the new one never gets.
    if waived - fenced and judged["rpo"] == "met":
        judged["rpo"] = "not_proven"
    marks = proofs.setdefault(created["plan"], (tier, [at]))[1]
    if good and set(judged.values()) == {"met"}:
        marks.append(ms(end["at"]))
    if not since <= at < until:
        continue
    kind = "drills" if runbook.get("drill") else "incidents" if runbook["intent"] in ("failover", "restore") else "planned"
    if created["terms"]["environment"] == "test":
        sys.exit("runs of test estates are not recomputed here")
    # The return of a live drill is not a separate drill.
    if kind != "incidents" and created.get("returns"):
        kind = "returns"
    total["runs"] += 1
    total[kind] += 1
    # Only a run that ended never recovered.
    out = "not_recovered" if end else "not_recovered_yet"
    total[out if kind == "incidents" else f"moves_{out}"] += figures["rto"][3]
    # Nothing runs in a tabletop drill, so nobody accepts a risk there.
    if runbook.get("drill") != "tabletop":
        total["waivers"] += len(runbook.get("waivers", [])) + sum(e["kind"] == "waived" for e in events)
    total["unfenced"] += bool(waived)
    total["fences_pending"] += len(waived - fenced)
    total["good"] += good
    total["overrides"] += sum(e["kind"] == "overridden" for e in events)
    finished = {e["step"] for e in events if e["kind"] == "step_finished"}
    total["steps_without_proof"] += sum(e["kind"] == "step_skipped" and e.get("who") is not None for e in events)
    total["steps_without_proof"] += sum(e["kind"] == "claimed_done" and e["step"] not in finished for e in events)
    total["obligations_missed"] += duties_missed(run, created, events, told)
    sealed = [int(f.rsplit("-e", 1)[1][:-4]) for f in os.listdir(bundles) if re.fullmatch(re.escape(run) + r"-e\d+\.tar", f)]
    # No process drives a run while this is recomputed, so nobody seals it later.
    total["without_evidence"] += not sealed
    total["beyond_evidence"] += bool(sealed) and max(sealed) < len(events)
    for name, word in judged.items():
        verdicts[name][word] += 1
        if kind == "incidents":
            verdicts[f"{name}_of_incidents"][word] += 1
    for key in (("tier", tier), ("plan", created["plan"])):
        group = groups.setdefault(key, {**dict.fromkeys(counted, 0), "rto": tally(), "rpo": tally(), "rto_s": [], "rpo_s": []})
        group["runs"] += 1
        group[kind] += 1
        for name, figure in figures.items():
            group[name][judged[name]] += 1
            if figure[0] is not None:
                group[f"{name}_s"].append(sample(*figure))
for group in groups.values():
    for name in ("rto_s", "rpo_s"):
        known = group[name]
        half = len(known) // 2
        later, earlier = median(known[half:]), median(known[:half])
        trend = later - earlier if len(known) >= 4 and None not in (later, earlier) else None
        ranks = {"p50": quantile(known, 0.5), "p95": quantile(known, 0.95), "max": quantile(known, 1.0)}
        group[name] = {"known": len(known), **ranks, "trend": trend}
total |= verdicts
total["drills_missed"] = sum(d["fate"]["fate"] == "missed" and since <= ms(d["due"]) < until for d in drills)
held = [d for d in drills if d["fate"]["fate"] == "ended" and since <= ms(d["due"]) < until]
total["drills_failed"] = sum(not d["fate"]["passed"] for d in held)
total["unproven"] = sum(open_gap(marks, tiers[tier] * 1000) for tier, marks in proofs.values() if tiers.get(tier))
total["never_proven"] = sum(len(marks) == 1 for _, marks in proofs.values())
total["unprotected_s"] = sum(unprotected(runs) for runs in by_plan.values())
print(json.dumps({"total": total, "groups": [{"by": k, "name": n, **g} for (k, n), g in groups.items()]}))
