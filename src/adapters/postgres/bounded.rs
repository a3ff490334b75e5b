//! Answers of limited size. A server that is not what it seems, or a proxy that lies, may announce a message of two gigabytes or send
//! rows without end; the protocol's reader would keep all of it in memory.

use std::future::{Ready, ready};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::Socket;
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};

/// The most that drctl reads in answer to one request, in bytes. Its largest questions, about roles and tables, have answers of some KB.
const MOST: u64 = 16 * 1024 * 1024;

/// The bytes before the body of a message: its type, and its length without the type (PostgreSQL, «Message Formats»).
const HEAD: usize = 5;

/// A connection that ends with an error if the answer to a request exceeds [`MOST`].
pub(super) struct Bounded<S> {
    inner: S,
    answer: Answer,
}

impl<S> Bounded<S> {
    pub(super) fn new(inner: S) -> Self {
        Self { inner, answer: Answer::default() }
    }
}

/// What was read since the last request.
#[derive(Default)]
struct Answer {
    bytes: u64,
    /// The head of the current message, as far as it was read.
    head: [u8; HEAD],
    read: usize,
    /// The bytes of the body that are still to come.
    body: u64,
}

impl Answer {
    /// Counts what was read, and checks the announced length of each message before the message is kept.
    fn count(&mut self, mut read: &[u8]) -> io::Result<()> {
        self.bytes += read.len() as u64;
        let mut announced = self.bytes;
        while !read.is_empty() {
            if self.body > 0 {
                let part = usize::try_from(self.body).unwrap_or(usize::MAX).min(read.len());
                self.body -= part as u64;
                read = &read[part..];
                continue;
            }
            self.head[self.read] = read[0];
            self.read += 1;
            read = &read[1..];
            if self.read == HEAD {
                let [_, length @ ..] = self.head;
                self.body = u64::from(u32::from_be_bytes(length)).saturating_sub(4);
                self.read = 0;
                announced = announced.max(self.body);
            }
        }
        match announced > MOST {
            true => Err(io::Error::other(format!(
                "the server sent or announced {announced} bytes in answer to one request; drctl reads at most {MOST}"
            ))),
            false => Ok(()),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        std::task::ready!(Pin::new(&mut self.inner).poll_read(cx, into))?;
        Poll::Ready(self.answer.count(&into.filled()[before..]))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        self.answer.bytes = 0;
        Pin::new(&mut self.inner).poll_write(cx, from)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Bounded<S> {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

/// Connects without encryption. With direct negotiation the client calls it before it sends anything.
#[derive(Clone, Copy)]
pub(super) struct Plain;

impl MakeTlsConnect<Socket> for Plain {
    type Stream = Bounded<Socket>;
    type TlsConnect = Self;
    type Error = io::Error;

    fn make_tls_connect(&mut self, _host: &str) -> io::Result<Self> {
        Ok(*self)
    }
}

impl TlsConnect<Socket> for Plain {
    type Stream = Bounded<Socket>;
    type Error = io::Error;
    type Future = Ready<io::Result<Bounded<Socket>>>;

    fn connect(self, stream: Socket) -> Self::Future {
        ready(Ok(Bounded::new(stream)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, length: u32, body: &[u8]) -> Vec<u8> {
        [&[kind][..], &length.to_be_bytes(), body].concat()
    }

    #[test]
    fn a_message_of_two_gigabytes_is_refused_when_it_is_announced() {
        let announced = message(b'E', 0x7fff_ffff, b"SFATAL");
        let error = Answer::default().count(&announced).unwrap_err();
        assert!(error.to_string().contains("announced 2147483643 bytes"), "{error}");
        // However its head is cut.
        let mut answer = Answer::default();
        for byte in &announced[..4] {
            answer.count(&[*byte]).unwrap();
        }
        assert!(answer.count(&announced[4..]).is_err());
    }

    #[test]
    fn messages_without_end_are_refused_and_each_request_begins_anew() {
        let row = message(b'D', 104, &[0; 100]);
        let mut answer = Answer::default();
        let fits = MOST / row.len() as u64;
        for _ in 0..fits {
            answer.count(&row).unwrap();
        }
        assert!(answer.count(&row).is_err());
        answer.bytes = 0;
        answer.count(&row).unwrap();
    }

    #[test]
    fn what_fits_is_read_however_it_is_cut() {
        let most = u32::try_from(MOST - 1).unwrap();
        for step in [1, 3, 5, 7, 4096] {
            let mut answer = Answer::default();
            let all = [message(b'R', 8, &[0; 4]), message(b'Z', 5, b"I"), message(b'S', 4, b"")].concat();
            for part in all.chunks(step) {
                answer.count(part).unwrap();
            }
            assert_eq!((answer.read, answer.body, answer.bytes), (0, 0, all.len() as u64), "{step}");
        }
        let mut answer = Answer::default();
        answer.count(&message(b'D', most, b"")).unwrap();
        assert_eq!(answer.body, u64::from(most) - 4);
    }
}
