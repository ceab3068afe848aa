//! How requests come over a connection: one after the other, in pieces, after a pause.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::sandbox::Sandbox;

fn sandbox() -> Sandbox {
    Sandbox::start(&["--nodes", "0", "--disable-auth"])
}

/// All that comes back until the server hangs up.
async fn converse(server: SocketAddr, bytes: &str) -> String {
    let mut stream = TcpStream::connect(server).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let mut answers = Vec::new();
    stream.read_to_end(&mut answers).await.unwrap();
    String::from_utf8(answers).unwrap()
}

fn statuses(answers: &str) -> Vec<&str> {
    answers.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect()
}

/// The Go client keeps its connections, and some clients send a body with everything: what a route does not read must not
/// be taken for the next request.
#[tokio::test]
async fn a_connection_serves_one_request_after_the_other_whatever_bodies_they_bring() {
    let sandbox = sandbox();
    let long = "x".repeat(20_000);
    let answers = converse(
        sandbox.server,
        &format!(
            "GET /clusters HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}\
             DELETE /clusters/0123456789abcdef0123456789abcdef HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}\
             PUT /clusters HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n\r\n{long}\
             POST /clusters HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}\
             GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        ),
    )
    .await;
    assert_eq!(statuses(&answers), ["200", "404", "405", "201", "200"], "{answers}");
    assert!(answers.ends_with("Hello from Bricklayer"), "{answers}");
}

#[tokio::test]
async fn a_body_may_come_in_chunks() {
    let sandbox = sandbox();
    let answers = converse(
        sandbox.server,
        "POST /clusters HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n\
         8\r\n{\"file\":\r\n5\r\ntrue}\r\n0\r\n\r\n",
    )
    .await;
    assert_eq!(statuses(&answers), ["201"], "{answers}");
    assert!(answers.contains("\"file\":true"), "{answers}");
}

/// curl asks first, where a body is not small.
#[tokio::test]
async fn a_client_that_asks_whether_to_go_on_is_told_to() {
    let sandbox = sandbox();
    let mut stream = TcpStream::connect(sandbox.server).await.unwrap();
    let head =
        "POST /clusters HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; "HTTP/1.1 100 Continue\r\n\r\n".len()];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"{}").await.unwrap();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).await.unwrap();
    assert_eq!(statuses(&rest), ["201"], "{rest}");
}

/// Old programs: what they cannot read is not sent to them.
#[tokio::test]
async fn http_1_0_is_answered_and_hung_up() {
    let sandbox = sandbox();
    let mut stream = TcpStream::connect(sandbox.server).await.unwrap();
    stream.write_all(b"GET /hello HTTP/1.0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.0 200 OK\r\n") && answer.ends_with("Hello from Bricklayer"), "{answer}");
    assert!(!answer.to_ascii_lowercase().contains("transfer-encoding"), "{answer}");
}
