//! A thread that does something beside the runs that this process drives. None of them waits for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::interrupt::Interrupts;
use super::printer::{Printer, harmless};
use crate::model::time::Dur;
use crate::world::World;

/// How often it is asked whether the thread has ended.
const POLL: Dur = Dur(100);
/// Of the thread, in bytes: calls of TLS are deep.
const STACK: usize = 8 << 20;

/// The thread, for whoever began it. It is asked to end when this is dropped.
pub struct Background {
    name: &'static str,
    hand: Hand,
    thread: JoinHandle<()>,
}

/// The same, for the thread itself.
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
    /// Whether the thread has to end.
    pub fn ends(&self) -> bool {
        self.halt.load(Ordering::SeqCst)
    }

    /// Leaves a line for people. What was just said is not said again.
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
    /// If the operating system gives none.
    pub fn begin(name: &'static str, work: impl FnOnce(Hand) + Send + 'static) -> std::io::Result<Self> {
        let hand = Hand::default();
        let own = hand.clone();
        let thread = std::thread::Builder::new().name(name.to_owned()).stack_size(STACK);
        Ok(Self { name, hand, thread: thread.spawn(move || work(own))? })
    }

    /// Whether it has ended.
    pub fn is_gone(&self) -> bool {
        self.thread.is_finished()
    }

    /// Prints what was said since the last time.
    pub fn tell(&self, printer: &Printer) {
        let said = self.hand.said.lock().map(|mut said| std::mem::take(&mut said.lines));
        said.unwrap_or_default()
            .iter()
            .for_each(|line| printer.note(&format!("{}: {}", self.name, harmless(line))));
    }

    /// Asks it to end, waits for this long or until Ctrl-C, and prints its messages. If it continues nevertheless, `late` is printed.
    pub fn end(self, within: Dur, late: &str, (printer, interrupts): (&Printer, &Interrupts)) {
        self.hand.halt.store(true, Ordering::SeqCst);
        let Ok(world) = World::live() else { return };
        let until = world.now() + within;
        let pressed = interrupts.count();
        while !self.is_gone() && world.now() < until && interrupts.count() == pressed {
            world.block_on(world.sleep_until(world.now() + POLL));
        }
        self.tell(printer);
        if !self.is_gone() {
            printer.note(&format!("{}: {late}", self.name));
        }
    }
}
