//! Calls that take effect late: a stopped run reports them, withdraws them if possible, and later processes observe them.

use drctl::kinds::State;
use drctl::model::ids::StepId;
use drctl::model::time::{Dur, Timestamp};
use drctl::model::waiver::{Person, Rule, Waiver};
use drctl::plan::Plan;
use drctl::record::event::{Event, EventKind, Outcome};
use drctl::report::summary;
use drctl::run::state::Mode;
use drctl::run::{RunState, Stop};

use crate::run::loss::intended;
use crate::run::resume::{estates, events};
use crate::support::rig::{Rehearsed, Rig, plan, truststream};

/// Self-managed servers, with or without hosts.
pub fn own(host: &str) -> Plan {
    let at = |site: &str| format!("{{endpoint: \"db.{site}:5432/o\", admin: {{secret: \"file:a\"}}{host}}}");
    plan(&format!(
        "plan: orders\nobjectives: {{rto: 15m, rpo: 5m}}\nsites: {{west: {{cloud: none}}, east: {{cloud: none}}}}\nhome: west\ncomponents:\n  db:\n    kind: postgres\n    fence: [sql]\n    at:\n      west: {}\n      east: {}\nprobes:\n  - {{name: app, role: public, http: \"https://o.example/\", every: 1s, timeout: 3s}}\nwatch: {{for: 1m}}\n",
        at("west"),
        at("east")
    ))
}

pub const HOST: &str = ", host: {run: [ssh, db], data: /data, replication: {secret: \"file:r\"}}";

/// A dark region, and a standby that starts a requested promotion this much later. A loss of two minutes is accepted.
pub fn rig(host: &str, waits: Dur) -> Rig {
    let mut rig = Rig::new(own(host), "region-dark", 1);
    rig.scenario.promotion_waits = waits;
    rig.waivers = vec![Waiver {
        rule: Rule::UnfencedPromotion,
        component: None,
        accept_loss_ms: Some(Dur::mins(2)),
        reason: "r".to_owned(),
        who: Person::claimed("test"),
    }];
    rig
}

fn halted(rig: &Rig) -> Rehearsed {
    let done = rig.rehearse().unwrap_or_else(|r| panic!("{r:#?}"));
    assert!(matches!(done.ended.stop, Stop::Blocked(_)), "{:?}", done.ended.stop);
    done
}

pub fn kinds(all: &[Event], test: impl Fn(&EventKind) -> bool) -> usize {
    all.iter().filter(|e| test(&e.what)).count()
}

#[test]
fn a_promotion_that_is_still_to_come_is_named_when_the_run_halts_and_seen_when_it_comes() {
    let mut rig = rig("", Dur::mins(10));
    let done = halted(&rig);
    let (state, all) = (&done.ended.state, events(&done));
    let left = state.outstanding(state.last_at);
    assert_eq!(left.len(), 1, "{left:#?}");
    assert_eq!((left[0].step.as_str(), left[0].until), ("promote.db", None));
    let reason = state.halted.clone().unwrap();
    for words in ["STILL IN DOUBT: promote.db", "the old primary is not fenced", "stop "] {
        assert!(reason.contains(words), "{reason}");
    }
    let report = summary::report(state, state.last_at + Dur::mins(600));
    assert_eq!(report.in_doubt.len(), 1, "no clock ends it");
    assert_eq!(kinds(&all, |w| matches!(w, EventKind::WithdrawIntended { .. })), 0, "it has no host");
    // It takes effect whatever happened to the run, and the process that resumes the run finds it.
    rig.later = Some(state.last_at + Dur::mins(15));
    let (later, _) = rig.second(&done.records, &done.notes, &[], None).unwrap();
    let state = &later.ended.state;
    assert_eq!(state.outstanding(state.last_at), Vec::new());
    let came =
        |w: &EventKind| matches!(w, EventKind::StepFinished { step, .. } if step.as_str() == "promote.db");
    assert_eq!(kinds(&events(&later), came), 1);
    assert_eq!(summary::report(state, state.last_at).in_doubt, Vec::new());
}

#[test]
fn a_promotion_that_may_come_beyond_the_accepted_loss_is_withdrawn_by_its_host() {
    let mut rig = rig(HOST, Dur::mins(10));
    let done = halted(&rig);
    let (state, all) = (&done.ended.state, events(&done));
    assert_eq!(kinds(&all, |w| matches!(w, EventKind::Withdrawn { .. })), 1, "{:#?}", all.last());
    assert_eq!(state.outstanding(state.last_at), Vec::new());
    assert!(!state.halted.as_ref().unwrap().contains("IN DOUBT"), "{:?}", state.halted);
    assert!(!state.past_return() && state.owed().count() == 0, "nothing is promoted");
    // Much later it is still a standby.
    rig.later = Some(state.last_at + Dur::mins(60));
    let (_, seen) = rig.second(&done.records, &done.notes, &[], None).unwrap();
    let standby = seen.iter().find(|(key, _)| key.starts_with("database/east/")).unwrap();
    assert!(matches!(standby.1, State::Database(d) if d.is_replica()), "{standby:?}");
}

/// Cancelled while the standby has not begun the promotion that was asked for.
#[test]
fn a_cancel_withdraws_a_promotion_that_was_asked_for_and_is_not_seen() {
    for host in [HOST, ""] {
        let mut rig = rig(host, Dur::mins(10));
        rig.waivers[0].accept_loss_ms = Some(Dur::mins(600));
        let whole = rig.rehearse().unwrap_or_else(|r| panic!("{r:#?}"));
        let all = events(&whole);
        let answers = |e: &Event| matches!(&e.what, EventKind::CallAnswered { step, .. } if step.as_str() == "promote.db");
        let n = 1 + all.iter().position(answers).unwrap();
        let notes = estates(&whole.notes, &all[..n]).pop().unwrap();
        let (done, _) = rig.cancel(&whole.records[..n], &notes, None);
        let (state, withdrawn) =
            (&done.ended.state, kinds(&events(&done), |w| matches!(w, EventKind::Withdrawn { .. })));
        let left = state.outstanding(state.last_at);
        rig.later = Some(state.last_at + Dur::mins(60));
        let (_, seen) = rig.second(&done.records, &done.notes, &[], None).unwrap();
        let (_, standby) = seen.iter().find(|(key, _)| key.starts_with("database/east/")).unwrap();
        let State::Database(standby) = standby else { panic!("{standby:?}") };
        let could = !host.is_empty();
        assert_eq!(
            (withdrawn, left.is_empty(), standby.is_replica()),
            (usize::from(could), could, could),
            "{left:#?}"
        );
        let mode = if could { Outcome::Cancelled } else { Outcome::Abandoned };
        assert_eq!(state.mode, Mode::Finished(mode));
    }
}

/// Whatever the cancel finds, a server that takes writes is not stopped.
#[test]
fn a_cancel_withdraws_nothing_once_the_new_primary_is_seen() {
    let rig = rig(HOST, Dur::ZERO);
    let whole = rig.rehearse().unwrap_or_else(|r| panic!("{r:#?}"));
    let all = events(&whole);
    let answers =
        |e: &Event| matches!(&e.what, EventKind::CallAnswered { step, .. } if step.as_str() == "promote.db");
    let first = 1 + all.iter().position(answers).unwrap();
    for n in first..all.len() {
        let notes = estates(&whole.notes, &all[..n]).pop().unwrap();
        let (done, _) = rig.cancel(&whole.records[..n], &notes, None);
        let withdraws = kinds(&events(&done), |w| matches!(w, EventKind::WithdrawIntended { .. }));
        assert_eq!(withdraws, 0, "cancelled after {n} events");
        // At the last events it is over.
        let over = [Outcome::Abandoned, Outcome::Recovered].map(Mode::Finished);
        assert!(over.contains(&done.ended.state.mode), "cancelled after {n} events");
    }
}

/// Applies events after the first ones of a run.
struct Folded(RunState, Timestamp);

impl Folded {
    fn say(&mut self, what: EventKind) {
        self.1 = self.1 + Dur::secs(1);
        self.0.apply(&Event { at: self.1, what }).unwrap();
    }

    fn left(&self, later: Dur) -> Vec<String> {
        let left =
            self.0.outstanding(self.1 + later).into_iter().filter(|effect| effect.promotes().is_some());
        left.map(|effect| effect.step.to_string()).collect()
    }
}

fn at_the_promotion(rig: &Rig) -> Folded {
    let whole = rig.rehearse().unwrap_or_else(|r| panic!("{r:#?}"));
    let all = events(&whole);
    let asks =
        |e: &Event| matches!(&e.what, EventKind::CallIntended { step, .. } if step.as_str() == "promote.db");
    let n = all.iter().position(asks).unwrap();
    let state = RunState::fold(&all[..n]).unwrap();
    let at = state.last_at;
    Folded(state, at)
}

fn refused() -> EventKind {
    let (step, code) = (StepId::new("promote.db"), "55000".to_owned());
    EventKind::CallRefused { step, code, why: "no".to_owned(), retry_at: Some(Timestamp::from_millis(0)) }
}

fn came_to_nothing() -> EventKind {
    promote(|step| EventKind::EffectDisproved { step, seen: "nothing".to_owned() })
}

fn promote(what: impl Fn(StepId) -> EventKind) -> EventKind {
    what(StepId::new("promote.db"))
}

fn begun(run: &mut Folded) {
    run.say(intended("promote.db"));
    run.say(promote(|step| EventKind::CallAnswered { step, token: None }));
}

#[test]
fn what_may_still_come_is_known_by_what_was_asked_for() {
    let dark = rig("", Dur::mins(10));
    let mut run = at_the_promotion(&dark);
    assert_eq!(run.left(Dur::ZERO), Vec::<String>::new(), "nothing was asked for");
    run.say(intended("promote.db"));
    run.say(refused());
    assert_eq!(run.left(Dur::ZERO), Vec::<String>::new(), "it was refused");
    begun(&mut run);
    // That its effect is not visible proves nothing, and neither does the refusal of the next call.
    run.say(promote(|step| EventKind::EffectDisproved { step, seen: "no".to_owned() }));
    run.say(intended("promote.db"));
    run.say(refused());
    assert_eq!(run.left(Dur::mins(600)), ["promote.db"]);
    run.say(promote(|step| EventKind::WithdrawIntended { step }));
    run.say(promote(|step| EventKind::WithdrawFailed { step, why: "no way there".to_owned() }));
    assert_eq!(run.left(Dur::mins(600)), ["promote.db"]);
    let words = run.0.outstanding(run.1)[0].words(&run.0);
    assert!(words.contains("drctl could not withdraw the request: no way there"), "{words}");
    run.say(promote(|step| EventKind::WithdrawIntended { step }));
    run.say(promote(|step| EventKind::Withdrawn { step }));
    assert_eq!(run.left(Dur::ZERO), Vec::<String>::new());
    let again = Event { at: run.1, what: promote(|step| EventKind::Withdrawn { step }) };
    assert!(run.0.apply(&again).is_err(), "nobody withdraws anything");
}

/// For a managed server, the service shows within a minute that it accepted a request.
#[test]
fn what_a_service_would_show_is_in_doubt_until_it_would() {
    let mut lost = Rig::new(truststream(), "region-lost", 1);
    lost.waivers = Vec::new();
    let mut run = at_the_promotion(&lost);
    run.say(intended("promote.db"));
    run.say(promote(|step| EventKind::CallInDoubt { step, why: "no answer".to_owned() }));
    assert_eq!(run.left(Dur::secs(30)), ["promote.db"]);
    assert_eq!(run.left(Dur::secs(90)), Vec::<String>::new());
    // A clock that jumps ahead does not make an effect come sooner.
    let jumped = EventKind::ClockJumped { forward_ms: Dur::mins(20), backward_ms: Dur::ZERO };
    run.1 = run.1 + Dur::mins(20);
    run.say(jumped);
    assert_eq!(run.left(Dur::secs(30)), ["promote.db"]);
    assert_eq!(run.left(Dur::secs(90)), Vec::<String>::new());
    // An accepted call may take any time; only an observation tells.
    run.say(came_to_nothing());
    begun(&mut run);
    assert_eq!(run.left(Dur::mins(600)), ["promote.db"]);
    let left = run.0.outstanding(run.1);
    let words = left.iter().find(|effect| effect.promotes().is_some()).unwrap().words(&run.0);
    assert!(words.contains("The service cannot withdraw this request"), "{words}");
    run.say(came_to_nothing());
    assert_eq!(run.left(Dur::ZERO), Vec::<String>::new());
}
