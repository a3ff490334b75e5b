//! Two endpoints: `/healthz` and `/metrics`. They have their own thread, so that they answer during a drill.
//!
//! Clients cannot exhaust the file descriptors of the process: connections are few and short, and an idle one is closed for a new
//! one.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use futures_util::future::select;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::app::snapshot::Snapshot;
use crate::model::time::{Dur, Timestamp};
use crate::world::World;

/// How often the time is read, from which the age of a check is computed.
const TICK: Dur = Dur::secs(1);

/// Maximum number of open connections. Prometheus and a health check need two. The oldest is closed for a new one.
const MOST_OPEN: usize = 64;

/// Maximum duration of a connection. A request of a few lines and its answer take milliseconds.
const LONGEST: Duration = Duration::from_secs(10);

/// Maximum size of a request.
const REQUEST: usize = 16 << 10;

struct Shown {
    snapshot: Mutex<Snapshot>,
    now_ms: AtomicI64,
}

/// The published snapshot.
pub struct Board(Arc<Shown>);

impl Board {
    /// Publishes snapshots at this address, starting with `first`.
    ///
    /// # Errors
    /// If the address cannot be used.
    pub fn listen(address: SocketAddr, first: Snapshot) -> Result<Self, String> {
        let failed = |e: std::io::Error| format!("{address}: {e}");
        let listener = std::net::TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let now_ms = AtomicI64::new(first.looked_at.map_or(0, Timestamp::millis));
        let shown = Arc::new(Shown { snapshot: Mutex::new(first), now_ms });
        let board = Self(Arc::clone(&shown));
        let serve = move || {
            let Ok(world) = World::live() else { return };
            world.block_on(async {
                let Ok(listener) = TcpListener::from_std(listener) else { return };
                let router = Router::new()
                    .route("/healthz", get(health))
                    .route("/metrics", get(metrics))
                    .with_state(Arc::clone(&shown));
                let answers = std::pin::pin!(answer(&world, &listener, &router, LONGEST));
                let ticks = std::pin::pin!(async {
                    loop {
                        shown.now_ms.store(world.shown().millis(), Ordering::Relaxed);
                        world.sleep_until(world.now() + TICK).await;
                    }
                });
                select(answers, ticks).await;
            });
        };
        std::thread::Builder::new().name("metrics".to_owned()).spawn(serve).map_err(failed)?;
        Ok(board)
    }

    /// Publishes a new snapshot.
    pub fn put(&self, snapshot: Snapshot) {
        *self.0.snapshot.lock().unwrap_or_else(PoisonError::into_inner) = snapshot;
    }
}

impl Shown {
    fn read(&self) -> Snapshot {
        self.snapshot.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Serves connections for as long as the process lives, each for at most `longest`.
async fn answer(world: &World, listener: &TcpListener, router: &Router, longest: Duration) {
    let mut open: VecDeque<JoinHandle<()>> = VecDeque::new();
    loop {
        // The process has no file descriptors left. Other parts of it will release some.
        let Ok((stream, _)) = listener.accept().await else {
            world.sleep_until(world.now() + TICK).await;
            continue;
        };
        open.retain(|connection| !connection.is_finished());
        while open.len() >= MOST_OPEN {
            open.pop_front().iter().for_each(JoinHandle::abort);
        }
        let mut http = http1::Builder::new();
        http.keep_alive(false).max_buf_size(REQUEST);
        let service = TowerToHyperService::new(router.clone());
        let connection = http.serve_connection(TokioIo::new(stream), service);
        open.push_back(tokio::spawn(async move { drop(tokio::time::timeout(longest, connection).await) }));
    }
}

async fn health(State(shown): State<Arc<Shown>>) -> impl IntoResponse {
    let now = Timestamp::from_millis(shown.now_ms.load(Ordering::Relaxed));
    match shown.read().ill(now) {
        None => (StatusCode::OK, "ok\n".to_owned()),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

async fn metrics(State(shown): State<Arc<Shown>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], shown.read().text())
}

#[cfg(test)]
mod tests {
    use core::net::SocketAddr;
    use core::time::Duration;
    use std::io::{ErrorKind, Read as _, Write as _};
    use std::net::TcpStream;

    use axum::Router;
    use axum::routing::get;
    use tokio::net::TcpListener;

    use super::{MOST_OPEN, answer};
    use crate::world::World;

    /// A server whose connections live this long. It ends with the process.
    fn served(longest: Duration) -> SocketAddr {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let world = World::live().unwrap();
            world.block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                let router = Router::new().route("/healthz", get(|| async { "ok" }));
                answer(&world, &listener, &router, longest).await;
            });
        });
        address
    }

    /// A connection that sent this, and waits at most five seconds for what comes.
    fn sent(to: SocketAddr, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(to).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        stream
    }

    /// Whether the server closed the connection without an answer.
    fn closed(mut stream: &TcpStream) -> bool {
        match stream.read(&mut [0; 64]) {
            Ok(n) => n == 0,
            Err(e) => e.kind() == ErrorKind::ConnectionReset,
        }
    }

    fn is_answered(to: SocketAddr) -> bool {
        let mut answer = String::new();
        sent(to, "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").read_to_string(&mut answer).unwrap();
        answer.starts_with("HTTP/1.1 200 OK")
    }

    #[test]
    fn a_connection_that_sends_nothing_or_half_a_request_is_closed_after_its_time() {
        let server = served(Duration::from_millis(300));
        for text in ["", "GET /healthz HTTP/1.1\r\nx-half: "] {
            assert!(closed(&sent(server, text)), "{text:?}");
        }
        assert!(is_answered(server));
    }

    #[test]
    fn of_too_many_connections_the_oldest_is_closed_and_a_request_is_answered() {
        let server = served(Duration::from_secs(60));
        let idle: Vec<_> = (0..=MOST_OPEN).map(|_| sent(server, "GET /half")).collect();
        assert!(closed(&idle[0]));
        let last = &idle[MOST_OPEN];
        last.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        assert!(!closed(last), "it is not the oldest");
        assert!(is_answered(server));
        assert!(closed(&idle[1]), "the answered request took its place");
    }
}
