use bricklayer_proto::block::{BlockKey, InitiatorPassword, Preallocation};
use bricklayer_proto::ids::{BlockVolumeId, ClusterId};
use bricklayer_proto::names::{BlockName, HostName};
use bricklayer_proto::size::ByteSize;
use bricklayer_proto::task::VolumeKey;
use serde::{Deserialize, Serialize};

/// A block device whose file lies in a volume, the block hosting volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockVolume {
    pub id: BlockVolumeId,
    pub name: BlockName,
    pub cluster: ClusterId,
    /// The volume that its file lies in. Volumes keep their names.
    pub hosting: VolumeKey,
    /// Whole GiB, as heketi counts them.
    pub size: ByteSize,
    /// Less than `size` where an expansion did not reach every host.
    pub usable: ByteSize,
    pub auth: bool,
    pub preallocation: Preallocation,
    /// The storage hosts that export it.
    pub hosts: Vec<HostName>,
    /// How initiators reach it; all empty until it is made.
    pub access: BlockAccess,
}

/// What `gluster-block` chose for a block volume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockAccess {
    pub iqn: String,
    pub lun: u32,
    /// Both empty where initiators need not log in.
    pub username: String,
    pub password: InitiatorPassword,
}

impl BlockVolume {
    #[must_use]
    pub fn key(&self) -> BlockKey {
        BlockKey { block: self.id, hosting: self.hosting.clone(), name: self.name.clone() }
    }

    /// Without what initiators log in with, for records of what was.
    #[must_use]
    pub fn without_secrets(mut self) -> Self {
        self.access.password = InitiatorPassword::default();
        self
    }
}

/// Whether block volumes may be made in a volume that hosts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BlockRestriction {
    #[default]
    None,
    Locked,
    /// heketi's own, of volumes that were filled before it kept a reserve. Lifted like the other one, and never set by us.
    LockedByUpdate,
}

impl BlockRestriction {
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::None
    }
}

/// The whole GiB of a block hosting volume, counted as heketi counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostingSpace {
    /// Kept for what GlusterFS and `gluster-block` need themselves.
    pub reserved: u64,
    pub free: u64,
}

impl HostingSpace {
    /// `used`: what its block volumes have, those being made included.
    #[must_use]
    pub fn of(volume: ByteSize, used: u64) -> Self {
        let most = most_gib(volume);
        Self { reserved: volume.whole_gib() - most, free: most.saturating_sub(used) }
    }
}

/// What block volumes may take of a hosting volume of this size: 98 per cent, rounded down to whole GiB.
#[must_use]
pub fn most_gib(volume: ByteSize) -> u64 {
    let most = u128::from(volume.whole_gib()) * 98 / 100;
    u64::try_from(most).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gib(gib: u64) -> ByteSize {
        ByteSize::from_gib(gib).unwrap()
    }

    #[test]
    fn two_per_cent_are_kept_and_rounded_up() {
        assert_eq!(HostingSpace::of(gib(100), 0), HostingSpace { reserved: 2, free: 98 });
        assert_eq!(HostingSpace::of(gib(100), 5), HostingSpace { reserved: 2, free: 93 });
        assert_eq!(HostingSpace::of(gib(1024), 0), HostingSpace { reserved: 21, free: 1003 });
        assert_eq!(HostingSpace::of(gib(1), 0), HostingSpace { reserved: 1, free: 0 });
    }

    #[test]
    fn a_volume_that_was_overfilled_has_nothing_free() {
        assert_eq!(HostingSpace::of(gib(100), 100).free, 0);
    }
}
