//! The certificate authority of one installation: made once, signs for agents and for the coordinator itself.

use std::path::{Path, PathBuf};

use aws_lc_rs::hmac;
use bricklayer_proto::identity::{Identity, Role};
use bricklayer_proto::ids::InstallationId;
use bricklayer_proto::wire::certificate::{Serial, public_key};
use bricklayer_proto::wire::token::Pin;
use jiff::{SignedDuration, Timestamp};
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType,
    SerialNumber,
};
use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer};

use super::files::{self, FileError};

/// How long agents' and the coordinator's certificates live.
pub const LIFETIME: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Certificates begin to be valid this long ago, so that a clock that is slightly behind does no harm.
pub const BACK_DATED: SignedDuration = SignedDuration::from_mins(10);

/// Changing it is a procedure with an overlap, so it lives long.
const AUTHORITY_LIFETIME: SignedDuration = SignedDuration::from_hours(20 * 365 * 24);

#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("{} is not the certificate of an authority of ours: {why}", path.display())]
    NotOurs { path: PathBuf, why: String },
    #[error("the key in {} is not the key of the certificate beside it", path.display())]
    OtherKey { path: PathBuf },
    #[error("a certificate could not be made")]
    Crypto(#[from] rcgen::Error),
}

/// A request for a certificate that cannot be met. For whoever sent it.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    #[error("the request for a certificate cannot be read, or is not signed by its own key")]
    Unreadable(#[source] rcgen::Error),
    #[error("the request is for a key of another kind; P-256 (ECDSA with SHA-256) is taken")]
    KeyKind,
    #[error("the certificate could not be made")]
    Crypto(#[source] rcgen::Error),
}

/// A certificate that was made just now.
#[derive(Clone, Debug)]
pub struct Issued {
    pub der: CertificateDer<'static>,
    pub expires: Timestamp,
}

/// The key that signs, and its certificate.
pub struct Authority {
    installation: InstallationId,
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
    pin: Pin,
}

impl Authority {
    /// Makes the authority of a new installation in a folder of its own.
    ///
    /// The key is written last: a certificate without it is left from a crash, has signed nothing, and is replaced.
    pub fn create(dir: &Path, installation: InstallationId, now: Timestamp) -> Result<Self, AuthorityError> {
        files::make_private_dir(dir)?;
        if Self::exists(dir) {
            return Err(FileError::Exists { path: key_path(dir) }.into());
        }
        files::remove(&certificate_path(dir))?;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = common_name(&format!("Bricklayer {installation}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.subject_alt_names = vec![SanType::URI(uri(&format!("spiffe://{installation}"))?)];
        params.serial_number = Some(serial_number(random_serial(0)));
        params.not_before = date(now - BACK_DATED);
        params.not_after = date(now + AUTHORITY_LIFETIME);
        let certificate = params.self_signed(&key)?;
        files::write_new(&certificate_path(dir), certificate.pem().as_bytes())?;
        files::write_new(&key_path(dir), key.serialize_pem().as_bytes())?;
        Self::load(dir)
    }

    #[must_use]
    pub fn exists(dir: &Path) -> bool {
        key_path(dir).exists()
    }

    pub fn load(dir: &Path) -> Result<Self, AuthorityError> {
        let path = certificate_path(dir);
        let not_ours = |why: String| AuthorityError::NotOurs { path: path.clone(), why };
        let pem = files::read_private(&path)?;
        let certificate = {
            use rustls::pki_types::pem::PemObject;
            CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|error| not_ours(error.to_string()))?
        };
        let installation = installation_of(&certificate).map_err(|why| not_ours(why.to_owned()))?;
        let key = KeyPair::from_pem(&files::read_private(&key_path(dir))?)?;
        let spki = public_key(&certificate).map_err(|error| not_ours(error.to_string()))?;
        if spki != key.subject_public_key_info() {
            return Err(AuthorityError::OtherKey { path: key_path(dir) });
        }
        let issuer = Issuer::from_ca_cert_der(&certificate, key)?;
        Ok(Self { installation, certificate, issuer, pin: Pin::of_public_key(&spki) })
    }

    #[must_use]
    pub fn installation(&self) -> InstallationId {
        self.installation
    }

    #[must_use]
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// What an invitation carries, so that a new agent knows this authority.
    #[must_use]
    pub fn pin(&self) -> Pin {
        self.pin
    }

    /// A secret of the authority's for one purpose: from it nobody learns the key, nor another purpose's.
    #[must_use]
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.issuer.key().serialize_der());
        let mut secret = [0; 32];
        secret.copy_from_slice(hmac::sign(&key, purpose.as_bytes()).as_ref());
        secret
    }

    /// Its files, for sealing.
    pub(crate) fn to_pem(dir: &Path) -> Result<(String, String), AuthorityError> {
        Ok((files::read_private(&certificate_path(dir))?, files::read_private(&key_path(dir))?))
    }

    /// Makes its files of what was sealed. There must be no authority yet.
    pub(crate) fn restore(dir: &Path, certificate: &str, key: &str) -> Result<Self, AuthorityError> {
        files::make_private_dir(dir)?;
        if Self::exists(dir) {
            return Err(FileError::Exists { path: key_path(dir) }.into());
        }
        // Left from a crash: without the key beside it, it is nobody's.
        files::remove(&certificate_path(dir))?;
        files::write_new(&certificate_path(dir), certificate.as_bytes())?;
        files::write_new(&key_path(dir), key.as_bytes())?;
        Self::load(dir)
    }

    /// Signs for an agent. Of the request only the key is taken; every name is ours.
    pub fn sign_request(&self, csr: &[u8], role: Role, series: u32, now: Timestamp) -> Result<Issued, RequestError> {
        let request = CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(csr))
            .map_err(RequestError::Unreadable)?;
        if request.public_key.algorithm() != &PKCS_ECDSA_P256_SHA256 {
            return Err(RequestError::KeyKind);
        }
        self.sign(&request.public_key, role, series, now).map_err(RequestError::Crypto)
    }

    /// Signs a key of our own.
    pub fn sign_key(&self, key: &KeyPair, role: Role, series: u32, now: Timestamp) -> Result<Issued, AuthorityError> {
        Ok(self.sign(key, role, series, now)?)
    }

    fn sign(&self, key: &impl PublicKeyData, role: Role, series: u32, now: Timestamp) -> Result<Issued, rcgen::Error> {
        let identity = Identity { installation: self.installation, role };
        let expires = now + LIFETIME;
        let mut params = CertificateParams::default();
        params.distinguished_name = common_name(match role {
            Role::Agent(_) => "Bricklayer agent",
            Role::Coordinator => "Bricklayer coordinator",
        });
        params.subject_alt_names = vec![SanType::URI(uri(&identity.to_string())?)];
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![match role {
            Role::Agent(_) => ExtendedKeyUsagePurpose::ClientAuth,
            Role::Coordinator => ExtendedKeyUsagePurpose::ServerAuth,
        }];
        params.use_authority_key_identifier_extension = true;
        params.serial_number = Some(serial_number(random_serial(series)));
        params.not_before = date(now - BACK_DATED);
        params.not_after = date(expires);
        let certificate = params.signed_by(key, &self.issuer)?;
        Ok(Issued { der: certificate.der().clone(), expires })
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("installation", &self.installation).field("pin", &self.pin).finish()
    }
}

fn key_path(dir: &Path) -> PathBuf {
    dir.join("ca.key")
}

fn certificate_path(dir: &Path) -> PathBuf {
    dir.join("ca.crt")
}

fn common_name(text: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, text);
    name
}

fn uri(text: &str) -> Result<Ia5String, rcgen::Error> {
    Ia5String::try_from(text)
}

fn random_serial(series: u32) -> Serial {
    Serial::new(rand::random(), series)
}

fn serial_number(serial: Serial) -> SerialNumber {
    SerialNumber::from_slice(serial.as_bytes())
}

/// X.509 knows whole seconds only.
fn date(at: Timestamp) -> time::OffsetDateTime {
    time::OffsetDateTime::from_unix_timestamp(at.as_second()).unwrap_or(time::OffsetDateTime::UNIX_EPOCH)
}

/// The authority's own name is the installation's domain, with no path behind it.
fn installation_of(certificate: &CertificateDer<'_>) -> Result<InstallationId, &'static str> {
    use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|_| "it cannot be read")?;
    let names = parsed.subject_alternative_name().ok().flatten().ok_or("it carries no URI")?;
    let [GeneralName::URI(uri)] = names.value.general_names.as_slice() else {
        return Err("it does not carry exactly one URI");
    };
    let id = uri.strip_prefix("spiffe://").ok_or("its URI is not of the kind spiffe://<installation>")?;
    id.parse().map_err(|_| "its URI does not name an installation")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use bricklayer_proto::ids::NodeId;
    use bricklayer_proto::wire::certificate::Claims;

    use super::*;

    fn authority() -> (tempfile::TempDir, Authority) {
        let dir = tempfile::tempdir().unwrap();
        let made = Authority::create(&dir.path().join("ca"), InstallationId::from_u128(7), Timestamp::now()).unwrap();
        (dir, made)
    }

    #[test]
    fn an_authority_is_the_same_after_it_is_read_back() {
        let (dir, made) = authority();
        let read = Authority::load(&dir.path().join("ca")).unwrap();
        assert_eq!(read.installation(), InstallationId::from_u128(7));
        assert_eq!((read.pin(), read.certificate()), (made.pin(), made.certificate()));
    }

    #[test]
    fn an_authority_is_never_overwritten() {
        let (dir, _) = authority();
        let again = Authority::create(&dir.path().join("ca"), InstallationId::from_u128(8), Timestamp::now());
        assert!(matches!(again, Err(AuthorityError::File(FileError::Exists { .. }))));
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let (dir, _) = authority();
        let key = dir.path().join("ca/ca.key");
        std::fs::set_permissions(&key, PermissionsExt::from_mode(0o640)).unwrap();
        let error = Authority::load(&dir.path().join("ca")).unwrap_err();
        assert!(error.to_string().contains("mode 0640"), "{error}");
    }

    #[test]
    fn the_names_in_a_request_are_ignored() {
        let (_dir, authority) = authority();
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let mut wish = CertificateParams::new(vec!["coordinator.example.org".to_owned()]).unwrap();
        let coordinator = Identity { installation: authority.installation(), role: Role::Coordinator };
        wish.subject_alt_names.push(SanType::URI(coordinator.to_string().try_into().unwrap()));
        let csr = wish.serialize_request(&key).unwrap();
        let role = Role::Agent(NodeId::from_u128(3));
        let now = Timestamp::now();
        let issued = authority.sign_request(csr.der(), role, 5, now).unwrap();
        let claims = Claims::read(&issued.der).unwrap();
        assert_eq!(claims.identity, Identity { installation: authority.installation(), role });
        assert_eq!(claims.serial.series(), 5);
        assert_eq!(claims.not_before, (now - BACK_DATED).as_second());
        assert_eq!(claims.not_after, (now + LIFETIME).as_second());
    }

    #[test]
    fn a_request_that_its_own_key_did_not_sign_is_refused() {
        let (_dir, authority) = authority();
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let mut csr = CertificateParams::default().serialize_request(&key).unwrap().der().to_vec();
        *csr.last_mut().unwrap() ^= 1;
        let role = Role::Agent(NodeId::from_u128(3));
        assert!(matches!(authority.sign_request(&csr, role, 1, Timestamp::now()), Err(RequestError::Unreadable(_))));
    }

    #[test]
    fn a_key_of_another_kind_is_refused() {
        let (_dir, authority) = authority();
        let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let csr = CertificateParams::default().serialize_request(&key).unwrap();
        let role = Role::Agent(NodeId::from_u128(3));
        assert!(matches!(authority.sign_request(csr.der(), role, 1, Timestamp::now()), Err(RequestError::KeyKind)));
    }
}
