//! Our own gauges: agents, operations by kind, the ledgers, and how full thin pools are, which nobody sees from above.

use std::collections::BTreeMap;
use std::fmt;

use bricklayer_proto::ids::DeviceId;
use bricklayer_proto::space::Provisioning;

use super::Gauges;
use crate::agents::Presence;
use crate::doctor::{self, OwnHost, World};
use crate::model::{Brick, OpState, Topology};
use crate::ops::{DeviceLedger, LedgerOf, Operations};

/// Looks at a device that a scrape may take to find out whether a node can be lost. Of larger clusters it tells what was found
/// out on the side, a minute ago or so.
const MOST_LOOKS: usize = 200_000;

pub fn gauges(gauges: &mut Gauges<'_>, operations: &Operations, own: &OwnHost, topology: &Topology) -> fmt::Result {
    let version = [([("version", env!("CARGO_PKG_VERSION"))], 1u64)];
    gauges.each("bricklayer_build_info", "The version that runs.", version)?;
    let agents = operations.agents().all();
    let attached = agents.iter().map(|agent| {
        let labels = [("node", agent.node.to_string()), ("name", agent.name.to_string())];
        (labels, u64::from(matches!(agent.presence, Presence::Attached { .. })))
    });
    gauges.each("bricklayer_agent_attached", "Whether the agent of a node is attached.", attached)?;
    let expiries = agents.iter().map(|agent| {
        let labels = [("node", agent.node.to_string()), ("name", agent.name.to_string())];
        (labels, agent.certificate_expires.as_second())
    });
    let help = "When the certificate of an agent ends, in seconds since 1970; agents renew theirs long before.";
    gauges.each("bricklayer_agent_certificate_expiry_seconds", help, expiries)?;

    let mut amiss = BTreeMap::<(&str, &str), u64>::new();
    for finding in doctor::examine(&World::of(operations, own.clone(), operations.now())) {
        *amiss.entry((finding.code, finding.severity.word())).or_default() += 1;
    }
    let amiss = amiss.into_iter().map(|((code, severity), count)| ([("code", code), ("severity", severity)], count));
    gauges.each("bricklayer_findings", "What is amiss; see `bricklayer doctor`.", amiss)?;

    if let Some(certificate) = &own.certificate {
        let help = "When the certificate that REST shows ends, in seconds since 1970.";
        gauges.one("bricklayer_rest_certificate_expiry_seconds", help, certificate.ends.as_second())?;
    }
    if let Some(disk) = &own.disk {
        let help = "Free bytes on the disk of the coordinator's data directory.";
        gauges.one("bricklayer_data_dir_free_bytes", help, disk.free.bytes())?;
    }

    if let Some(seen) = operations.exports() {
        let at = seen.last.map_or(0, |last| last.at.as_second());
        let help = "When the store was last exported and read back, in seconds since 1970; 0 if it never was.";
        gauges.one("bricklayer_export_time_seconds", help, at)?;
        let behind = seen.seq - seen.last.map_or(0, |last| last.seq).min(seen.seq);
        gauges.one("bricklayer_export_commits_behind", "Commits of the store that are in no export.", behind)?;
    }

    let help = "Whether the store is an older copy, so that changes are refused.";
    gauges.one("bricklayer_store_older_copy", help, u64::from(operations.standing().is_older()))?;

    let failing = topology.devices.values().map(|device| {
        let node = topology.nodes.get(&device.node).map_or_else(String::new, |node| node.name().to_owned());
        let labels = [("device", device.id.to_string()), ("node", node), ("name", device.name.to_string())];
        (labels, u64::from(operations.failing(device).is_some()))
    });
    let help = "Whether the disk of a device, or a brick on it, cannot be read by its host.";
    gauges.each("bricklayer_device_failing", help, failing)?;

    let mut unfinished = BTreeMap::<(&str, &str), u64>::new();
    for operation in topology.unfinished.values() {
        *unfinished.entry((operation.plan.kind(), word(&operation.state))).or_default() += 1;
    }
    let unfinished = unfinished.into_iter().map(|((kind, state), count)| ([("kind", kind), ("state", state)], count));
    gauges.each("bricklayer_operations_unfinished", "Operations that have not ended.", unfinished)?;

    let sizes = topology.clusters.keys().map(|cluster| {
        let listed = topology.volumes_of(*cluster).filter(|volume| volume.trash.is_none());
        let sizes = listed.map(|volume| volume.size.bytes());
        ([("cluster", cluster.to_string())], sizes.fold(0, u64::saturating_add))
    });
    gauges.each("bricklayer_volumes_size_bytes", "What all volumes of a cluster were asked to hold.", sizes)?;
    let bricks = topology.clusters.keys().flat_map(|cluster| {
        let bricks = topology.volumes_of(*cluster).flat_map(|volume| &volume.bricks);
        let (thick, thin): (Vec<&Brick>, Vec<&Brick>) = bricks.partition(|brick| brick.is_thick());
        [(Provisioning::Thin, thin.len()), (Provisioning::Thick, thick.len())].map(|(provisioning, count)| {
            ([("cluster", cluster.to_string()), ("provisioning", provisioning.to_string())], count)
        })
    });
    gauges.each("bricklayer_bricks", "Bricks of whole volumes, by how they have their space.", bricks)?;
    let kept = topology.clusters.keys().map(|cluster| {
        let kept = topology.volumes_of(*cluster).filter(|volume| volume.trash.is_some());
        ([("cluster", cluster.to_string())], kept.count())
    });
    gauges.each("bricklayer_trash_volumes", "Deleted volumes that are kept for a while.", kept)?;
    ledgers(gauges, operations)?;
    let losses = operations.survivable_losses(MOST_LOOKS);
    let survivable = losses.iter().map(|(cluster, node, _)| ([("cluster", cluster.to_string())], u64::from(*node)));
    let help = "Whether any one node can be lost: no volume loses data, and all its bricks are placed again.";
    gauges.each("bricklayer_node_loss_survivable", help, survivable)?;
    let survivable = losses.iter().map(|(cluster, _, zone)| ([("cluster", cluster.to_string())], u64::from(*zone)));
    let help = "The same of any one zone with all its nodes.";
    gauges.each("bricklayer_zone_loss_survivable", help, survivable)?;
    pools(gauges, operations)
}

/// Where every byte of each device went.
fn ledgers(gauges: &mut Gauges<'_>, operations: &Operations) -> fmt::Result {
    // Only what is named can be unknown, and here nothing is named.
    let ledgers = operations.ledgers(LedgerOf::Everything).unwrap_or_default();
    let of_device = |ledger: &DeviceLedger| {
        [
            ("device", ledger.device.id.to_string()),
            ("node", ledger.node.name().to_owned()),
            ("name", ledger.device.name.to_string()),
        ]
    };
    let unaccounted = ledgers.iter().map(|ledger| (of_device(ledger), ledger.ledger.unaccounted.0));
    let help = "What the records and LVM do not explain between them of a device: 0 with nothing under way.";
    gauges.each("bricklayer_unaccounted_bytes", help, unaccounted)?;
    let amounts = ledgers.iter().flat_map(|ledger| {
        let [device, node, name] = of_device(ledger);
        ledger.ledger.amounts().map(move |(class, amount)| {
            let labels = [device.clone(), node.clone(), name.clone(), ("class", class.to_string())];
            (labels, amount.bytes())
        })
    });
    gauges.each("bricklayer_device_ledger_bytes", "Where the bytes of a device went, by class.", amounts)
}

/// The fullest pool of each device: a pool that is full answers writes with errors.
fn pools(gauges: &mut Gauges<'_>, operations: &Operations) -> fmt::Result {
    let mut by_device = BTreeMap::<DeviceId, Fullest>::new();
    let mut filling = [0_u64; 4];
    for pool in operations.pools() {
        let fullest = by_device.entry(pool.device.id).or_default();
        let larger = |now: Option<f64>, percent: Option<f64>| {
            now.into_iter().chain(percent.map(|percent| percent / 100.0)).reduce(f64::max)
        };
        fullest.data = larger(fullest.data, pool.seen.data_percent);
        fullest.metadata = larger(fullest.metadata, pool.seen.metadata_percent);
        fullest.seconds = fullest.seconds.into_iter().chain(pool.seconds_to_full()).min();
        filling[pool.seen.data_level()] += 1;
    }
    let each = |value: fn(&Fullest) -> Option<f64>| {
        let of =
            by_device.iter().filter_map(move |(device, full)| Some(([("device", device.to_string())], value(full)?)));
        of.collect::<Vec<_>>()
    };
    let help = "Fill of the fullest thin pool of a device.";
    gauges.each("bricklayer_device_fullest_pool_data_ratio", help, each(|full| full.data))?;
    let help = "Fill of the fullest thin pool metadata of a device.";
    gauges.each("bricklayer_device_fullest_pool_metadata_ratio", help, each(|full| full.metadata))?;
    let help = "When the first thin pool of a device is full if things go on as they did; left out where none ever is.";
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let seconds = each(|full| full.seconds.map(|seconds| seconds as f64));
    gauges.each("bricklayer_device_pool_full_in_seconds", help, seconds)?;
    let marks = ["0", "70", "80", "90"].into_iter().zip(filling).map(|(mark, count)| ([("mark", mark)], count));
    gauges.each(
        "bricklayer_pools",
        "Thin pools by the last mark, in per cent, that an overbooked one has passed.",
        marks,
    )
}

#[derive(Default)]
struct Fullest {
    data: Option<f64>,
    metadata: Option<f64>,
    seconds: Option<u64>,
}

fn word(state: &OpState) -> &'static str {
    match state {
        OpState::Running { .. } => "running",
        OpState::Undoing { .. } => "undoing",
        OpState::Stuck { .. } => "stuck",
        OpState::Done { .. } => "done",
        OpState::Failed { .. } => "failed",
    }
}
