//! Connections: kept alive, too much on them, cut, and handlers that panic.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::get;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tower::ServiceExt as _;

use super::world::World;
use crate::http::front;

async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut text = String::new();
    while !text.ends_with(end) {
        let mut bytes = [0; 1024];
        let count = stream.read(&mut bytes).await.unwrap();
        assert_ne!(count, 0, "the connection was closed after {text:?}");
        text.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
    }
    text
}

#[tokio::test]
async fn one_connection_carries_many_requests_with_unread_bodies_between_them() {
    let world = World::new().await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    for _ in 0..3 {
        // The Python client sends a body with every request.
        stream.write_all(b"GET /clusters HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}").await.unwrap();
        let answer = read_until(&mut stream, "{\"clusters\":[]}\n").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("\r\nContent-Length: 16\r\n"), "{answer}");
    }
}

#[tokio::test]
async fn a_body_beyond_a_mebibyte_is_refused() {
    let world = World::new().await;
    let body = format!("{{\"file\":true{}}}", " ".repeat(1 << 20));
    let answer = world.post("/clusters", &body).await;
    assert_eq!(answer.status, 413);
    assert_eq!(answer.body, "the body is larger than 1048576 bytes\n");
}

#[tokio::test]
async fn an_old_client_is_answered_in_its_version() {
    let world = World::new().await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.write_all(b"GET /hello HTTP/1.0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.0 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nHello from Bricklayer"), "{answer}");
}

async fn guarded(request: Request<Body>, next: Next) -> Response {
    front::no_panic(request, |request| next.run(request)).await
}

#[tokio::test]
async fn a_handler_that_panics_costs_its_own_request_only() {
    #[expect(clippy::panic, reason = "what is tested")]
    let routes = Router::new().route("/", get(async || -> () { panic!("a test") })).layer(from_fn(guarded));
    for _ in 0..2 {
        let answer = routes.clone().oneshot(Request::new(Body::empty())).await.unwrap();
        assert_eq!(answer.status(), 500);
    }
}

#[tokio::test]
async fn an_idle_connection_does_not_hold_up_the_end() {
    let world = World::new().await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.write_all(b"GET /clusters HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    read_until(&mut stream, "{\"clusters\":[]}\n").await;
    world.stop().await;
    assert_eq!(stream.read(&mut [0; 16]).await.unwrap(), 0);
}
