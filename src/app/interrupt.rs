//! Ctrl-C: the first pauses at a safe point, the second exits at once and prints what is left to continue. After both, the run can be
//! resumed.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};
use std::time::Duration;

use futures_util::future::{Either, select};

use super::error::AppError;
use super::exit;
use crate::adapters::process;
use crate::model::ids::RunId;
use crate::model::time::Dur;
use crate::world::World;

/// How often an observation checks for an interrupt.
const LOOK: Dur = Dur(200);

/// How long the end of the process waits for a terminal that does not take its last lines.
const LAST_LINES: Duration = Duration::from_secs(1);

/// What to print about each run of this process if it ends at once.
static PARTING: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());

/// Writes one of the last lines of a process that ends at once.
static SAY: OnceLock<fn(&str)> = OnceLock::new();

/// Sets who writes the last lines of a process that ends at once. It must wait for nothing that the rest of the process holds.
pub fn last_lines_by(say: fn(&str)) {
    let _set_before = SAY.set(say);
}

/// Sets what a second Ctrl-C prints about a run; `None` if nothing is left to continue.
pub fn parting(run: &RunId, words: Option<String>) {
    let mut all = PARTING.lock().unwrap_or_else(PoisonError::into_inner);
    match words {
        Some(words) => all.insert(run.to_string(), words),
        None => all.remove(run.as_str()),
    };
}

/// The number of interrupts.
#[derive(Clone, Debug, Default)]
pub struct Interrupts {
    count: Arc<AtomicU32>,
}

impl Interrupts {
    /// Starts to listen for SIGINT and SIGTERM.
    ///
    /// # Errors
    /// If the operating system cannot deliver signals.
    pub fn listen() -> std::io::Result<Self> {
        let interrupts = Self::default();
        let count = Arc::clone(&interrupts.count);
        // A separate thread, because a rehearsal in virtual time may never yield to a runtime.
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
                return;
            };
            runtime.block_on(async move {
                use tokio::signal::unix::{SignalKind, signal};
                let (Ok(mut interrupt), Ok(mut terminate)) =
                    (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
                else {
                    return;
                };
                loop {
                    tokio::select! {
                        _ = interrupt.recv() => {}
                        _ = terminate.recv() => {}
                    }
                    if count.fetch_add(1, Ordering::SeqCst) >= 1 {
                        leave();
                    }
                }
            });
        })?;
        Ok(interrupts)
    }

    /// The number of interrupts so far.
    pub fn count(&self) -> u32 {
        self.count.load(Ordering::SeqCst)
    }

    /// Observes. In a scheduled drill, an interrupt ends that, and the next server holds the drill.
    ///
    /// # Errors
    /// If the observation fails, or after an interrupt.
    pub async fn end_scheduled<T>(
        &self,
        world: &World,
        scheduled: bool,
        observe: impl Future<Output = Result<T, AppError>>,
    ) -> Result<T, AppError> {
        match scheduled {
            true => self.end_early(world, observe).await,
            false => observe.await,
        }
    }

    /// Observes until the end or the first interrupt: a region that does not answer delays no end of a process. Virtual time waits for
    /// nothing.
    ///
    /// # Errors
    /// If the observation fails, or after an interrupt.
    pub async fn end_early<T>(
        &self,
        world: &World,
        observe: impl Future<Output = Result<T, AppError>>,
    ) -> Result<T, AppError> {
        if world.is_simulated() {
            return observe.await;
        }
        let interrupted = async {
            while self.count() == 0 {
                world.sleep_until(world.now() + LOOK).await;
            }
        };
        match select(pin!(observe), pin!(interrupted)).await {
            Either::Left((seen, _)) => seen,
            Either::Right(_) => Err(AppError::interrupted()),
        }
    }
}

/// Prints what is left to continue. The thread that writes may hang at its terminal, and the process ends without it.
fn say_what_is_left() {
    let runs: Vec<String> =
        PARTING.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
    let lines: Vec<String> = match runs.as_slice() {
        [] => vec!["stopped at once".to_owned()],
        runs => runs.iter().map(|run| format!("STOPPED at once: {run}")).collect(),
    };
    let (done, written) = mpsc::channel();
    let write = move || {
        SAY.get().into_iter().for_each(|say| lines.iter().for_each(|line| say(line)));
        let _ = done.send(());
    };
    if std::thread::Builder::new().name("last lines".to_owned()).spawn(write).is_ok() {
        let _ = written.recv_timeout(LAST_LINES);
    }
}

/// The journal has everything that was done, so exiting here loses nothing.
#[expect(
    clippy::exit,
    clippy::disallowed_methods,
    reason = "a person asked twice: destructors may be what hangs"
)]
fn leave() {
    process::end_all();
    say_what_is_left();
    std::process::exit(exit::INTERRUPTED.into());
}
