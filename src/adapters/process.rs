//! Programs that run on this machine: their environment, the output that is kept, and how they end.
//!
//! Each command is the head of its own process group. When drctl stops waiting for it, for example at its timeout, it ends the whole group,
//! so that a program that a hook started does not continue to change things unobserved.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::pin::pin;
use std::process::Stdio;
use std::sync::{Mutex, OnceLock, PoisonError};

use futures_util::future::{Either, join3, select};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process_group, setrlimit};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};

/// The variables that every program gets from this process's environment. Others may hold credentials.
const USUAL: [&str; 4] = ["PATH", "HOME", "LANG", "TZ"];

/// The environment that this process was started with.
static AROUND: OnceLock<BTreeMap<String, String>> = OnceLock::new();
/// The process groups that are running, by the ID of their leader.
static RUNNING: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// Sets the environment that this process was started with. Later calls have no effect.
pub fn inherit(environment: impl FnOnce() -> BTreeMap<String, String>) {
    AROUND.get_or_init(environment);
}

/// The value of a variable that this process was started with.
pub fn inherited(name: &str) -> Option<&'static str> {
    AROUND.get()?.get(name).map(String::as_str)
}

/// Prevents core dumps of this process and of every program that it starts: memory holds logins and keys.
pub fn dump_no_core() {
    // Neither fails for a process that lowers its own limits.
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let _ = setrlimit(Resource::Core, none);
    // A program in core_pattern gets dumps despite the limit.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

/// Kills every running group. For a process that exits without running destructors.
pub fn end_all() {
    for head in RUNNING.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        end(*head);
    }
}

fn end(head: i32) {
    if let Some(head) = Pid::from_raw(head) {
        // Fails if the group has ended already.
        let _ = kill_process_group(head, Signal::KILL);
    }
}

/// The environment of a program.
#[derive(Clone, Copy, Debug)]
pub enum Given<'a> {
    /// Everything, because the operator uses the program to reach a machine (ssh with its agent, a cluster client).
    All,
    /// The usual variables, these variables, and these values.
    Named(&'a [String], &'a [(&'a str, &'a str)]),
}

/// A program to run.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    /// The program and its arguments.
    pub argv: (&'a str, &'a [String]),
    /// A last argument.
    pub last: Option<&'a str>,
    /// Its standard input.
    pub input: Option<&'a str>,
    /// Its environment.
    pub given: Given<'a>,
    /// How many bytes of each of its two outputs are kept: the last ones.
    pub keep: usize,
}

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// The end of its standard output.
    pub out: Said,
    /// The end of its standard error.
    pub err: Said,
}

/// The end of an output.
#[derive(Debug, Default)]
pub struct Said {
    /// The bytes.
    pub bytes: VecDeque<u8>,
    /// Whether the output was longer.
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

/// A process group that is killed when this value is dropped.
struct Group(Option<i32>);

impl Group {
    fn new(head: Option<u32>) -> Self {
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

/// Runs a program to its end. If another process then still holds the outputs, such as a server that it started, reads them until
/// `patience` completes.
///
/// # Errors
/// If it cannot be started or waited for.
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
    // Ctrl-C pauses drctl and must not reach a running migration.
    process.process_group(0);
    let span = tracing::debug_span!("program", name = program.argv.0);
    let mut child = process.spawn()?;
    let group = Group::new(child.id());
    let (out, err) = (RefCell::default(), RefCell::default());
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async {
        if let (Some(mut stdin), Some(input)) = (stdin, program.input) {
            // A program that closes its input early reports the reason with its exit code.
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
    span.in_scope(|| tracing::debug!(%status, "ended"));
    Ok(Ended { code: status.code(), out: out.take(), err: err.take() })
}

/// Reads an output to its end, so that the program never blocks on a full pipe, and keeps the last part.
async fn hear(from: Option<impl AsyncRead + Unpin>, said: &RefCell<Said>, most: usize) {
    let Some(mut from) = from else { return };
    let mut part = vec![0; 16 << 10];
    while let Ok(length @ 1..) = from.read(&mut part).await {
        said.borrow_mut().add(&part[..length], most);
    }
}
