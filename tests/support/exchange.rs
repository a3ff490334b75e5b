//! One request and its outcome.

use std::io::{self, BufReader, Read as _};
use std::net::TcpStream;
use std::time::Duration;

use super::answers::{self, Format};
use super::calls::{Call, Fate};
use super::faults::{Fault, HoldPoint};
use super::http::{self, Message};
use super::proxy::{Shared, Verdict};

/// How long the upstream may accept no connection.
const CONNECT: Duration = Duration::from_secs(5);

/// What happens to the client's connection after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Request,
    Close,
}

struct Exchange<'a> {
    shared: &'a Shared,
    client: &'a mut BufReader<TcpStream>,
    request: &'a Message,
    call: &'a Call,
    format: Format,
}

/// Applies a fault to a call. An error ends the connection too.
pub(super) fn run(
    shared: &Shared,
    client: &mut BufReader<TcpStream>,
    request: &Message,
    call: &Call,
    fault: Option<Fault>,
) -> io::Result<Next> {
    let format = Format::of(request, &call.service);
    let mut exchange = Exchange { shared, client, request, call, format };
    match fault {
        // The fault of a seed was computed when the rule matched.
        None | Some(Fault::Seeded { .. }) => exchange.forward_and_answer(),
        Some(Fault::Delay(length)) => {
            shared.pause(length)?;
            exchange.forward_and_answer()
        }
        Some(Fault::Throttle) => exchange.answer_itself(answers::throttled(format)),
        Some(Fault::Unavailable) => exchange.answer_itself(answers::unavailable(format)),
        Some(Fault::Garbage) => exchange.answer_itself(answers::garbage()),
        Some(Fault::Error(status, code, text)) => {
            exchange.answer_itself(answers::error(format, status, code, text))
        }
        Some(Fault::Skewed(seconds)) => exchange.answer_itself(answers::skewed(format, seconds)),
        Some(Fault::Say(text)) => exchange.answer_itself(answers::saying(format, text)),
        Some(Fault::RefuseBatch(text)) => match String::from_utf8_lossy(request.body()).contains(text) {
            true => exchange.answer_itself(answers::refused_batch(format, text)),
            false => exchange.forward_and_answer(),
        },
        Some(Fault::CutBody) => {
            let answer = exchange.forward()?;
            answer.write_half_to(exchange.client.get_ref())?;
            Ok(Next::Close)
        }
        Some(Fault::Refuse) => Ok(Next::Close),
        Some(Fault::LoseAnswer) => {
            exchange.forward()?;
            Ok(Next::Close)
        }
        Some(Fault::Hang) => exchange.hang(),
        Some(Fault::HangAfter) => {
            exchange.forward()?;
            exchange.hang()
        }
        Some(Fault::ApplyLate(length)) => {
            shared.pause(length)?;
            exchange.forward()?;
            exchange.hang()
        }
        Some(Fault::Hold(point)) => exchange.hold(point),
    }
}

impl Exchange<'_> {
    fn forward_and_answer(&mut self) -> io::Result<Next> {
        let answer = self.forward()?;
        self.answer(&answer)
    }

    /// Returns the upstream's answer, or that of an empty bucket, and records it.
    fn forward(&mut self) -> io::Result<Message> {
        if !self.shared.take_token(self.call) {
            return Ok(self.limited());
        }
        let answer = self.ask_upstream();
        self.shared.note(self.call.seq, |call| match &answer {
            Ok(answer) => call.status = Some(answer.status()),
            Err(_) => call.fate = Fate::NoUpstream,
        });
        answer
    }

    fn limited(&self) -> Message {
        let answer = self.own(answers::throttled(self.format));
        self.shared.note(self.call.seq, |call| {
            call.status = Some(answer.status());
            // The client of these sees only the throttling; others see less.
            if matches!(call.fate, Fate::Passed | Fate::Delayed | Fate::Held) {
                call.fate = Fate::Limited;
            }
        });
        answer
    }

    /// Forwards the unchanged request on a new connection: the upstream may just close a reused one, and sending a request twice would be a
    /// fault that no test requested.
    fn ask_upstream(&self) -> io::Result<Message> {
        let stream = TcpStream::connect_timeout(&self.shared.upstream, CONNECT)?;
        let _open = self.shared.opened(&stream)?;
        self.shared.note(self.call.seq, |call| call.forwarded = true);
        let written = self.request.write_to(&stream);
        // An upstream that did not read the whole request may have said why.
        let answer = http::read_answer(&mut BufReader::new(stream), self.request.method());
        match (written, answer) {
            (Err(e), Err(_)) => Err(e),
            (_, answer) => answer,
        }
    }

    fn answer_itself(&mut self, answer: Message) -> io::Result<Next> {
        let answer = self.own(answer);
        self.shared.note(self.call.seq, |call| call.status = Some(answer.status()));
        self.answer(&answer)
    }

    fn own(&self, answer: Message) -> Message {
        if self.request.method() == "HEAD" { answer.without_body() } else { answer }
    }

    fn answer(&mut self, answer: &Message) -> io::Result<Next> {
        answer.write_to(self.client.get_ref())?;
        let goes_on = self.request.keeps_alive() && answer.keeps_alive();
        Ok(if goes_on { Next::Request } else { Next::Close })
    }

    /// Holds the connection until the client or the proxy closes it.
    fn hang(&mut self) -> io::Result<Next> {
        let mut ignored = [0; 4096];
        while self.client.read(&mut ignored)? > 0 {}
        Ok(Next::Close)
    }

    fn hold(&mut self, point: HoldPoint) -> io::Result<Next> {
        match point {
            HoldPoint::BeforeForward => match self.shared.hold(self.call)? {
                Verdict::GoOn => self.forward_and_answer(),
                Verdict::Drop => self.dropped(),
            },
            HoldPoint::AfterForward => {
                let answer = self.forward()?;
                match self.shared.hold(self.call)? {
                    Verdict::GoOn => self.answer(&answer),
                    Verdict::Drop => self.dropped(),
                }
            }
        }
    }

    fn dropped(&self) -> io::Result<Next> {
        self.shared.note(self.call.seq, |call| call.fate = Fate::Dropped);
        Ok(Next::Close)
    }
}
