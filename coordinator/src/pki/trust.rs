//! Invitations, enrolment, renewal and revocation: every rule about who may come in, in one place.
//!
//! What is decided here is decided under one lock and written in one transaction; readers see only what is durable.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bricklayer_proto::identity::Role;
use bricklayer_proto::ids::{InstallationId, InvitationId, NodeId};
use bricklayer_proto::names::HostName;
use bricklayer_proto::wire::certificate::{Claims, NotOurs};
use bricklayer_proto::wire::token::Token;
use bricklayer_proto::wire::{Credentials, EnrollReply, EnrollRequest, Secret};
use bricklayer_store::{Batch, Store, StoreError};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::sync::Mutex;

use super::authority::{Authority, AuthorityError, Issued, RequestError};
use super::clock::Clock;
use super::records::{AGENTS, AgentRecord, INSTALLATION, INVITATIONS, InstallationRecord, InvitationRecord, Used};

/// How long an invitation is good for, if nobody says otherwise.
pub const DEFAULT_INVITATION_LIFE: SignedDuration = SignedDuration::from_mins(30);

/// For how long a repeat of an enrolment whose answer was lost gets that answer again.
pub const REPEAT_WINDOW: SignedDuration = SignedDuration::from_mins(5);

/// For how long after its certificate expired an agent may still renew it.
pub const GRACE: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The longest life of an invitation that may be asked for.
const LONGEST_INVITATION_LIFE: SignedDuration = SignedDuration::from_hours(30 * 24);

/// More than any coordinator starts between an export and its import, or while hosts are away.
const STARTS_UNSEEN: u64 = 1_000_000;

/// Invitations that nobody can use any more are kept this long, so that a late try is told why it fails.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(7 * 24);

#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    #[error(
        "the store holds no installation: it is empty, or not this installation's. `bricklayer-coordinator rebuild` makes one of what \
         the hosts keep"
    )]
    NotFounded,
    #[error("this data directory already holds installation {0}")]
    Founded(InstallationId),
    #[error("the authority is that of installation {authority}, the store is that of installation {store}")]
    OtherInstallation { authority: InstallationId, store: InstallationId },
    #[error(
        "{0:?} is not an address that agents can dial: write host:port, at most {longest} characters, at most {most} of \
         them", longest = Token::LONGEST_ADDRESS, most = Token::MOST_ADDRESSES
    )]
    Address(String),
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    #[error("the store failed")]
    Store(#[from] StoreError),
}

/// How a coordinator starts.
#[derive(Clone, Debug)]
pub struct Start {
    /// `host:port` as agents dial it, in the order in which they are to try. At least one.
    pub addresses: Vec<String>,
    /// After the store was restored from an older copy: agents have seen higher epochs than it holds. 0 otherwise.
    pub epoch_at_least: u64,
    pub clock: Clock,
}

/// What a new agent is to be called.
#[derive(Clone, Debug)]
pub struct NewInvitation {
    pub name: HostName,
    pub zone: Option<u32>,
    pub life: SignedDuration,
    /// The name belongs to a node that enrolled before, which is to come back with a new key. All older certificates of
    /// that node end with its use, and so does a revocation.
    pub rejoin: bool,
    /// The id that it is to have, as one of heketi's nodes has it already; a new one where there is none.
    pub node: Option<NodeId>,
}

/// An invitation, once and never again with its secret.
#[derive(Clone, Debug)]
pub struct Invitation {
    pub id: InvitationId,
    pub node: NodeId,
    pub name: HostName,
    pub expires: Timestamp,
    /// For `bricklayer-agent enroll`. A secret: whoever uses it first is the node.
    pub line: String,
}

/// An invitation as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenInvitation {
    pub id: InvitationId,
    pub node: NodeId,
    pub name: HostName,
    pub zone: Option<u32>,
    pub created: Timestamp,
    pub expires: Timestamp,
    pub rejoin: bool,
    pub used: Option<Timestamp>,
}

#[derive(Debug, thiserror::Error)]
pub enum InviteError {
    #[error(
        "{name} has enrolled already (node {node}); if it is to come back with a new key, say so: `bricklayer agent \
         invite {name} --rejoin`"
    )]
    NameTaken { name: HostName, node: NodeId },
    #[error("node {node} is {name} already")]
    NodeTaken { name: HostName, node: NodeId },
    #[error("{name} has enrolled as node {node}, and who rejoins keeps his id")]
    OtherNode { name: HostName, node: NodeId },
    #[error("no agent has enrolled as {0}, so none can rejoin under that name")]
    NobodyToRejoin(HostName),
    #[error("an invitation lives at least a minute and at most {} days", LONGEST_INVITATION_LIFE.as_hours() / 24)]
    Life,
    #[error("the store failed")]
    Store(#[from] StoreError),
}

/// Why somebody with an invitation is not enrolled. The texts are for the person at the host.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// Also for a wrong secret: whoever guesses learns nothing.
    #[error(
        "the coordinator knows no such invitation; it may have been withdrawn. Ask for a new one: `bricklayer agent invite NAME`"
    )]
    UnknownInvitation,
    #[error(
        "the invitation for {name} expired at {expired:.0}, and it is {now:.0} on the coordinator. Ask for a new one: \
         `bricklayer agent invite {name}`"
    )]
    Expired { name: HostName, expired: Timestamp, now: Timestamp },
    #[error(
        "the invitation for {name} was used at {at:.0} with another key, and an invitation is good for one use. If that \
         was not this host, somebody else has it: `bricklayer agent revoke {name}`. Then ask for a new one: `bricklayer \
         agent invite {name} --rejoin`"
    )]
    Used { name: HostName, at: Timestamp },
    #[error("{name} has enrolled meanwhile by another invitation (node {node})")]
    NameTaken { name: HostName, node: NodeId },
    #[error(
        "this host has the machine id of {name} (node {node}): it is a copy of it. Give it one of its own (`rm \
         /etc/machine-id && systemd-machine-id-setup`, then restart) and enrol again; if it is {name}, reinstalled, ask \
         for `bricklayer agent invite {name} --rejoin`"
    )]
    Clone { name: HostName, node: NodeId },
    #[error("the host has no machine id (/etc/machine-id is empty): `systemd-machine-id-setup` makes one")]
    NoMachineId,
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error("the store failed")]
    Store(#[from] StoreError),
}

#[derive(Debug, thiserror::Error)]
pub enum RevokeError {
    #[error("no agent has enrolled for node {0}")]
    Unknown(NodeId),
    #[error("the store failed")]
    Store(#[from] StoreError),
}

/// Why a certificate that our authority signed is not enough. The texts are for the person at the host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unwelcome {
    #[error("no certificate was shown; `bricklayer-agent enroll TOKEN` gets one")]
    NoCertificate,
    #[error("the certificate is not an agent's of this installation: {0}")]
    NotOurs(String),
    #[error("node {0} is not known to this coordinator")]
    UnknownNode(NodeId),
    #[error("{name} was revoked at {at:.0}. To let it come back: `bricklayer agent invite {name} --rejoin`")]
    Revoked { name: HostName, at: Timestamp },
    #[error("{name} has enrolled anew since this certificate was made; another machine may be using its name")]
    Superseded { name: HostName },
    #[error(
        "the certificate of {name} expired at {at:.0}, and it is {now:.0} on the coordinator; only a renewal is open to \
         it, until {until:.0}"
    )]
    Expired { name: HostName, at: Timestamp, until: Timestamp, now: Timestamp },
    #[error(
        "the certificate of {name} expired at {at:.0}, more than {} days before {now:.0}, the time on the coordinator. \
         It has to enrol again: `bricklayer agent invite {name} --rejoin`", GRACE.as_hours() / 24
    )]
    LongExpired { name: HostName, at: Timestamp, now: Timestamp },
    #[error(
        "the certificate of {name} is valid from {from:.0} on, and it is {now:.0} on the coordinator: the coordinator's \
         clock is behind by at least {} s", from.as_second() - now.as_second()
    )]
    NotYet { name: HostName, from: Timestamp, now: Timestamp },
}

/// The other end of a connection, as its certificate tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    pub node: NodeId,
    pub series: u32,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
}

impl Caller {
    /// Reads the claims of a certificate; whether they are true is checked in the handshake.
    pub fn read(der: &[u8], installation: InstallationId) -> Result<Self, Unwelcome> {
        let not_ours = |why: &dyn ToString| Unwelcome::NotOurs(why.to_string());
        let claims = Claims::read(der).map_err(|error: NotOurs| not_ours(&error))?;
        if claims.identity.installation != installation {
            return Err(not_ours(&format!("it names {}", claims.identity)));
        }
        let Role::Agent(node) = claims.identity.role else {
            return Err(not_ours(&format!("it names {}", claims.identity)));
        };
        let time = |second| Timestamp::from_second(second).map_err(|error| not_ours(&error));
        Ok(Self {
            node,
            series: claims.serial.series(),
            not_before: time(claims.not_before)?,
            not_after: time(claims.not_after)?,
        })
    }
}

/// What is durable, for readers.
#[derive(Clone, Debug, Default)]
struct Known {
    agents: BTreeMap<NodeId, AgentRecord>,
    invitations: BTreeMap<InvitationId, InvitationRecord>,
}

impl Known {
    fn by_name(&self, name: &str) -> Option<(NodeId, &AgentRecord)> {
        self.agents.iter().find(|(_, agent)| agent.name.as_str() == name).map(|(node, agent)| (*node, agent))
    }
}

/// The installation's trust.
pub struct Trust {
    store: Store,
    authority: Authority,
    installation: InstallationRecord,
    addresses: Vec<String>,
    clock: Clock,
    durable: ArcSwap<Known>,
    /// The records of agents are lost and being rebuilt: see [`Trust::taking_back`].
    takes_back: bool,
    /// Held from a decision until it is durable, so that of two uses of one invitation the second sees the first.
    deciding: Mutex<()>,
}

impl Trust {
    /// Makes a new installation. Goes on where a crash cut it off; refuses where there is one.
    pub fn found(store: &Store, authority_dir: &Path, clock: &Clock) -> Result<InstallationId, TrustError> {
        if let Some(installation) = store.get(&INSTALLATION, &())? {
            return Err(TrustError::Founded(installation.id));
        }
        let authority = if Authority::exists(authority_dir) {
            Authority::load(authority_dir)?
        } else {
            Authority::create(authority_dir, InstallationId::random(), clock.now())?
        };
        let id = authority.installation();
        let mut batch = Batch::new();
        batch.put(&INSTALLATION, &(), &InstallationRecord { id, epoch: 0, created: clock.now() });
        store.commit_blocking(batch)?;
        Ok(id)
    }

    /// Reads who is trusted and raises the epoch, durably.
    pub fn open(store: Store, authority_dir: &Path, start: Start) -> Result<Arc<Self>, TrustError> {
        for address in &start.addresses {
            let port = address.rsplit_once(':').and_then(|(host, port)| (!host.is_empty()).then_some(port));
            if address.len() > Token::LONGEST_ADDRESS || port.and_then(|port| port.parse::<u16>().ok()).is_none() {
                return Err(TrustError::Address(address.clone()));
            }
        }
        if start.addresses.is_empty() || start.addresses.len() > Token::MOST_ADDRESSES {
            return Err(TrustError::Address(start.addresses.join(",")));
        }
        let Some(mut installation) = store.get(&INSTALLATION, &())? else { return Err(TrustError::NotFounded) };
        let authority = Authority::load(authority_dir)?;
        if authority.installation() != installation.id {
            let (authority, store) = (authority.installation(), installation.id);
            return Err(TrustError::OtherInstallation { authority, store });
        }
        installation.epoch = (installation.epoch + 1).max(start.epoch_at_least);
        let mut batch = Batch::new();
        batch.put(&INSTALLATION, &(), &installation);
        store.commit_blocking(batch)?;
        let known = Known {
            agents: store.scan(&AGENTS)?.into_iter().collect(),
            invitations: store.scan(&INVITATIONS)?.into_iter().collect(),
        };
        Ok(Arc::new(Self {
            store,
            authority,
            installation,
            addresses: start.addresses,
            clock: start.clock,
            durable: ArcSwap::from_pointee(known),
            takes_back: false,
            deciding: Mutex::new(()),
        }))
    }

    /// The trust of an installation whose store is lost, for as long as it is rebuilt. Whoever shows an agent's
    /// certificate of ours is let in to say what it knows, those that were revoked among them: what they say is not
    /// believed. Nobody can enrol, and a renewed certificate keeps its number.
    ///
    /// `scratch`: a store that is thrown away afterwards.
    pub fn taking_back(scratch: Store, authority_dir: &Path, start: Start) -> Result<Arc<Self>, TrustError> {
        let authority = Authority::load(authority_dir)?;
        let installation = InstallationRecord { id: authority.installation(), epoch: 0, created: start.clock.now() };
        Ok(Arc::new(Self {
            store: scratch,
            authority,
            installation,
            addresses: start.addresses,
            clock: start.clock,
            durable: ArcSwap::default(),
            takes_back: true,
            deciding: Mutex::new(()),
        }))
    }

    #[must_use]
    pub fn takes_back(&self) -> bool {
        self.takes_back
    }

    /// Makes a record of an agent that nothing is known of but its certificate. Only while records are rebuilt.
    pub(crate) fn take_back(&self, caller: &Caller, name: Option<HostName>) {
        if !self.takes_back {
            return;
        }
        self.durable.rcu(|known| {
            let mut after = Known::clone(known);
            let record = taken_back(caller, name.clone());
            let newest = after.agents.get(&caller.node).is_none_or(|before| before.series <= record.series);
            if newest {
                after.agents.insert(caller.node, record);
            }
            after
        });
    }

    /// Writes the records of an installation into a store that has none yet.
    pub fn rebuilt(
        store: &Store,
        installation: InstallationRecord,
        agents: &BTreeMap<NodeId, AgentRecord>,
    ) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        batch.put(&INSTALLATION, &(), &installation);
        for (node, agent) in agents {
            batch.put(&AGENTS, node, agent);
        }
        store.commit_blocking(batch).map(drop)
    }

    /// The store was made of an export: agents may have met later starts than it knows of, and would refuse this one.
    /// Whoever imports has decided that this is the coordinator; a copied directory that starts by accident has not.
    pub fn restored(store: &Store, now: Timestamp) -> Result<(), TrustError> {
        let Some(mut installation) = store.get(&INSTALLATION, &())? else { return Err(TrustError::NotFounded) };
        installation.epoch = epoch_above_all(installation.epoch, now);
        let mut batch = Batch::new();
        batch.put(&INSTALLATION, &(), &installation);
        store.commit_blocking(batch)?;
        Ok(())
    }

    #[must_use]
    pub fn installation(&self) -> InstallationId {
        self.installation.id
    }

    /// This start of the coordinator, in every task and in the greeting of every agent.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.installation.epoch
    }

    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Invites a host. An unused invitation for the same name is withdrawn by it: its line has most likely been lost.
    pub async fn invite(&self, wanted: NewInvitation) -> Result<Invitation, InviteError> {
        if wanted.life < SignedDuration::from_mins(1) || wanted.life > LONGEST_INVITATION_LIFE {
            return Err(InviteError::Life);
        }
        let _deciding = self.deciding.lock().await;
        let known = self.durable.load_full();
        let now = self.clock.now();
        let mut after = Known::clone(&known);
        let mut batch = Batch::new();
        let mut node = NodeId::random();
        match (known.by_name(wanted.name.as_str()), wanted.rejoin) {
            (Some((node, _)), false) => return Err(InviteError::NameTaken { name: wanted.name, node }),
            (None, true) => return Err(InviteError::NobodyToRejoin(wanted.name)),
            (Some((enrolled, _)), true) => {
                if wanted.node.is_some_and(|node| node != enrolled) {
                    return Err(InviteError::OtherNode { name: wanted.name, node: enrolled });
                }
                node = enrolled;
            }
            (None, false) => {}
        }
        if let Some(id) = wanted.node.filter(|_| !wanted.rejoin) {
            let invited = known.invitations.values().filter(|open| open.used.is_none() && open.expires >= now);
            let invited = invited.filter(|open| open.name != wanted.name).find(|open| open.node == id);
            let taken = known.agents.get(&id).map(|agent| &agent.name).or(invited.map(|open| &open.name));
            if let Some(name) = taken {
                return Err(InviteError::NodeTaken { name: name.clone(), node: id });
            }
            node = id;
        }
        for (id, older) in &known.invitations {
            let open_for_same_name = older.used.is_none() && older.name == wanted.name;
            if open_for_same_name && !wanted.rejoin && wanted.node.is_none() {
                node = older.node;
            }
            if open_for_same_name || older.expires + REMEMBERED < now {
                after.invitations.remove(id);
                batch.remove(&INVITATIONS, id);
            }
        }
        let id = InvitationId::random();
        let secret = Secret::from_bytes(rand::random());
        let expires = now + wanted.life;
        let record = InvitationRecord {
            node,
            name: wanted.name.clone(),
            zone: wanted.zone,
            secret_hash: hash(secret.expose()),
            created: now,
            expires,
            rejoin: wanted.rejoin,
            used: None,
        };
        batch.put(&INVITATIONS, &id, &record);
        after.invitations.insert(id, record);
        self.store.commit(batch).await?;
        self.durable.store(Arc::new(after));
        tracing::info!(invitation.id = %id, node.id = %node, node.name = %wanted.name, "an agent was invited");
        let pins = vec![self.authority.pin()];
        let line = Token { invitation: id, secret, pins, addresses: self.addresses.clone() }.to_line();
        Ok(Invitation { id, node, name: wanted.name, expires, line })
    }

    /// Invitations that were not used, and those that were used or expired lately; the newest first.
    #[must_use]
    pub fn invitations(&self) -> Vec<OpenInvitation> {
        let mut all: Vec<_> = self
            .durable
            .load()
            .invitations
            .iter()
            .map(|(id, record)| OpenInvitation {
                id: *id,
                node: record.node,
                name: record.name.clone(),
                zone: record.zone,
                created: record.created,
                expires: record.expires,
                rejoin: record.rejoin,
                used: record.used.as_ref().map(|used| used.at),
            })
            .collect();
        all.sort_by_key(|invitation| std::cmp::Reverse(invitation.created));
        all
    }

    /// Withdraws an invitation; `false` where there is none to withdraw. One that was used stays: see [`Self::revoke`].
    pub async fn uninvite(&self, id: InvitationId) -> Result<bool, StoreError> {
        let _deciding = self.deciding.lock().await;
        let mut after = Known::clone(&self.durable.load());
        if after.invitations.get(&id).is_none_or(|invitation| invitation.used.is_some()) {
            return Ok(false);
        }
        after.invitations.remove(&id);
        let mut batch = Batch::new();
        batch.remove(&INVITATIONS, &id);
        self.store.commit(batch).await?;
        self.durable.store(Arc::new(after));
        tracing::info!(invitation.id = %id, "an invitation was withdrawn");
        Ok(true)
    }

    /// Makes an agent of whoever holds the secret of an invitation. The answer may be lost and asked for again.
    pub async fn enrol(&self, request: &EnrollRequest) -> Result<EnrollReply, EnrolError> {
        let _deciding = self.deciding.lock().await;
        let known = self.durable.load_full();
        let now = self.clock.now();
        let invitation = known.invitations.get(&request.invitation).ok_or(EnrolError::UnknownInvitation)?;
        let offered = hash(request.secret.expose());
        if !bool::from(offered.as_bytes().ct_eq(invitation.secret_hash.as_bytes())) {
            tracing::warn!(invitation.id = %request.invitation, "somebody tried an invitation with a wrong secret");
            return Err(EnrolError::UnknownInvitation);
        }
        // From here on the caller holds the invitation, and may be told about it.
        let name = invitation.name.clone();
        let csr_hash = hash(&request.csr);
        if let Some(used) = &invitation.used {
            if used.csr_hash == csr_hash && now <= used.at + REPEAT_WINDOW {
                let certificate = BASE64_STANDARD.decode(&used.certificate).unwrap_or_default();
                return Ok(self.reply(invitation, certificate));
            }
            tracing::warn!(
                invitation.id = %request.invitation, node.id = %invitation.node, node.name = %name,
                "a used invitation was tried again with another key, or too late"
            );
            return Err(EnrolError::Used { name, at: used.at });
        }
        if now > invitation.expires {
            return Err(EnrolError::Expired { name, expired: invitation.expires, now });
        }
        if request.machine_id.is_empty() {
            return Err(EnrolError::NoMachineId);
        }
        if let Some((node, _)) = known.by_name(name.as_str())
            && (node != invitation.node || !invitation.rejoin)
        {
            return Err(EnrolError::NameTaken { name, node });
        }
        let twin = known.agents.iter().find(|(node, agent)| {
            **node != invitation.node && agent.revoked.is_none() && agent.machine_id == request.machine_id
        });
        if let Some((node, agent)) = twin {
            tracing::warn!(node.id = %node, node.name = %agent.name, "a copy of this machine tried to enrol as {name}");
            return Err(EnrolError::Clone { name: agent.name.clone(), node: *node });
        }

        let before = known.agents.get(&invitation.node);
        let series = before.map_or(0, |agent| agent.series) + 1;
        let issued = self.authority.sign_request(&request.csr, Role::Agent(invitation.node), series, now)?;
        let agent = AgentRecord {
            name: name.clone(),
            zone: invitation.zone.or(before.and_then(|agent| agent.zone)),
            machine_id: request.machine_id.clone(),
            enrolled: now,
            series,
            lowest_series: series,
            certificate_expires: issued.expires,
            revoked: None,
        };
        let used = Used { at: now, csr_hash, certificate: BASE64_STANDARD.encode(&issued.der) };
        let spent = InvitationRecord { used: Some(used), ..invitation.clone() };
        let mut batch = Batch::new();
        batch.put(&AGENTS, &spent.node, &agent).put(&INVITATIONS, &request.invitation, &spent);
        self.store.commit(batch).await?;
        let mut after = Known::clone(&known);
        after.agents.insert(spent.node, agent);
        let reply = self.reply(&spent, issued.der.to_vec());
        after.invitations.insert(request.invitation, spent);
        self.durable.store(Arc::new(after));
        tracing::info!(node.id = %reply.node, node.name = %name, "an agent enrolled");
        Ok(reply)
    }

    fn reply(&self, invitation: &InvitationRecord, certificate: Vec<u8>) -> EnrollReply {
        EnrollReply {
            installation: self.installation.id,
            node: invitation.node,
            name: invitation.name.clone(),
            credentials: self.credentials(certificate),
        }
    }

    fn credentials(&self, certificate: Vec<u8>) -> Credentials {
        let authorities = vec![self.authority.certificate().to_vec()];
        Credentials { certificate, authorities, addresses: self.addresses.clone() }
    }

    /// A new certificate for a caller that [`Self::may_renew`].
    pub async fn renew(&self, node: NodeId, csr: &[u8]) -> Result<Credentials, EnrolError> {
        let _deciding = self.deciding.lock().await;
        let mut after = Known::clone(&self.durable.load());
        let agent = after.agents.get_mut(&node).ok_or(EnrolError::UnknownInvitation)?;
        if !self.takes_back {
            agent.series += 1;
        }
        let Issued { der, expires } =
            self.authority.sign_request(csr, Role::Agent(node), agent.series, self.clock.now())?;
        agent.certificate_expires = expires;
        let mut batch = Batch::new();
        batch.put(&AGENTS, &node, agent);
        self.store.commit(batch).await?;
        tracing::info!(node.id = %node, node.name = %agent.name, "an agent renewed its certificate");
        self.durable.store(Arc::new(after));
        Ok(self.credentials(der.to_vec()))
    }

    /// Ends an agent's trust, durably; its certificates are refused from now on. The caller closes its stream.
    /// `false` where it was revoked before.
    pub(crate) async fn revoke(&self, node: NodeId) -> Result<bool, RevokeError> {
        let _deciding = self.deciding.lock().await;
        let mut after = Known::clone(&self.durable.load());
        let agent = after.agents.get_mut(&node).ok_or(RevokeError::Unknown(node))?;
        if agent.revoked.is_some() {
            return Ok(false);
        }
        agent.revoked = Some(self.clock.now());
        let mut batch = Batch::new();
        batch.put(&AGENTS, &node, agent);
        tracing::info!(node.id = %node, node.name = %agent.name, "an agent was revoked");
        self.store.commit(batch).await?;
        self.durable.store(Arc::new(after));
        Ok(true)
    }

    /// For the handshake and every message: is this still somebody's certificate? Says nothing about its time.
    pub fn knows(&self, caller: &Caller) -> Result<(), Unwelcome> {
        self.judge(caller, |_| Ok(()))
    }

    /// Asked several times for each message, so nothing is copied where all is well.
    fn judge(
        &self,
        caller: &Caller,
        judge: impl FnOnce(&AgentRecord) -> Result<(), Unwelcome>,
    ) -> Result<(), Unwelcome> {
        let trust = self.durable.load();
        let unheard = if self.takes_back { Some(taken_back(caller, None)) } else { None };
        let agent = trust.agents.get(&caller.node).or(unheard.as_ref());
        let agent = agent.ok_or(Unwelcome::UnknownNode(caller.node))?;
        if let Some(at) = agent.revoked {
            return Err(Unwelcome::Revoked { name: agent.name.clone(), at });
        }
        if caller.series < agent.lowest_series {
            return Err(Unwelcome::Superseded { name: agent.name.clone() });
        }
        judge(agent)
    }

    /// For everything but renewal.
    pub fn may_attach(&self, caller: &Caller) -> Result<(), Unwelcome> {
        self.may_renew(caller)?;
        let now = self.clock.now();
        self.judge(caller, |agent| {
            if now > caller.not_after {
                let (at, until) = (caller.not_after, caller.not_after + GRACE);
                return Err(Unwelcome::Expired { name: agent.name.clone(), at, until, now });
            }
            Ok(())
        })
    }

    /// An expired certificate is good for this for a while.
    pub fn may_renew(&self, caller: &Caller) -> Result<(), Unwelcome> {
        let now = self.clock.now();
        self.judge(caller, |agent| {
            if now < caller.not_before {
                return Err(Unwelcome::NotYet { name: agent.name.clone(), from: caller.not_before, now });
            }
            if now > caller.not_after + GRACE {
                return Err(Unwelcome::LongExpired { name: agent.name.clone(), at: caller.not_after, now });
            }
            Ok(())
        })
    }

    pub(crate) fn agent(&self, node: NodeId) -> Option<AgentRecord> {
        self.durable.load().agents.get(&node).cloned()
    }

    /// Of each node whether it has an agent that was not revoked.
    pub(crate) fn trusted(&self, nodes: &[NodeId]) -> Vec<bool> {
        let trust = self.durable.load();
        nodes.iter().map(|node| trust.agents.get(node).is_some_and(|agent| agent.revoked.is_none())).collect()
    }

    #[must_use]
    pub fn agents(&self) -> Vec<(NodeId, AgentRecord)> {
        self.durable.load().agents.iter().map(|(node, agent)| (*node, agent.clone())).collect()
    }

    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<NodeId> {
        self.durable.load().by_name(name).map(|(node, _)| node)
    }
}

/// An epoch above all that hosts can have met, though only `known` is known. Of the clock, too: a second import of one export has to
/// be above the starts of the first, and nothing starts once in a microsecond. A clock that is set back costs no more than that.
#[must_use]
pub fn epoch_above_all(known: u64, now: Timestamp) -> u64 {
    known.saturating_add(STARTS_UNSEEN).max(u64::try_from(now.as_microsecond()).unwrap_or(0))
}

/// What a certificate says of its agent. The name under which the host enrolled is not in it.
fn taken_back(caller: &Caller, name: Option<HostName>) -> AgentRecord {
    let name = name.or_else(|| format!("node-{}", caller.node).parse().ok());
    AgentRecord {
        name: name.expect("an id is a host's name"),
        zone: None,
        machine_id: String::new(),
        enrolled: caller.not_before,
        series: caller.series,
        lowest_series: caller.series,
        certificate_expires: caller.not_after,
        revoked: None,
    }
}

fn hash(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
