//! Ports for servers that tests start.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the ports that Linux gives to outgoing connections (32768 and up): one of those may be taken by
/// any connection on the machine before its server is started, or while the server is down.
const FIRST: u16 = 15_000;
const COUNT: u16 = 15_000;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// A port that nobody listens on, and that no other call in this process gets.
pub fn free() -> u16 {
    // Test programs that start together have neighbouring process ids: their ranges are kept far apart.
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
