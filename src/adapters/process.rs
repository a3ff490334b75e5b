//! Programs that run on this machine: what they are given, what is kept of what they say, and their end.
//!
//! Each command is the head of its own process group. When drctl stops waiting for it, for example at its timeout, it ends the whole group,
//! so that a program that a hook started does not continue to change things unobserved.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::pin::pin;
use std::process::Stdio;
use std::sync::{Mutex, OnceLock, PoisonError};

use futures_util::future::{Either, join3, select};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};

/// What every program is given of this process's environment. The rest holds credentials.
const USUAL: [&str; 4] = ["PATH", "HOME", "LANG", "TZ"];

/// The environment that this process was started with, as far as programs may ask for it.
static AROUND: OnceLock<BTreeMap<String, String>> = OnceLock::new();
/// Groups that run now, by the number of their head.
static RUNNING: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// Says what this process was started with. The first word holds.
pub fn inherit(environment: impl FnOnce() -> BTreeMap<String, String>) {
    AROUND.get_or_init(environment);
}

/// The value of a variable that this process was started with.
pub fn inherited(name: &str) -> Option<&'static str> {
    AROUND.get()?.get(name).map(String::as_str)
}

/// Ends every group that runs: for a process that is about to leave without running destructors.
pub fn end_all() {
    for head in RUNNING.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        end(*head);
    }
}

fn end(head: i32) {
    if let Some(head) = Pid::from_raw(head) {
        // Of a group that is gone there is nothing to end.
        let _ = kill_process_group(head, Signal::KILL);
    }
}

/// What a program is given of the environment.
#[derive(Clone, Copy, Debug)]
pub enum Given<'a> {
    /// Everything: it is the operator's own way to a machine (ssh and its agent, a client of a cluster).
    All,
    /// The usual variables, these, and these values.
    Named(&'a [String], &'a [(&'a str, &'a str)]),
}

/// A program to run.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    /// Itself and its arguments.
    pub argv: (&'a str, &'a [String]),
    /// An argument behind them.
    pub last: Option<&'a str>,
    /// What it reads.
    pub input: Option<&'a str>,
    /// Its environment.
    pub given: Given<'a>,
    /// How much of each of its two outputs is kept: the end of it, in bytes.
    pub keep: usize,
}

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; nothing if a signal ended it.
    pub code: Option<i32>,
    /// The end of what it wrote to its standard output.
    pub out: Said,
    /// The same of its errors.
    pub err: Said,
}

/// The end of what somebody said.
#[derive(Debug, Default)]
pub struct Said {
    /// The bytes.
    pub bytes: VecDeque<u8>,
    /// Whether there was more.
    pub cut: bool,
}

impl Said {
    fn add(&mut self, more: &[u8], most: usize) {
        self.bytes.extend(more);
        let over = self.bytes.len().saturating_sub(most);
        self.cut |= over > 0;
        self.bytes.drain(..over);
    }

    /// As text.
    pub fn text(mut self) -> String {
        String::from_utf8_lossy(self.bytes.make_contiguous()).into_owned()
    }
}

/// A group that is ended when nobody waits for it any more.
struct Group(Option<i32>);

impl Group {
    fn of(head: Option<u32>) -> Self {
        let head = head.and_then(|head| i32::try_from(head).ok());
        if let Some(head) = head {
            RUNNING.lock().unwrap_or_else(PoisonError::into_inner).insert(head);
        }
        Self(head)
    }

    /// Its head ended normally, so whatever it left running in the background was meant to stay.
    fn let_go(mut self) {
        self.forget();
    }

    fn forget(&mut self) -> Option<i32> {
        let head = self.0.take()?;
        RUNNING.lock().unwrap_or_else(PoisonError::into_inner).remove(&head);
        Some(head)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(head) = self.forget() {
            end(head);
        }
    }
}

/// Runs a program to its end. Whoever holds its outputs after that, as a server does that it started, is heard until `patience` is over.
///
/// # Errors
/// If it cannot be started, or not be waited for.
pub async fn run(program: Program<'_>, patience: impl Future<Output = ()>) -> std::io::Result<Ended> {
    let mut process = tokio::process::Command::new(program.argv.0);
    process.args(program.argv.1).args(program.last);
    if let Given::Named(names, values) = program.given {
        process.env_clear();
        let names = USUAL.into_iter().chain(names.iter().map(String::as_str));
        process.envs(names.filter_map(|name| Some((name, inherited(name)?))));
        process.envs(values.iter().copied());
    }
    process.stdin(if program.input.is_some() { Stdio::piped() } else { Stdio::null() });
    process.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    // Ctrl-C means that drctl pauses: it must not reach a migration that runs.
    process.process_group(0);
    let mut child = process.spawn()?;
    let group = Group::of(child.id());
    let (out, err) = (RefCell::default(), RefCell::default());
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async {
        if let (Some(mut stdin), Some(input)) = (stdin, program.input) {
            // One that hangs up early says why with its exit code.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
    };
    let talk = pin!(join3(feed, hear(stdout, &out, program.keep), hear(stderr, &err, program.keep)));
    let status = match select(pin!(child.wait()), talk).await {
        Either::Left((status, talk)) => {
            let _ = select(talk, pin!(patience)).await;
            status?
        }
        Either::Right((_, waited)) => waited.await?,
    };
    group.let_go();
    Ok(Ended { code: status.code(), out: out.take(), err: err.take() })
}

/// Listens to the end, so that nobody waits for a pipe that is full, and keeps the last of it.
async fn hear(from: Option<impl AsyncRead + Unpin>, said: &RefCell<Said>, most: usize) {
    let Some(mut from) = from else { return };
    let mut part = vec![0; 16 << 10];
    while let Ok(length @ 1..) = from.read(&mut part).await {
        said.borrow_mut().add(&part[..length], most);
    }
}
