//! REST over TLS. Its certificate is the site's own, as REST's clients know nothing of the agents' authority.
//!
//! The site renews it when it likes: files that have changed are read again, without a restart. What cannot be used is told
//! and not shown; clients see the one before it for as long as it lasts.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::failure::chain;
use crate::doctor::OwnCertificate;

/// How often the files are looked at.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(30);

/// What is shown to clients.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    site: Arc<Site>,
}

/// The site's files, and what was read from them last.
#[derive(Debug)]
struct Site {
    certificate: PathBuf,
    key: PathBuf,
    shown: RwLock<Shown>,
    looked: Mutex<Looked>,
}

#[derive(Clone, Debug)]
struct Shown {
    key: Arc<CertifiedKey>,
    begins: Timestamp,
    ends: Timestamp,
}

#[derive(Debug)]
struct Looked {
    /// When each file was changed last, as far as it is there.
    changed: [Option<SystemTime>; 2],
    /// Why what lies there now is not shown.
    failing: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{path} has no certificate that could be shown to REST's clients")]
    Certificate {
        path: PathBuf,
        #[source]
        source: Option<pem::Error>,
    },
    #[error("{path} has no private key that could be used for REST")]
    Key {
        path: PathBuf,
        #[source]
        source: pem::Error,
    },
    #[error("the certificate in {path} cannot be used for REST")]
    Unusable {
        path: PathBuf,
        #[source]
        source: rustls::Error,
    },
    #[error("the certificate in {path} does not say from when to when it is valid")]
    Validity { path: PathBuf },
}

impl Tls {
    /// Reads both PEM files: the chain, the server's own certificate first, and the key. One that has ended is shown all the
    /// same, and told by the doctor: agents and clients that ask for no certificate are served as before.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let looked = Looked { changed: changed(certificate, key), failing: None };
        let site = Arc::new(Site {
            shown: RwLock::new(shown(certificate, key)?),
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            looked: Mutex::new(looked),
        });
        let unusable = |source| TlsError::Unusable { path: certificate.to_owned(), source };
        let provider = Arc::new(aws_lc_rs::default_provider());
        // heketi's clients are as old as TLS 1.2.
        let versions = [&rustls::version::TLS13, &rustls::version::TLS12];
        let config =
            ServerConfig::builder_with_provider(provider).with_protocol_versions(&versions).map_err(unusable)?;
        let resolver = Arc::clone(&site) as Arc<dyn ResolvesServerCert>;
        let mut config = config.with_no_client_auth().with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), site })
    }

    pub(super) fn acceptor(&self) -> &TlsAcceptor {
        &self.acceptor
    }

    /// Reads the files again if one of them has changed. Blocks, shortly.
    pub(super) fn look(&self) {
        let Site { certificate, key, shown: now, looked } = self.site.as_ref();
        let mut looked = looked.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = changed(certificate, key);
        if changed == looked.changed {
            return;
        }
        looked.changed = changed;
        match shown(certificate, key) {
            Ok(new) => {
                tracing::info!(path = %certificate.display(), ends = %new.ends, "REST shows a new certificate.");
                *now.write().unwrap_or_else(PoisonError::into_inner) = new;
                looked.failing = None;
            }
            Err(error) => {
                let why = chain(&error);
                tracing::warn!("The new certificate for REST is not shown: {why}");
                looked.failing = Some(why);
            }
        }
    }

    /// For the doctor.
    pub(super) fn seen(&self) -> OwnCertificate {
        let failing = self.site.looked.lock().unwrap_or_else(PoisonError::into_inner).failing.clone();
        let shown = self.site.shown.read().unwrap_or_else(PoisonError::into_inner);
        OwnCertificate { path: self.site.certificate.clone(), begins: shown.begins, ends: shown.ends, failing }
    }
}

impl ResolvesServerCert for Site {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.shown.read().unwrap_or_else(PoisonError::into_inner).key))
    }
}

fn changed(certificate: &Path, key: &Path) -> [Option<SystemTime>; 2] {
    [certificate, key].map(|path| std::fs::metadata(path).and_then(|file| file.modified()).ok())
}

fn shown(certificate: &Path, key: &Path) -> Result<Shown, TlsError> {
    let no_certificate = |source| TlsError::Certificate { path: certificate.to_owned(), source };
    let chain = CertificateDer::pem_file_iter(certificate).map_err(|source| no_certificate(Some(source)))?;
    let chain: Vec<_> = chain.collect::<Result<_, _>>().map_err(|source| no_certificate(Some(source)))?;
    let own = chain.first().ok_or_else(|| no_certificate(None))?;
    let no_validity = || TlsError::Validity { path: certificate.to_owned() };
    let (_, parsed) = X509Certificate::from_der(own).map_err(|_| no_validity())?;
    let second = |second| Timestamp::from_second(second).map_err(|_| no_validity());
    let validity = parsed.validity();
    let (begins, ends) = (second(validity.not_before.timestamp())?, second(validity.not_after.timestamp())?);
    let no_key = |source| TlsError::Key { path: key.to_owned(), source };
    let key = PrivateKeyDer::from_pem_file(key).map_err(no_key)?;
    let unusable = |source| TlsError::Unusable { path: certificate.to_owned(), source };
    let key = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(unusable)?;
    Ok(Shown { key: Arc::new(key), begins, ends })
}
