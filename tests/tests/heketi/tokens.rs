//! Who is let in: heketi's tokens, with its texts, on a server that asks for them.

use bricklayer_tests::clients::HeketiClient as _;
use bricklayer_tests::clients::wire::Request;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::sandbox::Sandbox;

fn signed(key: &str, algorithm: Algorithm, claims: &Value) -> String {
    let key = EncodingKey::from_secret(key.as_bytes());
    format!("bearer {}", jsonwebtoken::encode(&Header::new(algorithm), claims, &key).unwrap())
}

fn qsh(method: &str, path: &str) -> String {
    hex::encode(Sha256::digest(format!("{method}&{path}")))
}

#[tokio::test]
async fn tokens_are_judged_as_heketi_judges_them_and_in_its_words() {
    let sandbox = Sandbox::start(&["--nodes", "0"]);
    let key = sandbox.admin_key();
    let now = jiff::Timestamp::now().as_second();
    let good = json!({"iss": "admin", "iat": now, "exp": now + 300, "qsh": qsh("GET", "/clusters")});
    let with = |key: &str, value: Value| {
        let mut claims = good.clone();
        claims[key] = value;
        claims
    };
    let without = |key: &str| {
        let mut claims = good.clone();
        claims.as_object_mut().unwrap().remove(key);
        claims
    };
    let by_us = |claims: &Value| Some(signed(key, Algorithm::HS256, claims));
    let unsigned = "bearer eyJhbGciOiJub25lIn0.eyJpc3MiOiJhZG1pbiJ9.";
    let invalid = |text: &str| format!("Invalid JWT token: {text}");
    let cases: [(&str, Option<String>, u16, String); 22] = [
        ("as it should be", by_us(&good), 200, String::new()),
        ("HS384", Some(signed(key, Algorithm::HS384, &good)), 200, String::new()),
        ("HS512", Some(signed(key, Algorithm::HS512, &good)), 200, String::new()),
        ("the scheme in capitals", by_us(&good).map(|header| header.replace("bearer", "BEARER")), 200, String::new()),
        ("no time of issue", by_us(&without("iat")), 200, String::new()),
        ("a clock that is two minutes ahead", by_us(&with("iat", json!(now + 110))), 200, String::new()),
        ("expired a moment ago", by_us(&with("exp", json!(now - 5))), 200, String::new()),
        ("no header", None, 401, "Required authorization token not found".into()),
        ("Basic", Some("Basic eDp5".into()), 400, "Authorization header format must be Bearer {token}".into()),
        ("a word alone", Some("bearer".into()), 400, "Authorization header format must be Bearer {token}".into()),
        ("garbage", Some("bearer x".into()), 401, invalid("token contains an invalid number of segments")),
        (
            "another key",
            Some(signed("another", Algorithm::HS256, &good)),
            401,
            invalid("signature is invalid (client and server secrets may not match)"),
        ),
        (
            "no key",
            Some(signed("", Algorithm::HS256, &good)),
            401,
            invalid("signature is invalid (client and server secrets may not match)"),
        ),
        ("no signature", Some(unsigned.into()), 401, invalid("Unexpected signing method: none")),
        ("somebody else", by_us(&with("iss", json!("root"))), 401, invalid("Unknown user")),
        ("in nobody's name", by_us(&with("iss", json!(""))), 401, invalid("Unknown user")),
        ("nobody", by_us(&without("iss")), 401, invalid("Token missing iss claim")),
        ("expired", by_us(&with("exp", json!(now - 100))), 401, invalid("Token is expired by ")),
        ("never expires", by_us(&without("exp")), 401, invalid("Token is expired by ")),
        (
            "from tomorrow",
            by_us(&with("iat", json!(now + 86_400))),
            401,
            invalid("Token used before issued (client and server clocks may differ)"),
        ),
        (
            "for another path",
            by_us(&with("qsh", json!(qsh("GET", "/volumes")))),
            401,
            "Invalid qsh claim in token".into(),
        ),
        ("for every path", by_us(&without("qsh")), 401, "Invalid qsh claim in token".into()),
    ];
    for (name, header, status, begins) in cases {
        let mut request = Request::new("GET", "/clusters?anything=1");
        if let Some(header) = header {
            request = request.header("Authorization", &header);
        }
        let answer = request.ask(sandbox.server).await.unwrap();
        let text = answer.text();
        assert!(answer.status == status && (status == 200 || text.starts_with(&begins)), "{name}: {answer:?}");
    }
    // A token is good for one method, too: who overhears a GET deletes nothing.
    let request = Request::new("POST", "/clusters").header("Authorization", &by_us(&good).unwrap()).body("{}");
    assert_eq!(request.ask(sandbox.server).await.unwrap().text(), "Invalid qsh claim in token\n");
    let none = sandbox.go().clusters().await.unwrap();
    assert_eq!(none, json!({"clusters": []}));
}

/// What needs no token, and what comes after it: a path that nobody has is told to those alone who may ask.
#[tokio::test]
async fn strangers_learn_nothing_but_that_the_server_is_there() {
    let sandbox = Sandbox::start(&["--nodes", "0"]);
    let ask = async |method: &str, path: &str| Request::new(method, path).ask(sandbox.server).await.unwrap().status;
    assert_eq!(ask("GET", "/hello").await, 200);
    assert_eq!(ask("GET", "/metrics").await, 200);
    for (method, path) in [
        ("POST", "/hello"),
        ("GET", "/nothing"),
        ("PUT", "/clusters"),
        ("GET", "/clusters/"),
        ("GET", "//volumes"),
        ("GET", "/queue/0123456789abcdef0123456789abcdef"),
        ("POST", "/admin"),
        ("GET", "/backup/db"),
    ] {
        assert_eq!(ask(method, path).await, 401, "{method} {path}");
    }
}

/// The user's role may list and begin volumes, follow what it began, and nothing else.
#[tokio::test]
async fn the_user_sees_volumes_and_what_it_began() {
    let sandbox = Sandbox::start(&["--nodes", "1", "--devices", "1", "--device-size", "100GiB"]);
    super::life_cycles::furnish(&sandbox.go(), 1, &["/dev/sdb"]).await.unwrap();
    let others = sandbox.go().volume_create(json!({"size": 1})).await.unwrap();
    let user = sandbox.go_as_user();
    let own = user.volume_create(json!({"size": 1})).await.expect("it follows what it began to its end");
    assert_eq!(user.volumes().await.unwrap()["volumes"].as_array().unwrap().len(), 2);
    assert_eq!(user.volume(own["id"].as_str().unwrap()).await.unwrap(), own);
    for path in [format!("/volumes/{}", others["id"].as_str().unwrap()), "/clusters".into(), "/admin".into()] {
        let refused = user.get(&path).await.unwrap_err();
        assert_eq!((refused.status(), refused.text()), (Some(401), "Administrator access required"), "{path}");
    }
    let refused = user.volume_delete(own["id"].as_str().unwrap()).await.unwrap_err();
    assert_eq!(refused.text(), "Administrator access required");
}
