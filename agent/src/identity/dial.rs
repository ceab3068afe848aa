//! Opens a line to a coordinator: TCP, TLS, gRPC. What goes wrong is told by its cause, not by its layer.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::pki_types::{DnsName, ServerName};
use rustls::{AlertDescription, CertificateError, ClientConfig};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};

use super::tls::Distrust;

/// A peer that is gone without a word is noticed within twice this.
const KEEPALIVE: Duration = Duration::from_secs(10);

const TCP: Duration = Duration::from_secs(10);
const HANDSHAKE: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, thiserror::Error)]
pub enum DialError {
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    #[error("{0}")]
    Distrusted(Distrust),
    #[error("it does not speak as a coordinator does: {0}")]
    Strange(String),
    /// The other side refused our certificate.
    #[error("{}", refusal(*.0))]
    Refused(AlertDescription),
}

/// The alerts of TLS are numbers; these are what our coordinator means by them.
fn refusal(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::CertificateRevoked => {
            "the coordinator refuses this agent's certificate: it was revoked, or the host enrolled anew since. To come \
             back: `bricklayer agent invite NAME --rejoin` there, `bricklayer-agent enroll --replace TOKEN` here"
                .to_owned()
        }
        AlertDescription::UnknownCA | AlertDescription::DecryptError => {
            "the coordinator does not know the authority that signed this agent's certificate".to_owned()
        }
        AlertDescription::ProtocolVersion => "the coordinator does not speak TLS 1.3".to_owned(),
        other => format!("the coordinator refuses this agent's certificate ({other:?}); its log says why"),
    }
}

/// An open line.
#[derive(Clone, Debug)]
pub struct Line {
    pub channel: Channel,
    alert: Heard,
}

/// The alert that ended the line, if one did.
type Heard = Arc<Mutex<Option<AlertDescription>>>;

impl Line {
    /// In TLS 1.3 a client learns that it was refused only after its handshake: when it reads.
    #[must_use]
    pub fn refused(&self) -> Option<DialError> {
        self.alert.lock().unwrap_or_else(PoisonError::into_inner).map(DialError::Refused)
    }
}

/// Nothing is sent beyond the handshake before the server has been verified by `config`.
pub async fn dial(address: &str, config: Arc<ClientConfig>) -> Result<Line, DialError> {
    let unreachable = |error: &dyn ToString| DialError::Unreachable(error.to_string());
    let connected = tokio::time::timeout(TCP, TcpStream::connect(address)).await;
    let stream = connected
        .map_err(|_| DialError::Unreachable(format!("no answer within {} s", TCP.as_secs())))?
        .map_err(|error| unreachable(&error))?;
    stream.set_nodelay(true).map_err(|error| unreachable(&error))?;

    // The name is never looked at and never sent.
    let name = DnsName::try_from_str("coordinator.invalid").map_err(|error| unreachable(&error))?;
    let shaking = TlsConnector::from(config).connect(ServerName::DnsName(name.to_owned()), stream);
    let stream = tokio::time::timeout(HANDSHAKE, shaking)
        .await
        .map_err(|_| DialError::Strange(format!("no TLS handshake within {} s", HANDSHAKE.as_secs())))?
        .map_err(|error| why(&error))?;
    if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
        return Err(DialError::Strange("it did not agree to HTTP/2".to_owned()));
    }

    let alert = Heard::default();
    let slot = Arc::new(Mutex::new(Some(Listening { stream, alert: Arc::clone(&alert) })));
    // One connection per line: a broken one is told to whoever uses it, who dials anew.
    let connector = tower::service_fn(move |_| {
        let taken = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        async move { taken.map(TokioIo::new).ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected)) }
    });
    let channel = Endpoint::from_static("http://coordinator.invalid")
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE)
        .keep_alive_while_idle(true)
        .connect_with_connector(connector)
        .await;
    let line = channel.map(|channel| Line { channel, alert: Arc::clone(&alert) });
    line.map_err(|error| {
        let heard = *alert.lock().unwrap_or_else(PoisonError::into_inner);
        heard.map_or_else(|| DialError::Strange(crate::engine::chain(&error)), DialError::Refused)
    })
}

fn why(error: &io::Error) -> DialError {
    match tls_error(error) {
        Some(rustls::Error::InvalidCertificate(CertificateError::Other(other))) => {
            match other.0.downcast_ref::<Distrust>() {
                Some(distrust) => DialError::Distrusted(distrust.clone()),
                None => DialError::Strange(error.to_string()),
            }
        }
        Some(rustls::Error::AlertReceived(alert)) => DialError::Refused(*alert),
        _ => DialError::Strange(error.to_string()),
    }
}

fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// A connection that remembers the alert that ended it: the layers above keep only its text, or not even that.
struct Listening {
    stream: TlsStream<TcpStream>,
    alert: Heard,
}

impl Listening {
    fn note<T>(&self, polled: &Poll<io::Result<T>>) {
        if let Poll::Ready(Err(error)) = polled
            && let Some(rustls::Error::AlertReceived(alert)) = tls_error(error)
        {
            *self.alert.lock().unwrap_or_else(PoisonError::into_inner) = Some(*alert);
        }
    }
}

impl AsyncRead for Listening {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.note(&polled);
        polled
    }
}

impl AsyncWrite for Listening {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.note(&polled);
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
