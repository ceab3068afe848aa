//! Every kind of task that an agent can be given.

use bricklayer_proto::task::Wanted;

macro_rules! kinds {
    ($($kind:ident),+ $(,)?) => {
        /// A kind of task. One that is new does not compile before it is here, and then not before a hostile coordinator sends
        /// it (`tasks::of`).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Kind { $($kind),+ }

        impl Kind {
            pub const ALL: &'static [Self] = &[$(Self::$kind),+];

            #[must_use]
            pub fn of(wanted: &Wanted) -> Self {
                match wanted { $(Wanted::$kind { .. } => Self::$kind),+ }
            }
        }
    };
}

kinds! {
    Device, DeviceCondemned, DeviceGone, DiskWiped,
    Brick, BrickSynced, BrickCanGrow, BrickGrown, BrickUp, CloneBrick, BrickCondemned, BrickGone,
    Peer, PeerGone,
    Volume, VolumeStarted, BricksStarted, HealStarted, VolumeStopped, VolumeGone, VolumeExtended, VolumeCloned, BrickReplaced,
    VolumeOptionSet, RebalanceStarted, DrainStarted, DrainStopped, DrainCommitted,
    BlockCreated, BlockResized, BlockGone,
    GroupAdopted, GroupReleased, BrickAdopted, BrickReleased, VolumeAdopted, VolumeReleased,
    DeviceSeen, VolumeSeen, HealSeen, RebalanceSeen, DrainSeen, BlockSeen, HostSurveyed,
}

impl Kind {
    /// Whether it can destroy something, or change by what marks something is known. Those a play must have carried out.
    #[must_use]
    pub fn destroys_or_marks(self) -> bool {
        match self {
            Self::Device
            | Self::DeviceCondemned
            | Self::DeviceGone
            | Self::DiskWiped
            | Self::Brick
            | Self::BrickGrown
            | Self::CloneBrick
            | Self::BrickCondemned
            | Self::BrickGone
            | Self::Volume
            | Self::VolumeStopped
            | Self::VolumeGone
            | Self::VolumeCloned
            | Self::VolumeOptionSet
            | Self::GroupAdopted
            | Self::GroupReleased
            | Self::BrickAdopted
            | Self::BrickReleased
            | Self::VolumeAdopted
            | Self::VolumeReleased => true,
            Self::BrickSynced
            | Self::BrickCanGrow
            | Self::BrickUp
            | Self::Peer
            | Self::PeerGone
            | Self::VolumeStarted
            | Self::BricksStarted
            | Self::HealStarted
            | Self::VolumeExtended
            | Self::BrickReplaced
            | Self::RebalanceStarted
            | Self::DrainStarted
            | Self::DrainStopped
            | Self::DrainCommitted
            | Self::BlockCreated
            | Self::BlockResized
            | Self::BlockGone
            | Self::DeviceSeen
            | Self::VolumeSeen
            | Self::HealSeen
            | Self::RebalanceSeen
            | Self::DrainSeen
            | Self::BlockSeen
            | Self::HostSurveyed => false,
        }
    }
}
