//! TLS for PostgreSQL connections: the certificate is checked against the host name, with the system's roots and those in
//! `sql.ca_file`.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::config::{SslMode, SslNegotiation};
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{Client, Config, Connection, Socket};
use tokio_rustls::client::TlsStream;

use super::bounded::{Bounded, Plain};
use crate::files::{self, Use};
use crate::kinds::aws::rds::CAS;
use crate::plan::settings::{SqlSettings, SqlTls};

/// Why a connection failed.
pub(super) enum ConnectError {
    /// TLS cannot be set up with these settings.
    Tls(String),
    /// The server or the network failed.
    Postgres(tokio_postgres::Error),
}

/// Connects, and drives the connection in the background.
pub(super) async fn connect(
    config: &Config,
    host: &str,
    settings: &SqlSettings,
) -> Result<Client, ConnectError> {
    let mut config = config.clone();
    config.ssl_mode(SslMode::Require);
    match settings.tls {
        SqlTls::Off => {
            config.ssl_negotiation(SslNegotiation::Direct);
            drive(config.connect(Plain).await)
        }
        SqlTls::Verify => {
            let connector = connector(host, settings).map_err(ConnectError::Tls)?;
            drive(config.connect(connector).await)
        }
    }
}

type Opened<S> = Result<(Client, Connection<Socket, S>), tokio_postgres::Error>;

/// Drives an open connection in the background.
fn drive<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    opened: Opened<S>,
) -> Result<Client, ConnectError> {
    let (client, connection) = opened.map_err(ConnectError::Postgres)?;
    tokio::spawn(async move {
        // If the connection breaks, the client's own calls report it.
        let _ = connection.await;
    });
    Ok(client)
}

/// Why a certificate was not accepted, and what to do; `None` if the error is another.
pub(super) fn explained(error: &tokio_postgres::Error, endpoint: &str) -> Option<String> {
    use std::error::Error as _;
    let cause = error.source()?;
    let Some(io) = cause.downcast_ref::<io::Error>() else {
        let plain = cause.to_string().contains("does not support TLS");
        return plain.then(|| {
            format!("{endpoint} does not support TLS. Set `ssl = on` on the server, or sql.tls: \"off\" if nobody else can access the network path")
        });
    };
    let of = match io.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::InvalidCertificate(of) => of,
        other => return Some(format!("TLS with {endpoint}: {other}")),
    };
    Some(match of {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            let amazon = match endpoint.contains(".rds.amazonaws.com") {
                true => {
                    format!(". No operating system includes the CAs of {}; download {}", CAS.by, CAS.bundle)
                }
                false => String::new(),
            };
            format!(
                "no trusted CA signed the certificate of {endpoint} (UnknownIssuer). Set sql.ca_file to a file with the CA that signed it{amazon}"
            )
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => format!(
            "the certificate of {endpoint}, or of its CA, has expired, or the clock of this machine is wrong ({of})"
        ),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!(
                "the certificate of {endpoint} is not valid yet; the clock of this machine may be wrong ({of})"
            )
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => format!(
            "the certificate of {endpoint} is for another host. Use a name from the certificate in `endpoint`, or get a certificate for this name ({of})"
        ),
        other => format!("the certificate of {endpoint} is not valid: {other}"),
    })
}

/// Why no certificate can be checked with `sql.ca_file`; `None` if that works.
pub fn trouble(settings: &SqlSettings) -> Option<String> {
    match settings.tls {
        SqlTls::Off => None,
        SqlTls::Verify => roots(settings).err(),
    }
}

fn roots(settings: &SqlSettings) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(native.certs);
    if let Some(path) = &settings.ca_path {
        let file = path.display();
        let pem = files::read(path, Use::Certificates).map_err(|e| format!("sql.ca_file {e}"))?;
        let mut any = false;
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate = certificate.map_err(|e| format!("sql.ca_file {file}: {e}"))?;
            roots.add(certificate).map_err(|e| format!("sql.ca_file {file}: {e}"))?;
            any = true;
        }
        if !any {
            return Err(format!("sql.ca_file {file} contains no PEM certificate"));
        }
    }
    match roots.is_empty() {
        true => Err("there are no trusted certificates; set sql.ca_file".to_owned()),
        false => Ok(roots),
    }
}

fn connector(host: &str, settings: &SqlSettings) -> Result<Connector, String> {
    let roots = roots(settings)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).map_err(|e| format!("host {host}: {e}"))?;
    Ok(Connector { tls: tokio_rustls::TlsConnector::from(Arc::new(config)), name })
}

#[derive(Clone)]
struct Connector {
    tls: tokio_rustls::TlsConnector,
    name: ServerName<'static>,
}

impl MakeTlsConnect<Socket> for Connector {
    type Stream = Bounded<TlsStream<Socket>>;
    type TlsConnect = Self;
    type Error = io::Error;

    fn make_tls_connect(&mut self, _host: &str) -> Result<Self, io::Error> {
        Ok(self.clone())
    }
}

impl TlsConnect<Socket> for Connector {
    type Stream = Bounded<TlsStream<Socket>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Bounded<TlsStream<Socket>>>> + Send>>;

    fn connect(self, stream: Socket) -> Self::Future {
        Box::pin(async move { self.tls.connect(self.name, stream).await.map(Bounded::new) })
    }
}
