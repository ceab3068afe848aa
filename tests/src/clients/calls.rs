//! heketi's routes as its clients call them.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::CallError;
use super::wire::{Answer, Request};

/// A client, by the three kinds of calls that there are. The named calls below insist on the status that the real clients
/// insist on: any other is an error to them.
#[async_trait]
pub trait HeketiClient: Send + Sync {
    /// What is answered at once, with this status and no other. `Null` where the body is empty.
    async fn now(&self, method: &str, path: &str, body: Option<Value>, status: u16) -> Result<Value, CallError>;

    /// Work that leaves something, which is shown at the end.
    async fn made(&self, method: &str, path: &str, body: Option<Value>) -> Result<Value, CallError>;

    /// Work that leaves nothing to show.
    async fn done(&self, method: &str, path: &str, body: Option<Value>) -> Result<(), CallError>;

    async fn get(&self, path: &str) -> Result<Value, CallError> {
        self.now("GET", path, None, 200).await
    }

    async fn cluster_create(&self, file: bool, block: bool) -> Result<Value, CallError> {
        self.now("POST", "/clusters", Some(json!({"file": file, "block": block})), 201).await
    }

    async fn cluster_set_flags(&self, id: &str, file: bool, block: bool) -> Result<(), CallError> {
        let body = json!({"file": file, "block": block});
        self.now("POST", &format!("/clusters/{id}/flags"), Some(body), 200).await.map(drop)
    }

    async fn cluster(&self, id: &str) -> Result<Value, CallError> {
        self.get(&format!("/clusters/{id}")).await
    }

    async fn clusters(&self) -> Result<Value, CallError> {
        self.get("/clusters").await
    }

    async fn cluster_delete(&self, id: &str) -> Result<(), CallError> {
        self.now("DELETE", &format!("/clusters/{id}"), None, 200).await.map(drop)
    }

    async fn node_add(&self, request: Value) -> Result<Value, CallError> {
        self.made("POST", "/nodes", Some(request)).await
    }

    async fn node(&self, id: &str) -> Result<Value, CallError> {
        self.get(&format!("/nodes/{id}")).await
    }

    async fn node_delete(&self, id: &str) -> Result<(), CallError> {
        self.done("DELETE", &format!("/nodes/{id}"), None).await
    }

    async fn node_state(&self, id: &str, state: &str) -> Result<(), CallError> {
        self.done("POST", &format!("/nodes/{id}/state"), Some(json!({"state": state}))).await
    }

    async fn node_tags(&self, id: &str, change: &str, tags: Value) -> Result<Value, CallError> {
        self.now("POST", &format!("/nodes/{id}/tags"), Some(json!({"change_type": change, "tags": tags})), 200).await
    }

    async fn device_add(&self, request: Value) -> Result<(), CallError> {
        self.done("POST", "/devices", Some(request)).await
    }

    async fn device(&self, id: &str) -> Result<Value, CallError> {
        self.get(&format!("/devices/{id}")).await
    }

    async fn device_delete(&self, id: &str, request: Option<Value>) -> Result<(), CallError> {
        self.done("DELETE", &format!("/devices/{id}"), request).await
    }

    async fn device_state(&self, id: &str, state: &str) -> Result<(), CallError> {
        self.done("POST", &format!("/devices/{id}/state"), Some(json!({"state": state}))).await
    }

    async fn device_tags(&self, id: &str, change: &str, tags: Value) -> Result<Value, CallError> {
        self.now("POST", &format!("/devices/{id}/tags"), Some(json!({"change_type": change, "tags": tags})), 200).await
    }

    async fn device_resync(&self, id: &str) -> Result<(), CallError> {
        self.done("GET", &format!("/devices/{id}/resync"), None).await
    }

    async fn volume_create(&self, request: Value) -> Result<Value, CallError> {
        self.made("POST", "/volumes", Some(request)).await
    }

    async fn volume(&self, id: &str) -> Result<Value, CallError> {
        self.get(&format!("/volumes/{id}")).await
    }

    async fn volumes(&self) -> Result<Value, CallError> {
        self.get("/volumes").await
    }

    async fn volume_expand(&self, id: &str, gib: u64) -> Result<Value, CallError> {
        self.made("POST", &format!("/volumes/{id}/expand"), Some(json!({"expand_size": gib}))).await
    }

    async fn volume_clone(&self, id: &str, request: Value) -> Result<Value, CallError> {
        self.made("POST", &format!("/volumes/{id}/clone"), Some(request)).await
    }

    async fn volume_delete(&self, id: &str) -> Result<(), CallError> {
        self.done("DELETE", &format!("/volumes/{id}"), None).await
    }

    async fn block_restriction(&self, id: &str, restriction: &str) -> Result<Value, CallError> {
        let body = json!({"restriction": restriction});
        self.made("POST", &format!("/volumes/{id}/block-restriction"), Some(body)).await
    }

    async fn block_volume_create(&self, request: Value) -> Result<Value, CallError> {
        self.made("POST", "/blockvolumes", Some(request)).await
    }

    async fn block_volume(&self, id: &str) -> Result<Value, CallError> {
        self.get(&format!("/blockvolumes/{id}")).await
    }

    async fn block_volumes(&self) -> Result<Value, CallError> {
        self.get("/blockvolumes").await
    }

    async fn block_volume_expand(&self, id: &str, gib: u64) -> Result<Value, CallError> {
        self.made("POST", &format!("/blockvolumes/{id}/expand"), Some(json!({"new_size": gib}))).await
    }

    async fn block_volume_delete(&self, id: &str) -> Result<(), CallError> {
        self.done("DELETE", &format!("/blockvolumes/{id}"), None).await
    }

    async fn brick_evict(&self, id: &str, request: Option<Value>) -> Result<(), CallError> {
        self.done("POST", &format!("/bricks/to-evict/{id}"), request).await
    }

    async fn operations_cleanup(&self, ids: &[&str]) -> Result<(), CallError> {
        self.done("POST", "/operations/pending/cleanup", Some(json!({"operations": ids}))).await
    }
}

/// The value of an answer; both clients read what is there as JSON, whatever it says it is.
pub(super) fn json_of(answer: &Answer, request: &Request) -> Result<Value, CallError> {
    if answer.body.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&answer.body).map_err(|error| request.contract(format!("no JSON: {error}: {answer:?}")))
}
