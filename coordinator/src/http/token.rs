//! heketi's tokens: JWTs by HMAC, signed with the key of `admin` or `user`, each good for one method and one path.
//!
//! Read by hand rather than by a library's validation, as clients show these refusals to people and their texts are
//! heketi's. Pure but for the key: the time is handed in.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use secrecy::ExposeSecret;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::keys::RestKeys;

/// heketi has none, and its Python client's tokens live for one second: they failed whenever clocks differed by more.
const EXPIRY_LEEWAY: i64 = 30;

/// heketi's default: by how many seconds a client's clock may be ahead.
pub const ISSUE_LEEWAY: u32 = 120;

/// heketi's two users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Admin,
    /// May list and create volumes, and follow what it created.
    User,
}

/// Why a token opens nothing. The texts are heketi's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("Required authorization token not found")]
    Missing,
    #[error("Authorization header format must be Bearer {{token}}")]
    NotBearer,
    #[error("Invalid JWT token: token contains an invalid number of segments")]
    Segments,
    #[error("Invalid JWT token: token is malformed: {0}")]
    Malformed(&'static str),
    #[error("Invalid JWT token: Unexpected signing method: {0}")]
    Algorithm(String),
    #[error("Invalid JWT token: Token missing iss claim")]
    NoIssuer,
    #[error("Invalid JWT token: Unknown user")]
    UnknownUser,
    #[error("Invalid JWT token: signature is invalid (client and server secrets may not match)")]
    Signature,
    #[error("Invalid JWT token: Token is expired by {}", go_duration(*.0))]
    Expired(i64),
    #[error("Invalid JWT token: Token used before issued (client and server clocks may differ)")]
    Future,
    #[error("Invalid JWT token: Token is not valid yet")]
    NotYet,
    #[error("Invalid qsh claim in token")]
    Scope,
}

/// As Go prints a duration of whole seconds: `10s`, `1m10s`, `2h0m1s`.
fn go_duration(seconds: i64) -> String {
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{rest}s"),
        (0, minutes) => format!("{minutes}m{rest}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{rest}s"),
    }
}

#[derive(Deserialize)]
struct Header {
    #[serde(default)]
    alg: String,
}

#[derive(Deserialize)]
struct Claims {
    iss: Option<String>,
    /// Missing counts as the year 1970, long expired.
    #[serde(default)]
    exp: i64,
    iat: Option<i64>,
    nbf: Option<i64>,
    #[serde(default)]
    qsh: String,
}

/// The token in an `Authorization` header.
pub fn in_header(header: Option<&str>) -> Result<&str, TokenError> {
    let header = header.filter(|header| !header.is_empty()).ok_or(TokenError::Missing)?;
    let mut words = header.split(' ');
    match (words.next(), words.next(), words.next()) {
        (Some(scheme), Some(token), None) if scheme.eq_ignore_ascii_case("bearer") => match token {
            "" => Err(TokenError::Missing),
            token => Ok(token),
        },
        _ => Err(TokenError::NotBearer),
    }
}

/// When a token is judged.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    pub second: i64,
    /// By how many seconds a client's clock may be ahead.
    pub clock_leeway: u32,
}

/// Who signed the token, if it is good for this method and path now.
pub fn check(keys: &RestKeys, token: &str, method: &str, path: &str, now: Now) -> Result<Role, TokenError> {
    let Now { second: now, clock_leeway } = now;
    let mut segments = token.split('.');
    let (Some(header), Some(claims), Some(signature), None) =
        (segments.next(), segments.next(), segments.next(), segments.next())
    else {
        return Err(TokenError::Segments);
    };
    let signed = &token[..header.len() + 1 + claims.len()];
    let header: Header = json(header, "its header cannot be read")?;
    let claims: Claims = json(claims, "its claims cannot be read")?;

    let algorithm = match header.alg.as_str() {
        "HS256" => Algorithm::HS256,
        "HS384" => Algorithm::HS384,
        "HS512" => Algorithm::HS512,
        other => return Err(TokenError::Algorithm(other.chars().take(32).collect())),
    };
    let (role, key) = match claims.iss.as_deref() {
        None => return Err(TokenError::NoIssuer),
        Some("admin") => (Role::Admin, &keys.admin),
        Some("user") => (Role::User, &keys.user),
        Some(_) => return Err(TokenError::UnknownUser),
    };
    let key = DecodingKey::from_secret(key.expose_secret().as_bytes());
    match jsonwebtoken::crypto::verify(signature, signed.as_bytes(), &key, algorithm) {
        Ok(true) => {}
        Ok(false) | Err(_) => return Err(TokenError::Signature),
    }

    if now > claims.exp.saturating_add(EXPIRY_LEEWAY) {
        return Err(TokenError::Expired(now.saturating_sub(claims.exp)));
    }
    if claims.iat.is_some_and(|issued| now < issued.saturating_sub(clock_leeway.into())) {
        return Err(TokenError::Future);
    }
    if claims.nbf.is_some_and(|from| now < from) {
        return Err(TokenError::NotYet);
    }
    let scope = hex::encode(Sha256::digest(format!("{method}&{path}")));
    if claims.qsh != scope {
        return Err(TokenError::Scope);
    }
    Ok(role)
}

fn json<T: for<'de> Deserialize<'de>>(segment: &str, what: &'static str) -> Result<T, TokenError> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(segment).map_err(|_| TokenError::Malformed(what))?;
    serde_json::from_slice(&bytes).map_err(|_| TokenError::Malformed(what))
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::EncodingKey;
    use serde_json::{Value, json};

    use super::*;

    const NOW: i64 = 1_700_000_000;

    fn keys() -> RestKeys {
        RestKeys { admin: "the admin's key".into(), user: "the user's key".into() }
    }

    fn now() -> Now {
        Now { second: NOW, clock_leeway: ISSUE_LEEWAY }
    }

    fn qsh(method: &str, path: &str) -> String {
        hex::encode(Sha256::digest(format!("{method}&{path}")))
    }

    fn claims() -> Value {
        json!({ "iss": "admin", "iat": NOW, "exp": NOW + 300, "qsh": qsh("GET", "/volumes") })
    }

    fn signed(algorithm: Algorithm, claims: &Value, key: &str) -> String {
        let key = EncodingKey::from_secret(key.as_bytes());
        jsonwebtoken::encode(&jsonwebtoken::Header::new(algorithm), claims, &key).unwrap()
    }

    fn with(changes: Value) -> String {
        let mut claims = claims();
        for (name, value) in changes.as_object().unwrap() {
            match value {
                Value::Null => claims.as_object_mut().unwrap().remove(name),
                value => claims.as_object_mut().unwrap().insert(name.clone(), value.clone()),
            };
        }
        signed(Algorithm::HS256, &claims, "the admin's key")
    }

    fn judge(token: &str) -> Result<Role, String> {
        check(&keys(), token, "GET", "/volumes", now()).map_err(|error| error.to_string())
    }

    fn refusal(token: &str) -> String {
        judge(token).unwrap_err()
    }

    #[test]
    fn all_three_hmac_algorithms_are_taken() {
        for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            assert_eq!(judge(&signed(algorithm, &claims(), "the admin's key")), Ok(Role::Admin));
        }
    }

    #[test]
    fn each_user_signs_with_a_key_of_its_own() {
        let user = json!({ "iss": "user", "exp": NOW + 300, "qsh": qsh("GET", "/volumes") });
        assert_eq!(judge(&signed(Algorithm::HS256, &user, "the user's key")), Ok(Role::User));
        let text = "Invalid JWT token: signature is invalid (client and server secrets may not match)";
        assert_eq!(refusal(&signed(Algorithm::HS256, &user, "the admin's key")), text);
        assert_eq!(refusal(&signed(Algorithm::HS256, &claims(), "the user's key")), text);
    }

    #[test]
    fn a_token_without_a_signature_is_refused() {
        let header = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
        let body = BASE64_URL_SAFE_NO_PAD.encode(claims().to_string());
        assert_eq!(refusal(&format!("{header}.{body}.")), "Invalid JWT token: Unexpected signing method: none");
        let hs256 = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
        assert!(refusal(&format!("{hs256}.{body}.")).contains("signature is invalid"));
    }

    #[test]
    fn garbage_is_named() {
        assert_eq!(refusal("x"), "Invalid JWT token: token contains an invalid number of segments");
        assert!(refusal("a.b.c").starts_with("Invalid JWT token: token is malformed"));
    }

    #[test]
    fn the_issuer_must_be_one_of_two() {
        assert_eq!(refusal(&with(json!({ "iss": "root" }))), "Invalid JWT token: Unknown user");
        // What Kubernetes sends where it was told to use no authentication.
        assert_eq!(refusal(&with(json!({ "iss": "" }))), "Invalid JWT token: Unknown user");
        assert_eq!(refusal(&with(json!({ "iss": null }))), "Invalid JWT token: Token missing iss claim");
    }

    #[test]
    fn a_token_expires_thirty_seconds_late() {
        for exp in [NOW, NOW - 30] {
            assert_eq!(judge(&with(json!({ "exp": exp }))), Ok(Role::Admin), "{exp}");
        }
        assert_eq!(refusal(&with(json!({ "exp": NOW - 31 }))), "Invalid JWT token: Token is expired by 31s");
        assert_eq!(refusal(&with(json!({ "exp": NOW - 3661 }))), "Invalid JWT token: Token is expired by 1h1m1s");
        assert!(refusal(&with(json!({ "exp": null }))).starts_with("Invalid JWT token: Token is expired by 472222h"));
    }

    #[test]
    fn a_clock_that_is_two_minutes_ahead_is_no_reason() {
        assert_eq!(judge(&with(json!({ "iat": NOW + 120 }))), Ok(Role::Admin));
        let text = "Invalid JWT token: Token used before issued (client and server clocks may differ)";
        assert_eq!(refusal(&with(json!({ "iat": NOW + 121 }))), text);
        assert_eq!(judge(&with(json!({ "iat": null }))), Ok(Role::Admin));
        assert_eq!(refusal(&with(json!({ "nbf": NOW + 1 }))), "Invalid JWT token: Token is not valid yet");
    }

    #[test]
    fn a_token_is_good_for_one_method_and_one_path() {
        let token = with(json!({}));
        for (method, path) in [("POST", "/volumes"), ("GET", "/volumes/"), ("GET", "/clusters")] {
            assert_eq!(check(&keys(), &token, method, path, now()), Err(TokenError::Scope));
        }
        assert_eq!(refusal(&with(json!({ "qsh": null }))), "Invalid qsh claim in token");
    }

    #[test]
    fn the_header_must_be_a_bearers() {
        assert_eq!(in_header(Some("bearer x.y.z")), Ok("x.y.z"));
        assert_eq!(in_header(Some("Bearer x.y.z")), Ok("x.y.z"));
        for missing in [None, Some(""), Some("bearer ")] {
            assert_eq!(in_header(missing), Err(TokenError::Missing));
        }
        for other in ["x.y.z", "Basic x", "bearer x y"] {
            assert_eq!(in_header(Some(other)), Err(TokenError::NotBearer));
        }
    }
}
