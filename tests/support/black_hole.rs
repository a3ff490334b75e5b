//! A port that accepts no connection.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// How long a connect over loopback may take before it counts as unanswered. It takes microseconds, but this machine may be busy.
const UNANSWERED: Duration = Duration::from_millis(100);

/// A loopback address where connects hang, as for a region that is cut off.
///
/// What Linux (6.18) does: std requests a backlog of 128, and 129 connections are established without being accepted. From then on the SYN
/// of each further connect is dropped, not refused. The client sends it again after 1, 3, 7… seconds and gives up after about two minutes
/// with `TimedOut` (`net.ipv4.tcp_syn_retries`), unless it has its own connect timeout. After the hole is dropped, a hanging connect is
/// refused at its next attempt, up to seconds later.
pub struct BlackHole {
    listener: TcpListener,
    /// They fill the backlog, and must stay open for that.
    fill: Vec<TcpStream>,
}

impl BlackHole {
    /// Binds a port and fills its backlog with its own connections, which are never accepted.
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

    /// The address.
    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().expect("a bound listener has an address")
    }

    /// The URL as an endpoint of the SDK.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }
}
