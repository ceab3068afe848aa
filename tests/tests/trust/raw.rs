//! A client that does not behave: it shows any certificate and says anything.

use std::sync::Arc;

use bricklayer_coordinator::pki::Authority;
use bricklayer_proto::wire::v1::agents_client::AgentsClient;
use camino::Utf8Path;
use rcgen::{
    CertificateParams, ExtendedKeyUsagePurpose, Issuer, KeyPair, PKCS_ECDSA_P256_SHA256, SanType, SerialNumber,
};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{aws_lc_rs, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, ServerConfig, SignatureScheme};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tonic::transport::{Channel, Endpoint};

/// A certificate and its key.
pub struct Shown {
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
}

/// What a host has enrolled with.
pub fn of_host(identity_file: &Utf8Path) -> Shown {
    let text = std::fs::read_to_string(identity_file).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let pem = |key: &str| json[key].as_str().unwrap().as_bytes().to_vec();
    Shown {
        chain: vec![CertificateDer::from_pem_slice(&pem("certificate")).unwrap()],
        key: PrivateKeyDer::from_pem_slice(&pem("key")).unwrap(),
    }
}

/// A certificate with these URIs, signed by the installation's own authority behind its back.
pub fn signed_by(ca: &std::path::Path, uris: &[&str], purpose: ExtendedKeyUsagePurpose) -> Shown {
    let authority = Authority::load(ca).unwrap();
    let ca_key = KeyPair::from_pem(&std::fs::read_to_string(ca.join("ca.key")).unwrap()).unwrap();
    let issuer = Issuer::from_ca_cert_der(authority.certificate(), ca_key).unwrap();
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let mut params = CertificateParams::default();
    params.subject_alt_names = uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())).collect();
    params.extended_key_usages = vec![purpose];
    params.serial_number = Some(SerialNumber::from_slice(&[0x40, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0, 0, 0, 9]));
    let certificate = params.signed_by(&key, &issuer).unwrap();
    Shown {
        chain: vec![certificate.der().clone(), authority.certificate().clone()],
        key: PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap(),
    }
}

fn config(shown: Option<Shown>) -> Arc<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Credulous));
    let mut config = match shown {
        Some(Shown { chain, key }) => builder.with_client_auth_cert(chain, key).unwrap(),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(config)
}

/// Shakes hands and waits for what the server has to say first: the alert with which it refuses, as text.
pub async fn refusal_of(address: std::net::SocketAddr, shown: Shown) -> String {
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("coordinator.invalid").unwrap();
    let mut stream = TlsConnector::from(config(Some(shown))).connect(name, stream).await.unwrap();
    // A server that accepts speaks first too: its HTTP/2 settings.
    match stream.read(&mut [0; 64]).await {
        Ok(bytes) => panic!("accepted: {bytes} bytes came"),
        Err(error) => error.to_string(),
    }
}

/// gRPC as whoever the certificate says.
pub async fn client(address: std::net::SocketAddr, shown: Option<Shown>) -> AgentsClient<Channel> {
    let config = config(shown);
    let connector = tower::service_fn(move |_| {
        let config = Arc::clone(&config);
        async move {
            let stream = TcpStream::connect(address).await?;
            let name = ServerName::try_from("coordinator.invalid").unwrap();
            let stream = TlsConnector::from(config).connect(name, stream).await?;
            std::io::Result::Ok(hyper_util::rt::TokioIo::new(stream))
        }
    });
    let endpoint = Endpoint::from_static("http://coordinator.invalid");
    AgentsClient::new(endpoint.connect_with_connector(connector).await.unwrap())
}

/// A server that shows this certificate; what comes back is how the first handshake with it went.
pub async fn server(shown: Shown) -> (std::net::SocketAddr, tokio::task::JoinHandle<Result<Vec<u8>, String>>) {
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(shown.chain, shown.key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let heard = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let accepted = TlsAcceptor::from(Arc::new(config)).accept(stream).await;
        let mut stream = accepted.map_err(|error| error.to_string())?;
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).await.map_err(|error| error.to_string())?;
        Ok(heard)
    });
    (address, heard)
}

#[derive(Debug)]
struct Credulous;

impl ServerCertVerifier for Credulous {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("no".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
