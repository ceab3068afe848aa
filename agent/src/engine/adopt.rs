//! Adoption: groups, bricks and volumes that others made.

use bricklayer_proto::adopt::{BrickAdoption, GroupAdoption, HEKETI_ID_OPTION, HostSurvey, PlaceSeen};
use bricklayer_proto::adopt::{VolumeAdoption, VolumeSurvey};
use bricklayer_proto::names::VgName;
use bricklayer_proto::task::{BrickReport, Done, Failure, NO_VOLUME_ID, Report};

use super::clone::is_clone;
use super::gluster::{id_of, own_id};
use super::steps::must_be;
use super::{Engine, OnProgress, done, failure, locked, not_so};
use crate::fstab;
use crate::host::{GlusterVolume, GroupReport};
use crate::observe;
use crate::plan::adopt;
use crate::plan::brick::{Facts, RECORD};
use crate::plan::refused;

impl Engine {
    pub(super) async fn group_adopted(&self, spec: &GroupAdoption, progress: OnProgress<'_>) -> Result<Done, Failure> {
        let group = self.group_named(&spec.group).await?;
        let steps = adopt::take_group(spec, group.as_ref())?;
        self.run(&steps, progress).await?;
        let after = if steps.is_empty() { group } else { self.group_named(&spec.group).await? };
        let space = must_be(after, "the tags of the volume group")?.space;
        Ok(done(!steps.is_empty(), Report::Group { space }))
    }

    pub(super) async fn group_released(&self, spec: &GroupAdoption, progress: OnProgress<'_>) -> Result<Done, Failure> {
        let group = self.group_named(&spec.group).await?;
        let steps = adopt::release_group(spec, group.as_ref())?;
        self.run(&steps, progress).await?;
        Ok(done(!steps.is_empty(), Report::Nothing))
    }

    pub(super) async fn brick_adopted(&self, spec: &BrickAdoption, progress: OnProgress<'_>) -> Result<Done, Failure> {
        progress("looking at the device");
        let steps = self.brick_steps(spec, adopt::take_brick).await?;
        self.run(&steps, progress).await?;
        let group = must_be(self.group_named(&spec.group).await?, "the tags of the brick")?;
        let there = group.volumes.iter().find(|volume| volume.name == spec.volume);
        let size = there.ok_or_else(|| not_so(format!("{}/{} is gone", spec.group, spec.volume)))?.size;
        let report = BrickReport { path: spec.path.clone(), size, space: group.space };
        Ok(done(!steps.is_empty(), Report::Brick(report)))
    }

    pub(super) async fn brick_released(&self, spec: &BrickAdoption, progress: OnProgress<'_>) -> Result<Done, Failure> {
        progress("looking at the device");
        let steps = self.brick_steps(spec, adopt::release_brick).await?;
        self.run(&steps, progress).await?;
        Ok(done(!steps.is_empty(), Report::Nothing))
    }

    async fn brick_steps(
        &self,
        spec: &BrickAdoption,
        plan: impl Fn(&BrickAdoption, &Facts<'_>) -> Result<Vec<crate::plan::Step>, Failure>,
    ) -> Result<Vec<crate::plan::Step>, Failure> {
        let group = self.group_named(&spec.group).await?;
        let mounts = self.host.mounts().await.map_err(|error| failure(&error))?;
        let fstab = self.host.fstab().await.map_err(|error| failure(&error))?;
        let record = match &group {
            Some(group) => match adopt::mount(spec, group, &mounts) {
                Ok((_, at)) => self.host.read_record(&at, RECORD).await.map_err(|error| failure(&error))?,
                Err(_) => None,
            },
            None => None,
        };
        let root = self.host.mount_root();
        plan(spec, &Facts { root, group: group.as_ref(), mounts: &mounts, fstab: &fstab, on_volume: None, record })
    }

    pub(super) async fn volume_adopted(
        &self,
        spec: &VolumeAdoption,
        progress: OnProgress<'_>,
    ) -> Result<Done, Failure> {
        self.glusterd_must_run().await?;
        let key = &spec.key;
        let Some(volume) = self.look_for(key).await? else {
            return Err(refused(format!("there is no volume {}", key.name)));
        };
        if volume.bricks != spec.bricks {
            return Err(refused(format!("volume {} has other bricks than when this was planned", key.name)));
        }
        let says = |option: &str| volume.options.iter().find(|(key, _)| key == option).map(|(_, value)| value.as_str());
        // heketi left a clone with the options of its source, the id among them.
        let heketis = says(HEKETI_ID_OPTION).filter(|_| !is_clone(&volume));
        if let Some(other) = heketis.filter(|id| *id != key.volume.to_string()) {
            return Err(refused(format!("volume {} is heketi's volume {other}, not {}", key.name, key.volume)));
        }
        match id_of(&volume) {
            Some(id) if id == key.volume.to_string() => return Ok(done(false, Report::Nothing)),
            Some(other) => return Err(refused(format!("volume {} says that it is volume {other}", key.name))),
            None => {}
        }
        progress("gluster volume set");
        self.set_options(key, &[own_id(key)]).await?;
        Ok(done(true, Report::Nothing))
    }

    pub(super) async fn volume_released(
        &self,
        spec: &VolumeAdoption,
        progress: OnProgress<'_>,
    ) -> Result<Done, Failure> {
        self.glusterd_must_run().await?;
        let key = &spec.key;
        locked(&self.known_volumes).remove(&(key.name.clone(), key.volume));
        let is_ours = |volume: &GlusterVolume| id_of(volume) == Some(key.volume.to_string().as_str());
        if !self.look_for(key).await?.as_ref().is_some_and(is_ours) {
            return Ok(done(false, Report::Nothing));
        }
        progress("gluster volume set");
        // `gluster volume reset` knows no options of users.
        let (option, _) = own_id(key);
        let none = NO_VOLUME_ID.parse().expect("a word is a value");
        self.set_options(key, &[(option, none)]).await?;
        if self.look_for(key).await?.as_ref().is_some_and(is_ours) {
            return Err(not_so(format!("volume {} still says that it is volume {}", key.name, key.volume)));
        }
        Ok(done(true, Report::Nothing))
    }

    /// Looks at what others made.
    pub(super) async fn host_surveyed(&self, gluster: bool) -> Result<Done, Failure> {
        let view = self.host.view().await.map_err(|error| failure(&error))?;
        let volumes = view.groups.iter().flat_map(|group| group.volumes.iter().map(move |volume| (group, volume)));
        let places = volumes.filter_map(|(group, volume)| {
            let mount = observe::mount_of(&view.mounts, &group.name, &volume.name)?;
            let lines = fstab::entries(&view.fstab).filter(|entry| entry.at == mount.at).count();
            Some(PlaceSeen {
                group: group.name.clone(),
                volume: volume.name.clone(),
                at: mount.at.as_str().parse().ok()?,
                file_system: mount.file_system.clone(),
                lines: u32::try_from(lines).unwrap_or(u32::MAX),
            })
        });
        let places = places.collect();
        let groups = view.groups.iter().map(observe::group).collect();
        let gluster_seen = self.pool_seen().await;
        let volumes = match gluster {
            true => {
                self.glusterd_must_run().await?;
                let volumes = self.host.gluster_volumes_whole().await.map_err(|error| failure(&error))?;
                Some(volumes.into_iter().map(seen).collect())
            }
            false => None,
        };
        Ok(done(false, Report::Survey(HostSurvey { groups, places, volumes, gluster: Some(gluster_seen) })))
    }

    async fn group_named(&self, name: &VgName) -> Result<Option<GroupReport>, Failure> {
        self.host.group(name).await.map_err(|error| failure(&error))
    }
}

fn seen(volume: GlusterVolume) -> VolumeSurvey {
    let GlusterVolume { name, uuid, started, layout, bricks, options } = volume;
    VolumeSurvey { name, uuid, started, layout, bricks, options }
}
