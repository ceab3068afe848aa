//! Nodes, devices and bricks.

use bricklayer_api::heketi::{
    BrickEvictRequest, DeviceAddRequest, DeviceDeleteRequest, EntryState, HostAddresses, NodeAddRequest, StateRequest,
    Tags, TagsChange, TagsChangeRequest,
};
use bricklayer_api::ids::{BrickId, ClusterId, DeviceId, NodeId};

use super::{Session, known};
use crate::actions::{nodes, state_request};
use crate::error::CliError;
use crate::heketi::print;

/// What has tags.
#[derive(Clone, Copy)]
pub(super) enum Tagged {
    Node,
    Device,
}

impl Session<'_> {
    pub(super) async fn node_add(&mut self) -> Result<(), CliError> {
        let values = &self.line.values;
        let zone = values.int("zone");
        if zone == -1 {
            return Err(CliError::usage("Missing zone"));
        }
        let request = NodeAddRequest {
            zone,
            hostnames: HostAddresses {
                manage: vec![self.required("management-host-name", "Missing management hostname")?],
                storage: vec![self.required("storage-host-name", "Missing storage hostname")?],
            },
            cluster: self.required("cluster", "Missing cluster id")?,
            ..NodeAddRequest::default()
        };
        let work = self.client.node_add(&request).await?;
        let node = self.finish(work).await?;
        self.show(&node, print::node_added)
    }

    pub(super) async fn node_delete(&mut self) -> Result<(), CliError> {
        let id: NodeId = self.id("Node id missing")?;
        self.finish(self.client.node_delete(id).await?).await?;
        self.say(&format!("Node {id} deleted\n"))
    }

    pub(super) async fn node_info(&mut self) -> Result<(), CliError> {
        let node = self.client.node(self.id("Node id missing")?).await?;
        self.show(&node, print::node_info)
    }

    pub(super) async fn node_list(&mut self) -> Result<(), CliError> {
        let nodes = nodes(&self.client).await?;
        self.say(&print::node_list(&nodes))
    }

    pub(super) async fn node_state(&mut self, state: EntryState) -> Result<(), CliError> {
        let id: NodeId = self.id("Node id missing")?;
        let request = StateRequest { heal_check: self.heal_check().await, ..state_request(state) };
        self.finish(self.client.node_set_state(id, &request).await?).await?;
        self.say(&format!("Node {id} is now {}\n", print::state(state)))
    }

    pub(super) async fn device_add(&mut self) -> Result<(), CliError> {
        let request = DeviceAddRequest {
            name: self.required("name", "Missing device name")?,
            node: self.required("node", "Missing node id")?,
            destroy_data: self.line.values.bool("destroy-existing-data"),
            ..DeviceAddRequest::default()
        };
        let work = self.client.device_add(&request).await?;
        self.finish(work).await?;
        self.say("Device added successfully\n")
    }

    pub(super) async fn device_delete(&mut self) -> Result<(), CliError> {
        let id: DeviceId = self.id("Device id missing")?;
        let options = DeviceDeleteRequest { force_forget: self.line.values.bool("force-forget") };
        self.finish(self.client.device_delete(id, options).await?).await?;
        self.say(&format!("Device {id} deleted\n"))
    }

    pub(super) async fn device_info(&mut self) -> Result<(), CliError> {
        let device = self.client.device(self.id("Device id missing")?).await?;
        self.show(&device, print::device_info)
    }

    pub(super) async fn device_state(&mut self, state: EntryState) -> Result<(), CliError> {
        let id: DeviceId = self.id("Device id missing")?;
        let request = StateRequest { heal_check: self.heal_check().await, ..state_request(state) };
        self.finish(self.client.device_set_state(id, &request).await?).await?;
        self.say(&format!("Device {id} is now {}\n", print::state(state)))
    }

    pub(super) async fn device_resync(&mut self) -> Result<(), CliError> {
        if self.line.values.bool("cluster") {
            return self.cluster_resync(self.id("Cluster id missing")?).await;
        }
        let id: DeviceId = self.id("Device id missing")?;
        self.finish(self.client.device_resync(id).await?).await?;
        self.say(&format!("Device {id} updated\n"))
    }

    /// heketi-cli says of each device that it was updated, whatever became of it. Its lines and its exit code stay;
    /// what failed is told besides, on stderr.
    async fn cluster_resync(&mut self, cluster: ClusterId) -> Result<(), CliError> {
        self.say("Cluster-wide resync operation requested. Using object_id as cluster_id.\n")?;
        for node in self.client.cluster(cluster).await?.nodes {
            for device in self.client.node(node).await?.devices {
                let id = device.id;
                self.say(&format!("Now resyncing device {id}..\n"))?;
                let done = match self.client.device_resync(id).await {
                    Ok(work) => self.finish(work).await,
                    Err(error) => Err(error),
                };
                self.say(&format!("Device {id} (node {node}) in cluster {cluster} updated\n"))?;
                if let Err(error) = done {
                    eprintln!("Error: device {id} was not updated: {}", CliError::from(error).full_text());
                }
            }
        }
        Ok(())
    }

    pub(super) async fn brick_evict(&mut self) -> Result<(), CliError> {
        if self.line.arguments.len() > 1 {
            return Err(CliError::usage("Too many arguments provided"));
        }
        let id: BrickId = self.id("Brick id missing")?;
        let request = BrickEvictRequest { heal_check: self.heal_check().await };
        self.finish(self.client.brick_evict(id, &request).await?).await?;
        self.say(&format!("Brick {id} evicted\n"))
    }

    pub(super) async fn set_tags(&mut self, what: Tagged) -> Result<(), CliError> {
        let (id, pairs) = self.tag_arguments()?;
        if pairs.is_empty() {
            return Err(CliError::usage("at least one tag:value pair expected"));
        }
        let pair = |text: &String| match text.split_once(':') {
            Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
            None => Err(CliError::usage(format!("expected colon (:) between tag name and value, got: {text}"))),
        };
        let tags = pairs.iter().map(pair).collect::<Result<Tags, CliError>>()?;
        let change = if self.line.values.bool("exact") { TagsChange::Set } else { TagsChange::Update };
        self.change_tags(what, &id, tags, change).await
    }

    pub(super) async fn remove_tags(&mut self, what: Tagged) -> Result<(), CliError> {
        let (id, names) = self.tag_arguments()?;
        match (self.line.values.bool("all"), names.is_empty()) {
            (true, false) => Err(CliError::usage("--all may not be combined with named tags")),
            (true, true) => self.change_tags(what, &id, Tags::new(), TagsChange::Set).await,
            (false, true) => Err(CliError::usage("at least one tag expected")),
            (false, false) => {
                let tags = names.iter().map(|name| (name.clone(), String::new())).collect();
                self.change_tags(what, &id, tags, TagsChange::Delete).await
            }
        }
    }

    fn tag_arguments(&self) -> Result<(String, Vec<String>), CliError> {
        let mut words = self.line.arguments.iter().cloned();
        let id = words.next().ok_or_else(|| CliError::usage("id required"))?;
        Ok((id, words.collect()))
    }

    async fn change_tags(&self, what: Tagged, id: &str, tags: Tags, change: TagsChange) -> Result<(), CliError> {
        let request = TagsChangeRequest { tags, change_type: change.as_str().to_owned() };
        match what {
            Tagged::Node => self.client.node_change_tags(known(id)?, &request).await?,
            Tagged::Device => self.client.device_change_tags(known(id)?, &request).await?,
        };
        Ok(())
    }
}
