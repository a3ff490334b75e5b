//! Ctrl-C: the first pauses at a safe point, the second exits at once. After both, the run can be resumed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::adapters::process;

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
}

/// The journal has everything that was done, so exiting here loses nothing. Shells expect 130 after SIGINT.
#[expect(
    clippy::exit,
    clippy::disallowed_methods,
    reason = "a person asked twice: destructors may be what hangs"
)]
fn leave() {
    process::end_all();
    std::process::exit(130);
}
