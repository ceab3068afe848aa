//! What can go wrong on a simulated host, and when; and the log of all that was done there.
//!
//! A fault is met once, unless it was asked to stay. It hits a call by its name ([`At::Next`]) or an effect by its
//! number ([`At::Effect`]): effects are counted from 1, and facts do not count.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

macro_rules! calls {
    (facts { $($fact:ident = $fact_name:literal,)+ } effects { $($effect:ident = $effect_name:literal,)+ }) => {
        /// A method of `Host`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Call { $($fact,)+ $($effect,)+ }

        impl Call {
            /// Everything that changes something, in the order of the trait.
            pub const EFFECTS: &[Self] = &[$(Self::$effect,)+];

            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$fact => $fact_name,)+ $(Self::$effect => $effect_name,)+ }
            }

            /// Whether the agent does it itself, with no program and no time limit.
            #[must_use]
            pub fn is_a_system_call(self) -> bool {
                matches!(
                    self,
                    Self::MakeMountPoint
                        | Self::RemoveMountPoint
                        | Self::ReplaceFstab
                        | Self::WriteRecord
                        | Self::SyncFileSystem
                        | Self::MakeBrickDirectory
                        | Self::MarkBrick
                        | Self::ClearBrickMarks
                )
            }

            #[must_use]
            pub fn is_effect(self) -> bool {
                Self::EFFECTS.contains(&self)
            }
        }
    };
}

calls! {
    facts {
        View = "view",
        Group = "group",
        Signatures = "signatures",
        Mounts = "mounts",
        ProbeDisk = "probe_disk",
        ProbeFileSystem = "probe_file_system",
        Fstab = "fstab",
        ReadRecord = "read_record",
        BrickMark = "brick_mark",
        GlusterPool = "gluster_pool",
        GlusterVolume = "gluster_volume",
        GlusterVolumes = "gluster_volumes",
        BlockInfo = "block_info",
        GlusterVolumeStatus = "gluster_volume_status",
        GlusterHeal = "gluster_heal",
        GlusterRebalance = "gluster_rebalance",
        GlusterDrainStatus = "gluster_drain_status",
        GlusterSnapshot = "gluster_snapshot",
    }
    effects {
        WipeSignatures = "wipe_signatures",
        RemoveMapping = "remove_mapping",
        CreateGroup = "create_group",
        AddGroupTag = "add_group_tag",
        ReplaceGroupTags = "replace_group_tags",
        RemoveGroup = "remove_group",
        RemovePhysicalVolume = "remove_physical_volume",
        ActivateGroup = "activate_group",
        DeactivateGroup = "deactivate_group",
        CreateBrickVolumes = "create_brick_volumes",
        CreateLinear = "create_linear_volume",
        ExtendPool = "extend_pool",
        ExtendVolume = "extend_volume",
        GrowXfs = "grow_xfs",
        AddVolumeTag = "add_volume_tag",
        ReplaceVolumeTags = "replace_volume_tags",
        RemoveVolume = "remove_volume",
        MakeXfs = "make_xfs",
        MakeXfsOver = "make_xfs_over",
        MakeMountPoint = "make_mount_point",
        RemoveMountPoint = "remove_mount_point",
        Mount = "mount",
        Unmount = "unmount",
        ReplaceFstab = "replace_fstab",
        WriteRecord = "write_record",
        RemoveRecord = "remove_record",
        SyncFileSystem = "sync_file_system",
        MakeBrickDirectory = "make_brick_directory",
        MarkBrick = "mark_brick",
        PeerProbe = "gluster_peer_probe",
        PeerDetach = "gluster_peer_detach",
        VolumeCreate = "gluster_volume_create",
        VolumeSet = "gluster_volume_set",
        VolumeReset = "gluster_volume_reset",
        VolumeStart = "gluster_volume_start",
        VolumeStartBricks = "gluster_volume_start_bricks",
        HealStart = "gluster_heal_start",
        VolumeStop = "gluster_volume_stop",
        VolumeDelete = "gluster_volume_delete",
        AddBricks = "gluster_add_bricks",
        AddStandIns = "gluster_add_stand_ins",
        DropBricks = "gluster_drop_bricks",
        RemoveStandIn = "remove_stand_in",
        ReplaceBrick = "gluster_replace_brick",
        RebalanceStart = "gluster_rebalance_start",
        Drain = "gluster_drain",
        SnapshotCreate = "gluster_snapshot_create",
        SnapshotActivate = "gluster_snapshot_activate",
        SnapshotClone = "gluster_snapshot_clone",
        SnapshotDelete = "gluster_snapshot_delete",
        ClearBrickMarks = "clear_brick_marks",
        BlockCreate = "block_create",
        BlockResize = "block_resize",
        BlockDelete = "block_delete",
    }
}

/// Which call a fault hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// The effect with this number, counted from 1 since [`Faults::count_anew`].
    Effect(u64),
    /// The next call of this name.
    Next(Call),
    /// Every call of this name, until [`Faults::clear`].
    Every(Call),
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The tool fails and has done nothing.
    Before,
    /// The tool fails although all was done.
    After,
    /// The tool fails in between, where it does more than one thing (a pool without its volume, a physical volume
    /// without its group, marked brick directories without a GlusterFS volume); as [`Fault::Before`] where it does not.
    Halfway,
    /// The tool is reported as still running, and never does anything.
    TimesOutUndone,
    /// The tool is reported as still running, and has done its work.
    TimesOutDone,
    /// The tool is reported as still running, and does its work after this time.
    TimesOutThenDone(Duration),
    /// Nothing is done and the call never comes back: the moment at which a program is killed.
    HangsBefore,
    /// All is done and the call never comes back.
    HangsAfter,
    /// The call waits for [`Faults::release`] and then goes on as if nothing had been.
    Holds,
}

/// How long calls take. Nothing takes time unless a test asks for it.
#[derive(Clone, Debug, Default)]
pub struct Delays {
    pub of: BTreeMap<Call, Duration>,
    pub of_others: Duration,
}

impl Delays {
    /// As seen on one idle host with real LVM, XFS and glusterd.
    #[must_use]
    pub fn realistic() -> Self {
        let of = [
            (Call::View, 150),
            (Call::Group, 50),
            (Call::CreateGroup, 900),
            (Call::RemoveGroup, 300),
            (Call::RemovePhysicalVolume, 300),
            (Call::CreateBrickVolumes, 1800),
            (Call::CreateLinear, 900),
            (Call::ExtendPool, 900),
            (Call::ExtendVolume, 600),
            (Call::GrowXfs, 100),
            (Call::RemoveVolume, 800),
            (Call::MakeXfs, 300),
            (Call::MakeXfsOver, 300),
            (Call::Mount, 100),
            (Call::Unmount, 100),
            (Call::PeerProbe, 400),
            (Call::VolumeCreate, 600),
            (Call::VolumeStart, 2500),
            (Call::VolumeStop, 1200),
            (Call::VolumeDelete, 500),
            (Call::VolumeSet, 300),
            (Call::VolumeReset, 300),
            (Call::AddBricks, 1500),
            (Call::AddStandIns, 1500),
            (Call::DropBricks, 1500),
            (Call::ReplaceBrick, 2000),
            (Call::GlusterHeal, 500),
            (Call::RebalanceStart, 1000),
            (Call::Drain, 1000),
            (Call::SnapshotCreate, 2000),
            (Call::SnapshotActivate, 1000),
            (Call::SnapshotClone, 2000),
            (Call::SnapshotDelete, 1500),
        ];
        let of = of.into_iter().map(|(call, millis)| (call, Duration::from_millis(millis))).collect();
        Self { of, of_others: Duration::from_millis(20) }
    }

    fn of(&self, call: Call) -> Duration {
        self.of.get(&call).copied().unwrap_or(self.of_others)
    }
}

/// One call, as the log keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub call: Call,
    /// What it was asked to act on.
    pub target: String,
    /// The fault that it met.
    pub fault: Option<Fault>,
    /// `None` while it runs, and for a call that never came back.
    pub succeeded: Option<bool>,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.call.name(), self.target)?;
        match (self.fault, self.succeeded) {
            (Some(fault), _) => write!(f, " -> {fault:?}"),
            (None, Some(true)) => write!(f, " -> done"),
            (None, Some(false)) => write!(f, " -> refused"),
            (None, None) => write!(f, " -> running"),
        }
    }
}

/// The faults of one host. Clones share them.
#[derive(Clone)]
pub struct Faults {
    plan: Arc<Mutex<Plan>>,
    hanging: Arc<watch::Sender<u64>>,
    released: Arc<watch::Sender<u64>>,
}

#[derive(Default)]
struct Plan {
    rules: Vec<(At, Fault)>,
    delays: Delays,
    effects: u64,
    log: Vec<Entry>,
    /// How many entries went before those in the log.
    forgotten: usize,
}

/// A sandbox may run for weeks; nobody reads further back than this.
const LOG_KEEPS: usize = 100_000;

/// What a call is told when it begins.
pub(super) struct Begun {
    pub delay: Duration,
    pub fault: Option<Fault>,
    number: usize,
}

impl Plan {
    fn forget(&mut self) {
        self.forgotten += self.log.len();
        self.log.clear();
    }
}

impl Default for Faults {
    fn default() -> Self {
        let channel = || Arc::new(watch::Sender::new(0));
        Self { plan: Arc::default(), hanging: channel(), released: channel() }
    }
}

impl Faults {
    pub fn inject(&self, at: At, fault: Fault) {
        self.plan().rules.push((at, fault));
    }

    /// Forgets the faults that have not been met.
    pub fn clear(&self) {
        self.plan().rules.clear();
    }

    pub fn set_delays(&self, delays: Delays) {
        self.plan().delays = delays;
    }

    /// Effects begun so far.
    #[must_use]
    pub fn effects(&self) -> u64 {
        self.plan().effects
    }

    /// The next effect is number 1, and the log is empty.
    pub fn count_anew(&self) {
        let mut plan = self.plan();
        plan.effects = 0;
        plan.forget();
    }

    #[must_use]
    pub fn log(&self) -> Vec<Entry> {
        self.plan().log.clone()
    }

    /// The effects begun so far, by name.
    #[must_use]
    pub fn effect_log(&self) -> Vec<Call> {
        self.plan().log.iter().map(|entry| entry.call).filter(|call| call.is_effect()).collect()
    }

    /// Waits until a call hangs or is held. Each is reported once.
    pub async fn one_hangs(&self) {
        let mut hanging = self.hanging.subscribe();
        // The sender lives as long as `self`, so this cannot fail.
        let _ = hanging.wait_for(|count| *count > 0).await;
        self.hanging.send_modify(|count| *count -= 1);
    }

    /// As [`Self::one_hangs`], where one must: a test whose call never comes fails, and does not stand still.
    ///
    /// # Panics
    /// If none hangs within three minutes.
    pub async fn until_one_hangs(&self) {
        let waited = tokio::time::timeout(std::time::Duration::from_secs(180), self.one_hangs()).await;
        assert!(waited.is_ok(), "no call hung; the effects since the last count are {:?}", self.effect_log());
    }

    pub(super) fn begin(&self, call: Call, target: String) -> Begun {
        let mut plan = self.plan();
        if call.is_effect() {
            plan.effects += 1;
        }
        let number = plan.effects;
        let hit = plan.rules.iter().position(|(at, _)| match at {
            At::Effect(wanted) => call.is_effect() && *wanted == number,
            At::Next(wanted) | At::Every(wanted) => *wanted == call,
        });
        let fault = hit.map(|index| match plan.rules[index] {
            (At::Every(_), fault) => fault,
            _ => plan.rules.remove(index).1,
        });
        if plan.log.len() >= LOG_KEEPS {
            plan.forget();
        }
        plan.log.push(Entry { call, target, fault, succeeded: None });
        Begun { delay: plan.delays.of(call), fault, number: plan.forgotten + plan.log.len() - 1 }
    }

    pub(super) fn end(&self, begun: &Begun, succeeded: bool) {
        let mut plan = self.plan();
        // The log may have been emptied in the meantime.
        let index = begun.number.checked_sub(plan.forgotten);
        if let Some(entry) = index.and_then(|index| plan.log.get_mut(index)) {
            entry.succeeded = Some(succeeded);
        }
    }

    /// Lets every call go on that is held now.
    pub fn release(&self) {
        self.released.send_modify(|count| *count += 1);
    }

    pub(super) async fn hang<T>(&self) -> T {
        self.hanging.send_modify(|count| *count += 1);
        std::future::pending().await
    }

    pub(super) async fn hold(&self) {
        let mut released = self.released.subscribe();
        self.hanging.send_modify(|count| *count += 1);
        // The sender lives as long as `self`, so this cannot fail.
        let _ = released.changed().await;
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
