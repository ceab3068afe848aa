//! Whose turn it is in a cluster's GlusterFS.
//!
//! GlusterFS takes one change of a cluster at a time. What is asked of one host may be handed over together: its agent
//! does one thing after the other, so that the next one's way there and into its journal costs no time of GlusterFS's.
//! What is asked of another host waits until that is done.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bricklayer_proto::ids::{ClusterId, NodeId};
use tokio::sync::{Mutex as AsyncMutex, watch};

/// So many changes are handed to one host at once. Enough to keep its glusterd busy, and few to be in doubt when the host
/// goes away.
const AT_ONCE: usize = 4;

#[derive(Default)]
pub struct GlusterTurns {
    by_cluster: Mutex<BTreeMap<ClusterId, Arc<Turns>>>,
}

#[derive(Default)]
struct Turns {
    /// Held by the next one while it waits, so that nobody overtakes it.
    door: AsyncMutex<()>,
    inside: watch::Sender<Inside>,
}

/// Who has the turn.
#[derive(Clone, Copy, Debug, Default)]
struct Inside {
    /// The one host that is asked; `None` where somebody wants to be alone.
    host: Option<NodeId>,
    count: usize,
}

impl Inside {
    fn admits(self, host: Option<NodeId>) -> bool {
        self.count == 0 || (host.is_some() && host == self.host && self.count < AT_ONCE)
    }
}

impl GlusterTurns {
    /// Waits for a turn with nobody beside, or with others that ask the same host.
    pub async fn take(&self, cluster: ClusterId, host: Option<NodeId>) -> Turn {
        let turns = self.of(cluster);
        {
            let _door = turns.door.lock().await;
            // The sender is in `turns`, so it cannot be gone.
            let _ = turns.inside.subscribe().wait_for(|inside| inside.admits(host)).await;
            turns.inside.send_modify(|inside| *inside = Inside { host, count: inside.count + 1 });
        }
        Turn { turns }
    }

    /// Whether somebody has, or waits for, the turn.
    pub fn is_busy(&self, cluster: ClusterId) -> bool {
        let turns = self.of(cluster);
        turns.inside.borrow().count > 0 || turns.door.try_lock().is_err()
    }

    fn of(&self, cluster: ClusterId) -> Arc<Turns> {
        let mut by_cluster = self.by_cluster.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(by_cluster.entry(cluster).or_default())
    }
}

/// Ends when it is dropped.
pub struct Turn {
    turns: Arc<Turns>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.inside.send_modify(|inside| inside.count -= 1);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    const CLUSTER: ClusterId = ClusterId::from_u128(1);
    const ONE: Option<NodeId> = Some(NodeId::from_u128(1));
    const OTHER: Option<NodeId> = Some(NodeId::from_u128(2));

    #[tokio::test]
    async fn one_host_is_asked_some_things_at_once_and_another_waits_until_they_are_done() {
        let turns = GlusterTurns::default();
        let mut held: Vec<Turn> = Vec::new();
        for _ in 0..AT_ONCE {
            held.push(turns.take(CLUSTER, ONE).await);
        }
        assert!(turns.take(CLUSTER, ONE).now_or_never().is_none(), "too many");
        assert!(turns.take(CLUSTER, OTHER).now_or_never().is_none());
        held.pop();
        held.push(turns.take(CLUSTER, ONE).await);
        assert!(turns.is_busy(CLUSTER) && !turns.is_busy(ClusterId::from_u128(2)));
        held.clear();
        assert!(!turns.is_busy(CLUSTER));
        let _other = turns.take(CLUSTER, OTHER).await;
        assert!(turns.take(CLUSTER, ONE).now_or_never().is_none());
    }

    #[tokio::test]
    async fn who_wants_to_be_alone_is_let_in_by_nobody_and_lets_nobody_in() {
        let turns = GlusterTurns::default();
        let one = turns.take(CLUSTER, ONE).await;
        assert!(turns.take(CLUSTER, None).now_or_never().is_none());
        drop(one);
        let alone = turns.take(CLUSTER, None).await;
        assert!(turns.take(CLUSTER, None).now_or_never().is_none());
        assert!(turns.take(CLUSTER, ONE).now_or_never().is_none());
        drop(alone);
        assert!(turns.take(CLUSTER, ONE).now_or_never().is_some());
    }

    #[tokio::test]
    async fn whoever_waits_is_not_overtaken() {
        let turns = Arc::new(GlusterTurns::default());
        let one = turns.take(CLUSTER, ONE).await;
        let mut other = Box::pin(turns.take(CLUSTER, OTHER));
        assert!(other.as_mut().now_or_never().is_none());
        let mut late = Box::pin(turns.take(CLUSTER, ONE));
        assert!(late.as_mut().now_or_never().is_none(), "the other was here first");
        drop(one);
        let other = other.await;
        assert!(late.as_mut().now_or_never().is_none());
        drop(other);
        late.await;
    }
}
