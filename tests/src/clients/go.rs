//! heketi's Go client, as `heketi-cli` and Kubernetes have it.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::calls::{HeketiClient, json_of};
use super::wire::{Answer, Request};
use super::{CallError, token};

/// Between two looks at the queue, of the real one.
const POLL: Duration = Duration::from_millis(400);

/// A test does in a second what takes a client forty.
const FASTER: u32 = 40;

/// Requests at once, per client.
const MOST_IN_FLIGHT: usize = 32;

/// How often a 429 is tried again.
const TRIES_WHEN_BUSY: u32 = 6;

/// Redirects that Go's library follows.
const MOST_REDIRECTS: u32 = 10;

/// The client. It signs each path anew, follows redirects by itself, and asks the queue until it says something else
/// than `X-Pending: true`.
pub struct GoClient {
    server: SocketAddr,
    /// What stands in the address behind the server: nothing, or a slash that somebody wrote too many.
    base: &'static str,
    user: String,
    key: String,
    in_flight: Semaphore,
    /// Connections to be used again, as Go's library does it; `None` where each request has one of its own.
    kept: Option<Mutex<Vec<TcpStream>>>,
}

impl GoClient {
    #[must_use]
    pub fn new(server: SocketAddr, user: &str, key: &str) -> Self {
        let in_flight = Semaphore::new(MOST_IN_FLIGHT);
        Self { server, base: "", user: user.to_owned(), key: key.to_owned(), in_flight, kept: None }
    }

    /// The same with an address that ends with a slash, as many StorageClasses have it: all paths begin with two.
    #[must_use]
    pub fn behind_a_slash(self) -> Self {
        Self { base: "/", ..self }
    }

    /// The same that uses its connections again.
    #[must_use]
    pub fn keeping_connections(self) -> Self {
        Self { kept: Some(Mutex::default()), ..self }
    }

    async fn ask(&self, request: &Request) -> Result<Answer, CallError> {
        let Some(kept) = &self.kept else { return request.ask(self.server).await };
        let all = || kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut connection = all().pop();
        let answer = request.ask_on(&mut connection, self.server).await;
        all().extend(connection);
        answer
    }

    #[must_use]
    pub fn server(&self) -> SocketAddr {
        self.server
    }

    /// The request as it goes out, signed.
    #[must_use]
    pub fn request(&self, method: &str, path: &str, body: Option<&Value>) -> Request {
        let path = format!("{}{path}", self.base);
        self.signed(method, &path, body)
    }

    fn signed(&self, method: &str, path: &str, body: Option<&Value>) -> Request {
        let request = Request::new(method, path)
            .header("User-Agent", "Go-http-client/1.1")
            .header("Authorization", &token::bearer(&self.user, &self.key, method, path, 300))
            .header("Accept-Encoding", "gzip");
        match body {
            Some(body) => request.header("Content-Type", "application/json").body(body.to_string()),
            None => request,
        }
    }

    /// One request and the redirects behind it. Where the server is busy it is asked again.
    async fn send(&self, request: &Request) -> Result<Answer, CallError> {
        let _permit = self.in_flight.acquire().await.expect("it is never closed");
        let mut tries = 0;
        loop {
            let answer = self.follow(request.clone()).await?;
            if answer.status != 429 || tries == TRIES_WHEN_BUSY {
                return Ok(answer);
            }
            tries += 1;
            // The real one waits for as many seconds as are asked for, and some.
            let seconds = answer.header("Retry-After").and_then(|seconds| seconds.parse().ok()).unwrap_or(10_u32);
            tokio::time::sleep(Duration::from_secs(1) * seconds / FASTER).await;
        }
    }

    /// Go's library takes a 303, and a 301 or 302, as a GET of the new path, and asks nobody. The client adds a token for
    /// that path.
    async fn follow(&self, mut request: Request) -> Result<Answer, CallError> {
        for _ in 0..=MOST_REDIRECTS {
            let answer = self.ask(&request).await?;
            if !matches!(answer.status, 301..=303) {
                return Ok(answer);
            }
            let location = answer.header("Location");
            let location = location.ok_or_else(|| request.contract("a redirect leads nowhere"))?;
            request = self.signed("GET", location, None);
        }
        Err(request.contract("there is no end of redirects"))
    }

    /// What a request that was accepted comes to.
    async fn wait(&self, accepted: &Answer, request: &Request) -> Result<Answer, CallError> {
        if accepted.status != 202 {
            return Err(refused(accepted, request));
        }
        let queue = accepted.header("Location").ok_or_else(|| request.contract("a 202 leads nowhere"))?;
        loop {
            let poll = self.signed("GET", queue, None);
            let answer = self.send(&poll).await?;
            if answer.header("X-Pending") != Some("true") {
                return Ok(answer);
            }
            if answer.status != 200 {
                return Err(refused(&answer, &poll));
            }
            tokio::time::sleep(POLL / FASTER).await;
        }
    }
}

/// The text of a refusal, as much of it as `Content-Length` says, without blanks at its ends.
pub(super) fn refused(answer: &Answer, request: &Request) -> CallError {
    if answer.status < 400 {
        return request.contract(format!("status {} was not expected", answer.status));
    }
    CallError::Refused { status: answer.status, text: answer.text().trim().to_owned() }
}

#[async_trait]
impl HeketiClient for GoClient {
    async fn now(&self, method: &str, path: &str, body: Option<Value>, status: u16) -> Result<Value, CallError> {
        let request = self.request(method, path, body.as_ref());
        let answer = self.send(&request).await?;
        if answer.status != status {
            return Err(refused(&answer, &request));
        }
        json_of(&answer, &request)
    }

    async fn made(&self, method: &str, path: &str, body: Option<Value>) -> Result<Value, CallError> {
        let request = self.request(method, path, body.as_ref());
        let accepted = self.send(&request).await?;
        let answer = self.wait(&accepted, &request).await?;
        if answer.status != 200 {
            return Err(refused(&answer, &request));
        }
        json_of(&answer, &request)
    }

    async fn done(&self, method: &str, path: &str, body: Option<Value>) -> Result<(), CallError> {
        let request = self.request(method, path, body.as_ref());
        let accepted = self.send(&request).await?;
        let answer = self.wait(&accepted, &request).await?;
        if answer.status != 204 {
            return Err(refused(&answer, &request));
        }
        Ok(())
    }
}
