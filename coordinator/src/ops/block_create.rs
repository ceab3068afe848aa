//! A block volume is made in a volume that hosts such, which is made first where none has room.
//!
//! The hosting volume is chosen by a rule and not by chance, as heketi did: the one with the most free space, and of
//! equals the one with the lowest id. What it gives is reserved in the same change of the state, so two creates never
//! count on the same GiB.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use bricklayer_proto::block::BlockSpec;
use bricklayer_proto::ids::{BlockVolumeId, ClusterId, OperationId, VolumeId};
use bricklayer_proto::names::{BlockName, HostName};
use bricklayer_proto::size::ByteSize;
use bricklayer_proto::task::{Layout, VolumeKey, Wanted};

use super::block_hosts::{self, NotServed};
use super::context::{Asker, Context, Run};
use super::step::{Stage, Step, StepError};
use super::volume_create::{self, VolumeWish};
use super::{Rejected, gluster};
use crate::model::{
    BlockAccess, BlockCreate, BlockVolume, Durability, Operation, Plan, Resource, Snapshot, Topology, Volume, most_gib,
};
use crate::state::Change;

/// The copies of a hosting volume that is made by itself.
const REPLICA: u32 = 3;

/// What a client asks for, checked field by field.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockWish {
    /// `blockvol_<id>` where it is not given.
    pub name: Option<BlockName>,
    /// Whole GiB.
    pub size: ByteSize,
    /// All clusters where it is empty.
    pub clusters: Vec<ClusterId>,
    /// By how many hosts it is to be exported; all that can where it is zero.
    pub ha: u32,
    pub auth: bool,
    /// The options of a hosting volume, should one be made for it.
    pub hosting_options: Vec<String>,
}

pub async fn submit(context: &Context, wish: BlockWish) -> Result<Operation, Rejected> {
    let id = BlockVolumeId::random();
    let name: BlockName = match &wish.name {
        Some(name) => name.clone(),
        None => format!("blockvol_{id}").parse()?,
    };
    context.greet(&wish.clusters).await;
    // Volumes in which somebody has made a block volume of that name by hand. It is not ours to touch.
    let mut taken: BTreeSet<VolumeId> = BTreeSet::new();
    loop {
        let choice = choose(context, &context.state.read(), &wish, &name, &taken)?;
        // A name that we made up is nobody else's.
        if let (Some(_), Hosting::There(volume)) = (&wish.name, &choice.hosting) {
            let key = block(context, &wish, id, name.clone(), &choice).key();
            let seen = block_hosts::seen(context, &Asker::onlooker(), choice.cluster, key).await;
            if seen.map_err(|error| Rejected::NotSeen(error.to_string()))?.is_some() {
                tracing::warn!(volume.name = %volume.name, block.name = %name, "A block volume of this name is in the volume and not in the records.");
                taken.insert(volume.volume);
                continue;
            }
        }
        let begun = context.state.change(|change| {
            let now = choose(context, change, &wish, &name, &taken)?;
            // Somebody was quicker: what was looked at is not what it would be.
            if wish.name.is_some() && now.hosting.place() != choice.hosting.place() {
                return Ok(None);
            }
            let plan =
                BlockCreate { block: block(context, &wish, id, name.clone(), &now), hosting: now.hosting.made() };
            let operation = Operation::begun(Plan::BlockCreate(plan), context.clock.now());
            change.put_operation(operation.clone());
            Ok::<_, Rejected>(Some(operation))
        });
        if let Some(operation) = begun.await? {
            return Ok(operation);
        }
    }
}

struct Choice {
    cluster: ClusterId,
    hosting: Hosting,
    hosts: Vec<HostName>,
}

enum Hosting {
    There(VolumeKey),
    ToBeMade(Box<Volume>),
}

impl Hosting {
    fn key(&self) -> VolumeKey {
        match self {
            Self::There(key) => key.clone(),
            Self::ToBeMade(volume) => volume.key(),
        }
    }

    /// The volume that is there; one to be made has another id at each choice.
    fn place(&self) -> Option<VolumeId> {
        match self {
            Self::There(key) => Some(key.volume),
            Self::ToBeMade(_) => None,
        }
    }

    fn made(self) -> Option<Volume> {
        match self {
            Self::There(_) => None,
            Self::ToBeMade(volume) => Some(*volume),
        }
    }
}

fn block(context: &Context, wish: &BlockWish, id: BlockVolumeId, name: BlockName, choice: &Choice) -> BlockVolume {
    BlockVolume {
        id,
        name,
        cluster: choice.cluster,
        hosting: choice.hosting.key(),
        size: wish.size,
        usable: wish.size,
        auth: wish.auth,
        preallocation: context.policy.block.preallocation,
        hosts: choice.hosts.clone(),
        access: BlockAccess::default(),
    }
}

fn choose(
    context: &Context,
    topology: &Topology,
    wish: &BlockWish,
    name: &BlockName,
    taken: &BTreeSet<VolumeId>,
) -> Result<Choice, Rejected> {
    let mut clusters = volume_create::candidates_of(topology, &wish.clusters)?;
    clusters.retain(|id| topology.clusters.get(id).is_some_and(|cluster| cluster.block));
    let served = |cluster: ClusterId| block_hosts::choose(context, topology, cluster, wish.ha);
    // Told before anything else: without the program nothing of what follows matters.
    let mut not_served: Vec<(ClusterId, NotServed)> = Vec::new();
    clusters.retain(|cluster| served(*cluster).map_err(|why| not_served.push((*cluster, why))).is_ok());
    if clusters.is_empty() && !not_served.is_empty() {
        return Err(Rejected::BlockNotServed(not_served));
    }

    let fits = |volume: &&Arc<Volume>| {
        volume.block
            && volume.restriction.is_none()
            && clusters.contains(&volume.cluster)
            && !taken.contains(&volume.id)
            && !name_is_taken(topology, volume.id, name)
            && topology.hosting_space(volume).free >= wish.size.whole_gib()
    };
    // Volumes come by id, and of equals the first is taken.
    let emptiest =
        topology.volumes.values().filter(fits).min_by_key(|volume| Reverse(topology.hosting_space(volume).free));
    let (cluster, hosting) = match emptiest {
        Some(volume) => (volume.cluster, Hosting::There(volume.key())),
        None => {
            let volume = hosting_volume(context, topology, wish, clusters)?;
            (volume.cluster, Hosting::ToBeMade(Box::new(volume)))
        }
    };
    let hosts = served(cluster).map_err(|why| Rejected::BlockNotServed(vec![(cluster, why)]))?;
    Ok(Choice { cluster, hosting, hosts })
}

/// Within one volume a name is used once.
fn name_is_taken(topology: &Topology, hosting: VolumeId, name: &BlockName) -> bool {
    topology.blocks_in(hosting).any(|block| block.name == *name)
        || topology.blocks_changing_in(hosting).any(|(key, _)| key.name == *name)
}

/// A new volume to host block volumes, if the installation makes such by itself.
fn hosting_volume(
    context: &Context,
    topology: &Topology,
    wish: &BlockWish,
    clusters: Vec<ClusterId>,
) -> Result<Volume, Rejected> {
    let policy = &context.policy.block;
    let most = most_gib(policy.hosting_size);
    if wish.size.whole_gib() > most {
        return Err(Rejected::BlockTooLarge { size: wish.size, most, hosting: policy.hosting_size });
    }
    let coming = |plan: &Plan| match plan {
        Plan::BlockCreate(BlockCreate { hosting: Some(volume), .. }) => clusters.contains(&volume.cluster),
        Plan::VolumeCreate(create) => create.volume.block && clusters.contains(&create.volume.cluster),
        _ => false,
    };
    if topology.unfinished.values().any(|operation| coming(&operation.plan)) {
        return Err(Rejected::HostingVolumeComing);
    }
    if !policy.create_hosting_volumes {
        return Err(Rejected::NoHostingVolume);
    }
    let durability = Durability { kind: "replicate".to_owned(), replica: REPLICA.into(), ..Durability::default() };
    let volume = VolumeWish {
        name: None,
        size: policy.hosting_size,
        // None is left where no cluster takes block volumes: then the refusal says so of each.
        clusters: if clusters.is_empty() { wish.clusters.clone() } else { clusters },
        layout: Layout::Replicate { replica: REPLICA },
        durability,
        gid: 0,
        options: wish.hosting_options.clone(),
        block: true,
        snapshot: Snapshot { enable: false, factor_milli: 1000 },
    };
    volume_create::planned(context, topology, volume)
}

pub fn stages(context: &Context, operation: OperationId, plan: &BlockCreate) -> Vec<Stage> {
    let hosting = plan.hosting.iter().flat_map(|volume| volume_create::stages(context, operation, volume));
    let create = CreateBlock { block: plan.block.clone(), hosting_is_new: plan.hosting.is_some() };
    hosting.chain([Stage::one(create)]).collect()
}

pub fn finish(change: &mut Change, run: &Run, plan: &BlockCreate) -> Result<Option<Resource>, StepError> {
    let report = run.block()?;
    if let Some(volume) = &plan.hosting {
        volume_create::finish(change, run, volume)?;
    }
    let usable = report.usable();
    let access = BlockAccess { iqn: report.iqn, lun: report.lun, username: report.username, password: report.password };
    let id = plan.block.id;
    change.put_block_volume(BlockVolume { hosts: report.hosts, usable, access, ..plan.block.clone() });
    Ok(Some(Resource::BlockVolume(id)))
}

pub fn undone(change: &mut Change, plan: &BlockCreate) {
    if let Some(volume) = &plan.hosting {
        change.release(&volume.bricks);
    }
}

struct CreateBlock {
    block: BlockVolume,
    /// The volume that hosts it is made by the same operation.
    hosting_is_new: bool,
}

#[async_trait]
impl Step for CreateBlock {
    fn name(&self) -> String {
        format!("create block volume {} in volume {}", self.block.name, self.block.hosting.name)
    }

    async fn run(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        let spec = BlockSpec {
            key: self.block.key(),
            size: self.block.size,
            hosts: self.block.hosts.clone(),
            auth: self.block.auth,
            preallocation: self.block.preallocation,
        };
        let wanted = Wanted::BlockCreated(spec);
        let done = block_hosts::ask(context, &run.asker(), self.block.cluster, wanted).await?;
        let missing = || StepError::Missing("how initiators reach the block volume".to_owned());
        run.learn_block(block_hosts::block_report(done.report)?.ok_or_else(missing)?);
        Ok(())
    }

    async fn undo(&self, context: &Context, run: &Run) -> Result<(), StepError> {
        // `gluster-block` says nothing of a volume that does not run. A new one that could not be started has nothing in it,
        // and goes next.
        if self.hosting_is_new {
            let key = self.block.hosting.clone();
            let hosting = gluster::seen(context, &run.asker(), self.block.cluster, key).await?;
            if !hosting.is_some_and(|hosting| hosting.started) {
                return Ok(());
            }
        }
        let wanted = Wanted::BlockGone(self.block.key());
        block_hosts::ask(context, &run.asker(), self.block.cluster, wanted).await?;
        Ok(())
    }
}
