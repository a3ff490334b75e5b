//! A port that takes no connection.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// How long a connect over loopback may take before it counts as unanswered. It is a matter of microseconds, but this machine
/// may be busy.
const UNANSWERED: Duration = Duration::from_millis(100);

/// An address on loopback to which connects hang, as to a region that is cut off.
///
/// What Linux (6.18) does: std asks for a backlog of 128, and 129 connections are established without anyone accepting them.
/// From then on the SYN of each further connect is dropped, not refused. The client sends it again after 1, 3, 7… seconds and
/// gives up after about two minutes with `TimedOut` (`net.ipv4.tcp_syn_retries`), unless it has a connect timeout of its own.
/// When the hole is dropped, a connect that still hangs is refused at its next try, up to seconds later.
pub struct BlackHole {
    listener: TcpListener,
    /// They fill the backlog, and must stay open for that.
    fill: Vec<TcpStream>,
}

impl BlackHole {
    /// Binds a port and fills its backlog with connections of its own, which are never accepted.
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        let mut hole = Self { listener, fill: Vec::new() };
        loop {
            match TcpStream::connect_timeout(&hole.address(), UNANSWERED) {
                Ok(stream) => hole.fill.push(stream),
                Err(e) if e.kind() == io::ErrorKind::TimedOut => return hole,
                Err(e) => panic!("after {} connections: {e}", hole.fill.len()),
            }
        }
    }

    /// Where connects hang.
    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().expect("a bound listener has an address")
    }

    /// For an endpoint of the SDK.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }
}
