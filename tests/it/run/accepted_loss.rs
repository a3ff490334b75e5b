//! The loss that a gate asks a person to accept: the known loss, plus time to answer if it grows, for all stores of a group at once.

use drctl::kinds::Fact;
use drctl::kinds::shared::database::DatabaseRef;
use drctl::kinds::shared::fence::FenceMethod;
use drctl::model::ids::ComponentName;
use drctl::model::measure::{Basis, Figure};
use drctl::model::time::{Dur, Timestamp};
use drctl::model::waiver::{Person, Rule, Waiver};
use drctl::record::action::{Action, Check, Gate};
use drctl::record::event::{End, EventKind};
use drctl::run::exposure::may_lose;
use drctl::run::gate::falls_short;
use drctl::run::state::Status;
use drctl::run::stopped::IN_DOUBT;
use drctl::run::{Effect, RunState, Stop, decide};

use crate::cli::contract::{Folder, json};
use crate::run::beliefs::exposure;
use crate::run::decisions::{DONE, component, db, fence, minutes, say, step, told, under_way};
use crate::support::rig::BEGAN;

/// The request of the gate of an unproven fence for this known loss: the options, and why it stops.
fn gate_asks(known: Option<(Dur, bool)>, objective: Dur) -> (String, String) {
    let measures =
        Action::Check(Check::Exposure { db: db("db-east"), ahead_ms: None, unreplicated: Vec::new() });
    let gate = Action::Gate(Gate::Fenced { component: component() });
    let mut state = under_way(vec![
        (step("fence", fence(FenceMethod::Sql)), Status::Failed),
        (step("exposure", measures), DONE),
        (step("gate", gate), Status::Started),
    ]);
    state.runbook.objectives.rpo_ms = objective;
    if let Some((loss, grows)) = known {
        measured(&mut state, 1, &component(), loss, grows);
    }
    asked(&state, BEGAN)
}

pub fn measured(state: &mut RunState, at: usize, of: &ComponentName, loss: Dur, grows: bool) {
    let Fact::Exposure(mut taken) = exposure() else { panic!("no exposure") };
    taken.figure = Figure::new(loss, Basis::UpperBound);
    (taken.component, taken.grows, taken.taken_at) = (of.clone(), grows, BEGAN);
    let facts = vec![Fact::Exposure(taken)];
    state.steps[at].work.status = Status::Started;
    let step = state.step(at).id.clone();
    say(state, BEGAN, EventKind::StepFinished { step, end: End::Performed, facts });
}

/// The options that a blocked gate prints, and why it stops.
pub fn asked(state: &RunState, now: Timestamp) -> (String, String) {
    let blocks = |effect: &Effect| match effect {
        Effect::Record(events) => events.iter().find_map(|what| match what {
            EventKind::GateBlocked { flag, why, .. } => flag.clone().map(|flag| (flag, why.clone())),
            _ => None,
        }),
        _ => None,
    };
    decide(state, now).iter().find_map(blocks).expect("a question")
}

#[test]
fn what_has_to_be_accepted_is_what_is_known_to_be_lost_and_the_objective_at_least() {
    let objective = Dur::secs(90);
    for (known, bound) in [
        (None, "--accept-data-loss 1m30s"),
        (Some((Dur::secs(60), false)), "--accept-data-loss 1m30s"),
        (Some((objective, false)), "--accept-data-loss 1m30s"),
        (Some((Dur::secs(91), false)), "--accept-data-loss 2m"),
        (Some((Dur::mins(7), false)), "--accept-data-loss 7m"),
        // A growing loss needs time for the answer.
        (Some((Dur::ZERO, true)), "--accept-data-loss 5m"),
        (Some((Dur::mins(7), true)), "--accept-data-loss 12m"),
    ] {
        let (flag, why) = gate_asks(known, objective);
        assert!(flag.contains(&format!("{bound} ")), "{known:?}: {flag}");
        let grows = known.is_some_and(|(_, grows)| grows);
        assert_eq!(why.contains("leaves 5m to answer"), grows, "{known:?}: {why}");
    }
    let (flag, why) = gate_asks(Some((Dur::ZERO, true)), Dur::mins(10));
    assert!(flag.contains("--accept-data-loss 10m ") && !why.contains("to answer"), "{why}");
}

/// People read it at some time before the promotion, so it says when it was true and when it is too much.
#[test]
fn a_loss_that_grows_is_shown_with_its_time_and_the_end_of_what_was_accepted() {
    let measures =
        Action::Check(Check::Exposure { db: db("db-east"), ahead_ms: None, unreplicated: Vec::new() });
    let gate = Action::Gate(Gate::Fenced { component: component() });
    let mut state = under_way(vec![(step("measure", measures), DONE), (step("gate", gate), Status::Started)]);
    measured(&mut state, 0, &component(), Dur::secs(46), true);
    let told = |state: &RunState, after: u64| {
        let at = BEGAN + Dur::secs(after);
        (at, may_lose(state, &component(), at).expect("a loss"))
    };
    let (at, words) = told(&state, 4);
    let grows = format!("at most 50s (upper bound) at {at}, and 1m more each minute");
    assert!(words.starts_with(&grows) && !words.contains("accepted"), "{words}");
    let waiver = Waiver {
        rule: Rule::ExposureAboveRpo,
        component: Some(component()),
        accept_loss_ms: Some(Dur::mins(1)),
        reason: "r".to_owned(),
        who: Person::claimed("sam"),
    };
    say(&mut state, BEGAN, EventKind::Waived { waiver });
    let ends = format!("; more than the accepted loss of 1m after {}", BEGAN + Dur::secs(14));
    assert!(told(&state, 4).1.ends_with(&ends), "{}", told(&state, 4).1);
    assert!(told(&state, 15).1.ends_with("; more than the accepted loss of 1m"), "{}", told(&state, 15).1);
    measured(&mut state, 0, &component(), Dur::secs(46), false);
    assert!(!told(&state, 4).1.contains("each minute"), "{}", told(&state, 4).1);
}

/// For a group that is promoted together, one answer within the printed bound is enough for all.
#[test]
fn a_loss_that_grows_in_two_stores_is_accepted_with_one_answer() {
    let both = [component(), ComponentName::from("ledger")];
    let measures = |name: &ComponentName| {
        let db = DatabaseRef { component: name.clone(), ..db("db-east") };
        Action::Check(Check::Exposure { db, ahead_ms: None, unreplicated: Vec::new() })
    };
    let objective_ms = Dur::mins(1);
    let gate = Action::Gate(Gate::Exposure { components: both.to_vec(), objective_ms });
    let mut state = under_way(vec![
        (step("measure.a", measures(&both[0])), DONE),
        (step("measure.b", measures(&both[1])), DONE),
        (step("gate", gate), Status::Started),
    ]);
    measured(&mut state, 0, &both[0], Dur::mins(2), true);
    measured(&mut state, 1, &both[1], Dur::mins(9), true);
    let (flag, why) = asked(&state, BEGAN);
    let of = |name: &ComponentName| format!("--waive exposure-above-rpo:{name} ");
    assert_eq!(flag, format!("{}{}--accept-data-loss 14m --reason TEXT", of(&both[0]), of(&both[1])));
    assert!(
        both.iter().all(|name| why.contains(&format!("{name} may lose")))
            && why.contains("leaves 5m to answer"),
        "{why}"
    );
    let waiver = |name: &ComponentName, loss| Waiver {
        rule: Rule::ExposureAboveRpo,
        component: Some(name.clone()),
        accept_loss_ms: Some(loss),
        reason: "r".to_owned(),
        who: Person::claimed("sam"),
    };
    // Less than one of them may lose: the suggested command names both stores. Another accepted risk in the same command does not replace
    // these options.
    let beside = Waiver { rule: Rule::GuardHeld, accept_loss_ms: None, ..waiver(&both[0], Dur::ZERO) };
    let short = both.each_ref().map(|name| waiver(name, Dur::mins(8)));
    let all: Vec<_> = std::iter::once(beside).chain(short).collect();
    let (why, enough) = falls_short(&state, &all, BEGAN).expect("less than 9m");
    assert!(why.contains("9m") && why.contains("for ledger") && !why.contains("2m"), "{why}");
    assert!(
        enough.contains(&of(&both[0])) && enough.contains(&format!("{}--accept-data-loss 14m", of(&both[1])))
    );
    for name in &both {
        let waived = EventKind::Waived { waiver: waiver(name, Dur::mins(14)) };
        say(&mut state, minutes(4), waived);
    }
    assert_eq!(told(&state, BEGAN + Dur::secs(299)), "step_finished gate");
}

/// The journal has the figure of the time of the question. A person reads the screen later.
#[test]
fn the_question_and_its_command_have_the_loss_of_the_time_at_which_they_are_shown() {
    let measures =
        Action::Check(Check::Exposure { db: db("db-east"), ahead_ms: None, unreplicated: Vec::new() });
    let gate = Action::Gate(Gate::Exposure { components: vec![component()], objective_ms: Dur::mins(1) });
    for (grows, bound) in [(true, "--accept-data-loss 14m "), (false, "--accept-data-loss 2m ")] {
        let mut state = under_way(vec![
            (step("measure", measures.clone()), DONE),
            (step("gate", gate.clone()), Status::Started),
        ]);
        measured(&mut state, 0, &component(), Dur::mins(2), grows);
        for effect in decide(&state, BEGAN) {
            let Effect::Record(events) = effect else { continue };
            events.into_iter().for_each(|what| say(&mut state, BEGAN, what));
        }
        let reason = match decide(&state, minutes(7)).pop() {
            Some(Effect::Stop(Stop::Blocked(why))) => why,
            other => panic!("{other:?}"),
        };
        assert_eq!(reason.contains("gate: db may lose at most 9m"), grows, "{reason}");
        say(&mut state, minutes(7), EventKind::Halted { reason: format!("{reason}{IN_DOUBT}promote") });
        let command = |state: &RunState| state.waits_for_people()[0].command.clone().unwrap_or_default();
        let before = command(&state);
        assert_eq!(before.contains("--accept-data-loss 7m "), grows, "{before}");
        assert!(state.waits_for_people_as_of(minutes(7))[0].words().contains(bound));
        state.ask_as_of(minutes(7));
        assert!(command(&state).contains(bound), "{}", command(&state));
        assert!(state.ways_on().iter().any(|way| way.command.contains(bound)), "{:?}", state.ways_on());
        let halted = state.halted.clone().unwrap();
        assert!(
            halted.contains("gate: db may lose at most ") && halted.ends_with(&format!("{IN_DOUBT}promote"))
        );
        assert_eq!(halted.contains("a bound of 14m leaves 5m to answer"), grows, "{halted}");
    }
}

/// The next process has the real clock, which is far from the time of the rehearsal.
#[test]
fn the_printed_answer_about_a_loss_that_grows_is_accepted_in_a_rehearsal() {
    let folder = Folder::with_plans();
    let start = "failover truststream --to us-east-1 --yes --sandbox=region-dark --waive unfenced-promotion \
                 --accept-data-loss 30s --reason dark --output json";
    let (_, out, err) = folder.run(&start.split_whitespace().collect::<Vec<_>>());
    let report = json(&out);
    let asked = report["waits_for"][0]["command"].as_str().unwrap_or_else(|| panic!("{out}{err}"));
    assert!(asked.contains("--waive exposure-above-rpo:db --accept-data-loss 7m "), "{asked}");
    let shown = folder.ok(&["runs", "show", "latest", "--sandbox"]);
    assert!(shown.contains("  as of    2026-01-01T03:02:"), "{shown}");
    let answer = asked.strip_prefix("drctl ").unwrap();
    let (code, out, err) = folder.run(&answer.split_whitespace().collect::<Vec<_>>());
    assert_eq!(code, 5, "{out}{err}");
    assert!(out.contains("waived   exposure-above-rpo"), "{out}");
    // At the halt, more than a minute after the question, the loss has grown by as much.
    assert!(out.contains("up to 7m of writes"), "{out}");
}

/// The one command that is needed can be copied: no bracket and no words are on its line.
#[test]
fn the_command_that_answers_a_question_has_its_own_line() {
    let folder = Folder::with_plans();
    let start = ["failover", "truststream", "--to", "us-east-1", "--yes", "--sandbox=replica-lagging"];
    let (_, out, err) = folder.run(&start);
    let alone = |line: &str| line.starts_with("    drctl runs resume ") && line.ends_with(" --sandbox");
    assert!(err.lines().any(alone) && !err.contains("[drctl"), "{err}");
    // Nor does any other command of the screen have words behind it.
    let behind =
        |line: &str| line.split_once(" --sandbox ").is_some_and(|(command, _)| command.contains("drctl "));
    assert!(!out.lines().any(behind), "{out}");
    assert!(out.lines().any(|line| line.starts_with("  report   drctl report run ")), "{out}");
}

/// Whoever reads the runbook, approves it or reads the report sees the loss up to which the run continues.
#[test]
fn every_text_of_the_gate_has_the_accepted_loss() {
    let folder = Folder::with_plans();
    let accept = |loss: &'static str| {
        let waiver = "--waive unfenced-promotion:db --reason dark --accept-data-loss";
        ["--to", "us-east-1", "--sandbox=region-dark"].into_iter().chain(waiver.split(' ')).chain([loss])
    };
    let limit = |loss: &str| format!("continue only if db may lose no more than {loss} (accepted)");
    let told = |command: &[&'static str], loss: &'static str| {
        let (_, out, err) = folder.run(&command.iter().copied().chain(accept(loss)).collect::<Vec<_>>());
        out + &err
    };
    let dry = told(&["failover", "truststream", "--dry-run"], "10s");
    assert!(dry.contains(&limit("10s")), "{dry}");
    let shown = told(&["plan", "show", "truststream"], "30m");
    assert!(shown.contains(&limit("30m")), "{shown}");
    let paper = told(&["plan", "show", "truststream", "--as-commands"], "10s");
    assert!(paper.contains(&limit("10s")), "{paper}");
    assert!(paper.contains("If it is above 10s (accepted), a person must accept the loss"), "{paper}");
    let run = told(&["failover", "truststream", "--yes"], "30m");
    assert!(run.contains("FENCE PENDING"), "{run}");
    for command in ["runs show latest --sandbox", "report run latest --sandbox --format md"] {
        let text = folder.ok(&command.split(' ').collect::<Vec<_>>());
        assert!(text.contains(&limit("30m")), "{command}: {text}");
    }
}
