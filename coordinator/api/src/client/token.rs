//! heketi's token: a JWT by HMAC-SHA-256 that holds for one method and one path.

use jiff::Timestamp;
use jsonwebtoken::{EncodingKey, Header};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::ClientError;

/// As in heketi's Go client. Clocks of client and server may differ by as much.
const LIFE_SECONDS: i64 = 5 * 60;

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    iat: i64,
    exp: i64,
    /// SHA-256 of `METHOD&PATH`, so that a token that was overheard opens nothing else.
    qsh: String,
}

pub(super) fn sign(user: &str, key: &SecretString, method: &str, path: &str) -> Result<String, ClientError> {
    let now = Timestamp::now().as_second();
    let qsh = hex::encode(Sha256::digest(format!("{method}&{path}")));
    let claims = Claims { iss: user, iat: now, exp: now + LIFE_SECONDS, qsh };
    let key = EncodingKey::from_secret(key.expose_secret().as_bytes());
    jsonwebtoken::encode(&Header::default(), &claims, &key).map_err(ClientError::Token)
}
