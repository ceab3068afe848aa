//! Thin pools: how full they are, how fast they fill, and when and by how much one is extended.
//!
//! Pure: reports in, figures and decisions out; no clock, no store. A pool that has at least what its thin volumes may
//! hold together cannot overflow, however full its bricks are. Snapshots and clones make one promise more than it has,
//! and only such pools are watched. Read [`PoolSeen`], then [`trend`], then [`extension`].

pub mod extension;
pub mod trend;

use std::collections::BTreeMap;

use bricklayer_proto::ids::DeviceId;
use bricklayer_proto::inventory::{LvKind, VolumeGroup};
use bricklayer_proto::names::LvName;
use bricklayer_proto::size::ByteSize;

/// Marks of a pool's data in per cent: worth knowing, a warning, an error.
pub const DATA_MARKS: [f64; 3] = [70.0, 80.0, 90.0];
/// A warning and an error. A pool whose metadata is full needs a repair while it is offline.
pub const METADATA_MARKS: [f64; 2] = [60.0, 70.0];

/// One thin pool as an agent reported it.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolSeen {
    pub device: DeviceId,
    pub name: LvName,
    pub size: ByteSize,
    pub metadata: ByteSize,
    /// `None` while the pool is not active.
    pub data_percent: Option<f64>,
    pub metadata_percent: Option<f64>,
    /// What its thin volumes may hold together.
    pub promised: ByteSize,
    /// Snapshots and clones among them.
    pub volumes: u32,
}

impl PoolSeen {
    /// The pools of a device's group.
    pub fn of_group(device: DeviceId, group: &VolumeGroup) -> impl Iterator<Item = Self> {
        let promised = promised(group);
        group.volumes.iter().filter_map(move |volume| match volume.kind {
            LvKind::ThinPool { metadata, data_percent, metadata_percent, volumes, .. } => Some(Self {
                device,
                name: volume.name.clone(),
                size: volume.size,
                metadata,
                data_percent,
                metadata_percent,
                promised: promised.get(&volume.name).copied().unwrap_or_default(),
                volumes,
            }),
            _ => None,
        })
    }

    #[must_use]
    pub fn can_overflow(&self) -> bool {
        self.promised > self.size
    }

    #[must_use]
    pub fn used(&self) -> Option<ByteSize> {
        Some(part(self.size, self.data_percent?))
    }

    #[must_use]
    pub fn metadata_used(&self) -> Option<ByteSize> {
        Some(part(self.metadata, self.metadata_percent?))
    }

    /// How bad the fill of its data is: the number of marks that are passed. 0 where it cannot overflow.
    #[must_use]
    pub fn data_level(&self) -> usize {
        let percent = self.data_percent.filter(|_| self.can_overflow()).unwrap_or(0.0);
        DATA_MARKS.iter().filter(|mark| percent >= **mark).count()
    }

    #[must_use]
    pub fn metadata_level(&self) -> usize {
        let percent = self.metadata_percent.unwrap_or(0.0);
        METADATA_MARKS.iter().filter(|mark| percent >= **mark).count()
    }
}

fn part(of: ByteSize, percent: f64) -> ByteSize {
    // LVM gives hundredths of a per cent: in them the product is whole and exact.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 10,000 after the clamp")]
    let hundredths = (percent.clamp(0.0, 100.0) * 100.0).round() as u128;
    let bytes = u128::from(of.bytes()) * hundredths / 10_000;
    ByteSize::from_bytes(u64::try_from(bytes).unwrap_or(u64::MAX))
}

/// What the thin volumes of each pool have together.
fn promised(group: &VolumeGroup) -> BTreeMap<LvName, ByteSize> {
    let mut promised: BTreeMap<LvName, ByteSize> = BTreeMap::new();
    for volume in &group.volumes {
        if let LvKind::Thin { pool } = &volume.kind {
            let sum = promised.entry(pool.clone()).or_default();
            *sum = ByteSize::from_bytes(sum.bytes().saturating_add(volume.size.bytes()));
        }
    }
    promised
}
