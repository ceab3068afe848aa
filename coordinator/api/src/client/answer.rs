//! One answer of a server, before anybody knows what it means.

use reqwest::header::{CONTENT_TYPE, HeaderMap, LOCATION};
use reqwest::{StatusCode, Url};
use serde::de::DeserializeOwned;

use super::ClientError;
use crate::json::parse_body;
use crate::v1::Problem;

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    /// The path that the server points to. Only the path counts: a server is never trusted to send us elsewhere.
    pub fn location(&self, path: &str) -> Result<String, ClientError> {
        let missing =
            || ClientError::Protocol { path: path.to_owned(), what: "it names no usable Location".to_owned() };
        let location = self.headers.get(LOCATION).and_then(|value| value.to_str().ok()).ok_or_else(missing)?;
        if location.starts_with('/') && !location.starts_with("//") {
            return Ok(location.to_owned());
        }
        Url::parse(location).map(|url| url.path().to_owned()).map_err(|_| missing())
    }

    pub fn refusal(&self) -> ClientError {
        let text = String::from_utf8_lossy(&self.body).trim().to_owned();
        let json = self
            .headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|kind| kind.starts_with("application/json"));
        match parse_body::<Problem>(&self.body) {
            Ok(problem) if json => {
                ClientError::Refused { status: self.status.as_u16(), text: problem.error, cure: problem.cure }
            }
            _ if text.is_empty() => ClientError::Refused {
                status: self.status.as_u16(),
                text: format!("the server answered {} and gave no reason", self.status),
                cure: None,
            },
            _ => ClientError::Refused { status: self.status.as_u16(), text, cure: None },
        }
    }

    /// Itself where it has the status that the route promises.
    pub fn expect(self, path: &str, status: StatusCode) -> Result<Self, ClientError> {
        if self.status == status {
            Ok(self)
        } else if self.status.is_client_error() || self.status.is_server_error() {
            Err(self.refusal())
        } else {
            Err(ClientError::Protocol {
                path: path.to_owned(),
                what: format!("its status is {}, {status} was expected", self.status),
            })
        }
    }
}

pub fn read<T: DeserializeOwned>(path: &str, body: &[u8]) -> Result<T, ClientError> {
    parse_body(body).map_err(|source| ClientError::Unreadable { path: path.to_owned(), source })
}
