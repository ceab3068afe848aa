//! Which server is meant, and who asks.

use std::env;
use std::path::PathBuf;

use bricklayer_api::client::{Client, ClientConfig, ClientError};

/// What flags say; the rest comes from the environment.
#[derive(Debug, Default)]
pub struct Connection {
    pub server: Option<String>,
    pub user: Option<String>,
    pub key: Option<String>,
    pub insecure_tls: bool,
    pub tls_certificates: Vec<PathBuf>,
}

/// The first of these variables that is set and not empty.
fn variable(names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| env::var(name).ok().filter(|value| !value.is_empty()))
}

impl Connection {
    /// A flag wins over a variable, and the first of `prefixes` over the next: `BRICKLAYER` stands for
    /// `BRICKLAYER_SERVER`, `_USER` and `_KEY`.
    pub fn client(self, prefixes: &[&str]) -> Result<Client, ClientError> {
        let from_environment = |what: &str| {
            let names: Vec<String> = prefixes.iter().map(|prefix| format!("{prefix}_{what}")).collect();
            variable(&names.iter().map(String::as_str).collect::<Vec<_>>())
        };
        let given =
            |flag: Option<String>, what| flag.filter(|value| !value.is_empty()).or_else(|| from_environment(what));
        Client::new(ClientConfig {
            server: given(self.server, "SERVER").unwrap_or_else(|| "http://localhost:8080".to_owned()),
            user: given(self.user, "USER").unwrap_or_default(),
            key: given(self.key, "KEY").unwrap_or_default().into(),
            insecure_tls: self.insecure_tls,
            tls_certificates: self.tls_certificates,
        })
    }
}
