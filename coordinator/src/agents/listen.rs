//! The one port: accepts, shakes hands, and hands connections with their callers to the services.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bricklayer_proto::ids::NodeId;
use bricklayer_proto::wire::v1::agents_server::AgentsServer;
use bricklayer_proto::wire::v1::enrolment_server::EnrolmentServer;
use bricklayer_proto::wire::{MAX_ENROL, MAX_FROM_AGENT, MAX_TO_AGENT};
use rustls::{CertificateError, OtherError};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Sleep;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::transport::server::Connected;

use super::api::{Refusal, Refused};
use super::registry::Registry;
use super::service::{Peer, Service};
use crate::pki::{Caller, ServerTls, TlsError, Unwelcome};

/// A handshake takes milliseconds; who needs longer is not one of ours.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Strangers can open connections, so the number of unfinished handshakes is limited.
const HANDSHAKES: usize = 256;

/// Whoever has no certificate comes to enrol, which takes a second; nobody else holds a connection open.
const STRANGER: Duration = Duration::from_secs(60);

/// A peer that is gone without a word is noticed within twice this.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// How often the coordinator's own certificate is looked at.
const OWN_CERTIFICATE: Duration = Duration::from_secs(3600);

#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("the agents' port failed")]
    Serve(#[from] tonic::transport::Error),
}

/// Serves agents on an open port until `shutdown`; then every agent is told, and this returns.
pub async fn serve(
    listener: TcpListener,
    registry: Arc<Registry>,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let tls = Arc::new(ServerTls::new(Arc::clone(registry.trust()))?);
    let (connections, incoming) = mpsc::channel(16);
    let accepting =
        tokio::spawn(accept(listener, Arc::clone(&tls), Arc::clone(&registry), connections, shutdown.clone()));
    let service = Service { registry };
    let enrolment =
        EnrolmentServer::new(service.clone()).max_decoding_message_size(MAX_ENROL).max_encoding_message_size(MAX_ENROL);
    let agents =
        AgentsServer::new(service).max_decoding_message_size(MAX_FROM_AGENT).max_encoding_message_size(MAX_TO_AGENT);
    let served = Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE))
        .add_service(enrolment)
        .add_service(agents)
        .serve_with_incoming_shutdown(ReceiverStream::new(incoming), shutdown.cancelled())
        .await;
    accepting.abort();
    Ok(served?)
}

async fn accept(
    listener: TcpListener,
    tls: Arc<ServerTls>,
    registry: Arc<Registry>,
    connections: mpsc::Sender<io::Result<Connection>>,
    shutdown: CancellationToken,
) {
    let acceptor = TlsAcceptor::from(Arc::clone(&tls.config));
    let unfinished = Arc::new(Semaphore::new(HANDSHAKES));
    let mut own_certificate = tokio::time::interval(OWN_CERTIFICATE);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = own_certificate.tick() => {
                if let Err(error) = tls.renew_if_due() {
                    tracing::error!(error = &error as &dyn std::error::Error, "the coordinator's own certificate");
                }
            }
            accepted = listener.accept() => {
                let (stream, address) = match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        // Mostly a lack of file descriptors, which passes; a tight loop would not help it to.
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                };
                let Ok(permit) = Arc::clone(&unfinished).try_acquire_owned() else {
                    tracing::warn!(from = %address, "too many connections are shaking hands; one was closed");
                    continue;
                };
                let (acceptor, connections, tls) = (acceptor.clone(), connections.clone(), Arc::clone(&tls));
                let registry = Arc::clone(&registry);
                tokio::spawn(async move {
                    match shake_hands(&acceptor, stream, address, &tls).await {
                        // The server that would take it may have stopped meanwhile.
                        Ok(connection) => drop(connections.send(Ok(connection)).await),
                        // Port scanners, mostly. What our verifier refuses it says aloud itself.
                        Err(error) => {
                            if let Some(node) = unknown_node(&error) {
                                registry.refused(Refusal { node, from: address.ip(), why: Refused::UnknownNode });
                            }
                            tracing::info!(from = %address, %error, "a handshake failed");
                        }
                    }
                    drop(permit);
                });
            }
        }
    }
}

/// The node that our verifier did not know, though its certificate is of our authority.
fn unknown_node(error: &io::Error) -> Option<NodeId> {
    let rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(why))) =
        error.get_ref()?.downcast_ref()?
    else {
        return None;
    };
    match why.downcast_ref()? {
        Unwelcome::UnknownNode(node) => Some(*node),
        _ => None,
    }
}

async fn shake_hands(
    acceptor: &TlsAcceptor,
    stream: TcpStream,
    address: SocketAddr,
    tls: &ServerTls,
) -> io::Result<Connection> {
    // Progress lines and acknowledgements are small and wanted at once.
    stream.set_nodelay(true)?;
    let shaken = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream));
    let stream = shaken.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    let certificates = stream.get_ref().1.peer_certificates();
    let caller = certificates
        .and_then(<[_]>::first)
        .map(|certificate| Caller::read(certificate, tls.installation()))
        .transpose()
        .map_err(io::Error::other)?;
    let limit = caller.is_none().then(|| Box::pin(tokio::time::sleep(STRANGER)));
    Ok(Connection { stream, peer: Peer { address, caller }, limit })
}

/// A connection that has shaken hands, and with whom.
struct Connection {
    stream: TlsStream<TcpStream>,
    peer: Peer,
    /// When it is closed, whatever goes on.
    limit: Option<Pin<Box<Sleep>>>,
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Some(limit) = &mut self.limit
            && limit.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
