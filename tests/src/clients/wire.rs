//! HTTP/1.1 on a socket, byte for byte, and the rules that every answer keeps.

use std::fmt;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::CallError;

/// How long an answer may take, on a slow machine with much else to do.
const PATIENCE: Duration = Duration::from_secs(120);

/// What is sent. `Host` and, with a body, `Content-Length` are added.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Option<Vec<u8>>,
}

/// What came back.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub reason: String,
    /// In the order of the wire.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    #[must_use]
    pub fn new(method: &str, path: &str) -> Self {
        Self { method: method.to_owned(), path: path.to_owned(), headers: Vec::new(), body: None }
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// # Errors
    /// Where no whole answer comes, or one that breaks the rules of [`Answer::check`].
    pub async fn ask(&self, server: SocketAddr) -> Result<Answer, CallError> {
        let answer = tokio::time::timeout(PATIENCE, self.exchange(server)).await;
        let answer = answer.map_err(|_| self.lost("it takes too long"))?.map_err(|error| self.lost(error))?;
        answer.check(&self.method, &self.path).map_err(|what| self.contract(format!("{what}: {answer:?}")))?;
        Ok(answer)
    }

    /// Sends the request and goes away before the answer comes, as a client does that is killed or whose network breaks.
    ///
    /// # Errors
    /// Where it could not even be sent.
    pub async fn ask_and_vanish(&self, server: SocketAddr) -> Result<(), CallError> {
        let mut stream = self.send(server).await.map_err(|error| self.lost(error))?;
        // The server has read the whole request once it begins to answer; the answer itself is never looked at.
        let mut first = [0];
        let begun = tokio::time::timeout(PATIENCE, stream.read(&mut first)).await;
        begun.map_err(|_| self.lost("it takes too long"))?.map_err(|error| self.lost(error))?;
        Ok(())
    }

    /// Sends the request and goes away at once, whether or not anybody has read it.
    ///
    /// # Errors
    /// Where it could not even be sent.
    pub async fn send_and_vanish(&self, server: SocketAddr) -> Result<(), CallError> {
        self.send(server).await.map(drop).map_err(|error| self.lost(error))
    }

    /// As [`Self::ask`], on the connection that an earlier answer has left, if it is still good, and leaving it for the next.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub async fn ask_on(&self, kept: &mut Option<TcpStream>, server: SocketAddr) -> Result<Answer, CallError> {
        let exchange = async {
            if let Some(mut stream) = kept.take()
                && self.say(&mut stream, server).await.is_ok()
                && let Ok(answer) = self.hear(&mut stream).await
            {
                return Ok((answer, stream));
            }
            let mut stream = self.send(server).await?;
            Ok::<_, std::io::Error>((self.hear(&mut stream).await?, stream))
        };
        let answer = tokio::time::timeout(PATIENCE, exchange).await;
        let (answer, stream) = answer.map_err(|_| self.lost("it takes too long"))?.map_err(|error| self.lost(error))?;
        answer.check(&self.method, &self.path).map_err(|what| self.contract(format!("{what}: {answer:?}")))?;
        if !answer.header("Connection").is_some_and(|word| word.eq_ignore_ascii_case("close")) {
            *kept = Some(stream);
        }
        Ok(answer)
    }

    async fn send(&self, server: SocketAddr) -> std::io::Result<TcpStream> {
        let mut stream = TcpStream::connect(server).await?;
        // As Go does. Without it a body that follows its head waits for the other side's delayed acknowledgement, 40 ms.
        stream.set_nodelay(true)?;
        self.say(&mut stream, server).await?;
        Ok(stream)
    }

    async fn say(&self, stream: &mut TcpStream, server: SocketAddr) -> std::io::Result<()> {
        let mut head = format!("{} {} HTTP/1.1\r\nHost: {server}\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        if let Some(body) = &self.body {
            let _ = write!(head, "Content-Length: {}\r\n", body.len());
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes()).await?;
        if let Some(body) = &self.body {
            // A server that refuses a body by its length answers and hangs up without reading it all: the answer counts.
            let _ = stream.write_all(body).await;
        }
        Ok(())
    }

    async fn exchange(&self, server: SocketAddr) -> std::io::Result<Answer> {
        let mut stream = self.send(server).await?;
        self.hear(&mut stream).await
    }

    async fn hear(&self, stream: &mut TcpStream) -> std::io::Result<Answer> {
        let mut bytes = Vec::new();
        let head_ends = loop {
            if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break at;
            }
            more(stream, &mut bytes).await?;
        };
        let head = std::str::from_utf8(&bytes[..head_ends]).map_err(std::io::Error::other)?;
        let mut answer = parse_head(head).ok_or_else(|| std::io::Error::other(format!("no HTTP/1.1: {head:?}")))?;
        let mut body = bytes.split_off(head_ends + 4);
        // As the Go client does it: as many bytes as were promised, on a connection that stays open.
        let length = match answer.content_length() {
            Some(length) if self.method != "HEAD" => length,
            _ => 0,
        };
        while body.len() < length {
            more(stream, &mut body).await?;
        }
        answer.body = body;
        Ok(answer)
    }

    fn lost(&self, what: impl fmt::Display) -> CallError {
        CallError::Lost { method: self.method.clone(), path: self.path.clone(), what: what.to_string() }
    }

    pub(super) fn contract(&self, what: impl fmt::Display) -> CallError {
        CallError::Contract { method: self.method.clone(), path: self.path.clone(), what: what.to_string() }
    }
}

async fn more(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> std::io::Result<()> {
    if stream.read_buf(bytes).await? == 0 {
        return Err(std::io::Error::other(format!("it ends after {:?}", String::from_utf8_lossy(bytes))));
    }
    Ok(())
}

fn parse_head(head: &str) -> Option<Answer> {
    let mut lines = head.split("\r\n");
    let (status, reason) = lines.next()?.strip_prefix("HTTP/1.1 ")?.split_once(' ')?;
    let headers = lines.map(|line| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned())));
    let headers = headers.collect::<Option<_>>()?;
    Some(Answer { status: status.parse().ok()?, reason: reason.to_owned(), headers, body: Vec::new() })
}

impl Answer {
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    fn content_length(&self) -> Option<usize> {
        self.header("Content-Length")?.parse().ok()
    }

    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// What holds for every answer of every route, whoever asks. Below `/v1`, which is not heketi's, refusals are JSON.
    ///
    /// # Errors
    /// Says which rule is broken.
    pub fn check(&self, method: &str, path: &str) -> Result<(), String> {
        let says = |name: &str, value: &str| self.header(name) == Some(value);
        let broken = |rule: &str| Err(rule.to_owned());
        if self.header("Transfer-Encoding").is_some() || self.header("Content-Encoding").is_some() {
            // The Go client reads as much of an error as Content-Length says: nothing without it.
            return broken("the body is chunked or compressed");
        }
        match self.status {
            204 if self.header("Content-Length").is_some() || self.header("Content-Type").is_some() => {
                return broken("a 204 has headers of a body");
            }
            204 => {}
            _ if self.content_length().is_none() => return broken("there is no Content-Length"),
            _ if method != "HEAD" && self.content_length() != Some(self.body.len()) => {
                return broken("the body is longer than Content-Length");
            }
            _ => {}
        }
        if let Some(pending) = self.header("X-Pending")
            && (pending != "true" || self.status != 200 || !self.body.is_empty())
        {
            // The Python client asks whether the header is there, the Go client whether it says `true` with a 200.
            return broken("X-Pending stands where nothing is pending");
        }
        if let Some(location) = self.header("Location")
            && (!location.starts_with('/') || location.starts_with("//"))
        {
            // The Python client puts it behind the address that it has.
            return broken("Location is no path");
        }
        if self.status == 202 && self.header("Location").is_none() {
            return broken("a 202 leads nowhere");
        }
        let json = says("Content-Type", "application/json; charset=UTF-8");
        if path.starts_with("/v1/") {
            if self.status >= 400 && self.status != 405 && !json {
                return broken("a refusal of ours is no JSON");
            }
        } else if self.status >= 400 && self.status != 405 {
            if !says("Content-Type", "text/plain; charset=utf-8") || !says("X-Content-Type-Options", "nosniff") {
                return broken("a refusal is not the plain text that it should be");
            }
            if method != "HEAD" && (self.text().trim().is_empty() || !self.body.ends_with(b"\n")) {
                return broken("a refusal says nothing, or not in whole lines");
            }
        }
        if self.status == 405 && !self.body.is_empty() {
            return broken("a 405 has a body");
        }
        if json && !self.body.is_empty() && method != "HEAD" {
            if !self.body.ends_with(b"\n") || self.body.ends_with(b"\n\n") {
                return broken("JSON ends with one line feed");
            }
            serde_json::from_slice::<serde_json::Value>(&self.body).map_err(|error| format!("no JSON: {error}"))?;
        }
        Ok(())
    }
}

/// The answer as it was on the wire, for the texts of failed assertions.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP/1.1 {} {}", self.status, self.reason)?;
        for (name, value) in &self.headers {
            write!(f, "\n{name}: {value}")?;
        }
        write!(f, "\n\n{}", self.text())
    }
}
