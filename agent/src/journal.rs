//! What this agent was asked and what came of it, kept over crashes and power cuts.
//!
//! A task is written down before its first effect, its outcome before anybody is told, and both stay until the
//! coordinator has acknowledged the outcome. Beside them: the highest epoch seen, which fences off a coordinator that
//! has been replaced, and a manifest of this host's bricks.
//!
//! The manifest is a memory, not an authority. What exists is what the tags on the disks say; the manifest alone can
//! say what *should* exist, so that a brick whose disk is gone is missed by name.

use std::collections::VecDeque;
use std::path::Path;

use bricklayer_proto::ids::{BrickId, DeviceId, TaskId, VolumeId};
use bricklayer_proto::names::{BrickPath, VolumeName};
use bricklayer_proto::task::{Outcome, Task};
use bricklayer_store::{Batch, OpenError, Schema, Store, StoreError, Table};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

const TASKS: Table<TaskId, Task> = Table::new("tasks");
const OUTCOMES: Table<TaskId, Outcome> = Table::new("outcomes");
const EPOCH: Table<(), u64> = Table::single("epoch");
const MANIFEST: Table<BrickId, ManifestBrick> = Table::new("manifest");

pub const SCHEMA: Schema = Schema { application: "bricklayer-agent", version: 1, migrations: &[] };

/// A brick that this agent brought about and has not removed since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestBrick {
    pub device: DeviceId,
    pub volume: VolumeId,
    pub volume_name: VolumeName,
    pub path: BrickPath,
}

/// What an outcome changes in the manifest; written in the same commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ManifestChange {
    None,
    Has(BrickId, Box<ManifestBrick>),
    Lost(BrickId),
}

/// How the journal takes a task that has arrived.
#[derive(Clone, Debug, PartialEq)]
pub enum Accepted {
    /// Never seen; written down now.
    New,
    /// Written down before, with no outcome: this agent, or its host, went down in the middle of it.
    Resume,
    /// Done before; this is the answer, now and for ever after.
    Done(Box<Outcome>),
    /// It comes from a coordinator that has been replaced. Nothing was written.
    Stale { seen: u64 },
    /// The id belongs to another task. Nothing was written.
    Conflict,
    /// Done, told and acknowledged before: this arrival is a late one. Nothing was written.
    Acknowledged,
}

/// Of this many tasks that were acknowledged last we know that they were, for arrivals that come after that. To carry
/// such a task out anew could make what was removed since. Those that come from before a restart are cut off by the end
/// of their connection.
const REMEMBERED: usize = 1024;

pub struct Journal {
    store: Store,
    /// Two arrivals of one task must not both find it new. Behind it the tasks that were acknowledged last, oldest first.
    accepting: Mutex<VecDeque<TaskId>>,
}

impl Journal {
    /// Blocks; sled reads its whole log.
    #[expect(clippy::result_large_err, reason = "a store is opened once per start")]
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        Ok(Self::of(Store::open(dir, SCHEMA)?))
    }

    /// In a store of [`SCHEMA`] that is open already.
    #[must_use]
    pub fn of(store: Store) -> Self {
        Self { store, accepting: Mutex::default() }
    }

    /// Durable when it returns.
    pub async fn accept(&self, task: &Task) -> Result<Accepted, StoreError> {
        let acknowledged = self.accepting.lock().await;
        let seen = self.epoch()?;
        if task.epoch < seen {
            return Ok(Accepted::Stale { seen });
        }
        if acknowledged.contains(&task.id) {
            return Ok(Accepted::Acknowledged);
        }
        let mut batch = Batch::new();
        if task.epoch > seen {
            batch.put(&EPOCH, &(), &task.epoch);
        }
        let accepted = if let Some(outcome) = self.store.get(&OUTCOMES, &task.id)? {
            Accepted::Done(Box::new(outcome))
        } else if let Some(known) = self.store.get(&TASKS, &task.id)? {
            // A repeat comes with the epoch of the coordinator's present start; the rest may not differ.
            if known.wanted != task.wanted || known.operation != task.operation {
                return Ok(Accepted::Conflict);
            }
            Accepted::Resume
        } else {
            batch.put(&TASKS, &task.id, task);
            Accepted::New
        };
        if !batch.is_empty() {
            self.store.commit(batch).await?;
        }
        Ok(accepted)
    }

    /// Notes the epoch of a coordinator that has greeted us, so that an older one is refused even before this one gives
    /// its first task. Answers the highest epoch seen.
    pub async fn greet(&self, epoch: u64) -> Result<u64, StoreError> {
        let _one_at_a_time = self.accepting.lock().await;
        let seen = self.epoch()?;
        if epoch > seen {
            let mut batch = Batch::new();
            batch.put(&EPOCH, &(), &epoch);
            self.store.commit(batch).await?;
        }
        Ok(seen.max(epoch))
    }

    /// Durable when it returns; only then may anybody be told.
    pub async fn finish(&self, outcome: &Outcome, change: ManifestChange) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        batch.put(&OUTCOMES, &outcome.task, outcome);
        match change {
            ManifestChange::None => {}
            ManifestChange::Has(brick, entry) => {
                batch.put(&MANIFEST, &brick, &*entry);
            }
            ManifestChange::Lost(brick) => {
                batch.remove(&MANIFEST, &brick);
            }
        }
        self.store.commit(batch).await.map(drop)
    }

    /// The coordinator has the outcome on its own disk. Also one that was not final, and so was never written down: it asks
    /// by another id from here on, and this one would lie here for ever.
    pub async fn acknowledge(&self, task: TaskId) -> Result<(), StoreError> {
        let mut acknowledged = self.accepting.lock().await;
        let finished = self.store.get(&OUTCOMES, &task)?.is_some();
        if finished {
            if acknowledged.len() >= REMEMBERED {
                acknowledged.pop_front();
            }
            acknowledged.push_back(task);
        }
        if !finished && self.store.get(&TASKS, &task)?.is_none() {
            return Ok(());
        }
        let mut batch = Batch::new();
        batch.remove(&TASKS, &task).remove(&OUTCOMES, &task);
        self.store.commit(batch).await.map(drop)
    }

    /// Tasks with no outcome. They go on when the coordinator asks again, and not before: it may have gone another way.
    pub fn unfinished(&self) -> Result<Vec<Task>, StoreError> {
        let tasks = self.store.scan(&TASKS)?;
        let mut unfinished = Vec::new();
        for (id, task) in tasks {
            if self.store.get(&OUTCOMES, &id)?.is_none() {
                unfinished.push(task);
            }
        }
        Ok(unfinished)
    }

    /// Outcomes that the coordinator has not acknowledged: to be told again.
    pub fn unacknowledged(&self) -> Result<Vec<Outcome>, StoreError> {
        Ok(self.store.scan(&OUTCOMES)?.into_iter().map(|(_, outcome)| outcome).collect())
    }

    /// The highest epoch seen; 0 before the first task.
    pub fn epoch(&self) -> Result<u64, StoreError> {
        Ok(self.store.get(&EPOCH, &())?.unwrap_or(0))
    }

    pub fn manifest(&self) -> Result<Vec<(BrickId, ManifestBrick)>, StoreError> {
        self.store.scan(&MANIFEST)
    }
}

#[cfg(test)]
mod tests {
    use bricklayer_proto::ids::OperationId;
    use bricklayer_proto::task::{Done, Report, Wanted};

    use super::*;

    fn task(id: u128, epoch: u64) -> Task {
        let wanted = Wanted::DeviceGone { device: DeviceId::from_u128(5) };
        Task { id: TaskId::from_u128(id), operation: OperationId::from_u128(9), epoch, wanted }
    }

    fn outcome(id: u128) -> Outcome {
        Outcome { task: TaskId::from_u128(id), result: Ok(Done { changed: true, report: Report::Nothing }) }
    }

    #[tokio::test]
    async fn a_task_that_was_cut_short_is_resumed_and_a_finished_one_is_answered() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path()).unwrap();
        assert_eq!(journal.accept(&task(1, 1)).await.unwrap(), Accepted::New);
        drop(journal);

        let journal = Journal::open(dir.path()).unwrap();
        assert_eq!(journal.unfinished().unwrap(), [task(1, 1)]);
        assert_eq!(journal.accept(&task(1, 1)).await.unwrap(), Accepted::Resume);
        journal.finish(&outcome(1), ManifestChange::None).await.unwrap();
        drop(journal);

        let journal = Journal::open(dir.path()).unwrap();
        assert_eq!(journal.unfinished().unwrap(), []);
        assert_eq!(journal.unacknowledged().unwrap(), [outcome(1)]);
        assert_eq!(journal.accept(&task(1, 2)).await.unwrap(), Accepted::Done(Box::new(outcome(1))));
    }

    #[tokio::test]
    async fn an_acknowledged_outcome_is_forgotten_and_its_task_is_not_carried_out_again() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path()).unwrap();
        journal.accept(&task(1, 1)).await.unwrap();
        journal.finish(&outcome(1), ManifestChange::None).await.unwrap();
        journal.acknowledge(TaskId::from_u128(1)).await.unwrap();
        assert_eq!(journal.unfinished().unwrap(), []);
        assert_eq!(journal.unacknowledged().unwrap(), []);
        assert_eq!(journal.accept(&task(1, 1)).await.unwrap(), Accepted::Acknowledged);
        assert_eq!(journal.unfinished().unwrap(), []);
    }

    /// A host that is away for weeks makes its peers answer "not yet" each minute, each time to another task.
    #[tokio::test]
    async fn a_task_whose_outcome_was_not_final_is_forgotten_when_that_is_acknowledged() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path()).unwrap();
        journal.accept(&task(1, 1)).await.unwrap();
        journal.acknowledge(TaskId::from_u128(1)).await.unwrap();
        assert_eq!(journal.unfinished().unwrap(), []);
        assert_eq!(journal.accept(&task(1, 1)).await.unwrap(), Accepted::New, "it may be asked for again");
    }

    #[tokio::test]
    async fn a_coordinator_that_has_been_replaced_is_refused_after_a_restart_too() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path()).unwrap();
        journal.accept(&task(1, 3)).await.unwrap();
        assert_eq!(journal.greet(7).await.unwrap(), 7);
        drop(journal);

        let journal = Journal::open(dir.path()).unwrap();
        assert_eq!(journal.accept(&task(2, 6)).await.unwrap(), Accepted::Stale { seen: 7 });
        assert_eq!(journal.unfinished().unwrap(), [task(1, 3)]);
        assert_eq!(journal.greet(2).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn an_id_that_names_two_tasks_is_a_conflict() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path()).unwrap();
        journal.accept(&task(1, 1)).await.unwrap();
        let other = Task { wanted: Wanted::DeviceGone { device: DeviceId::from_u128(6) }, ..task(1, 1) };
        assert_eq!(journal.accept(&other).await.unwrap(), Accepted::Conflict);
    }

    #[tokio::test]
    async fn the_manifest_changes_with_the_outcome() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path()).unwrap();
        let brick = BrickId::from_u128(4);
        let mount: bricklayer_proto::names::MountPoint = "/m/vg_a/brick_b".parse().unwrap();
        let entry = ManifestBrick {
            device: DeviceId::from_u128(5),
            volume: VolumeId::from_u128(6),
            volume_name: "vol_6".parse().unwrap(),
            path: mount.brick_path(),
        };
        journal.finish(&outcome(1), ManifestChange::Has(brick, Box::new(entry.clone()))).await.unwrap();
        assert_eq!(journal.manifest().unwrap(), [(brick, entry)]);
        journal.finish(&outcome(2), ManifestChange::Lost(brick)).await.unwrap();
        assert_eq!(journal.manifest().unwrap(), []);
    }
}
