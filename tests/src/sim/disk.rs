//! A disk and what is written on it: what outlives a power cut, and what moves along when the disk is put elsewhere.

use bricklayer_agent::host::{HostError, Signature};
use bricklayer_proto::ids::DeviceId;
use bricklayer_proto::names::{DevicePath, PvUuid};
use bricklayer_proto::size::{ByteSize, MIB};

use super::lvm::Group;

/// A disk, in a host or on the table.
#[derive(Clone, Debug)]
pub struct SimDisk {
    pub(super) path: DevicePath,
    pub(super) size: ByteSize,
    pub(super) serial: Option<String>,
    pub(super) wwn: Option<String>,
    pub(super) rotational: bool,
    pub(super) read_only: bool,
    /// It is a path of this multipath device.
    pub(super) multipath: Option<String>,
    /// Answers every access with an error.
    pub(super) broken: bool,
    /// The physical volume that the last condemned group of ours left on it.
    pub(super) was_of_ours: Option<PvUuid>,
    pub(super) content: Content,
}

/// What a disk begins with.
#[derive(Clone, Debug)]
pub(super) enum Content {
    Blank,
    /// A file system or any other signature that `blkid` has a word for.
    Signature(String),
    Partitions {
        table: String,
        parts: Vec<Partition>,
    },
    PhysicalVolume {
        uuid: PvUuid,
        group: Option<Box<Group>>,
    },
}

#[derive(Clone, Debug)]
pub(super) struct Partition {
    pub size: ByteSize,
    pub signature: Option<String>,
}

impl SimDisk {
    /// A blank disk with a serial number and a WWN that no other disk has.
    #[must_use]
    pub fn new(path: &DevicePath, size: ByteSize) -> Self {
        let id = DeviceId::random().to_string();
        Self {
            path: path.clone(),
            size,
            serial: Some(format!("SIM{}", id[..12].to_uppercase())),
            wwn: Some(format!("0x5000c5{}", &id[12..22])),
            rotational: true,
            read_only: false,
            multipath: None,
            broken: false,
            was_of_ours: None,
            content: Content::Blank,
        }
    }

    #[must_use]
    pub fn serial(mut self, serial: &str) -> Self {
        self.serial = Some(serial.to_owned());
        self
    }

    /// As cheap virtual disks are.
    #[must_use]
    pub fn without_identity(mut self) -> Self {
        self.serial = None;
        self.wwn = None;
        self
    }

    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    #[must_use]
    pub fn multipath_member(mut self, map: &str) -> Self {
        self.multipath = Some(map.to_owned());
        self
    }

    /// Carries a file system, or whatever else `blkid` has a word for: `xfs`, `ext4`, `linux_raid_member`, `swap`.
    #[must_use]
    pub fn signature(mut self, what: &str) -> Self {
        self.content = Content::Signature(what.to_owned());
        self
    }

    /// Carries a partition table (`gpt`, `dos`) with parts of equal size; each may carry a signature.
    #[must_use]
    pub fn partitions(mut self, table: &str, signatures: &[Option<&str>]) -> Self {
        let count = u64::try_from(signatures.len()).unwrap_or(u64::MAX).max(1);
        let size = ByteSize::from_bytes(self.size.bytes().saturating_sub(2 * MIB) / count);
        let parts = signatures.iter().map(|what| Partition { size, signature: what.map(str::to_owned) }).collect();
        self.content = Content::Partitions { table: table.to_owned(), parts };
        self
    }

    /// Carries a physical volume that is in no group, as after a `pvcreate` that was the last thing to succeed.
    #[must_use]
    pub fn loose_physical_volume(mut self) -> Self {
        self.content = Content::PhysicalVolume { uuid: new_pv_uuid(), group: None };
        self
    }

    /// Carries a foreign volume group.
    #[must_use]
    pub fn group(mut self, group: Group) -> Self {
        self.content = Content::PhysicalVolume { uuid: new_pv_uuid(), group: Some(Box::new(group)) };
        self
    }

    pub(super) fn hosts_group(&self) -> Option<&Group> {
        match &self.content {
            Content::PhysicalVolume { group: Some(group), .. } => Some(group),
            _ => None,
        }
    }

    pub(super) fn hosts_group_mut(&mut self) -> Option<&mut Group> {
        match &mut self.content {
            Content::PhysicalVolume { group: Some(group), .. } => Some(group),
            _ => None,
        }
    }

    /// As `wipefs` lists them, without the parts of a partitioned disk.
    pub(super) fn signatures(&self) -> Vec<Signature> {
        let one = |what: &str, offset| Signature { what: what.to_owned(), offset };
        match &self.content {
            Content::Blank => Vec::new(),
            Content::Signature(what) => vec![one(what, offset_of(what))],
            Content::Partitions { table, .. } if table == "gpt" => {
                vec![one("gpt", 0x200), one("gpt", self.size.bytes().saturating_sub(0x200)), one("PMBR", 0x1fe)]
            }
            Content::Partitions { table, .. } => vec![one(table, 0x1fe)],
            Content::PhysicalVolume { .. } => vec![one("LVM2_member", 0x218)],
        }
    }

    pub(super) fn check_works(&self, what: &str) -> Result<(), HostError> {
        if self.broken {
            return Err(failed(what, &format!("{}: Input/output error", self.path)));
        }
        Ok(())
    }
}

/// Where the magic number of a file system stands.
fn offset_of(what: &str) -> u64 {
    match what {
        "ext2" | "ext3" | "ext4" => 0x438,
        "btrfs" => 0x10040,
        "linux_raid_member" => 0x1000,
        "swap" => 0xff6,
        _ => 0,
    }
}

pub(super) fn failed(what: &str, said: &str) -> HostError {
    HostError::Failed { what: what.to_owned(), said: said.to_owned() }
}

/// An LVM UUID: 32 characters in groups of 6-4-4-4-4-4-6.
pub(super) fn new_lvm_uuid() -> String {
    let digits = DeviceId::random().to_string();
    let mut parts = Vec::with_capacity(7);
    let mut rest = digits.as_str();
    for length in [6, 4, 4, 4, 4, 4, 6] {
        let (part, more) = rest.split_at(length);
        parts.push(part);
        rest = more;
    }
    parts.join("-")
}

pub(super) fn new_pv_uuid() -> PvUuid {
    new_lvm_uuid().parse().expect("it has the shape of an LVM UUID")
}
