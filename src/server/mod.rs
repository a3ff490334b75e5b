//! What a server publishes for monitoring: its health, and metrics for Prometheus. It accepts no commands.

#[cfg(feature = "server")]
mod http;
pub mod metrics;

use crate::app::snapshot::Snapshot;

#[cfg(not(feature = "server"))]
pub use disabled::Board;
#[cfg(feature = "server")]
pub use http::Board;

#[cfg(not(feature = "server"))]
mod disabled {
    use crate::app::snapshot::Snapshot;

    /// Publishes nothing: this build has no server.
    pub struct Board;

    impl Board {
        /// Always fails.
        ///
        /// # Errors
        /// Always.
        pub fn listen(_address: core::net::SocketAddr, _first: Snapshot) -> Result<Self, String> {
            Err("built without server".to_owned())
        }

        /// Does nothing.
        pub fn put(&self, _snapshot: Snapshot) {}
    }
}

impl crate::app::serve::Board for Board {
    fn put(&self, snapshot: Snapshot) {
        self.put(snapshot);
    }
}
