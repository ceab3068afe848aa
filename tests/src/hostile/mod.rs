//! A coordinator that means harm, against a real agent: executor, journal and engine on a simulated host.
//!
//! It sends tasks of every kind there is, with right and wrong ids in any mixture, of an earlier epoch, and again. Whatever
//! it says ([`judge`]): nothing goes that did not carry the mark before the task came, and that the task does not name by
//! all its ids; nothing of a stranger gets a mark; a signature goes only by a person's word for that disk.
//!
//! What it sends follows from [`Choices`]: those of a seed in the test `two_keys`, a fuzzer's in the target of that name.

pub mod judge;
mod kinds;
mod scene;
mod tasks;

use std::collections::BTreeSet;
use std::sync::Arc;

use bricklayer_agent::engine::{Engine, Executor};
use bricklayer_agent::journal::{self, Journal};
use bricklayer_proto::ids::{OperationId, TaskId, seeded};
use bricklayer_proto::task::{FailureKind, Outcome, Task};
use bricklayer_store::Store;
use bricklayer_store::simulated::Disk;

pub use kinds::Kind;

use self::judge::Things;
use self::scene::Scene;
use crate::histories::chance::Chance;

/// Where what is sent comes from.
pub trait Choices {
    /// A number below this one, which is not 0.
    fn below(&mut self, count: usize) -> usize;

    /// Whether there are no more.
    fn is_over(&self) -> bool {
        false
    }

    fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}

impl Choices for Chance {
    fn below(&mut self, count: usize) -> usize {
        self.index(count)
    }
}

/// What came of a play, so that it can be seen that not everything was refused.
#[derive(Debug, Default)]
pub struct Played {
    pub sent: u64,
    pub done: u64,
    /// Volumes and groups that went, each by two keys.
    pub gone: u64,
    /// Kinds of which at least one task changed something.
    pub effective: BTreeSet<Kind>,
}

/// The epoch of the coordinator that the agent has met.
const EPOCH: u64 = 10;

/// Sends so many tasks at the most. An error is what should not have been, after all that was sent.
pub async fn play(choices: &mut dyn Choices, most: usize) -> Result<Played, String> {
    seeded::from_seed(Some(0));
    let scene = Scene::new().await;
    let engine = Arc::new(Engine::new(Arc::new(scene.host().clone())));
    let store = Store::on(&Disk::new(), journal::SCHEMA).map_err(|error| error.to_string())?;
    let journal = Arc::new(Journal::of(store).map_err(|error| error.to_string())?);
    journal.greet(EPOCH).await.map_err(|error| error.to_string())?;
    let executor = Executor::new(engine, journal);
    let (mut played, mut sent) = (Played::default(), Vec::<(Task, bool)>::new());
    let mut before = Things::on(scene.host()).await;
    for _ in 0..most {
        if choices.is_over() {
            break;
        }
        let (task, may) = next(choices, &scene, &sent);
        let outcome = executor.carry_out(task.clone()).await;
        let after = Things::on(scene.host()).await;
        let judged = match may {
            May::ChangeNothing => judge::same(&before, &after),
            May::DoAsItSays => judge::judge(&before, &after, &task.wanted),
        };
        let violations = scene.violations();
        if let Some(what) = judged.err().or_else(|| violations.first().cloned()) {
            let told: String = sent.iter().map(|(task, _)| format!("{task:?}\n")).collect();
            return Err(format!("{told}and then, which may {may:?}\n{task:?}\ncame to {outcome:?}: {what}"));
        }
        played.sent += 1;
        played.gone += before.gone_in(&after);
        if let Ok(done) = &outcome.result {
            played.done += 1;
            if done.changed {
                played.effective.insert(Kind::of(&task.wanted));
            }
        }
        sent.push((task, is_final(&outcome)));
        before = after;
    }
    seeded::from_seed(None);
    Ok(played)
}

/// What a task may do at the most.
#[derive(Clone, Copy, Debug)]
enum May {
    DoAsItSays,
    /// It is of an earlier epoch, or was carried out before.
    ChangeNothing,
}

fn next(choices: &mut dyn Choices, scene: &Scene, sent: &[(Task, bool)]) -> (Task, May) {
    if !sent.is_empty() && choices.one_in(12) {
        let (task, is_final) = sent[choices.below(sent.len())].clone();
        // What only looks is done anew each time, and changes nothing.
        let may = if is_final || task.wanted.leaves_no_trace() { May::ChangeNothing } else { May::DoAsItSays };
        return (task, may);
    }
    let wanted = tasks::any(choices, scene);
    let stale = choices.one_in(12);
    let epoch = if stale { EPOCH - 1 } else { EPOCH };
    let task = Task { id: TaskId::random(), operation: OperationId::random(), epoch, wanted };
    (task, if stale { May::ChangeNothing } else { May::DoAsItSays })
}

/// Whether the journal answers from now on. One of an earlier epoch never gets there.
fn is_final(outcome: &Outcome) -> bool {
    match &outcome.result {
        Ok(_) => true,
        Err(failure) => {
            !matches!(failure.kind, FailureKind::Unknown | FailureKind::Unavailable | FailureKind::PeersDown)
        }
    }
}
