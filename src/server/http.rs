//! Two addresses: `/healthz` and `/metrics`. A thread of its own answers, so that a drill holds no look up.

use core::net::SocketAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use futures_util::future::select;

use super::metrics::Snapshot;
use crate::model::time::{Dur, Timestamp};
use crate::world::World;

/// How often the time is read that a look's age is told by.
const TICK: Dur = Dur::secs(1);

struct Shown {
    snapshot: Mutex<Snapshot>,
    now_ms: AtomicI64,
}

/// What is shown.
pub struct Board(Arc<Shown>);

impl Board {
    /// Shows something from here on.
    ///
    /// # Errors
    /// If nobody can listen there.
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
                let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
                let router = Router::new()
                    .route("/healthz", get(health))
                    .route("/metrics", get(metrics))
                    .with_state(Arc::clone(&shown));
                let answers = std::pin::pin!(async { drop(axum::serve(listener, router).await) });
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

    /// Shows something else.
    pub fn put(&self, snapshot: Snapshot) {
        *self.0.snapshot.lock().unwrap_or_else(PoisonError::into_inner) = snapshot;
    }
}

impl Shown {
    fn read(&self) -> Snapshot {
        self.snapshot.lock().unwrap_or_else(PoisonError::into_inner).clone()
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
