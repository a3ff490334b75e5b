//! Mail by SMTP (RFC 5321).

use lettre::message::{Mailbox, header};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message as InboxEntry, Tokio1Executor};

use super::message::{Failure, Message, Reveal};
use crate::model::ids::Digest;
use crate::model::notice::{Mail, MailTls};

/// Sends a message.
pub async fn send(server: &Mail, message: Message<'_>, reveal: Reveal<'_>) -> Result<String, Failure> {
    let letter = letter(server, message)?;
    let transport = transport(server, reveal)?;
    let answer = transport.send(letter).await.map_err(|e| match (e.status(), e.is_permanent()) {
        // The server's error text may repeat what it was sent.
        (Some(code), true) => Failure::never(format!("SMTP {code}")),
        (Some(code), false) => Failure::later(format!("SMTP {code}")),
        _ if e.is_tls() => Failure::later("the encrypted connection failed"),
        _ if e.is_timeout() => Failure::later("no answer in time"),
        _ => Failure::later("the server did not answer with SMTP"),
    })?;
    Ok(format!("SMTP {}", answer.code()))
}

fn letter(server: &Mail, Message { notice, .. }: Message<'_>) -> Result<InboxEntry, Failure> {
    let bad = |what: &str| Failure::never(format!("`{what}` is not a mail address"));
    let mailbox = |text: &String| text.parse::<Mailbox>().map_err(|_| bad(text));
    let of = |text: &str| format!("<{}@drctl>", &Digest::of_bytes(text.as_bytes()).as_str()[..32]);
    // Mail programs show messages of one thread as a conversation.
    let thread = of(notice.run.as_ref().map_or(notice.thread.as_str(), |run| run.as_str()));
    let mut letter = InboxEntry::builder()
        .from(mailbox(&server.from)?)
        .subject(notice.subject.clone())
        .message_id(Some(of(&notice.key)))
        .references(thread.clone())
        .in_reply_to(thread)
        .header(header::ContentType::TEXT_PLAIN);
    for to in &server.to {
        letter = letter.to(mailbox(to)?);
    }
    letter.body(notice.text()).map_err(|e| Failure::never(e.to_string()))
}

fn transport(server: &Mail, reveal: Reveal<'_>) -> Result<AsyncSmtpTransport<Tokio1Executor>, Failure> {
    crate::adapters::install_tls();
    let parameters = || {
        let mut parameters = TlsParameters::builder(server.host.clone());
        if let Some(path) = &server.ca_file {
            let pem = reveal(&crate::model::notice::SecretAt::File(path.clone())).map_err(Failure::never)?;
            let certificate = Certificate::from_pem(pem.expose().as_bytes())
                .map_err(|_| Failure::never(format!("{path} is not a certificate")))?;
            parameters = parameters.add_root_certificate(certificate);
        }
        parameters.build().map_err(|_| Failure::never("TLS is not available"))
    };
    let tls = match server.tls {
        MailTls::Starttls => Tls::Required(parameters()?),
        MailTls::Tls => Tls::Wrapper(parameters()?),
        MailTls::Off => Tls::None,
    };
    let mut transport =
        AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&server.host).port(server.port).tls(tls);
    if let Some((user, password)) = &server.login {
        let password = reveal(password).map_err(Failure::never)?;
        transport = transport.credentials(Credentials::new(user.clone(), password.expose().to_owned()));
    }
    Ok(transport.build())
}
