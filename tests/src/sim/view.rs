//! What the host's tools would print of a simulated machine: `lsblk`, `vgs`, `lvs -a`, the kernel's table of mounts.

use bricklayer_agent::host::{BlockDevice, BlockKind, GroupReport, HostView, Mount};
use bricklayer_proto::inventory::{LogicalVolume, LvKind, PhysicalVolume, PvExtent};
use bricklayer_proto::names::{DevicePath, LvName, PvUuid, VgName};
use bricklayer_proto::size::{ByteSize, Extents};
use bricklayer_proto::space;

use super::disk::{Content, SimDisk};
use super::lvm::{Group, Kind};
use super::machine::{Machine, Mapped, Mapping, Source, mapping_name, partition};
use super::ours;

/// The major number under which device mapper's devices go on most hosts.
const MAPPER_MAJOR: u32 = 253;
const DISK_MAJOR: u32 = 8;

impl Machine {
    pub fn view(&self) -> HostView {
        let mut block_devices = Vec::new();
        for disk in &self.disks {
            block_devices.extend(self.disk_and_its_parts(disk));
        }
        for (name, mapping) in &self.kernel().mappings {
            block_devices.push(self.mapped_device(name, mapping));
        }
        // LVM passes over a disk whose label it cannot read.
        let loose = self.disks.iter().filter(|disk| !disk.broken).filter_map(|disk| match &disk.content {
            Content::PhysicalVolume { uuid, group: None } => Some(physical_volume(disk, uuid, space::data_start())),
            _ => None,
        });
        HostView {
            block_devices,
            groups: self.disks.iter().filter_map(|disk| self.report(disk)).collect(),
            loose_physical_volumes: loose.collect(),
            mounts: self.mounts(),
            swaps: self.kernel().swaps.iter().map(|path| path.as_str().into()).collect(),
            fstab: self.fstab.clone(),
        }
    }

    pub fn mounts(&self) -> Vec<Mount> {
        self.kernel().mounts.iter().map(|mount| self.mount(&mount.what, &mount.at)).collect()
    }

    fn mount(&self, what: &Source, at: &camino::Utf8Path) -> Mount {
        let at = at.to_owned();
        match what {
            Source::Volume { group, volume } => {
                let name = mapping_name(group, volume);
                let minor = self.kernel().mappings.get(&name).map_or(u32::MAX, |mapping| mapping.minor);
                let source = format!("/dev/mapper/{name}");
                Mount { source, device_number: (MAPPER_MAJOR, minor), at, file_system: "xfs".into() }
            }
            Source::Block { path, file_system } => {
                let minor = self.block_minor(path);
                let device_number = (DISK_MAJOR, minor);
                Mount { source: path.to_string(), device_number, at, file_system: file_system.clone() }
            }
        }
    }

    /// sda is 8:0, sda1 8:1, sdb 8:16 and so on.
    fn block_minor(&self, path: &DevicePath) -> u32 {
        for (index, disk) in (0u32..).zip(&self.disks) {
            if !path.as_str().starts_with(disk.path.as_str()) {
                continue;
            }
            for (part, minor) in (1usize..16).zip(1u32..) {
                if *path == partition(&disk.path, part) {
                    return index * 16 + minor;
                }
            }
            if *path == disk.path {
                return index * 16;
            }
        }
        u32::MAX
    }

    pub fn report_of(&self, group: &VgName) -> Option<GroupReport> {
        let holds = |disk: &&SimDisk| matches!(&disk.content, Content::PhysicalVolume { group: Some(found), .. } if found.name == *group);
        self.report(self.disks.iter().find(holds)?)
    }

    pub fn report(&self, disk: &SimDisk) -> Option<GroupReport> {
        if disk.broken {
            return None;
        }
        let Content::PhysicalVolume { uuid, group: Some(group) } = &disk.content else { return None };
        let mut volumes: Vec<LogicalVolume> =
            group.volumes.keys().flat_map(|name| self.volume_and_its_parts(group, name)).collect();
        if group.spare > Extents::ZERO {
            volumes.push(hidden(group, "lvol0_pmspare", group.spare, "linear"));
        }
        Some(GroupReport {
            name: group.name.clone(),
            uuid: group.uuid.clone(),
            space: group.space(),
            tags: group.tags.clone(),
            physical_volumes: vec![physical_volume(disk, uuid, group.start)],
            volumes,
        })
    }

    fn volume_and_its_parts(&self, group: &Group, name: &LvName) -> Vec<LogicalVolume> {
        let volume = &group.volumes[name];
        let active = self.is_active(&group.name, name);
        let mut parts = Vec::new();
        let kind = match &volume.kind {
            Kind::Thin { pool, .. } => LvKind::Thin { pool: pool.clone() },
            Kind::Linear { .. } => LvKind::Other { segment_type: "linear".into() },
            Kind::Pool { data, metadata } => {
                parts.push(hidden(group, &format!("{name}_tdata"), *data, "linear"));
                parts.push(hidden(group, &format!("{name}_tmeta"), *metadata, "linear"));
                let used = group.thin_volumes_of(name);
                let (data_percent, metadata_percent) = group.fill_of(name);
                LvKind::ThinPool {
                    metadata: bytes(group, *metadata),
                    data_percent: active.then_some(data_percent),
                    metadata_percent: active.then_some(metadata_percent),
                    volumes: u32::try_from(used).unwrap_or(u32::MAX),
                    fault: self.pool_faults.get(name).cloned(),
                }
            }
        };
        let seen = LogicalVolume {
            name: name.clone(),
            uuid: volume.uuid.clone(),
            size: bytes(group, volume.extents()),
            kind,
            active,
            open: self.is_open(&group.name, name),
            condemned: ours::is_condemned(&volume.tags),
            tags: volume.tags.clone(),
        };
        parts.insert(0, seen);
        parts
    }

    fn disk_and_its_parts(&self, disk: &SimDisk) -> Vec<BlockDevice> {
        let whole = BlockDevice {
            path: disk.path.clone(),
            device_number: (DISK_MAJOR, self.block_minor(&disk.path)),
            links: disk.links(),
            kind: BlockKind::Disk,
            size: disk.size,
            read_only: disk.read_only,
            rotational: disk.rotational,
            serial: disk.serial.clone(),
            wwn: disk.wwn.clone(),
            model: Some("SIMDISK".into()),
            partition_table: None,
            signature: None,
            parents: Vec::new(),
            mapping: None,
            open: self.holder(disk).is_some(),
        };
        match &disk.content {
            Content::Blank => vec![whole],
            Content::Signature(what) => vec![BlockDevice { signature: Some(what.clone()), ..whole }],
            Content::PhysicalVolume { .. } => vec![BlockDevice { signature: Some("LVM2_member".into()), ..whole }],
            Content::Partitions { table, parts } => {
                let mut all: Vec<BlockDevice> = (1usize..)
                    .zip(parts)
                    .map(|(number, part)| {
                        let path = partition(&disk.path, number);
                        BlockDevice {
                            device_number: (DISK_MAJOR, self.block_minor(&path)),
                            links: Vec::new(),
                            kind: BlockKind::Partition,
                            size: part.size,
                            signature: part.signature.clone(),
                            parents: vec![disk.path.clone()],
                            open: self.is_in_use(&path),
                            path,
                            ..whole.clone()
                        }
                    })
                    .collect();
                all.insert(0, BlockDevice { partition_table: Some(table.clone()), open: false, ..whole });
                all
            }
        }
    }

    pub fn is_in_use(&self, path: &DevicePath) -> bool {
        let kernel = self.kernel();
        kernel.swaps.contains(path)
            || kernel.mappings.values().any(|mapping| matches!(&mapping.of, Mapped::Stale { disk, .. } if disk == path))
            || kernel.mounts.iter().any(|mount| matches!(&mount.what, Source::Block { path: of, .. } if of == path))
    }

    fn mapped_device(&self, name: &str, mapping: &Mapping) -> BlockDevice {
        let mut links = vec![device(&format!("/dev/mapper/{name}"))];
        let mut kind = BlockKind::Lvm;
        let mut size = ByteSize::ZERO;
        let mut signature = None;
        let mut open = false;
        let parents = match &mapping.of {
            Mapped::Volume { group, volume } => {
                links.push(device(&format!("/dev/{group}/{volume}")));
                open = self.is_open(group, volume);
                let known = self.group(group).and_then(|found| Some((found, found.volumes.get(volume)?)));
                if let Some((found, lv)) = known {
                    size = bytes(found, lv.extents());
                    signature = lv.file_system.as_ref().map(|_| "xfs".to_owned());
                    if let Kind::Thin { pool, .. } = &lv.kind {
                        vec![self.mapper_node(&format!("{}-tpool", mapping_name(group, pool)))]
                    } else if matches!(lv.kind, Kind::Pool { .. }) {
                        vec![self.mapper_node(&format!("{name}-tpool"))]
                    } else {
                        self.disk_of(group)
                    }
                } else {
                    Vec::new()
                }
            }
            Mapped::PoolPart { group, pool } => {
                let pool = mapping_name(group, pool);
                open = true;
                if name.ends_with("-tpool") {
                    vec![self.mapper_node(&format!("{pool}_tmeta")), self.mapper_node(&format!("{pool}_tdata"))]
                } else {
                    self.disk_of(group)
                }
            }
            Mapped::Stale { disk, open: in_use } => {
                // udev no longer knows it for LVM's, but the kernel's name for the kind is taken from the UUID.
                open = *in_use;
                vec![disk.clone()]
            }
            Mapped::Multipath => {
                kind = BlockKind::Multipath;
                let members = self.disks.iter().filter(|disk| disk.multipath.as_deref() == Some(name));
                let members: Vec<&SimDisk> = members.collect();
                size = members.first().map_or(ByteSize::ZERO, |disk| disk.size);
                members.iter().map(|disk| disk.path.clone()).collect()
            }
        };
        BlockDevice {
            path: device(&format!("/dev/dm-{}", mapping.minor)),
            device_number: (MAPPER_MAJOR, mapping.minor),
            links,
            kind,
            size,
            read_only: false,
            rotational: true,
            serial: None,
            wwn: None,
            model: None,
            partition_table: None,
            signature,
            parents,
            mapping: Some(name.to_owned()),
            open,
        }
    }

    fn mapper_node(&self, name: &str) -> DevicePath {
        let minor = self.kernel().mappings.get(name).map_or(u32::MAX, |mapping| mapping.minor);
        device(&format!("/dev/dm-{minor}"))
    }

    fn disk_of(&self, group: &bricklayer_proto::names::VgName) -> Vec<DevicePath> {
        let on = |disk: &&SimDisk| disk.hosts_group().is_some_and(|found| found.name == *group);
        self.disks.iter().filter(on).map(|disk| disk.path.clone()).collect()
    }
}

fn physical_volume(disk: &SimDisk, uuid: &PvUuid, start: ByteSize) -> PhysicalVolume {
    let extent = PvExtent { disk: disk.size, start };
    PhysicalVolume { uuid: uuid.clone(), path: Some(disk.path.clone()), missing: false, extent: Some(extent) }
}

/// A part that `lvs -a` shows in square brackets.
fn hidden(group: &Group, name: &str, size: Extents, segment_type: &str) -> LogicalVolume {
    LogicalVolume {
        name: name.parse().expect("LVM's own names are names"),
        uuid: format!("hidden-{name}"),
        size: bytes(group, size),
        kind: LvKind::Other { segment_type: segment_type.to_owned() },
        active: false,
        open: false,
        condemned: false,
        tags: Vec::new(),
    }
}

fn bytes(group: &Group, extents: Extents) -> ByteSize {
    extents.to_bytes(group.extent_size).expect("a volume group has fewer than 2^64 bytes")
}

fn device(text: &str) -> DevicePath {
    text.parse().expect("LVM's names are device names")
}
