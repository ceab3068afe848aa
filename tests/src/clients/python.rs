//! heketi's Python client (4.0.0).

use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::calls::{HeketiClient, json_of};
use super::go::refused;
use super::wire::{Answer, Request};
use super::{CallError, token};

/// A second, of the real one.
const POLL: Duration = Duration::from_millis(25);

/// The client. Every request has a body, `{}` at least, and no `Content-Type`; a token lives for a second; work goes on
/// for as long as `X-Pending` is there, whatever it says; `Location` is put behind the address that the client has.
pub struct PythonClient {
    server: SocketAddr,
    user: String,
    key: String,
}

impl PythonClient {
    #[must_use]
    pub fn new(server: SocketAddr, user: &str, key: &str) -> Self {
        Self { server, user: user.to_owned(), key: key.to_owned() }
    }

    async fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Result<(Request, Answer), CallError> {
        let request = Request::new(method, path)
            .header("Accept-Encoding", "identity")
            .header("Connection", "keep-alive")
            .header("Authorization", &token::bearer(&self.user, &self.key, method, path, 1))
            .body(body.unwrap_or(&json!({})).to_string());
        let answer = request.ask(self.server).await?;
        if answer.status >= 400 {
            return Err(refused(&answer, &request));
        }
        Ok((request, answer))
    }

    /// The last answer, when all work is done. Nothing is followed by the library.
    async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<(Request, Answer), CallError> {
        let (request, answer) = self.send(method, path, body).await?;
        if answer.status != 202 {
            return Ok((request, answer));
        }
        let queue = location(&request, &answer)?;
        loop {
            let (request, answer) = self.send("GET", &queue, None).await?;
            if answer.header("X-Pending").is_some() {
                tokio::time::sleep(POLL).await;
            } else if answer.status == 303 {
                return self.send("GET", &location(&request, &answer)?, None).await;
            } else {
                return Ok((request, answer));
            }
        }
    }
}

fn location(request: &Request, answer: &Answer) -> Result<String, CallError> {
    answer.header("Location").map(str::to_owned).ok_or_else(|| request.contract("it leads nowhere"))
}

#[async_trait]
impl HeketiClient for PythonClient {
    async fn now(&self, method: &str, path: &str, body: Option<Value>, status: u16) -> Result<Value, CallError> {
        let (request, answer) = self.call(method, path, body.as_ref()).await?;
        if answer.status != status {
            return Err(refused(&answer, &request));
        }
        json_of(&answer, &request)
    }

    async fn made(&self, method: &str, path: &str, body: Option<Value>) -> Result<Value, CallError> {
        let (request, answer) = self.call(method, path, body.as_ref()).await?;
        if answer.status != 200 {
            return Err(refused(&answer, &request));
        }
        json_of(&answer, &request)
    }

    async fn done(&self, method: &str, path: &str, body: Option<Value>) -> Result<(), CallError> {
        let (request, answer) = self.call(method, path, body.as_ref()).await?;
        if answer.status != 204 {
            return Err(refused(&answer, &request));
        }
        Ok(())
    }
}
