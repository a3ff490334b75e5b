//! Ports for servers that tests start.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the ports that Linux uses for outgoing connections (32768 and up), which any connection on the machine may take before a server is
/// started, or while it is down.
const FIRST: u16 = 15_000;
const COUNT: u16 = 15_000;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// A free port that no other call in this process gets.
pub fn free() -> u16 {
    // Test programs that start together have neighboring process IDs, so their ranges are spread far apart.
    let begin = u16::try_from(u64::from(std::process::id()) * 7_919 % u64::from(COUNT)).unwrap();
    loop {
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        assert!(n < COUNT, "no port is free");
        let port = FIRST + (begin + n) % COUNT;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
