//! heketi's token, made as its clients make it.

use jsonwebtoken::{EncodingKey, Header};
use serde_json::json;
use sha2::{Digest as _, Sha256};

/// Good for one method and one path, for `life` seconds from now.
pub fn bearer(user: &str, key: &str, method: &str, path: &str, life: i64) -> String {
    let now = jiff::Timestamp::now().as_second();
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    let qsh = hex::encode(Sha256::digest(format!("{method}&{path}")));
    let claims = json!({"iss": user, "iat": now, "exp": now + life, "qsh": qsh});
    let token = jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(key.as_bytes()));
    format!("bearer {}", token.expect("HMAC takes a key of any length"))
}
