//! Checks whether a server is alive: any answer at its address counts. A connection alone does not, because the kernel accepts
//! one even while the server process hangs.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Postgres;
use super::session::{Failure, parts};
use crate::inventory::Observation;
use crate::kinds::State;
use crate::kinds::shared::database::AliveState;
use crate::model::time::Dur;

/// Limit on opening the connection.
const CONNECT: Dur = Dur::secs(1);
/// Limit on the answer after that. A server that wakes up answers the requests that are queued.
const ANSWER: Dur = Dur::secs(1);
/// The eight-byte message that asks whether the server speaks TLS (PostgreSQL documentation, «Message Formats», SSLRequest).
/// Every server answers it at once, before any login.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

impl Postgres {
    /// Whether a server answers at its address.
    pub async fn alive(&self, endpoint: &str) -> Observation {
        let asked = async {
            let (host, port, _) = parts(endpoint)?;
            let unclear = |e: std::io::Error| Failure::Unclear(format!("{host}:{port}: {e}"));
            let connecting = async { TcpStream::connect((host, port)).await.map_err(unclear) };
            let mut stream = self.within_or(connecting, CONNECT).await?;
            let answer = async {
                stream.write_all(&SSL_REQUEST).await.map_err(unclear)?;
                stream.read_u8().await.map_err(unclear)
            };
            self.within_or(answer, ANSWER).await
        };
        match asked.await {
            Ok(_) => self.seen(State::Alive(AliveState { who: format!("the server at {endpoint}") })),
            Err(failure) => failure.observation(self.world.now()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;
    use crate::plan::settings::SqlSettings;
    use crate::world::World;

    /// Asks a server that handles its first connection with `serves`.
    fn asked(serves: impl FnOnce(std::net::TcpStream) + Send + 'static) -> Observation {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("127.0.0.1:{}/app", listener.local_addr().unwrap().port());
        let server = std::thread::spawn(move || serves(listener.accept().unwrap().0));
        let world = World::live().unwrap();
        let seen = world.block_on(Postgres::new(world.clone(), SqlSettings::default()).alive(&endpoint));
        server.join().unwrap();
        seen
    }

    #[test]
    fn an_answer_is_a_sign_of_life_and_a_connection_is_none() {
        let answers = asked(|mut stream| {
            let mut asked = [0; 8];
            stream.read_exact(&mut asked).unwrap();
            assert_eq!(u32::from_be_bytes(asked[4..].try_into().unwrap()), 80_877_103);
            stream.write_all(b"N").unwrap();
        });
        assert!(answers.answered(), "{answers:?}");
        // It reads, but does not answer until the client disconnects.
        let stands = asked(|mut stream| {
            let mut all = Vec::new();
            let _ = stream.read_to_end(&mut all);
        });
        assert!(!stands.answered(), "{stands:?}");
        let hangs_up = asked(drop);
        assert!(!hangs_up.answered(), "{hangs_up:?}");
    }
}
