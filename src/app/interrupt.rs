//! Ctrl-C: the first pauses at a safe point, the second exits at once. After both, the run can be resumed.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::future::{Either, select};

use super::error::AppError;
use super::exit;
use crate::adapters::process;
use crate::model::time::Dur;
use crate::world::World;

/// How often an observation checks for an interrupt.
const LOOK: Dur = Dur(200);

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

/// The journal has everything that was done, so exiting here loses nothing.
#[expect(
    clippy::exit,
    clippy::disallowed_methods,
    reason = "a person asked twice: destructors may be what hangs"
)]
fn leave() {
    process::end_all();
    std::process::exit(exit::INTERRUPTED.into());
}
