//! Random plans, estates and faults by seed. A failing seed prints the command that runs it alone.

mod counts;
mod digests;
mod drawn;

use std::collections::BTreeSet;

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};

use drctl::executor::{Ended, create};
use drctl::kinds::world::chance::roll;
use drctl::kinds::world::scenario::Scenario;
use drctl::model::intent::Intent;
use drctl::model::time::Dur;
use drctl::model::waiver::{Person, Rule, Waiver};
use drctl::planner::Refusal;
use drctl::record::event::{Event, EventKind, Outcome, Signal};
use drctl::record::runbook::{ProbeRole, Step};
use drctl::run::RunState;
use drctl::run::continued::continued;
use drctl::run::state::{Mode, Status, StepState, Turn};

use crate::run::cancel::settings;
use crate::run::resume::{estates, events, in_flight, runbook};
use crate::support::oracle::{Oracle, invariants, one_primary, rto_told, safe_and_told};
use crate::support::random_plans::with_surprises;
use crate::support::rig::{BEGAN, Notes, Rehearsed, Rig, Seen, run_id};
use counts::Counts;
use drawn::rig;

/// The expected results of a restore and of a drill, depending on their findings.
fn restored(rig: &Rig, done: &Rehearsed, context: &str) {
    let state = &done.ended.state;
    let oracle = Oracle::new(&rig.plan, &done.watched);
    let lost = oracle.lost().into_values().max().unwrap_or_default();
    match (rig.intent, rig.scenario.archive_corrupt) {
        (Intent::Drill, corrupt) => {
            let outcome = if corrupt { Outcome::Failed } else { Outcome::Recovered };
            assert_eq!(state.mode, Mode::Finished(outcome), "{:?}: {context}", done.ended.stop);
        }
        (_, true) => {
            let why = state.halted.as_deref().unwrap_or_default();
            assert!(why.contains("damaged"), "{:?} {why}: {context}", state.mode);
        }
        (_, false) => {
            let recovered = Mode::Finished(Outcome::Recovered);
            assert_eq!(state.mode, recovered, "{:?}: {context}", done.ended.stop);
            assert!(lost > Dur::ZERO, "{context}");
        }
    }
    if rig.intent == Intent::Drill || rig.scenario.archive_corrupt {
        assert_eq!((lost, oracle.outage_ms(Dur::ZERO)), (Dur::ZERO, None), "users noticed: {context}");
    }
}

fn check(seed: u64, counts: &Counts) {
    let rig = rig(seed);
    let context = format!(
        "seed {seed}, scenario {}; alone: DRCTL_TEST_SEED={seed} cargo test --test it simulation::one_seed",
        rig.scenario.name
    );
    let first = rig.rehearse();
    if rig.scenario.loses_home {
        counts.failover(&rig, &first, &context);
    }
    let done = match first {
        Ok(done) => done,
        Err(refusals) => {
            let rightly = rig.scenario.loses_home || rig.scenario.cuts != [None; 3];
            assert!(rightly, "a planned move was refused: {refusals:?}: {context}");
            return;
        }
    };
    if rig.restore.is_some() {
        restored(&rig, &done, &context);
    } else if !rig.scenario.loses_home {
        let outcome = &done.ended.state.mode;
        // A move that is cut off waits or stops. Then it can be cancelled.
        if rig.scenario.cuts == [None; 3] {
            assert_eq!(*outcome, Mode::Finished(Outcome::Recovered), "{:?}: {context}", done.ended.stop);
        }
        let lost = Oracle::new(&rig.plan, &done.watched).lost().into_values().max().unwrap_or_default();
        assert_eq!(lost, Dur::ZERO, "a planned move lost writes: {context}");
    }
    counts.disturbed(&rig, &done);
    invariants(&rig, &done, &context);
    let again = rig.rehearse().unwrap_or_else(|_| panic!("refused the second time: {context}"));
    let bytes = |r: &Rehearsed| r.records.iter().map(|r| r.bytes.clone()).collect::<Vec<_>>();
    assert!(bytes(&done) == bytes(&again), "the same seed gave another journal: {context}");
    clock_jumps(&rig, &done, &context);
    clock_set_back(&rig, &done, counts, &context);
    interrupted(&rig, &done, &context);
    two_at_once(&rig, &done, &context);
    if rig.intent == Intent::Switchover || (rig.intent == Intent::Restore && !rig.scenario.archive_corrupt) {
        dies_in_the_move(&rig, &done, &context);
    }
}

/// drctl's clock is set ahead somewhere in the run: no report is too good, and no bound is on the wrong side.
fn clock_jumps(rig: &Rig, done: &Rehearsed, context: &str) {
    if roll(rig.seed, &["jumps"], 3) != 0 {
        return;
    }
    let lasted = done.ended.state.last_at.since(BEGAN).millis();
    let after = Dur(roll(rig.seed, &["jumps after"], lasted));
    let by = Dur::secs(2).plus(Dur(roll(rig.seed, &["jumps by"], 2_400_000)));
    let jumping = Rig { jumps: Some((after, by)), ..rig.clone() };
    let context = format!("this clock is {by} ahead after {after}: {context}");
    let jumped = jumping.rehearse().unwrap_or_else(|refused| panic!("{refused:?}: {context}"));
    // If it started before the run, or after a probe's last turn, its times come from different clocks.
    safe_and_told(&jumping, &jumped, &context);
    rto_told(&jumping, &jumped, &context);
    // By that clock the loss may exceed the accepted one; everything else ends the same, because each step keeps its full timeout.
    let losses = |e: &Event| {
        let rules = [Rule::ExposureAboveRpo, Rule::ExposureUnknown];
        matches!(&e.what, EventKind::GateBlocked { rule: Some(rule), .. } if rules.contains(rule))
    };
    let chance = [done, &jumped].iter().any(|r| before_dns(rig, &r.ended.state));
    let calls_fail = rig.scenario.faults > 0 || rig.scenario.throttled > 0 || rig.scenario.cuts != [None; 3];
    if !calls_fail && !chance && !events(&jumped).iter().any(losses) {
        assert_eq!(jumped.ended.state.mode, done.ended.state.mode, "{:?}: {context}", jumped.ended.stop);
    }
}

/// drctl's clock is set back: somewhere in the run, and between the process that dies and the one that resumes or cancels the run. No report
/// is too good.
fn clock_set_back(rig: &Rig, done: &Rehearsed, counts: &Counts, context: &str) {
    let by = Dur::secs(2).plus(Dur(roll(rig.seed, &["set back by"], 2_400_000)));
    if roll(rig.seed, &["set back"], 4) == 0 {
        let after = Dur(roll(rig.seed, &["set back after"], done.ended.state.last_at.since(BEGAN).millis()));
        let context = format!("this clock is set back by {by} after {after}: {context}");
        let back = Rig { set_back: Some((after, by)), ..rig.clone() };
        let back = back.rehearse().unwrap_or_else(|refused| panic!("{refused:?}: {context}"));
        counts.disturbed(rig, &back);
        invariants(rig, &back, &context);
    }
    let all = events(done);
    if all.len() < 4 || roll(rig.seed, &["begins behind"], 3) != 0 {
        return;
    }
    let idle = Dur(roll(rig.seed, &["idle"], 2) * roll(rig.seed, &["idle for"], 2_400_000));
    let n = 2 + usize::try_from(roll(rig.seed, &["dies behind"], all.len() as u64 - 3)).unwrap();
    let behind = Rig { idle: Some((idle, by)), ..rig.clone() };
    for (variant, notes) in estates(&done.notes, &all[..n]).into_iter().enumerate() {
        let context =
            format!("idle for {idle} after {n} events, variant {variant}, then {by} behind: {context}");
        let next = behind.carry_on(&done.records[..n], &notes);
        counts.disturbed(rig, &next);
        let jumped =
            |e: &Event| matches!(e.what, EventKind::ClockJumped { backward_ms, .. } if backward_ms == by);
        assert!(events(&next)[n..].iter().any(jumped), "the clock was set back unnoticed: {context}");
        invariants(rig, &next, &context);
        let (back, _) = behind.cancel(&done.records[..n], &notes, None);
        invariants(rig, &back, &format!("cancelled, {context}"));
    }
}

/// The names should have switched before anybody could change them: that times out, and a person resumes it. Its turn depends on everything
/// before it.
fn before_dns(rig: &Rig, state: &RunState) -> bool {
    let failed = |(step, at): (&Step, &StepState)| {
        step.id.as_str().starts_with("switch.") && at.work.status == Status::Failed
    };
    rig.scenario.dns_down > Dur::ZERO && state.runbook.steps.iter().zip(&state.steps).any(failed)
}

/// Two operators start the same failover, one some time after the other, with only the guard in common: one of them completes, and they
/// never cause two writers.
fn two_at_once(rig: &Rig, done: &Rehearsed, context: &str) {
    let lasted = done.ended.state.last_at.since(BEGAN).millis();
    let later = Dur(roll(rig.seed, &["rival"], 2) * roll(rig.seed, &["rival later"], lasted));
    let mut guard = rig.plan.sites.values().next().unwrap().place.clone();
    guard.name = "guard".to_owned();
    let rig = Rig { guard: Some(guard), ..rig.clone() };
    let other = Rig { run: drctl::model::ids::RunId::new("rival"), ..rig.clone() };
    let (ended, left) = rig.rivals(&other, later);
    let context = format!("two operators, one {later} later: {context}");
    one_primary(&rig, &left.watched, &left.journals, &context);
    for truth in &left.truths {
        assert!(!truth.traffic_before_database, "traffic came before a database: {context}");
    }
    let recovered = |e: &Result<Ended, Vec<Refusal>>| matches!(e, Ok(ended) if ended.state.mode == Mode::Finished(Outcome::Recovered));
    let alone = done.ended.state.mode == Mode::Finished(Outcome::Recovered);
    // With faults, the calls meet other faults than those of a single run.
    if alone && rig.scenario.faults == 0 && rig.scenario.throttled == 0 && rig.scenario.cuts == [None; 3] {
        let early =
            |e: &Result<Ended, Vec<Refusal>>| matches!(e, Ok(ended) if before_dns(&rig, &ended.state));
        let through = ended.iter().any(recovered) || ended.iter().any(early);
        assert!(through, "neither got through: {context}");
    }
}

/// The process dies during a planned move, and then the source fails, completely or not: a failover replaces the move, in an estate with
/// faults.
fn dies_in_the_move(rig: &Rig, done: &Rehearsed, context: &str) {
    let all = events(done);
    if all.len() < 4 {
        return;
    }
    let n = 2 + usize::try_from(roll(rig.seed, &["move dies"], all.len() as u64 - 3)).unwrap();
    let dark = roll(rig.seed, &["dark"], 2) == 0;
    let lost_after = done.ended.state.last_at.since(BEGAN).plus(Dur::mins(5));
    let faults = if roll(rig.seed, &["faulty"], 2) == 0 { 200 } else { 0 };
    let scenario =
        Scenario { loses_home: true, control_plane_lost: dark, lost_after, faults, ..rig.scenario.clone() };
    let scenario = with_surprises(rig.seed, scenario);
    let later = lost_after.plus(Dur::mins(3));
    for (variant, notes) in estates(&done.notes, &all[..n]).into_iter().enumerate() {
        let context =
            format!("source dead ({dark}) after {n} events of a move, variant {variant}: {context}");
        fails_over_instead(rig, &scenario, later, (&all[..n], &notes), &context);
    }
    // Or before anything was fenced, with a write probe that had failed although users were served.
    let fences = |e: &Event| matches!(&e.what, EventKind::CallIntended { step, .. } if step.as_str().starts_with("fence."));
    let before = all
        .iter()
        .position(fences)
        .filter(|before| *before > 2)
        .map(|before| 2 + usize::try_from(roll(rig.seed, &["alarmed"], before as u64 - 2)).unwrap());
    if let Some(n) = before {
        let lag_ms = roll(rig.seed, &["lag"], 600_000);
        let scenario = Scenario { control_plane_lost: true, lag_ms, ..scenario.clone() };
        for notes in estates(&done.notes, &all[..n]) {
            let context = format!("a false alarm, then source dead after {n} events of a move: {context}");
            fails_over_instead(rig, &scenario, later, (&false_alarm(&all[..n]), &notes), &context);
        }
    }
    dies_in_the_way_back(rig, done, (&scenario, n), context);
}

/// A person undoes a move while its source fails.
fn dies_in_the_way_back(rig: &Rig, done: &Rehearsed, (scenario, n): (&Scenario, usize), context: &str) {
    let all = events(done);
    let died = all[n - 1].at.since(BEGAN);
    let lost_after = died.plus(Dur(roll(rig.seed, &["dies in the way back"], 60_000)));
    let scenario = Scenario { control_plane_lost: true, lost_after, ..scenario.clone() };
    for (variant, notes) in estates(&done.notes, &all[..n]).into_iter().enumerate() {
        let context = format!("source dead while {n} events were taken back, variant {variant}: {context}");
        let dying = Rig { scenario: scenario.clone(), patience: Dur::mins(120), ..rig.clone() };
        let (mut back, _) = dying.cancel(&done.records[..n], &notes, None);
        if roll(rig.seed, &["resumed"], 2) == 0 && !back.ended.state.finished() {
            // A call in doubt is waited for until its effect is observed or the wait ends.
            (back, _) = dying.second(&back.records, &back.notes, &[Signal::Resume], None).unwrap();
        }
        let all = events(&back);
        let m = n + usize::try_from(roll(rig.seed, &["way back ends"], (all.len() - n) as u64 + 1)).unwrap();
        let later = lost_after.plus(Dur::mins(3));
        for notes in estates(&back.notes, &all[..m]) {
            fails_over_instead(rig, &scenario, later, (&all[..m], &notes), &format!("{m} events: {context}"));
        }
    }
}

/// The write probes fail although users are served.
fn false_alarm(before: &[Event]) -> Vec<Event> {
    let mut all = before.to_vec();
    let at = all.last().unwrap().at;
    let runbook = runbook(before);
    for probe in runbook.probes.iter().filter(|p| p.role == ProbeRole::Write) {
        let (since, last_other) = (at - Dur::secs(15), Some(at - Dur::secs(20)));
        let (probe, detail) = (probe.name.to_string(), "503".to_owned());
        all.push(Event {
            at,
            what: EventKind::ProbeTurned { probe, good: false, since, last_other, detail },
        });
    }
    all
}

/// A failover replaces a move after this prefix, with every waiver if needed.
fn fails_over_instead(
    rig: &Rig,
    scenario: &Scenario,
    later: Dur,
    (all, notes): (&[Event], &Notes),
    context: &str,
) {
    let records = Rig::journal_of(all);
    let state = create::replay(&run_id(), &records).unwrap();
    let mut next = Rig {
        scenario: scenario.clone(),
        later: Some(BEGAN + later),
        ..Rig::new(rig.plan.clone(), "calm", rig.seed)
    };
    // A run that is being undone must be completed first.
    if state.finished() || continued(&state, records.len() as u64, &next.to()).is_err() {
        return;
    }
    let mut failed_over = next.take_over(&records, notes, &[]);
    // Unneeded waivers would hide what should be reported.
    for more in [&[Rule::UnfencedPromotion, Rule::ExposureAboveRpo][..], &[Rule::OtherSource]] {
        if failed_over.is_err() {
            next.waivers.extend(more.iter().copied().map(accept));
            failed_over = next.take_over(&records, notes, &[]);
        }
    }
    match failed_over {
        Ok(after) => {
            let after = Rehearsed { resumed: true, ..after };
            // Data that a restore gave up before is in its own report.
            if !asked_to_swap(all) {
                safe_and_told(&next, &after, context);
            }
            one_primary(&next, &after.watched_later, &after.journals, context);
            // An outage that ended before is in the report of the move, or nobody watched it.
            let began = after.ended.state.created_at;
            let turns = Oracle::new(&next.plan, &after.watched).turns();
            let failed = turns.iter().skip_while(|(_, served)| *served);
            let over = failed.take_while(|(at, _)| *at < began).any(|(_, served)| *served);
            let seen_over = |turns: &Vec<Turn>| turns.last().is_some_and(|t| t.good) && turns.len() > 1;
            if !over && !state.turns.values().any(seen_over) {
                rto_told(&next, &after, context);
            }
        }
        // Users are served from the other site already; or it is unknown which data serves; or the replica of the abandoned history is set
        // aside, and the one that takes its name is still being created.
        Err(refusals) => assert!(
            refusals.iter().all(|r| {
                r.rule == Rule::HealthySource
                    || (r.rule == Rule::ComponentBusy && asked_to_swap(all))
                    || (r.rule == Rule::TargetDown && asked(all, "retire."))
            }),
            "a failover with every waiver was refused: {refusals:#?}: {context}"
        ),
    }
}

/// Whether a copy was to replace live data.
fn asked_to_swap(events: &[Event]) -> bool {
    asked(events, "swap.")
}

fn asked(events: &[Event], steps: &str) -> bool {
    events
        .iter()
        .any(|e| matches!(&e.what, EventKind::CallIntended { step, .. } if step.as_str().starts_with(steps)))
}

pub fn accept(rule: Rule) -> Waiver {
    Waiver {
        rule,
        component: None,
        accept_loss_ms: Some(Dur::mins(120)),
        reason: "simulated".to_owned(),
        who: Person::claimed("test"),
    }
}

/// The process dies somewhere, with and without the effects of its last calls: another resumes the run, or a person cancels it.
fn interrupted(rig: &Rig, done: &Rehearsed, context: &str) {
    let all = events(done);
    if all.len() < 4 {
        return;
    }
    let n = 2 + usize::try_from(roll(rig.seed, &["dies"], all.len() as u64 - 3)).unwrap();
    let undisturbed = rig.carry_on(&done.records, &done.notes);
    for (variant, notes) in estates(&done.notes, &all[..n]).into_iter().enumerate() {
        let context = format!("died after {n} events, variant {variant}: {context}");
        let (next, seen) =
            rig.second(&done.records[..n], &notes, &[], None).unwrap_or_else(|e| panic!("{e}: {context}"));
        invariants(rig, &next, &context);
        assert_no_call_twice(&next, &context);
        let recovered = |r: &Rehearsed| r.ended.state.mode == Mode::Finished(Outcome::Recovered);
        if recovered(&next) && recovered(&undisturbed) {
            let (last, there) = rig.second(&done.records, &done.notes, &[], None).unwrap();
            // What is cut off at the end of one of them shows no difference.
            let silent: BTreeSet<_> = next.silent.union(&last.silent).collect();
            let both =
                |all| kept(all).into_iter().filter(|(key, _)| !silent.contains(key)).collect::<Vec<_>>();
            assert_eq!(both(&seen), both(&there), "another estate than the undisturbed one: {context}");
        }
        let (back, _) = rig.cancel(&done.records[..n], &notes, None);
        invariants(rig, &back, &format!("cancelled, {context}"));
        taken_back_by_two(rig, &back, n, &context);
        if rig.restore.is_some() && rig.scenario.faults == 0 {
            taken_back(rig, &back, asked_to_swap(&all[..n]), &context);
        }
    }
    too_late(rig, done, &all[..n], &format!("died after {n} events, their effects yet to come: {context}"));
}

/// The process that undoes a run dies as well.
fn taken_back_by_two(rig: &Rig, back: &Rehearsed, before: usize, context: &str) {
    let all = events(back);
    let Some(more) = all.len().checked_sub(before + 4) else { return };
    let n = before + 3 + usize::try_from(roll(rig.seed, &["way back dies"], more as u64 + 1)).unwrap();
    for (variant, notes) in estates(&back.notes, &all[..n]).into_iter().enumerate() {
        let context = format!("cancelled, died again after {n} events, variant {variant}: {context}");
        invariants(rig, &rig.carry_on(&back.records[..n], &notes), &context);
    }
    too_late(
        rig,
        back,
        &all[..n],
        &format!("cancelled, died again after {n} events, effects to come: {context}"),
    );
}

/// A call of the dead process takes effect when nobody waits for it any more.
fn too_late(rig: &Rig, done: &Rehearsed, prefix: &[Event], context: &str) {
    let asked = in_flight(prefix);
    let Some(notes) = estates(&done.notes, prefix).pop().filter(|_| !asked.is_empty()) else { return };
    let after = |i: usize| Dur::secs(1 + roll(rig.seed, &["too late", &i.to_string()], 600));
    let died = prefix.last().unwrap().at;
    let coming = asked.into_iter().enumerate().map(|(i, action)| (died + after(i), action)).collect();
    let rig = Rig { coming, ..rig.clone() };
    let records = &done.records[..prefix.len()];
    let (next, _) = rig.second(records, &notes, &[], None).unwrap_or_else(|e| panic!("{e}: {context}"));
    invariants(&rig, &next, context);
    let (back, _) = rig.cancel(records, &notes, None);
    invariants(&rig, &back, &format!("cancelled, {context}"));
}

/// A cancelled restore admits users to the old data, unless somebody wrote to the restored server.
fn taken_back(rig: &Rig, back: &Rehearsed, swapped: bool, context: &str) {
    let state = &back.ended.state;
    let cancelled = state.mode == Mode::Finished(Outcome::Cancelled);
    assert!(cancelled || (swapped && state.stays().is_some()), "{:?}: {context}", back.ended.stop);
    let turns = Oracle::new(&rig.plan, &back.watched).turns();
    let served = turns.last().is_some_and(|(_, served)| *served);
    assert!(served, "users are kept out after a cancel: {context}");
}

/// The attributes that a person can set, except fences, because the fence method that worked is random.
fn kept(seen: &Seen) -> Vec<(&String, String)> {
    settings(seen).into_iter().filter(|(key, _)| !key.starts_with("fence/")).collect()
}

/// A promotion is requested again only if the earlier call was refused, or proven to have had no effect.
fn assert_no_call_twice(done: &Rehearsed, context: &str) {
    let mut open = BTreeSet::new();
    for event in events(done) {
        match event.what {
            EventKind::CallIntended { step, .. } if step.as_str().starts_with("promote.") => {
                assert!(
                    open.insert(step.clone()),
                    "{step} was called again with its call in doubt: {context}"
                );
            }
            EventKind::CallRefused { step, .. } | EventKind::EffectDisproved { step, .. } => {
                open.remove(&step);
            }
            _ => {}
        }
    }
}

/// Runs `DRCTL_TEST_SEEDS` seeds (`tests/nightly`), starting with `DRCTL_TEST_SEEDS_FROM`, on all processors.
#[test]
fn fixed_seeds() {
    let number = |name: &str| std::env::var(name).ok().and_then(|n| n.parse().ok());
    let first = number("DRCTL_TEST_SEEDS_FROM").unwrap_or(0);
    let wanted = first + number("DRCTL_TEST_SEEDS").unwrap_or(500);
    let next = AtomicU64::new(first);
    let counts = Counts::default();
    let some = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= wanted {
                return;
            }
            if let Err(found) = std::panic::catch_unwind(AssertUnwindSafe(|| check(seed, &counts))) {
                eprintln!("found by failover number {}", counts.failovers.load(Ordering::Relaxed));
                // No other worker needs to start more.
                next.store(wanted, Ordering::Relaxed);
                std::panic::resume_unwind(found);
            }
        }
    };
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..processors).for_each(|_| drop(scope.spawn(some))));
    eprintln!("{}", counts.told());
    let (all, caught) = (counts.failovers.load(Ordering::Relaxed), counts.can_catch.load(Ordering::Relaxed));
    // A few seeds prove nothing.
    assert!(
        all < 100 || caught * 2 >= all,
        "only {caught} of {all} failovers can catch a promotion before the fence"
    );
    let missed = counts.missed();
    assert!(all < 100 || missed.is_empty(), "no run met {missed:?}");
}

#[test]
fn fresh_seeds() {
    let base = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    (0..40).for_each(|i| check(1_000_000 + base * 100 + i, &Counts::default()));
}

/// Seeds that once found a bug, each with what it showed.
#[test]
fn seeds_that_found_something() {
    // The loss of one store in a group was accepted, and the next store's excess over its objective was not reported.
    check(179_570_054_004, &Counts::default());
    // Its loss grows during the question: for two stores that are promoted together, each question adds more than five minutes.
    check(1_784, &Counts::default());
    // The answer of a call was lost, and its site never answers again: such a run waits until a person interrupts it.
    check(179_585_582_728, &Counts::default());
}

#[test]
fn one_seed() {
    let seed = std::env::var("DRCTL_TEST_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(1);
    check(seed, &Counts::default());
}
