//! Makes an agent of this host: verify the coordinator by the invitation, and only then say anything to it.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bricklayer_proto::wire::token::Token;
use bricklayer_proto::wire::v1::enrolment_client::EnrolmentClient;
use bricklayer_proto::wire::{EnrollReply, EnrollRequest, MAX_ENROL, NotUnderstood, v1};
use camino::{Utf8Path, Utf8PathBuf};
use rcgen::KeyPair;

use super::dial::{DialError, Line, dial};
use super::tls::{self, Clock, Distrust};
use super::{BadCredentials, Identity, IdentityError, NewKey, Pending};

/// How this host enrols.
#[derive(Debug)]
pub struct Enrolment<'a> {
    pub token: &'a Token,
    pub data_dir: &'a Utf8Path,
    pub machine_id: String,
    /// Give up the identity that this host has already.
    pub replace: bool,
    pub clock: Clock,
}

#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    #[error(
        "this host has enrolled as {name} (node {node}) already. If it is to enrol anew, ask for `bricklayer agent \
         invite {name} --rejoin` and add --replace here", name = .0.name, node = .0.node
    )]
    Enrolled(Box<Identity>),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Nobody was believed, so nothing was sent.
    #[error("no coordinator was found; nothing was sent to anybody:{}", each(.0))]
    Nobody(Vec<(String, DialError)>),
    /// A server that is not ours stands where ours should be.
    #[error("the server at {address} is not believed, and nothing was sent to it: {distrust}")]
    Distrusted { address: String, distrust: Distrust },
    #[error("the coordinator refused: {0}")]
    Refused(String),
    #[error("the coordinator at {address} did not answer ({why}); run the same command again: the invitation holds")]
    Unanswered { address: String, why: String },
    #[error("the coordinator's answer was not understood")]
    Answer(#[from] NotUnderstood),
    #[error("the coordinator's answer cannot be used")]
    Credentials(#[from] BadCredentials),
    #[error("TLS could not be set up")]
    Tls(#[from] rustls::Error),
    #[error("{dir} belongs to node {node}, and could not be set aside")]
    Journal {
        dir: Utf8PathBuf,
        node: String,
        #[source]
        source: std::io::Error,
    },
}

fn each(tried: &[(String, DialError)]) -> String {
    tried.iter().map(|(address, error)| format!("\n  {address}: {error}")).collect()
}

/// Enrols this host and writes its identity down. Safe to repeat with the same invitation if the answer was lost.
pub async fn enrol(wanted: Enrolment<'_>) -> Result<Identity, EnrolError> {
    let before = match Identity::load(wanted.data_dir) {
        Ok(identity) if !wanted.replace => return Err(EnrolError::Enrolled(Box::new(identity))),
        Ok(identity) => Some(identity),
        Err(IdentityError::NotEnrolled { .. }) => None,
        Err(_) if wanted.replace => None,
        Err(error) => return Err(error.into()),
    };
    let key = pending_key(&wanted)?;
    let config = Arc::new(tls::for_enrolment(&wanted.token.pins, &wanted.clock)?);
    let mut tried = Vec::new();
    for address in &wanted.token.addresses {
        match dial(address, Arc::clone(&config)).await {
            Ok(line) => {
                let reply = ask(&line, address, &wanted, &key).await?;
                let identity = Identity::enrolled(reply, &key)?;
                set_journal_aside(wanted.data_dir, before.as_ref(), &identity)?;
                identity.save(wanted.data_dir)?;
                Pending::remove(wanted.data_dir)?;
                return Ok(identity);
            }
            Err(error) => tried.push((address.clone(), error)),
        }
    }
    // One that pretends says more than one that is down.
    let distrusted = tried.iter().find_map(|(address, error)| match error {
        DialError::Distrusted(distrust) => Some((address.clone(), distrust.clone())),
        _ => None,
    });
    Err(match distrusted {
        Some((address, distrust)) => EnrolError::Distrusted { address, distrust },
        None => EnrolError::Nobody(tried),
    })
}

/// The key that was made for this invitation before, or a new one; on the disk before anybody hears of it.
fn pending_key(wanted: &Enrolment<'_>) -> Result<NewKey, EnrolError> {
    if let Some(pending) = Pending::load(wanted.data_dir)?
        && pending.invitation == wanted.token.invitation
        && let (Ok(key), Ok(csr)) = (KeyPair::from_pem(&pending.key), BASE64_STANDARD.decode(&pending.csr))
    {
        return Ok(NewKey { key, csr });
    }
    let made = NewKey::make()?;
    let (key, csr) = (made.key.serialize_pem(), BASE64_STANDARD.encode(&made.csr));
    Pending { invitation: wanted.token.invitation, key, csr }.save(wanted.data_dir)?;
    Ok(made)
}

async fn ask(line: &Line, address: &str, wanted: &Enrolment<'_>, key: &NewKey) -> Result<EnrollReply, EnrolError> {
    let request = EnrollRequest {
        invitation: wanted.token.invitation,
        secret: wanted.token.secret.clone(),
        csr: key.csr().to_vec(),
        machine_id: wanted.machine_id.clone(),
    };
    let mut client = EnrolmentClient::new(line.channel.clone())
        .max_decoding_message_size(MAX_ENROL)
        .max_encoding_message_size(MAX_ENROL);
    match client.enroll(v1::EnrollRequest::from(request)).await {
        Ok(reply) => Ok(reply.into_inner().try_into()?),
        Err(status) => Err(match status.code() {
            tonic::Code::NotFound
            | tonic::Code::FailedPrecondition
            | tonic::Code::AlreadyExists
            | tonic::Code::InvalidArgument
            | tonic::Code::PermissionDenied
            | tonic::Code::Internal => EnrolError::Refused(status.message().to_owned()),
            _ => EnrolError::Unanswered { address: address.to_owned(), why: status.message().to_owned() },
        }),
    }
}

/// The journal of another node, or of another installation, says nothing to this one; its epochs would even shut the
/// new coordinator out. It is kept, out of the way.
fn set_journal_aside(data_dir: &Utf8Path, before: Option<&Identity>, after: &Identity) -> Result<(), EnrolError> {
    let Some(before) = before.filter(|before| before.uri() != after.uri()) else { return Ok(()) };
    let dir = data_dir.join("journal");
    let aside = data_dir.join(format!("journal-of-{}", before.node));
    match std::fs::rename(&dir, &aside) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(EnrolError::Journal { dir, node: before.node.to_string(), source })
        }
        _ => Ok(()),
    }
}
