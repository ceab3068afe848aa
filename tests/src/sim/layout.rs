//! The bricks of a simulated volume: which process of them runs, sets that are added, a brick that takes the place of
//! another, and what is then to be healed.

use bricklayer_agent::host::{BrickStatus, HostError};
use bricklayer_proto::names::VolumeName;
use bricklayer_proto::task::{BrickAddress, BrickHeal, HealReport, Layout};

use super::disk::failed;
use super::{HostKey, World};

/// How many entries a brick that was just replaced lacks; each look finds one less.
const ENTRIES_TO_HEAL: u64 = 2;

impl World {
    pub fn volume_status(&mut self, key: HostKey, name: &VolumeName) -> Result<Vec<BrickStatus>, HostError> {
        let what = format!("gluster volume status {name}");
        let volume = self.find_volume(key, &what, name)?.clone();
        if !volume.started {
            return Err(failed(&what, &format!("Volume {name} is not started")));
        }
        let mut bricks = Vec::new();
        for brick in volume.bricks {
            let Some(host) = self.resolve(&brick.host).filter(|host| self.connected(key, *host)) else { continue };
            let online = self.gluster.brick_is_online(host, &brick);
            bricks.push(BrickStatus { brick, online });
        }
        Ok(bricks)
    }

    pub fn add_bricks(
        &mut self,
        key: HostKey,
        name: &VolumeName,
        bricks: &[BrickAddress],
        whole: bool,
    ) -> Result<(), HostError> {
        let what = format!("gluster volume add-brick {name}");
        let volume = self.find_volume(key, &what, name)?.clone();
        if volume.is_drained() {
            return Err(failed(&what, &format!("rebalance is in progress on volume {name}")));
        }
        self.stage_bricks(key, &what, volume.layout, bricks)?;
        let marked = if whole { bricks.len() } else { bricks.len().div_ceil(2) };
        self.mark_bricks(&bricks[..marked], &volume.uuid);
        if !whole {
            return Ok(());
        }
        let volume = self.find_volume(key, &what, name)?;
        volume.bricks.extend_from_slice(bricks);
        let volume = volume.clone();
        if volume.started {
            self.start_bricks_everywhere(key, &volume);
        }
        Ok(())
    }

    /// `add-brick ... force` with folders that GlusterFS makes on the host's own disk.
    pub fn add_stand_ins(&mut self, key: HostKey, name: &VolumeName, bricks: &[BrickAddress]) -> Result<(), HostError> {
        let what = format!("gluster volume add-brick {name}");
        let volume = self.find_volume(key, &what, name)?.clone();
        if volume.started {
            self.violation(format!("volume {name} runs and is given bricks that hold nothing"));
        }
        if bricks.len() != volume.per_set() {
            return Err(failed(&what, &format!("number of bricks is not a multiple of {}", volume.per_set())));
        }
        for brick in bricks {
            let host = self.brick_host(key, &what, brick)?;
            if volume.bricks.contains(brick) {
                return Err(failed(&what, &format!("Brick: {brick} not available")));
            }
            self.machine_mut(host).mount_points.insert(brick.path.as_path().to_owned(), false);
        }
        self.find_volume(key, &what, name)?.bricks.extend_from_slice(bricks);
        Ok(())
    }

    /// `remove-brick ... force`, which asks no host whether it is there.
    pub fn drop_bricks(&mut self, key: HostKey, name: &VolumeName, bricks: &[BrickAddress]) -> Result<(), HostError> {
        let what = format!("gluster volume remove-brick {name}");
        let volume = self.find_volume(key, &what, name)?.clone();
        if volume.started {
            self.violation(format!("volume {name} runs and loses bricks with what is on them"));
        }
        if let Some(stranger) = bricks.iter().find(|brick| !volume.bricks.contains(brick)) {
            return Err(failed(&what, &format!("Incorrect brick {stranger} for volume {name}")));
        }
        if bricks.len() == volume.bricks.len() {
            return Err(failed(&what, "Deleting all the bricks of the volume is not allowed"));
        }
        if !bricks.len().is_multiple_of(volume.per_set()) {
            return Err(failed(&what, &format!("Remove brick incorrect brick count of {} for set", bricks.len())));
        }
        self.find_volume(key, &what, name)?.bricks.retain(|brick| !bricks.contains(brick));
        Ok(())
    }

    /// `commit force`: takes a brick that another volume has marked, too.
    pub fn replace_brick(
        &mut self,
        key: HostKey,
        name: &VolumeName,
        old: &BrickAddress,
        new: &BrickAddress,
    ) -> Result<(), HostError> {
        let what = format!("gluster volume replace-brick {name}");
        let volume = self.find_volume(key, &what, name)?.clone();
        if volume.layout == Layout::Distribute {
            let said = "replace-brick is not permitted on distribute only volumes. Please use add-brick and \
                        remove-brick operations instead.";
            return Err(failed(&what, said));
        }
        if !volume.bricks.contains(old) {
            return Err(failed(&what, &format!("brick: {old} does not exist in volume: {name}")));
        }
        let host = self.brick_host(key, &what, new)?;
        let pool = self.gluster.pool(key);
        match self.check_brick(pool, host, new) {
            Err(said) if !said.ends_with("is already part of a volume") => return Err(failed(&what, &said)),
            _ => {}
        }
        self.mark_bricks(std::slice::from_ref(new), &volume.uuid);
        if let Some(host) = self.resolve(&old.host) {
            self.gluster.stop_brick(host, old);
        }
        let found = self.find_volume(key, &what, name)?;
        found.bricks.iter_mut().filter(|brick| *brick == old).for_each(|brick| *brick = new.clone());
        found.to_heal.remove(old);
        found.to_heal.insert(new.clone(), ENTRIES_TO_HEAL);
        let volume = found.clone();
        if volume.started {
            self.start_bricks_everywhere(key, &volume);
        }
        Ok(())
    }

    /// What the bricks hold and the one that was replaced lacks. Each look finds one entry less, as time goes by.
    pub fn heal(&mut self, key: HostKey, name: &VolumeName) -> Result<HealReport, HostError> {
        let what = format!("gluster volume heal {name} info summary");
        let volume = self.find_volume(key, &what, name)?.clone();
        if volume.layout == Layout::Distribute {
            let said = format!(
                "This command is supported for only volumes of replicate/disperse type. Volume {name} is not of type \
                 replicate/disperse"
            );
            return Err(failed(&what, &said));
        }
        if !volume.started {
            return Err(failed(&what, &format!("Volume {name} is not started")));
        }
        let mut bricks = Vec::new();
        for set in volume.bricks.chunks(volume.per_set()) {
            let lacking: u64 = set.iter().filter_map(|brick| volume.to_heal.get(brick)).sum();
            for brick in set {
                let host = self.resolve(&brick.host).filter(|host| self.connected(key, *host));
                let online = host.is_some_and(|host| self.gluster.brick_is_online(host, brick));
                // Those that hold an entry count it, not the one that lacks it.
                let pending = if volume.to_heal.contains_key(brick) { 0 } else { lacking };
                bricks.push(BrickHeal { address: brick.clone(), online, pending: online.then_some(pending) });
            }
            if lacking > 0 && !volume.heal_stands {
                self.heal_a_little(key, name, set);
            }
        }
        Ok(HealReport { bricks })
    }

    /// What was missed is looked for now.
    pub fn heal_start(&mut self, key: HostKey, name: &VolumeName) -> Result<(), HostError> {
        let what = format!("gluster volume heal {name}");
        let volume = self.find_volume(key, &what, name)?;
        if !volume.started {
            return Err(failed(&what, &format!("Volume {name} is not started.")));
        }
        if volume.heal_unattended {
            let said =
                "Staging failed on a peer. Error: Self-heal daemon is not running. Check self-heal daemon log file.";
            return Err(failed(&what, said));
        }
        volume.heal_stands = false;
        Ok(())
    }

    fn heal_a_little(&mut self, key: HostKey, name: &VolumeName, set: &[BrickAddress]) {
        let online = |world: &Self, brick: &BrickAddress| {
            world.resolve(&brick.host).is_some_and(|host| world.gluster.brick_is_online(host, brick))
        };
        let Ok(volume) = self.find_volume(key, "heal", name) else { return };
        let to_heal = volume.to_heal.clone();
        for brick in set.iter().filter(|brick| to_heal.contains_key(brick)) {
            let source = set.iter().find(|other| !to_heal.contains_key(other) && online(self, other));
            let (true, Some(source)) = (online(self, brick), source) else { continue };
            let left = to_heal[brick].saturating_sub(1);
            if left == 0 {
                self.copy_data(source, brick);
            }
            let Ok(volume) = self.find_volume(key, "heal", name) else { return };
            match left {
                0 => volume.to_heal.remove(brick),
                left => volume.to_heal.insert(brick.clone(), left),
            };
        }
    }

    /// What users have written on one brick is on the other then, too.
    pub(super) fn copy_data(&mut self, from: &BrickAddress, to: &BrickAddress) {
        let source = self.resolve(&from.host).and_then(|host| self.machine(host).directory(from.path.as_path()));
        let Some(files) = source.map(|directory| directory.files.clone()) else { return };
        let Some(host) = self.resolve(&to.host) else { return };
        if let Some(directory) = self.machine_mut(host).directory_mut(to.path.as_path()) {
            directory.files.extend(files);
        }
    }
}
