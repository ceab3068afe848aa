//! The coordinator's side of TLS: 1.3 only, its own short-lived certificate, and who may shake hands.
//!
//! The handshake settles *who* is calling: a stranger without a certificate (who may only enrol), or an agent that our
//! authority signed for and that was not revoked. *When* its certificate is valid is settled at each call, where the
//! refusal can be said in words; a handshake can only say a number.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bricklayer_proto::identity::Role;
use bricklayer_proto::ids::InstallationId;
use jiff::Timestamp;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, OtherError, RootCertStore, ServerConfig,
    SignatureScheme,
};

use super::authority::{AuthorityError, LIFETIME};
use super::trust::{Caller, Trust, Unwelcome};

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("the coordinator's own certificate could not be made")]
    Own(#[from] AuthorityError),
    #[error("the coordinator's own certificate could not be made")]
    Key(#[from] rcgen::Error),
    #[error("TLS could not be set up")]
    Tls(#[from] rustls::Error),
    #[error("TLS could not be set up")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

/// The configuration of the agents' port, and the certificate that it shows.
pub struct ServerTls {
    pub config: Arc<ServerConfig>,
    own: Arc<Own>,
    trust: Arc<Trust>,
}

impl ServerTls {
    pub fn new(trust: Arc<Trust>) -> Result<Self, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let (key, renew_at) = make_own(&trust, &provider)?;
        let own = Arc::new(Own { key: ArcSwap::from_pointee(key), renew_at: ArcSwap::from_pointee(renew_at) });
        let verifier = Arc::new(AgentVerifier::new(Arc::clone(&trust), &provider)?);
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::clone(&own) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec()];
        // A resumed session would not show its certificate again, and so outlive a revocation.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Self { config: Arc::new(config), own, trust })
    }

    #[must_use]
    pub fn installation(&self) -> InstallationId {
        self.trust.installation()
    }

    /// Makes a new key and certificate once a third of the life of the present one is over. Connections that stand are
    /// not touched.
    pub fn renew_if_due(&self) -> Result<(), TlsError> {
        if self.trust.clock().now() >= **self.own.renew_at.load() {
            let (key, renew_at) = make_own(&self.trust, self.config.crypto_provider())?;
            self.own.key.store(Arc::new(key));
            self.own.renew_at.store(Arc::new(renew_at));
        }
        Ok(())
    }
}

/// The key lives in memory only: each start has its own.
fn make_own(trust: &Trust, provider: &CryptoProvider) -> Result<(CertifiedKey, Timestamp), TlsError> {
    let now = trust.clock().now();
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let issued = trust.authority().sign_key(&key, Role::Coordinator, 0, now)?;
    let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    // The authority goes along, as a host that enrols knows only the hash of its key.
    let chain = vec![issued.der, trust.authority().certificate().clone()];
    let key = CertifiedKey::from_der(chain, der, provider)?;
    Ok((key, now + LIFETIME / 3))
}

#[derive(Debug)]
struct Own {
    key: ArcSwap<CertifiedKey>,
    renew_at: ArcSwap<Timestamp>,
}

impl ResolvesServerCert for Own {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.key.load_full())
    }
}

struct AgentVerifier {
    trust: Arc<Trust>,
    chain: Arc<dyn ClientCertVerifier>,
}

impl AgentVerifier {
    fn new(trust: Arc<Trust>, provider: &Arc<CryptoProvider>) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        roots.add(trust.authority().certificate().clone())?;
        let chain = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build()?;
        Ok(Self { trust, chain })
    }
}

impl std::fmt::Debug for AgentVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AgentVerifier")
    }
}

impl ClientCertVerifier for AgentVerifier {
    /// A host that enrols has none yet.
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let refuse = |why: Unwelcome| {
            tracing::warn!("a certificate was refused: {why}");
            match why {
                Unwelcome::Revoked { .. } | Unwelcome::Superseded { .. } => CertificateError::Revoked,
                other => CertificateError::Other(OtherError(Arc::new(other))),
            }
        };
        let caller = Caller::read(end_entity, self.trust.installation()).map_err(refuse)?;
        // At a time at which it was valid: signature, authority and purpose are checked here, its time at each call.
        let at = self.trust.clock().now().clamp(caller.not_before, caller.not_after);
        let at = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(at.as_second()).unwrap_or(0)));
        let verified = self.chain.verify_client_cert(end_entity, intermediates, at)?;
        // Only now is it certain whose it is, so that nobody's name is said to a stranger or put into the log.
        self.trust.knows(&caller).map_err(refuse)?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}
