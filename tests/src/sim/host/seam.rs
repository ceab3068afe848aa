//! The simulated host as the agent sees it.

use std::time::Duration;

use async_trait::async_trait;
use bricklayer_agent::host::{
    BrickStatus, BrickVolumes, Drain, GlusterSnapshot, GlusterVolume, GroupReport, Host, HostBoot, HostError, HostView,
    LinearVolume, Mount, Signature,
};
use bricklayer_proto::inventory::{PeerSeen, Versions};
use bricklayer_proto::names::{
    BrickPath, DevicePath, HostName, LvName, LvmTag, MountPoint, OptionKey, OptionValue, SnapshotName, VgName,
    VolumeName,
};
use bricklayer_proto::size::{ByteSize, ExtentSize};
use bricklayer_proto::task::{BrickAddress, HealReport, Layout, RebalanceReport};
use camino::{Utf8Path, Utf8PathBuf};

use super::{Run, SimHost};

use crate::sim::disk::{Content, failed, new_pv_uuid};
use crate::sim::faults::Call;
use crate::sim::{HostKey, World};

/// Where the agent mounts bricks, as on a real host.
/// Of a host that was there before the test.
const UP_FOR_LONG: Duration = Duration::from_secs(30 * 24 * 3600);

const MOUNT_ROOT: &str = "/var/lib/bricklayer/mounts";

#[async_trait]
impl Host for SimHost {
    async fn host_name(&self) -> Result<String, HostError> {
        Ok(self.on(|machine| machine.name().to_string()))
    }

    async fn boot(&self) -> Result<HostBoot, HostError> {
        self.until_power().await;
        Ok(self.on(|machine| {
            let kernel = machine.kernel();
            HostBoot { id: kernel.boot, up: kernel.booted.map_or(UP_FOR_LONG, |booted| booted.elapsed()) }
        }))
    }

    async fn versions(&self) -> Result<Versions, HostError> {
        let installed = self.on(|machine| machine.gluster_installed);
        Ok(Versions {
            agent: env!("CARGO_PKG_VERSION").into(),
            kernel: "6.1.0-simulated".into(),
            lvm: "2.03.16(2) (2022-05-18)".into(),
            xfsprogs: "6.1.0".into(),
            glusterfs: if installed { "10.3".into() } else { String::new() },
        })
    }

    async fn own_disk(&self) -> Result<(Utf8PathBuf, ByteSize), HostError> {
        self.until_power().await;
        Ok(("/var/lib/bricklayer".into(), self.on(|machine| machine.own_free)))
    }

    async fn view(&self) -> Result<HostView, HostError> {
        self.fact(Call::View, String::new(), |world, key| Ok(world.machine(key).view())).await
    }

    async fn group(&self, group: &VgName) -> Result<Option<GroupReport>, HostError> {
        let group = group.clone();
        self.fact(Call::Group, group.to_string(), move |world, key| {
            let machine = world.machine(key);
            Ok(machine.report_of(&group))
        })
        .await
    }

    async fn signatures(&self, disk: &DevicePath) -> Result<Vec<Signature>, HostError> {
        let path = disk.clone();
        self.fact(Call::Signatures, path.to_string(), move |world, key| {
            let machine = world.machine_mut(key);
            if let Some(part) = machine.partition_mut(&path) {
                let one = |what: &String| Signature { what: what.clone(), offset: 0 };
                return Ok(part.signature.iter().map(one).collect());
            }
            if let Some(volume) = machine.volume_at(&path) {
                let one = |_| Signature { what: "xfs".into(), offset: 0 };
                return Ok(volume.file_system.iter().map(one).collect());
            }
            Ok(machine.find_disk(&format!("wipefs {path}"), &path)?.signatures())
        })
        .await
    }

    async fn mounts(&self) -> Result<Vec<Mount>, HostError> {
        self.fact(Call::Mounts, String::new(), |world, key| Ok(world.machine(key).mounts())).await
    }

    async fn probe_disk(&self, disk: &DevicePath) -> Result<(), HostError> {
        let path = disk.clone();
        self.fact(Call::ProbeDisk, path.to_string(), move |world, key| {
            world.machine_mut(key).find_disk(&format!("read {path}"), &path).map(drop)
        })
        .await
    }

    async fn probe_file_system(&self, at: &MountPoint, file: &str) -> Result<(), HostError> {
        let (at, what) = (at.clone(), format!("read {at}/{file}"));
        self.fact(Call::ProbeFileSystem, what.clone(), move |world, key| {
            let machine = world.machine_mut(key);
            // A brick that was removed, or is not mounted, is not the disk's doing.
            if machine.mounted_at(at.as_path()).is_none() {
                return Ok(());
            }
            machine.file_system_at(&what, &at).map(drop)
        })
        .await
    }

    async fn fstab(&self) -> Result<String, HostError> {
        self.fact(Call::Fstab, String::new(), |world, key| Ok(world.machine(key).fstab.clone())).await
    }

    async fn wipe_signatures(&self, disk: &DevicePath) -> Result<(), HostError> {
        let path = disk.clone();
        self.effect(Call::WipeSignatures, path.to_string(), move |world, key| world.wipe_signatures(key, &path)).await
    }

    async fn remove_mapping(&self, name: &str) -> Result<(), HostError> {
        let name = name.to_owned();
        self.effect(Call::RemoveMapping, name.clone(), move |world, key| world.remove_mapping(key, &name)).await
    }

    async fn create_group(
        &self,
        disk: &DevicePath,
        group: &VgName,
        extent_size: ExtentSize,
        tags: &[LvmTag],
    ) -> Result<(), HostError> {
        let (path, name, tags) = (disk.clone(), group.clone(), tags.to_vec());
        let half_path = path.clone();
        let half: Run<()> = Box::new(move |world, key| {
            world.may_become_physical_volume(key, &half_path)?;
            let disk = world.machine_mut(key).find_disk("pvcreate", &half_path)?;
            disk.content = Content::PhysicalVolume { uuid: new_pv_uuid(), group: None };
            Ok(())
        });
        let run: Run<()> = Box::new(move |world, key| world.create_group(key, &path, &name, extent_size, &tags));
        self.call(Call::CreateGroup, format!("{disk} {group}"), run, Some(half)).await
    }

    async fn add_group_tag(&self, group: &VgName, tag: &LvmTag) -> Result<(), HostError> {
        let (group, tag) = (group.clone(), tag.clone());
        self.effect(Call::AddGroupTag, format!("{group} {tag}"), move |world, key| {
            world.machine_mut(key).find_group("vgchange --addtag", &group)?.add_tag(&tag);
            Ok(())
        })
        .await
    }

    async fn replace_group_tags(&self, group: &VgName, gone: &[LvmTag], new: &[LvmTag]) -> Result<(), HostError> {
        let (group, gone, new) = (group.clone(), gone.to_vec(), new.to_vec());
        self.effect(Call::ReplaceGroupTags, group.to_string(), move |world, key| {
            world.machine_mut(key).find_group("vgchange", &group)?.replace_tags(&gone, &new);
            Ok(())
        })
        .await
    }

    async fn remove_group(&self, group: &VgName) -> Result<(), HostError> {
        let name = group.clone();
        self.effect(Call::RemoveGroup, name.to_string(), move |world, key| world.remove_group(key, &name)).await
    }

    async fn remove_physical_volume(&self, disk: &DevicePath) -> Result<(), HostError> {
        let path = disk.clone();
        self.effect(Call::RemovePhysicalVolume, path.to_string(), move |world, key| {
            world.remove_physical_volume(key, &path)
        })
        .await
    }

    async fn activate_group(&self, group: &VgName) -> Result<(), HostError> {
        let name = group.clone();
        self.effect(Call::ActivateGroup, name.to_string(), move |world, key| {
            let machine = world.machine_mut(key);
            let group = machine.find_group("vgchange --activate ay", &name)?;
            let volumes: Vec<LvName> = group.volumes.keys().cloned().collect();
            for volume in volumes {
                machine.activate(&name, &volume);
            }
            Ok(())
        })
        .await
    }

    async fn deactivate_group(&self, group: &VgName) -> Result<(), HostError> {
        let name = group.clone();
        self.effect(Call::DeactivateGroup, name.to_string(), move |world, key| {
            let what = format!("vgchange --activate n {name}");
            let machine = world.machine_mut(key);
            let group = machine.find_group(&what, &name)?;
            let volumes: Vec<LvName> = group.volumes.keys().cloned().collect();
            if let Some(open) = volumes.iter().find(|volume| machine.is_open(&name, volume)) {
                return Err(failed(&what, &format!("Logical volume {name}/{open} contains a filesystem in use.")));
            }
            for volume in &volumes {
                machine.deactivate(&name, volume);
            }
            Ok(())
        })
        .await
    }

    async fn create_brick_volumes(&self, wanted: &BrickVolumes) -> Result<GroupReport, HostError> {
        let (whole, pool_alone) = (wanted.clone(), wanted.clone());
        let half: Run<()> = Box::new(move |world, key| world.create_pool(key, &pool_alone));
        let run: Run<GroupReport> = Box::new(move |world, key| world.create_brick_volumes(key, &whole));
        self.call(Call::CreateBrickVolumes, format!("{}/{}", wanted.group, wanted.volume), run, Some(half)).await
    }

    async fn create_linear_volume(&self, wanted: &LinearVolume) -> Result<GroupReport, HostError> {
        let (whole, unwiped) = (wanted.clone(), wanted.clone());
        let half: Run<()> = Box::new(move |world, key| world.create_linear_volume(key, &unwiped, false).map(drop));
        let run: Run<GroupReport> = Box::new(move |world, key| world.create_linear_volume(key, &whole, true));
        self.call(Call::CreateLinear, format!("{}/{}", wanted.group, wanted.volume), run, Some(half)).await
    }

    async fn add_volume_tag(&self, group: &VgName, volume: &LvName, tag: &LvmTag) -> Result<(), HostError> {
        let (group, volume, tag) = (group.clone(), volume.clone(), tag.clone());
        self.effect(Call::AddVolumeTag, format!("{group}/{volume} {tag}"), move |world, key| {
            world.machine_mut(key).find_group("lvchange", &group)?.replace_volume_tags(&volume, &[], &[tag])
        })
        .await
    }

    async fn replace_volume_tags(
        &self,
        group: &VgName,
        volume: &LvName,
        gone: &[LvmTag],
        new: &[LvmTag],
    ) -> Result<(), HostError> {
        let (group, volume, gone, new) = (group.clone(), volume.clone(), gone.to_vec(), new.to_vec());
        self.effect(Call::ReplaceVolumeTags, format!("{group}/{volume}"), move |world, key| {
            world.machine_mut(key).find_group("lvchange", &group)?.replace_volume_tags(&volume, &gone, &new)
        })
        .await
    }

    async fn extend_pool(
        &self,
        group: &VgName,
        pool: &LvName,
        data: Option<ByteSize>,
        metadata: Option<ByteSize>,
    ) -> Result<(), HostError> {
        let target = format!("{group}/{pool}");
        let (group, pool) = (group.clone(), pool.clone());
        let (half_group, half_pool) = (group.clone(), pool.clone());
        let half: Run<()> = Box::new(move |world, key| match metadata {
            Some(_) => world.extend_pool(key, &half_group, &half_pool, None, metadata),
            None => Ok(()),
        });
        let run: Run<()> = Box::new(move |world, key| world.extend_pool(key, &group, &pool, data, metadata));
        self.call(Call::ExtendPool, target, run, Some(half)).await
    }

    async fn extend_volume(&self, group: &VgName, volume: &LvName, to: ByteSize) -> Result<(), HostError> {
        let (group, volume) = (group.clone(), volume.clone());
        self.effect(Call::ExtendVolume, format!("{group}/{volume} {to}"), move |world, key| {
            world.extend_volume(key, &group, &volume, to)
        })
        .await
    }

    async fn grow_xfs(&self, at: &MountPoint) -> Result<(), HostError> {
        let at = at.clone();
        self.effect(Call::GrowXfs, at.to_string(), move |world, key| world.grow_xfs(key, &at)).await
    }

    async fn remove_volume(&self, group: &VgName, volume: &LvName) -> Result<(), HostError> {
        let (group, volume) = (group.clone(), volume.clone());
        self.effect(Call::RemoveVolume, format!("{group}/{volume}"), move |world, key| {
            world.remove_volume(key, &group, &volume)
        })
        .await
    }

    async fn make_xfs(&self, group: &VgName, volume: &LvName, arbiter: bool) -> Result<(), HostError> {
        let (group, volume) = (group.clone(), volume.clone());
        self.effect(Call::MakeXfs, format!("{group}/{volume}"), move |world, key| {
            world.make_xfs(key, &group, &volume, arbiter, false)
        })
        .await
    }

    async fn make_xfs_over(&self, group: &VgName, volume: &LvName, arbiter: bool) -> Result<(), HostError> {
        let (group, volume) = (group.clone(), volume.clone());
        self.effect(Call::MakeXfsOver, format!("{group}/{volume}"), move |world, key| {
            world.make_xfs(key, &group, &volume, arbiter, true)
        })
        .await
    }

    async fn make_mount_point(&self, at: &MountPoint) -> Result<(), HostError> {
        let at = at.clone();
        self.effect(Call::MakeMountPoint, at.to_string(), move |world, key| {
            world.make_mount_point(key, &at);
            Ok(())
        })
        .await
    }

    async fn remove_mount_point(&self, at: &MountPoint) -> Result<(), HostError> {
        let at = at.clone();
        self.effect(Call::RemoveMountPoint, at.to_string(), move |world, key| world.remove_mount_point(key, &at)).await
    }

    async fn mount(&self, group: &VgName, volume: &LvName, at: &MountPoint) -> Result<(), HostError> {
        let (group, volume, at) = (group.clone(), volume.clone(), at.clone());
        self.effect(Call::Mount, at.to_string(), move |world, key| world.mount(key, &group, &volume, &at)).await
    }

    async fn unmount(&self, at: &MountPoint) -> Result<(), HostError> {
        let at = at.clone();
        self.effect(Call::Unmount, at.to_string(), move |world, key| world.unmount(key, &at)).await
    }

    async fn thin_tools(&self) -> Result<(), HostError> {
        self.until_power().await;
        match self.on(|machine| machine.has_thin_check) {
            true => Ok(()),
            false => Err(HostError::Missing { program: "thin_check".to_owned() }),
        }
    }

    async fn fstab_can_be_replaced(&self) -> Result<(), HostError> {
        self.until_power().await;
        self.on(|machine| machine.check_fstab())
    }

    async fn replace_fstab(&self, old: &str, new: &str) -> Result<bool, HostError> {
        let (old, new) = (old.to_owned(), new.to_owned());
        self.effect(Call::ReplaceFstab, "/etc/fstab".into(), move |world, key| {
            let machine = world.machine_mut(key);
            machine.check_fstab()?;
            let unchanged = machine.fstab == old;
            if unchanged {
                machine.fstab = new;
            }
            Ok(unchanged)
        })
        .await
    }

    async fn write_record(&self, at: &MountPoint, name: &str, content: &[u8]) -> Result<(), HostError> {
        let (at, name, content) = (at.clone(), name.to_owned(), content.to_vec());
        self.effect(Call::WriteRecord, format!("{at}/{name}"), move |world, key| {
            let file_system = world.machine_mut(key).file_system_at(&format!("write {at}/{name}"), &at)?;
            file_system.files.insert(name, content);
            Ok(())
        })
        .await
    }

    /// What a simulated host writes is on its disk at once, but for what glusterd does.
    async fn sync_file_system(&self, at: &Utf8Path) -> Result<(), HostError> {
        let at = at.to_owned();
        self.effect(Call::SyncFileSystem, at.to_string(), move |world, key| {
            let machine = world.machine_mut(key);
            let what = format!("sync {at}");
            if machine.mounted_at(&at).is_none() {
                return Err(HostError::Failed { what, said: "nothing is mounted there".to_owned() });
            }
            let at = at.as_str().parse().expect("what is mounted somewhere is mounted at a path");
            for directory in machine.file_system_at(&what, &at)?.directories.values_mut() {
                directory.unsynced = None;
            }
            Ok(())
        })
        .await
    }

    async fn brick_mark(&self, path: &BrickPath) -> Result<Option<String>, HostError> {
        let brick = path.clone();
        self.fact(Call::BrickMark, path.to_string(), move |world, key| {
            Ok(world.machine(key).directory(brick.as_path()).and_then(|directory| directory.mark.clone()))
        })
        .await
    }

    async fn mark_brick(&self, path: &BrickPath, found: Option<&str>, volume: &str) -> Result<(), HostError> {
        let (brick, found, volume) = (path.clone(), found.map(str::to_owned), volume.to_owned());
        let mark = move |world: &mut World, key| world.mark_brick(key, &brick, found.as_deref(), &volume);
        self.effect(Call::MarkBrick, path.to_string(), mark).await
    }

    async fn read_record(&self, at: &MountPoint, name: &str) -> Result<Option<Vec<u8>>, HostError> {
        let (at, name) = (at.clone(), name.to_owned());
        self.fact(Call::ReadRecord, format!("{at}/{name}"), move |world, key| {
            let machine = world.machine_mut(key);
            if machine.mounted_at(at.as_path()).is_none() {
                // The bare folder is readable, and empty.
                return Ok(None);
            }
            Ok(machine.file_system_at(&format!("read {at}/{name}"), &at)?.files.get(&name).cloned())
        })
        .await
    }

    async fn remove_record(&self, at: &MountPoint, name: &str) -> Result<(), HostError> {
        let (at, name) = (at.clone(), name.to_owned());
        self.effect(Call::RemoveRecord, format!("{at}/{name}"), move |world, key| {
            let file_system = world.machine_mut(key).file_system_at(&format!("rm {at}/{name}"), &at)?;
            file_system.files.remove(&name);
            Ok(())
        })
        .await
    }

    async fn make_brick_directory(&self, path: &BrickPath, gid: u32) -> Result<(), HostError> {
        let path = path.clone();
        self.effect(Call::MakeBrickDirectory, path.to_string(), move |world, key| {
            world.make_brick_directory(key, &path, gid)
        })
        .await
    }

    async fn gluster_is_running(&self) -> Result<bool, HostError> {
        self.until_power().await;
        Ok(self.cluster.lock().gluster_runs(self.key))
    }

    async fn bricks_served(&self, bricks: Vec<BrickPath>) -> Result<Vec<Option<bool>>, HostError> {
        self.until_power().await;
        Ok(self.cluster.lock().bricks_served(self.key, &bricks))
    }

    async fn gluster_pool(&self) -> Result<(String, Vec<PeerSeen>), HostError> {
        self.fact(Call::GlusterPool, String::new(), |world, key| world.gluster_pool(key)).await
    }

    async fn gluster_peer_probe(&self, host: &HostName) -> Result<(), HostError> {
        let host = host.clone();
        self.effect(Call::PeerProbe, host.to_string(), move |world, key| world.peer_probe(key, &host)).await
    }

    async fn gluster_peer_detach(&self, host: &HostName, lost: bool) -> Result<(), HostError> {
        let host = host.clone();
        self.effect(Call::PeerDetach, host.to_string(), move |world, key| world.peer_detach(key, &host, lost)).await
    }

    async fn gluster_volume(&self, name: &VolumeName) -> Result<Option<GlusterVolume>, HostError> {
        let name = name.clone();
        self.fact(Call::GlusterVolume, name.to_string(), move |world, key| world.volume(key, &name)).await
    }

    async fn gluster_volumes(&self) -> Result<Vec<VolumeName>, HostError> {
        self.fact(Call::GlusterVolumes, String::new(), |world, key| world.volumes(key)).await
    }

    async fn gluster_volumes_whole(&self) -> Result<Vec<GlusterVolume>, HostError> {
        let whole = |world: &mut World, key| {
            let names = world.volumes(key)?;
            let volumes = names.iter().map(|name| world.volume(key, name));
            volumes.filter_map(Result::transpose).collect()
        };
        self.fact(Call::GlusterVolumes, "all".to_owned(), whole).await
    }

    async fn gluster_volume_create(
        &self,
        name: &VolumeName,
        layout: Layout,
        bricks: &[BrickAddress],
    ) -> Result<(), HostError> {
        let (volume, bricks) = (name.clone(), bricks.to_vec());
        let (half_volume, half_bricks) = (volume.clone(), bricks.clone());
        let half: Run<()> =
            Box::new(move |world, key| world.volume_create_halfway(key, &half_volume, layout, &half_bricks));
        let run = move |world: &mut World, key: HostKey| world.volume_create(key, &volume, layout, &bricks);
        self.gluster_effect(Call::VolumeCreate, name, run, Some(half)).await
    }

    async fn gluster_volume_set(
        &self,
        name: &VolumeName,
        options: &[(OptionKey, OptionValue)],
    ) -> Result<(), HostError> {
        let (volume, options) = (name.clone(), options.to_vec());
        let run = move |world: &mut World, key: HostKey| world.volume_set(key, &volume, &options);
        self.gluster_effect(Call::VolumeSet, name, run, None).await
    }

    async fn gluster_volume_reset(&self, name: &VolumeName, option: &OptionKey) -> Result<(), HostError> {
        let (volume, option) = (name.clone(), option.clone());
        let run = move |world: &mut World, key: HostKey| world.volume_reset(key, &volume, &option);
        self.gluster_effect(Call::VolumeReset, name, run, None).await
    }

    async fn gluster_volume_start(&self, name: &VolumeName) -> Result<(), HostError> {
        let volume = name.clone();
        let run = move |world: &mut World, key: HostKey| world.volume_start(key, &volume);
        self.gluster_effect(Call::VolumeStart, name, run, None).await
    }

    async fn gluster_heal_start(&self, name: &VolumeName) -> Result<(), HostError> {
        let volume = name.clone();
        let run = move |world: &mut World, key: HostKey| world.heal_start(key, &volume);
        self.gluster_effect(Call::HealStart, name, run, None).await
    }

    async fn gluster_volume_start_bricks(&self, name: &VolumeName) -> Result<(), HostError> {
        let volume = name.clone();
        let run = move |world: &mut World, key: HostKey| world.volume_start_bricks(key, &volume);
        self.gluster_effect(Call::VolumeStartBricks, name, run, None).await
    }

    async fn gluster_volume_stop(&self, name: &VolumeName) -> Result<(), HostError> {
        let volume = name.clone();
        let run = move |world: &mut World, key: HostKey| world.volume_stop(key, &volume);
        self.gluster_effect(Call::VolumeStop, name, run, None).await
    }

    async fn gluster_volume_delete(&self, name: &VolumeName) -> Result<(), HostError> {
        let volume = name.clone();
        let run = move |world: &mut World, key: HostKey| world.volume_delete(key, &volume);
        self.gluster_effect(Call::VolumeDelete, name, run, None).await
    }

    async fn gluster_volume_status(&self, name: &VolumeName) -> Result<Vec<BrickStatus>, HostError> {
        let name = name.clone();
        self.fact(Call::GlusterVolumeStatus, name.to_string(), move |world, key| world.volume_status(key, &name)).await
    }

    async fn gluster_add_bricks(&self, name: &VolumeName, bricks: &[BrickAddress]) -> Result<(), HostError> {
        let (volume, bricks) = (name.clone(), bricks.to_vec());
        let (half_volume, half_bricks) = (volume.clone(), bricks.clone());
        let half: Run<()> = Box::new(move |world, key| world.add_bricks(key, &half_volume, &half_bricks, false));
        let run = move |world: &mut World, key: HostKey| world.add_bricks(key, &volume, &bricks, true);
        self.gluster_effect(Call::AddBricks, name, run, Some(half)).await
    }

    async fn gluster_add_stand_ins(&self, name: &VolumeName, bricks: &[BrickAddress]) -> Result<(), HostError> {
        let (volume, bricks) = (name.clone(), bricks.to_vec());
        let run = move |world: &mut World, key: HostKey| world.add_stand_ins(key, &volume, &bricks);
        self.gluster_effect(Call::AddStandIns, name, run, None).await
    }

    async fn gluster_drop_bricks(&self, name: &VolumeName, bricks: &[BrickAddress]) -> Result<(), HostError> {
        let (volume, bricks) = (name.clone(), bricks.to_vec());
        let run = move |world: &mut World, key: HostKey| world.drop_bricks(key, &volume, &bricks);
        self.gluster_effect(Call::DropBricks, name, run, None).await
    }

    async fn remove_stand_in(&self, path: &BrickPath) -> Result<(), HostError> {
        let gone = path.clone();
        self.effect(Call::RemoveStandIn, path.to_string(), move |world, key| {
            world.machine_mut(key).mount_points.remove(gone.as_path());
            Ok(())
        })
        .await
    }

    async fn gluster_replace_brick(
        &self,
        name: &VolumeName,
        old: &BrickAddress,
        new: &BrickAddress,
    ) -> Result<(), HostError> {
        let (volume, old, new) = (name.clone(), old.clone(), new.clone());
        let run = move |world: &mut World, key: HostKey| world.replace_brick(key, &volume, &old, &new);
        self.gluster_effect(Call::ReplaceBrick, name, run, None).await
    }

    async fn gluster_heal(&self, name: &VolumeName) -> Result<HealReport, HostError> {
        let name = name.clone();
        self.fact(Call::GlusterHeal, name.to_string(), move |world, key| world.heal(key, &name)).await
    }

    async fn gluster_rebalance_start(&self, name: &VolumeName) -> Result<(), HostError> {
        let volume = name.clone();
        let run = move |world: &mut World, key: HostKey| world.rebalance_start(key, &volume);
        self.gluster_effect(Call::RebalanceStart, name, run, None).await
    }

    async fn gluster_rebalance(&self, name: &VolumeName) -> Result<RebalanceReport, HostError> {
        let name = name.clone();
        self.fact(Call::GlusterRebalance, name.to_string(), move |world, key| world.rebalance(key, &name)).await
    }

    async fn gluster_drain(&self, name: &VolumeName, brick: &BrickAddress, what: Drain) -> Result<(), HostError> {
        let (volume, brick) = (name.clone(), brick.clone());
        let run = move |world: &mut World, key: HostKey| world.drain(key, &volume, &brick, what);
        self.gluster_effect(Call::Drain, name, run, None).await
    }

    async fn gluster_drain_status(
        &self,
        name: &VolumeName,
        brick: &BrickAddress,
    ) -> Result<RebalanceReport, HostError> {
        let (name, brick) = (name.clone(), brick.clone());
        self.fact(Call::GlusterDrainStatus, format!("{name} {brick}"), move |world, key| {
            world.drain_status(key, &name, &brick)
        })
        .await
    }

    async fn gluster_snapshot(&self, name: &SnapshotName) -> Result<Option<GlusterSnapshot>, HostError> {
        let name = name.clone();
        self.fact(Call::GlusterSnapshot, name.to_string(), move |world, key| world.snapshot(key, &name)).await
    }

    async fn gluster_snapshot_create(&self, name: &SnapshotName, of: &VolumeName) -> Result<(), HostError> {
        let (snapshot, volume) = (name.clone(), of.clone());
        let run = move |world: &mut World, key: HostKey| world.snapshot_create(key, &snapshot, &volume);
        self.gluster_effect(Call::SnapshotCreate, of, run, None).await
    }

    async fn gluster_snapshot_activate(&self, name: &SnapshotName, active: bool) -> Result<(), HostError> {
        let name = name.clone();
        self.effect(Call::SnapshotActivate, format!("{name} {active}"), move |world, key| {
            world.snapshot_activate(key, &name, active)
        })
        .await
    }

    async fn gluster_snapshot_clone(&self, name: &SnapshotName, clone: &VolumeName) -> Result<(), HostError> {
        let (name, volume) = (name.clone(), clone.clone());
        let run = move |world: &mut World, key: HostKey| world.snapshot_clone(key, &name, &volume);
        self.gluster_effect(Call::SnapshotClone, clone, run, None).await
    }

    async fn gluster_snapshot_delete(&self, name: &SnapshotName) -> Result<(), HostError> {
        let name = name.clone();
        self.effect(Call::SnapshotDelete, name.to_string(), move |world, key| world.snapshot_delete(key, &name)).await
    }

    async fn clear_brick_marks(&self, path: &BrickPath) -> Result<(), HostError> {
        let path = path.clone();
        self.effect(Call::ClearBrickMarks, path.to_string(), move |world, key| world.clear_brick_marks(key, &path))
            .await
    }

    fn mount_root(&self) -> MountPoint {
        MOUNT_ROOT.parse().expect("a mount point")
    }
}
