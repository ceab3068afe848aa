//! Random histories of whole clusters, in one thread and in simulated time: from a seed follow a cluster, what its
//! clients ask, and what goes wrong; when nothing goes wrong any more, everything has to come to rest within a bound,
//! and then the records, the hosts and what clients were told have to be one ([`truths`]).
//!
//! Real: the coordinator's state, operations, placement, registry, trust, reconciliation, its watch of thin pools and of the
//! trash, and the rebuild; the agents' executor, journal, engine and boot; the messages' way over the wire. Simulated: hosts
//! ([`crate::sim`]), the stores' disks ([`bricklayer_store::simulated`]), the connection ([`wire`]), time. Not in it: sled,
//! TLS, HTTP and what hands documents to hosts, which have tests of their own.
//!
//! Each program has a runtime of its own with a clock of its own, all on the thread of the history, which steps them in
//! turn: no thread, no socket and no real time decides anything, and ids come from the seed. So a seed plays the same
//! history again, as long as the code is the same. Read [`play`], then [`world`], [`wishes`], [`troubles`], [`truths`].

pub mod agent;
pub mod chance;
pub mod coordinator;
mod panics;
pub mod planted;
pub mod program;
mod rebuilt;
pub mod troubles;
pub mod truths;
pub mod wire;
pub mod wishes;
pub mod world;

use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::sync::OnceLock;

use bricklayer_coordinator::pki::{Clock, Trust};
use bricklayer_coordinator::state::SCHEMA;
use bricklayer_proto::ids::seeded;
use bricklayer_store::Store;
use bricklayer_store::simulated::Disk;

use self::planted::Planted;
use self::troubles::Trouble;
use self::wishes::{Theme, Wish};
use self::world::World;

/// A history that came to a good end.
#[derive(Debug, PartialEq, Eq)]
pub struct Told {
    /// What happened, a line each.
    pub history: Vec<String>,
    /// What the hosts were made to do, and how the operations ended.
    pub deeds: Vec<String>,
}

/// A history after which something is wrong.
#[derive(Debug)]
pub struct Broken {
    pub seed: u64,
    pub wrong: Vec<String>,
    pub told: Told,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}: after", self.seed)?;
        self.told.history.iter().try_for_each(|line| writeln!(f, "  {line}"))?;
        writeln!(f, "in which was done")?;
        self.told.deeds.iter().try_for_each(|line| writeln!(f, "  {line}"))?;
        writeln!(f, "this is wrong (seed {}):", self.seed)?;
        self.wrong.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}

/// Plays the history of a seed.
pub fn play(seed: u64, planted: Option<Planted>) -> Result<Told, Box<Broken>> {
    let (authority, founded) = installation();
    panics::watch();
    seeded::from_seed(Some(seed));
    let mut world = None;
    // A panic of a task is caught by its program. This one is of the history itself, and is told with its seed as well.
    let ended = panic::catch_unwind(AssertUnwindSafe(|| {
        let world = world.insert(World::new(seed, authority, founded, planted));
        world.settle_in();
        let theme = Theme::any(&mut world.chance);
        if theme == Theme::Adoption {
            world.make_by_hand();
        }
        world.keep_a_copy();
        happenings(world, theme);
        let mut wrong = rest(world);
        while wrong.is_empty() && world.can_lose_its_store() && world.chance.one_in(4) {
            // The store is lost, and what is made of the hosts' word has to do.
            world.rebuild();
            happenings(world, theme);
            wrong = rest(world);
        }
        (wrong, world.deeds())
    }));
    let history = world.as_mut().map(|world| std::mem::take(&mut world.history)).unwrap_or_default();
    // What its programs do as they are dropped is heard, too.
    drop(world);
    let met = panics::met();
    seeded::from_seed(None);
    let broken = |wrong, deeds| Box::new(Broken { seed, wrong, told: Told { history: history.clone(), deeds } });
    match ended {
        Ok((wrong, deeds)) if wrong.is_empty() && met.is_empty() => Ok(Told { history, deeds }),
        Ok((mut wrong, deeds)) => {
            wrong.extend(met.into_iter().map(|panic| format!("a task panicked: {panic}")));
            Err(broken(wrong, deeds))
        }
        Err(_) => {
            Err(broken(met.into_iter().map(|panic| format!("the history panicked: {panic}")).collect(), Vec::new()))
        }
    }
}

/// Everything comes to rest. What is wrong then.
fn rest(world: &mut World) -> Vec<String> {
    world.calm();
    world.mourn();
    // Where nothing waits for it, a person may as well leave it so.
    if world.is_stranded() || (world.has_no_room() && world.chance.one_in(2)) {
        world.bring_a_host();
        world.mourn();
        if world.has_no_room() {
            world.give_way();
            world.mourn();
        }
    }
    world.come_to_rest()
}

/// What is asked and what goes wrong, in turn and at random moments.
fn happenings(world: &mut World, theme: Theme) {
    assert!(!world.plants(Planted::Panic), "planted in the history itself");
    world.note(format_args!("most of it is about {theme:?}"));
    // Something to begin with, mostly.
    for _ in 0..world.chance.number(0..=2) {
        let wish = Wish::create(&mut world.chance);
        world.ask(wish);
        let pause = world.chance.millis(0..=1500);
        world.run_for(pause);
    }
    let (mut wishes, mut troubles) = (world.chance.number(1..=7), world.chance.number(0..=7));
    while wishes + troubles > 0 {
        if world.chance.number(1..=wishes + troubles) <= wishes {
            wishes -= 1;
            if let Some(wish) = world.wish(theme) {
                world.ask(wish);
            }
        } else {
            troubles -= 1;
            let (hosts, for_good) = (world.hosts(), theme == Theme::Hosts && world.can_lose_more());
            let trouble = Trouble::any(hosts, for_good, &mut world.chance);
            world.suffer(&trouble);
        }
        let pause = if world.chance.one_in(3) { world.chance.millis(0..=8000) } else { world.chance.millis(0..=300) };
        world.run_for(pause);
        world.write();
        if world.chance.one_in(4) {
            world.fill();
        }
    }
}

/// An authority and the store of its installation, made once for all histories: making keys takes longer than a history.
fn installation() -> (&'static std::path::Path, &'static Disk) {
    static MADE: OnceLock<(tempfile::TempDir, Disk)> = OnceLock::new();
    let (dir, disk) = MADE.get_or_init(|| {
        seeded::from_seed(Some(0));
        let (dir, disk) = (tempfile::tempdir().expect("a folder"), Disk::new());
        let store = Store::on(&disk, SCHEMA).expect("a new disk is sound");
        Trust::found(&store, &dir.path().join("authority"), &Clock::system()).expect("an installation can be made");
        (dir, disk)
    });
    static AUTHORITY: OnceLock<std::path::PathBuf> = OnceLock::new();
    (AUTHORITY.get_or_init(|| dir.path().join("authority")), disk)
}
