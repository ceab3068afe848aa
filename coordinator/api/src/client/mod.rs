//! Speaks to a coordinator, or to a heketi, as heketi's own Go client does.
//!
//! Each request carries a token of its own; a redirect is followed by hand, as the token names the path; a server that
//! is busy (429) is asked again. Long work is answered with an [`Accepted`], which [`Client::poll`] and
//! [`Client::wait`] turn into its result. The client decides nothing and prints nothing.

mod answer;
mod change;
mod error;
mod heketi;
mod record;
mod token;
mod v1;

#[cfg(test)]
mod tests;

use std::marker::PhantomData;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bricklayer_proto::ids::OperationId;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Method, StatusCode, Url};
use secrecy::SecretString;
use serde::de::DeserializeOwned;

pub use change::{Change, Reply};
pub use error::ClientError;
pub use record::{Read, Record};
pub use v1::Wipe;

use answer::{Answer, read};

use crate::heketi::{BlockVolumeInfo, NodeInfo, VolumeInfo};

/// How often work in progress is asked for; heketi's clients do the same.
const POLL_INTERVAL: Duration = Duration::from_millis(400);

/// The first pause is shorter by this, and each one after it twice as long, up to the interval: what is done at once
/// is seen at once.
const FIRST_POLL_SHARE: u32 = 8;

/// How often a busy server is asked again before its refusal is taken as the answer.
const BUSY_RETRIES: u32 = 6;

const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// How long a server that took work on may be away before we give up asking for the result.
pub const RESTART_LIMIT: Duration = Duration::from_secs(60);

/// The server may examine hosts before it answers; heketi could take minutes when hosts were down.
const ANSWER_LIMIT: Duration = Duration::from_secs(300);

/// Where the server is and who asks.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Such as `http://localhost:8080`.
    pub server: String,
    /// `admin`, `user`, or empty for a server without authentication.
    pub user: String,
    pub key: SecretString,
    /// Take any TLS certificate.
    pub insecure_tls: bool,
    /// PEM files of CAs to trust instead of the system's.
    pub tls_certificates: Vec<PathBuf>,
}

/// A connection to one server. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    /// Without a slash at its end.
    server: String,
    user: String,
    key: SecretString,
    pace: Pace,
    record: Option<Record>,
}

#[derive(Clone, Copy, Debug)]
struct Pace {
    poll: Duration,
    /// One unit of the waits that a busy server asks for.
    second: Duration,
    restart: Duration,
}

/// Work that the server has taken on; its result will be a `T`.
#[derive(Debug)]
#[must_use = "the work is not done yet"]
pub struct Accepted<T> {
    queue: String,
    result: PhantomData<fn() -> T>,
}

impl<T> Accepted<T> {
    /// The operation behind it; `None` where the server names its work in another way.
    #[must_use]
    pub fn operation(&self) -> Option<OperationId> {
        self.queue.strip_prefix("/queue/")?.parse().ok()
    }

    /// Path at which the server tells how far it is.
    #[must_use]
    pub fn queue(&self) -> &str {
        &self.queue
    }
}

/// What a poll found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Poll<T> {
    Pending,
    Done(T),
}

/// What long work leaves behind.
pub trait WorkResult: Sized {
    /// The result of work that leaves no resource (204).
    fn nothing() -> Option<Self>;

    /// The result of work that leaves a resource (303): its body.
    fn resource(path: &str, body: &[u8]) -> Result<Self, ClientError>;
}

impl WorkResult for () {
    fn nothing() -> Option<Self> {
        Some(())
    }

    fn resource(_path: &str, _body: &[u8]) -> Result<Self, ClientError> {
        Ok(())
    }
}

macro_rules! resources {
    ($($resource:ty),+) => {$(
        impl WorkResult for $resource {
            fn nothing() -> Option<Self> {
                None
            }

            fn resource(path: &str, body: &[u8]) -> Result<Self, ClientError> {
                read(path, body)
            }
        }
    )+};
}

resources!(BlockVolumeInfo, NodeInfo, VolumeInfo);

impl Client {
    /// Makes no connection yet.
    pub fn new(config: ClientConfig) -> Result<Self, ClientError> {
        let wrong = |why| ClientError::NoServer { server: config.server.clone(), why };
        let url = Url::parse(&config.server).map_err(|_| wrong("it is no URL"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong("it must begin with http:// or https://"));
        }
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("it holds more than scheme, host, port and path"));
        }
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();

        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_LIMIT)
            .read_timeout(ANSWER_LIMIT);
        let loopback = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
        if loopback {
            builder = builder.no_proxy(); // a proxy's idea of localhost is another machine
        }
        if !config.tls_certificates.is_empty() {
            let mut trusted = Vec::new();
            for file in &config.tls_certificates {
                let pem = std::fs::read(file)
                    .map_err(|source| ClientError::CertificateFile { file: file.clone(), source })?;
                let bundle = reqwest::Certificate::from_pem_bundle(&pem)
                    .map_err(|source| ClientError::Certificate { file: file.clone(), source })?;
                trusted.extend(bundle);
            }
            builder = builder.tls_certs_only(trusted);
        } else if url.scheme() == "http" {
            builder = builder.tls_certs_only([]); // a host without the system's CA bundle must still reach plain HTTP
        }
        if config.insecure_tls {
            builder = builder.tls_danger_accept_invalid_certs(true);
        }
        let http = builder.build().map_err(ClientError::SetUp)?;
        let server = config.server.trim_end_matches('/').to_owned();
        let pace = Pace { poll: POLL_INTERVAL, second: Duration::from_secs(1), restart: RESTART_LIMIT };
        Ok(Self { http, server, user: config.user, key: config.key, pace, record: None })
    }

    /// The address that requests go to.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The user in whose name requests go out; empty for a server without authentication.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// A token that opens this one method of this one path, for a few minutes.
    pub fn token(&self, method: &str, path: &str) -> Result<String, ClientError> {
        token::sign(&self.user, &self.key, method, path)
    }

    /// Asks once how far the work is.
    pub async fn poll<T: WorkResult>(&self, work: &Accepted<T>) -> Result<Poll<T>, ClientError> {
        let path = work.queue();
        let answer = self.get(path).await?;
        let pending = answer.headers.get("X-Pending").is_some_and(|value| value == "true");
        match answer.status {
            StatusCode::OK if pending => Ok(Poll::Pending),
            StatusCode::NO_CONTENT => T::nothing().map(Poll::Done).ok_or_else(|| ClientError::Protocol {
                path: path.to_owned(),
                what: "the work is done, but it names nothing that was made".to_owned(),
            }),
            StatusCode::SEE_OTHER => {
                let resource = answer.location(path)?;
                let found = self.get(&resource).await?.expect(&resource, StatusCode::OK)?;
                T::resource(&resource, &found.body).map(Poll::Done)
            }
            // The body of a result that some servers send at once; ours and heketi's redirect to it.
            StatusCode::OK => T::resource(path, &answer.body).map(Poll::Done),
            _ => Err(answer.refusal()),
        }
    }

    /// Waits for the work to end, for as long as it takes. `on_pending` is called after each poll that finds it still
    /// running, before the pause. A coordinator that is being restarted goes on with the work, so it is given
    /// [`RESTART_LIMIT`] to come back.
    pub async fn wait<T: WorkResult>(
        &self,
        work: &Accepted<T>,
        mut on_pending: impl AsyncFnMut(&Accepted<T>),
    ) -> Result<T, ClientError> {
        let mut last_seen = Instant::now();
        let mut pause = self.pace.poll / FIRST_POLL_SHARE;
        loop {
            match self.poll(work).await {
                Ok(Poll::Done(result)) => return Ok(result),
                Ok(Poll::Pending) => {
                    last_seen = Instant::now();
                    on_pending(work).await;
                }
                Err(ClientError::Unreachable { .. }) if last_seen.elapsed() < self.pace.restart => {}
                Err(error) => return Err(error),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(self.pace.poll);
        }
    }

    async fn get(&self, path: &str) -> Result<Answer, ClientError> {
        self.send(Method::GET, path, None).await
    }

    async fn get_json<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        let answer = self.get(path).await?.expect(path, StatusCode::OK)?;
        read(path, &answer.body)
    }

    async fn get_text(&self, path: &str) -> Result<String, ClientError> {
        let answer = self.get(path).await?.expect(path, StatusCode::OK)?;
        Ok(String::from_utf8_lossy(&answer.body).into_owned())
    }

    /// Sends until the server is not busy.
    async fn send(&self, method: Method, path: &str, body: Option<Vec<u8>>) -> Result<Answer, ClientError> {
        let mut busy = 0;
        loop {
            let answer = self.send_once(method.clone(), path, body.clone()).await?;
            if answer.status != StatusCode::TOO_MANY_REQUESTS || busy == BUSY_RETRIES {
                return Ok(answer);
            }
            busy += 1;
            tokio::time::sleep(self.pace.second * seconds_until_retry(&answer.headers)).await;
        }
    }

    async fn send_once(&self, method: Method, path: &str, body: Option<Vec<u8>>) -> Result<Answer, ClientError> {
        let unreachable = |source| ClientError::Unreachable { server: self.server.clone(), source };
        if let Some(record) = &self.record
            && method == Method::GET
        {
            record.add(path);
        }
        let url = format!("{}{path}", self.server);
        let url = Url::parse(&url).map_err(|_| ClientError::NoServer { server: url, why: "it is no URL" })?;
        let token = token::sign(&self.user, &self.key, method.as_str(), url.path())?;
        let mut request = self.http.request(method, url).bearer_auth(token);
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        let response = request.send().await.map_err(unreachable)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await.map_err(unreachable)?.to_vec();
        Ok(Answer { status, headers, body })
    }
}

/// As heketi's client waits: what the server asks for and a little more, so that all who were refused do not come back
/// at once.
fn seconds_until_retry(headers: &HeaderMap) -> u32 {
    const LONGEST: u32 = 300;
    let asked: Option<u32> =
        headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
    match asked {
        Some(seconds) => seconds.min(LONGEST) + rand::random_range(0..=2),
        None => rand::random_range(10..=30),
    }
}
