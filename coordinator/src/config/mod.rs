//! How a coordinator is set up: a TOML file, the environment, and arguments, the latter ones counting more.
//!
//! `docs/operations/config.md` lists the keys. What heketi's own file and environment come to is in [`heketi`].

pub mod heketi;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bricklayer_proto::block::Preallocation;
use bricklayer_proto::size::ByteSize;
use serde::Deserialize;

use crate::exports;
use crate::http::{LEAST_FREE, Mode};
use crate::logging::LogLevel;
use crate::ops::{self, Keep, Policy, RepairPolicy, read_keep};
use crate::placement::{PoolsAtMost, ZoneRule};
use crate::pools::extension::PoolPolicy;

pub const DEFAULT_FILE: &str = "/etc/bricklayer/coordinator.toml";
pub const DEFAULT_DATA_DIR: &str = "/var/lib/bricklayer-coordinator";

/// The file. Every key may be left out; one that we do not know is an error, as it is most likely misspelt.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConfigFile {
    /// Where the store, the CA and the keys are.
    pub data_dir: Option<PathBuf>,
    /// Where REST is served.
    pub rest_listen: Option<SocketAddr>,
    /// Where agents attach.
    pub agents_listen: Option<SocketAddr>,
    /// `host:port` as agents dial it; several are tried in order.
    pub advertise: Option<Vec<String>>,
    /// Takes every REST request as an administrator's. heketi has it, so we have it.
    pub disable_auth: Option<bool>,
    /// How much is logged, in heketi's words; `BRICKLAYER_LOG` counts more.
    pub log_level: Option<LogLevel>,
    /// What is to stay free on the disk of `data_dir`, such as `64MiB`: below it nothing is changed any more.
    pub least_free_disk: Option<String>,
    pub rest: RestConfig,
    pub placement: PlacementConfig,
    pub volumes: VolumesConfig,
    pub block_volumes: BlockVolumesConfig,
    pub operations: OperationsConfig,
    pub exports: ExportsConfig,
    pub trash: TrashConfig,
    pub pools: PoolsConfig,
    /// How often GlusterFS is asked of its volumes for the doctor; never without, but for what `repair` needs.
    pub ask_gluster_every_seconds: Option<u32>,
    /// What is mended without a person: nothing, where it is empty.
    pub repair: Vec<Repair>,
}

/// What the coordinator exports by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExportsConfig {
    /// At the latest so long after a change; 0: no exports are made.
    pub every_minutes: Option<u32>,
    /// At the latest after so many commits.
    pub every_commits: Option<u64>,
    /// How many are kept.
    pub keep: Option<usize>,
}

/// One thing that may be mended without a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Repair {
    /// A brick that is there and not mounted.
    Mounts,
    /// A brick's line that fstab lacks.
    Fstab,
    /// A brick without a process.
    StartBricks,
    /// What is to be healed and does not become less.
    Heal,
}

/// Thin pools that fill up.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PoolsConfig {
    /// Whether they are extended by themselves.
    pub extend: Option<bool>,
    /// By how many per cent at a time.
    pub step_percent: Option<u64>,
    /// The most that a pool may have, as a multiple of its brick's size.
    pub most_factor: Option<f64>,
    /// Per cent of a device that extensions leave free.
    pub keep_free_percent: Option<u64>,
}

impl PoolsConfig {
    fn policy(&self) -> Result<PoolPolicy, String> {
        let default = PoolPolicy::default();
        let most = match self.most_factor {
            None => default.most,
            Some(factor) => {
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturating, and checked")]
                let milli = (factor * 1000.0).round() as u32;
                let most = PoolsAtMost::of_milli(milli);
                most.ok_or_else(|| format!("pools.most_factor is from 1 to 100, not {factor}"))?
            }
        };
        let within = |name, value: Option<u64>, default, most| match value.unwrap_or(default) {
            value if value <= most => Ok(value),
            value => Err(format!("pools.{name} is at most {most}, not {value}")),
        };
        let step_percent = within("step_percent", self.step_percent, default.step_percent, 1000)?;
        if step_percent == 0 {
            return Err("pools.step_percent is 1 at least".to_owned());
        }
        Ok(PoolPolicy {
            extend: self.extend.unwrap_or(default.extend),
            step_percent,
            most,
            keep_free_percent: within("keep_free_percent", self.keep_free_percent, default.keep_free_percent, 100)?,
        })
    }
}

/// What becomes of deleted volumes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrashConfig {
    /// How long one is kept where the request does not say, such as `7d`; `0s` is not at all.
    pub keep: Option<String>,
    /// Whether that holds for heketi's clients, too.
    pub on_heketi_routes: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RestConfig {
    /// Which requests are taken after the start.
    pub mode: Mode,
    /// Operations under way, past which more are refused for a while.
    pub most_unfinished: Option<usize>,
    /// By how much a client's clock may be ahead.
    pub clock_leeway_seconds: Option<u32>,
    /// PEM files: the chain, the server's own first, and its key. Without them REST is plain HTTP.
    pub certificate: Option<PathBuf>,
    pub private_key: Option<PathBuf>,
}

/// What every new volume gets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VolumesConfig {
    /// `key value` each, before those of the request: of two for one key the latter counts.
    pub options_first: Vec<String>,
    /// After those of the request, which cannot override them.
    pub options_last: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BlockVolumesConfig {
    /// Whether a volume to host them is made where none has room.
    pub create_hosting_volumes: Option<bool>,
    /// Such as `1TiB`.
    pub hosting_volume_size: Option<String>,
    /// `key value` each.
    pub hosting_volume_options: Option<Vec<String>>,
    pub preallocation: Option<Preallocation>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OperationsConfig {
    /// Bricks that are moved at the same time when a device is emptied; never two of one volume.
    pub moves_at_once: Option<usize>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PlacementConfig {
    /// Whether the bricks of a set must be in different zones (`strict`) or are where that is possible (`preferred`).
    pub zones: ZoneRule,
    /// Such as `1GiB`.
    pub smallest_brick: Option<String>,
    pub largest_brick: Option<String>,
    pub most_bricks_per_volume: Option<u32>,
    /// What a file is assumed to have on average, such as `64KiB`: an arbiter brick has room for as many.
    pub average_file_size: Option<String>,
    /// 0: any number.
    pub most_volumes_per_cluster: Option<usize>,
}

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{path} cannot be read")]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{path} is not a configuration: {why}")]
    Parse { path: PathBuf, why: String },
}

impl ConfigFile {
    /// The named file must be there; the default one need not be.
    pub fn read(named: Option<&Path>) -> Result<Self, ConfigError> {
        let path = named.unwrap_or(Path::new(DEFAULT_FILE));
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => return Err(ConfigError::Read { path: path.to_owned(), source }),
        };
        let parse = |why: String| ConfigError::Parse { path: path.to_owned(), why };
        let file: Self = toml::from_str(&text).map_err(|error| parse(error.to_string()))?;
        file.policy().map_err(parse)?;
        file.check().map_err(parse)?;
        Ok(file)
    }

    /// What can be told to be wrong before anything is started.
    fn check(&self) -> Result<(), String> {
        if self.rest.certificate.is_some() != self.rest.private_key.is_some() {
            return Err("rest.certificate and rest.private_key are given together or not at all".to_owned());
        }
        if self.operations.moves_at_once == Some(0) {
            return Err("operations.moves_at_once is 1 at least".to_owned());
        }
        if self.exports.keep == Some(0) || self.exports.every_commits == Some(0) {
            return Err("exports.keep and exports.every_commits are 1 at least; exports.every_minutes = 0 makes none"
                .to_owned());
        }
        self.least_free().map_err(|error| format!("least_free_disk: {error}"))?;
        let hosting = self.block_volumes.hosting_volume_options.clone().unwrap_or_default();
        ops::read_volume_options(&hosting).map_err(|error| error.to_string())?;
        let options: Vec<String> =
            self.volumes.options_first.iter().chain(&self.volumes.options_last).cloned().collect();
        ops::read_volume_options(&options).map(|_| ()).map_err(|error| error.to_string())
    }

    /// How often the store is exported; `None` where it is not to be.
    #[must_use]
    pub fn exports(&self) -> Option<exports::Plan> {
        let default = exports::Plan::default();
        let every =
            self.exports.every_minutes.map_or(default.every, |minutes| Duration::from_secs(u64::from(minutes) * 60));
        let commits = self.exports.every_commits.unwrap_or(default.commits);
        (!every.is_zero()).then_some(exports::Plan { every, commits, keep: self.exports.keep.unwrap_or(default.keep) })
    }

    /// With less free space where the store is, changes are refused.
    pub fn least_free(&self) -> anyhow::Result<ByteSize> {
        Ok(self.least_free_disk.as_deref().map(str::parse).transpose()?.unwrap_or(LEAST_FREE))
    }

    /// What operations follow.
    pub fn policy(&self) -> Result<Policy, String> {
        let mut policy = Policy { zones: self.placement.zones, ..Policy::default() };
        let size = |text: &Option<String>, default: ByteSize| match text {
            Some(text) => text.parse::<ByteSize>().map_err(|error| error.to_string()),
            None => Ok(default),
        };
        policy.limits.least_brick = size(&self.placement.smallest_brick, policy.limits.least_brick)?;
        policy.limits.largest_brick = size(&self.placement.largest_brick, policy.limits.largest_brick)?;
        policy.average_file_size = size(&self.placement.average_file_size, policy.average_file_size)?;
        if let Some(most) = self.placement.most_bricks_per_volume {
            policy.limits.most_bricks = most;
        }
        if let Some(most) = self.placement.most_volumes_per_cluster {
            policy.most_volumes_per_cluster = if most == 0 { usize::MAX } else { most };
        }
        let block = &self.block_volumes;
        policy.block.create_hosting_volumes =
            block.create_hosting_volumes.unwrap_or(policy.block.create_hosting_volumes);
        policy.block.hosting_size = size(&block.hosting_volume_size, policy.block.hosting_size)?;
        if let Some(options) = &block.hosting_volume_options {
            policy.block.hosting_options.clone_from(options);
        }
        policy.block.preallocation = block.preallocation.unwrap_or(policy.block.preallocation);
        policy.trash.keep = match self.trash.keep.as_deref().map(read_keep).transpose()? {
            Some(Keep::For(keep)) => Some(keep),
            Some(Keep::NotAtAll | Keep::AsConfigured) | None => None,
        };
        policy.trash.on_heketi_routes = self.trash.on_heketi_routes;
        policy.pools = self.pools.policy()?;
        if !self.repair.is_empty() && self.ask_gluster_every_seconds == Some(0) {
            return Err("repair needs ask_gluster_every_seconds: what is mended is found by looking".to_owned());
        }
        let needed = (!self.repair.is_empty()).then_some(30);
        let every = self.ask_gluster_every_seconds.or(needed).filter(|seconds| *seconds > 0);
        policy.gluster_look = every.map(|seconds| Duration::from_secs(seconds.into()));
        policy.repair = RepairPolicy {
            mounts: self.repair.contains(&Repair::Mounts),
            fstab: self.repair.contains(&Repair::Fstab),
            start_bricks: self.repair.contains(&Repair::StartBricks),
            heal: self.repair.contains(&Repair::Heal),
        };
        policy.moves_at_once = self.operations.moves_at_once.unwrap_or(policy.moves_at_once);
        Ok(policy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_nobody_knows_is_an_error() {
        assert!(toml::from_str::<ConfigFile>("rest_lisen = \"0.0.0.0:8080\"").is_err());
    }

    #[test]
    fn a_size_that_is_none_is_named() {
        let file: ConfigFile = toml::from_str("[placement]\nsmallest_brick = \"1GB x\"").unwrap();
        assert!(file.policy().unwrap_err().contains("1GB x"));
    }

    #[test]
    fn exports_are_made_unless_a_file_says_otherwise() {
        assert_eq!(ConfigFile::default().exports(), Some(exports::Plan::default()));
        let file: ConfigFile = toml::from_str("[exports]\nevery_minutes = 0").unwrap();
        assert_eq!(file.exports(), None);
        let file: ConfigFile = toml::from_str("[exports]\nevery_minutes = 5\nkeep = 0").unwrap();
        assert!(file.check().unwrap_err().contains("exports.keep"));
    }

    #[test]
    fn an_empty_file_is_heketis_policy() {
        let policy = ConfigFile::default().policy().unwrap();
        assert_eq!(policy.limits.most_bricks, 32);
        assert_eq!(policy.zones, ZoneRule::Preferred);
    }

    #[test]
    fn half_a_certificate_is_an_error() {
        let file: ConfigFile = toml::from_str("[rest]\ncertificate = \"/etc/bricklayer/rest.pem\"").unwrap();
        assert!(file.check().unwrap_err().contains("private_key"));
    }

    #[test]
    fn an_option_for_all_volumes_is_checked_at_the_start() {
        let file: ConfigFile = toml::from_str("[volumes]\noptions_last = [\"nfs.disable\"]").unwrap();
        assert!(file.check().unwrap_err().contains("nfs.disable"));
    }

    #[test]
    fn deleted_volumes_are_kept_only_where_it_says_so_and_for_a_time_with_a_unit() {
        let policy = |text| toml::from_str::<ConfigFile>(text).unwrap().policy();
        assert_eq!(policy("").unwrap().trash, crate::ops::TrashPolicy::default());
        let week = policy("[trash]\nkeep = \"7d\"").unwrap().trash;
        assert_eq!((week.keep, week.on_heketi_routes), (Some(jiff::SignedDuration::from_hours(168)), false));
        assert!(policy("[trash]\nkeep = \"7\"").unwrap_err().contains("\"7\""));
    }

    #[test]
    fn what_pools_may_have_is_checked_at_the_start() {
        let policy = |text| toml::from_str::<ConfigFile>(text).unwrap().policy();
        assert_eq!(policy("[pools]\nmost_factor = 1.5").unwrap().pools.most.to_string(), "1.5");
        assert!(policy("[pools]\nmost_factor = 0.5").unwrap_err().contains("pools.most_factor"));
        assert!(policy("[pools]\nstep_percent = 0").unwrap_err().contains("pools.step_percent"));
        assert!(policy("[pools]\nkeep_free_percent = 101").unwrap_err().contains("pools.keep_free_percent"));
    }

    #[test]
    fn nothing_is_mended_by_itself_unless_it_is_named() {
        let repair = |text| toml::from_str::<ConfigFile>(text).map(|file| file.policy().unwrap().repair);
        assert_eq!(repair("").unwrap(), RepairPolicy::default());
        let some = repair("repair = [\"mounts\", \"start-bricks\"]").unwrap();
        assert_eq!((some.mounts, some.fstab, some.start_bricks, some.heal), (true, false, true, false));
        assert!(repair("repair = [\"heal\"]").unwrap().heal);
        assert!(repair("repair = [\"everything\"]").is_err());
        let look = |text| toml::from_str::<ConfigFile>(text).unwrap().policy().unwrap().gluster_look;
        assert_eq!((look(""), look("ask_gluster_every_seconds = 0")), (None, None));
        assert_eq!(look("ask_gluster_every_seconds = 60"), Some(Duration::from_secs(60)));
        assert_eq!(look("repair = [\"fstab\"]"), Some(Duration::from_secs(30)));
        let blind = toml::from_str::<ConfigFile>("ask_gluster_every_seconds = 0\nrepair = [\"fstab\"]").unwrap();
        assert!(blind.policy().is_err());
    }

    #[test]
    fn no_volumes_at_all_is_not_what_zero_means() {
        let file: ConfigFile = toml::from_str("[placement]\nmost_volumes_per_cluster = 0").unwrap();
        assert_eq!(file.policy().unwrap().most_volumes_per_cluster, usize::MAX);
    }
}
