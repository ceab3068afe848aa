//! An agent of a history: the real engine, executor and journal on a simulated host and a simulated disk, and the
//! session's rules (`session::attached`) on a simulated connection.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bricklayer_agent::engine::{Engine, Executor};
use bricklayer_agent::host::Host;
use bricklayer_agent::journal::{self, Journal};
use bricklayer_proto::ids::{NodeId, TaskId};
use bricklayer_proto::inventory::{AgentSeen, Inventory, Versions};
use bricklayer_proto::task::{Outcome, Task};
use bricklayer_proto::wire::{self, FromAgent, Hello, ToAgent};
use bricklayer_store::Store;
use bricklayer_store::simulated::Disk;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::planted::{Planted, second_effect};
use super::program::Program;
use super::wire::{AgentEnd, over_the_wire_down};
use crate::sim::SimHost;

const GREETING: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(300);
const BOOT_PATIENCE: Duration = Duration::from_secs(1);
const SETTLE: Duration = Duration::from_millis(500);
const INVENTORY: Duration = Duration::from_secs(10);
/// How often disks are read, and the processes of bricks looked for.
const DISKS: Duration = Duration::from_secs(3);

/// Starts the agent's program on what its host and its disk hold.
#[must_use]
pub fn start(
    host: SimHost,
    node: NodeId,
    disk: &Disk,
    dial: UnboundedSender<AgentEnd>,
    planted: Option<Planted>,
) -> Program {
    let program = Program::new();
    let disk = disk.clone();
    program.spawn(async move {
        let Ok(store) = Store::on(&disk, journal::SCHEMA) else { return };
        let Ok(journal) = Journal::of(store) else { return };
        let engine = Arc::new(Engine::new(Arc::new(host) as Arc<dyn Host>));
        // A host that does not answer is asked again, as systemd starts a failed service again.
        while let Ok(manifest) = journal.manifest() {
            match engine.boot(&manifest, BOOT_PATIENCE).await {
                Ok(_) => break,
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
        engine.clear_begun_spares(&journal.unfinished()).await;
        let executor = Executor::new(engine, Arc::new(journal));
        let mut seen_before = HashSet::new();
        loop {
            let mut session = Session { executor: &executor, node, planted, seen_before: &mut seen_before };
            // Every end of a session is followed by another one.
            let _ = session.attach(&dial).await;
            tokio::time::sleep(PAUSE).await;
        }
    });
    program
}

struct Session<'a> {
    executor: &'a Arc<Executor>,
    node: NodeId,
    planted: Option<Planted>,
    /// Tasks that have arrived once; for what is planted.
    seen_before: &'a mut HashSet<TaskId>,
}

impl Session<'_> {
    /// One attachment, until it ends.
    async fn attach(&mut self, dial: &UnboundedSender<AgentEnd>) -> anyhow::Result<()> {
        let host = self.executor.engine().host();
        let boot = host.boot().await?;
        let seen = AgentSeen {
            host_name: host.host_name().await?,
            boot: boot.id,
            up_seconds: Some(boot.up.as_secs()),
            versions: Versions::default(),
        };
        let journal = self.executor.journal();
        let hello = Hello { protocols: wire::PROTOCOLS, node: self.node, epoch: journal.epoch(), clock_ms: 0, seen };
        let (say, said) = unbounded_channel();
        let (tell, mut told) = unbounded_channel();
        say.send(FromAgent::Hello(hello))?;
        dial.send(AgentEnd { node: self.node, said, tell })?;
        let first = tokio::time::timeout(GREETING, told.recv()).await?;
        let Some(ToAgent::Welcome(welcome)) = first else { anyhow::bail!("no greeting") };
        let seen = journal.greet(welcome.epoch).await?;
        anyhow::ensure!(seen <= welcome.epoch, "a coordinator of an earlier start");
        let mut answered = HashSet::new();
        for outcome in journal.unacknowledged() {
            answered.insert(outcome.task);
            say.send(FromAgent::Outcome(Box::new(outcome)))?;
        }
        self.serve(&say, &mut told, answered).await
    }

    async fn serve(
        &mut self,
        say: &UnboundedSender<FromAgent>,
        told: &mut UnboundedReceiver<ToAgent>,
        mut answered: HashSet<TaskId>,
    ) -> anyhow::Result<()> {
        let mut tasks = JoinSet::<Outcome>::new();
        // As a session does it: what waits for its turn when this connection ends is not begun.
        let asked = CancellationToken::new();
        let _end = asked.clone().drop_guard();
        let mut changes = self.executor.changes();
        let mut last: Option<Inventory> = None;
        // All of it is told anew now and then, in case the coordinator missed something.
        let mut whole = tokio::time::interval(INVENTORY);
        let mut look_at = Instant::now();
        let watch = Arc::clone(self.executor.engine().watch());
        let mut seen = watch.changes();
        let mut disks = tokio::time::interval(DISKS);
        let mut glusterd = None;
        loop {
            tokio::select! {
                // In an order of ours, as the seed shall decide and not chance.
                biased;
                message = told.recv() => match message.map(over_the_wire_down) {
                    None => anyhow::bail!("the connection has ended"),
                    Some(ToAgent::Task(task)) => {
                        let known = !self.seen_before.insert(task.id);
                        if !answered.remove(&task.id) {
                            self.begin(&mut tasks, *task, known, asked.clone());
                        }
                    }
                    Some(ToAgent::Acknowledge(task)) => {
                        answered.remove(&task);
                        self.executor.journal().acknowledge(task).await?;
                    }
                    Some(_) => {}
                },
                Some(ended) = tasks.join_next() => if let Ok(outcome) = ended {
                    say.send(FromAgent::Outcome(Box::new(outcome)))?;
                },
                Ok(()) = changes.changed() => look_at = look_at.min(Instant::now() + SETTLE),
                () = sleep_until(look_at) => {
                    if let Ok(inventory) = self.executor.engine().inventory().await
                        && last.as_ref() != Some(&inventory)
                    {
                        say.send(FromAgent::Inventory { seen: Box::new(inventory.clone()), clock_ms: None })?;
                        last = Some(inventory);
                    }
                    let runs = self.executor.engine().host().gluster_is_running().await.unwrap_or_default();
                    let changed = glusterd.replace(runs).is_some_and(|before| before != runs);
                    look_at = Instant::now() + if changed { SETTLE } else { INVENTORY };
                }
                _ = disks.tick() => watch.look(0),
                Ok(()) = seen.changed() => look_at = look_at.min(Instant::now() + SETTLE),
                _ = whole.tick() => (last, look_at) = (None, Instant::now()),
            }
        }
    }

    fn begin(&self, tasks: &mut JoinSet<Outcome>, task: Task, known: bool, asked: CancellationToken) {
        let executor = Arc::clone(self.executor);
        let planted = self.planted == Some(Planted::SecondEffect) && known;
        tasks.spawn(async move {
            if planted && let Some(wanted) = second_effect(&task.wanted) {
                // What it makes belongs to nobody.
                let _ = executor.engine().carry_out(&wanted, &|_| {}).await;
            }
            executor.carry_out_while(task, asked).await
        });
    }
}
