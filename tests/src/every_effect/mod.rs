//! One operation on a whole cluster, disturbed at each of its effects on each host: the coordinator killed, an agent, or
//! both, or the effect failed. Whatever it was, the queue id answers, and the operation is done or undone wholly.
//!
//! A [`Deed`] says what is asked for and what is true once it is done. [`play`] runs it undisturbed and counts the effects
//! of each host; [`tries`] makes the list of what goes wrong of that, and [`truths`] says what must be true after each,
//! of whatever deed. What was done or undone is taken away again, and then every host has to look as it did before: a
//! brick, a line of fstab or a mount point that nobody knows of any more would be left.
//!
//! Which host speaks to glusterd may differ from run to run, so a try may not meet its effect. That it did is never
//! waited for without the end of the operation beside it, and most tries have to.

mod tries;
mod truths;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use async_trait::async_trait;
use bricklayer_api::client::{Accepted, Client, ClientError, WorkResult};
use bricklayer_coordinator::ops::Policy;
use bricklayer_proto::ids::OperationId;
use bricklayer_proto::size::ByteSize;
use futures::future::{LocalBoxFuture, try_join_all};

pub use tries::{Extent, How, Try};
use truths::Before;

use crate::cluster::Cluster;
use crate::sim::{At, Call, Fault, Footprint};
use crate::story::{delete, done};

/// So many clusters share the tries of one deed: each waits most of the time.
const LANES: usize = 4;

/// An operation that is to be disturbed. It is asked for again and again on one cluster.
#[async_trait(?Send)]
pub trait Deed: Sized {
    /// Whether it waits for an agent that dies meanwhile. Else it may be undone for that.
    const WAITS: bool = true;

    /// So many hosts are disturbed, those with most effects first.
    const DISTURBED: usize = usize::MAX;

    /// What cannot be taken back without a person, who does so in [`Self::clear`].
    const NEEDS_A_PERSON: &'static [(Call, Fault)] = &[];

    /// Hosts, and what the deed needs to know of them.
    async fn set_up() -> anyhow::Result<(Cluster, Self)>;

    /// Makes what the deed is about.
    async fn prepare(&mut self, _cluster: &Cluster) -> anyhow::Result<()> {
        Ok(())
    }

    async fn ask(&self, client: &Client) -> anyhow::Result<Asked>;

    /// What has to be true when it is done. When it was undone, all has to be as it was before it was asked for.
    async fn is_done(&self, cluster: &Cluster) -> anyhow::Result<()>;

    /// Takes away what was prepared, and what was done if it was.
    async fn clear(&mut self, cluster: &Cluster, _done: bool) -> anyhow::Result<()> {
        delete_all(&cluster.client()?).await
    }

    /// What is compared of a host.
    fn seen(footprint: Footprint) -> Footprint {
        footprint
    }
}

/// What was taken on: its queue id, and the wait for its end.
pub struct Asked {
    operation: OperationId,
    wait: Box<dyn Fn(Client) -> LocalBoxFuture<'static, Result<(), ClientError>>>,
}

impl Asked {
    pub fn of<T: WorkResult + 'static>(accepted: Accepted<T>) -> anyhow::Result<Self> {
        let operation = accepted.operation().context("its queue id is no operation's")?;
        let accepted = Arc::new(accepted);
        let wait = Box::new(move |client: Client| {
            let accepted = Arc::clone(&accepted);
            Box::pin(async move { done_of(&client, &accepted).await }) as LocalBoxFuture<'static, _>
        });
        Ok(Self { operation, wait })
    }

    /// Waits until it has ended, through restarts of the coordinator.
    pub async fn end(&self, client: &Client) -> Result<(), ClientError> {
        (self.wait)(client.clone()).await
    }
}

async fn done_of<T: WorkResult>(client: &Client, accepted: &Accepted<T>) -> Result<(), ClientError> {
    client.wait(accepted, async |_| {}).await.map(drop)
}

/// What came of all tries of a deed.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub tried: u64,
    /// Those whose effect took place, and what it was.
    pub met: BTreeMap<&'static str, u64>,
    pub done: u64,
    pub undone: u64,
}

impl Tally {
    #[must_use]
    pub fn all_met(&self) -> u64 {
        self.met.values().sum()
    }

    fn add(&mut self, other: Self) {
        self.tried += other.tried;
        self.done += other.done;
        self.undone += other.undone;
        for (call, times) in other.met {
            *self.met.entry(call).or_default() += times;
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tried, done, undone, met } = self;
        write!(f, "{tried} tries, {done} done, {undone} undone, {} met: {met:?}", self.all_met())
    }
}

/// Disturbs the deed everywhere. An error names the seed by which the same is tried again (`EFFECTS_SEED`).
pub async fn play<D: Deed>() -> anyhow::Result<Tally> {
    play_some::<D>(Extent::from_environment()?).await
}

/// The same of another extent than the environment's.
pub async fn play_some<D: Deed>(extent: Extent) -> anyhow::Result<Tally> {
    let lanes = try_join_all((0..LANES).map(|lane| in_lane::<D>(lane, extent)));
    let mut tally = Tally::default();
    for of_lane in lanes.await.with_context(|| format!("EFFECTS_SEED={}", extent.seed))? {
        tally.add(of_lane);
    }
    ensure!(
        tally.all_met() * 4 >= tally.tried * 3,
        "too few tries met their effect, so this says little: {tally} (EFFECTS_SEED={})",
        extent.seed
    );
    Ok(tally)
}

/// The hosts on which a try is made until it meets its effect, its own first: the one that speaks to glusterd may be another now
/// than when the effects were counted.
fn by_chance(cluster: &Cluster, first: &str) -> Vec<String> {
    let mut hosts: Vec<String> = cluster.hosts().map(|host| host.name().to_string()).collect();
    hosts.sort_by_key(|host| host != first);
    hosts
}

async fn in_lane<D: Deed>(lane: usize, extent: Extent) -> anyhow::Result<Tally> {
    let (mut cluster, mut deed) = D::set_up().await.context("the hosts could not be set up")?;
    let empty = truths::footprints::<D>(&cluster);
    let mut counts = undisturbed(&cluster, &mut deed).await.context("undisturbed")?;
    counts.truncate(D::DISTURBED);
    truths::are_as_before::<D>(&cluster, &empty).context("undisturbed, after all was taken away")?;
    let mut tally = Tally::default();
    for one in extent.tries(&counts).into_iter().skip(lane).step_by(LANES) {
        let (mut met, mut done) = (None, false);
        for host in by_chance(&cluster, &one.host) {
            let one = Try { host, ..one.clone() };
            (met, done) = disturbed(&mut cluster, &mut deed, &one, &empty)
                .await
                .with_context(|| format!("{one}\n{}", log(&cluster, &one.host)))?;
            if met.is_some() {
                break;
            }
        }
        tally.tried += 1;
        *(if done { &mut tally.done } else { &mut tally.undone }) += 1;
        if let Some(call) = met {
            *tally.met.entry(call).or_default() += 1;
        }
    }
    Ok(tally)
}

/// How many effects each host sees where nothing goes wrong, the most first: the host that speaks to glusterd leads.
async fn undisturbed<D: Deed>(cluster: &Cluster, deed: &mut D) -> anyhow::Result<Vec<(String, u64)>> {
    deed.prepare(cluster).await.context("it could not be prepared")?;
    let client = cluster.client()?;
    cluster.hosts().for_each(|host| host.faults().count_anew());
    let asked = deed.ask(&client).await?;
    asked.end(&client).await?;
    let mut counts: Vec<_> = cluster.hosts().map(|host| (host.name().to_string(), host.faults().effects())).collect();
    counts.sort_by_key(|(_, effects)| std::cmp::Reverse(*effects));
    ensure!(counts.iter().any(|(_, effects)| *effects > 0), "it has no effect on any host");
    deed.is_done(cluster).await?;
    deed.clear(cluster, true).await?;
    Ok(counts)
}

/// One try, from the preparation to the empty hosts. The effect that was met, and whether the deed was done.
async fn disturbed<D: Deed>(
    cluster: &mut Cluster,
    deed: &mut D,
    one: &Try,
    empty: &BTreeMap<String, Footprint>,
) -> anyhow::Result<(Option<&'static str>, bool)> {
    deed.prepare(cluster).await.context("it could not be prepared")?;
    let before = Before::of::<D>(cluster).await?;
    let faults = cluster.host(&one.host).faults().clone();
    faults.count_anew();
    faults.inject(At::Effect(one.effect), one.how.fault());
    let client = cluster.client()?;
    let asked = deed.ask(&client).await.context("it was not taken on")?;
    let mut ending = (asked.wait)(client.clone());
    let mut result = None;
    if one.how.kills() {
        tokio::select! {
            () = faults.until_one_hangs() => {}
            ended = &mut ending => result = Some(ended),
        }
    } else {
        result = Some(ending.as_mut().await);
    }
    faults.clear();
    let met = faults.log().into_iter().find(|entry| entry.fault.is_some()).map(|entry| entry.call);
    if one.how.kills() && met.is_some() {
        if result.is_some() {
            // It had ended without what hangs.
            faults.until_one_hangs().await;
        }
        kill(cluster, one).await?;
    }
    let result = match result {
        Some(result) => result,
        None => ending.await,
    };
    cluster.until_all_able().await?;
    truths::has_ended(&client, asked.operation, &result).await?;
    let done = match &result {
        Ok(()) => {
            deed.is_done(cluster).await.context("it is told to be done")?;
            true
        }
        Err(error) => {
            let may_undo = one.how.may_undo() || (!D::WAITS && one.how.kills_agent());
            ensure!(may_undo, "this is no reason to undo it: {error}");
            ensure!(error.status() == Some(500), "its queue id does not tell of its failure: {error}");
            false
        }
    };
    cluster.until_ledger_is_lvms().await?;
    truths::nobody_is_an_orphan(cluster).await?;
    let needs_a_person = met.is_some_and(|call| D::NEEDS_A_PERSON.contains(&(call, one.how.fault())));
    if !done && !needs_a_person {
        before.is_all_as_before::<D>(cluster).await.with_context(|| format!("it was undone: {result:?}"))?;
    }
    deed.clear(cluster, done).await.context("it could not be taken away")?;
    truths::are_as_before::<D>(cluster, empty).context("after all was taken away")?;
    ensure!(cluster.sim.violations().is_empty(), "{:?}", cluster.sim.violations());
    Ok((met.map(Call::name), done))
}

/// Kills who is to be killed while the effect hangs, and starts them again.
async fn kill(cluster: &mut Cluster, one: &Try) -> anyhow::Result<()> {
    if one.how.kills_agent() {
        cluster.agent(&one.host).kill().await;
    }
    if one.how.kills_coordinator() {
        cluster.installation.kill_coordinator().await;
        cluster.host(&one.host).faults().release();
        cluster.installation.start_coordinator().await?;
    }
    if one.how.kills_agent() {
        cluster.agent(&one.host).start().await?;
    }
    Ok(())
}

fn log(cluster: &Cluster, host: &str) -> String {
    let log = cluster.host(host).faults().log();
    let effects = log.iter().filter(|entry| entry.call.is_effect() || entry.fault.is_some());
    effects.map(|entry| format!("    {entry}\n")).collect()
}

/// So many hosts with a disk of that size each, in one heketi cluster; with time for a killed program to come back on a
/// machine that has much else to do.
pub async fn hosts(number: usize, gib: u64, decide: impl FnOnce(&mut Policy) + Send) -> anyhow::Result<Cluster> {
    let cluster = bare_hosts(number, gib, decide).await?;
    cluster.load_topology().await?;
    Ok(cluster)
}

/// The same in no cluster of heketi's yet.
pub async fn bare_hosts(number: usize, gib: u64, decide: impl FnOnce(&mut Policy) + Send) -> anyhow::Result<Cluster> {
    let size = ByteSize::from_gib(gib).context("a size that fits")?;
    let decide = |policy: &mut Policy| {
        policy.absence = Duration::from_secs(30);
        decide(policy);
    };
    Cluster::start_with(number, 1, size, decide).await
}

/// Deletes every volume of every kind, those in the trash too.
pub async fn delete_all(client: &Client) -> anyhow::Result<()> {
    for id in client.block_volumes().await?.block_volumes {
        done(client, client.block_volume_delete(id).await?).await?;
    }
    for id in client.volumes().await?.volumes {
        delete(client, id).await?;
    }
    for volume in client.trash().await?.volumes {
        done(client, client.trash_end(volume.id).await?).await?;
    }
    Ok(())
}

impl Extent {
    /// As the environment says: `EFFECTS_SEED` for one that is known, `EFFECTS=all` for every way to fail.
    pub fn from_environment() -> anyhow::Result<Self> {
        let seed = match std::env::var("EFFECTS_SEED") {
            Ok(seed) => seed.parse().context("EFFECTS_SEED is a number")?,
            Err(_) => rand::random(),
        };
        Ok(Self { seed, all: std::env::var("EFFECTS").is_ok_and(|extent| extent == "all") })
    }
}

/// Ways to fail that are no reason to undo anything: what came of the effect is not known, and is looked at.
pub const UNKNOWN: [Fault; 3] =
    [Fault::TimesOutUndone, Fault::TimesOutDone, Fault::TimesOutThenDone(Duration::from_millis(30))];
