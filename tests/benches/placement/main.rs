//! How long placement takes, from a snapshot of the topology to the bricks or the refusal: `docs/benchmarks.md`.
//!
//! Each iteration takes a snapshot that differs from the one before it by one volume of three bricks, as it does in a
//! coordinator that is making volumes.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot make its world has nothing to measure")]

mod world;

use bricklayer_coordinator::model::Topology;
use bricklayer_coordinator::ops::{candidates, pool};
use bricklayer_coordinator::placement::{self, OverCommit, ReplaceWish, Reserve, SetRules, Wish, ZoneRule};
use bricklayer_proto::inventory::BrickRole;
use bricklayer_proto::size::ByteSize;
use bricklayer_proto::space::Provisioning;
use bricklayer_proto::task::Layout;
use divan::Bencher;

use self::world::{CLUSTER, Shape, World};

fn main() {
    divan::main();
}

const SMALL: Shape = Shape { nodes: 100, devices: 10, bricks: 10_000 };
const LARGE: Shape = Shape { nodes: 1000, devices: 20, bricks: 100_000 };
const SHAPES: [Shape; 6] = [
    Shape { bricks: 1000, ..SMALL },
    SMALL,
    Shape { bricks: 100_000, ..SMALL },
    Shape { bricks: 1000, ..LARGE },
    Shape { bricks: 10_000, ..LARGE },
    LARGE,
];

fn wish(gib: u64, layout: Layout) -> Wish {
    Wish::new(ByteSize::from_gib(gib).unwrap(), layout)
}

const REPLICA_3: Layout = Layout::Replicate { replica: 3 };

fn with_snapshots<T>(bencher: Bencher<'_, '_>, world: &World, what: impl Fn(&Topology) -> T + Sync) {
    // The first look at a cluster is its own benchmark.
    what(world.snapshot());
    bencher.with_inputs(|| world.snapshot()).bench_values(what);
}

/// One volume of one set.
#[divan::bench(args = SHAPES)]
fn place_replica_3(bencher: Bencher<'_, '_>, shape: Shape) {
    let world = World::of(shape);
    let wish = wish(10, REPLICA_3);
    with_snapshots(bencher, world, |topology| {
        placement::place_in(&wish, &pool(&world.context, topology, CLUSTER)).unwrap()
    });
}

/// Two sets of three bricks, of which one is an arbiter.
#[divan::bench(args = [SMALL, LARGE])]
fn place_two_sets_with_arbiters(bencher: Bencher<'_, '_>, shape: Shape) {
    let world = World::of(shape);
    let wish = wish(6000, Layout::Arbiter);
    with_snapshots(bencher, world, |topology| {
        placement::place_in(&wish, &pool(&world.context, topology, CLUSTER)).unwrap()
    });
}

/// Where one brick moves to.
#[divan::bench(args = [SMALL, LARGE])]
fn replace(bencher: Bencher<'_, '_>, shape: Shape) {
    let world = World::of(shape);
    let (brick, others) = world.some_brick();
    let wish = ReplaceWish {
        layout: REPLICA_3,
        role: BrickRole::Data,
        asked: brick.asked,
        snapshot_factor_milli: 1000,
        zones: ZoneRule::Preferred,
        tag_match: None,
        set_rules: SetRules::default(),
        over_commit: OverCommit::NONE,
        provisioning: Provisioning::Thin,
        from: brick.device,
        others,
        to: None,
        reserve: Reserve::NONE,
    };
    with_snapshots(bencher, world, |topology| {
        placement::replace_in(&wish, &pool(&world.context, topology, CLUSTER)).unwrap()
    });
}

/// A refusal with all its reasons: more than the cluster can ever hold.
#[divan::bench(args = [SMALL, LARGE])]
fn refuse_replica_3(bencher: Bencher<'_, '_>, shape: Shape) {
    let world = World::of(shape);
    let wish = wish(1_000_000, REPLICA_3);
    with_snapshots(bencher, world, |topology| {
        placement::place_in(&wish, &pool(&world.context, topology, CLUSTER)).unwrap_err()
    });
}

#[divan::bench(args = [SMALL, LARGE])]
fn refuse_arbiter(bencher: Bencher<'_, '_>, shape: Shape) {
    let world = World::of(shape);
    let wish = wish(1_000_000, Layout::Arbiter);
    with_snapshots(bencher, world, |topology| {
        placement::place_in(&wish, &pool(&world.context, topology, CLUSTER)).unwrap_err()
    });
}

/// A refusal with all that would make it fit: single changes, and two at once.
#[divan::bench(args = [SMALL, LARGE])]
fn explain_a_refusal(bencher: Bencher<'_, '_>, shape: Shape) {
    let world = World::of(shape);
    let wish = Wish { zones: ZoneRule::Strict, snapshot_factor_milli: 1500, ..wish(1_000_000, REPLICA_3) };
    with_snapshots(bencher, world, |topology| {
        let pool = pool(&world.context, topology, CLUSTER);
        placement::place_in(&wish, &pool).unwrap_err().explained_in(&pool)
    });
}

/// One volume of one set, whose bricks share one tag and have different values of another.
#[divan::bench(args = [SMALL, LARGE])]
fn place_by_a_policy(bencher: Bencher<'_, '_>, shape: Shape) {
    let world = World::of(shape);
    let tags = ["same:row", "different:rack"].map(|rule| rule.parse().unwrap());
    let wish = Wish { set_rules: SetRules { most_per_zone: None, tags: tags.into() }, ..wish(10, REPLICA_3) };
    with_snapshots(bencher, world, |topology| {
        placement::place_in(&wish, &pool(&world.context, topology, CLUSTER)).unwrap()
    });
}

/// The text of a refusal, as heketi's clients get it.
#[divan::bench(args = [SMALL, LARGE])]
fn refusal_in_words(bencher: Bencher<'_, '_>, shape: Shape) {
    let world = World::of(shape);
    let pool = pool(&world.context, world.snapshot(), CLUSTER);
    let refusal = placement::place_in(&wish(1_000_000, REPLICA_3), &pool).unwrap_err();
    bencher.bench(|| refusal.to_string());
}

/// The devices of a cluster that was looked at before, after one volume more.
#[divan::bench(args = [SMALL, LARGE])]
fn renew_pool(bencher: Bencher<'_, '_>, shape: Shape) {
    let world = World::of(shape);
    with_snapshots(bencher, world, |topology| pool(&world.context, topology, CLUSTER));
}

/// All devices of a cluster, made anew.
#[divan::bench(args = [SMALL, LARGE])]
fn build_candidates(bencher: Bencher<'_, '_>, shape: Shape) {
    let world = World::of(shape);
    with_snapshots(bencher, world, |topology| candidates(&world.context, topology, CLUSTER));
}
