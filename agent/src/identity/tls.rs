//! The agent's side of TLS: 1.3 only, and a server is who its certificate's one URI says, whatever its host is called.

use std::sync::Arc;
use std::time::Duration;

use bricklayer_proto::identity::{self, Role};
use bricklayer_proto::ids::InstallationId;
use bricklayer_proto::wire::certificate::{Claims, NotOurs, public_key};
use bricklayer_proto::wire::token::Pin;
use jiff::Timestamp;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::client::{Resumption, WantsClientCert};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    CertificateError, ClientConfig, ConfigBuilder, DigitallySignedStruct, OtherError, PeerMisbehaved, RootCertStore,
    SignatureScheme,
};

use super::Identity;

/// Where the time comes from; tests set it.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    #[must_use]
    pub fn system() -> Self {
        Self::from_fn(Timestamp::now)
    }

    #[must_use]
    pub fn from_fn(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}

/// Why a server is not believed to be our coordinator. The texts are for the person at the host.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Distrust {
    #[error(
        "the server is not the one that made this invitation: its authority has key {}, the invitation is for {}",
        list(shown),
        list(wanted)
    )]
    WrongPin { shown: Vec<Pin>, wanted: Vec<Pin> },
    #[error("the server's certificate is not of Bricklayer's kind: {0}")]
    NotOurs(#[from] NotOurs),
    #[error("the server is {found}, and this agent belongs to installation {wanted}")]
    OtherInstallation { found: identity::Identity, wanted: InstallationId },
    #[error("the server shows the certificate of {0}, which is no coordinator")]
    NotACoordinator(identity::Identity),
    #[error("the server's certificate is not signed by an authority that this agent accepts")]
    Authority(#[source] rustls::Error),
    #[error(
        "the coordinator's certificate is valid from {from:.0} on, and it is {now:.0} on this host: the clock of this \
         host is behind, or the coordinator's ahead, by at least {}", minutes(*now, *from)
    )]
    NotYet { from: Timestamp, now: Timestamp },
    #[error(
        "the coordinator's certificate expired at {at:.0}, and it is {now:.0} on this host: the clock of this host is \
         ahead, or the coordinator's behind, by at least {}", minutes(*at, *now)
    )]
    Expired { at: Timestamp, now: Timestamp },
}

fn list(pins: &[Pin]) -> String {
    if pins.is_empty() {
        return "none that it shows".to_owned();
    }
    pins.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
}

fn minutes(earlier: Timestamp, later: Timestamp) -> String {
    match later.as_second() - earlier.as_second() {
        seconds if seconds < 120 => format!("{seconds} s"),
        seconds if seconds < 7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}

/// Whom to believe.
#[derive(Clone, Debug)]
pub(super) enum Believe {
    /// Before enrolment: any coordinator whose authority has one of these keys.
    Pins(Vec<Pin>),
    /// Afterwards: the coordinator of our installation.
    Installation { id: InstallationId, authorities: Vec<CertificateDer<'static>> },
}

/// For a host that has no certificate yet.
pub(super) fn for_enrolment(pins: &[Pin], clock: &Clock) -> Result<ClientConfig, rustls::Error> {
    Ok(finish(builder(Believe::Pins(pins.to_vec()), clock)?.with_no_client_auth()))
}

impl Identity {
    /// For an agent that shows who it is.
    pub(crate) fn tls(&self, clock: &Clock) -> Result<ClientConfig, rustls::Error> {
        let believe = Believe::Installation { id: self.installation, authorities: self.authorities.clone() };
        let chain = vec![self.certificate.clone()];
        Ok(finish(builder(believe, clock)?.with_client_auth_cert(chain, self.private_key()?)?))
    }
}

fn builder(believe: Believe, clock: &Clock) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier =
        CoordinatorVerifier { believe, clock: clock.clone(), algorithms: provider.signature_verification_algorithms };
    Ok(ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier)))
}

fn finish(mut config: ClientConfig) -> ClientConfig {
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.enable_sni = false;
    // Each connection shows both certificates anew.
    config.resumption = Resumption::disabled();
    config
}

/// A client's certificate, checked against the agent's own roots before it is used.
pub(super) fn verify_own(
    certificate: &CertificateDer<'_>,
    authorities: &[CertificateDer<'static>],
    claims: &Claims,
) -> Result<(), rustls::Error> {
    let provider: Arc<CryptoProvider> = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(authorities)?), provider)
        .build()
        .map_err(|error| rustls::Error::General(error.to_string()))?;
    verifier.verify_client_cert(certificate, &[], at(claims, claims.not_after)).map(drop)
}

fn roots(authorities: &[CertificateDer<'static>]) -> Result<RootCertStore, rustls::Error> {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority.clone())?;
    }
    Ok(roots)
}

/// The time, or the nearest at which the certificate is valid: whether it is so now is a question of its own, answered
/// in words.
fn at(claims: &Claims, now: i64) -> UnixTime {
    let at = now.max(claims.not_before).min(claims.not_after);
    UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(at).unwrap_or(0)))
}

#[derive(Debug)]
struct CoordinatorVerifier {
    believe: Believe,
    clock: Clock,
    algorithms: WebPkiSupportedAlgorithms,
}

impl CoordinatorVerifier {
    fn verify(&self, certificate: &CertificateDer<'_>, chain: &[CertificateDer<'_>]) -> Result<(), Distrust> {
        let authorities = match &self.believe {
            Believe::Installation { authorities, .. } => authorities.clone(),
            Believe::Pins(pins) => {
                let pin = |der: &CertificateDer<'_>| public_key(der).map(|key| Pin::of_public_key(&key));
                let pinned: Vec<_> = chain
                    .iter()
                    .filter(|der| pin(der).is_ok_and(|pin| pins.contains(&pin)))
                    .map(|der| der.clone().into_owned())
                    .collect();
                if pinned.is_empty() {
                    let shown = chain.iter().filter_map(|der| pin(der).ok()).collect();
                    return Err(Distrust::WrongPin { shown, wanted: pins.clone() });
                }
                pinned
            }
        };
        let claims = Claims::read(certificate)?;
        let roots = roots(&authorities).map_err(Distrust::Authority)?;
        let parsed = ParsedCertificate::try_from(certificate).map_err(Distrust::Authority)?;
        let now = self.clock.now();
        let at = at(&claims, now.as_second());
        verify_server_cert_signed_by_trust_anchor(&parsed, &roots, chain, at, self.algorithms.all)
            .map_err(Distrust::Authority)?;
        // Every agent has a certificate of the same authority; none of them may give orders to others.
        if claims.identity.role != Role::Coordinator {
            return Err(Distrust::NotACoordinator(claims.identity));
        }
        if let Believe::Installation { id, .. } = &self.believe
            && claims.identity.installation != *id
        {
            return Err(Distrust::OtherInstallation { found: claims.identity, wanted: *id });
        }
        let time = |second| Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH);
        let (from, until) = (time(claims.not_before), time(claims.not_after));
        if now < from {
            return Err(Distrust::NotYet { from, now });
        }
        if now > until {
            return Err(Distrust::Expired { at: until, now });
        }
        Ok(())
    }
}

impl ServerCertVerifier for CoordinatorVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match self.verify(end_entity, intermediates) {
            Ok(()) => Ok(ServerCertVerified::assertion()),
            Err(distrust) => Err(CertificateError::Other(OtherError(Arc::new(distrust))).into()),
        }
    }

    /// Never asked: no other version than 1.3 is offered.
    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
