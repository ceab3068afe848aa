//! Against a canned server on a real socket.

use std::sync::{Arc, Mutex};

use bricklayer_proto::ids::{OperationId, VolumeId};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::heketi::{ClusterFlags, VolumeCreateRequest};
use crate::v1::WipeRequest;

const KEY: &str = "My Secret";
const VOLUME: &str = r#"{"size":8,"name":"vol_00000000000000000000000000000005","durability":{"type":"replicate","replicate":{"replica":3},"disperse":{}},"snapshot":{"enable":false,"factor":1},"id":"00000000000000000000000000000005","cluster":"0000000000000000000000000000000c","mount":{"glusterfs":{"hosts":["a"],"device":"a:v","options":{"backup-volfile-servers":""}}},"blockinfo":{},"bricks":[]}"#;

/// Answers the n-th request with the n-th text, and remembers the heads of the requests.
struct Canned {
    client: Client,
    seen: Arc<Mutex<Vec<String>>>,
}

async fn read_request(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let count = stream.read(&mut chunk).await.unwrap();
        request.extend_from_slice(&chunk[..count]);
        let text = String::from_utf8_lossy(&request).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned))
            .map_or(0, |length| length.parse().unwrap());
        if body.len() >= length {
            return text;
        }
    }
}

impl Canned {
    async fn answering(answers: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let requests = Arc::clone(&seen);
        let answers: Vec<String> = answers.iter().map(|&answer| answer.to_owned()).collect();
        tokio::spawn(async move {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let request = read_request(&mut stream).await;
                requests.lock().unwrap().push(request);
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        let mut client = Client::new(ClientConfig {
            server,
            user: "admin".to_owned(),
            key: KEY.into(),
            insecure_tls: false,
            tls_certificates: Vec::new(),
        })
        .unwrap();
        client.pace = Pace { poll: Duration::from_millis(1), second: Duration::from_micros(1), restart: RESTART_LIMIT };
        Self { client, seen }
    }

    fn request_lines(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        seen.iter().map(|request| request.lines().next().unwrap().replace(" HTTP/1.1", "")).collect()
    }
}

fn answer(status: &str, headers: &[&str], body: &str) -> String {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    format!("HTTP/1.1 {status}\r\n{headers}Connection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn accepted() -> String {
    answer("202 Accepted", &["Location: /queue/000000000000000000000000000000aa"], "")
}

fn create() -> VolumeCreateRequest {
    VolumeCreateRequest { size_gib: 8, ..Default::default() }
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    iat: i64,
    exp: i64,
    qsh: String,
}

#[tokio::test]
async fn a_create_is_polled_and_its_redirect_followed_with_a_token_of_its_own() {
    let volume = answer("200 OK", &["Content-Type: application/json; charset=UTF-8"], &format!("{VOLUME}\n"));
    let canned = Canned::answering(&[
        &accepted(),
        &answer("200 OK", &["X-Pending: true"], ""),
        &answer("200 OK", &["X-Pending: true"], ""),
        &answer("303 See Other", &["Location: /volumes/00000000000000000000000000000005"], "<a>See Other</a>"),
        &volume,
    ])
    .await;

    let work = canned.client.volume_create(&create()).await.unwrap();
    assert_eq!(work.operation(), Some(OperationId::from_u128(0xaa)));
    let mut pending = 0;
    let made = canned.client.wait(&work, async |_| pending += 1).await.unwrap();

    assert_eq!((made.id, pending), (VolumeId::from_u128(5), 2));
    assert_eq!(
        canned.request_lines(),
        [
            "POST /volumes",
            "GET /queue/000000000000000000000000000000aa",
            "GET /queue/000000000000000000000000000000aa",
            "GET /queue/000000000000000000000000000000aa",
            "GET /volumes/00000000000000000000000000000005",
        ]
    );
    let mut checks = Validation::new(Algorithm::HS256);
    checks.set_required_spec_claims(&["exp", "iss"]);
    for request in canned.seen.lock().unwrap().iter() {
        let line = request.lines().next().unwrap().replace(" HTTP/1.1", "");
        let (method, path) = line.split_once(' ').unwrap();
        let token = request.lines().find_map(|line| line.strip_prefix("authorization: Bearer ")).unwrap();
        let key = DecodingKey::from_secret(KEY.as_bytes());
        let claims: Claims = jsonwebtoken::decode(token, &key, &checks).unwrap().claims;
        assert_eq!(claims.iss, "admin");
        assert_eq!(claims.exp - claims.iat, 300);
        assert_eq!(claims.qsh, hex::encode(Sha256::digest(format!("{method}&{path}"))));
    }
}

#[tokio::test]
async fn a_failure_of_the_work_is_told_in_the_servers_words_without_the_line_feed() {
    let refused = answer("500 Internal Server Error", &["Content-Type: text/plain; charset=utf-8"], "No space\n");
    let canned = Canned::answering(&[&accepted(), &refused]).await;
    let work = canned.client.volume_create(&create()).await.unwrap();
    let error = canned.client.wait(&work, async |_| ()).await.unwrap_err();
    assert_eq!((error.to_string().as_str(), error.status()), ("No space", Some(500)));
}

#[tokio::test]
async fn a_coordinator_that_restarts_meanwhile_is_waited_for() {
    // An answer that is cut off is what a client sees of a server that dies.
    let done = answer("204 No Content", &[], "");
    let canned = Canned::answering(&[&accepted(), "", "HTTP/1.1 200 OK\r\nContent-", &done]).await;
    let work = canned.client.volume_delete(VolumeId::from_u128(5)).await.unwrap();
    canned.client.wait(&work, async |_| ()).await.unwrap();
}

#[tokio::test]
async fn a_coordinator_that_does_not_come_back_is_given_up() {
    let mut canned = Canned::answering(&[&accepted(), "", "", ""]).await;
    canned.client.pace.restart = Duration::ZERO;
    let work = canned.client.volume_delete(VolumeId::from_u128(5)).await.unwrap();
    let error = canned.client.wait(&work, async |_| ()).await.unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }));
}

#[tokio::test]
async fn a_busy_server_is_asked_again() {
    let busy = answer("429 Too Many Requests", &["Retry-After: 1"], "Server busy. Retry operation later.\n");
    let cluster = r#"{"id":"0000000000000000000000000000000c","nodes":[],"volumes":[],"block":true,"file":true,"blockvolumes":[]}"#;
    let canned = Canned::answering(&[&busy, &busy, &answer("201 Created", &[], cluster)]).await;
    let made = canned.client.cluster_create(ClusterFlags { block: true, file: true }).await.unwrap();
    assert!(made.file);
    assert_eq!(canned.request_lines().len(), 3);
}

#[tokio::test]
async fn a_server_that_stays_busy_is_left_alone_after_six_retries() {
    let busy = answer("429 Too Many Requests", &[], "Server busy. Retry operation later.\n");
    let answers = vec![busy.as_str(); 7];
    let canned = Canned::answering(&answers).await;
    let error = canned.client.volume_create(&create()).await.unwrap_err();
    assert_eq!(error.to_string(), "Server busy. Retry operation later.");
    assert_eq!(canned.request_lines().len(), 7);
}

#[tokio::test]
async fn an_absolute_location_never_leads_to_another_server() {
    let elsewhere =
        answer("202 Accepted", &["Location: http://192.0.2.1:1/queue/000000000000000000000000000000aa"], "");
    let canned = Canned::answering(&[&elsewhere, &answer("204 No Content", &[], "")]).await;
    let work = canned.client.volume_delete(VolumeId::from_u128(5)).await.unwrap();
    canned.client.wait(&work, async |_| ()).await.unwrap();
    assert_eq!(canned.request_lines()[1], "GET /queue/000000000000000000000000000000aa");
}

#[tokio::test]
async fn an_unconfirmed_wipe_tells_what_is_on_the_disk() {
    let refusal = r#"{"error":"/dev/sdb on gfs1 is not empty","device":"/dev/sdb","holders":[{"kind":"mounted","source":"/dev/sdb1","at":"/mnt"}],"identity":{"serial":"S1"}}"#;
    let conflict = answer("409 Conflict", &["Content-Type: application/json"], refusal);
    let canned = Canned::answering(&[&conflict]).await;
    let request = WipeRequest { node: "gfs1".to_owned(), device: "/dev/sdb".to_owned(), confirm: None };
    let Wipe::Unconfirmed(refusal) = canned.client.device_wipe(&request).await.unwrap() else { panic!("not refused") };
    assert_eq!(refusal.holders[0].to_string(), "/dev/sdb1 is mounted at /mnt");
    assert_eq!(refusal.identity.serial.as_deref(), Some("S1"));
}

#[tokio::test]
async fn a_refusal_of_our_own_routes_brings_its_cure() {
    let problem = r#"{"error":"no agent named gfs9","cure":"bricklayer agent list shows them"}"#;
    let canned = Canned::answering(&[&answer("404 Not Found", &["Content-Type: application/json"], problem)]).await;
    let error = canned.client.disks(&"gfs9".parse().unwrap()).await.unwrap_err();
    assert!(error.is_not_found());
    assert_eq!(error.to_string(), "no agent named gfs9");
    assert_eq!(error.cure().as_deref(), Some("bricklayer agent list shows them"));
}

#[tokio::test]
async fn nobody_there_is_told_with_a_cure() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let config = ClientConfig {
        server: server.clone(),
        user: String::new(),
        key: "".into(),
        insecure_tls: false,
        tls_certificates: Vec::new(),
    };
    let error = Client::new(config).unwrap().clusters().await.unwrap_err();
    assert_eq!(error.to_string(), format!("cannot reach the server at {server}"));
    assert!(error.cure().unwrap().contains("bricklayer-coordinator"));
}

#[test]
fn addresses_that_are_none_are_refused_before_any_request() {
    for server in ["", "localhost:8080", "ftp://host", "http://admin:key@host", "http://host/?q", "/clusters"] {
        let config = ClientConfig {
            server: server.to_owned(),
            user: String::new(),
            key: "".into(),
            insecure_tls: false,
            tls_certificates: Vec::new(),
        };
        assert!(matches!(Client::new(config), Err(ClientError::NoServer { .. })), "{server}");
    }
}

#[tokio::test]
async fn a_rehearsal_asks_for_a_plan_and_makes_nothing() {
    let plan = r#"{"kind":"volume-create","changes":["3 bricks"],"steps":["make brick 1 of 3 on gfs1"]}"#;
    let canned =
        Canned::answering(&[&answer("200 OK", &[], "Hello from Bricklayer"), &answer("200 OK", &[], plan)]).await;
    let plan = canned.client.rehearse(&Change::volume_create(&create()).unwrap()).await.unwrap();
    assert_eq!(plan.steps, ["make brick 1 of 3 on gfs1"]);
    assert_eq!(canned.request_lines(), ["GET /hello", "POST /volumes?dry_run=true"]);
}

#[tokio::test]
async fn a_heketi_is_not_asked_to_rehearse_since_it_would_do_the_thing() {
    let canned = Canned::answering(&[&answer("200 OK", &[], "Hello from Heketi")]).await;
    let error = canned.client.rehearse(&Change::volume_create(&create()).unwrap()).await.unwrap_err();
    assert!(matches!(error, ClientError::NoRehearsal { .. }));
    assert_eq!(canned.request_lines(), ["GET /hello"]);
}

#[tokio::test]
async fn a_rehearsal_that_was_done_in_earnest_is_told() {
    for done in [accepted(), answer("200 OK", &[], ""), answer("200 OK", &[], r#"{"id":"x"}"#)] {
        let canned = Canned::answering(&[&answer("200 OK", &[], "Hello from Bricklayer"), &done]).await;
        let error = canned.client.rehearse(&Change::volume_create(&create()).unwrap()).await.unwrap_err();
        assert!(matches!(error, ClientError::NotRehearsed { .. }), "{error}");
    }
}

#[tokio::test]
async fn reads_are_recorded_and_changes_can_be_shown_before_they_are_sent() {
    let canned = Canned::answering(&[&answer("200 OK", &[], r#"{"volumes":[]}"#)]).await;
    let record = Record::default();
    let client = canned.client.clone().recorded_in(&record);
    client.volumes().await.unwrap();
    assert_eq!(record.take(), [Read { path: "/volumes".to_owned() }]);
    assert_eq!(record.take(), []);
    let change = Change::cluster_create(ClusterFlags { block: false, file: true }).unwrap();
    assert_eq!((change.method(), change.path()), ("POST", "/clusters"));
    assert_eq!(change.body(), br#"{"block":false,"file":true}"#);
}
