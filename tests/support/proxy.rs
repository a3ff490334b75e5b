//! Sockets and threads of the proxy, and the interface for tests.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, BufReader};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::calls::{Call, Fate};
use super::exchange::{self, Next};
use super::faults::{Bucket, Fault, Limits, Rule, RuleId, Rules};
use super::http::{self, Message};

/// A proxy that listens on loopback, forwards to one upstream, and applies its rules. Dropping it closes its port and all connections and
/// ends its threads; calls that are held or late then are not forwarded.
pub struct Proxy {
    shared: Arc<Shared>,
    address: SocketAddr,
    listener: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Starts without rules and limits. The upstream need not exist yet.
    pub fn start(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let (state, changed) = (Mutex::default(), Condvar::new());
        let shared = Arc::new(Shared { upstream, began: Instant::now(), state, changed });
        let accepting = Arc::clone(&shared);
        let listener = Some(thread::spawn(move || accept(&accepting, &listener)));
        Self { shared, address, listener }
    }

    /// The endpoint to give to the SDK, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Adds a rule after the existing ones.
    pub fn rule(&self, rule: Rule) -> RuleId {
        self.shared.lock().rules.add(rule)
    }

    /// Removes a rule. Calls that it has already matched keep their fault, and held ones stay held.
    pub fn remove(&self, rule: RuleId) {
        self.shared.lock().rules.remove(rule);
    }

    /// Removes all rules. Limits stay.
    pub fn clear(&self) {
        self.shared.lock().rules.clear();
    }

    /// Never answers a call that is signed for this region, including those of global services; see [`Call::region`]. Connections still
    /// open, because the proxy has one port for all regions; [`super::BlackHole`] accepts none.
    pub fn black_hole(&self, region: &str) -> RuleId {
        self.rule(Rule::new(Fault::Hang).region(region))
    }

    /// Closes the connection of every call that is signed for this region.
    pub fn refuse_region(&self, region: &str) -> RuleId {
        self.rule(Rule::new(Fault::Refuse).region(region))
    }

    /// Limits a service with a bucket for each account and region; for each account for `route53`, `iam` and `sts`. Only calls that would
    /// be forwarded take from it; a call that exceeds it gets a throttling error instead of the upstream's answer. A second limit for the
    /// same service replaces the first.
    pub fn limit(&self, service: &str, bucket: Bucket) {
        self.shared.lock().limits.set(service, bucket);
    }

    /// Removes all limits.
    pub fn clear_limits(&self) {
        self.shared.lock().limits.clear();
    }

    /// The calls since the start or the last [`Proxy::take_calls`], in the order in which they were read.
    pub fn calls(&self) -> Vec<Call> {
        self.shared.lock().calls.clone()
    }

    /// The same, and forgets them. What happens to calls in progress is then not recorded.
    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.shared.lock().calls)
    }

    /// The number of matching calls in [`Proxy::calls`].
    pub fn count(&self, wanted: impl Fn(&Call) -> bool) -> usize {
        self.shared.lock().calls.iter().filter(|c| wanted(c)).count()
    }

    /// Waits for a matching call, or for one to match. None after this time.
    pub fn wait_call(&self, patience: Duration, wanted: impl Fn(&Call) -> bool) -> Option<Call> {
        self.shared.wait(patience, |state| state.calls.iter().find(|c| wanted(c)).cloned())
    }

    /// The longest held call that was not returned yet, if there is one.
    pub fn held(&self) -> Option<Held> {
        self.wait_held(Duration::ZERO)
    }

    /// The same, but waits for one.
    pub fn wait_held(&self, patience: Duration) -> Option<Held> {
        let call = self.shared.wait(patience, |state| state.held.pop_front())?;
        Some(Held { call, shared: Arc::clone(&self.shared) })
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.stopped = true;
        for stream in state.streams.values() {
            // It may be closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
        drop(state);
        self.shared.changed.notify_all();
        // accept() ends only with a connection.
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
        let workers = std::mem::take(&mut self.shared.lock().workers);
        for worker in workers {
            let _ = worker.join();
        }
    }
}

/// A call that waits for the test's word. Without one it waits until the proxy is dropped, even if its client has gone.
#[must_use = "the call waits until it is released or dropped"]
pub struct Held {
    call: Call,
    shared: Arc<Shared>,
}

impl Held {
    /// As it was when it was held.
    pub fn call(&self) -> &Call {
        &self.call
    }

    /// Goes on as if nothing had been. Held before forwarding, it is forwarded even if the client has gone.
    pub fn release(self) {
        self.say(Verdict::GoOn);
    }

    /// Closes the client's connection. Held before forwarding, the call never reaches the upstream.
    pub fn drop_connection(self) {
        self.say(Verdict::Drop);
    }

    fn say(self, verdict: Verdict) {
        self.shared.lock().verdicts.insert(self.call.seq, verdict);
        self.shared.changed.notify_all();
    }
}

/// The test's word about a held call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    GoOn,
    Drop,
}

/// What the proxy's threads share.
pub(super) struct Shared {
    pub(super) upstream: SocketAddr,
    began: Instant,
    state: Mutex<State>,
    /// Told of each change that someone may wait for: calls, held calls, verdicts, the stop.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    stopped: bool,
    rules: Rules,
    limits: Limits,
    calls: Vec<Call>,
    /// Calls ever.
    seen: u64,
    held: VecDeque<Call>,
    verdicts: BTreeMap<u64, Verdict>,
    /// Open connections, to be closed when the proxy stops.
    streams: BTreeMap<u64, TcpStream>,
    /// Connections ever.
    opened: u64,
    workers: Vec<JoinHandle<()>>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A test that failed while it held the lock has left nothing half done that matters to the others.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `look` finds something. None: not in this time, or the proxy has stopped.
    fn wait<T>(&self, patience: Duration, mut look: impl FnMut(&mut State) -> Option<T>) -> Option<T> {
        let until = Instant::now() + patience;
        let mut state = self.lock();
        loop {
            if let Some(found) = look(&mut state) {
                return Some(found);
            }
            let left = until.saturating_duration_since(Instant::now());
            if state.stopped || left.is_zero() {
                return None;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Records a request, and says what is to be done to it.
    fn arrived(&self, request: &Message) -> (Call, Option<Fault>) {
        let mut call = Call::read(request);
        let mut state = self.lock();
        call.at = self.began.elapsed();
        call.seq = state.seen;
        state.seen += 1;
        let fault = state.rules.decide(&call);
        call.fate = fault.map_or(Fate::Passed, Fault::fate);
        state.calls.push(call.clone());
        drop(state);
        self.changed.notify_all();
        (call, fault)
    }

    /// Changes the record of a call, unless the test has taken it.
    pub(super) fn note(&self, seq: u64, change: impl FnOnce(&mut Call)) {
        let mut state = self.lock();
        if let Ok(i) = state.calls.binary_search_by_key(&seq, |c| c.seq) {
            change(&mut state.calls[i]);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Whether the limit of the call's service lets it through.
    pub(super) fn take_token(&self, call: &Call) -> bool {
        let now = self.began.elapsed();
        self.lock().limits.take(call, now)
    }

    /// Waits so long. An error: the proxy has stopped.
    pub(super) fn pause(&self, length: Duration) -> io::Result<()> {
        self.wait(length, |_| None::<()>);
        if self.lock().stopped { Err(stopped()) } else { Ok(()) }
    }

    /// Tells the test of a call, and waits for its word. An error: the proxy has stopped.
    pub(super) fn hold(&self, call: &Call) -> io::Result<Verdict> {
        let current = |state: &State| state.calls.iter().find(|c| c.seq == call.seq).cloned();
        let mut state = self.lock();
        let call = current(&state).unwrap_or_else(|| call.clone());
        let seq = call.seq;
        state.held.push_back(call);
        drop(state);
        self.changed.notify_all();
        const EVER: Duration = Duration::from_secs(365 * 24 * 3600);
        self.wait(EVER, |state| state.verdicts.remove(&seq)).ok_or_else(stopped)
    }

    /// Keeps a connection among those that are closed when the proxy stops, for as long as the answer lives; then closes it.
    pub(super) fn opened(&self, stream: &TcpStream) -> io::Result<Open<'_>> {
        // Without this, small messages may wait 40 ms for an acknowledgement.
        stream.set_nodelay(true)?;
        let stream = stream.try_clone()?;
        let mut state = self.lock();
        if state.stopped {
            return Err(stopped());
        }
        let id = state.opened;
        state.opened += 1;
        state.streams.insert(id, stream);
        Ok(Open { shared: self, id })
    }
}

fn stopped() -> io::Error {
    io::Error::other("the proxy has stopped")
}

/// A connection that ends with this value.
pub(super) struct Open<'a> {
    shared: &'a Shared,
    id: u64,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if let Some(stream) = self.shared.lock().streams.remove(&self.id) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn accept(shared: &Arc<Shared>, listener: &TcpListener) {
    for client in listener.incoming() {
        let mut state = shared.lock();
        if state.stopped {
            return;
        }
        state.workers.retain(|w| !w.is_finished());
        let Ok(client) = client else {
            drop(state);
            // Out of file descriptors, most likely: that may pass.
            let _ = shared.pause(Duration::from_millis(10));
            continue;
        };
        let own = Arc::clone(shared);
        // How the connection ended is in the record of its calls.
        let worker = thread::spawn(move || drop(serve(&own, client)));
        state.workers.push(worker);
    }
}

/// Serves one client's connection to its end.
fn serve(shared: &Shared, client: TcpStream) -> io::Result<()> {
    let _open = shared.opened(&client)?;
    let mut client = BufReader::new(client);
    while let Some(request) = http::read_request(&mut client)? {
        let (call, fault) = shared.arrived(&request);
        if exchange::run(shared, &mut client, &request, &call, fault)? == Next::Close {
            break;
        }
    }
    Ok(())
}
