//! The stream to the coordinator: dial, attach, carry tasks to the executor and outcomes back, and again.
//!
//! Owns the connection and the renewal of the certificate. Decides nothing about disks: tasks go to
//! [`crate::engine::Executor`] as they come, and run on when the stream breaks. Must never hold up a task because of
//! the network, nor forget an outcome: those come from the journal. Read [`run`], then `attached`.

mod attached;
mod backoff;
mod board;

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use bricklayer_proto::inventory::{AgentSeen, Versions};
use bricklayer_proto::wire::v1::agents_client::AgentsClient;
use bricklayer_proto::wire::{Credentials, MAX_FROM_AGENT, MAX_TO_AGENT, NotUnderstood, Welcome, v1};
use bricklayer_store::StoreError;
use camino::Utf8PathBuf;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::transport::Channel;

use crate::engine::{Engine, Executor, chain};
use crate::host::{Host, HostError};
use crate::identity::{BadCredentials, Clock, DialError, Identity, IdentityError, Line, NewKey, dial};
use crate::journal::{Journal, JournalError};

use attached::{Attached, Ended};
use backoff::Backoff;
use board::Board;

/// A coordinator that is there signs a certificate within this time.
const RENEWAL: Duration = Duration::from_secs(30);

/// What one agent needs to know before it starts. Nothing else is shared by agents of one process.
#[derive(Clone, Debug)]
pub struct Config {
    pub data_dir: Utf8PathBuf,
    pub journal_dir: Utf8PathBuf,
    /// For people on the host; `None` writes none.
    pub status_file: Option<Utf8PathBuf>,
    /// Tell systemd how it goes. One agent per process can.
    pub notify_systemd: bool,
    pub timing: Timing,
    pub clock: Clock,
    /// Those that it offers: all that it knows, but in tests.
    pub protocols: RangeInclusive<u32>,
}

/// How often, and how long between.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// The first pause after a failed attempt; it doubles up to `longest_pause`. Each is cut by chance to half at
    /// most, so that a thousand agents do not come back in one second.
    pub first_pause: Duration,
    pub longest_pause: Duration,
    /// An inventory goes out at least this often.
    pub inventory: Duration,
    /// After a task has ended, so long a silence comes before the next inventory: an operation is a row of tasks, and
    /// the tools that look need the same locks as those that work. Ten times as long at most.
    pub settle: Duration,
    /// How often the disks are looked at, whether they answer.
    pub disks: Duration,
    /// How often a host that has not enrolled looks whether it has.
    pub enrolment: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            first_pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(30),
            inventory: Duration::from_secs(60),
            settle: Duration::from_millis(500),
            disks: Duration::from_secs(20),
            enrolment: Duration::from_secs(2),
        }
    }
}

/// Why an agent cannot run at all.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("the agent's journal could not be opened")]
    Journal(#[from] Box<JournalError>),
    #[error("the host does not answer the agent")]
    Host(#[from] HostError),
}

/// Why one attachment did not come about, or ended.
#[derive(Debug, thiserror::Error)]
enum SessionError {
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error("TLS could not be set up")]
    Tls(#[from] rustls::Error),
    #[error("{address}: {error}")]
    Dial { address: String, error: DialError },
    /// In the coordinator's own words.
    #[error("{address}: {}", status.message())]
    Status { address: String, status: Box<Status> },
    #[error("the coordinator was not understood")]
    NotUnderstood(#[from] NotUnderstood),
    #[error("the coordinator did not greet as it should: {0}")]
    Greeting(String),
    #[error(
        "the coordinator is at start {}, and this agent has met start {seen}: it is a second coordinator, or its store \
         was restored from an older copy. Nothing is taken from it", welcome.epoch
    )]
    Stale { welcome: Box<Welcome>, seen: u64 },
    #[error("the renewed certificate is not used")]
    Credentials(#[from] BadCredentials),
    #[error("the agent's journal failed")]
    Journal(#[from] StoreError),
    #[error("the host does not answer the agent")]
    Host(#[from] HostError),
    #[error("nothing was heard from the coordinator")]
    Silence,
}

/// Runs an agent until `shutdown`; then tasks that have begun are finished, and this returns.
pub async fn run(config: Config, host: Arc<dyn Host>, shutdown: CancellationToken) -> Result<(), RunError> {
    let journal_dir = config.journal_dir.clone();
    let opened = tokio::task::spawn_blocking(move || Journal::open(journal_dir.as_std_path()).map_err(Box::new)).await;
    let journal = match opened {
        Ok(journal) => Arc::new(journal?),
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    };
    let executor = Executor::new(Arc::new(Engine::new(Arc::clone(&host))), journal);
    serve(config, host, Arc::clone(&executor), shutdown).await;
    executor.drain().await;
    Ok(())
}

/// As [`run`], with an executor that is there already.
pub async fn serve(config: Config, host: Arc<dyn Host>, executor: Arc<Executor>, shutdown: CancellationToken) {
    let agent = Agent { board: Board::new(&config), config, host, executor, shutdown };
    agent.run().await;
    agent.board.stopping();
}

struct Agent {
    config: Config,
    host: Arc<dyn Host>,
    executor: Arc<Executor>,
    board: Board,
    shutdown: CancellationToken,
}

impl Agent {
    async fn run(&self) {
        self.board.ready();
        let mut backoff = Backoff::new(self.config.timing);
        let mut said = String::new();
        // Where to begin next: the address that worked last stays the first.
        let mut turn = 0;
        while !self.shutdown.is_cancelled() {
            let began = tokio::time::Instant::now();
            let identity = match Identity::load(&self.config.data_dir) {
                Ok(identity) => identity,
                Err(error) => {
                    self.complain(&mut said, chain(&error));
                    self.pause(self.config.timing.enrolment).await;
                    continue;
                }
            };
            self.board.identity(&identity);
            match self.attach(&identity, turn).await {
                Ok(Ended::Shutdown) => return,
                // A new certificate, or a new identity: attach with it. The short pause keeps two clocks that disagree
                // about every certificate from making one after the other.
                Ok(Ended::Renewed) => self.pause(self.config.timing.first_pause).await,
                Err(error) => {
                    let worked = began.elapsed() > self.config.timing.longest_pause;
                    self.complain(&mut said, chain(&error));
                    if worked {
                        backoff.reset();
                        said.clear();
                    } else {
                        turn += 1;
                    }
                    self.pause(backoff.next()).await;
                }
            }
        }
    }

    /// The same complaint is not repeated at each attempt.
    fn complain(&self, said: &mut String, text: String) {
        if *said == text {
            tracing::debug!("still not attached: {text}");
        } else {
            tracing::warn!("not attached: {text}");
            self.board.failed(&text);
            *said = text;
        }
    }

    async fn pause(&self, pause: Duration) {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.shutdown.cancelled() => {}
        }
    }

    /// One attachment, from the dial to its end.
    async fn attach(&self, identity: &Identity, turn: usize) -> Result<Ended, SessionError> {
        let (line, address) = self.dial(identity, turn).await?;
        let client = AgentsClient::new(line.channel.clone())
            .max_encoding_message_size(MAX_FROM_AGENT)
            .max_decoding_message_size(MAX_TO_AGENT);
        if self.config.clock.now() > identity.expires() {
            self.renew(client, identity).await.map_err(|error| told(&line, &address, error))?;
            return Ok(Ended::Renewed);
        }
        let boot = self.host.boot().await?;
        let seen = AgentSeen {
            host_name: self.host.host_name().await?,
            boot: boot.id,
            up_seconds: Some(boot.up.as_secs()),
            // A tool that does not answer is a reason to be looked at, not one to stay away.
            versions: self.host.versions().await.unwrap_or_else(|error| {
                tracing::warn!("the versions of the host's tools are not known: {}", chain(&error));
                Versions::default()
            }),
        };
        let attached = match Attached::greet(client.clone(), identity, seen, self).await {
            Ok(attached) => attached,
            // Its clock may see an end of the certificate that ours does not see yet.
            Err(SessionError::Status { status, .. }) if status.code() == tonic::Code::Unauthenticated => {
                tracing::warn!("the coordinator does not take the certificate: {}", status.message());
                self.renew(client, identity).await.map_err(|error| told(&line, &address, error))?;
                return Ok(Ended::Renewed);
            }
            Err(error) => return Err(told(&line, &address, error)),
        };
        self.board.attached(&address);
        tracing::info!(%address, name = %identity.name, "attached to the coordinator");
        let ended = attached.serve(client, identity, self).await;
        self.board.detached();
        ended.map_err(|error| told(&line, &address, error))
    }

    /// Tries each address once, beginning with another one at each turn.
    async fn dial(&self, identity: &Identity, turn: usize) -> Result<(Line, String), SessionError> {
        let config = Arc::new(identity.tls(&self.config.clock)?);
        let mut last = None;
        for step in 0..identity.addresses.len() {
            let address = identity.addresses[(turn + step) % identity.addresses.len()].clone();
            match dial(&address, Arc::clone(&config)).await {
                Ok(line) => return Ok((line, address)),
                Err(error) => last = Some(SessionError::Dial { address, error }),
            }
            if self.shutdown.is_cancelled() {
                break;
            }
        }
        Err(last.unwrap_or_else(|| SessionError::Greeting("no address of it is known".to_owned())))
    }

    /// Renewal while nothing is attached.
    async fn renew(&self, client: AgentsClient<Channel>, identity: &Identity) -> Result<(), SessionError> {
        let (key, credentials) = Self::request_renewal(client).await?;
        self.take(identity, &key, credentials)
    }

    /// A new key, and the coordinator's answer to it.
    async fn request_renewal(mut client: AgentsClient<Channel>) -> Result<(NewKey, Credentials), SessionError> {
        let key = NewKey::make()?;
        let request = v1::RenewRequest { csr: key.csr().to_vec() };
        let reply = tokio::time::timeout(RENEWAL, client.renew(request)).await;
        let reply = reply.map_err(|_| SessionError::Silence)?.map_err(from_status)?;
        Ok((key, reply.into_inner().into()))
    }

    /// The new certificate is checked and written down; the next attachment uses it.
    fn take(&self, identity: &Identity, key: &NewKey, credentials: Credentials) -> Result<(), SessionError> {
        let renewed = identity.renewed(credentials, key)?;
        renewed.save(&self.config.data_dir)?;
        tracing::info!(until = %renewed.expires(), "the certificate was renewed");
        Ok(())
    }

    /// When the certificate is to be renewed: from a third of its life on, at a moment that chance chooses.
    fn renew_at(identity: &Identity) -> Timestamp {
        let life = identity.expires().duration_since(identity.valid_from());
        let third = life.checked_div(3).unwrap_or_default();
        let spread = third.checked_div(10).unwrap_or_default().as_millis();
        let spread = rand::random_range(0..=i64::try_from(spread).unwrap_or(0).max(0));
        identity.valid_from() + third + jiff::SignedDuration::from_millis(spread)
    }
}

fn from_status(status: Status) -> SessionError {
    SessionError::Status { address: String::new(), status: Box::new(status) }
}

/// An error that came from the other side says which one; a handshake that was refused late says so.
fn told(line: &Line, address: &str, error: SessionError) -> SessionError {
    match (line.refused(), error) {
        (Some(error), _) => SessionError::Dial { address: address.to_owned(), error },
        (None, SessionError::Status { status, .. }) => SessionError::Status { address: address.to_owned(), status },
        (None, error) => error,
    }
}
