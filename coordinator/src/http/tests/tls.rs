//! REST over TLS, and its certificate over time.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::world::World;
use crate::http::{Auth, Settings, Tls};

/// A site's certificate and its key, as files.
struct SiteFiles {
    dir: tempfile::TempDir,
}

impl SiteFiles {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn paths(&self) -> (PathBuf, PathBuf) {
        (self.dir.path().join("rest.pem"), self.dir.path().join("rest.key"))
    }

    /// Puts a new pair there, valid until then.
    fn renew(&self, not_after: time::OffsetDateTime) -> CertificateDer<'static> {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["rest.example".to_owned()]).unwrap();
        params.not_after = not_after;
        let made = params.self_signed(&key).unwrap();
        let (certificate, key_file) = self.paths();
        for (path, text) in [(certificate, made.pem()), (key_file, key.serialize_pem())] {
            std::fs::write(&path, text).unwrap();
            // Two changes within one tick of the file system's clock would look like none.
            let file = std::fs::File::options().write(true).open(&path).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(not_after.unix_timestamp().unsigned_abs()))
                .unwrap();
        }
        made.der().clone()
    }

    fn read(&self) -> Tls {
        let (certificate, key) = self.paths();
        Tls::read(&certificate, &key).unwrap()
    }
}

fn in_days(days: i64) -> time::OffsetDateTime {
    let now = jiff::Timestamp::now().as_second();
    time::OffsetDateTime::from_unix_timestamp(now + days * 86_400).unwrap()
}

/// As old as heketi's clients are.
async fn connected(address: SocketAddr, root: CertificateDer<'static>) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(root).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let plain = TcpStream::connect(address).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    connector.connect("rest.example".try_into().unwrap(), plain).await
}

#[tokio::test]
async fn rest_is_served_over_tls_with_the_sites_own_certificate() {
    let files = SiteFiles::new();
    let root = files.renew(in_days(90));
    let tls = Some(files.read());
    let world = World::with(Auth::disabled(), |service| service.with(Settings { tls, ..Settings::default() })).await;
    let mut stream = connected(world.address, root).await.unwrap();
    stream.write_all(b"GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("Hello from Bricklayer"), "{answer}");
}

#[tokio::test]
async fn a_certificate_that_the_site_renews_is_shown_without_a_restart_and_one_that_cannot_be_used_is_not() {
    let files = SiteFiles::new();
    let first = files.renew(in_days(10));
    let tls = files.read();
    let settings = Settings { tls: Some(tls.clone()), ..Settings::default() };
    let world = World::with(Auth::disabled(), |service| service.with(settings)).await;
    assert!(
        (9..=10)
            .contains(&(tls.seen().ends.as_second() - jiff::Timestamp::now().as_second() + 3600).div_euclid(86_400))
    );
    connected(world.address, first.clone()).await.unwrap();

    let second = files.renew(in_days(90));
    tls.look();
    connected(world.address, second.clone()).await.unwrap();
    assert!(connected(world.address, first).await.is_err());
    assert_eq!(tls.seen().failing, None);

    // A key that is not the certificate's.
    let (certificate, _) = files.paths();
    let kept = std::fs::read(&certificate).unwrap();
    files.renew(in_days(120));
    std::fs::write(&certificate, kept).unwrap();
    tls.look();
    connected(world.address, second).await.unwrap();
    let seen = tls.seen();
    assert!(seen.failing.as_ref().is_some_and(|why| why.contains("rest.pem")), "{seen:?}");
}

#[test]
fn a_file_without_a_certificate_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("empty.pem");
    std::fs::write(&file, "").unwrap();
    let refused = Tls::read(&file, &file).err().unwrap().to_string();
    assert!(refused.contains("empty.pem"), "{refused}");
}
