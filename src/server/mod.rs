//! What a server shows to those who watch it: whether it lives, and figures for Prometheus. It takes no orders.

#[cfg(feature = "server")]
mod http;
pub mod metrics;

#[cfg(not(feature = "server"))]
pub use disabled::Board;
#[cfg(feature = "server")]
pub use http::Board;

#[cfg(not(feature = "server"))]
mod disabled {
    use super::metrics::Snapshot;

    /// Nothing listens.
    pub struct Board;

    impl Board {
        /// Nothing.
        ///
        /// # Errors
        /// Always.
        pub fn listen(_address: core::net::SocketAddr, _first: Snapshot) -> Result<Self, String> {
            Err("built without server".to_owned())
        }

        /// Nobody reads it.
        pub fn put(&self, _snapshot: Snapshot) {}
    }
}
