//! A fence by security group is proven only by its own restart: all orders of events, compared with an independently tracked truth.

use drctl::kinds::shared::fence::FenceStage;
use drctl::kinds::shared::restart::{Groups, Restart};
use drctl::model::time::{Dur, Timestamp};
use drctl::record::event::EventKind;

use crate::run::judged_steps::{At, group_fence};

/// A possible event, one every ten seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    /// The group is attached, and drctl gets the answer.
    Attach,
    /// The group is attached, but the answer is lost.
    AttachUnheard,
    /// The call that attaches it never arrives.
    AttachLost,
    /// drctl's own restart is accepted.
    Restart,
    /// It is refused: the instance is busy, or there are too many calls.
    RestartRefused,
    /// The call never arrives.
    RestartLost,
    /// The call arrives, but the answer is lost.
    RestartUnheard,
    /// Somebody else restarts the instance. It ends just before the next event, within the same second.
    Others,
    /// Somebody admits clients again.
    Opened,
    /// The provider reports the oldest unreported restart.
    TellOldest,
    /// The provider reports the newest one before older ones.
    TellNewest,
}

use Does::*;

const ALL: [Does; 11] = [
    Attach,
    AttachUnheard,
    AttachLost,
    Restart,
    RestartRefused,
    RestartLost,
    RestartUnheard,
    Others,
    Opened,
    TellOldest,
    TellNewest,
];

/// The time between events.
const APART: Dur = Dur::secs(10);
/// When an event happens within its ten seconds.
const WITHIN: Dur = Dur(800);
/// The duration of drctl's restart. The instance shows `available` all that time, the worst case that RDS allows.
const QUICK: Dur = Dur::secs(3);
const SLOW: Dur = Dur::secs(12);

/// The truth, and what drctl's run knows about it.
#[derive(Clone)]
struct World {
    at: Timestamp,
    takes: Dur,
    /// Whether clients are kept out.
    alone: bool,
    /// Whether a session from before the group, or beside it, is open.
    sessions: bool,
    /// When the restart in progress ends.
    restarting: Option<Timestamp>,
    untold: Vec<Timestamp>,
    told: Vec<Timestamp>,
    run: At,
}

impl World {
    fn new(takes: Dur) -> Self {
        let run = group_fence();
        let began = Timestamp::from_millis(run.state.last_at.millis() / 1_000 * 1_000) + APART;
        let (untold, told) = (Vec::new(), Vec::new());
        Self { at: began, takes, alone: false, sessions: true, restarting: None, untold, told, run }
    }

    fn restart_ends(&mut self, by: Timestamp) {
        if let Some(end) = self.restarting.filter(|end| *end <= by) {
            self.restarting = None;
            self.untold.push(end);
            // Admitted clients reconnect at once.
            self.sessions = !self.alone;
        }
    }

    fn says(&mut self, what: EventKind) {
        let after = self.at.since(self.run.state.last_at);
        self.run = self.run.clone().then(after, what);
    }

    fn call(&mut self, answer: impl FnOnce(At) -> At) {
        let after = self.at.since(self.run.state.last_at);
        self.run = answer(self.run.clone().asked(after));
    }

    /// Returns false if the event is not possible.
    fn goes(&mut self, does: Does) -> bool {
        self.at = self.at + APART;
        let now = self.at + WITHIN;
        self.restart_ends(now);
        // Like the adapter: the instance is restarted only while its own group is the only one and no change is in progress.
        let calls_restart = matches!(does, Restart | RestartRefused | RestartLost | RestartUnheard);
        if calls_restart && (!self.alone || self.restarting.is_some()) {
            return false;
        }
        match does {
            Attach | AttachUnheard => self.alone = true,
            Opened if !self.alone => return false,
            Opened => (self.alone, self.sessions) = (false, true),
            Restart | RestartUnheard => self.restarting = Some(now + self.takes),
            // It ends 0.1 s after a full second, and drctl's next call is answered 0.7 s later, with an HTTP date in that very second.
            Others if self.restarting.is_none() => self.restarting = Some(self.at + APART + Dur(100)),
            Others => return false,
            TellOldest | TellNewest if self.untold.is_empty() => return false,
            TellNewest if self.untold.len() == 1 => return false,
            TellOldest => self.told.push(self.untold.remove(0)),
            TellNewest => self.told.extend(self.untold.pop()),
            AttachLost | RestartRefused | RestartLost => {}
        }
        match does {
            Attach => self.call(At::accepted),
            // The provider's clock, in whole seconds.
            Restart => self.call(At::restarting),
            RestartRefused => self.call(|at| {
                let due = at.state.last_at;
                at.refused(Some(due))
            }),
            AttachUnheard | AttachLost | RestartLost | RestartUnheard => self.call(At::lost),
            Others | Opened | TellOldest | TellNewest => {}
        }
        true
    }

    fn settles(&mut self) {
        while self.restarting.is_some() {
            self.at = self.at + APART;
            self.restart_ends(self.at + WITHIN);
        }
    }

    fn stage(&self) -> FenceStage {
        let groups = if self.alone { Groups::Alone } else { Groups::Others };
        self.run.state.work(self.run.i).restart.stage(groups, self.told.iter().max().copied()).0
    }
}

/// The number of orders, and how many of them ended with a proof.
#[derive(Debug, Default)]
struct Count {
    orders: u64,
    proven: u64,
}

fn every(world: &World, depth: u32, so_far: &mut Vec<Does>, count: &mut Count) {
    for does in ALL {
        let mut next = world.clone();
        if !next.goes(does) {
            continue;
        }
        so_far.push(does);
        count.orders += 1;
        if next.stage() == FenceStage::Proven {
            count.proven += 1;
            assert!(!next.sessions, "proven while an old session lives: {so_far:?}");
            assert!(so_far.contains(&Restart), "proven without a restart that was accepted: {so_far:?}");
        }
        if depth > 1 {
            every(&next, depth - 1, so_far, count);
        } else {
            recovers(next, so_far);
        }
        so_far.pop();
    }
}

/// Whatever happened before: once calls are answered and events arrive, the fence is proven.
fn recovers(mut world: World, so_far: &[Does]) {
    world.settles();
    if !world.alone {
        assert!(world.goes(Attach));
    }
    assert!(world.goes(Restart), "{so_far:?}");
    world.settles();
    while !world.untold.is_empty() {
        assert!(world.goes(TellOldest));
    }
    assert_eq!(world.stage(), FenceStage::Proven, "{so_far:?}");
    assert!(!world.sessions);
}

#[test]
fn no_order_of_calls_and_events_proves_a_fence_while_an_old_session_lives() {
    let mut count = Count::default();
    every(&World::new(SLOW), 5, &mut Vec::new(), &mut count);
    every(&World::new(QUICK), 6, &mut Vec::new(), &mut count);
    eprintln!("{count:?}");
    assert!(count.orders > 20_000 && count.proven > 100, "{count:?}");
}

#[test]
fn what_was_accepted_is_known_to_whoever_carries_the_run_on() {
    let mut world = World::new(QUICK);
    for does in [Attach, Restart] {
        assert!(world.goes(does));
    }
    world.settles();
    let accepted = world.run.state.work(world.run.i).restart;
    assert!(accepted.accepted.is_some());
    // Another process resumes the run, and the step is tried again.
    world.says(EventKind::EpochTaken { epoch: 7, owner: "another".to_owned() });
    assert_eq!(world.run.state.work(world.run.i).restart, accepted);
    assert!(world.goes(TellOldest));
    assert_eq!(world.stage(), FenceStage::Proven);
    // A process that died during its call leaves no token.
    let mut world = World::new(QUICK);
    assert!(world.goes(Attach));
    world.run = world.run.clone().asked(Dur::secs(1));
    world.says(EventKind::EpochTaken { epoch: 7, owner: "another".to_owned() });
    assert_eq!(world.run.state.work(world.run.i).restart, Restart::NONE);
}

#[test]
fn only_the_providers_own_date_after_the_answer_counts() {
    let accepted = Timestamp::parse("2026-11-25T10:00:00Z").unwrap();
    let mut restart = Restart::NONE;
    restart.answered(Some(&Restart::token(accepted)));
    let stage = |after: u64| restart.stage(Groups::Alone, Some(accepted + Dur(after))).0;
    // The date has no fractions, so within its second the order is unknown.
    assert_eq!([0, 999, 1_000].map(stage), [FenceStage::Half, FenceStage::Half, FenceStage::Proven]);
    let words = restart.stage(Groups::Alone, None).1;
    assert!(words.contains("the provider accepted a restart at 2026-11-25T10:00:00.000Z"), "{words}");
    // Attaching again starts over, and so does an answer without a restart.
    restart.answered(None);
    assert_eq!(restart, Restart::NONE);
    let words = restart.stage(Groups::Alone, Some(accepted)).1;
    assert!(words.ends_with("this run has not restarted the server"), "{words}");
}
