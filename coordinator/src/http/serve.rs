//! The listener and its connections.

use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::tls::LOOK_EVERY;
use super::{Service, Tls, router};

/// How long a client may take to send the head of a request; also how long an idle connection is kept.
const HEADER_LIMIT: Duration = Duration::from_secs(60);

/// How long requests that are under way may take to end when the coordinator stops.
const LAST_REQUESTS: Duration = Duration::from_secs(10);

/// After a failed accept (no file descriptors left, say): trying again at once would only burn a processor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Who is at the other end of the connection.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// The routes for one connection. A layer would copy all of them for each.
#[derive(Clone)]
struct OfPeer {
    router: Router,
    peer: SocketAddr,
}

impl<B> tower::Service<Request<B>> for OfPeer
where
    Router: tower::Service<Request<B>>,
{
    type Response = <Router as tower::Service<Request<B>>>::Response;
    type Error = <Router as tower::Service<Request<B>>>::Error;
    type Future = <Router as tower::Service<Request<B>>>::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.router.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        request.extensions_mut().insert(Peer(self.peer));
        self.router.call(request)
    }
}

/// Serves until `shutdown`, then lets the requests under way end.
pub async fn serve(listener: TcpListener, service: Service, shutdown: CancellationToken) {
    let tls = service.settings.tls.clone();
    let router = router(service);
    let connections = TaskTracker::new();
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
            _ = look.tick(), if tls.is_some() => {
                tls.as_ref().inspect(|tls| tls.look());
                continue;
            }
        };
        match accepted {
            Ok((stream, peer)) => {
                connections.spawn(connection(stream, peer, tls.clone(), router.clone(), shutdown.clone()));
            }
            Err(error) => {
                tracing::warn!(error = %error, "A REST connection could not be taken.");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(LAST_REQUESTS, connections.wait()).await.is_err() {
        tracing::warn!("Some REST requests did not end in time; their connections are cut.");
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<Tls>,
    router: Router,
    shutdown: CancellationToken,
) {
    // Answers are small and clients wait for each.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(error = %error, "TCP_NODELAY could not be set.");
    }
    let Some(tls) = tls else { return requests(stream, peer, router, shutdown).await };
    match tokio::time::timeout(HEADER_LIMIT, tls.acceptor().accept(stream)).await {
        Ok(Ok(stream)) => requests(stream, peer, router, shutdown).await,
        Ok(Err(error)) => tracing::debug!(error = %error, peer = %peer, "A TLS handshake for REST failed."),
        Err(_) => tracing::debug!(peer = %peer, "A TLS handshake for REST did not end in time."),
    }
}

async fn requests<S>(stream: S, peer: SocketAddr, router: Router, shutdown: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let router = OfPeer { router, peer };
    let mut http = Builder::new(TokioExecutor::new()).http1_only();
    // As Go writes them: scripts look for `Location:` in what curl prints.
    http.http1().title_case_headers(true).timer(TokioTimer::new()).header_read_timeout(HEADER_LIMIT);
    let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error, peer = %peer, "A REST connection broke.");
    }
}
