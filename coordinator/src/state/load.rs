//! Reads the topology from the store, or makes it of records that come from elsewhere.

use std::sync::Arc;

use bricklayer_store::{Store, StoreError};

use super::change::Change;
use super::tables;
use crate::model::{BlockVolume, Cluster, Device, Node, Policies, Topology, Volume};

/// What a topology is made of when nothing is under way.
#[derive(Clone, Debug, Default)]
pub struct Records {
    pub clusters: Vec<Cluster>,
    pub nodes: Vec<Node>,
    pub devices: Vec<Device>,
    pub volumes: Vec<Volume>,
    pub block_volumes: Vec<BlockVolume>,
    pub policies: Policies,
}

pub fn topology(store: &Store) -> Result<Topology, StoreError> {
    let mut change = Change::of(&Arc::new(Topology::default()));
    let records = Records {
        clusters: values(store.scan(&tables::CLUSTERS)?),
        nodes: values(store.scan(&tables::NODES)?),
        devices: values(store.scan(&tables::DEVICES)?),
        volumes: values(store.scan(&tables::VOLUMES)?),
        block_volumes: values(store.scan(&tables::BLOCK_VOLUMES)?),
        policies: store.get(&tables::POLICIES, &())?.unwrap_or_default(),
    };
    put_all(&mut change, records);
    for (_, operation) in store.scan(&tables::OPERATIONS)? {
        change.put_operation(operation);
    }
    Ok(change.finish().0)
}

/// The topology of these records, which are in no store.
#[must_use]
pub fn assemble(records: Records) -> Topology {
    let mut change = Change::of(&Arc::new(Topology::default()));
    put_all(&mut change, records);
    change.finish().0
}

pub(super) fn put_all(change: &mut Change, records: Records) {
    let Records { clusters, nodes, devices, volumes, block_volumes, policies } = records;
    clusters.into_iter().for_each(|cluster| change.put_cluster(cluster));
    nodes.into_iter().for_each(|node| change.put_node(node));
    devices.into_iter().for_each(|device| change.put_device(device));
    volumes.into_iter().for_each(|volume| change.put_volume(volume));
    block_volumes.into_iter().for_each(|block| change.put_block_volume(block));
    if !policies.is_empty() {
        change.put_policies(policies);
    }
}

fn values<K, V>(rows: Vec<(K, V)>) -> Vec<V> {
    rows.into_iter().map(|(_, value)| value).collect()
}
