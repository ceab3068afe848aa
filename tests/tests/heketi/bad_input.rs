//! What nobody should send: every field of every request missing, of another type, out of range, huge, or with a name that
//! could be an option or a way out of a folder; and bytes that are no request at all.
//!
//! The rules: a refusal is a 4xx, or a 500 that heketi has, too; what is refused has changed nothing; nothing panics. What
//! each answer says is in `snapshots/`, so that a change of it is looked at.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use bricklayer_tests::clients::wire::{Answer, Request};
use bricklayer_tests::clients::{HeketiClient as _, text};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::life_cycles::{Furnished, furnish};
use super::sandbox::Sandbox;

/// Names nothing.
const NOTHING: &str = "0123456789abcdef0123456789abcdef";

/// Of what heketi answers with a 500, these are no failure of the server.
const HEKETIS_500: [&str; 6] = [
    "Failed to allocate new volume: ",
    "Failed to allocate volume expansion: ",
    "Failed to allocate new block volume: ",
    "Failed to set block restriction: ",
    "Node must be offline before remove operation is performed",
    "Device must be offline before remove operation is performed",
];

/// What a field is replaced by: its name in the snapshot, and the JSON.
fn replacements() -> Vec<(&'static str, String)> {
    let long = |count| format!("\"{}\"", "x".repeat(count));
    let mut replacements: Vec<_> = [
        ("null", "null"),
        ("true", "true"),
        ("0", "0"),
        ("-1", "-1"),
        ("1.5", "1.5"),
        ("1e400", "1e400"),
        ("2^63 - 1", "9223372036854775807"),
        ("2^63", "9223372036854775808"),
        ("2^64", "18446744073709551616"),
        ("-2^63", "-9223372036854775808"),
        ("\"\"", r#""""#),
        ("\"98765\"", r#""98765""#),
        ("blanks", r#""   ""#),
        ("an option", r#""--mode=script""#),
        ("a short option", r#""-f""#),
        ("a path", r#""/etc/shadow""#),
        ("a way out", r#""../../etc/shadow""#),
        ("a way out of /dev", r#""/dev/../etc/shadow""#),
        ("a space", r#""q z""#),
        ("a NUL", r#""a\u0000b""#),
        ("a line feed", r#""a\nb""#),
        ("a quote", r#""a'b""#),
        ("a command", r#""$(reboot)""#),
        ("a format", r#""%s%n""#),
        ("not ASCII", "\"b\u{fc}ro\""),
        ("half a character", r#""\ud800""#),
        ("[]", "[]"),
        ("[null]", "[null]"),
        ("[1]", "[1]"),
        ("[[]]", "[[]]"),
        ("{}", "{}"),
    ]
    .map(|(name, json)| (name, json.to_owned()))
    .into();
    replacements.extend([("300 letters", long(300)), ("100,000 letters", long(100_000))]);
    replacements.push(("2,000 deep", format!("{}{}", "[".repeat(2000), "]".repeat(2000))));
    replacements
}

/// Bodies that are wrong as a whole.
fn bodies() -> Vec<(&'static str, Vec<u8>)> {
    let text = |text: &str| text.as_bytes().to_vec();
    vec![
        ("nothing", Vec::new()),
        ("blanks", text(" \n\t")),
        ("[]", text("[]")),
        ("a text", text("\"x\"")),
        ("a number", text("1")),
        ("cut off", text("{\"a\":")),
        ("two values", text("{}{}")),
        ("a comma too many", text("{\"a\":1,}")),
        ("a byte order mark", text("\u{feff}{}")),
        ("no UTF-8", b"{\"\xff\":1}".to_vec()),
        ("a form", text("size=1")),
        ("100,000 deep", "[".repeat(100_000).into_bytes()),
    ]
}

/// A request that is well-formed, and yet changes nothing: it asks for too much, or for what is so already, or of nobody.
struct Harmless {
    route: &'static str,
    path: String,
    body: Value,
}

fn harmless(world: &World) -> Vec<Harmless> {
    let World { cluster, node, device, volume, .. } = world;
    let at = |route: &'static str, id: &str, body: Value| {
        let (_, path) = route.split_once(' ').unwrap();
        Harmless { route, path: path.replace("{id}", id), body }
    };
    vec![
        at("POST /clusters/{id}/flags", NOTHING, json!({"file": true, "block": true})),
        at(
            "POST /nodes",
            "",
            json!({
                "zone": 1, "hostnames": {"manage": ["nowhere"], "storage": ["10.9.9.9"]}, "cluster": cluster,
                "tags": {"rack": "r1"},
            }),
        ),
        at("POST /nodes/{id}/state", node, json!({"state": "online", "healcheck": "enable"})),
        at("POST /nodes/{id}/tags", node, json!({"change_type": "delete", "tags": {"absent": "x"}})),
        at("POST /devices", "", json!({"name": "/dev/sdz", "node": node, "destroydata": false, "tags": {"tier": "x"}})),
        at("DELETE /devices/{id}", device, json!({"forceforget": false})),
        at("POST /devices/{id}/state", device, json!({"state": "online", "healcheck": "enable"})),
        at("POST /devices/{id}/tags", device, json!({"change_type": "delete", "tags": {"absent": "x"}})),
        at(
            "POST /volumes",
            "",
            json!({
                "size": 1_000_000, "name": "vast", "clusters": [cluster], "gid": 2000, "block": false,
                "durability": {
                    "type": "replicate", "replicate": {"replica": 3}, "disperse": {"data": 4, "redundancy": 2},
                },
                "glustervolumeoptions": ["nfs.disable on"], "snapshot": {"enable": true, "factor": 1.5},
            }),
        ),
        at("POST /volumes/{id}/expand", volume, json!({"expand_size": 1_000_000})),
        at("POST /volumes/{id}/clone", NOTHING, json!({"name": "copy"})),
        at("POST /volumes/{id}/block-restriction", volume, json!({"restriction": "locked"})),
        at(
            "POST /blockvolumes",
            "",
            json!({"size": 1_000_000, "name": "vast", "clusters": [cluster], "hacount": 2, "auth": true}),
        ),
        at("POST /blockvolumes/{id}/expand", NOTHING, json!({"new_size": 2})),
        at("POST /bricks/to-evict/{id}", NOTHING, json!({"healcheck": "enable"})),
        at("POST /operations/pending/cleanup", "", json!({"operations": [NOTHING]})),
        at("POST /admin", "", json!({"state": "normal"})),
        at("POST /internal/logging", "", json!({"loglevel": {"glusterfs": "warning"}})),
        at(
            "PATCH /v1/nodes/{id}",
            NOTHING,
            json!({"zone": 1, "hostnames": {"manage": ["gfs1"], "storage": ["10.0.0.1"]}}),
        ),
        at("POST /v1/nodes/{id}/lost", NOTHING, json!({"confirm": "gfs1"})),
        at("POST /v1/devices/{id}/lost", NOTHING, json!({"confirm": NOTHING})),
        at("POST /v1/bricks/{id}/replace", NOTHING, json!({"device": NOTHING, "healcheck": "enable"})),
        at(
            "POST /v1/explain",
            "",
            json!({
                "size": 1_000_000, "name": "vast", "clusters": [cluster], "gid": 2000, "block": false,
                "durability": {
                    "type": "replicate", "replicate": {"replica": 3}, "disperse": {"data": 4, "redundancy": 2},
                },
                "glustervolumeoptions": ["nfs.disable on"], "snapshot": {"enable": true, "factor": 1.5},
            }),
        ),
        at("PUT /v1/policy", "", json!({"zones": "preferred", "most_bricks_per_node": 1})),
        at(
            "PUT /v1/clusters/{id}/policy",
            NOTHING,
            json!({
                "zones": "strict", "most_bricks_per_zone": 2, "reserve": "5%", "tag_rules": ["same:tier"],
                "most_bricks_per_node": 1,
            }),
        ),
        at("PUT /v1/volumes/{id}/policy", NOTHING, json!({"zones": "preferred", "pools_at_most": "1.5"})),
        at("POST /v1/support-bundle", "", json!({"volume": {"size": 1_000_000, "clusters": [cluster]}})),
        at(
            "POST /v1/simulate",
            "",
            json!({
                "lose": [{"kind": "node", "node": node}, {"kind": "zone", "zone": 1}, {"kind": "device", "device": device}],
                "add": [{"node": node, "size_bytes": 1_099_511_627_776_i64}],
                "create": [{"count": 2, "volume": {"size": 1, "durability": {"type": "none"}}}],
            }),
        ),
        at("POST /v1/plans/{id}/apply", NOTHING, json!({})),
        at("POST /v1/volumes/{id}/undelete", NOTHING, json!({})),
        at("POST /v1/volumes/{id}/protect", NOTHING, json!({"protected": true})),
        at(
            "POST /v1/adopt",
            "",
            json!({
                "from": "volume", "volume": "unheard-of", "agents": {"gfs9": "gfs1"}, "without": ["another"],
                "cluster": cluster, "ignore_pending": false, "new_node_ids": false,
            }),
        ),
        at(
            "POST /v1/adopt",
            "",
            json!({"from": "heketi", "database": {
                "clusterentries": {}, "nodeentries": {}, "deviceentries": {}, "volumeentries": {}, "brickentries": {},
            }}),
        ),
        at("POST /v1/unadopt", "", json!({"volume": NOTHING})),
        at("POST /v1/devices/wipe", "", json!({"node": "gfs1", "device": "/dev/sdz", "confirm": "S1"})),
        // An invitation is no change of what is there: it runs out by itself.
        at(
            "POST /v1/invitations",
            "",
            json!({"name": "gfs9", "zone": 1, "ttl_seconds": 60, "rejoin": false, "node": NOTHING}),
        ),
    ]
}

/// Something of everything.
struct World {
    sandbox: Sandbox,
    cluster: String,
    node: String,
    device: String,
    volume: String,
}

impl World {
    async fn new() -> Self {
        let sandbox = Sandbox::start(&["--nodes", "3", "--devices", "1", "--device-size", "100GiB", "--disable-auth"]);
        let client = sandbox.go();
        let Furnished { cluster, nodes } = furnish(&client, 3, &["/dev/sdb"]).await.unwrap();
        let replicated = json!({"size": 1, "durability": {"type": "replicate", "replicate": {"replica": 3}}});
        let volume = text(&client.volume_create(replicated).await.unwrap(), "id");
        let node = nodes[0].clone();
        let device = text(&client.node(&node).await.unwrap()["devices"][0], "id");
        Self { sandbox, cluster, node, device, volume }
    }

    /// Everything that the server knows.
    async fn dump(&self) -> String {
        let mut dump = self.sandbox.go().get("/db/dump").await.unwrap();
        // What is under way is no change yet, and at its end it is gone.
        dump["pendingoperations"] = Value::Null;
        dump.to_string()
    }

    /// Sends it, waits for the end of what was accepted, and says what came of it; `stood` is what the answer may repeat.
    async fn send(&self, what: &str, request: &Request, stood: &str, before: &str) -> String {
        let answer = request.ask(self.sandbox.server).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        let end = if answer.status == 202 { self.end(&answer).await } else { answer.clone() };
        let said = repeated_less(&end.text(), stood);
        let first = said.lines().next().unwrap_or_default();
        let known = HEKETIS_500.iter().any(|begin| first.starts_with(begin)) || answer.status == 202;
        assert!(end.status < 500 || end.status == 500 && known, "{what}: {answer:?}\nand at the end {end:?}");
        assert_eq!(self.dump().await, before, "{what}: something was changed, though the answer is {end:?}");
        // It holds a new secret.
        let first = if answer.status == 201 { "" } else { first };
        // What answers a question at length names things whose ids and order are of this run alone.
        let first = match first.split_once(',') {
            Some((begin, _)) if end.status == 200 && first.len() > 200 => format!("{begin},..."),
            _ => first.to_owned(),
        };
        let queued = if answer.status == 202 { "202, then " } else { "" };
        format!("{queued}{} {}", end.status, self.masked(&first)).trim_end().to_owned()
    }

    async fn end(&self, accepted: &Answer) -> Answer {
        let poll = Request::new("GET", accepted.header("Location").unwrap());
        loop {
            let answer = poll.ask(self.sandbox.server).await.unwrap();
            if answer.header("X-Pending").is_none() {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Without what differs from run to run, and short.
    fn masked(&self, text: &str) -> String {
        let ids =
            [(&self.cluster, "CLUSTER"), (&self.node, "NODE"), (&self.device, "DEVICE"), (&self.volume, "VOLUME")];
        ids.into_iter().fold(text.to_owned(), |text, (id, name)| text.replace(id.as_str(), name))
    }
}

/// With `...` for what the request had, so that one line stands for all that are alike.
fn repeated_less(text: &str, stood: &str) -> String {
    let text = match serde_json::from_str::<String>(stood) {
        Ok(stood) if stood.len() > 1 => text.replace(&format!("{stood:?}"), "...").replace(&stood, "..."),
        _ => text.to_owned(),
    };
    // A parser's words for what it found: `invalid type: sequence, expected a string`.
    match (text.split_once("invalid type: "), text.rsplit_once(", expected ")) {
        (Some((before, _)), Some((_, after))) => format!("{before}invalid type: ..., expected {after}"),
        _ => text,
    }
}

/// The fields of a body, those within others included, as JSON pointers.
fn fields(body: &Value, at: &str, found: &mut Vec<String>) {
    let inner: Vec<_> = match body {
        Value::Object(members) => members.iter().map(|(key, value)| (format!("{at}/{key}"), value)).collect(),
        Value::Array(items) => {
            (0..).zip(items).map(|(index, value): (u8, _)| (format!("{at}/{index}"), value)).collect()
        }
        _ => Vec::new(),
    };
    for (at, value) in inner {
        found.push(at.clone());
        fields(value, &at, found);
    }
}

fn without(body: &Value, field: &str) -> String {
    let (parent, key) = field.rsplit_once('/').unwrap();
    let mut body = body.clone();
    match body.pointer_mut(parent).unwrap() {
        Value::Object(members) => drop(members.remove(key)),
        Value::Array(items) => drop(items.remove(key.parse().unwrap())),
        other => panic!("{other} has no fields"),
    }
    body.to_string()
}

fn with(body: &Value, field: &str, json: &str) -> String {
    const HERE: &str = "it stands here";
    let mut body = body.clone();
    *body.pointer_mut(field).unwrap() = HERE.into();
    body.to_string().replace(&format!("{HERE:?}"), json)
}

#[tokio::test]
async fn no_field_of_any_request_does_harm_whatever_stands_in_it() {
    let world = World::new().await;
    let before = world.dump().await;
    let mut told = String::new();
    for Harmless { route, path, body } in harmless(&world) {
        let (method, _) = route.split_once(' ').unwrap();
        let request = |body: Vec<u8>| Request::new(method, &path).body(body);
        let as_it_is = world.send(route, &request(body.to_string().into()), "", &before).await;
        let _ = writeln!(told, "{route}\n  as it should be: {as_it_is}");
        let mut outcomes = BTreeMap::<_, Vec<_>>::new();
        for (name, body) in bodies() {
            let outcome = world.send(&format!("{route}, {name}"), &request(body), "", &before).await;
            outcomes.entry(outcome).or_default().push(name);
        }
        tell(&mut told, "the body", outcomes);
        let mut all = Vec::new();
        fields(&body, "", &mut all);
        for field in all {
            let mut outcomes = BTreeMap::<_, Vec<_>>::new();
            let cases = replacements().into_iter().map(|(name, json)| (name, with(&body, &field, &json), json));
            let missing = ("missing", without(&body, &field), String::new());
            for (name, body, stood) in [missing].into_iter().chain(cases) {
                let what = format!("{route}, {field}: {name}");
                let outcome = world.send(&what, &request(body.into()), &stood, &before).await;
                outcomes.entry(outcome).or_default().push(name);
            }
            tell(&mut told, &field[1..], outcomes);
        }
    }
    let log = world.sandbox.log();
    assert!(!log.contains("panicked"), "{log}");
    insta::assert_snapshot!(told);
}

fn tell(told: &mut String, what: &str, outcomes: BTreeMap<String, Vec<&str>>) {
    let _ = writeln!(told, "  {what}");
    for (outcome, names) in outcomes {
        let _ = writeln!(told, "    {outcome}\n      {}", names.join(" | "));
    }
}

/// What a server answers to bytes that may be no HTTP at all. Nothing, where it hangs up.
async fn raw(server: SocketAddr, bytes: &[u8], all_is_sent: bool) -> String {
    let mut stream = TcpStream::connect(server).await.unwrap();
    // The server may hang up before it has read all.
    let _ = stream.write_all(bytes).await;
    if !all_is_sent {
        let _ = stream.shutdown().await;
    }
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(60), stream.read_to_end(&mut answer)).await;
    assert!(read.is_ok(), "no end of the answer to {:?}", String::from_utf8_lossy(&bytes[..bytes.len().min(200)]));
    String::from_utf8_lossy(&answer).lines().next().unwrap_or("nothing").to_owned()
}

#[tokio::test]
async fn no_bytes_on_the_wire_bring_the_server_down() {
    let world = World::new().await;
    let before = world.dump().await;
    let server = world.sandbox.server;
    let post = |body: &[u8]| {
        let length = body.len();
        let head =
            format!("POST /clusters HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
        [head.as_bytes(), body].concat()
    };
    let long = |count| "a".repeat(count);
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").into_bytes();
    let header = |header: &str| {
        format!("GET /clusters HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{header}\r\n\r\n").into_bytes()
    };
    let cases: [(&str, Vec<u8>, &[&str]); 22] = [
        ("nothing", Vec::new(), &["nothing"]),
        ("no HTTP", b"hello\r\n\r\n".to_vec(), &["400"]),
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), &["400", "nothing"]),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), &["400", "505", "nothing"]),
        ("10 MB that are JSON", post(format!("\"{}\"", long(10 << 20)).as_bytes()), &["413"]),
        ("10 MB that are not", post(long(10 << 20).as_bytes()), &["413"]),
        ("1 MB of brackets", post("[".repeat(1 << 20).as_bytes()), &["422"]),
        (
            "a body that is promised and does not come",
            post(b"{}")[..post(b"{}").len() - 1].to_vec(),
            &["400", "nothing", "413"],
        ),
        (
            "more than can be",
            b"POST /clusters HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n".to_vec(),
            &["400", "nothing"],
        ),
        (
            "two lengths",
            b"POST /clusters HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}".to_vec(),
            &["400", "nothing"],
        ),
        (
            "chunks that are none",
            b"POST /clusters HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n".to_vec(),
            &["400", "413", "nothing"],
        ),
        ("a path of 100,000 letters", get(&format!("/{}", long(100_000))), &["414", "404"]),
        ("an id of 60,000 digits", get(&format!("/volumes/{}", long(60_000))), &["404"]),
        ("a way up", get("/volumes/../clusters"), &["404"]),
        ("a way up, disguised", get("/volumes/%2e%2e/clusters"), &["404"]),
        ("a NUL, disguised", get("/volumes/%00"), &["404"]),
        ("half an escape", get("/volumes/%"), &["400", "404"]),
        ("no UTF-8, disguised", get("/volumes/%ff%fe"), &["400", "404"]),
        ("a header of 1 MB", header(&format!("X-Long: {}", long(1 << 20))), &["431", "400", "nothing"]),
        ("1,000 headers", header(&vec!["X-Many: 1"; 1000].join("\r\n")), &["431", "400", "nothing"]),
        ("a token of 100,000 letters", header(&format!("Authorization: bearer {}", long(100_000))), &["200"]),
        ("an unknown method", b"FORMAT /clusters HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_vec(), &["405"]),
    ];
    for (name, bytes, expected) in cases {
        // Of these the server would wait for more.
        let all_is_sent = !["nothing", "TLS", "a body that is promised and does not come"].contains(&name);
        let answer = raw(server, &bytes, all_is_sent).await;
        let status = answer.strip_prefix("HTTP/1.1 ").map_or(answer.as_str(), |answer| &answer[..3]);
        assert!(expected.contains(&status), "{name}: {answer:?}");
        assert_eq!(world.dump().await, before, "{name}: something was changed");
    }
    let log = world.sandbox.log();
    assert!(!log.contains("panicked"), "{log}");
}
