//! What may be changed of a node while it serves.

use bricklayer_proto::ids::NodeId;
use bricklayer_proto::names::HostName;

use super::Rejected;
use super::context::Context;
use super::node_add::host_name_is_free;
use crate::model::{Node, Zone};

/// What is given is changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeEdit {
    pub zone: Option<Zone>,
    pub manage: Option<Vec<HostName>>,
    pub storage: Option<Vec<HostName>>,
}

pub async fn edit(context: &Context, id: NodeId, edit: NodeEdit) -> Result<(), Rejected> {
    context
        .state
        .change(|change| {
            let node = Node::clone(change.nodes.get(&id).ok_or(Rejected::NotFound)?);
            for host in edit.manage.iter().chain(&edit.storage).flatten() {
                host_name_is_free(change, host, Some(id))?;
            }
            // GlusterFS has written it into every volume that has a brick there.
            let holds_bricks = change.devices_of(id).any(|device| change.brick_spaces(device.id).next().is_some());
            let new_host = edit.storage.as_ref().and_then(|storage| storage.first());
            if let (Some(old), Some(new)) = (node.storage_host(), new_host)
                && holds_bricks
                && old != new
            {
                return Err(Rejected::StorageHostInUse { name: node.name().to_owned(), host: old.clone() });
            }
            let NodeEdit { zone, manage, storage } = edit;
            change.put_node(Node {
                zone: zone.unwrap_or(node.zone),
                manage: manage.unwrap_or(node.manage),
                storage: storage.unwrap_or(node.storage),
                ..node
            });
            Ok(())
        })
        .await
}
