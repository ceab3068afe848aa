//! Every look-up against a walk through all records, after any sequence of changes.

use bricklayer_proto::inventory::BrickRole;
use bricklayer_proto::names::{HostName, VolumeName};
use bricklayer_proto::size::{ByteSize, ExtentSize};
use bricklayer_proto::space::Provisioning;
use bricklayer_proto::task::{Layout, VolumeKey};
use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::model::{
    AdminState, BlockAccess, BlockRestriction, DeviceRemove, DiskIdentity, Durability, LvNames, OpState, Plan,
    Snapshot, Tags, VolumeClone, VolumeCreate, VolumeDelete, VolumeExpand, Zone,
};

/// One change; the numbers say of what.
#[derive(Clone, Copy, Debug)]
struct Step {
    what: u8,
    at: u8,
    to: u8,
    size: u8,
}

fn some_steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0..14_u8, 0..8_u8, 0..4_u8, 0..200_u8).prop_map(|(what, at, to, size)| Step { what, at, to, size });
    prop::collection::vec(step, 1..60)
}

fn cluster(number: u8) -> ClusterId {
    ClusterId::from_u128(u128::from(number % 2))
}

fn device(number: u8) -> DeviceId {
    DeviceId::from_u128(u128::from(number % 6))
}

fn node(number: u8, step: Step) -> Node {
    let name: HostName = format!("m{number}").parse().unwrap();
    Node {
        id: NodeId::from_u128(number.into()),
        cluster: cluster(step.to),
        zone: Zone::new(1 + u32::from(step.size)).unwrap(),
        manage: vec![name.clone()],
        storage: vec![name],
        state: AdminState::Online,
        tags: Tags::new(),
        lost: false,
    }
}

fn record(step: Step) -> Device {
    let extents = |count: u8| Extents::new(count.into());
    Device {
        id: device(step.at),
        node: NodeId::from_u128(step.to.into()),
        name: "/dev/sdb".parse().unwrap(),
        pv_uuid: "6S7Fyk-dlbR-wBN5-fXrX-i2Zz-KdSU-vbr9jZ".parse().unwrap(),
        disk: DiskIdentity::default(),
        space: GroupSpace {
            seqno: 1,
            extent_size: ExtentSize::FOUR_MIB,
            total: extents(step.size),
            free: extents(step.size),
            spare: extents(step.size % 7),
        },
        foreign: extents(step.size % 5),
        state: AdminState::Online,
        tags: Tags::new(),
        lost: false,
        adopted: None,
        added: Timestamp::UNIX_EPOCH,
    }
}

fn brick(volume: u8, position: u8, step: Step) -> Brick {
    let size = step.size.wrapping_add(position * 41);
    let taken = |count: u8| Extents::new(count.into());
    Brick {
        id: BrickId::from_u128(u128::from(volume) << 8 | u128::from(position)),
        device: device(step.to + position),
        node: NodeId::from_u128(0),
        set: 0,
        position: position.into(),
        role: BrickRole::Data,
        asked: ByteSize::from_gib(1).unwrap(),
        space: match size % 4 {
            0 => BrickSpace::linear(taken(size)),
            _ => BrickSpace {
                provisioning: Provisioning::Thin,
                volume: taken(size),
                pool: taken(size),
                metadata: taken(size % 9),
            },
        },
        path: None,
        pool: None,
        names: LvNames::default(),
        adopted: false,
        generation: 1,
    }
}

fn volume(number: u8, step: Step) -> Volume {
    // Of two volumes of a cluster, each has the same name now and then.
    let name: VolumeName = format!("v{}", number % 3).parse().unwrap();
    Volume {
        id: VolumeId::from_u128(number.into()),
        name,
        cluster: cluster(step.to),
        size: ByteSize::from_gib(1).unwrap(),
        layout: Layout::Replicate { replica: 3 },
        durability: Durability::default(),
        gid: 0,
        options: Vec::new(),
        block: true,
        restriction: BlockRestriction::None,
        protected: false,
        trash: None,
        snapshot: Snapshot { enable: false, factor_milli: 1000 },
        bricks: (0..3).map(|position| brick(number, position, step)).collect(),
    }
}

fn block(step: Step) -> BlockVolume {
    BlockVolume {
        id: BlockVolumeId::from_u128(step.at.into()),
        name: "b".parse().unwrap(),
        cluster: cluster(step.to),
        hosting: VolumeKey { volume: VolumeId::from_u128(step.size.into()), name: "v".parse().unwrap() },
        size: ByteSize::from_gib(1).unwrap(),
        usable: ByteSize::from_gib(1).unwrap(),
        auth: false,
        preallocation: bricklayer_proto::block::Preallocation::Full,
        hosts: Vec::new(),
        access: BlockAccess::default(),
    }
}

fn begun(topology: &mut Topology, number: u8, plan: Plan) {
    let id = OperationId::from_u128(number.into());
    if !topology.unfinished.contains_key(&id) {
        topology.put_operation(Operation { id, ..Operation::begun(plan, jiff::Timestamp::UNIX_EPOCH) });
    }
}

/// Ends the operation of that number as `ops` does: done, or undone.
fn ended(topology: &mut Topology, number: u8, done: bool) {
    let Some(operation) = topology.unfinished.get(&OperationId::from_u128(number.into())).cloned() else { return };
    match (&operation.plan, done) {
        (Plan::VolumeCreate(VolumeCreate { volume }) | Plan::VolumeClone(VolumeClone { volume, .. }), true) => {
            topology.put_volume(volume.clone());
        }
        (Plan::VolumeExpand(expand), true) => topology.put_volume(expand.after.clone()),
        (Plan::VolumeExpand(expand), false) => topology.put_volume(expand.before.clone()),
        (Plan::VolumeDelete(delete), false) => topology.put_volume(delete.volume.clone()),
        (Plan::DeviceRemove(remove), _) => remove.held.iter().for_each(|brick| topology.release(brick)),
        (Plan::VolumeCreate(VolumeCreate { volume }) | Plan::VolumeClone(VolumeClone { volume, .. }), false)
        | (Plan::VolumeDelete(VolumeDelete { volume, .. }), true) => {
            volume.bricks.iter().for_each(|brick| topology.release(brick));
        }
        _ => {}
    }
    let state = OpState::Done { resource: None };
    topology.put_operation(Operation { state, ..Operation::clone(&operation) });
}

fn carry_out(topology: &mut Topology, step: Step) {
    let id = VolumeId::from_u128(step.at.into());
    let whole = topology.volumes.get(&id).map(|volume| Volume::clone(volume));
    let free = !topology.is_changing(id);
    match step.what {
        0 => topology.put_node(node(step.at % 4, step)),
        1 => topology.remove_node(NodeId::from_u128(u128::from(step.at % 4))),
        2 | 3 => topology.put_device(record(step)),
        4 => topology.remove_device(device(step.at)),
        5 if whole.is_none() && free => {
            begun(topology, step.at, Plan::VolumeCreate(VolumeCreate { volume: volume(step.at, step) }));
        }
        6 => ended(topology, step.at, true),
        7 => ended(topology, step.at, false),
        8 => {
            if let Some(volume) = whole.filter(|_| free) {
                topology.remove_volume(id);
                begun(topology, step.at, Plan::VolumeDelete(VolumeDelete { volume, parked: false }));
            }
        }
        9 => {
            if let Some(before) = whole.filter(|_| free) {
                let mut after = before.clone();
                for brick in &mut after.bricks {
                    brick.space.pool = Extents::new(brick.space.pool.count() + u64::from(step.size));
                    brick.space.metadata = Extents::new(brick.space.metadata.count() + u64::from(step.size % 3));
                }
                begun(topology, step.at, Plan::VolumeExpand(VolumeExpand { before, after }));
            }
        }
        10 => {
            let devices = vec![device(step.at), device(step.to)];
            // Of a volume number that no other step makes.
            let held = vec![brick(200 + step.at, 0, step)];
            let remove = DeviceRemove { node: None, devices, moves: Vec::new(), held, heal_check: true };
            begun(topology, 100 + step.at, Plan::DeviceRemove(remove));
        }
        11 => ended(topology, 100 + step.at, true),
        12 => topology.put_block_volume(block(step)),
        13 => topology.remove_block_volume(BlockVolumeId::from_u128(step.at.into())),
        _ => {}
    }
}

/// What there is after each of some changes.
pub fn snapshots() -> impl Strategy<Value = Vec<Topology>> {
    some_steps().prop_map(|steps| {
        let mut topology = Topology::default();
        let after = |step| {
            carry_out(&mut topology, step);
            topology.clone()
        };
        steps.into_iter().map(after).collect()
    })
}

/// The same records, each put once.
fn from_scratch(topology: &Topology) -> Topology {
    let mut anew = Topology::default();
    topology.nodes.values().for_each(|node| anew.put_node(Node::clone(node)));
    topology.devices.values().for_each(|device| anew.put_device(Device::clone(device)));
    topology.volumes.values().for_each(|volume| anew.put_volume(Volume::clone(volume)));
    topology.block_volumes.values().for_each(|block| anew.put_block_volume(BlockVolume::clone(block)));
    topology.operations.values().for_each(|operation| anew.put_operation(Operation::clone(operation)));
    // What operations hold beyond what they say stays held until they end.
    for brick in topology.bricks.values().flat_map(Map::values) {
        anew.reserve(&[Brick::clone(brick)]);
    }
    anew
}

/// As it would be found without any index.
mod plain {
    use super::*;

    pub fn free(topology: &Topology, device: &Device) -> (Extents, Extents) {
        let spaces = || topology.bricks.get(&device.id).into_iter().flat_map(|bricks| bricks.values().map(|b| b.space));
        let spare = spaces().map(|space| space.metadata).fold(device.space.spare, Extents::max);
        let taken = spaces().filter_map(|space| space.taken()).chain([device.foreign, spare]);
        let used = taken.map(|extents| extents.count()).sum();
        (Extents::new(device.space.total.count().saturating_sub(used)), spare)
    }

    pub fn bricks_of(topology: &Topology, device: DeviceId) -> Vec<(VolumeId, Brick)> {
        let bricks = topology.volumes.values().flat_map(|volume| volume.bricks.iter().map(|brick| (volume.id, brick)));
        bricks.filter(|(_, brick)| brick.device == device).map(|(id, brick)| (id, brick.clone())).collect()
    }

    pub fn name_is_taken(topology: &Topology, cluster: ClusterId, name: &str) -> bool {
        let coming = topology.unfinished.values().filter_map(|operation| operation.plan.volume());
        let mut all = topology.volumes.values().map(AsRef::as_ref).chain(coming);
        all.any(|volume| volume.cluster == cluster && volume.name.as_str() == name)
    }
}

fn ids<'a, T: 'a, I: Copy + Ord>(all: impl Iterator<Item = &'a Arc<T>>, id: impl Fn(&T) -> I) -> Vec<I> {
    all.map(|one| id(one)).collect()
}

fn holds_what_a_walk_finds(topology: &Topology) -> Result<(), TestCaseError> {
    for number in 0..6 {
        let id = device(number);
        let by = |plan: &Plan| plan.changes_device(id);
        prop_assert_eq!(topology.is_moving(id), topology.unfinished.values().any(|operation| by(&operation.plan)));
        let bricks: Vec<_> = topology.bricks_of(id).map(|(volume, brick)| (volume.id, brick.clone())).collect();
        prop_assert_eq!(bricks, plain::bricks_of(topology, id));
        if let Some(device) = topology.devices.get(&id) {
            prop_assert_eq!((topology.free(device), topology.spare(device)), plain::free(topology, device));
        }
    }
    for number in 0..8 {
        let id = VolumeId::from_u128(number.into());
        let by = |operation: &Arc<Operation>| operation.plan.changes_volume(id);
        prop_assert_eq!(topology.is_changing(id), topology.unfinished.values().any(by));
        let there = topology.block_volumes.values().filter(|block| block.hosting.volume == id);
        prop_assert_eq!(ids(topology.blocks_in(id), |block| block.id), ids(there, |block| block.id));
        for position in 0..3 {
            let brick = brick(number, position, Step { what: 0, at: 0, to: 0, size: 0 }).id;
            let plain = topology.volumes.values().find_map(|volume| volume.brick(brick));
            prop_assert_eq!(topology.brick(brick).map(|(_, brick)| brick), plain);
        }
        let node = NodeId::from_u128(number.into());
        let plain = topology.devices.values().filter(|device| device.node == node);
        prop_assert_eq!(ids(topology.devices_of(node), |device| device.id), ids(plain, |device| device.id));
    }
    for cluster in [cluster(0), cluster(1)] {
        let nodes = topology.nodes.values().filter(|node| node.cluster == cluster);
        prop_assert_eq!(ids(topology.nodes_of(cluster), |node| node.id), ids(nodes, |node| node.id));
        let volumes = topology.volumes.values().filter(|volume| volume.cluster == cluster);
        let volumes = ids(volumes, |volume| volume.id);
        prop_assert_eq!(topology.number_of_volumes(cluster), volumes.len());
        prop_assert_eq!(ids(topology.volumes_of(cluster), |volume| volume.id), volumes);
        let blocks = topology.block_volumes.values().filter(|block| block.cluster == cluster);
        prop_assert_eq!(ids(topology.blocks_of(cluster), |block| block.id), ids(blocks, |block| block.id));
        for name in ["v0", "v1", "v2"] {
            prop_assert_eq!(topology.name_is_taken(cluster, name), plain::name_is_taken(topology, cluster, name));
        }
        for host in topology.hosts_of(cluster) {
            let devices: Vec<_> = host.devices.iter().map(|hosted| hosted.device.id).collect();
            prop_assert_eq!(devices, ids(topology.devices_of(host.node.id), |device| device.id));
            for hosted in &host.devices {
                prop_assert_eq!((hosted.free, hosted.spare), plain::free(topology, &hosted.device));
                let mut changing = topology.changing_device(hosted.device.id);
                prop_assert_eq!(hosted.leaving, changing.any(|operation| operation.plan.empties_devices()));
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_look_up_finds_what_a_walk_through_all_finds(steps in some_steps()) {
        let mut topology = Topology::default();
        for step in steps {
            carry_out(&mut topology, step);
            holds_what_a_walk_finds(&topology)?;
        }
        prop_assert_eq!(&topology.index, &from_scratch(&topology).index);
    }

    /// Placement looks at a node again only where its host is another.
    #[test]
    fn a_host_that_two_snapshots_share_is_right_in_both(steps in some_steps()) {
        let mut topology = Topology::default();
        for step in steps {
            let before = topology.clone();
            carry_out(&mut topology, step);
            for cluster in [cluster(0), cluster(1)] {
                for host in topology.hosts_of(cluster) {
                    if let Some(old) = before.hosts_of(cluster).find(|old| old.node.id == host.node.id)
                        && Arc::ptr_eq(old, host)
                    {
                        let anew = from_scratch(&topology);
                        prop_assert_eq!(anew.hosts_of(cluster).find(|anew| anew.node.id == host.node.id), Some(host));
                    }
                }
            }
        }
    }
}

#[test]
fn what_lost_nodes_alone_have_is_kept_by_all_others_of_their_cluster_which_hear_of_each_change() {
    let step = |to: u8| Step { what: 0, at: 0, to, size: 8 };
    let mut topology = Topology::default();
    (0..4).for_each(|number| topology.put_node(node(number, step(number / 3))));
    (0..4).for_each(|at| topology.put_device(record(Step { at, ..step(0) })));
    topology.put_volume(volume(1, step(0)));
    let kept = |topology: &Topology| -> Vec<usize> {
        (0..4).map(|number| topology.volumes_kept_by(NodeId::from_u128(number)).len()).collect()
    };
    let heard = |topology: &mut Topology, change: &dyn Fn(&mut Topology)| -> Vec<bool> {
        topology.version += 1;
        change(topology);
        (0..4).map(|number| topology.volumes_changed(NodeId::from_u128(number)) == topology.version).collect()
    };
    assert_eq!(kept(&topology), [1, 0, 0, 0]);
    let lose =
        |number: u8| move |topology: &mut Topology| topology.put_node(Node { lost: true, ..node(number, step(0)) });
    assert_eq!(heard(&mut topology, &lose(0)), [true, true, true, false]);
    assert_eq!(kept(&topology), [1, 1, 1, 0]);
    let protect = |topology: &mut Topology| topology.put_volume(Volume { protected: true, ..volume(1, step(0)) });
    assert_eq!(heard(&mut topology, &protect), [true, true, true, false]);
    let come = |topology: &mut Topology| topology.put_node(node(5, step(0)));
    assert_eq!(heard(&mut topology, &come), [false; 4]);
    assert_eq!(topology.volumes_changed(NodeId::from_u128(5)), topology.version);
    let remove = |topology: &mut Topology| topology.remove_volume(VolumeId::from_u128(1));
    assert_eq!(heard(&mut topology, &remove), [true, true, true, false]);
    assert_eq!(kept(&topology), [0; 4]);
}
