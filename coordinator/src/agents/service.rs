//! The gRPC services: who is calling, may they, and what they said. Everything else is the registry's.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bricklayer_proto::wire::parts::{self, Gather};
use bricklayer_proto::wire::v1::agents_server::Agents;
use bricklayer_proto::wire::v1::enrolment_server::Enrolment;
use bricklayer_proto::wire::{self, EnrollRequest, FromAgent, Hello, NotUnderstood, ToAgent, Welcome, v1};
use bricklayer_store::StoreError;
use futures::Stream;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::api::{AgentEvent, Refusal, Refused};
use super::registry::{Arrival, CLOCKS_DIFFER, Parting, Registry, Session};
use crate::pki::{Caller, EnrolError, Trust, Unwelcome};

/// A peer that has shaken hands says who it is within this time.
const GREETING: Duration = Duration::from_secs(20);

/// The other end of a connection.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub address: SocketAddr,
    /// `None` for a stranger; else what a certificate says that our authority signed.
    pub caller: Option<Caller>,
}

/// Both services, on one port.
#[derive(Clone)]
pub(super) struct Service {
    pub registry: Arc<Registry>,
}

impl Service {
    fn trust(&self) -> &Arc<Trust> {
        self.registry.trust()
    }
}

fn peer<T>(request: &Request<T>) -> Result<Peer, Status> {
    request.extensions().get::<Peer>().cloned().ok_or_else(|| Status::internal("the connection is not known"))
}

fn caller<T>(request: &Request<T>) -> Result<(Caller, SocketAddr), Status> {
    let peer = peer(request)?;
    Ok((peer.caller.ok_or_else(|| unwelcome(&Unwelcome::NoCertificate))?, peer.address))
}

fn unwelcome(why: &Unwelcome) -> Status {
    match why {
        Unwelcome::NoCertificate | Unwelcome::NotOurs(_) | Unwelcome::NotYet { .. } => {
            Status::unauthenticated(why.to_string())
        }
        Unwelcome::Expired { .. } | Unwelcome::LongExpired { .. } => Status::unauthenticated(why.to_string()),
        Unwelcome::UnknownNode(_) | Unwelcome::Revoked { .. } | Unwelcome::Superseded { .. } => {
            Status::permission_denied(why.to_string())
        }
    }
}

fn not_enrolled(error: &EnrolError) -> Status {
    let text = error.to_string();
    match error {
        EnrolError::UnknownInvitation => Status::not_found(text),
        EnrolError::Expired { .. } | EnrolError::NoMachineId => Status::failed_precondition(text),
        EnrolError::Used { .. } | EnrolError::NameTaken { .. } | EnrolError::Clone { .. } => {
            Status::already_exists(text)
        }
        EnrolError::Request(_) => Status::invalid_argument(text),
        EnrolError::Store(error) => store_failed(error),
    }
}

fn store_failed(error: &StoreError) -> Status {
    tracing::error!(error = error as &dyn std::error::Error, "the store failed");
    Status::internal("the coordinator could not write this down; its log says why")
}

fn not_understood(error: &NotUnderstood) -> Status {
    Status::invalid_argument(error.to_string())
}

fn parted(parting: &Parting) -> Status {
    match parting {
        Parting::Replaced => Status::aborted("another stream of this node has taken the place of this one"),
        Parting::Unwelcome(why) => unwelcome(why),
        Parting::Stopping => Status::unavailable("the coordinator is stopping"),
    }
}

#[tonic::async_trait]
impl Enrolment for Service {
    async fn enroll(&self, request: Request<v1::EnrollRequest>) -> Result<Response<v1::EnrollReply>, Status> {
        let from = peer(&request)?.address;
        let request = EnrollRequest::try_from(request.into_inner()).map_err(|error| not_understood(&error))?;
        match self.trust().enrol(&request).await {
            Ok(reply) => {
                self.registry.tell(AgentEvent::Enrolled { node: reply.node });
                Ok(Response::new(reply.into()))
            }
            Err(error) => {
                tracing::warn!(%from, "an enrolment was refused: {error}");
                Err(not_enrolled(&error))
            }
        }
    }
}

#[tonic::async_trait]
impl Agents for Service {
    type AttachStream = Pin<Box<dyn Stream<Item = Result<v1::ToAgent, Status>> + Send>>;

    async fn renew(&self, request: Request<v1::RenewRequest>) -> Result<Response<v1::RenewReply>, Status> {
        let (caller, from) = caller(&request)?;
        let refused = |why: &dyn std::fmt::Display| {
            tracing::warn!(node.id = %caller.node, %from, "a renewal was refused: {why}");
        };
        self.trust().take_back(&caller, None);
        if let Err(why) = self.trust().may_renew(&caller) {
            refused(&why);
            return Err(unwelcome(&why));
        }
        match self.trust().renew(caller.node, &request.into_inner().csr).await {
            Ok(credentials) => Ok(Response::new(credentials.into())),
            Err(error) => {
                refused(&error);
                Err(not_enrolled(&error))
            }
        }
    }

    async fn attach(&self, request: Request<Streaming<v1::FromAgent>>) -> Result<Response<Self::AttachStream>, Status> {
        let (caller, from) = caller(&request)?;
        let mut said = request.into_inner();
        match self.greet(&caller, &mut said, from).await {
            Ok((session, welcome)) => {
                let (told, stream) = mpsc::unbounded_channel();
                // The first to be told; the channel is open, as both ends are here.
                let protocol = welcome.protocol;
                let _ = told.send(Ok(ToAgent::Welcome(welcome).into()));
                tokio::spawn(serve(Arc::clone(&self.registry), caller, session, protocol, said, told));
                Ok(Response::new(Box::pin(UnboundedReceiverStream::new(stream))))
            }
            Err(status) => {
                tracing::warn!(node.id = %caller.node, %from, "an agent was not let in: {}", status.message());
                Err(status)
            }
        }
    }
}

impl Service {
    async fn greet(
        &self,
        caller: &Caller,
        said: &mut Streaming<v1::FromAgent>,
        from: SocketAddr,
    ) -> Result<(Session, Welcome), Status> {
        let trust = self.trust();
        trust.may_attach(caller).map_err(|why| unwelcome(&why))?;
        let first = tokio::time::timeout(GREETING, said.message()).await;
        let first = first.map_err(|_| Status::deadline_exceeded("no greeting came"))??;
        let first = first.ok_or_else(|| Status::invalid_argument("the stream ended before the greeting"))?;
        let FromAgent::Hello(hello) = FromAgent::try_from(first).map_err(|error| not_understood(&error))? else {
            return Err(Status::invalid_argument("the first message has to be the greeting"));
        };
        let Hello { protocols, node, epoch, clock_ms, seen } = hello;
        if node != caller.node {
            return Err(Status::permission_denied(format!(
                "the certificate is that of node {}, and the agent says that it is node {node}: its data directory \
                 holds files of two hosts",
                caller.node
            )));
        }
        let Some(protocol) = wire::common_protocol(&wire::PROTOCOLS, &protocols) else {
            return Err(Status::failed_precondition(format!(
                "the agent speaks protocols {} to {}, the coordinator {} to {}: update the older one",
                protocols.start(),
                protocols.end(),
                wire::PROTOCOLS.start(),
                wire::PROTOCOLS.end(),
            )));
        };
        // Whoever rebuilds takes nobody's place yet: a coordinator that is still there is not fenced off.
        let ours = if trust.takes_back() { epoch } else { trust.epoch() };
        if epoch > ours {
            let why = Refused::LaterStart { met: epoch, ours };
            self.registry.refused(Refusal { node, from: from.ip(), why });
            tracing::error!(
                node.id = %node, seen = epoch, ours,
                "an agent has met a later start of a coordinator than this one: this is a second coordinator, or its \
                 store was restored from an older copy"
            );
            return Err(Status::failed_precondition(format!(
                "this agent has met start {epoch} of a coordinator, and this one is at start {ours}: it is a second one, \
                 or its store was restored from an older copy"
            )));
        }
        trust.take_back(caller, seen.host_name.parse().ok());
        let name = trust.agent(node).ok_or_else(|| unwelcome(&Unwelcome::UnknownNode(node)))?.name;
        let now = trust.clock().now().as_millisecond();
        let clock_ahead_ms = clock_ms.saturating_sub(now);
        if clock_ahead_ms.abs() > CLOCKS_DIFFER {
            tracing::warn!(
                node.id = %node, node.name = %name, seconds = clock_ahead_ms / 1000,
                "the host's clock is ahead of the coordinator's (behind, if negative)"
            );
        }
        let session = self.registry.attach(Arrival { node, from, protocol, clock_ahead_ms, seen, epoch });
        tracing::info!(node.id = %node, node.name = %name, %from, protocol, "an agent attached");
        let installation = trust.installation();
        Ok((session, Welcome { installation, epoch: ours, protocol, clock_ms: now, name }))
    }
}

/// How long an acknowledgement waits for something to go along with.
const ACKNOWLEDGE: Duration = Duration::from_millis(50);

/// One attached agent, until either side ends it.
async fn serve(
    registry: Arc<Registry>,
    caller: Caller,
    mut session: Session,
    protocol: u32,
    mut said: Streaming<v1::FromAgent>,
    told: mpsc::UnboundedSender<Result<v1::ToAgent, Status>>,
) {
    let node = caller.node;
    let tell = |order: ToAgent| {
        let message = v1::ToAgent::from(order);
        let parts = if protocol >= wire::PARTS_SINCE { parts::cut(message) } else { vec![message] };
        parts.into_iter().try_for_each(|part| told.send(Ok(part)).map_err(|_| gone()))
    };
    let mut gather = Gather::default();
    // Nothing waits for an acknowledgement, so it goes along with whatever is sent next.
    let mut acknowledged = Vec::new();
    let mut acknowledge_at = None;
    // A revocation between the check and the entry into the registry would have found no stream to close.
    let mut verdict = registry.trust().may_attach(&caller).map_err(|why| unwelcome(&why));
    while verdict.is_ok() {
        // Connections are not verified anew while they last, so the end of the certificate ends the stream too.
        let left = caller.not_after.duration_since(registry.trust().clock().now());
        let expired = tokio::time::sleep(Duration::try_from(left).unwrap_or_default() + Duration::from_secs(1));
        verdict = tokio::select! {
            biased;
            parting = session.parting.wait_for(Option::is_some) => match parting {
                Ok(parting) => Err(parting.as_ref().map_or_else(|| Status::aborted("ended"), parted)),
                Err(_) => Err(parted(&Parting::Replaced)),
            },
            () = registry.stopping() => Err(parted(&Parting::Stopping)),
            () = expired => Ok(()),
            order = session.orders.recv() => match order {
                Some(ToAgent::Acknowledge(task)) => {
                    acknowledged.push(task);
                    acknowledge_at.get_or_insert_with(|| Instant::now() + ACKNOWLEDGE);
                    Ok(())
                }
                Some(order) => {
                    acknowledge_at = None;
                    let mut orders = acknowledged.drain(..).map(ToAgent::Acknowledge).chain([order]);
                    orders.try_for_each(tell)
                }
                None => Err(parted(&Parting::Replaced)),
            },
            () = at(acknowledge_at) => {
                acknowledge_at = None;
                let mut orders = acknowledged.drain(..).map(ToAgent::Acknowledge);
                orders.try_for_each(tell)
            }
            message = said.message() => match message {
                Ok(Some(message)) => match gather.take(message) {
                    Ok(message) => message.map_or(Ok(()), |message| hear(&registry, &caller, message)),
                    Err(error) => Err(not_understood(&error)),
                },
                Ok(None) => Err(Status::ok("the agent has left")),
                Err(status) => Err(status),
            },
        };
        verdict = verdict.and_then(|()| registry.trust().may_attach(&caller).map_err(|why| unwelcome(&why)));
    }
    registry.detach(node, session.number);
    let status = verdict.err().unwrap_or_else(|| Status::ok("ended"));
    tracing::info!(node.id = %node, "an agent detached: {}", status.message());
    // Where the stream is gone already there is nobody to tell.
    let _ = told.send(Err(status));
}

fn gone() -> Status {
    Status::cancelled("the stream is gone")
}

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

fn hear(registry: &Registry, caller: &Caller, message: v1::FromAgent) -> Result<(), Status> {
    // Before every message and not only after: what a revoked agent says is not heard.
    registry.trust().may_attach(caller).map_err(|why| unwelcome(&why))?;
    match FromAgent::try_from(message) {
        Ok(FromAgent::Hello(_)) => Err(Status::invalid_argument("one greeting is enough")),
        Ok(said) => {
            registry.hear(caller.node, said);
            Ok(())
        }
        Err(error) => {
            tracing::warn!(node.id = %caller.node, "an agent was not understood: {error}");
            if let Some(task) = error.task {
                registry.hear_nonsense(caller.node, task, error.to_string());
            }
            Ok(())
        }
    }
}
