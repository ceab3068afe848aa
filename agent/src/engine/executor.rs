//! Journal first, act second, answer from the journal ever after.
//!
//! Sits between the session, which may break at any instant, and the engine, which must not be cut off between an
//! `lvcreate` and the `mkfs.xfs` after it: every task runs detached from whoever asked for it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bricklayer_proto::ids::TaskId;
use bricklayer_proto::inventory::FullDisk;
use bricklayer_proto::task::{Done, Failure, FailureKind, Outcome, Progress, Report, Task, Wanted};
use bricklayer_store::StoreError;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Engine;
use crate::journal::{Accepted, Journal, ManifestBrick, ManifestChange};

/// Carries tasks out, each exactly as often as needed.
pub struct Executor {
    engine: Arc<Engine>,
    journal: Arc<Journal>,
    /// Tasks at work, so that one that arrives twice is waited for and not begun again.
    running: Mutex<BTreeMap<TaskId, Running>>,
    progress: broadcast::Sender<Progress>,
    changes: watch::Sender<u64>,
    ended: AtomicU64,
    tracker: TaskTracker,
}

/// A task at work.
struct Running {
    ended: watch::Receiver<Option<Ended>>,
    /// Cancelled when whoever asked last is gone.
    asked: Arc<Mutex<CancellationToken>>,
}

/// How the work on a task ended.
#[derive(Clone)]
enum Ended {
    Done(Box<Outcome>),
    /// Whoever asked was gone when its turn came. Nothing was begun, and it is as if it had never been asked for.
    Withdrawn,
}

/// After a brick's task the host is examined anew only when it has been left alone for this long. Outcomes carry the
/// space of their group already, and a host that makes bricks, or serves glusterd for a volume of them, has better
/// things to do than to read all its disks again.
const BRICKS_SETTLE: Duration = Duration::from_secs(5);

impl Executor {
    #[must_use]
    pub fn new(engine: Arc<Engine>, journal: Arc<Journal>) -> Arc<Self> {
        engine.keep_notes_in(Arc::clone(&journal));
        Arc::new(Self {
            engine,
            journal,
            running: Mutex::default(),
            progress: broadcast::Sender::new(64),
            changes: watch::Sender::new(0),
            ended: AtomicU64::new(0),
            tracker: TaskTracker::new(),
        })
    }

    #[must_use]
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    #[must_use]
    pub fn journal(&self) -> &Arc<Journal> {
        &self.journal
    }

    /// What running tasks are doing, from now on. Who lags loses the oldest.
    #[must_use]
    pub fn progress(&self) -> broadcast::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Changes when tasks have ended and a fresh inventory is worth sending.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Brings the wished state about, or answers what came of it before. Dropping the future stops the waiting only.
    ///
    /// An outcome of kind [`FailureKind::Unknown`], [`FailureKind::Unavailable`] or [`FailureKind::PeersDown`] is not
    /// final: the same task, sent again, looks again and goes on. Every other one is, also after a restart, but for
    /// tasks that [leave no trace](Wanted::leaves_no_trace): those are done anew each time, and the journal never hears of
    /// them.
    pub async fn carry_out(self: &Arc<Self>, task: Task) -> Outcome {
        self.carry_out_while(task, CancellationToken::new()).await
    }

    /// The same for somebody who may go away; `asked` is cancelled then. A task that still waits for what it changes is not
    /// begun after that: whoever asked has gone another way by then, and it would come after what undid it.
    pub async fn carry_out_while(self: &Arc<Self>, task: Task, asked: CancellationToken) -> Outcome {
        let id = task.id;
        loop {
            let mut answer = self.join_or_begin(&task, &asked);
            let waited = answer.wait_for(Option::is_some).await.map(|ended| ended.clone());
            match waited {
                Ok(Some(Ended::Done(outcome))) => return *outcome,
                // By somebody who asked before us.
                Ok(Some(Ended::Withdrawn)) if !asked.is_cancelled() => {}
                Ok(Some(Ended::Withdrawn)) => {
                    return failed(id, FailureKind::Unavailable, "whoever asked for this task is gone".into());
                }
                // The sender went without a word: the task panicked. What it has done by then is for a repeat to find out.
                Ok(None) | Err(_) => {
                    return failed(id, FailureKind::Unknown, "the agent failed in the middle of this task".into());
                }
            }
        }
    }

    /// Waits until no task runs; with no new ones coming, for a clean end of the program.
    pub async fn drain(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }

    fn join_or_begin(self: &Arc<Self>, task: &Task, asked: &CancellationToken) -> watch::Receiver<Option<Ended>> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = running.get(&task.id) {
            *running.asked.lock().unwrap_or_else(PoisonError::into_inner) = asked.clone();
            return running.ended.clone();
        }
        let (tell, ended) = watch::channel(None);
        let asked = Arc::new(Mutex::new(asked.clone()));
        running.insert(task.id, Running { ended: ended.clone(), asked: Arc::clone(&asked) });
        let (this, task) = (Arc::clone(self), task.clone());
        self.tracker.spawn(async move {
            let (id, settles) = (task.id, settles(&task.wanted));
            // Also when the work panics: an entry that stays would answer "unknown" until the next restart.
            let entry = Entry { executor: &this, id };
            let is_wished = || !asked.lock().unwrap_or_else(PoisonError::into_inner).is_cancelled();
            match this.journalled(task, is_wished).await {
                Some(outcome) => {
                    tell.send_replace(Some(Ended::Done(Box::new(outcome))));
                    if let Some(quiet) = settles {
                        this.announce_after(quiet);
                    }
                }
                None => {
                    // First, so that whoever asks again does not meet this one.
                    drop(entry);
                    tell.send_replace(Some(Ended::Withdrawn));
                }
            }
        });
        ended
    }

    /// Announces a change once no task has ended for `quiet`, and none runs.
    fn announce_after(self: &Arc<Self>, quiet: Duration) {
        let ended = self.ended.fetch_add(1, Ordering::Relaxed) + 1;
        if quiet.is_zero() {
            self.changes.send_modify(|count| *count += 1);
            return;
        }
        let this = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(quiet).await;
            // A task that runs, or has ended since, announces the change when it is done itself.
            let idle = this.running.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
            if idle && this.ended.load(Ordering::Relaxed) == ended {
                this.changes.send_modify(|count| *count += 1);
            }
        });
    }

    /// `None` where the task was no longer wished for when its turn came.
    async fn journalled(&self, task: Task, is_wished: impl Fn() -> bool) -> Option<Outcome> {
        let id = task.id;
        if task.wanted.leaves_no_trace() {
            let seen = self.journal.epoch();
            if task.epoch < seen {
                return Some(stale(&task, seen));
            }
            return Some(Outcome { task: id, result: self.work(&task, is_wished).await? });
        }
        if makes_something(&task.wanted)
            && !self.journal.knows(id)
            && let Some(full) = self.engine.full_disk().await.filter(FullDisk::refuses)
        {
            tracing::warn!(task.id = %id, free = %full.free, folder = full.folder, "this host's disk is full; nothing is made");
            return Some(failed(id, FailureKind::Refused, full_text(&full)));
        }
        match self.journal.accept(&task).await {
            Ok(Accepted::New) => {}
            Ok(Accepted::Resume) => {
                tracing::info!(task.id = %id, operation.id = %task.operation, "going on with a task")
            }
            Ok(Accepted::Done(outcome)) => return Some(*outcome),
            Ok(Accepted::Stale { seen }) => return Some(stale(&task, seen)),
            Ok(Accepted::Acknowledged) => {
                let message = format!("the outcome of task {id} was told and acknowledged before");
                return Some(failed(id, FailureKind::Refused, message));
            }
            Ok(Accepted::Conflict) => {
                return Some(failed(id, FailureKind::Refused, format!("task {id} was another task before")));
            }
            Err(error) => return Some(self.journal_failed(id, FailureKind::Unavailable, &error)),
        }
        let Some(result) = self.work(&task, is_wished).await else {
            return match self.journal.acknowledge(id).await {
                Ok(()) => None,
                Err(error) => Some(self.journal_failed(id, FailureKind::Unavailable, &error)),
            };
        };
        if let Err(failure) = &result
            && matches!(failure.kind, FailureKind::Unknown | FailureKind::Unavailable | FailureKind::PeersDown)
        {
            return Some(Outcome { task: id, result });
        }
        let change = manifest_change(&task.wanted, &result);
        let outcome = Outcome { task: id, result };
        match self.journal.finish(&outcome, change).await {
            Ok(()) => Some(outcome),
            Err(error) => Some(self.journal_failed(id, FailureKind::Unknown, &error)),
        }
    }

    #[tracing::instrument(name = "task", skip_all, fields(task.id = %task.id, operation.id = %task.operation))]
    async fn work(&self, task: &Task, is_wished: impl Fn() -> bool) -> Option<Result<Done, Failure>> {
        let progress = |doing: &str| {
            tracing::debug!(doing, "step");
            // Nobody listens while no coordinator is attached.
            let _ = self.progress.send(Progress { task: task.id, doing: doing.to_owned() });
        };
        let Some(result) = self.engine.carry_out_if(&task.wanted, is_wished, &progress).await else {
            tracing::info!("whoever asked is gone, and nothing was begun");
            return None;
        };
        match &result {
            Ok(done) => tracing::info!(changed = done.changed, "task done"),
            Err(failure) => tracing::warn!(kind = ?failure.kind, "task not done: {failure}"),
        }
        Some(result)
    }

    fn journal_failed(&self, task: TaskId, kind: FailureKind, error: &StoreError) -> Outcome {
        tracing::error!(task.id = %task, "the journal failed: {}", super::chain(error));
        failed(task, kind, format!("the agent's journal failed: {}", super::chain(error)))
    }
}

/// Whether it brings a disk or a brick more to this host, and so is refused while the host's own disk is full. What goes on
/// with something, takes away or only looks is never held up; nor is what glusterd does, as it writes to the disks of all
/// its peers, whichever of them is asked.
fn makes_something(wanted: &Wanted) -> bool {
    match wanted {
        Wanted::Device(_) | Wanted::Brick(_) | Wanted::GroupAdopted(_) | Wanted::BrickAdopted(_) => true,
        Wanted::DeviceCondemned { .. }
        | Wanted::CloneBrick(_)
        | Wanted::Volume(_)
        | Wanted::VolumeExtended(_)
        | Wanted::VolumeCloned(_)
        | Wanted::VolumeAdopted(_)
        | Wanted::BrickReplaced(_)
        | Wanted::BlockCreated(_)
        | Wanted::BlockResized(_)
        | Wanted::Peer { .. }
        | Wanted::DeviceGone { .. }
        | Wanted::DeviceSeen { .. }
        | Wanted::DiskWiped { .. }
        | Wanted::BrickUp(_)
        | Wanted::BrickSynced(_)
        | Wanted::BrickCanGrow(_)
        | Wanted::BrickGrown(_)
        | Wanted::BrickCondemned(_)
        | Wanted::BrickGone(_)
        | Wanted::BricksStarted(_)
        | Wanted::HealStarted(_)
        | Wanted::PeerGone { .. }
        | Wanted::VolumeStarted(_)
        | Wanted::VolumeStopped(_)
        | Wanted::VolumeGone(_)
        | Wanted::VolumeOptionSet(_)
        | Wanted::VolumeSeen(_)
        | Wanted::HealSeen(_)
        | Wanted::RebalanceStarted(_)
        | Wanted::RebalanceSeen(_)
        | Wanted::DrainStarted(_)
        | Wanted::DrainStopped(_)
        | Wanted::DrainCommitted(_)
        | Wanted::DrainSeen(_)
        | Wanted::BlockGone(_)
        | Wanted::BlockSeen(_)
        | Wanted::GroupReleased(_)
        | Wanted::BrickReleased(_)
        | Wanted::VolumeReleased(_)
        | Wanted::HostSurveyed { .. } => false,
    }
}

fn full_text(full: &FullDisk) -> String {
    let FullDisk { folder, free, least } = full;
    format!(
        "the host's own disk is full: {free} are free below {folder}, at least {least} are needed. Nothing was made; make room \
         there and ask again"
    )
}

/// How long to let the host settle before it is examined anew; `None` for tasks that leave an inventory as it was.
fn settles(wanted: &Wanted) -> Option<Duration> {
    match wanted {
        Wanted::Device(_)
        | Wanted::DeviceCondemned { .. }
        | Wanted::DeviceGone { .. }
        | Wanted::DiskWiped { .. }
        | Wanted::Peer { .. }
        | Wanted::PeerGone { .. }
        | Wanted::GroupAdopted(_)
        | Wanted::GroupReleased(_) => Some(Duration::ZERO),
        Wanted::Brick(_)
        | Wanted::BrickUp(_)
        | Wanted::BrickGrown(_)
        | Wanted::CloneBrick(_)
        | Wanted::BrickCondemned(_)
        | Wanted::BrickAdopted(_)
        | Wanted::BrickReleased(_)
        | Wanted::BrickGone(_) => Some(BRICKS_SETTLE),
        Wanted::DeviceSeen { .. }
        | Wanted::BrickCanGrow(_)
        | Wanted::VolumeExtended(_)
        | Wanted::VolumeCloned(_)
        | Wanted::BrickReplaced(_)
        | Wanted::VolumeOptionSet(_)
        | Wanted::RebalanceStarted(_)
        | Wanted::DrainStarted(_)
        | Wanted::DrainStopped(_)
        | Wanted::DrainCommitted(_)
        | Wanted::VolumeSeen(_)
        | Wanted::HealSeen(_)
        | Wanted::RebalanceSeen(_)
        | Wanted::DrainSeen(_)
        | Wanted::BlockCreated(_)
        | Wanted::BlockResized(_)
        | Wanted::BlockGone(_)
        | Wanted::BlockSeen(_)
        | Wanted::BrickSynced(_)
        | Wanted::VolumeAdopted(_)
        | Wanted::VolumeReleased(_)
        | Wanted::HostSurveyed { .. }
        | Wanted::Volume(_)
        | Wanted::VolumeStarted(_)
        | Wanted::BricksStarted(_)
        | Wanted::HealStarted(_)
        | Wanted::VolumeStopped(_)
        | Wanted::VolumeGone(_) => None,
    }
}

struct Entry<'a> {
    executor: &'a Executor,
    id: TaskId,
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.executor.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

fn failed(task: TaskId, kind: FailureKind, message: String) -> Outcome {
    Outcome { task, result: Err(Failure { kind, message, cure: None, obstacles: Vec::new() }) }
}

fn stale(task: &Task, seen: u64) -> Outcome {
    let message =
        format!("the task comes from start {} of the coordinator, and start {seen} has been seen since", task.epoch);
    failed(task.id, FailureKind::Stale, message)
}

fn manifest_change(wanted: &Wanted, result: &Result<Done, Failure>) -> ManifestChange {
    match (wanted, result) {
        (Wanted::Brick(spec), Ok(Done { report: Report::Brick(brick), .. })) => ManifestChange::Has(
            spec.tags.brick,
            Box::new(ManifestBrick {
                device: spec.device,
                volume: spec.tags.volume,
                volume_name: spec.tags.volume_name.clone(),
                path: brick.path.clone(),
            }),
        ),
        (Wanted::CloneBrick(spec), Ok(Done { report: Report::Brick(brick), .. })) => ManifestChange::Has(
            spec.tags.brick,
            Box::new(ManifestBrick {
                device: spec.device,
                volume: spec.tags.volume,
                volume_name: spec.tags.volume_name.clone(),
                path: brick.path.clone(),
            }),
        ),
        (Wanted::BrickAdopted(adoption), Ok(Done { report: Report::Brick(brick), .. })) => ManifestChange::Has(
            adoption.spec.tags.brick,
            Box::new(ManifestBrick {
                device: adoption.spec.device,
                volume: adoption.spec.tags.volume,
                volume_name: adoption.spec.tags.volume_name.clone(),
                path: brick.path.clone(),
            }),
        ),
        (Wanted::BrickReleased(adoption), Ok(_)) => ManifestChange::Lost(adoption.spec.tags.brick),
        (Wanted::BrickGone(key), Ok(_)) => ManifestChange::Lost(key.brick),
        _ => ManifestChange::None,
    }
}
