//! Which drill is next: drills that were due while no server ran, closed windows, and changed schedules.

use std::collections::BTreeSet;

use drctl::model::ids::{PlanName, RunId};
use drctl::model::ledger::Entry;
use drctl::model::schedule::{Fate, Schedule};
use drctl::model::time::{Dur, Timestamp};
use drctl::plan::Settings;
use drctl::policy::schedules::{DrillHolds, Next, RecordedSchedules, next};

const DAILY: &str =
    "schedules:\n  daily: {plan: shop, drill: isolated, at: \"0 3 * * *\", zone: UTC, late: 6h}\n";

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn settings(text: &str) -> Settings {
    Settings::load(Some(("drctl.yaml", text.as_bytes())), std::collections::BTreeMap::new(), &[]).unwrap()
}

/// The ledger, and the handling of due drills.
struct Ledger {
    entries: Vec<Entry>,
    kept: DrillHolds,
}

impl Ledger {
    fn new() -> Self {
        Self { entries: Vec::new(), kept: DrillHolds::default() }
    }

    fn known(&self) -> RecordedSchedules {
        RecordedSchedules::from_entries(self.entries.iter().cloned())
    }

    /// Handles everything that is due now; drills pass at once. Returns the next due time.
    fn served(&mut self, settings: &Settings, now: &str) -> Timestamp {
        let now = at(now);
        for _ in 0..1_000 {
            let Settings { schedules, policy, .. } = settings;
            let (name, due) = match next(schedules, &self.known(), policy, &self.kept, now) {
                Next::Enter(entry) => {
                    self.entries.push(entry);
                    continue;
                }
                Next::Begin(due) | Next::Carry(due) => due,
                Next::Wait(then) => {
                    assert!(then > now);
                    return then;
                }
            };
            self.fate(&name, due, now, Fate::Ended { passed: true, why: "done".to_owned() });
        }
        panic!("it never matches a date to rest: {:#?}", self.entries.last());
    }

    fn fate(&mut self, name: &str, due: Timestamp, at: Timestamp, fate: Fate) {
        self.entries.push(Entry::Drill { at, schedule: name.to_owned(), due, fate });
    }

    /// The result of each drill in a word.
    fn told(&self) -> Vec<(String, &'static str)> {
        let word = |fate: &Fate| match fate {
            Fate::Begun { .. } => "begun",
            Fate::Missed { .. } => "missed",
            Fate::Ended { .. } => "held",
        };
        self.known()
            .fates
            .iter()
            .map(|((_, due), fate)| (due.to_string()[..13].to_owned(), word(fate)))
            .collect()
    }

    fn why(&self, due: &str) -> String {
        match self
            .known()
            .fates
            .iter()
            .find(|((_, at), _)| at.to_string().starts_with(due))
            .map(|(_, f)| f.clone())
        {
            Some(Fate::Missed { why }) => why,
            other => panic!("{due}: {other:?}"),
        }
    }
}

fn told(of: &[(&str, &'static str)]) -> Vec<(String, &'static str)> {
    of.iter().map(|(due, word)| ((*due).to_owned(), *word)).collect()
}

#[test]
fn nothing_is_due_before_a_schedule_was_first_seen() {
    let (settings, mut ledger) = (settings(DAILY), Ledger::new());
    let then = ledger.served(&settings, "2026-03-01T12:00:00Z");
    assert!(then <= at("2026-03-02T03:00:00Z") && ledger.told().is_empty(), "{:?}", ledger.told());
    ledger.served(&settings, "2026-03-02T03:00:00Z");
    assert_eq!(ledger.told(), told(&[("2026-03-02T03", "held")]));
    // The same time again, a minute later, and with a clock that was set back.
    for now in ["2026-03-02T03:00:00Z", "2026-03-02T03:01:00Z", "2026-02-01T00:00:00Z"] {
        ledger.served(&settings, now);
    }
    assert_eq!(ledger.told(), told(&[("2026-03-02T03", "held")]));
}

#[test]
fn of_what_was_due_while_nobody_served_the_last_is_held_and_the_others_are_missed() {
    let (settings, mut ledger) = (settings(DAILY), Ledger::new());
    ledger.served(&settings, "2026-03-01T12:00:00Z");
    ledger.served(&settings, "2026-03-04T08:59:00Z");
    let all = [("2026-03-02T03", "missed"), ("2026-03-03T03", "missed"), ("2026-03-04T03", "held")];
    assert_eq!(ledger.told(), told(&all));
    assert!(
        ledger.why("2026-03-03").contains("the next drill was due before"),
        "{}",
        ledger.why("2026-03-03")
    );
    // Six hours late, and slightly later.
    ledger.served(&settings, "2026-03-05T09:00:00Z");
    ledger.served(&settings, "2026-03-06T09:00:01Z");
    let all = [&all[..], &[("2026-03-05T03", "held"), ("2026-03-06T03", "missed")]].concat();
    assert_eq!(ledger.told(), told(&all));
    assert!(
        ledger.why("2026-03-06").contains("no drctl serve was running in time"),
        "{}",
        ledger.why("2026-03-06")
    );
}

#[test]
fn what_was_begun_goes_on_before_anything_else_and_what_waits_for_a_person_holds_up_nothing() {
    let (settings, mut ledger) = (settings(DAILY), Ledger::new());
    ledger.served(&settings, "2026-03-01T12:00:00Z");
    let (due, now) = (at("2026-03-02T03:00:00Z"), at("2026-03-03T03:00:00Z"));
    let is = settings.schedules[0].is.clone();
    ledger.fate("daily", due, due, Fate::Begun { is, runs: vec![RunId::new("r")] });
    let open = ("daily".to_owned(), due);
    let then =
        |ledger: &Ledger| next(&settings.schedules, &ledger.known(), &settings.policy, &ledger.kept, now);
    assert_eq!(then(&ledger), Next::Carry(open.clone()));
    ledger.kept.left.insert(open);
    assert_eq!(then(&ledger), Next::Begin(("daily".to_owned(), now)));
}

#[test]
fn a_blackout_or_a_freeze_is_waited_out_and_windows_are_for_drills_that_move_users() {
    let policy = r#"policy:
  blackouts: [{from: "2026-03-02T00:00:00Z", to: "2026-03-02T05:00:00Z", why: sale}]
  windows: [{opens: "0 12 * * *", for: 2h, zone: UTC}]
"#;
    let isolated = settings(&format!("{DAILY}{policy}"));
    let mut ledger = Ledger::new();
    ledger.served(&isolated, "2026-03-01T12:00:00Z");
    let then = ledger.served(&isolated, "2026-03-02T03:00:00Z");
    assert!(ledger.told().is_empty() && then <= at("2026-03-02T05:00:00Z"), "{:?}", ledger.told());
    ledger.served(&isolated, "2026-03-02T05:00:00Z");
    assert_eq!(ledger.told(), told(&[("2026-03-02T03", "held")]), "copies keep to no window");

    let live = settings(&format!("{}{policy}", DAILY.replace("isolated", "live")));
    let mut ledger = Ledger::new();
    ledger.served(&live, "2026-03-01T12:00:00Z");
    ledger.served(&live, "2026-03-02T08:00:00Z");
    assert!(ledger.told().is_empty(), "no window is open: {:?}", ledger.told());
    ledger.served(&live, "2026-03-02T09:00:01Z");
    assert_eq!(ledger.told(), told(&[("2026-03-02T03", "missed")]));
    assert!(
        ledger.why("2026-03-02").contains("no maintenance window is open"),
        "{}",
        ledger.why("2026-03-02")
    );
}

/// Users must not be moved back and forth: after a move of any kind, no automatic move follows for a while.
#[test]
fn an_application_that_was_just_moved_is_not_moved_by_itself() {
    let live = DAILY.replace("isolated", "live");
    let plan = PlanName::new("shop");
    let moved = at("2026-03-02T02:30:00Z");
    for (policy, until) in [
        ("", "2026-03-02T03:30:00Z"),
        ("policy: {apart: 3h}\n", "2026-03-02T05:30:00Z"),
        ("policy: {apart: 0s}\n", "2026-03-02T03:00:00Z"),
    ] {
        let settings = settings(&format!("{live}{policy}"));
        let mut ledger = Ledger::new();
        ledger.served(&settings, "2026-03-01T12:00:00Z");
        ledger.kept.moved.insert(plan.clone(), moved);
        if at(until) > at("2026-03-02T03:00:00Z") {
            let then = ledger.served(&settings, "2026-03-02T03:00:00Z");
            assert!(ledger.told().is_empty() && then <= at(until), "{policy}: {then} {:?}", ledger.told());
        }
        ledger.served(&settings, until);
        assert_eq!(ledger.told(), told(&[("2026-03-02T03", "held")]), "{policy}");
    }
    // A copy moves nobody, and another application is independent.
    for (text, plan) in [(DAILY, plan.clone()), (&live, PlanName::new("another"))] {
        let settings = settings(text);
        let mut ledger = Ledger::new();
        ledger.served(&settings, "2026-03-01T12:00:00Z");
        ledger.kept.moved.insert(plan, moved);
        ledger.served(&settings, "2026-03-02T03:00:00Z");
        assert_eq!(ledger.told(), told(&[("2026-03-02T03", "held")]));
    }
    let long = settings(&format!("{live}policy: {{apart: 12h}}\n"));
    let mut ledger = Ledger::new();
    ledger.served(&long, "2026-03-01T12:00:00Z");
    ledger.kept.moved.insert(plan, moved);
    ledger.served(&long, "2026-03-02T09:00:01Z");
    assert_eq!(ledger.told(), told(&[("2026-03-02T03", "missed")]));
    let why = ledger.why("2026-03-02");
    assert!(
        why.contains("shop was moved at 2026-03-02T02:30:00.000Z") && why.contains("`apart: 12h`"),
        "{why}"
    );
}

#[test]
fn what_was_due_by_words_that_were_changed_is_missed_and_said_to_be() {
    let mut ledger = Ledger::new();
    ledger.served(&settings(DAILY), "2026-03-01T12:00:00Z");
    let weekly = settings(&DAILY.replace("* * *", "* * SUN"));
    ledger.served(&weekly, "2026-03-03T12:00:00Z");
    assert_eq!(ledger.told(), told(&[("2026-03-02T03", "missed"), ("2026-03-03T03", "missed")]));
    assert!(ledger.why("2026-03-02").contains("the schedule changed"), "{}", ledger.why("2026-03-02"));
    // Sundays from then on, and none before.
    ledger.served(&weekly, "2026-03-08T03:00:00Z");
    assert_eq!(ledger.told().last().unwrap(), &("2026-03-08T03".to_owned(), "held"));
    ledger.served(&Settings::default(), "2026-03-20T00:00:00Z");
    assert_eq!(ledger.told().last().unwrap(), &("2026-03-15T03".to_owned(), "missed"));
    assert!(ledger.known().schedules.is_empty());
    // A schedule that is added again starts anew.
    ledger.served(&weekly, "2026-03-23T00:00:00Z");
    assert_eq!(ledger.told().len(), 4);
}

#[test]
fn the_jitter_is_the_same_for_whoever_asks_and_keeps_schedules_apart() {
    let text = |name: &str| {
        format!(
            "schedules:\n  {name}: {{plan: shop, drill: isolated, at: \"0 3 * * *\", zone: UTC, jitter: 1h}}\n"
        )
    };
    let of = |name: &str| -> Vec<Dur> {
        let schedule: Schedule = settings(&text(name)).schedules.remove(0);
        let day = |n: u64| at("2026-03-01T03:00:00Z") + Dur::secs(n * 86_400);
        (0..50).map(|n| schedule.begins(day(n)).since(day(n))).collect()
    };
    let (a, b) = (of("a"), of("b"));
    assert_eq!(a, of("a"));
    assert_ne!(a, b);
    assert!(a.iter().chain(&b).all(|late| *late < Dur::mins(60)));
    assert!(a.iter().collect::<BTreeSet<_>>().len() > 40, "{a:?}");
    // Nothing starts before its part of the jitter has passed.
    let (settings, mut ledger) = (settings(&text("a")), Ledger::new());
    ledger.served(&settings, "2026-02-28T12:00:00Z");
    let begins = settings.schedules[0].begins(at("2026-03-01T03:00:00Z"));
    assert_eq!(ledger.served(&settings, "2026-03-01T03:00:00Z"), begins.min(at("2026-03-01T03:15:00Z")));
    assert!(ledger.told().is_empty());
    ledger.served(&settings, &begins.to_string());
    assert_eq!(ledger.told(), told(&[("2026-03-01T03", "held")]));
}

#[test]
fn a_schedule_that_never_comes_or_means_nothing_is_refused() {
    let with = |from: &str, to: &str| {
        let text = DAILY.replace(from, to);
        assert_ne!(text, DAILY);
        let read =
            Settings::load(Some(("drctl.yaml", text.as_bytes())), std::collections::BTreeMap::new(), &[]);
        format!("{:?}", read.unwrap_err())
    };
    for (from, to, words) in [
        ("0 3 * * *", "0 3 30 2 *", "never matches a date"),
        ("0 3 * * *", "* * * * *", "plain numbers"),
        ("zone: UTC", "zone: Mars", "not a time zone"),
        ("late: 6h", "late: 6h, jitter: 6h", "shorter than `late` of 6h"),
        ("late: 6h", "late: 8d", "longer than 7d"),
        ("late: 6h", "late: 6d, jitter: 5d", "repeats after 1d"),
        ("daily", "d234567890123456789012345678901234567890123456789012345678901", "longer than 60"),
        ("isolated", "rehearsal", "drill"),
        ("late: 6h", "hold: 5m", "only for live drills"),
        ("isolated", "live, component: db", "only for isolated drills"),
    ] {
        let said = with(from, to);
        assert!(said.contains(words), "{to}: {said}");
    }
}
