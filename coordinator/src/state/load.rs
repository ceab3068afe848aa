//! Reads the topology from the store.

use std::sync::Arc;

use bricklayer_store::{Store, StoreError};

use super::change::Change;
use super::tables;
use crate::model::Topology;

pub fn topology(store: &Store) -> Result<Topology, StoreError> {
    let mut change = Change::of(&Arc::new(Topology::default()));
    for (_, cluster) in store.scan(&tables::CLUSTERS)? {
        change.put_cluster(cluster);
    }
    for (_, node) in store.scan(&tables::NODES)? {
        change.put_node(node);
    }
    for (_, device) in store.scan(&tables::DEVICES)? {
        change.put_device(device);
    }
    for (_, volume) in store.scan(&tables::VOLUMES)? {
        change.put_volume(volume);
    }
    for (_, block) in store.scan(&tables::BLOCK_VOLUMES)? {
        change.put_block_volume(block);
    }
    for (_, operation) in store.scan(&tables::OPERATIONS)? {
        change.put_operation(operation);
    }
    Ok(change.finish().0)
}
