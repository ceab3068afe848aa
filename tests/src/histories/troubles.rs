//! What goes wrong in a history.

use std::time::Duration;

use bricklayer_proto::names::DevicePath;
use bricklayer_store::simulated::Cut;

use super::chance::Chance;
use super::wire::Weather;
use crate::sim::Fault;

#[derive(Clone, Debug)]
pub enum Trouble {
    /// The host's effect that comes so many after this moment goes wrong. One that hangs is the moment at which the
    /// agent is killed, or the host loses power.
    Effect {
        host: usize,
        from_now: u64,
        fault: Fault,
        power: bool,
    },
    /// The coordinator's commit that comes so many after this moment is the last one before it is killed.
    CoordinatorsCommit {
        from_now: u64,
        cut: Cut,
        down: Duration,
    },
    AgentsCommit {
        host: usize,
        from_now: u64,
        cut: Cut,
        down: Duration,
    },
    KillCoordinator {
        down: Duration,
    },
    KillAgent {
        host: usize,
        down: Duration,
    },
    KillBoth {
        host: usize,
        down: Duration,
    },
    PowerCut {
        host: usize,
        down: Duration,
        /// By glusterd, when it starts next.
        bricks_left_out: bool,
    },
    /// The connection ends for the agent, and for the coordinator so much later.
    CutLine {
        host: usize,
        later: Duration,
    },
    Weather(Weather),
    GlusterdStops {
        host: usize,
        down: Duration,
    },
    /// Its glusterd reaches no other, and no other reaches it.
    Isolated {
        host: usize,
        healed: Duration,
    },
    /// A disk answers every access with an error.
    DiskFails {
        host: usize,
        disk: DevicePath,
        mended: Duration,
    },
    /// The host burns down.
    HostGoes {
        host: usize,
    },
    /// The host loses power, and comes back without one of its disks.
    DiskGoes {
        host: usize,
        disk: DevicePath,
        down: Duration,
    },
}

const FAULTS: [Fault; 8] = [
    Fault::Before,
    Fault::After,
    Fault::Halfway,
    Fault::TimesOutUndone,
    Fault::TimesOutDone,
    Fault::TimesOutThenDone(Duration::from_secs(3)),
    Fault::HangsBefore,
    Fault::HangsAfter,
];

impl Trouble {
    /// The host that it is about.
    #[must_use]
    pub fn host(&self) -> Option<usize> {
        match self {
            Self::Effect { host, .. }
            | Self::AgentsCommit { host, .. }
            | Self::KillAgent { host, .. }
            | Self::KillBoth { host, .. }
            | Self::PowerCut { host, .. }
            | Self::CutLine { host, .. }
            | Self::GlusterdStops { host, .. }
            | Self::Isolated { host, .. }
            | Self::DiskFails { host, .. }
            | Self::HostGoes { host }
            | Self::DiskGoes { host, .. } => Some(*host),
            Self::CoordinatorsCommit { .. } | Self::KillCoordinator { .. } | Self::Weather(_) => None,
        }
    }

    /// `for_good`: whether something may go that never comes back.
    pub fn any(hosts: usize, for_good: bool, chance: &mut Chance) -> Self {
        let host = chance.index(hosts);
        let cut = if chance.one_in(2) { Cut::Before } else { Cut::After };
        let down = chance.millis(1..=4000);
        let disk = if chance.one_in(3) { "/dev/sdc" } else { "/dev/sdb" };
        let disk: DevicePath = disk.parse().expect("a device path");
        match chance.number(0..=if for_good { 24 } else { 20 }) {
            0..=6 => Self::Effect {
                host,
                from_now: chance.number(1..=25),
                fault: FAULTS[chance.index(FAULTS.len())],
                power: chance.one_in(3),
            },
            7..=9 => Self::CoordinatorsCommit { from_now: chance.number(1..=6), cut, down },
            10 | 11 => Self::AgentsCommit { host, from_now: chance.number(1..=6), cut, down },
            12 => Self::KillCoordinator { down },
            13 => Self::KillAgent { host, down },
            14 => Self::KillBoth { host, down },
            15 => Self::PowerCut { host, down: down * 5, bricks_left_out: down.as_millis().is_multiple_of(2) },
            16 => Self::CutLine { host, later: chance.millis(0..=8000) },
            17 => Self::Weather(Weather {
                delay: (0, chance.number(0..=800)),
                twice: chance.number(0..=5),
                overtaken: chance.number(0..=5),
            }),
            18 => Self::GlusterdStops { host, down },
            19 => Self::Isolated { host, healed: down },
            20 => Self::DiskFails { host, disk, mended: down },
            21 | 22 => Self::HostGoes { host },
            _ => Self::DiskGoes { host, disk, down },
        }
    }
}
