//! `/openapi.json`: both halves of the API, as generated from the handlers that serve them.
//!
//! Each handler says its path, its body and its answers beside itself, and is routed by that very saying. What holds for
//! all of them (the token, how errors look, ids in paths, rehearsals) is put in here. The document is checked in as
//! `docs/openapi.json`, and a test fails where the two differ.

use std::sync::OnceLock;

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use bricklayer_api::v1::{Plan, Problem};
use serde_json::{Map, Value, json};
use utoipa::openapi::path::Paths;
use utoipa::openapi::{Components, OpenApi, RefOr, Schema};
use utoipa::{OpenApi as _, PartialSchema as _, ToSchema as _};
use utoipa_axum::router::UtoipaMethodRouter;

use super::{Service, answer, front, heketi, v1};

/// What needs no token and is no route.
#[derive(utoipa::OpenApi)]
#[openapi(paths(front::hello, front::metrics, document))]
struct Doors;

/// What the routes of one half look like.
#[derive(Default)]
pub struct Described {
    paths: Paths,
    schemas: Vec<(String, RefOr<Schema>)>,
}

impl Described {
    /// Takes the description of the methods of one path, and hands out the path and the methods.
    pub fn add(&mut self, of_one_path: UtoipaMethodRouter<Service>) -> (String, MethodRouter<Service>) {
        let (schemas, paths, methods) = of_one_path;
        let path = paths.paths.keys().next().cloned().unwrap_or_default();
        self.schemas.extend(schemas);
        self.paths.merge(paths);
        (path, methods)
    }
}

/// Describes this API.
#[utoipa::path(get, path = "/openapi.json", responses((status = 200, body = Object)))]
pub async fn document() -> Response {
    static DOCUMENT: OnceLock<String> = OnceLock::new();
    ([(CONTENT_TYPE, answer::JSON)], DOCUMENT.get_or_init(text).as_str()).into_response()
}

fn text() -> String {
    // Numbers, texts and lists of them always have a JSON.
    format!("{:#}\n", whole())
}

fn whole() -> Value {
    let mut components = Components::new();
    let mut document = Doors::openapi();
    for described in [heketi::routes().1, v1::routes().1] {
        document.paths.merge(described.paths);
        components.schemas.extend(described.schemas);
    }
    // No handler names them: they are what any route may answer.
    let mut everywhere = Vec::new();
    Problem::schemas(&mut everywhere);
    everywhere.push((Problem::name().into_owned(), Problem::schema()));
    Plan::schemas(&mut everywhere);
    everywhere.push((Plan::name().into_owned(), Plan::schema()));
    components.schemas.extend(everywhere);
    document.components = Some(components);
    let mut document = json_of(&document);
    document["info"] = json!({
        "title": "Bricklayer",
        "version": env!("CARGO_PKG_VERSION"),
        "description": "heketi's REST API at the root, and what is Bricklayer's own below /v1. Bodies are read whatever \
                        their Content-Type, keys in any case, unknown keys ignored.",
        "license": { "name": "Apache-2.0 OR MIT" }
    });
    document["security"] = json!([{ "token": [] }]);
    document["components"]["securitySchemes"] = json!({ "token": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "HMAC by the key of admin or user; claims iss, exp, and qsh: the SHA-256, in hex, of METHOD&PATH."
    }});
    if let Some(paths) = document["paths"].as_object_mut() {
        for (path, methods) in paths {
            let Some(methods) = methods.as_object_mut() else { continue };
            for (method, operation) in methods {
                if let Some(operation) = operation.as_object_mut() {
                    complete(path, method, operation);
                }
            }
        }
    }
    document
}

/// What holds for every operation of a kind.
fn complete(path: &str, method: &str, operation: &mut Map<String, Value>) {
    let ours = v1::is_ours(path);
    let mut parts = path.split('/').filter(|part| !part.is_empty()).skip(usize::from(ours));
    operation.insert("tags".to_owned(), json!([tag(ours, parts.next().unwrap_or_default())]));
    // Unique over all modules, which the handlers' names are not.
    let words: String = path.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    operation.insert("operationId".to_owned(), json!(format!("{method}{}", words.trim_end_matches('_'))));

    let mut parameters: Vec<Value> = path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| {
            let text = if name == "node" { "Id or name of the node" } else { "32 lower-case hex digits" };
            json!({ "name": name, "in": "path", "required": true, "description": text, "schema": { "type": "string" } })
        })
        .collect();
    let open = matches!(path, "/hello" | "/metrics" | "/openapi.json");
    if open {
        operation.insert("security".to_owned(), json!([]));
    }
    let rehearsable = method != "get" && !open && !v1::only_asks(path);
    if rehearsable {
        parameters.push(json!({
            "name": "dry_run", "in": "query", "schema": { "type": "boolean" },
            "description": "Answers 200 with a Plan, and changes nothing; 400 where the request cannot be rehearsed"
        }));
        parameters.push(json!({
            "name": "plan", "in": "query", "schema": { "type": "boolean" },
            "description": "As dry_run, and keeps the plan for 15 minutes; 400 where the request cannot be kept"
        }));
    }
    if !parameters.is_empty() {
        operation.insert("parameters".to_owned(), parameters.into());
    }
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else { return };
    for (status, response) in responses.iter_mut() {
        response["description"] = json!(meaning(path, status));
        if matches!(status.as_str(), "202" | "303") {
            response["headers"] =
                json!({ "Location": { "schema": { "type": "string" }, "description": "Without a host" } });
        }
    }
    if path == "/queue/{id}" {
        responses["200"]["headers"] = json!({ "X-Pending": { "schema": { "type": "string", "enum": ["true"] } } });
    }
    if !open {
        let error = if ours {
            json!({ "application/json": { "schema": { "$ref": "#/components/schemas/Problem" } } })
        } else {
            json!({ "text/plain": { "schema": { "type": "string" } } })
        };
        responses.insert("default".to_owned(), json!({ "description": "Why not", "content": error }));
    }
}

fn tag(ours: bool, first: &str) -> &str {
    match first {
        "queue" => "operations",
        "admin" | "internal" | "db" | "backup" | "hello" | "metrics" | "openapi.json" => "server",
        other if ours || !other.is_empty() => other,
        _ => "server",
    }
}

fn meaning(path: &str, status: &str) -> &'static str {
    match (path, status) {
        ("/queue/{id}", "200") => "It goes on; ask again",
        ("/queue/{id}", "204") => "It is done, and left nothing to look at",
        ("/queue/{id}", "303") => "It is done; this is what it made",
        ("/queue/{id}", "500") => "It failed, and nothing of it is left",
        ("/v1/devices/wipe", "409") => "Not wiped: what would be lost, and what confirms it",
        (_, "201") => "It is made",
        (_, "202") => "It has begun; its outcome is asked for at the queue",
        (_, "204") => "It is done",
        _ => "As asked",
    }
}

fn json_of(document: &OpenApi) -> Value {
    serde_json::to_value(document).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// `UPDATE_OPENAPI=1 cargo test -p bricklayer-coordinator openapi` writes the file anew.
    #[test]
    fn the_document_that_is_checked_in_is_what_the_handlers_say() {
        let file = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json"));
        if std::env::var_os("UPDATE_OPENAPI").is_some() {
            std::fs::write(file, text()).unwrap();
        }
        let there = std::fs::read_to_string(file).unwrap_or_default();
        assert!(there == text(), "docs/openapi.json is not what the handlers say: run this test with UPDATE_OPENAPI=1");
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn references(value: &Value, found: &mut Vec<String>) {
            match value {
                Value::Object(map) => {
                    found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
                    map.values().for_each(|value| references(value, found));
                }
                Value::Array(list) => list.iter().for_each(|value| references(value, found)),
                _ => {}
            }
        }
        let document = whole();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 50, "only {} references", found.len());
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
        }
    }

    #[test]
    fn operations_have_names_of_their_own_and_say_what_they_do() {
        let document = whole();
        let mut names = std::collections::BTreeSet::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                assert!(operation["summary"].as_str().is_some_and(|text| text.ends_with('.')), "{method} {path}");
                assert!(
                    names.insert(operation["operationId"].to_string()),
                    "{method} {path}: {}",
                    operation["operationId"]
                );
            }
        }
        assert!(names.len() > 55, "{}", names.len());
    }
}
