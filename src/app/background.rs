//! A background thread beside the runs that this process drives. No run waits for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::interrupt::Interrupts;
use super::presenter::Presenter;
use crate::model::time::Dur;
use crate::model::waiver::harmless;
use crate::world::World;

/// How often the thread is checked for its end.
const POLL: Dur = Dur(100);
/// Stack size of the thread, in bytes: TLS calls need a deep stack.
const STACK: usize = 8 << 20;

/// The side of the thread's owner. Dropping it asks the thread to end.
pub struct Background {
    name: &'static str,
    hand: Hand,
    thread: JoinHandle<()>,
}

/// The side of the thread itself.
#[derive(Clone, Default)]
pub struct Hand {
    halt: Arc<AtomicBool>,
    said: Arc<Mutex<Said>>,
}

#[derive(Default)]
struct Said {
    lines: Vec<String>,
    last: Option<String>,
}

impl Hand {
    /// Whether the thread must end.
    pub fn ends(&self) -> bool {
        self.halt.load(Ordering::SeqCst)
    }

    /// Queues a line for the terminal. Repetitions of the last line are dropped.
    pub fn say(&self, line: String) {
        if let Ok(mut said) = self.said.lock()
            && said.last.as_ref() != Some(&line)
        {
            said.lines.push(line.clone());
            said.last = Some(line);
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.hand.halt.store(true, Ordering::SeqCst);
    }
}

impl Background {
    /// Starts a thread with a name, which its messages contain.
    ///
    /// # Errors
    /// If the operating system cannot start a thread.
    pub fn begin(name: &'static str, work: impl FnOnce(Hand) + Send + 'static) -> std::io::Result<Self> {
        let hand = Hand::default();
        let own = hand.clone();
        let thread = std::thread::Builder::new().name(name.to_owned()).stack_size(STACK);
        Ok(Self { name, hand, thread: thread.spawn(move || work(own))? })
    }

    /// Whether the thread has ended.
    pub fn is_gone(&self) -> bool {
        self.thread.is_finished()
    }

    /// Prints the queued lines.
    pub fn tell(&self, presenter: &dyn Presenter) {
        let said = self.hand.said.lock().map(|mut said| std::mem::take(&mut said.lines));
        said.unwrap_or_default()
            .iter()
            .for_each(|line| presenter.note(&format!("{}: {}", self.name, harmless(line))));
    }

    /// Asks the thread to end, waits for it at most this long or until Ctrl-C, and prints its lines. Prints `late` if it is still
    /// running.
    pub fn end(self, within: Dur, late: &str, (presenter, interrupts): (&dyn Presenter, &Interrupts)) {
        self.hand.halt.store(true, Ordering::SeqCst);
        let Ok(world) = World::live() else { return };
        let until = world.now() + within;
        let pressed = interrupts.count();
        while !self.is_gone() && world.now() < until && interrupts.count() == pressed {
            world.block_on(world.sleep_until(world.now() + POLL));
        }
        self.tell(presenter);
        if !self.is_gone() {
            presenter.note(&format!("{}: {late}", self.name));
        }
    }
}
