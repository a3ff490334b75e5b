//! The cost of a durable step: a chain and a fan-out of no-op steps on a real journal, beside measurements of the disk itself.
//!
//! `cargo bench --bench steps -- [FOLDER]` writes to FOLDER (the system's temporary folder if absent), because a figure is meaningful only
//! together with its disk. Goals: a chain of 1,000 within 1.5 times the disk's fdatasync p50 and 0.1 ms a step; a fan-out of 1,000 at 5,000
//! steps a second (medians of five runs).
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark measures time, prints, and stops when something is wrong"
)]

use drctl::kinds::Operation;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use drctl::adapters::Cloud;
use drctl::executor::{Patience, Session, Silent, create, drive};
use drctl::inventory::Observation;
use drctl::journal::sqlite::SqliteJournal;
use drctl::kinds::control::CommandState;
use drctl::kinds::shared::command::Command;
use drctl::kinds::{State, Target};
use drctl::model::ids::{Digest, PlanName, RunId, SiteName, StepId};
use drctl::model::intent::Intent;
use drctl::model::ledger::StoreWorld;
use drctl::model::objectives::Objectives;
use drctl::model::terms::Terms;
use drctl::model::time::{Dur, Timestamp};
use drctl::model::waiver::Person;
use drctl::probe::{Prober, Recorder, Sample};
use drctl::record::action::Action;
use drctl::record::estimate::estimate;
use drctl::record::event::{RunCreated, WorldKind};
use drctl::record::runbook::{Need, OnFailure, Phase, Probe, Runbook, Step};
use drctl::run::outcome::CallOutcome;
use drctl::world::World;
use futures_util::future::{LocalBoxFuture, pending, ready};

const STEPS: usize = 1_000;
const RUNS: usize = 5;
const SYNCS: usize = 200;

/// Accepts every call at once, and observes everything as done.
struct Instantly;

impl Cloud for Instantly {
    fn observe<'a>(&'a self, targets: &'a [Target]) -> LocalBoxFuture<'a, Vec<Observation>> {
        let done = |_: &Target| Observation::Value {
            state: State::Command(CommandState { exit: Some(0), tail: String::new() }),
            observed_at: Timestamp::from_millis(0),
            source: "bench".to_owned(),
        };
        Box::pin(ready(targets.iter().map(done).collect()))
    }

    fn perform<'a>(&'a self, _: &'a Action, _: &'a str) -> LocalBoxFuture<'a, CallOutcome> {
        Box::pin(ready(CallOutcome::Accepted { token: None }))
    }
}

impl Prober for Instantly {
    fn sample<'a>(&'a self, _: &'a Probe) -> LocalBoxFuture<'a, Sample> {
        Box::pin(pending())
    }
}

/// Steps one after the other, or all at once.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Chain,
    FanOut,
}

fn runbook(shape: Shape) -> Runbook {
    let step = |n: usize| {
        let action = Action::Op(Operation::Run(Command {
            argv: vec!["true".to_owned()],
            idempotent: true,
            env: Vec::new(),
            rehearsal: None,
        }));
        let before = (shape == Shape::Chain && n > 0).then(|| format!("step.{}", n - 1));
        Step {
            id: StepId::new(format!("step.{n}")),
            phase: Phase::Scale,
            component: None,
            estimate: estimate(&action),
            action,
            needs: before.into_iter().map(|s| Need { step: StepId::new(s), settled: false }).collect(),
            unless: None,
            on_failure: OnFailure::Halt,
            background: false,
            debt: false,
            notes: Vec::new(),
            forecasts: Vec::new(),
        }
    };
    Runbook {
        schema_version: 1,
        plan: PlanName::new("bench"),
        plan_digest: Digest::of_bytes(b"bench"),
        intent: Intent::Failover,
        drill: None,
        from: None,
        to: SiteName::new("there"),
        objectives: Objectives { rto_ms: Dur::mins(15), rpo_ms: Dur::mins(5) },
        component_objectives: Default::default(),
        stores: Vec::new(),
        waivers: Vec::new(),
        probes: Vec::new(),
        probe_consecutive: 3,
        steps: (0..STEPS).map(step).collect(),
        notes: Vec::new(),
        notes_after_move: Vec::new(),
        inherits: Vec::new(),
        asked: Vec::new(),
    }
}

fn created(runbook: &Runbook) -> RunCreated {
    let bytes = runbook.bytes();
    RunCreated {
        run: RunId::new("bench"),
        plan: runbook.plan.clone(),
        runbook_digest: Digest::of_bytes(&bytes),
        runbook: String::from_utf8(bytes).unwrap(),
        plan_text: String::new(),
        inventory_digest: Digest::of_bytes(b"nothing"),
        world: WorldKind::Live,
        tool: "bench".to_owned(),
        schema_version: 1,
        requester: Person::claimed("bench"),
        reason: None,
        severity: None,
        severity_given: None,
        incident: None,
        outage_began: None,
        continues: None,
        returns: None,
        authority: Default::default(),
        terms_digest: Terms::default().digest(),
        terms: Terms::default(),
        duties: None,
    }
}

/// From the first intent to the end of the run.
fn run(folder: &Path, shape: Shape) -> Duration {
    let folder = tempfile::tempdir_in(folder).unwrap();
    let journal = SqliteJournal::open(&folder.path().join("bench.db"), StoreWorld::Live).unwrap();
    let world = World::live().unwrap();
    let none = || 0;
    let session = Session {
        journal: &journal,
        cloud: &Instantly,
        prober: &Instantly,
        world: &world,
        view: &Silent,
        interrupts: &none,
        patience: Patience::Stop,
    };
    let book = runbook(shape);
    world.block_on(async {
        let owned = create::create(&session, created(&book), "bench", Vec::new(), None).unwrap();
        let began = Instant::now();
        let ended = drive::drive(&session, owned, Recorder::new(3)).await.unwrap();
        let took = began.elapsed();
        assert!(ended.state.finished());
        took
    })
}

/// The median of 256-byte appends, each made durable.
fn fdatasync(folder: &Path) -> Duration {
    let path = folder.join("fdatasync.sample");
    let mut file = File::create(&path).unwrap();
    let mut samples: Vec<_> = (0..SYNCS)
        .map(|_| {
            let began = Instant::now();
            file.write_all(&[7; 256]).unwrap();
            file.sync_data().unwrap();
            began.elapsed()
        })
        .collect();
    std::fs::remove_file(path).unwrap();
    median(&mut samples)
}

fn median(samples: &mut [Duration]) -> Duration {
    samples.sort();
    samples[samples.len() / 2]
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

fn main() {
    let folder = std::env::args().skip(1).find(|a| !a.starts_with("--"));
    let folder = folder.map_or_else(std::env::temp_dir, PathBuf::from);
    println!("{STEPS} steps, {RUNS} runs, journal in {}", folder.display());
    for (shape, name) in [(Shape::Chain, "chain"), (Shape::FanOut, "fan-out")] {
        let (mut runs, mut syncs) = (Vec::new(), Vec::new());
        for _ in 0..RUNS {
            syncs.push(fdatasync(&folder));
            runs.push(run(&folder, shape));
            syncs.push(fdatasync(&folder));
        }
        let (took, sync) = (median(&mut runs), median(&mut syncs));
        let a_step = ms(took) / STEPS as f64;
        let rate = STEPS as f64 / took.as_secs_f64();
        println!("{name}: {a_step:.3} ms a step, {rate:.0} steps/s; fdatasync p50 {:.3} ms", ms(sync));
        match shape {
            Shape::Chain => {
                let goal = 1.5 * ms(sync) + 0.1;
                println!("  goal {goal:.3} ms a step: {}", if a_step <= goal { "met" } else { "MISSED" });
            }
            Shape::FanOut => {
                println!("  goal 5000 steps/s: {}", if rate >= 5_000.0 { "met" } else { "MISSED" });
            }
        }
    }
}
