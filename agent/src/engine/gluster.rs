//! Peers and volumes, through this host's glusterd.
//!
//! glusterd has no roll-back and its answers are not to be trusted alone: a command that failed may have been carried
//! out, one that timed out may still be. So the state is looked at before and after, and only the state decides.

use std::time::Duration;

use bricklayer_proto::names::{BrickPath, HostName, OptionKey, OptionValue, SnapshotName};
use bricklayer_proto::task::{
    BrickAddress, BrickSeenInVolume, Done, Failure, FailureKind, NO_VOLUME_ID, Report, VOLUME_ID_OPTION,
    VolumeDeletion, VolumeKey, VolumeOption, VolumeReport, VolumeSpec,
};

use super::clone::is_clone;
use super::{Engine, OnProgress, done, failure, locked, not_so};
use crate::host::{BrickStatus, GlusterVolume, HostError};
use crate::observe;
use crate::plan::{refused, refused_with_cure};
use crate::tags;

/// How long a peer may take from "probed" to "connected".
const PEER_PATIENCE: Duration = Duration::from_secs(60);

/// One daemon heals all volumes of a host. A glusterd that failed to hand it a volume, as when a brick is replaced right after a
/// power cut, says this until it tries again, which it does where bricks are started (seen with GlusterFS 10.3).
const NO_SELF_HEAL_DAEMON: &str = "Self-heal daemon is not running";

/// An option that stands for many, which glusterd takes only when it stands alone.
const OPTION_GROUP: &str = "group";

impl Engine {
    pub(super) async fn peer(&self, host: &HostName, progress: OnProgress<'_>) -> Result<Done, Failure> {
        self.glusterd_must_run().await?;
        if self.peer_is_connected(host).await? == Some(true) {
            return Ok(done(false, Report::Nothing));
        }
        progress("gluster peer probe");
        let probed = self.host.gluster_peer_probe(host).await;
        if self.peer_is_connected(host).await?.is_none() {
            // Not there under this name. It may be this host itself, or known by another name; then the answer counts.
            probed.map_err(|error| {
                let cure = format!("See that glusterd runs on {host} and that this host reaches its port 24007");
                Failure { cure: Some(cure), ..failure(&error) }
            })?;
            return Ok(done(false, Report::Nothing));
        }
        // A volume made now would be refused as "not connected".
        progress("waiting for the peer");
        let start = tokio::time::Instant::now();
        while self.peer_is_connected(host).await? != Some(true) {
            if start.elapsed() > PEER_PATIENCE {
                let message = format!("{host} is a peer now, but has not connected for {} s", PEER_PATIENCE.as_secs());
                return Err(Failure { kind: FailureKind::Unknown, ..not_so(message) });
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(done(true, Report::Nothing))
    }

    /// `lost`: also if it cannot be reached.
    pub(super) async fn peer_gone(
        &self,
        host: &HostName,
        lost: bool,
        progress: OnProgress<'_>,
    ) -> Result<Done, Failure> {
        self.glusterd_must_run().await?;
        if self.peer_is_connected(host).await?.is_none() {
            return Ok(done(false, Report::Nothing));
        }
        progress("gluster peer detach");
        let detached = self.host.gluster_peer_detach(host, lost).await;
        if self.peer_is_connected(host).await?.is_some() {
            if let Err(error) = detached {
                return Err(self.with_absent_peers(&error).await);
            }
            return Err(not_so(format!("{host} was detached and is still a peer")));
        }
        Ok(done(true, Report::Nothing))
    }

    pub(super) async fn volume(&self, spec: &VolumeSpec, progress: OnProgress<'_>) -> Result<Done, Failure> {
        let created = self.volume_created(spec, progress).await?;
        if !spec.start {
            return Ok(created);
        }
        let started = self.volume_started(&spec.key, progress).await?;
        Ok(done(created.changed || started.changed, Report::VolumeRuns))
    }

    async fn volume_created(&self, spec: &VolumeSpec, progress: OnProgress<'_>) -> Result<Done, Failure> {
        self.glusterd_must_run().await?;
        let name = &spec.key.name;
        // Without a look first: GlusterFS refuses a name or a brick that is in use, and forces nothing.
        if let Some(volume) = self.create(spec, progress).await? {
            if volume.bricks != spec.bricks {
                return Err(refused(format!("there is a volume {name} with other bricks already")));
            }
            match id_of(&volume) {
                // The id is set in the last transaction, so a volume that has it has all the rest.
                Some(id) if id == spec.key.volume.to_string() => return Ok(done(false, Report::Nothing)),
                Some(other) => {
                    return Err(refused(format!("there is a volume {name} already, with the id {other}")));
                }
                None => {}
            }
        }
        progress("gluster volume set");
        let mut options: Vec<_> = spec.options.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        let id = own_id(&spec.key);
        options.retain(|(key, _)| *key != id.0);
        options.push(id);
        for options in in_transactions(options) {
            self.set_options(&spec.key, &options).await?;
        }
        locked(&self.known_volumes).insert((name.clone(), spec.key.volume));
        Ok(done(true, Report::Nothing))
    }

    /// In one transaction of glusterd.
    pub(super) async fn set_options(
        &self,
        key: &VolumeKey,
        options: &[(OptionKey, OptionValue)],
    ) -> Result<(), Failure> {
        let Err(error) = self.host.gluster_volume_set(&key.name, options).await else { return Ok(()) };
        let now = self.look_for(key).await?;
        let is_set = |(key, value): &(OptionKey, OptionValue)| {
            now.as_ref().is_some_and(|volume| {
                volume.options.iter().any(|(found, to)| found == key.as_str() && to == value.as_str())
            })
        };
        if options.iter().all(is_set) { Ok(()) } else { Err(failure(&error)) }
    }

    pub(super) async fn volume_option_set(
        &self,
        wanted: &VolumeOption,
        progress: OnProgress<'_>,
    ) -> Result<Done, Failure> {
        self.glusterd_must_run().await?;
        let VolumeOption { volume: key, option, value } = wanted;
        let holds = |volume: &GlusterVolume| {
            let found = volume.options.iter().find(|(key, _)| key == option.as_str()).map(|(_, value)| value.as_str());
            found == value.as_ref().map(OptionValue::as_str)
        };
        match self.look_for_ours(key).await? {
            Some(volume) if holds(&volume) => return Ok(done(false, Report::Nothing)),
            Some(_) => {}
            None => return Err(refused(format!("there is no volume {}", key.name))),
        }
        let changed = match value {
            Some(value) => {
                progress("gluster volume set");
                self.host.gluster_volume_set(&key.name, &[(option.clone(), value.clone())]).await
            }
            None => {
                progress("gluster volume reset");
                self.host.gluster_volume_reset(&key.name, option).await
            }
        };
        match (changed, self.look_for_ours(key).await?) {
            (_, Some(volume)) if holds(&volume) => Ok(done(true, Report::Nothing)),
            (Err(error), _) => Err(failure(&error)),
            (Ok(()), _) => {
                Err(not_so(format!("option {option} of volume {} was changed and is not as wanted", key.name)))
            }
        }
    }

    pub(super) async fn volume_started(&self, key: &VolumeKey, progress: OnProgress<'_>) -> Result<Done, Failure> {
        self.glusterd_must_run().await?;
        let known = locked(&self.known_volumes).contains(&(key.name.clone(), key.volume));
        if !known {
            match self.look_for_ours(key).await? {
                Some(volume) if volume.started => return Ok(done(false, Report::Nothing)),
                Some(_) => {}
                None => return Err(refused(format!("there is no volume {}", key.name))),
            }
        }
        progress("gluster volume start");
        let Err(error) = self.host.gluster_volume_start(&key.name).await else {
            return Ok(done(true, Report::Nothing));
        };
        match self.look_for_ours(key).await? {
            Some(volume) if volume.started => Ok(done(true, Report::Nothing)),
            _ => Err(failure(&error)),
        }
    }

    pub(super) async fn volume_stopped(&self, key: &VolumeKey, progress: OnProgress<'_>) -> Result<Done, Failure> {
        self.glusterd_must_run().await?;
        match self.look_past_strangers(key).await? {
            Some(volume) if volume.started => {}
            _ => return Ok(done(false, Report::Nothing)),
        }
        progress("gluster volume stop");
        let stopped = self.host.gluster_volume_stop(&key.name).await;
        match self.look_for(key).await? {
            Some(volume) if volume.started => {
                stopped.map_err(|error| failure(&error))?;
                Err(not_so(format!("volume {} was stopped and still runs", key.name)))
            }
            _ => Ok(done(true, Report::Nothing)),
        }
    }

    pub(super) async fn volume_gone(
        &self,
        deletion: &VolumeDeletion,
        progress: OnProgress<'_>,
    ) -> Result<Done, Failure> {
        self.glusterd_must_run().await?;
        let key = &deletion.key;
        let snapshot = SnapshotName::for_clone(key.volume);
        let Some(volume) = self.look_past_strangers(key).await? else {
            // A clone that was cut off before it came to be leaves its snapshot.
            let removed = self.remove_snapshot(&snapshot, progress).await?;
            return Ok(done(removed, Report::Nothing));
        };
        if volume.started {
            return Err(refused_with_cure(format!("volume {} runs", key.name), "Stop it first"));
        }
        self.leave_lost_hosts(deletion, &volume, progress).await?;
        progress("gluster volume delete");
        locked(&self.known_volumes).remove(&(key.name.clone(), key.volume));
        let deleted = self.host.gluster_volume_delete(&key.name).await;
        if self.look_for(key).await?.is_some() {
            if let Err(error) = deleted {
                return Err(self.with_absent_peers(&error).await);
            }
            return Err(not_so(format!("volume {} was deleted and is still there", key.name)));
        }
        if is_clone(&volume) {
            self.remove_snapshot(&snapshot, progress).await?;
        }
        Ok(done(true, Report::Nothing))
    }

    pub(super) async fn heal_started(&self, key: &VolumeKey, progress: OnProgress<'_>) -> Result<Done, Failure> {
        self.glusterd_must_run().await?;
        if !self.ours(key).await?.started {
            return Err(refused_with_cure(format!("volume {} is stopped", key.name), "Start it"));
        }
        progress("gluster volume heal");
        let mut asked = self.host.gluster_heal_start(&key.name).await;
        if asked.as_ref().is_err_and(|error| super::chain(error).contains(NO_SELF_HEAL_DAEMON)) {
            progress("gluster volume start");
            self.host.gluster_volume_start_bricks(&key.name).await.map_err(|error| failure(&error))?;
            progress("gluster volume heal");
            asked = self.host.gluster_heal_start(&key.name).await;
        }
        asked.map_err(|error| failure(&error))?;
        Ok(done(true, Report::Nothing))
    }

    /// A volume that was stopped is left so: somebody meant it.
    pub(super) async fn bricks_started(&self, key: &VolumeKey, progress: OnProgress<'_>) -> Result<Done, Failure> {
        self.glusterd_must_run().await?;
        if !self.ours(key).await?.started {
            return Err(refused_with_cure(format!("volume {} is stopped", key.name), "Start it"));
        }
        let offline = |status: &[BrickStatus]| status.iter().any(|brick| !brick.online);
        let status = |error| failure(&error);
        if !offline(&self.host.gluster_volume_status(&key.name).await.map_err(status)?) {
            return Ok(done(false, Report::Nothing));
        }
        progress("gluster volume start");
        self.host.gluster_volume_start_bricks(&key.name).await.map_err(|error| failure(&error))?;
        Ok(done(true, Report::Nothing))
    }

    /// A stranger of the same name counts as none.
    pub(super) async fn volume_seen(&self, key: &VolumeKey) -> Result<Done, Failure> {
        self.glusterd_must_run().await?;
        let seen = match self.look_past_strangers(key).await? {
            Some(volume) => Some(self.volume_report(volume).await),
            None => None,
        };
        Ok(done(false, Report::Volume { seen }))
    }

    pub(super) async fn volume_report(&self, volume: GlusterVolume) -> VolumeReport {
        let status = if volume.started { self.host.gluster_volume_status(&volume.name).await } else { Ok(Vec::new()) };
        let status = status.unwrap_or_else(|error| {
            tracing::warn!(volume.name = %volume.name, "nobody says which bricks run: {}", super::chain(&error));
            Vec::new()
        });
        let online = |brick: &BrickAddress| status.iter().find(|seen| seen.brick == *brick).map(|seen| seen.online);
        let seen = |address: BrickAddress| BrickSeenInVolume { online: online(&address), address };
        VolumeReport {
            started: volume.started,
            bricks: volume.bricks.into_iter().map(seen).collect(),
            options: Some(volume.options.into_iter().collect()),
        }
    }

    pub(super) async fn heal_seen(&self, key: &VolumeKey) -> Result<Done, Failure> {
        self.glusterd_must_run().await?;
        if !self.ours(key).await?.started {
            return Err(refused_with_cure(format!("volume {} does not run, so nothing heals", key.name), "Start it"));
        }
        let heal = self.host.gluster_heal(&key.name).await.map_err(|error| failure(&error))?;
        Ok(done(false, Report::Heal(heal)))
    }

    /// Names the hosts for whose sake glusterd refused.
    async fn with_absent_peers(&self, error: &HostError) -> Failure {
        let refusal = failure(error);
        let (FailureKind::PeersDown, Ok((_, peers))) = (refusal.kind, self.host.gluster_pool().await) else {
            return refusal;
        };
        let absent: Vec<_> = peers.iter().filter(|peer| !peer.connected).map(|peer| peer.host.as_str()).collect();
        if absent.is_empty() {
            // It came back in the meantime.
            return refusal;
        }
        Failure { message: format!("{} (not connected: {})", refusal.message, absent.join(", ")), ..refusal }
    }

    /// Creates the volume; the one that is there already, where it could not.
    async fn create(&self, spec: &VolumeSpec, progress: OnProgress<'_>) -> Result<Option<GlusterVolume>, Failure> {
        let name = &spec.key.name;
        progress("gluster volume create");
        let mut tried_again = false;
        loop {
            let Err(error) = self.host.gluster_volume_create(name, spec.layout, &spec.bricks).await else {
                return Ok(None);
            };
            if let Some(volume) = self.look_for(&spec.key).await? {
                return Ok(Some(volume));
            }
            // It may have marked bricks as used on its way. Those of this host can be unmarked.
            let again = matches!(error, HostError::Failed { .. }) && !tried_again && self.unmark(&spec.bricks).await;
            if !again {
                return Err(failure(&error));
            }
            tried_again = true;
        }
    }

    /// Takes the marks of a failed command off those of the bricks that are this host's; whether there were any to try.
    pub(super) async fn unmark(&self, new: &[BrickAddress]) -> bool {
        let bricks = match self.own_free_bricks(new).await {
            Ok(bricks) => bricks,
            Err(error) => {
                tracing::warn!("bricks are not unmarked, as it is not known whose they are: {}", super::chain(&error));
                return false;
            }
        };
        let mut any = false;
        for brick in bricks {
            match self.host.clear_brick_marks(brick).await {
                Ok(()) => any = true,
                // Not empty: the second try will say what is wrong.
                Err(error) => tracing::warn!("{}", super::chain(&error)),
            }
        }
        any
    }

    /// Those of the new bricks that lie on this host and are in no volume that glusterd knows. The brick of a new volume
    /// is as empty as one that a failed create has marked, and would not start without its marks.
    async fn own_free_bricks<'a>(&self, new: &'a [BrickAddress]) -> Result<Vec<&'a BrickPath>, HostError> {
        let mounts = self.host.mounts().await?;
        let here = |brick: &&BrickAddress| {
            let root = brick.path.as_path().parent();
            root.is_some_and(|root| observe::mounted_at(&mounts, root).is_some())
        };
        let mut bricks: Vec<&BrickPath> = new.iter().filter(here).map(|brick| &brick.path).collect();
        for name in self.host.gluster_volumes().await? {
            let volume = self.host.gluster_volume(&name).await?;
            // By path alone: the host may be known by another of its names there.
            let taken: Vec<_> = volume.iter().flat_map(|volume| &volume.bricks).map(|brick| &brick.path).collect();
            bricks.retain(|brick| !taken.contains(brick));
        }
        Ok(bricks)
    }

    /// As [`Self::look_for_ours`], where there has to be one.
    pub(super) async fn ours(&self, key: &VolumeKey) -> Result<GlusterVolume, Failure> {
        let volume = self.look_for_ours(key).await?;
        volume.ok_or_else(|| refused(format!("there is no volume {}", key.name)))
    }

    pub(super) async fn look_for(&self, key: &VolumeKey) -> Result<Option<GlusterVolume>, Failure> {
        self.host.gluster_volume(&key.name).await.map_err(|error| failure(&error))
    }

    /// The volume, if it is the one that the key means. A stranger of the same name is never touched.
    pub(super) async fn look_for_ours(&self, key: &VolumeKey) -> Result<Option<GlusterVolume>, Failure> {
        let Some(volume) = self.look_for(key).await? else { return Ok(None) };
        match id_of(&volume) {
            Some(id) if id == key.volume.to_string() => Ok(Some(volume)),
            Some(_) if is_clone(&volume) && self.is_clone_in_the_making(key).await? => Ok(Some(volume)),
            Some(other) => Err(refused(format!("volume {} is another one, with the id {other}", key.name))),
            // Made, and cut off before its id was set: then the tags of its bricks say whose it is.
            None if self.has_our_brick(&volume, key).await? => Ok(Some(volume)),
            None => Err(refused(format!("volume {} does not say that it is volume {}", key.name, key.volume))),
        }
    }

    /// As [`Self::look_for_ours`], but a volume that is surely another one of the same name is passed over: ours is not
    /// there. So what was made for a volume whose name was taken can be taken back.
    async fn look_past_strangers(&self, key: &VolumeKey) -> Result<Option<GlusterVolume>, Failure> {
        let Some(volume) = self.look_for(key).await? else { return Ok(None) };
        let stranger = match id_of(&volume) {
            Some(id) if id == key.volume.to_string() => false,
            Some(_) => !(is_clone(&volume) && self.is_clone_in_the_making(key).await?),
            None if self.has_our_brick(&volume, key).await? => false,
            None if self.keeps_a_brick_of(key).await? => true,
            None => {
                let message = format!(
                    "volume {} does not say whether it is volume {}, and no brick of that is on this host",
                    key.name, key.volume
                );
                return Err(Failure { kind: FailureKind::Unavailable, message, cure: None, obstacles: Vec::new() });
            }
        };
        Ok((!stranger).then_some(volume))
    }

    /// Whether a thin volume on this host carries the tags of a brick of it.
    async fn keeps_a_brick_of(&self, key: &VolumeKey) -> Result<bool, Failure> {
        let view = self.host.view().await.map_err(|error| failure(&error))?;
        let mut volumes = view.groups.iter().flat_map(|group| &group.volumes);
        Ok(volumes.any(|lv| matches!(tags::parse_brick(&lv.tags), Ok(Some(brick)) if brick.volume == key.volume)))
    }

    async fn has_our_brick(&self, volume: &GlusterVolume, key: &VolumeKey) -> Result<bool, Failure> {
        let view = self.host.view().await.map_err(|error| failure(&error))?;
        let ours = view
            .groups
            .iter()
            .flat_map(|group| group.volumes.iter().map(move |lv| (group, lv)))
            .filter(|(_, lv)| matches!(tags::parse_brick(&lv.tags), Ok(Some(brick)) if brick.volume == key.volume));
        let mut roots = ours
            .filter_map(|(group, lv)| observe::mount_of(&view.mounts, &group.name, &lv.name))
            .map(|mount| &mount.at);
        Ok(roots.any(|root| volume.bricks.iter().any(|brick| brick.path.as_path().starts_with(root))))
    }

    /// `None` where the pool has no such peer.
    async fn peer_is_connected(&self, host: &HostName) -> Result<Option<bool>, Failure> {
        let (_, peers) = self.host.gluster_pool().await.map_err(|error| failure(&error))?;
        Ok(peers.iter().find(|peer| peer.host == host.as_str()).map(|peer| peer.connected))
    }

    pub(super) async fn glusterd_must_run(&self) -> Result<(), Failure> {
        match self.host.gluster_is_running().await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Failure {
                kind: FailureKind::Unavailable,
                message: "glusterd does not run on this host".to_owned(),
                cure: Some("Start it: systemctl start glusterd".to_owned()),
                obstacles: Vec::new(),
            }),
            Err(error) => Err(failure(&error)),
        }
    }
}

pub(super) fn id_of(volume: &GlusterVolume) -> Option<&str> {
    let said = volume.options.iter().find(|(key, _)| key == VOLUME_ID_OPTION).map(|(_, value)| value.as_str());
    said.filter(|id| *id != NO_VOLUME_ID)
}

/// The option by which the volume says whose it is.
pub(super) fn own_id(key: &VolumeKey) -> (OptionKey, OptionValue) {
    let option = VOLUME_ID_OPTION.parse().expect("a key of ours is a key");
    (option, key.volume.to_string().parse().expect("an id is a value"))
}

/// What is set together: groups of options each alone, and then everything else at once.
pub(super) fn in_transactions(options: Vec<(OptionKey, OptionValue)>) -> Vec<Vec<(OptionKey, OptionValue)>> {
    let (groups, others): (Vec<_>, Vec<_>) = options.into_iter().partition(|(key, _)| key.as_str() == OPTION_GROUP);
    let mut transactions: Vec<_> = groups.into_iter().map(|option| vec![option]).collect();
    if !others.is_empty() {
        transactions.push(others);
    }
    transactions
}
