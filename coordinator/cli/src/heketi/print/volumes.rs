//! Volumes and block volumes.

use std::fmt::{Display, Write as _};

use bricklayer_api::heketi::{BlockRestriction, BlockVolumeInfo, DurabilityKind, VolumeInfo};

use super::joined;

/// Copies of a replicated volume. heketi left the number out when a request did, and its command line then died of a
/// division by zero; what it had made were two copies.
pub(super) fn replica(volume: &VolumeInfo) -> i64 {
    match volume.durability.replicate.replica {
        0 => 2,
        replica => replica,
    }
}

/// How many brick sets a volume has.
pub fn distribute_count(volume: &VolumeInfo) -> usize {
    let set = match volume.durability.kind {
        DurabilityKind::None => 1,
        DurabilityKind::Replicate => replica(volume),
        DurabilityKind::Disperse => volume.durability.disperse.data + volume.durability.disperse.redundancy,
    };
    volume.bricks.len() / usize::try_from(set).unwrap_or(1).max(1)
}

pub(super) fn mount_options(volume: &VolumeInfo) -> String {
    let backups = volume.mount.glusterfs.options.get("backup-volfile-servers").map_or("", String::as_str);
    format!("backup-volfile-servers={backups}")
}

pub fn volume_info(volume: &VolumeInfo) -> String {
    let restriction = match volume.block_info.restriction {
        BlockRestriction::None => "(none)",
        BlockRestriction::Locked => "locked",
        BlockRestriction::LockedByUpdate => "locked-by-update",
    };
    let mut text = format!(
        "Name: {}\nSize: {}\nVolume Id: {}\nCluster Id: {}\nMount: {}\nMount Options: {}\nBlock: {}\nFree Size: {}\n\
         Reserved Size: {}\nBlock Hosting Restriction: {restriction}\nBlock Volumes: [{}]\nDurability Type: {}\n\
         Distribute Count: {}\n",
        volume.name,
        volume.size_gib,
        volume.id,
        volume.cluster,
        volume.mount.glusterfs.device,
        mount_options(volume),
        volume.block,
        volume.block_info.free_size_gib,
        volume.block_info.reserved_size_gib,
        joined(&volume.block_info.block_volumes, " "),
        volume.durability.kind,
        distribute_count(volume)
    );
    match volume.durability.kind {
        DurabilityKind::None => {}
        DurabilityKind::Replicate => {
            put!(text, "Replica Count: {}\n", replica(volume));
        }
        DurabilityKind::Disperse => {
            let disperse = volume.durability.disperse;
            put!(text, "Disperse Data Count: {}\nDisperse Redundancy Count: {}\n", disperse.data, disperse.redundancy);
        }
    }
    if volume.snapshot.enable {
        put!(text, "Snapshot Factor: {:.2}\n\n", volume.snapshot.factor.0);
    }
    text
}

pub fn volume_list(volumes: &[VolumeInfo]) -> String {
    let line = |volume: &VolumeInfo| {
        format!(
            "Id:{:<35} Cluster:{:<35} Name:{}{}\n",
            volume.id.to_string(),
            volume.cluster.to_string(),
            volume.name,
            if volume.block { " [block]" } else { "" }
        )
    };
    volumes.iter().map(line).collect()
}

pub fn volume_deleted(id: impl Display) -> String {
    format!("Volume {id} deleted\n")
}

pub fn block_volume_info(volume: &BlockVolumeInfo) -> String {
    let access = &volume.access;
    format!(
        "Name: {}\nSize: {}\nUsableSize: {}\nVolume Id: {}\nCluster Id: {}\nHosts: [{}]\nIQN: {}\nLUN: {}\nHacount: {}\n\
         Username: {}\nPassword: {}\nBlock Hosting Volume: {}\n",
        volume.name,
        volume.size_gib,
        volume.usable_size_gib,
        volume.id,
        volume.cluster,
        access.hosts.join(" "),
        access.iqn,
        access.lun,
        volume.ha_count,
        access.username,
        access.password.expose(),
        volume.hosting_volume
    )
}

pub fn block_volume_list(volumes: &[BlockVolumeInfo]) -> String {
    let line = |volume: &BlockVolumeInfo| {
        format!("Id:{:<35} Cluster:{:<35} Name:{}\n", volume.id.to_string(), volume.cluster.to_string(), volume.name)
    };
    volumes.iter().map(line).collect()
}

/// What `kubectl patch endpoints` takes: a subset for each host that serves the volume.
pub fn endpoint_patch(volume: &VolumeInfo) -> String {
    let subset = |host: &String| format!(r#"{{"addresses":[{{"ip":{}}}],"ports":[{{"port":1}}]}}"#, quoted(host));
    let subsets: Vec<String> = volume.mount.glusterfs.hosts.iter().map(subset).collect();
    format!(r#"{{"subsets": [{}]}}"#, subsets.join(","))
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
