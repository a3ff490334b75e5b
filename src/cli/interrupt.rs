//! Ctrl-C: once pauses at a safe point, twice leaves at once. Both leave a run that can be resumed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::adapters::process;

/// How often a person asked this process to stop.
#[derive(Clone, Debug, Default)]
pub struct Interrupts {
    count: Arc<AtomicU32>,
}

impl Interrupts {
    /// Listens for SIGINT and SIGTERM from here on.
    ///
    /// # Errors
    /// If the operating system gives no signals.
    pub fn listen() -> std::io::Result<Self> {
        let interrupts = Self::default();
        let count = Arc::clone(&interrupts.count);
        // A thread of its own: a rehearsal in virtual time may never yield to a runtime.
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

    /// How often.
    pub fn count(&self) -> u32 {
        self.count.load(Ordering::SeqCst)
    }
}

/// The journal holds everything that was done, so that leaving here loses nothing. 130 is what shells expect of SIGINT.
#[expect(
    clippy::exit,
    clippy::disallowed_methods,
    reason = "a person asked twice: destructors may be what hangs"
)]
fn leave() {
    process::end_all();
    std::process::exit(130);
}
