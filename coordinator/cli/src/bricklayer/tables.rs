//! What `bricklayer` shows to people: plain columns without frames, which also survive `awk`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bricklayer_api::heketi::{
    Brick, ClusterInfo, DeviceInfo, DurabilityKind, EntryState, NodeInfo, TopologyCluster, TopologyInfo, VolumeInfo,
};
use bricklayer_api::ids::NodeId;
use bricklayer_api::inventory::Disk;
use bricklayer_api::size::ByteSize;
use bricklayer_api::v1::{Agent, DiskIdentity, DiskList, OpenInvitation, Operation, StepState, WipeRefusal};
use comfy_table::{ContentArrangement, Table, presets};

use crate::heketi::print::distribute_count;

/// Names of nodes by their ids, for the lists that have ids alone.
pub type NodeNames = BTreeMap<NodeId, String>;

pub fn node_names(nodes: &[NodeInfo]) -> NodeNames {
    nodes.iter().map(|node| (node.id, manage_name(node).to_owned())).collect()
}

fn manage_name(node: &NodeInfo) -> &str {
    node.hostnames.manage.first().map_or("", String::as_str)
}

/// By name: the order of ids means nothing to a person.
fn by_name(nodes: &[NodeInfo]) -> Vec<&NodeInfo> {
    let mut nodes: Vec<&NodeInfo> = nodes.iter().collect();
    nodes.sort_by_key(|node| manage_name(node));
    nodes
}

fn kib(kib: u64) -> String {
    ByteSize::from_kib(kib).map_or_else(|| format!("{kib} KiB"), |size| size.to_string())
}

/// With the number itself: the one that `vgs` shows too.
fn exact_kib(number: u64) -> String {
    format!("{} ({number} KiB)", kib(number))
}

/// What hosts and servers send may hold control characters, which a terminal would obey.
pub fn printable(text: &str) -> String {
    let keep = |c: char| c == '\n' || c == '\t' || !c.is_control();
    text.chars().map(|c| if keep(c) { c } else { char::REPLACEMENT_CHARACTER }).collect()
}

/// One word to a shell, whatever it holds.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn state(state: EntryState) -> &'static str {
    match state {
        EntryState::Online => "online",
        EntryState::Offline => "offline",
        EntryState::Failed => "removed",
    }
}

fn yes(flag: bool) -> &'static str {
    if flag { "yes" } else { "no" }
}

fn or_dash(text: Option<String>) -> String {
    text.filter(|text| !text.is_empty()).unwrap_or_else(|| "-".to_owned())
}

fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(header.to_vec());
    table.add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let lines = table.lines().map(|line| line.trim_end().to_owned());
    lines.fold(String::new(), |text, line| text + &line + "\n")
}

/// `key  value` lines with the values below each other.
fn facts(facts: &[(&str, String)]) -> String {
    let width = facts.iter().map(|(key, _)| key.len()).max().unwrap_or(0);
    facts.iter().fold(String::new(), |text, (key, value)| text + &format!("{key:width$}  {value}\n"))
}

/// Every line two columns further right.
fn indented(text: &str) -> String {
    text.lines().fold(String::new(), |all, line| if line.is_empty() { all + "\n" } else { all + "  " + line + "\n" })
}

pub fn cluster_list(clusters: &[ClusterInfo]) -> String {
    let row = |cluster: &ClusterInfo| {
        vec![
            cluster.id.to_string(),
            cluster.nodes.len().to_string(),
            cluster.volumes.len().to_string(),
            yes(cluster.file).to_owned(),
            yes(cluster.block).to_owned(),
        ]
    };
    table(&["CLUSTER", "NODES", "VOLUMES", "FILE", "BLOCK"], clusters.iter().map(row))
}

pub fn cluster_info(cluster: &ClusterInfo) -> String {
    let mut text = facts(&[
        ("Cluster", cluster.id.to_string()),
        ("File volumes", yes(cluster.file).to_owned()),
        ("Block volumes", yes(cluster.block).to_owned()),
    ]);
    for (title, ids) in [
        ("Nodes", cluster.nodes.iter().map(ToString::to_string).collect::<Vec<_>>()),
        ("Volumes", cluster.volumes.iter().map(ToString::to_string).collect()),
    ] {
        let _infallible = write!(text, "\n{title} ({})\n", ids.len());
        for id in ids {
            let _infallible = writeln!(text, "  {id}");
        }
    }
    text
}

fn space(devices: &[DeviceInfo]) -> (String, String, usize) {
    let sum = |part: fn(&DeviceInfo) -> u64| devices.iter().map(part).sum::<u64>();
    let bricks = devices.iter().map(|device| device.bricks.len()).sum();
    (kib(sum(|device| device.storage.total_kib)), kib(sum(|device| device.storage.free_kib)), bricks)
}

pub fn node_list(nodes: &[NodeInfo]) -> String {
    let row = |node: &NodeInfo| {
        let (size, free, bricks) = space(&node.devices);
        vec![
            manage_name(node).to_owned(),
            node.hostnames.storage.first().cloned().unwrap_or_default(),
            state(node.state).to_owned(),
            node.zone.to_string(),
            node.devices.len().to_string(),
            size,
            free,
            bricks.to_string(),
            node.id.to_string(),
        ]
    };
    let header = ["NODE", "STORAGE ADDRESS", "STATE", "ZONE", "DEVICES", "SIZE", "FREE", "BRICKS", "ID"];
    table(&header, by_name(nodes).into_iter().map(row))
}

pub fn node_info(node: &NodeInfo) -> String {
    let mut text = facts(&[
        ("Node", manage_name(node).to_owned()),
        ("Id", node.id.to_string()),
        ("State", state(node.state).to_owned()),
        ("Zone", node.zone.to_string()),
        ("Storage address", node.hostnames.storage.join(", ")),
        ("Cluster", node.cluster.to_string()),
    ]);
    let _infallible = write!(text, "\nDevices ({})\n", node.devices.len());
    if !node.devices.is_empty() {
        text.push_str(&indented(&devices_of(&node.devices)));
    }
    text
}

fn device_cells(device: &DeviceInfo) -> Vec<String> {
    vec![
        device.name.clone(),
        state(device.state).to_owned(),
        kib(device.storage.total_kib),
        kib(device.storage.used_kib),
        kib(device.storage.free_kib),
        device.bricks.len().to_string(),
        device.id.to_string(),
    ]
}

fn devices_of(devices: &[DeviceInfo]) -> String {
    table(&["DEVICE", "STATE", "SIZE", "USED", "FREE", "BRICKS", "ID"], devices.iter().map(device_cells))
}

pub fn device_list(nodes: &[NodeInfo]) -> String {
    let rows = by_name(nodes).into_iter().flat_map(|node| {
        node.devices.iter().map(move |device| [vec![manage_name(node).to_owned()], device_cells(device)].concat())
    });
    table(&["NODE", "DEVICE", "STATE", "SIZE", "USED", "FREE", "BRICKS", "ID"], rows)
}

pub fn device_info(device: &DeviceInfo) -> String {
    let storage = device.storage;
    let mut text = facts(&[
        ("Device", device.name.clone()),
        ("Id", device.id.to_string()),
        ("State", state(device.state).to_owned()),
        ("Size", exact_kib(storage.total_kib)),
        ("Used", exact_kib(storage.used_kib)),
        ("Free", exact_kib(storage.free_kib)),
        ("Physical volume", or_dash(Some(device.pv_uuid.clone()))),
        ("Known as", or_dash(Some(device.paths.join(" ")))),
    ]);
    let _infallible = write!(text, "\nBricks ({})\n", device.bricks.len());
    if !device.bricks.is_empty() {
        let rows = device
            .bricks
            .iter()
            .map(|brick| vec![brick.id.to_string(), kib(brick.size_kib), brick.volume.to_string(), brick.path.clone()]);
        text.push_str(&indented(&table(&["BRICK", "SIZE", "VOLUME", "PATH"], rows)));
    }
    text
}

fn durability(volume: &VolumeInfo) -> String {
    let one = &volume.durability;
    let kind = match one.kind {
        DurabilityKind::None => "none".to_owned(),
        DurabilityKind::Replicate => format!("replicate {}", one.replicate.replica),
        DurabilityKind::Disperse => format!("disperse {}+{}", one.disperse.data, one.disperse.redundancy),
    };
    match distribute_count(volume) {
        0 | 1 => kind,
        sets => format!("{kind}, {sets} sets"),
    }
}

pub fn volume_list(volumes: &[VolumeInfo]) -> String {
    let row = |volume: &VolumeInfo| {
        vec![
            volume.name.clone(),
            format!("{} GiB", volume.size_gib),
            durability(volume),
            volume.bricks.len().to_string(),
            volume.mount.glusterfs.device.clone(),
            volume.id.to_string(),
        ]
    };
    table(&["VOLUME", "SIZE", "DURABILITY", "BRICKS", "MOUNT", "ID"], volumes.iter().map(row))
}

pub fn volume_info(volume: &VolumeInfo, nodes: &NodeNames) -> String {
    let mount = &volume.mount.glusterfs;
    let backups = mount.options.get("backup-volfile-servers").filter(|hosts| !hosts.is_empty());
    let options = backups.map_or_else(String::new, |hosts| format!(" -o backup-volfile-servers={hosts}"));
    let mut lines = vec![
        ("Volume", volume.name.clone()),
        ("Id", volume.id.to_string()),
        ("Cluster", volume.cluster.to_string()),
        ("Size", format!("{} GiB", volume.size_gib)),
        ("Durability", durability(volume)),
    ];
    if volume.snapshot.enable {
        lines.push(("Snapshot factor", volume.snapshot.factor.0.to_string()));
    }
    if volume.gid != 0 {
        lines.push(("Group", volume.gid.to_string()));
    }
    let set_options: Vec<&str> =
        volume.gluster_volume_options.iter().map(String::as_str).filter(|option| !option.is_empty()).collect();
    if !set_options.is_empty() {
        lines.push(("Options", set_options.join(", ")));
    }
    lines.push(("Mount by", format!("mount -t glusterfs{options} {} /mnt", mount.device)));
    let mut text = facts(&lines);
    let _infallible = write!(text, "\nBricks ({})\n", volume.bricks.len());
    if !volume.bricks.is_empty() {
        let row = |brick: &Brick| {
            let node = nodes.get(&brick.node).cloned().unwrap_or_else(|| brick.node.to_string());
            vec![node, kib(brick.size_kib), brick.path.clone()]
        };
        let mut rows: Vec<_> = volume.bricks.iter().map(row).collect();
        rows.sort();
        text.push_str(&indented(&table(&["NODE", "SIZE", "PATH"], rows)));
    }
    text
}

pub fn topology_info(topology: &TopologyInfo) -> String {
    if topology.clusters.is_empty() {
        return "There is no cluster yet.\n".to_owned();
    }
    topology.clusters.iter().map(topology_cluster).collect::<Vec<_>>().join("\n")
}

fn topology_cluster(cluster: &TopologyCluster) -> String {
    let allowed = match (cluster.file, cluster.block) {
        (true, true) => "file and block volumes",
        (true, false) => "file volumes",
        (false, true) => "block volumes",
        (false, false) => "no volumes",
    };
    let mut text = format!("Cluster {} ({allowed})\n", cluster.id);
    let _infallible = write!(text, "\n  Nodes ({})\n", cluster.nodes.len());
    if !cluster.nodes.is_empty() {
        text.push_str(&indented(&indented(&node_list(&cluster.nodes))));
    }
    let devices: usize = cluster.nodes.iter().map(|node| node.devices.len()).sum();
    let _infallible = write!(text, "\n  Devices ({devices})\n");
    if devices > 0 {
        text.push_str(&indented(&indented(&device_list(&cluster.nodes))));
    }
    let _infallible = write!(text, "\n  Volumes ({})\n", cluster.volumes.len());
    if !cluster.volumes.is_empty() {
        text.push_str(&indented(&indented(&volume_list(&cluster.volumes))));
    }
    text
}

macro_rules! moment {
    ($time:expr) => {
        $time.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
    };
}

pub fn agent_list(agents: &[Agent]) -> String {
    let row = |agent: &Agent| {
        let versions = agent.versions.clone().unwrap_or_default();
        vec![
            agent.name.to_string(),
            agent.state.to_string(),
            or_dash(agent.since.map(|since| moment!(since))),
            or_dash(agent.address.clone()),
            or_dash(agent.zone.map(|zone| zone.to_string())),
            or_dash(Some(versions.agent)),
            or_dash(Some(versions.glusterfs)),
            or_dash(Some(versions.lvm)),
            or_dash(agent.certificate_expires.map(|expires| moment!(expires))),
            or_dash(agent.node.map(|node| node.to_string())),
        ]
    };
    let header =
        ["AGENT", "STATE", "SINCE", "ADDRESS", "ZONE", "VERSION", "GLUSTERFS", "LVM", "CERTIFICATE UNTIL", "NODE"];
    table(&header, agents.iter().map(row))
}

pub fn invitation_list(invitations: &[OpenInvitation]) -> String {
    let row = |one: &OpenInvitation| {
        vec![
            one.invitation.to_string(),
            one.name.to_string(),
            or_dash(one.zone.map(|zone| zone.to_string())),
            one.state.to_string(),
            moment!(one.expires),
        ]
    };
    table(&["INVITATION", "NAME", "ZONE", "STATE", "EXPIRES"], invitations.iter().map(row))
}

fn usable(disk: &Disk) -> String {
    match disk.device {
        Some(device) => format!("in use: device {device}"),
        None if disk.is_usable() => "yes".to_owned(),
        None => {
            let reasons: Vec<String> = disk.obstacles.iter().map(ToString::to_string).collect();
            format!("no: {}", reasons.join("\n    "))
        }
    }
}

pub fn disk_list(list: &DiskList) -> String {
    let row = |disk: &Disk| {
        vec![
            disk.path.to_string(),
            disk.size.to_string(),
            if disk.rotational { "hdd" } else { "ssd" }.to_owned(),
            or_dash(disk.model.clone()),
            or_dash(disk.serial.clone().or_else(|| disk.wwn.clone())),
            usable(disk),
        ]
    };
    table(&["DISK", "SIZE", "KIND", "MODEL", "SERIAL", "USABLE"], list.disks.iter().map(row))
}

pub fn operation_list(operations: &[Operation]) -> String {
    let row = |operation: &Operation| {
        let done = operation.steps.iter().filter(|step| step.state == StepState::Done).count();
        vec![
            operation.id.to_string(),
            operation.kind.clone(),
            operation.state.to_string(),
            format!("{done}/{}", operation.steps.len()),
            moment!(operation.started),
            or_dash(operation.error.as_ref().and_then(|error| error.lines().next()).map(str::to_owned)),
        ]
    };
    table(&["OPERATION", "KIND", "STATE", "STEPS", "STARTED", "ERROR"], operations.iter().map(row))
}

pub fn operation_info(operation: &Operation) -> String {
    let mut lines = vec![
        ("Operation", operation.id.to_string()),
        ("Kind", operation.kind.clone()),
        ("State", operation.state.to_string()),
        ("Started", moment!(operation.started)),
    ];
    if let Some(finished) = operation.finished {
        lines.push(("Finished", moment!(finished)));
    }
    if let Some(resource) = &operation.resource {
        lines.push(("Result", resource.clone()));
    }
    if let Some(error) = &operation.error {
        lines.push(("Error", error.trim_end().replace('\n', "\n           ")));
    }
    let mut text = facts(&lines);
    let _infallible = write!(text, "\nSteps ({})\n", operation.steps.len());
    for step in &operation.steps {
        let state = match step.state {
            StepState::Pending => "       ",
            StepState::Running => "running",
            StepState::Done => "done   ",
            StepState::Failed => "failed ",
            StepState::Undone => "undone ",
        };
        let _infallible = writeln!(text, "  {state}  {}", step.name);
    }
    text
}

/// What lies on a disk that nobody confirmed yet, and the command that confirms it.
pub fn wipe_refusal(refusal: &WipeRefusal, node: &str) -> String {
    let mut text = format!("{}\n", refusal.error);
    if !refusal.holders.is_empty() {
        text.push_str("  on the disk:\n");
        for holder in &refusal.holders {
            let _infallible = writeln!(text, "    - {holder}");
        }
    }
    let DiskIdentity { serial, wwn, pv_uuid } = &refusal.identity;
    let known = [("serial", serial), ("WWN", wwn), ("physical volume", pv_uuid)];
    let mut known = known.into_iter().filter_map(|(what, value)| value.as_ref().map(|value| (what, value))).peekable();
    if let Some((_, first)) = known.peek() {
        let device = &refusal.device;
        let command = format!("bricklayer device wipe {node} {device} --confirm {}", quoted(first));
        text.push_str("  this disk is known by:\n");
        for (what, value) in known {
            let _infallible = writeln!(text, "    - {what} {value}");
        }
        let _infallible = write!(text, "  to wipe it, and lose what is on it:\n    {command}\n");
    } else if let Some(cure) = &refusal.cure {
        let _infallible = writeln!(text, "  to do: {cure}");
    }
    text
}
