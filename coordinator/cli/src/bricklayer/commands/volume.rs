//! `bricklayer volume`.

use std::process::ExitCode;

use bricklayer_api::client::{Change, ClientError};
use bricklayer_api::heketi::{
    BlockRestriction, BlockRestrictionRequest, Disperse, DurabilityKind, DurabilityRequest, Replicate, Snapshot,
    SnapshotFactor, VolumeCloneRequest, VolumeCreateRequest, VolumeExpandRequest, VolumeInfo,
};
use bricklayer_api::ids::VolumeId;
use bricklayer_api::size::{ByteSize, GIB};
use bricklayer_api::v1::{ProtectRequest, Provisioning};
use serde_json::json;

use super::{DONE, Done, Seen, Session, listed};
use crate::actions::{size_of, volumes};
use crate::bricklayer::args::common::{Output, Quick, Work};
use crate::bricklayer::args::{Command, DurabilityArg, VolumeCommand, VolumeCreate, VolumeWanted};
use crate::bricklayer::output::say;
use crate::bricklayer::refs::VolumeRef;
use crate::bricklayer::{REFUSED, tables, yaml};
use crate::error::CliError;
use crate::manifests::{self, Names};

/// What can be refused without a server.
pub(super) fn check(command: &Command) -> Result<(), CliError> {
    match command {
        Command::Volume(VolumeCommand::Create(create)) => check_durability(&create.wanted),
        Command::Volume(VolumeCommand::Explain { wanted, .. }) => check_durability(wanted),
        _ => Ok(()),
    }
}

impl Session {
    pub(super) async fn volume(&self, command: VolumeCommand) -> Done {
        match command {
            VolumeCommand::Clone { volume, name, work } => {
                let id = volume.find(&self.client).await?;
                let request = VolumeCloneRequest { name: name.map(|name| name.to_string()).unwrap_or_default() };
                let change = Change::volume_clone(id, &request)?;
                let Some(made) = self.work(&change, work, &format!("cloning {volume}")).await? else { return DONE };
                self.show_volume(work.output(), &made).await
            }
            VolumeCommand::Create(VolumeCreate { wanted, work }) => {
                let change = Change::volume_create(&create_request(&wanted))?;
                let Some(made) = self.work(&change, work, "creating the volume").await? else { return DONE };
                self.show_volume(work.output(), &made).await
            }
            VolumeCommand::Delete { volume, keep, work } => {
                let id = volume.find(&self.client).await?;
                let what = format!("deleting {volume}");
                let keep = keep.map(|seconds| format!("{seconds}s"));
                let change = Change::volume_delete_keeping(id, keep.as_deref())?;
                let Some(()) = self.work(&change, work, &what).await? else { return DONE };
                // The installation may have decided that it is kept.
                let kept = self.client.trash().await?.volumes.into_iter().find(|kept| kept.id == id);
                let text = match kept {
                    Some(kept) => format!(
                        "volume {volume} is in the trash until {:.0}; `bricklayer volume undelete {volume}` has it back",
                        kept.until
                    ),
                    None => format!("volume {volume} is deleted"),
                };
                self.tell(work.output(), &json!({ "deleted": id }), &text, &id)
            }
            VolumeCommand::Expand { volume, expand_size, to, work } => {
                let id = volume.find(&self.client).await?;
                let request = self.expand_request(id, expand_size, to).await?;
                let what = format!("expanding {volume}");
                let change = Change::volume_expand(id, request)?;
                let Some(grown) = self.work(&change, work, &what).await? else { return DONE };
                self.show_volume(work.output(), &grown).await
            }
            VolumeCommand::Explain { wanted, bundle, output } => {
                let request = create_request(&wanted);
                let told = match bundle {
                    None => self.ask(&Change::explain(&request)?, Quick::in_earnest(output)).await?,
                    Some(file) => self.bundle(Some(request), &file).await?,
                };
                let Some(told) = told else { return DONE };
                let names = || {
                    let bricks = told.placement.iter().flat_map(|placement| &placement.bricks);
                    bricks.map(|brick| format!("{}:{}", brick.node_name, brick.device_name)).collect()
                };
                self.show(output, &told, |_| tables::explanation(&told), names)?;
                if told.fits { DONE } else { Ok(ExitCode::from(REFUSED)) }
            }
            VolumeCommand::Heal { volume, look } => {
                let id = volume.find(&self.client).await?;
                self.look(look, async || {
                    let heal = self.client.heal(id).await?;
                    let pending = || {
                        let left = heal.bricks.iter().filter(|brick| !brick.online || brick.pending != Some(0));
                        left.map(|brick| brick.id.to_string()).collect()
                    };
                    self.show(look.output, &heal, |_| tables::heal(&heal), pending)?;
                    Ok(Seen { over: heal.healthy })
                })
                .await
            }
            VolumeCommand::Info { volume, look } => {
                let id = volume.find(&self.client).await?;
                self.look(look, async || {
                    self.show_volume(look.output, &self.client.volume(id).await?).await?;
                    Ok(Seen::SO_FAR)
                })
                .await
            }
            VolumeCommand::List { look } => {
                self.look(look, async || {
                    let volumes = volumes(&self.client).await?;
                    let names = || volumes.iter().map(|volume| volume.name.clone()).collect();
                    let answer = listed("volumes", &volumes);
                    self.show(look.output, &answer, |width| tables::volume_list(&volumes, width), names)?;
                    Ok(Seen::SO_FAR)
                })
                .await
            }
            VolumeCommand::Manifest { volume, namespace, name, json } => {
                let id = volume.find(&self.client).await?;
                let volume = self.client.volume(id).await?;
                if self.curl.is_some() {
                    return DONE;
                }
                let objects = manifests::static_use(&volume, &Names::of(&volume, &namespace, name.as_deref()))?;
                if json {
                    say(&format!("{}\n", serde_json::to_string_pretty(&manifests::list(objects))?))?;
                } else {
                    let documents = objects.iter().map(yaml::to_yaml).collect::<Result<Vec<_>, _>>()?;
                    say(&documents.join("---\n"))?;
                }
                DONE
            }
            VolumeCommand::Protect { volume, work } => self.protect(volume, true, work).await,
            VolumeCommand::Unprotect { volume, work } => self.protect(volume, false, work).await,
            VolumeCommand::Undelete { volume, work } => {
                let id = volume.find_in_trash(&self.client).await?;
                let what = format!("taking {volume} out of the trash");
                let Some(back) = self.work(&Change::volume_undelete(id)?, work, &what).await? else { return DONE };
                self.show_volume(work.output(), &back).await
            }
            VolumeCommand::Rebalance { volume, start, look } => {
                let id = volume.find(&self.client).await?;
                if start {
                    let quick = Quick::in_earnest(look.output);
                    let Some(started) = self.ask(&Change::volume_rebalance(id)?, quick).await? else { return DONE };
                    if look.watch.is_none() {
                        self.show(
                            look.output,
                            &started,
                            |_| tables::rebalance(&started),
                            || vec![started.state.to_string()],
                        )?;
                        return DONE;
                    }
                }
                self.look(look, async || {
                    let now = self.client.rebalance(id).await?;
                    self.show(look.output, &now, |_| tables::rebalance(&now), || vec![now.state.to_string()])?;
                    Ok(Seen { over: !now.state.is_running() })
                })
                .await
            }
            VolumeCommand::SetBlockHostingRestriction { restriction, volume, work } => {
                let id = volume.find(&self.client).await?;
                let restriction = BlockRestriction::from(restriction).as_str().to_owned();
                let change = Change::volume_set_block_restriction(id, &BlockRestrictionRequest { restriction })?;
                let what = format!("restricting {volume}");
                let Some(changed) = self.work(&change, work, &what).await? else { return DONE };
                self.show_volume(work.output(), &changed).await
            }
        }
    }

    /// A volume with the names of its nodes, where they can still be learnt and are going to be seen.
    async fn show_volume(&self, output: Output, volume: &VolumeInfo) -> Done {
        let mut found = Vec::new();
        if output.is_for_people() && self.curl.is_none() {
            for id in self.client.cluster(volume.cluster).await?.nodes {
                match self.client.node(id).await {
                    Ok(node) => found.push(node),
                    Err(ClientError::Refused { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        let names = || vec![volume.name.clone()];
        self.show(output, volume, |width| tables::volume_info(volume, &tables::node_names(&found), width), names)?;
        DONE
    }

    async fn protect(&self, volume: VolumeRef, protected: bool, work: Work) -> Done {
        let id = volume.find(&self.client).await?;
        let change = Change::volume_protect(id, ProtectRequest { protected })?;
        let what = format!("{} {volume}", if protected { "protecting" } else { "unprotecting" });
        let Some(changed) = self.work(&change, work, &what).await? else { return DONE };
        let says = if protected { "cannot be deleted any more" } else { "can be deleted" };
        self.tell(work.output(), &changed, &format!("volume {volume} {says}"), &changed.name)
    }

    async fn expand_request(
        &self,
        id: VolumeId,
        by: Option<ByteSize>,
        to: Option<ByteSize>,
    ) -> Result<VolumeExpandRequest, CliError> {
        let more = match (by, to) {
            (Some(more), _) => more,
            (None, Some(wanted)) => {
                let now = size_of(&self.client.volume(id).await?);
                match wanted.checked_sub(now) {
                    Some(more) if more > ByteSize::ZERO => more,
                    _ => {
                        return Err(CliError::refused(
                            format!("the volume has {now} already, and {wanted} is no more than that"),
                            "name a larger size; volumes are not made smaller",
                        ));
                    }
                }
            }
            (None, None) => return Err(CliError::usage("say how much larger the volume is to be")),
        };
        let (expand_size_gib, expand_size_bytes) = gib_and_bytes(more);
        Ok(VolumeExpandRequest { expand_size_gib, expand_size_bytes })
    }
}

/// A size as the API takes it: whole GiB by heketi's field alone, anything else by ours besides, with heketi's rounded
/// up.
pub(super) fn gib_and_bytes(size: ByteSize) -> (i64, i64) {
    // A size from the command line is at most `i64::MAX`.
    let gib = i64::try_from(size.bytes().div_ceil(GIB)).unwrap_or(i64::MAX);
    let bytes = i64::try_from(size.bytes()).unwrap_or(i64::MAX);
    if size.bytes().is_multiple_of(GIB) { (gib, 0) } else { (gib, bytes) }
}

/// Numbers of another durability than the chosen one would be ignored in silence.
fn check_durability(wanted: &VolumeWanted) -> Result<(), CliError> {
    let kind = DurabilityKind::from(wanted.durability);
    let flags = [
        ("--replica", wanted.replica.is_some(), DurabilityArg::Replicate),
        ("--arbiter", wanted.arbiter, DurabilityArg::Replicate),
        ("--disperse-data", wanted.disperse_data.is_some(), DurabilityArg::Disperse),
        ("--redundancy", wanted.redundancy.is_some(), DurabilityArg::Disperse),
    ];
    for (flag, given, of) in flags {
        if given && of != wanted.durability {
            return Err(CliError::Usage {
                what: format!("{flag} means nothing to a volume of durability {kind}"),
                cure: Some(format!("leave it out, or add --durability {}", DurabilityKind::from(of))),
            });
        }
    }
    if wanted.arbiter && wanted.replica.is_some_and(|replica| replica != 3) {
        return Err(CliError::Usage {
            what: "an arbiter is the third copy, so that --replica must be 3".to_owned(),
            cure: Some("leave --replica out".to_owned()),
        });
    }
    Ok(())
}

pub(super) fn create_request(wanted: &VolumeWanted) -> VolumeCreateRequest {
    let (mut replicate, mut disperse) = (Replicate::default(), Disperse::default());
    match wanted.durability {
        DurabilityArg::None => {}
        DurabilityArg::Replicate => replicate.replica = wanted.replica.unwrap_or(3),
        DurabilityArg::Disperse => {
            disperse = Disperse { data: wanted.disperse_data.unwrap_or(4), redundancy: wanted.redundancy.unwrap_or(2) };
        }
    }
    let (size_gib, size_bytes) = gib_and_bytes(wanted.size);
    let mut options = wanted.gluster_volume_options.clone();
    if wanted.arbiter {
        options.push("user.heketi.arbiter true".to_owned());
    }
    for (given, word) in [(wanted.thick, Provisioning::Thick), (wanted.thin, Provisioning::Thin)] {
        if given {
            options.push(format!("user.bricklayer.provisioning {}", word.as_str()));
        }
    }
    options.extend(wanted.pools_at_most.iter().map(|factor| format!("user.bricklayer.pools-at-most {factor}")));
    VolumeCreateRequest {
        size_gib,
        size_bytes,
        clusters: wanted.clusters.iter().map(ToString::to_string).collect(),
        name: wanted.name.as_ref().map(ToString::to_string).unwrap_or_default(),
        durability: DurabilityRequest {
            kind: DurabilityKind::from(wanted.durability).as_str().to_owned(),
            replicate,
            disperse,
        },
        gid: wanted.gid,
        gluster_volume_options: options,
        block: wanted.block,
        snapshot: wanted
            .snapshot_factor
            .map(|factor| Snapshot { enable: true, factor: SnapshotFactor(factor) })
            .unwrap_or_default(),
    }
}
