//! Whether the store is the newest state that there is, as far as anybody knows.
//!
//! A store that was restored may be older than what hosts have met, and what it would do of its own accord (go on with old
//! operations, end what lies in the trash, let old exports go) cannot be taken back. [`crate::keepsake::keeper`] finds out, by what
//! the hosts keep; everybody else looks here before anything is done that nobody asks for.

use bricklayer_proto::ids::NodeId;
use jiff::Timestamp;
use tokio::sync::watch;

/// What is known of the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// No host has seen a later state.
    #[default]
    Newest,
    /// Not all hosts have been heard since this start.
    Unheard {
        /// When the store was made of an export. It is not believed before all hosts have been heard, or a person says so;
        /// any other is believed after a while.
        restored: Option<Timestamp>,
        missing: Vec<NodeId>,
    },
    /// This host has seen a later state.
    Older { node: NodeId, found: Timestamp },
}

/// The store's standing at any time.
#[derive(Clone, Debug)]
pub struct Watch(watch::Receiver<Standing>);

impl Default for Watch {
    /// Where nobody finds out, as in tests of other things.
    fn default() -> Self {
        Self(watch::channel(Standing::default()).1)
    }
}

impl From<watch::Receiver<Standing>> for Watch {
    fn from(receiver: watch::Receiver<Standing>) -> Self {
        Self(receiver)
    }
}

impl Watch {
    #[must_use]
    pub fn now(&self) -> Standing {
        self.0.borrow().clone()
    }

    #[must_use]
    pub fn is_newest(&self) -> bool {
        matches!(*self.0.borrow(), Standing::Newest)
    }

    #[must_use]
    pub fn is_older(&self) -> bool {
        matches!(*self.0.borrow(), Standing::Older { .. })
    }

    /// Why nothing is changed; `None` where the store is not known to be an older copy.
    #[must_use]
    pub fn refusal(&self) -> Option<String> {
        let Standing::Older { found, .. } = *self.0.borrow() else { return None };
        Some(format!(
            "The coordinator's store is an older copy: since {found:.0} a host is known to have seen a later state\nNothing was changed, \
             and reading goes on. Stop the coordinator and run `bricklayer-coordinator rebuild`: it says what is missing, and puts \
             it right."
        ))
    }

    /// Ends when nothing speaks against the store any more; of an older copy never.
    pub async fn until_newest(&self) {
        self.until(|standing| matches!(standing, Standing::Newest)).await;
    }

    /// Ends when the store is found to be an older copy.
    pub async fn until_older(&self) {
        self.until(|standing| matches!(standing, Standing::Older { .. })).await;
    }

    async fn until(&self, holds: impl FnMut(&Standing) -> bool) {
        // Nobody finds out anything any more.
        if self.0.clone().wait_for(holds).await.is_err() {
            std::future::pending().await
        }
    }
}
