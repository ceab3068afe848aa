//! One lock per volume group, and a few for what a host has only one of.
//!
//! A task holds the locks of what it changes until its last program has ended. That can be later than the task itself:
//! a program that writes is never killed, so a task that gives up on it leaves the lock with the program. The locks
//! that the current task holds travel with it ([`held`]), and [`crate::tools`] hands them on to such a program.
//!
//! Whoever takes several takes them in the order of [`Key`], so that two tasks can never wait for each other.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bricklayer_proto::names::{VgName, VolumeName};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// What is locked. The order of the variants is the order in which locks are taken.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// Giving a disk to us, or wiping one: rare, and a disk may be named in many ways.
    Disks,
    Group(VgName),
    /// This host's glusterd.
    Gluster,
    /// The block volumes in one volume: making one may take long, and glusterd is free meanwhile.
    Blocks(VolumeName),
    /// Held for one edit only, never while a program runs.
    Fstab,
}

#[derive(Debug, Default)]
pub struct Locks {
    by_key: Mutex<BTreeMap<Key, Arc<AsyncMutex<()>>>>,
}

/// Shared by the task and every program that outlives it; the lock is free when the last one lets go.
#[derive(Clone, Debug)]
pub struct Lease {
    _guard: Arc<OwnedMutexGuard<()>>,
}

tokio::task_local! {
    static HELD: Vec<Lease>;
}

impl Locks {
    pub async fn take(&self, key: Key) -> Lease {
        let lock = {
            // Nothing panics while this is held; a poisoned map would still be a good one.
            let mut locks = self.by_key.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(locks.entry(key).or_default())
        };
        Lease { _guard: Arc::new(lock.lock_owned().await) }
    }

    /// Runs `work` with the locks of `keys`, taken in their fixed order.
    pub async fn holding<W: Future>(&self, mut keys: Vec<Key>, work: W) -> W::Output {
        keys.sort();
        keys.dedup();
        let mut leases = held();
        for key in keys {
            leases.push(self.take(key).await);
        }
        HELD.scope(leases, work).await
    }
}

/// The locks of the current task, to be kept by a program that may outlive it.
#[must_use]
pub fn held() -> Vec<Lease> {
    HELD.try_with(Clone::clone).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn group(name: &str) -> Key {
        Key::Group(name.parse().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_program_that_outlives_its_task_keeps_the_lock_of_its_group() {
        let locks = Locks::default();
        let kept = locks.holding(vec![group("vg_a")], async { held() }).await;

        let second = tokio::time::timeout(Duration::from_secs(60), locks.take(group("vg_a"))).await;
        assert!(second.is_err(), "the lock was free while a program still held it");

        drop(kept);
        locks.take(group("vg_a")).await;
    }

    #[tokio::test(start_paused = true)]
    async fn different_groups_do_not_wait_for_each_other() {
        let locks = Locks::default();
        let _first = locks.take(group("vg_a")).await;
        let other = tokio::time::timeout(Duration::from_secs(60), locks.take(group("vg_b"))).await;
        assert!(other.is_ok());
    }
}
