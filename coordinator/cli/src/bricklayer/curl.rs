//! Writes requests as lines for curl.
//!
//! A token opens one method of one path for a few minutes, so none is printed: the line asks `bricklayer token` for one
//! when it runs, and that takes user and key from the environment.

use std::fmt::Write as _;

use super::args::ConnectionArgs;
use super::tables::quoted;

/// What of the connection goes into every line.
#[derive(Clone, Debug)]
pub struct Curl {
    server: String,
    tls: String,
    authenticated: bool,
}

impl Curl {
    pub fn new(connection: &ConnectionArgs, server: &str, user: &str) -> Self {
        let mut tls = String::new();
        if connection.insecure_tls {
            tls.push_str(" --insecure");
        }
        for file in &connection.tls_certificates {
            let _infallible = write!(tls, " --cacert {}", quoted(&file.display().to_string()));
        }
        Self { server: server.to_owned(), tls, authenticated: !user.is_empty() }
    }

    /// The answer's head is shown for a change, as it says where the result will be.
    pub fn line(&self, method: &str, path: &str, body: &[u8]) -> String {
        let mut line = "curl -sS".to_owned();
        if method != "GET" {
            let _infallible = write!(line, " -i -X {method}");
        }
        line.push_str(&self.tls);
        if self.authenticated {
            let path = path.split('?').next().unwrap_or(path);
            let _infallible = write!(line, " -H \"Authorization: bearer $(bricklayer token {method} {path})\"");
        }
        if !body.is_empty() {
            let body = quoted(&String::from_utf8_lossy(body));
            let _infallible = write!(line, " -H 'Content-Type: application/json' -d {body}");
        }
        let _infallible = writeln!(line, " {}", quoted(&format!("{}{path}", self.server)));
        line
    }
}
