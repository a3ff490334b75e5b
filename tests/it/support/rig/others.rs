//! A rehearsal with a second run in it: one that replaces another, or a rival.

use drctl::kinds::{Fact, Operation};
use drctl::run::RunState;

use super::*;

impl Rig {
    /// A failover replaces a run after a prefix, when the estate had the changes in `notes`.
    pub fn take_over(
        &mut self,
        prefix: &[Record],
        notes: &Notes,
        letters: &[Signal],
    ) -> Result<Rehearsed, Vec<Refusal>> {
        let state = create::replay(&run_id(), prefix).unwrap();
        self.continues = Some(continued(&state, prefix.len() as u64, &self.to()).unwrap());
        self.fenced = proven(&state);
        self.intent = Intent::Failover;
        let (world, sandbox) = self.stage();
        sandbox.replay(notes);
        let kept = collect_notes(&sandbox);
        kept.borrow_mut().extend(notes.iter().cloned());
        world.not_before(self.later.unwrap_or(BEGAN).max(state.last_at));
        let journal = MemoryJournal::from_records(prefix);
        let interrupts = self.interrupts(&world, prefix, None);
        let session = session(&journal, &sandbox, &world, &interrupts);
        let ended = world.block_on(async {
            let mut recorder = Recorder::new(3);
            let (runbook, turns, digest) = self.prepare(&session, &mut recorder).await?;
            let turns = seen_before(&last_turns(&state), turns);
            let owned = create::create(
                &session,
                self.created(&runbook, digest),
                "test",
                turns,
                self.continues.as_ref(),
            )
            .unwrap();
            for letter in letters {
                journal.post(&owned.run, world.now(), &Person::claimed("test"), letter).unwrap();
            }
            Ok::<_, Vec<Refusal>>(drive::drive(&session, owned, recorder).await.unwrap())
        })?;
        let old = create::replay(&run_id(), &journal.read(&run_id()).unwrap()).unwrap();
        assert_eq!(old.mode, Mode::Finished(Outcome::Abandoned), "it ended when the other began");
        Ok(self.rehearsed(ended, (&sandbox, &world), &journal, &kept))
    }

    /// Tries to start a failover that was planned with another version of the previous run than the store has.
    pub fn begins_over(
        &mut self,
        planned: &[Record],
        stored: &[Record],
        notes: &Notes,
    ) -> Result<(), DriveError> {
        let state = create::replay(&run_id(), planned).unwrap();
        self.continues = Some(continued(&state, planned.len() as u64, &self.to()).unwrap());
        self.intent = Intent::Failover;
        let (world, sandbox) = self.stage();
        sandbox.replay(notes);
        world.not_before(state.last_at);
        let journal = MemoryJournal::from_records(stored);
        let session = session(&journal, &sandbox, &world, &|| 0);
        world.block_on(async {
            let mut recorder = Recorder::new(3);
            let (runbook, turns, digest) = self.prepare(&session, &mut recorder).await.unwrap();
            let created = self.created(&runbook, digest);
            create::create(&session, created, "test", turns, self.continues.as_ref()).map(|_| ())
        })
    }

    /// An operator with a store of its own starts at this time, while the estate has the changes in `notes`. The clock of its machine is
    /// this many milliseconds ahead; if negative, behind.
    pub fn starts_beside(
        &self,
        notes: &Notes,
        at: Timestamp,
        ahead_ms: i64,
    ) -> Result<Rehearsed, Vec<Refusal>> {
        let rig = Self { beside: true, ..self.clone() };
        let (world, sandbox) = rig.stage();
        sandbox.replay(notes);
        let kept = collect_notes(&sandbox);
        kept.borrow_mut().extend(notes.iter().cloned());
        world.not_before(at);
        let by = Dur(ahead_ms.unsigned_abs());
        match ahead_ms < 0 {
            true => world.begin_behind(by),
            false => world.set_ahead(by),
        }
        world.compare();
        let journal = MemoryJournal::default();
        let interrupts = rig.interrupts(&world, &[], None);
        let session = session(&journal, &sandbox, &world, &interrupts);
        let ended = world.block_on(async {
            let mut recorder = Recorder::new(3);
            let (runbook, turns, digest) = rig.prepare(&session, &mut recorder).await?;
            let owned = create::create(&session, rig.created(&runbook, digest), "test", turns, None).unwrap();
            Ok::<_, Vec<Refusal>>(drive::drive(&session, owned, recorder).await.unwrap())
        })?;
        Ok(rig.rehearsed(ended, (&sandbox, &world), &journal, &kept))
    }

    /// Two operators on two machines with the same estate, unaware of each other. The other one starts this much later.
    pub fn rivals(&self, other: &Self, later: Dur) -> ([Result<Ended, Vec<Refusal>>; 2], Rivalry) {
        let (world, sandbox) = self.stage();
        let journals = [MemoryJournal::default(), MemoryJournal::default()];
        let one = async |rig: &Self, journal: &MemoryJournal, later: Dur| {
            let interrupts = rig.interrupts(&world, &[], None);
            let session = session(journal, &sandbox, &world, &interrupts);
            world.sleep_until(BEGAN + later).await;
            let mut recorder = Recorder::new(3);
            let (runbook, turns, digest) = rig.prepare(&session, &mut recorder).await?;
            let owned = create::create(&session, rig.created(&runbook, digest), "test", turns, None).unwrap();
            Ok(drive::drive(&session, owned, recorder).await.unwrap())
        };
        let (first, second, ()) = world.block_on(futures_util::future::join3(
            one(self, &journals[0], Dur::ZERO),
            one(other, &journals[1], later),
            async {
                if let Some((after, by)) = self.jumps {
                    world.sleep_until(BEGAN + after).await;
                    world.set_ahead(by);
                }
            },
        ));
        let truths = [sandbox.truth(), sandbox.afterwards(LATER)];
        let watched = Watched { moments: Rc::new(sandbox.chronicle()), until: world.now() + LATER };
        let events = journals.iter().zip([self, other]).map(|(journal, rig)| written(journal, &rig.run));
        ([first, second], Rivalry { truths, watched, journals: events.collect() })
    }
}

/// Servers that a run proved fenced, with the word that the fence left.
fn proven(state: &RunState) -> Vec<(DatabaseRef, RunId, Option<String>)> {
    let of = state.runbook.steps.iter().zip(&state.steps).filter_map(|(step, at)| match &step.action {
        Action::Op(Operation::Fence(fence)) => Some((&fence.db, &at.facts)),
        _ => None,
    });
    let words = |(db, facts): (&DatabaseRef, &Vec<Fact>)| {
        let of = facts.iter().find_map(|fact| match fact {
            Fact::Fenced { word, .. } => Some(word.clone()),
            _ => None,
        })?;
        Some((db.clone(), state.created.run.clone(), of))
    };
    of.filter_map(words).collect()
}

/// A process begins long after the last event, with a clock that is behind that. Returns how far its time is then behind real time.
pub(super) fn begin_behind(world: &World, prefix: &[Record], (idle, behind): (Dur, Dur)) -> Dur {
    let last = create::decode(&run_id(), prefix).unwrap().last().unwrap().at;
    world.not_before(last + idle);
    world.begin_behind(world.now().since(last).plus(behind));
    world.real().since(last)
}

/// Who sends a letter. The person who requested a run cannot approve it.
pub(super) fn sender(letter: &Signal) -> Person {
    Person::claimed(if matches!(letter, Signal::Approve { .. }) { "alice" } else { "test" })
}

pub fn cancel(displaced_by: Option<&str>) -> Signal {
    Signal::Cancel { reason: "not now".to_owned(), displaced_by: displaced_by.map(str::to_owned) }
}

/// The events of a run; empty if there is no such run.
pub(super) fn written(journal: &MemoryJournal, run: &RunId) -> Vec<Event> {
    let records = journal.read(run).unwrap_or_default();
    records.iter().map(|r| serde_json::from_slice(&r.bytes).unwrap()).collect()
}
