//! Data that moves between the bricks of a simulated volume: rebalance, and bricks that are drained.
//!
//! A movement goes on by looks, not by time: each look at it is one step, and after the last one all has been moved.

use bricklayer_agent::host::{Drain, HostError};
use bricklayer_proto::names::{HostName, VolumeName};
use bricklayer_proto::size::ByteSize;
use bricklayer_proto::task::{BrickAddress, Layout, RebalanceNode, RebalanceReport, RebalanceState};

use super::disk::failed;
use super::{HostKey, SimCluster, World};

/// How many looks a movement takes.
const LOOKS: u32 = 3;

#[derive(Clone, Debug)]
pub(super) struct Movement {
    /// Off this brick, or else over all of them.
    pub off: Option<BrickAddress>,
    pub state: RebalanceState,
    looks_left: u32,
    /// How many files will stay where they are.
    failures: u64,
    moved: u64,
}

impl SimCluster {
    /// The next movement of data that is started leaves this many files where they are.
    pub fn fail_next_movement(&self, failures: u64) {
        self.lock().gluster.next_failures = failures;
    }
}

impl World {
    pub fn rebalance_start(&mut self, key: HostKey, name: &VolumeName) -> Result<(), HostError> {
        let what = format!("gluster volume rebalance {name} start");
        let failures = std::mem::take(&mut self.gluster.next_failures);
        let volume = self.find_volume(key, &what, name)?;
        if volume.bricks.len() <= volume.per_set() {
            return Err(failed(
                &what,
                &format!("Volume {name} is not a distribute volume or contains only 1 brick. Not performing rebalance"),
            ));
        }
        if !volume.started {
            return Err(failed(&what, &format!("Volume {name} needs to be started to perform rebalance")));
        }
        match &volume.movement {
            Some(Movement { off: Some(_), .. }) => Err(failed(
                &what,
                "A remove-brick task is not yet committed. Either commit or stop the remove-brick task.",
            )),
            Some(Movement { state: RebalanceState::Running, .. }) => {
                Err(failed(&what, &format!("Rebalance on {name} is already started")))
            }
            _ => {
                volume.movement = Some(Movement::new(None, failures));
                Ok(())
            }
        }
    }

    pub fn rebalance(&mut self, key: HostKey, name: &VolumeName) -> Result<RebalanceReport, HostError> {
        let what = format!("gluster volume rebalance {name} status");
        let volume = self.find_volume(key, &what, name)?;
        let hosts = volume.bricks.iter().map(|brick| brick.host.to_string()).collect::<std::collections::BTreeSet<_>>();
        match &mut volume.movement {
            Some(movement) if movement.off.is_none() => {
                movement.look();
                Ok(movement.report(hosts))
            }
            _ => Ok(not_started()),
        }
    }

    pub fn drain(
        &mut self,
        key: HostKey,
        name: &VolumeName,
        brick: &BrickAddress,
        ask: Drain,
    ) -> Result<(), HostError> {
        let word = match ask {
            Drain::Start => "start",
            Drain::Stop => "stop",
            Drain::Commit => "commit",
        };
        let what = format!("gluster volume remove-brick {name} {brick} {word}");
        let failures = if ask == Drain::Start { std::mem::take(&mut self.gluster.next_failures) } else { 0 };
        let volume = self.find_volume(key, &what, name)?;
        if volume.layout != Layout::Distribute {
            return Err(failed(&what, "Remove brick incorrect brick count of 1 for replica"));
        }
        if !volume.bricks.contains(brick) {
            return Err(failed(&what, &format!("Incorrect brick {brick} for volume {name}")));
        }
        let is_drained = volume.movement.as_ref().is_some_and(|movement| movement.off.as_ref() == Some(brick));
        match ask {
            Drain::Start => {
                if !volume.started {
                    return Err(failed(&what, &format!("Volume {name} needs to be started before remove-brick")));
                }
                if volume.is_drained() {
                    return Err(failed(
                        &what,
                        &format!(
                            "An earlier remove-brick task exists for volume {name}. Either commit it or stop it before \
                             starting a new task."
                        ),
                    ));
                }
                volume.movement = Some(Movement::new(Some(brick.clone()), failures));
            }
            Drain::Stop if is_drained => volume.movement = None,
            Drain::Stop => return Err(failed(&what, &format!("remove-brick not started for volume {name}."))),
            Drain::Commit => match &volume.movement {
                Some(movement) if is_drained && movement.state == RebalanceState::Running => {
                    return Err(failed(&what, "use 'force' option as migration is in progress"));
                }
                Some(_) if is_drained => {
                    volume.movement = None;
                    volume.bricks.retain(|other| other != brick);
                    self.take_out(brick);
                }
                _ => {
                    return Err(failed(
                        &what,
                        &format!("Brick {brick} is not decommissioned. Use start or force option"),
                    ));
                }
            },
        }
        Ok(())
    }

    fn answers(&mut self, brick: &BrickAddress) -> bool {
        let host = self.resolve(&brick.host);
        host.is_some_and(|host| self.machine_mut(host).directory_mut(brick.path.as_path()).is_some())
    }

    fn take_out(&mut self, brick: &BrickAddress) {
        let Some(host) = self.resolve(&brick.host) else { return };
        self.gluster.stop_brick(host, brick);
        let left = self.machine(host).directory(brick.path.as_path()).map_or(0, |directory| directory.files.len());
        if left > 0 {
            self.violations.push(format!("{brick} was taken out of its volume with {left} files on it"));
        }
    }

    pub fn drain_status(
        &mut self,
        key: HostKey,
        name: &VolumeName,
        brick: &BrickAddress,
    ) -> Result<RebalanceReport, HostError> {
        let what = format!("gluster volume remove-brick {name} {brick} status");
        let dark = self.machines.values().filter(|machine| machine.kernel.is_none());
        let dark: Vec<HostName> = dark.flat_map(|machine| machine.names.clone()).collect();
        let bricks = self.find_volume(key, &what, name)?.bricks.clone();
        // Nothing moves from or to a host without power, or a disk that fails.
        let is_dark = |brick: &BrickAddress| dark.contains(&brick.host);
        let stands = bricks.iter().any(is_dark) || !bricks.iter().all(|brick| self.answers(brick));
        let volume = self.find_volume(key, &what, name)?;
        let Some(movement) = volume.movement.as_mut().filter(|movement| movement.off.as_ref() == Some(brick)) else {
            return Ok(not_started());
        };
        let completed = !stands && movement.look() && movement.failures == 0;
        let report = movement.report([brick.host.to_string()]);
        let target = volume.bricks.iter().find(|other| *other != brick).cloned();
        if completed && let Some(target) = target {
            self.copy_data(brick, &target);
            if let Some(host) = self.resolve(&brick.host)
                && let Some(directory) = self.machine_mut(host).directory_mut(brick.path.as_path())
            {
                directory.files.clear();
            }
        }
        Ok(report)
    }
}

fn not_started() -> RebalanceReport {
    RebalanceReport { state: RebalanceState::NotStarted, nodes: Vec::new() }
}

impl Movement {
    fn new(off: Option<BrickAddress>, failures: u64) -> Self {
        Self { off, state: RebalanceState::Running, looks_left: LOOKS, failures, moved: 0 }
    }

    /// True if it has come to its end by now, and had not before.
    fn look(&mut self) -> bool {
        if self.state != RebalanceState::Running {
            return false;
        }
        self.looks_left -= 1;
        self.moved += 1;
        if self.looks_left == 0 {
            self.state = RebalanceState::Completed;
        }
        self.looks_left == 0
    }

    fn report(&self, hosts: impl IntoIterator<Item = String>) -> RebalanceReport {
        let node = |(index, host)| RebalanceNode {
            host,
            state: self.state,
            files: self.moved,
            moved: ByteSize::from_bytes(self.moved * 4096),
            scanned: self.moved,
            failures: if index == 0 { self.failures } else { 0 },
            skipped: 0,
            seconds: self.moved,
        };
        RebalanceReport { state: self.state, nodes: hosts.into_iter().enumerate().map(node).collect() }
    }
}
