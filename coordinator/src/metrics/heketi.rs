//! heketi's gauges, by its names and with its labels; sizes without a unit in their name are KiB.

use std::fmt;

use bricklayer_proto::size::{ByteSize, Extents};

use super::Gauges;
use crate::model::{Device, Node, OpState, Topology};

pub fn gauges(gauges: &mut Gauges<'_>, topology: &Topology) -> fmt::Result {
    gauges.one("heketi_up", "Whether the server answers.", 1u64)?;
    gauges.one("heketi_cluster_count", "Number of clusters.", topology.clusters.size())?;
    let clusters = || topology.clusters.keys().map(|cluster| (*cluster, [("cluster", cluster.to_string())]));
    let volumes = clusters().map(|(cluster, labels)| {
        // As its clients list them.
        let listed = topology.volumes_of(cluster).filter(|volume| volume.trash.is_none());
        (labels, listed.count())
    });
    gauges.each("heketi_volumes_count", "Number of volumes.", volumes)?;
    let blocks = clusters().map(|(cluster, labels)| (labels, topology.blocks_of(cluster).count()));
    gauges.each("heketi_block_volumes_count", "Number of block volumes.", blocks)?;
    let nodes = clusters().map(|(cluster, labels)| (labels, topology.nodes_of(cluster).count()));
    gauges.each("heketi_nodes_count", "Number of nodes.", nodes)?;
    let devices = topology.nodes.values().map(|node| (of_node(node), topology.devices_of(node.id).count()));
    gauges.each("heketi_device_count", "Number of devices of a node.", devices)?;
    of_devices(gauges, topology)?;
    of_operations(gauges, topology)
}

fn of_devices(gauges: &mut Gauges<'_>, topology: &Topology) -> fmt::Result {
    let devices: Vec<(&Node, &Device, Sizes)> = topology
        .devices
        .values()
        .filter_map(|device| Some((topology.nodes.get(&device.node)?.as_ref(), device.as_ref())))
        .map(|(node, device)| (node, device, Sizes::of(topology, device)))
        .collect();
    let each = |value: fn(&Sizes) -> u64| {
        devices.iter().map(move |(node, device, sizes)| (of_device(node, device), value(sizes))).collect::<Vec<_>>()
    };
    let kib = |bytes: u64| ByteSize::from_bytes(bytes).whole_kib();
    let in_kib = |value: fn(&Sizes) -> u64| each(value).into_iter().map(move |(labels, bytes)| (labels, kib(bytes)));
    gauges.each("heketi_device_size", "Size of a device in KiB.", in_kib(|sizes| sizes.total))?;
    gauges.each("heketi_device_free", "Free space of a device in KiB.", in_kib(|sizes| sizes.free))?;
    gauges.each("heketi_device_used", "Used space of a device in KiB.", in_kib(|sizes| sizes.used()))?;
    gauges.each("heketi_device_size_bytes", "Size of a device.", each(|sizes| sizes.total))?;
    gauges.each("heketi_device_free_bytes", "Free space of a device.", each(|sizes| sizes.free))?;
    gauges.each("heketi_device_used_bytes", "Used space of a device.", each(Sizes::used))?;
    gauges.each("heketi_device_brick_count", "Number of bricks on a device.", each(|sizes| sizes.bricks))
}

fn of_operations(gauges: &mut Gauges<'_>, topology: &Topology) -> fmt::Result {
    let total = topology.unfinished.size();
    let stuck = |operation: &OpState| matches!(operation, OpState::Stuck { .. });
    let failed = topology.unfinished.values().filter(|operation| stuck(&operation.state)).count();
    gauges.one("heketi_operations_total_count", "Operations that have not ended.", total)?;
    gauges.one("heketi_operations_inFlight_count", "Operations that are being worked on.", total)?;
    gauges.one("heketi_operations_new_count", "Operations that go as planned.", total - failed)?;
    gauges.one("heketi_operations_failed_count", "Operations that are stuck and tried again.", failed)?;
    // A restart of ours takes them all up again.
    gauges.one("heketi_operations_stale_count", "Operations that nobody works on.", 0u64)
}

struct Sizes {
    total: u64,
    free: u64,
    bricks: u64,
}

impl Sizes {
    fn of(topology: &Topology, device: &Device) -> Self {
        let bytes = |extents: Extents| extents.to_bytes(device.space.extent_size).map_or(0, ByteSize::bytes);
        Self {
            total: bytes(device.space.total),
            free: bytes(topology.free(device)),
            // Whole and in the making: what takes space is counted.
            bricks: topology.brick_spaces(device.id).map(|_| 1).sum(),
        }
    }

    fn used(&self) -> u64 {
        self.total.saturating_sub(self.free)
    }
}

fn of_node(node: &Node) -> [(&'static str, String); 3] {
    let storage = node.storage_host().map_or_else(String::new, ToString::to_string);
    [("cluster", node.cluster.to_string()), ("hostname", node.name().to_owned()), ("storage_hostname", storage)]
}

fn of_device(node: &Node, device: &Device) -> [(&'static str, String); 6] {
    let [cluster, host, storage] = of_node(node);
    let id = ("id", device.id.to_string());
    [cluster, host, storage, id, ("device", device.name.to_string()), ("pv_uuid", device.pv_uuid.to_string())]
}
