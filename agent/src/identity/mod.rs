//! Who this agent is, and how it knows its coordinator.
//!
//! Owns the agent's key, its certificate and the authorities that it accepts: one file, so that a key and the
//! certificate for it are replaced in one step. Must never let the key be read by others, never send anything to a
//! server that it has not verified, and never look at host names to do so. Read [`Identity`], then [`enrol`].

mod dial;
mod enrol;
mod machine;
mod tls;

use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};

use bricklayer_proto::identity::{self, Role};
use bricklayer_proto::ids::{InstallationId, InvitationId, NodeId};
use bricklayer_proto::names::HostName;
use bricklayer_proto::wire::certificate::{Claims, NotOurs, public_key};
use bricklayer_proto::wire::{Credentials, EnrollReply};
use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData as _};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

pub use dial::{DialError, Line, dial};
pub use enrol::{EnrolError, Enrolment, enrol};
pub use machine::machine_id;
pub use tls::{Clock, Distrust};

use crate::tools::files;

const FILE: &str = "identity.json";
const PENDING: &str = "pending.json";
const FORMAT: u32 = 1;

#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error(
        "this host has not enrolled ({file} is not there). On the coordinator: `bricklayer agent invite NAME`; here: \
         `bricklayer-agent enroll TOKEN`"
    )]
    NotEnrolled { file: Utf8PathBuf },
    #[error(
        "{file} can be read by others (mode {mode:04o}, owner {owner}), and a key that others may have read is no \
         secret. If you are certain that nobody has: `chown {us} {file} && chmod 600 {file}`; else enrol anew with \
         `bricklayer-agent enroll --replace TOKEN`"
    )]
    Loose { file: Utf8PathBuf, mode: u32, owner: u32, us: u32 },
    #[error("{file} is not an identity that this program can use: {why}")]
    Unusable { file: Utf8PathBuf, why: String },
    #[error("{doing} {file} failed")]
    Io {
        doing: &'static str,
        file: Utf8PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("a key could not be made")]
    Key(#[from] rcgen::Error),
}

impl IdentityError {
    fn io(doing: &'static str, file: &Utf8Path) -> impl FnOnce(io::Error) -> Self {
        let file = file.to_owned();
        move |source| Self::Io { doing, file, source }
    }
}

/// What an enrolled agent knows of itself and of its coordinator.
#[derive(Clone)]
pub struct Identity {
    pub installation: InstallationId,
    pub node: NodeId,
    pub name: HostName,
    /// `host:port`, in the order in which they are tried.
    pub addresses: Vec<String>,
    key: SecretString,
    certificate: CertificateDer<'static>,
    authorities: Vec<CertificateDer<'static>>,
    not_before: Timestamp,
    not_after: Timestamp,
}

/// The file, as a person may look at it.
#[derive(Serialize, Deserialize)]
struct Stored {
    format: u32,
    installation: InstallationId,
    node: NodeId,
    name: HostName,
    addresses: Vec<String>,
    certificate: String,
    authorities: Vec<String>,
    key: String,
}

/// A certificate that its receiver will not use.
#[derive(Debug, thiserror::Error)]
pub enum BadCredentials {
    #[error("the certificate cannot be used: {0}")]
    Unreadable(#[from] NotOurs),
    #[error("the certificate names {found}, not {expected}")]
    Name { found: identity::Identity, expected: identity::Identity },
    #[error("the certificate is for another key than the one that was asked for")]
    Key,
    #[error("the certificate is not signed by an authority that this agent accepts")]
    Authority(#[source] rustls::Error),
    #[error("no authority and no address came with the certificate")]
    Incomplete,
}

/// A key that was made just now, and the request for a certificate for it.
pub struct NewKey {
    key: KeyPair,
    csr: Vec<u8>,
}

impl NewKey {
    pub fn make() -> Result<Self, IdentityError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        // Its names would be ignored, so it has none.
        let csr = CertificateParams::default().serialize_request(&key)?.der().to_vec();
        Ok(Self { key, csr })
    }

    #[must_use]
    pub fn csr(&self) -> &[u8] {
        &self.csr
    }
}

impl Identity {
    #[must_use]
    pub fn dir(data_dir: &Utf8Path) -> Utf8PathBuf {
        data_dir.join("identity")
    }

    /// Reads the identity, and refuses one whose key others can read.
    pub fn load(data_dir: &Utf8Path) -> Result<Self, IdentityError> {
        let file = Self::dir(data_dir).join(FILE);
        let Some(text) = read_private(&file)? else { return Err(IdentityError::NotEnrolled { file }) };
        let unusable = |why: String| IdentityError::Unusable { file: file.clone(), why };
        let stored: Stored = serde_json::from_str(&text).map_err(|error| unusable(error.to_string()))?;
        if stored.format != FORMAT {
            return Err(unusable(format!("it has format {}, this program knows format {FORMAT}", stored.format)));
        }
        let der =
            |pem: &String| CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|error| unusable(error.to_string()));
        let certificate = der(&stored.certificate)?;
        let claims = Claims::read(&certificate).map_err(|error| unusable(error.to_string()))?;
        let expected = identity::Identity { installation: stored.installation, role: Role::Agent(stored.node) };
        if claims.identity != expected {
            return Err(unusable(format!("its certificate names {}, not {expected}", claims.identity)));
        }
        let time = |second| Timestamp::from_second(second).map_err(|error| unusable(error.to_string()));
        Ok(Self {
            installation: stored.installation,
            node: stored.node,
            name: stored.name,
            addresses: stored.addresses,
            key: stored.key.into(),
            certificate,
            authorities: stored.authorities.iter().map(der).collect::<Result<_, _>>()?,
            not_before: time(claims.not_before)?,
            not_after: time(claims.not_after)?,
        })
    }

    /// Replaces the identity on the disk, durably and in one step.
    pub fn save(&self, data_dir: &Utf8Path) -> Result<(), IdentityError> {
        let stored = Stored {
            format: FORMAT,
            installation: self.installation,
            node: self.node,
            name: self.name.clone(),
            addresses: self.addresses.clone(),
            certificate: to_pem(&self.certificate),
            authorities: self.authorities.iter().map(to_pem).collect(),
            key: self.key.expose_secret().to_owned(),
        };
        write_private(data_dir, FILE, &stored)
    }

    /// What an enrolment answered, checked as if the coordinator could err.
    pub(crate) fn enrolled(reply: EnrollReply, key: &NewKey) -> Result<Self, BadCredentials> {
        let authorities: Vec<_> = reply.credentials.authorities.iter().cloned().map(CertificateDer::from).collect();
        let owner = identity::Identity { installation: reply.installation, role: Role::Agent(reply.node) };
        let claims = check(&reply.credentials, &authorities, owner, key)?;
        Ok(Self {
            installation: reply.installation,
            node: reply.node,
            name: reply.name,
            addresses: reply.credentials.addresses,
            key: key.key.serialize_pem().into(),
            certificate: reply.credentials.certificate.into(),
            authorities,
            not_before: Timestamp::from_second(claims.not_before).unwrap_or(Timestamp::UNIX_EPOCH),
            not_after: Timestamp::from_second(claims.not_after).unwrap_or(Timestamp::UNIX_EPOCH),
        })
    }

    /// The same agent with a new key: the new certificate has to be signed by an authority that is accepted already.
    pub fn renewed(&self, credentials: Credentials, key: &NewKey) -> Result<Self, BadCredentials> {
        let claims = check(&credentials, &self.authorities, self.uri(), key)?;
        Ok(Self {
            addresses: credentials.addresses,
            key: key.key.serialize_pem().into(),
            certificate: credentials.certificate.into(),
            authorities: credentials.authorities.into_iter().map(CertificateDer::from).collect(),
            not_before: Timestamp::from_second(claims.not_before).unwrap_or(Timestamp::UNIX_EPOCH),
            not_after: Timestamp::from_second(claims.not_after).unwrap_or(Timestamp::UNIX_EPOCH),
            ..self.clone()
        })
    }

    #[must_use]
    pub fn uri(&self) -> identity::Identity {
        identity::Identity { installation: self.installation, role: Role::Agent(self.node) }
    }

    #[must_use]
    pub fn valid_from(&self) -> Timestamp {
        self.not_before
    }

    #[must_use]
    pub fn expires(&self) -> Timestamp {
        self.not_after
    }

    /// Whether both are made from the same certificate.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.certificate == other.certificate && self.addresses == other.addresses
    }

    pub(crate) fn private_key(&self) -> Result<PrivateKeyDer<'static>, rustls::Error> {
        PrivateKeyDer::from_pem_slice(self.key.expose_secret().as_bytes())
            .map_err(|error| rustls::Error::General(format!("the agent's key cannot be read: {error}")))
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("uri", &self.uri().to_string()).field("expires", &self.not_after).finish()
    }
}

fn check(
    credentials: &Credentials,
    authorities: &[CertificateDer<'static>],
    owner: identity::Identity,
    key: &NewKey,
) -> Result<Claims, BadCredentials> {
    if authorities.is_empty() || credentials.addresses.is_empty() {
        return Err(BadCredentials::Incomplete);
    }
    let certificate = CertificateDer::from(credentials.certificate.as_slice());
    let claims = Claims::read(&certificate)?;
    if claims.identity != owner {
        return Err(BadCredentials::Name { found: claims.identity, expected: owner });
    }
    if public_key(&certificate)? != key.key.subject_public_key_info() {
        return Err(BadCredentials::Key);
    }
    tls::verify_own(&certificate, authorities, &claims).map_err(BadCredentials::Authority)?;
    Ok(claims)
}

/// A key that waits for the answer to an enrolment: if the answer is lost, the same request is sent again.
#[derive(Serialize, Deserialize)]
struct Pending {
    invitation: InvitationId,
    key: String,
    csr: String,
}

impl Pending {
    fn load(data_dir: &Utf8Path) -> Result<Option<Self>, IdentityError> {
        let text = read_private(&Identity::dir(data_dir).join(PENDING))?;
        // One that cannot be read is worth nothing: a new key takes its place.
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    fn save(&self, data_dir: &Utf8Path) -> Result<(), IdentityError> {
        write_private(data_dir, PENDING, self)
    }

    fn remove(data_dir: &Utf8Path) -> Result<(), IdentityError> {
        let file = Identity::dir(data_dir).join(PENDING);
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(IdentityError::io("removing", &file)(error)),
            _ => Ok(()),
        }
    }
}

fn to_pem(certificate: &CertificateDer<'static>) -> String {
    use base64::Engine as _;
    let text = base64::prelude::BASE64_STANDARD.encode(certificate);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

/// `None` where there is no such file.
fn read_private(file: &Utf8Path) -> Result<Option<String>, IdentityError> {
    let metadata = match std::fs::metadata(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(IdentityError::io("reading", file))?,
    };
    let (mode, owner, us) = (metadata.mode() & 0o7777, metadata.uid(), rustix::process::geteuid().as_raw());
    if mode & 0o077 != 0 || owner != us {
        return Err(IdentityError::Loose { file: file.to_owned(), mode, owner, us });
    }
    std::fs::read_to_string(file).map(Some).map_err(IdentityError::io("reading", file))
}

fn write_private(data_dir: &Utf8Path, name: &str, content: &impl Serialize) -> Result<(), IdentityError> {
    let dir = Identity::dir(data_dir);
    let file = dir.join(name);
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(IdentityError::io("making", &dir))?;
    let write = || {
        let mut json = serde_json::to_vec_pretty(content)?;
        json.push(b'\n');
        files::replace(&file, &json, 0o600)?;
        files::sync_folder(data_dir)
    };
    write().map_err(IdentityError::io("writing", &file))
}
