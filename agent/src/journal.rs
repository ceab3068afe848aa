//! What this agent was asked and what came of it, kept over crashes and power cuts.
//!
//! A task is written down before its first effect, its outcome before anybody is told, and both stay until the
//! coordinator has acknowledged the outcome. Beside them: the highest epoch seen, which fences off a coordinator that
//! has been replaced, and a manifest of this host's bricks.
//!
//! The manifest is a memory, not an authority. What exists is what the tags on the disks say; the manifest alone can
//! say what *should* exist, so that a brick whose disk is gone is missed by name.
//!
//! Of one thing the disk cannot say whose it is: a physical volume whose group has just been removed. So the physical volume
//! of a condemned group is written down here before the group goes, and stays until it is gone as well.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::sync::{MutexGuard, PoisonError};

use bricklayer_proto::ids::{BrickId, DeviceId, TaskId, VolumeId};
use bricklayer_proto::names::{BrickPath, DevicePath, PvUuid, VolumeName};
use bricklayer_proto::task::{Outcome, Task};
use bricklayer_store::{Batch, OpenError, Schema, Store, StoreError, Table};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

const TASKS: Table<TaskId, Task> = Table::new("tasks");
const OUTCOMES: Table<TaskId, Outcome> = Table::new("outcomes");
const EPOCH: Table<(), u64> = Table::single("epoch");
const MANIFEST: Table<BrickId, ManifestBrick> = Table::new("manifest");
const DOOMED: Table<DeviceId, Doomed> = Table::new("doomed");

pub const SCHEMA: Schema = Schema { application: "bricklayer-agent", version: 1, migrations: &[] };

/// A brick that this agent brought about and has not removed since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestBrick {
    pub device: DeviceId,
    pub volume: VolumeId,
    pub volume_name: VolumeName,
    pub path: BrickPath,
}

/// The physical volume of a condemned group of ours that is being removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doomed {
    pub physical_volume: PvUuid,
    /// Where it was then.
    pub disk: DevicePath,
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

/// Why a journal is not there to be written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Read(#[from] StoreError),
}

pub struct Journal {
    store: Store,
    /// Nobody is told of an epoch that another greeting is still writing down.
    greeting: Mutex<()>,
    /// What the store has, the manifest aside: few records, which every task asks for.
    known: std::sync::Mutex<Known>,
}

#[derive(Default)]
struct Known {
    epoch: u64,
    tasks: BTreeMap<TaskId, Task>,
    /// Those of them that are not on the disk yet.
    unwritten: BTreeSet<TaskId>,
    outcomes: BTreeMap<TaskId, Outcome>,
    /// Forgotten here, and still in the store: they go with the next commit. Whoever finds them there after a crash tells
    /// an outcome once more, which does no harm.
    acknowledged: Vec<TaskId>,
    /// The tasks with a final outcome that were acknowledged last, oldest first.
    remembered: VecDeque<TaskId>,
}

impl Known {
    /// A commit that fails is the last one that the store takes, so nothing has to be put back.
    fn forget_acknowledged(&mut self, batch: &mut Batch) {
        for task in std::mem::take(&mut self.acknowledged) {
            batch.remove(&TASKS, &task).remove(&OUTCOMES, &task);
        }
    }
}

/// Of this many tasks that were acknowledged last we know that they were, for arrivals that come after that. To carry
/// such a task out anew could make what was removed since. Those that come from before a restart are cut off by the end
/// of their connection.
const REMEMBERED: usize = 1024;

/// So many acknowledged outcomes are worth a commit of their own.
const ACKNOWLEDGED: usize = 64;

impl Journal {
    /// Blocks; sled reads its whole log.
    #[expect(clippy::result_large_err, reason = "a store is opened once per start")]
    pub fn open(dir: &Path) -> Result<Self, JournalError> {
        Self::of(Store::open(dir, SCHEMA)?).map_err(Into::into)
    }

    /// In a store of [`SCHEMA`] that is open already.
    pub fn of(store: Store) -> Result<Self, StoreError> {
        let known = Known {
            epoch: store.get(&EPOCH, &())?.unwrap_or(0),
            tasks: store.scan(&TASKS)?.into_iter().collect(),
            outcomes: store.scan(&OUTCOMES)?.into_iter().collect(),
            ..Known::default()
        };
        Ok(Self { store, greeting: Mutex::new(()), known: std::sync::Mutex::new(known) })
    }

    /// Durable when it returns. Tasks that arrive together share a commit.
    pub async fn accept(&self, task: &Task) -> Result<Accepted, StoreError> {
        if task.epoch > self.epoch() {
            // Of a coordinator that never greeted: durable before anything that it asks for is.
            self.greet(task.epoch).await?;
        }
        let (accepted, written) = {
            let mut known = self.known();
            if task.epoch < known.epoch {
                return Ok(Accepted::Stale { seen: known.epoch });
            }
            if known.remembered.contains(&task.id) {
                return Ok(Accepted::Acknowledged);
            }
            let mut batch = Batch::new();
            let accepted = if let Some(outcome) = known.outcomes.get(&task.id) {
                return Ok(Accepted::Done(Box::new(outcome.clone())));
            } else if let Some(before) = known.tasks.get(&task.id) {
                // A repeat comes with the epoch of the coordinator's present start; the rest may not differ.
                if before.wanted != task.wanted || before.operation != task.operation {
                    return Ok(Accepted::Conflict);
                }
                if !known.unwritten.contains(&task.id) {
                    return Ok(Accepted::Resume);
                }
                // Its first arrival is still on its way to the disk.
                Accepted::Resume
            } else {
                known.forget_acknowledged(&mut batch);
                Accepted::New
            };
            batch.put(&TASKS, &task.id, task);
            // Queued while nobody else may look, so that the store writes in the order of what is known.
            let written = self.store.enqueue(batch)?;
            known.tasks.insert(task.id, task.clone());
            known.unwritten.insert(task.id);
            (accepted, written)
        };
        written.await?;
        self.known().unwritten.remove(&task.id);
        Ok(accepted)
    }

    /// Whether the task was written down before and is not done with.
    #[must_use]
    pub fn knows(&self, task: TaskId) -> bool {
        let known = self.known();
        known.tasks.contains_key(&task) || known.outcomes.contains_key(&task) || known.remembered.contains(&task)
    }

    /// Notes the epoch of a coordinator that has greeted us, so that an older one is refused even before this one gives
    /// its first task. Answers the highest epoch seen.
    pub async fn greet(&self, epoch: u64) -> Result<u64, StoreError> {
        let _one_at_a_time = self.greeting.lock().await;
        let seen = self.epoch();
        if epoch > seen {
            let mut batch = Batch::new();
            batch.put(&EPOCH, &(), &epoch);
            self.store.commit(batch).await?;
            self.known().epoch = epoch;
        }
        Ok(seen.max(epoch))
    }

    /// Durable when it returns; only then may anybody be told.
    pub async fn finish(&self, outcome: &Outcome, change: ManifestChange) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        self.known().forget_acknowledged(&mut batch);
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
        self.store.commit(batch).await?;
        let mut known = self.known();
        // What was acknowledged while this was written was an earlier answer.
        known.acknowledged.retain(|task| *task != outcome.task);
        known.outcomes.insert(outcome.task, outcome.clone());
        Ok(())
    }

    /// The coordinator has the outcome. Also one that was not final, and so was never written down: it asks by another id
    /// from here on, and this one would lie here for ever.
    pub async fn acknowledge(&self, task: TaskId) -> Result<(), StoreError> {
        let many = {
            let mut known = self.known();
            let finished = known.outcomes.remove(&task).is_some();
            if finished {
                if known.remembered.len() >= REMEMBERED {
                    known.remembered.pop_front();
                }
                known.remembered.push_back(task);
            }
            if known.tasks.remove(&task).is_some() || finished {
                known.acknowledged.push(task);
            }
            known.acknowledged.len() >= ACKNOWLEDGED
        };
        if many { self.settle().await } else { Ok(()) }
    }

    /// Writes down what was acknowledged and has gone with no other commit yet.
    pub async fn settle(&self) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        self.known().forget_acknowledged(&mut batch);
        if batch.is_empty() { Ok(()) } else { self.store.commit(batch).await.map(drop) }
    }

    /// Tasks with no outcome. They go on when the coordinator asks again, and not before: it may have gone another way.
    pub fn unfinished(&self) -> Vec<Task> {
        let known = self.known();
        known.tasks.values().filter(|task| !known.outcomes.contains_key(&task.id)).cloned().collect()
    }

    /// Outcomes that the coordinator has not acknowledged: to be told again.
    pub fn unacknowledged(&self) -> Vec<Outcome> {
        self.known().outcomes.values().cloned().collect()
    }

    /// The highest epoch seen; 0 before the first task.
    pub fn epoch(&self) -> u64 {
        self.known().epoch
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn manifest(&self) -> Result<Vec<(BrickId, ManifestBrick)>, StoreError> {
        self.store.scan(&MANIFEST)
    }

    /// The device's condemned group is about to go. Durable when it returns.
    pub async fn doom(&self, device: DeviceId, doomed: &Doomed) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        batch.put(&DOOMED, &device, doomed);
        self.store.commit(batch).await.map(drop)
    }

    pub fn doomed(&self, device: DeviceId) -> Result<Option<Doomed>, StoreError> {
        self.store.get(&DOOMED, &device)
    }

    /// The physical volume is gone.
    pub async fn forget_doomed(&self, device: DeviceId) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        batch.remove(&DOOMED, &device);
        self.store.commit(batch).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use bricklayer_proto::ids::OperationId;
    use bricklayer_proto::task::{Done, Report, Wanted};

    use super::*;

    fn task(id: u128, epoch: u64) -> Task {
        let wanted = Wanted::DeviceGone { device: DeviceId::from_u128(5), physical_volume: None };
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
        assert_eq!(journal.unfinished(), [task(1, 1)]);
        assert_eq!(journal.accept(&task(1, 1)).await.unwrap(), Accepted::Resume);
        journal.finish(&outcome(1), ManifestChange::None).await.unwrap();
        drop(journal);

        let journal = Journal::open(dir.path()).unwrap();
        assert_eq!(journal.unfinished(), []);
        assert_eq!(journal.unacknowledged(), [outcome(1)]);
        assert_eq!(journal.accept(&task(1, 2)).await.unwrap(), Accepted::Done(Box::new(outcome(1))));
    }

    #[tokio::test]
    async fn an_acknowledged_outcome_is_forgotten_and_its_task_is_not_carried_out_again() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path()).unwrap();
        journal.accept(&task(1, 1)).await.unwrap();
        journal.finish(&outcome(1), ManifestChange::None).await.unwrap();
        journal.acknowledge(TaskId::from_u128(1)).await.unwrap();
        assert_eq!(journal.unfinished(), []);
        assert_eq!(journal.unacknowledged(), []);
        assert_eq!(journal.accept(&task(1, 1)).await.unwrap(), Accepted::Acknowledged);
        assert_eq!(journal.unfinished(), []);
    }

    /// A host that is away for weeks makes its peers answer "not yet" each minute, each time to another task.
    #[tokio::test]
    async fn a_task_whose_outcome_was_not_final_is_forgotten_when_that_is_acknowledged() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path()).unwrap();
        journal.accept(&task(1, 1)).await.unwrap();
        journal.acknowledge(TaskId::from_u128(1)).await.unwrap();
        assert_eq!(journal.unfinished(), []);
        assert_eq!(journal.accept(&task(1, 1)).await.unwrap(), Accepted::New, "it may be asked for again");
    }

    #[tokio::test]
    async fn a_task_that_arrives_while_its_first_arrival_is_written_is_on_the_disk_for_both() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path()).unwrap();
        let (first, second, other) = (task(1, 1), task(1, 1), task(2, 1));
        let all = tokio::join!(journal.accept(&first), journal.accept(&second), journal.accept(&other));
        assert_eq!((all.0.unwrap(), all.1.unwrap(), all.2.unwrap()), (Accepted::New, Accepted::Resume, Accepted::New));
        drop(journal);
        assert_eq!(Journal::open(dir.path()).unwrap().unfinished(), [task(1, 1), task(2, 1)]);
    }

    #[tokio::test]
    async fn what_was_acknowledged_goes_with_the_next_commit_or_when_the_journal_settles() {
        let dir = tempfile::tempdir().unwrap();
        for settles in [true, false] {
            let journal = Journal::open(dir.path()).unwrap();
            journal.accept(&task(1, 1)).await.unwrap();
            journal.finish(&outcome(1), ManifestChange::None).await.unwrap();
            journal.acknowledge(TaskId::from_u128(1)).await.unwrap();
            if settles {
                journal.settle().await.unwrap();
            } else {
                journal.accept(&task(2, 1)).await.unwrap();
            }
            drop(journal);
            let journal = Journal::open(dir.path()).unwrap();
            assert_eq!(journal.unacknowledged(), []);
            assert_eq!(journal.unfinished().len(), usize::from(!settles));
        }
    }

    #[tokio::test]
    async fn an_acknowledgement_that_a_crash_forgets_costs_one_more_answer() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path()).unwrap();
        journal.accept(&task(1, 1)).await.unwrap();
        journal.finish(&outcome(1), ManifestChange::None).await.unwrap();
        journal.acknowledge(TaskId::from_u128(1)).await.unwrap();
        assert_eq!(journal.unacknowledged(), []);
        drop(journal);
        assert_eq!(Journal::open(dir.path()).unwrap().unacknowledged(), [outcome(1)]);
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
        assert_eq!(journal.unfinished(), [task(1, 3)]);
        assert_eq!(journal.greet(2).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn an_id_that_names_two_tasks_is_a_conflict() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path()).unwrap();
        journal.accept(&task(1, 1)).await.unwrap();
        let other = Task { wanted: Wanted::DeviceCondemned { device: DeviceId::from_u128(5) }, ..task(1, 1) };
        assert_eq!(journal.accept(&other).await.unwrap(), Accepted::Conflict);
    }

    #[tokio::test]
    async fn the_physical_volume_of_a_condemned_group_is_remembered_until_it_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path()).unwrap();
        let device = DeviceId::from_u128(5);
        let doomed = Doomed {
            physical_volume: "Xc3Hqh-AAAA-BBBB-CCCC-DDDD-EEEE-FFFFFF".parse().unwrap(),
            disk: "/dev/sdb".parse().unwrap(),
        };
        journal.doom(device, &doomed).await.unwrap();
        drop(journal);
        let journal = Journal::open(dir.path()).unwrap();
        assert_eq!(journal.doomed(device).unwrap(), Some(doomed));
        assert_eq!(journal.doomed(DeviceId::from_u128(6)).unwrap(), None);
        journal.forget_doomed(device).await.unwrap();
        assert_eq!(journal.doomed(device).unwrap(), None);
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
