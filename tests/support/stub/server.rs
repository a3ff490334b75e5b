//! Connections: each is a task on one thread, so that thousands of answers can be pending at once.

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::clock;
use super::control;
use super::http::{self, Parsed};
use super::options::Options;
use super::router::Stub;

/// The initial read buffer; most requests fit. Bytes.
const BUFFER: usize = 16 * 1024;
/// How long to wait after a failed accept: usually too many connections are open. Milliseconds.
const ACCEPT_AGAIN_MS: u64 = 10;

/// Serves until the process ends.
///
/// # Errors
/// If the port is not available.
pub fn run(options: Options) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(options))
}

async fn serve(options: Options) -> std::io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await?;
    let call_ms = options.call_ms;
    let stub = Arc::new(Stub::new(options));
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{{\"url\": \"http://{}\"}}", listener.local_addr()?)?;
    stdout.flush()?;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let stub = Arc::clone(&stub);
                // A broken connection is the client's concern.
                tokio::spawn(async move { drop(converse(&stub, stream, call_ms).await) });
            }
            Err(_) => clock::pause(ACCEPT_AGAIN_MS).await,
        }
    }
}

/// The action after the received requests are answered.
enum Next {
    Read,
    Close,
}

async fn converse(stub: &Stub, mut stream: TcpStream, call_ms: u64) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut input = Vec::with_capacity(BUFFER);
    let mut output = Vec::with_capacity(BUFFER);
    loop {
        if stream.read_buf(&mut input).await? == 0 {
            return Ok(());
        }
        let mut due_ms = 0;
        let next = answer_all(stub, &mut input, &mut output, |request| {
            if !control::is_control(request) {
                due_ms = call_ms;
            }
        });
        if due_ms > 0 {
            clock::pause(due_ms).await;
        }
        stream.write_all(&output).await?;
        output.clear();
        if let Next::Close = next {
            return stream.shutdown().await;
        }
    }
}

/// Answers every complete request, in order, and leaves the rest in the buffer. A call takes effect when it arrives; only its answer is
/// delayed. Requests that arrive together wait together.
fn answer_all(
    stub: &Stub,
    input: &mut Vec<u8>,
    output: &mut Vec<u8>,
    mut seen: impl FnMut(&http::Request<'_>),
) -> Next {
    let mut used = 0;
    let next = loop {
        match http::parse(input.get(used..).unwrap_or(&[])) {
            Parsed::Whole(request, length) => {
                seen(&request);
                stub.answer(&request, output);
                used += length;
                if request.wants_close() {
                    break Next::Close;
                }
            }
            Parsed::Partial => break Next::Read,
            Parsed::Awaits100 => {
                output.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
                break Next::Read;
            }
            Parsed::Broken => {
                output.extend_from_slice(
                    b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
                );
                break Next::Close;
            }
        }
    };
    input.drain(..used);
    next
}
