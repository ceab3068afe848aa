//! What heketi leaves on hosts, made by the same tools with its names and figures, and the database in which it wrote it
//! down. Nothing of it is Bricklayer's.
//!
//! Kept from heketi as they are: a metadata area of 128 MiB, pool metadata of 0.5 per cent, pools that are called after
//! another id than their brick's, lines of fstab without `nofail`, bricks in the database sorted by their ids.

use std::collections::BTreeMap;

use anyhow::Context as _;
use bricklayer_agent::host::{BrickVolumes, Host as _};
use bricklayer_proto::adopt::HEKETI_ID_OPTION;
use bricklayer_proto::ids::{BrickId, ClusterId, DeviceId, NodeId, VolumeId};
use bricklayer_proto::names::{
    BrickPath, DevicePath, HostName, LvName, MountPoint, SnapshotName, VgName, VolumeName, mapper_path,
};
use bricklayer_proto::size::{ByteSize, ExtentSize, Extents, GIB, MIB};
use bricklayer_proto::space::{BrickSpace, Provisioning};
use bricklayer_proto::task::{BrickAddress, Layout};
use serde_json::{Value, json};

use super::SimHost;
use super::disk::SimDisk;
use super::lvm::Group;

const ONE: ExtentSize = ExtentSize::FOUR_MIB;

/// heketi, as far as it can be seen afterwards.
pub struct Heketi {
    pub cluster: ClusterId,
    nodes: Vec<Node>,
    devices: Vec<Device>,
    volumes: Vec<Volume>,
    next: u128,
}

struct Node {
    id: NodeId,
    host: SimHost,
    zone: u32,
    storage: HostName,
}

struct Device {
    id: DeviceId,
    node: NodeId,
    name: DevicePath,
    total: Extents,
}

struct Volume {
    id: VolumeId,
    wanted: HeketiVolume,
    bricks: Vec<Brick>,
}

struct Brick {
    id: BrickId,
    device: DeviceId,
    node: NodeId,
    made: HandMadeBrick,
    arbiter: bool,
}

/// What was asked of heketi.
#[derive(Clone, Debug)]
pub struct HeketiVolume {
    pub name: String,
    pub size_gib: u64,
    pub layout: Layout,
    pub sets: u32,
    pub snapshot_factor: f64,
    pub gid: u32,
    pub options: Vec<String>,
}

/// A brick on a thin volume, as heketi or a person makes one.
#[derive(Clone, Debug)]
pub struct HandMadeBrick {
    pub group: VgName,
    pub pool: LvName,
    pub volume: LvName,
    pub space: BrickSpace,
    pub at: MountPoint,
    /// Below the mount point.
    pub folder: String,
    /// The options in its line of fstab, and the two numbers behind them; `None`: no line.
    pub fstab: Option<String>,
    pub gid: u32,
    pub arbiter: bool,
}

impl HandMadeBrick {
    #[must_use]
    pub fn path(&self) -> BrickPath {
        self.at.brick_path_in(&self.folder).expect("a path")
    }
}

impl HeketiVolume {
    #[must_use]
    pub fn replicated(name: &str, size_gib: u64, replica: u32) -> Self {
        Self {
            name: name.to_owned(),
            size_gib,
            layout: Layout::Replicate { replica },
            sets: 1,
            snapshot_factor: 1.0,
            gid: 0,
            options: Vec::new(),
        }
    }
}

impl SimHost {
    /// `pvcreate --metadatasize`, `vgcreate`.
    ///
    /// # Panics
    /// If there is no such disk, or something is on it.
    pub fn make_group_by_hand(&self, path: &DevicePath, group: &VgName, area: ByteSize) {
        let disk = self.unplug(path).expect("the disk is plugged in");
        let made = Group::new(group.clone(), disk.size, ONE, &[]).with_metadata_area(disk.size, area);
        self.plug(SimDisk::group(disk, made));
    }

    /// `lvcreate`, `mkfs.xfs`, a line of fstab, `mount`, `mkdir`. A pool that is there already is used.
    pub async fn make_brick_by_hand(&self, brick: &HandMadeBrick) -> anyhow::Result<()> {
        let (group, volume, at) = (&brick.group, &brick.volume, &brick.at);
        self.create_brick_volumes(&BrickVolumes {
            group: group.clone(),
            pool: brick.pool.clone(),
            volume: volume.clone(),
            space: brick.space,
            extent_size: ONE,
            pool_tags: Vec::new(),
            volume_tags: Vec::new(),
        })
        .await?;
        self.make_xfs(group, volume, brick.arbiter).await?;
        if let Some(options) = &brick.fstab {
            let line = format!("{} {at} xfs {options}\n", mapper_path(group, volume));
            self.edit_fstab(|fstab| fstab.push_str(&line));
        }
        self.make_mount_point(at).await?;
        self.mount(group, volume, at).await?;
        self.make_brick_directory(&brick.path(), brick.gid).await?;
        Ok(())
    }
}

impl Heketi {
    #[must_use]
    pub fn new() -> Self {
        // Ids go down, so that sorted by them bricks are not in GlusterFS's order.
        let mut heketi = Self {
            cluster: ClusterId::from_u128(0),
            nodes: Vec::new(),
            devices: Vec::new(),
            volumes: Vec::new(),
            next: 0xffff,
        };
        heketi.cluster = ClusterId::from_u128(heketi.id());
        heketi
    }

    fn id(&mut self) -> u128 {
        self.next -= 1;
        (self.next << 112) | 0x4e7c_0de5
    }

    /// The host joins the pool of those before it.
    pub async fn node(&mut self, host: &SimHost, storage: &str, zone: u32) -> anyhow::Result<NodeId> {
        let storage: HostName = storage.parse()?;
        if let Some(first) = self.nodes.first() {
            first.host.gluster_peer_probe(&storage).await?;
        }
        let id = NodeId::from_u128(self.id());
        self.nodes.push(Node { id, host: host.clone(), zone, storage });
        Ok(id)
    }

    /// heketi's device set-up.
    ///
    /// # Panics
    /// If there is no such node.
    pub fn device(&mut self, node: NodeId, path: &str) -> anyhow::Result<DeviceId> {
        let id = DeviceId::from_u128(self.id());
        let name: DevicePath = path.parse()?;
        let host = self.host(node).clone();
        host.make_group_by_hand(&name, &VgName::of_device(id), ByteSize::from_bytes(128 * MIB));
        let groups = host.footprint().view.groups;
        let group = groups.iter().find(|group| group.name == VgName::of_device(id)).context("the group was made")?;
        self.devices.push(Device { id, node, name, total: group.space.total });
        Ok(id)
    }

    /// heketi's volume create, on these devices in this order, set by set.
    pub async fn volume(&mut self, wanted: HeketiVolume, devices: &[DeviceId]) -> anyhow::Result<VolumeId> {
        let id = VolumeId::from_u128(self.id());
        let per_set = usize::try_from(wanted.layout.bricks_per_set())?;
        anyhow::ensure!(devices.len() == per_set * usize::try_from(wanted.sets)?, "a device for each brick");
        let parts = match wanted.layout {
            Layout::Disperse { data, .. } => u64::from(data),
            _ => 1,
        } * u64::from(wanted.sets);
        let size = ByteSize::from_bytes(wanted.size_gib * GIB / parts);
        let mut bricks = Vec::new();
        for (index, device) in devices.iter().enumerate() {
            let arbiter = wanted.layout == Layout::Arbiter && index % per_set == 2;
            let size = if arbiter { ByteSize::from_bytes(320 * MIB) } else { size };
            // The first brick of a set has its id changed after its pool got its name.
            let brick = BrickId::from_u128(self.id());
            let pool = if index % per_set == 0 { BrickId::from_u128(self.id()) } else { brick };
            let node = self.devices.iter().find(|known| known.id == *device).context("a device")?.node;
            let (group, volume) = (VgName::of_device(*device), LvName::of_brick(brick));
            let made = HandMadeBrick {
                at: MountPoint::of_brick(&"/var/lib/heketi/mounts".parse()?, &group, &volume),
                group,
                pool: LvName::of_pool(pool),
                volume,
                space: space(size, wanted.snapshot_factor),
                folder: "brick".to_owned(),
                fstab: Some("rw,inode64,noatime,nouuid 1 2".to_owned()),
                gid: wanted.gid,
                arbiter,
            };
            self.host(node).make_brick_by_hand(&made).await?;
            bricks.push(Brick { id: brick, device: *device, node, made, arbiter });
        }
        let name: VolumeName = wanted.name.parse()?;
        let addresses: Vec<BrickAddress> = bricks
            .iter()
            .map(|brick| BrickAddress { host: self.storage(brick.node), path: brick.made.path() })
            .collect();
        let host = self.host(bricks[0].node).clone();
        host.gluster_volume_create(&name, wanted.layout, &addresses).await?;
        let mut options = Vec::new();
        for option in &wanted.options {
            let (key, value) = option.split_once(' ').context("key value")?;
            options.push((key.parse()?, value.parse()?));
        }
        options.push((HEKETI_ID_OPTION.parse()?, id.to_string().parse()?));
        host.gluster_volume_set(&name, &options).await?;
        host.gluster_volume_start(&name).await?;
        self.volumes.push(Volume { id, wanted, bricks });
        Ok(id)
    }

    /// heketi's volume clone: a snapshot, a volume made from it, and the snapshot gone again. It has its source's options.
    pub async fn clone_of(&mut self, source: VolumeId, name: &str) -> anyhow::Result<VolumeId> {
        let id = VolumeId::from_u128(self.id());
        let origin = self.volumes.iter().find(|known| known.id == source).context("a volume")?;
        let host = self.host(origin.bricks[0].node).clone();
        let (snapshot, name) = (SnapshotName::for_clone(id), name.parse::<VolumeName>()?);
        host.gluster_snapshot_create(&snapshot, &origin.wanted.name.parse()?).await?;
        host.gluster_snapshot_activate(&snapshot, true).await?;
        host.gluster_snapshot_clone(&snapshot, &name).await?;
        host.gluster_volume_start(&name).await?;
        host.gluster_snapshot_activate(&snapshot, false).await?;
        host.gluster_snapshot_delete(&snapshot).await?;
        let made = host.gluster_volume(&name).await?.context("the clone was made")?;
        let wanted = HeketiVolume { name: name.to_string(), ..origin.wanted.clone() };
        let mut bricks = Vec::new();
        for (at, address) in made.bricks.iter().enumerate() {
            let Brick { device, node, made, arbiter, .. } =
                &self.volumes.iter().find(|known| known.id == source).context("a volume")?.bricks[at];
            let (device, node, made, arbiter) = (*device, *node, made.clone(), *arbiter);
            let root = address.path.as_path().parent().context("a folder")?;
            let mounts = self.host(node).mounts().await?;
            let mount = mounts.iter().find(|mount| mount.at == root).context("glusterd has mounted it")?;
            let volume = mount.source.rsplit_once('-').context("a mapping")?.1.parse()?;
            let made = HandMadeBrick { volume, at: root.as_str().parse()?, fstab: None, ..made };
            bricks.push(Brick { id: BrickId::from_u128(self.id()), device, node, made, arbiter });
        }
        self.volumes.push(Volume { id, wanted, bricks });
        Ok(id)
    }

    /// What `heketi db export` writes.
    #[must_use]
    pub fn export(&self) -> Value {
        let mut nodes = BTreeMap::new();
        for node in &self.nodes {
            let devices: Vec<_> = self.devices.iter().filter(|device| device.node == node.id).collect();
            let mut devices: Vec<String> = devices.iter().map(|device| device.id.to_string()).collect();
            devices.sort();
            let hostnames = json!({ "manage": [node.host.name()], "storage": [node.storage] });
            let info = json!({ "zone": node.zone, "hostnames": hostnames, "cluster": self.cluster, "id": node.id });
            nodes.insert(node.id.to_string(), json!({ "State": "online", "Info": info, "Devices": devices }));
        }
        let mut devices = BTreeMap::new();
        let mut bricks = BTreeMap::new();
        for device in &self.devices {
            let on_it: Vec<&Brick> = self.bricks().filter(|brick| brick.device == device.id).collect();
            let used: u64 = on_it.iter().map(|brick| kib(brick.made.space.pool) + kib(brick.made.space.metadata)).sum();
            let total = kib(device.total);
            let mut ids: Vec<String> = on_it.iter().map(|brick| brick.id.to_string()).collect();
            ids.sort();
            let storage = json!({ "total": total, "free": total - used, "used": used });
            let info =
                json!({ "name": device.name, "storage": storage, "id": device.id, "paths": null, "pv_uuid": "" });
            devices.insert(
                device.id.to_string(),
                json!({ "State": "online", "Info": info, "Bricks": ids, "NodeId": device.node, "ExtentSize": 4096 }),
            );
        }
        let mut volumes = BTreeMap::new();
        for volume in &self.volumes {
            let mut ids: Vec<String> = volume.bricks.iter().map(|brick| brick.id.to_string()).collect();
            ids.sort();
            let wanted = &volume.wanted;
            let durability = match wanted.layout {
                Layout::Distribute => json!({ "type": "none", "replicate": {}, "disperse": {} }),
                Layout::Replicate { replica } => {
                    json!({ "type": "replicate", "replicate": { "replica": replica }, "disperse": {} })
                }
                Layout::Arbiter => json!({ "type": "replicate", "replicate": { "replica": 3 }, "disperse": {} }),
                Layout::Disperse { data, redundancy } => {
                    json!({ "type": "disperse", "replicate": {}, "disperse": { "data": data, "redundancy": redundancy } })
                }
            };
            let snapshot = json!({ "enable": wanted.snapshot_factor > 1.0, "factor": wanted.snapshot_factor });
            let info = json!({
                "size": wanted.size_gib, "name": wanted.name, "durability": durability, "gid": wanted.gid,
                "snapshot": snapshot, "id": volume.id, "cluster": self.cluster, "mount": { "glusterfs": {} }, "blockinfo": {},
            });
            let options = if wanted.options.is_empty() { Value::Null } else { json!(wanted.options) };
            volumes.insert(
                volume.id.to_string(),
                json!({ "Info": info, "Bricks": ids, "GlusterVolumeOptions": options, "Pending": { "Id": "" } }),
            );
            for brick in &volume.bricks {
                let info = json!({
                    "id": brick.id, "path": brick.made.path(), "device": brick.device, "node": brick.node,
                    "volume": volume.id, "size": kib(brick.made.space.volume),
                });
                bricks.insert(
                    brick.id.to_string(),
                    json!({
                        "Info": info, "TpSize": kib(brick.made.space.pool),
                        "PoolMetadataSize": kib(brick.made.space.metadata), "Pending": { "Id": "" },
                        "LvmThinPool": brick.made.pool, "LvmLv": brick.made.volume,
                        "SubType": if brick.arbiter { 2 } else { 1 },
                    }),
                );
            }
        }
        let info = json!({
            "id": self.cluster, "nodes": nodes.keys().collect::<Vec<_>>(), "volumes": volumes.keys().collect::<Vec<_>>(),
            "block": true, "file": true, "blockvolumes": [],
        });
        json!({
            "clusterentries": { self.cluster.to_string(): { "Info": info } },
            "volumeentries": volumes, "brickentries": bricks, "nodeentries": nodes, "deviceentries": devices,
            "blockvolumeentries": {}, "dbattributeentries": {}, "pendingoperations": {},
        })
    }

    /// Where a volume's bricks are.
    #[must_use]
    pub fn addresses(&self, volume: VolumeId) -> Vec<(SimHost, BrickPath)> {
        let volume = self.volumes.iter().filter(|known| known.id == volume);
        volume
            .flat_map(|volume| &volume.bricks)
            .map(|brick| (self.host(brick.node).clone(), brick.made.path()))
            .collect()
    }

    fn bricks(&self) -> impl Iterator<Item = &Brick> {
        self.volumes.iter().flat_map(|volume| &volume.bricks)
    }

    fn host(&self, node: NodeId) -> &SimHost {
        &self.nodes.iter().find(|known| known.id == node).expect("a node of heketi's").host
    }

    fn storage(&self, node: NodeId) -> HostName {
        self.nodes.iter().find(|known| known.id == node).expect("a node of heketi's").storage.clone()
    }
}

impl Default for Heketi {
    fn default() -> Self {
        Self::new()
    }
}

/// heketi's formula.
fn space(size: ByteSize, factor: f64) -> BrickSpace {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a test's"
    )]
    let pool = ByteSize::from_bytes((size.bytes() as f64 * factor) as u64).to_extents(ONE);
    let metadata = pool.count() * ONE.bytes() / 200;
    let metadata = ByteSize::from_bytes(metadata).to_extents(ONE);
    BrickSpace { provisioning: Provisioning::Thin, volume: size.to_extents(ONE), pool, metadata }
}

fn kib(extents: Extents) -> u64 {
    extents.to_bytes(ONE).expect("a small number").whole_kib()
}
