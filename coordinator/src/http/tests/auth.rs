use bricklayer_api::v1::Problem;
use bricklayer_proto::ids::OperationId;
use jiff::Timestamp;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::world::{Answer, World, ask};
use crate::http::Auth;
use crate::keys::RestKeys;

async fn locked() -> World {
    let keys = RestKeys { admin: "admin's".into(), user: "user's".into() };
    World::with(Auth::with_keys(keys), |service| service).await
}

fn token(user: &str, method: &str, path: &str) -> String {
    let qsh = hex::encode(Sha256::digest(format!("{method}&{path}")));
    let claims = json!({ "iss": user, "exp": Timestamp::now().as_second() + 60, "qsh": qsh });
    let key = EncodingKey::from_secret(format!("{user}'s").as_bytes());
    jsonwebtoken::encode(&Header::default(), &claims, &key).unwrap()
}

async fn ask_as(world: &World, user: &str, method: &str, path: &str, body: &str) -> Answer {
    let plain = path.split('?').next().unwrap();
    let bearer = format!("bearer {}", token(user, method, plain));
    ask(world.address, method, path, &[("Authorization", &bearer)], body).await
}

#[tokio::test]
async fn without_a_token_only_the_greeting_is_told() {
    let world = locked().await;
    assert_eq!(world.get("/hello").await.body, "Hello from Bricklayer");
    for path in ["/clusters", "/volumes", "/nothing", "/nodes/xyz", "/v1/agents", "/"] {
        let answer = world.get(path).await;
        assert_eq!(answer.status, 401, "{path}");
        assert!(answer.body.contains("Required authorization token not found"), "{path}");
    }
    // Only the GET is open.
    let answer = world.post("/hello", "").await;
    assert_eq!((answer.status, answer.body.as_str()), (401, "Required authorization token not found\n"));
    let answer = ask_as(&world, "admin", "POST", "/hello", "").await;
    assert_eq!((answer.status, answer.body.as_str()), (404, "Invalid path or request\n"));
}

#[tokio::test]
async fn a_header_that_is_no_bearers_is_a_bad_request() {
    let world = locked().await;
    let answer = ask(world.address, "GET", "/volumes", &[("Authorization", "Basic eDp5")], "").await;
    assert_eq!((answer.status, answer.body.as_str()), (400, "Authorization header format must be Bearer {token}\n"));
    let answer = ask(world.address, "GET", "/volumes", &[("Authorization", "Bearer x")], "").await;
    let text = "Invalid JWT token: token contains an invalid number of segments\n";
    assert_eq!((answer.status, answer.body.as_str()), (401, text));
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
}

#[tokio::test]
async fn a_token_is_judged_by_the_path_that_was_sent_without_its_query() {
    let world = locked().await;
    assert_eq!(ask_as(&world, "admin", "GET", "/volumes?x=y", "").await.status, 200);
    assert_eq!(ask_as(&world, "admin", "GET", "//volumes", "").await.status, 200);
    let bearer = format!("bearer {}", token("admin", "GET", "/clusters"));
    let answer = ask(world.address, "GET", "/volumes", &[("Authorization", &bearer)], "").await;
    assert_eq!((answer.status, answer.body.as_str()), (401, "Invalid qsh claim in token\n"));
}

#[tokio::test]
async fn on_our_own_paths_a_refusal_is_json() {
    let world = locked().await;
    let answer = world.get("/v1/agents").await;
    assert_eq!(answer.header("content-type"), Some("application/json; charset=UTF-8"));
    assert_eq!(answer.json::<Problem>().error, "Required authorization token not found");
}

#[tokio::test]
async fn a_user_lists_and_creates_volumes_and_nothing_else() {
    let world = locked().await;
    assert_eq!(ask_as(&world, "user", "GET", "/volumes", "").await.body, "{\"volumes\":[]}\n");
    assert_eq!(ask_as(&world, "user", "POST", "/volumes", r#"{"size":1}"#).await.body, "No clusters configured\n");
    let unknown = format!("/queue/{}", OperationId::from_u128(1));
    for (method, path) in [
        ("GET", "/clusters"),
        ("GET", "/volumes/0123456789abcdef0123456789abcdef"),
        ("DELETE", "/volumes/0123456789abcdef0123456789abcdef"),
        ("GET", unknown.as_str()),
        ("GET", "/v1/agents"),
        ("GET", "/nothing"),
    ] {
        let answer = ask_as(&world, "user", method, path, "").await;
        assert_eq!(answer.status, 401, "{path}");
        assert!(answer.body.contains("Administrator access required"), "{path}");
    }
}

#[tokio::test]
async fn a_user_may_follow_what_it_began_and_only_that() {
    let world = locked().await;
    let cluster = ask_as(&world, "admin", "POST", "/clusters", r#"{"file":true,"block":true}"#).await;
    let cluster: bricklayer_api::heketi::ClusterInfo = cluster.json();
    let hosts = r#"{"manage":["m0"],"storage":["10.0.0.1"]}"#;
    let node = format!(r#"{{"zone":1,"hostnames":{hosts},"cluster":"{}"}}"#, cluster.id);
    end_of(&world, "admin", &ask_as(&world, "admin", "POST", "/nodes", &node).await.queue()).await;
    let device = format!(r#"{{"name":"/dev/sdb","node":"{}"}}"#, super::world::node_id(0));
    end_of(&world, "admin", &ask_as(&world, "admin", "POST", "/devices", &device).await.queue()).await;

    let begun = ask_as(&world, "user", "POST", "/volumes", r#"{"size":1}"#).await.queue();
    let ended = end_of(&world, "user", &begun).await;
    assert_eq!(ended.status, 303, "{ended:?}");
    let volume = ended.header("location").unwrap();
    assert_eq!(ask_as(&world, "user", "GET", volume, "").await.status, 200);
    assert_eq!(ask_as(&world, "user", "DELETE", volume, "").await.status, 401);

    let others = ask_as(&world, "admin", "POST", "/volumes", r#"{"size":1}"#).await.queue();
    let ended = end_of(&world, "admin", &others).await;
    let volume = ended.header("location").unwrap();
    assert_eq!(ask_as(&world, "user", "GET", &others, "").await.status, 401);
    assert_eq!(ask_as(&world, "user", "GET", volume, "").await.status, 401);
}

async fn end_of(world: &World, user: &str, queue: &str) -> Answer {
    loop {
        let answer = ask_as(world, user, "GET", queue, "").await;
        if answer.header("x-pending").is_none() {
            return answer;
        }
    }
}

#[tokio::test]
async fn with_authentication_off_no_token_is_looked_at() {
    let world = World::new().await;
    let answer = ask(world.address, "GET", "/clusters", &[("Authorization", "nonsense")], "").await;
    assert_eq!(answer.status, 200);
}
