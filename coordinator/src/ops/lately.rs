//! What takes too long to be found out for whoever asks: it is looked for on the side, and what was found last is told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

pub struct Lately<K, T> {
    known: Arc<Mutex<BTreeMap<K, Known<T>>>>,
    /// How long what was found is told before it is looked for again.
    every: Duration,
}

struct Known<T> {
    found: Option<T>,
    looked: Option<Instant>,
    looking: bool,
}

impl<K, T> Clone for Lately<K, T> {
    fn clone(&self) -> Self {
        Self { known: Arc::clone(&self.known), every: self.every }
    }
}

impl<K: Copy + Ord + Send + 'static, T: Copy + Send + 'static> Lately<K, T> {
    #[must_use]
    pub fn new(every: Duration) -> Self {
        Self { known: Arc::default(), every }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<K, Known<T>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was found last; nothing before the first time. `look` runs on a thread of its own, once at a time; where it was cut
    /// off or has panicked, what was found before stays, and it is tried again when it is due.
    pub fn told(&self, key: K, look: impl FnOnce() -> Option<T> + Send + 'static) -> Option<T> {
        let mut known = self.lock();
        let one = known.entry(key).or_insert(Known { found: None, looked: None, looking: false });
        let is_due = one.looked.is_none_or(|looked| looked.elapsed() >= self.every);
        if let Some(runtime) = Handle::try_current().ok().filter(|_| is_due && !one.looking) {
            one.looking = true;
            let mut looking = Looking { of: self.clone(), key, found: None };
            runtime.spawn_blocking(move || {
                let found = look();
                looking.found = found;
                drop(looking);
            });
        }
        one.found
    }
}

/// Ends the look, however it ends.
struct Looking<K: Copy + Ord + Send + 'static, T: Copy + Send + 'static> {
    of: Lately<K, T>,
    key: K,
    found: Option<T>,
}

impl<K: Copy + Ord + Send + 'static, T: Copy + Send + 'static> Drop for Looking<K, T> {
    fn drop(&mut self) {
        if let Some(one) = self.of.lock().get_mut(&self.key) {
            one.looking = false;
            one.looked = Some(Instant::now());
            one.found = self.found.or(one.found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks until the look that this begins has ended, and what is told then.
    async fn looked(lately: &Lately<u8, u8>, look: impl FnOnce() -> Option<u8> + Send + 'static) -> Option<u8> {
        lately.told(1, look);
        tokio::time::timeout(Duration::from_secs(60), async {
            while lately.lock()[&1].looking {
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap();
        lately.lock()[&1].found
    }

    #[tokio::test]
    async fn what_was_found_last_is_told_also_where_a_later_look_was_cut_off_or_panicked() {
        let lately = Lately::new(Duration::ZERO);
        assert_eq!(lately.told(1, || None), None);
        assert_eq!(looked(&lately, || Some(7)).await.or(looked(&lately, || Some(7)).await), Some(7));
        assert_eq!(looked(&lately, || None).await, Some(7));
        assert_eq!(looked(&lately, || panic!("as planned")).await, Some(7));
        assert_eq!(looked(&lately, || Some(8)).await, Some(8), "it is looked for again");
    }

    #[tokio::test]
    async fn nothing_is_looked_for_again_before_it_is_due_nor_twice_at_once() {
        let lately = Lately::new(Duration::from_secs(3600));
        let (go, wait) = std::sync::mpsc::channel::<()>();
        assert_eq!(lately.told(1, move || wait.recv().ok().map(|()| 7)), None);
        assert_eq!(lately.told(1, || Some(8)), None);
        go.send(()).unwrap();
        assert_eq!(looked(&lately, || Some(9)).await, Some(7));
        assert_eq!(looked(&lately, || Some(9)).await, Some(7));
    }
}
