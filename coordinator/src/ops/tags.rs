//! The free words on nodes and devices.

use bricklayer_proto::ids::{DeviceId, NodeId};

use super::Rejected;
use super::context::Context;
use crate::model::{Device, Node, Tags};

/// heketi's limit for one node or device.
pub const MOST_TAGS: usize = 32;

/// Whose tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tagged {
    Node(NodeId),
    Device(DeviceId),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TagChange {
    /// These and no others.
    Set(Tags),
    /// These, and those that are there already.
    Update(Tags),
    /// Not the ones with these names.
    Delete(Vec<String>),
}

/// Answers all tags as they are then.
pub async fn change(context: &Context, of: Tagged, wanted: TagChange) -> Result<Tags, Rejected> {
    context
        .state
        .change(|change| match of {
            Tagged::Node(id) => {
                let node = Node::clone(change.nodes.get(&id).ok_or(Rejected::NotFound)?);
                let tags = changed(node.tags.clone(), wanted)?;
                change.put_node(Node { tags: tags.clone(), ..node });
                Ok(tags)
            }
            Tagged::Device(id) => {
                let device = Device::clone(change.devices.get(&id).ok_or(Rejected::NotFound)?);
                let tags = changed(device.tags.clone(), wanted)?;
                change.put_device(Device { tags: tags.clone(), ..device });
                Ok(tags)
            }
        })
        .await
}

fn changed(mut tags: Tags, wanted: TagChange) -> Result<Tags, Rejected> {
    match wanted {
        TagChange::Set(new) => tags = new,
        TagChange::Update(new) => tags.extend(new),
        TagChange::Delete(names) => tags.retain(|name, _| !names.contains(name)),
    }
    if tags.len() > MOST_TAGS { Err(Rejected::TooManyTags { count: tags.len(), most: MOST_TAGS }) } else { Ok(tags) }
}
