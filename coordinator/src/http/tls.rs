//! REST over TLS. Its certificate is the site's own, as REST's clients know nothing of the agents' authority.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

/// What is shown to clients.
#[derive(Clone)]
pub struct Tls(TlsAcceptor);

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
}

impl Tls {
    /// Reads both PEM files: the chain, the server's own certificate first, and the key.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let no_certificate = |source| TlsError::Certificate { path: certificate.to_owned(), source };
        let chain = CertificateDer::pem_file_iter(certificate).map_err(|source| no_certificate(Some(source)))?;
        let chain: Vec<_> = chain.collect::<Result<_, _>>().map_err(|source| no_certificate(Some(source)))?;
        if chain.is_empty() {
            return Err(no_certificate(None));
        }
        let no_key = |source| TlsError::Key { path: key.to_owned(), source };
        let key = PrivateKeyDer::from_pem_file(key).map_err(no_key)?;
        let unusable = |source| TlsError::Unusable { path: certificate.to_owned(), source };
        let provider = Arc::new(aws_lc_rs::default_provider());
        // heketi's clients are as old as TLS 1.2.
        let versions = [&rustls::version::TLS13, &rustls::version::TLS12];
        let config =
            ServerConfig::builder_with_provider(provider).with_protocol_versions(&versions).map_err(unusable)?;
        let mut config = config.with_no_client_auth().with_single_cert(chain, key).map_err(unusable)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    pub(super) fn acceptor(&self) -> &TlsAcceptor {
        &self.0
    }
}
