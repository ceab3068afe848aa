//! Whether the coordinator's own disk has room for more state.
//!
//! A store that cannot write stops for good, until the next start. So changes are refused while there is still room for what
//! is under way to end; reading goes on, and changes are taken again as soon as there is room.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bricklayer_proto::size::{ByteSize, MIB};

use crate::doctor::OwnDisk;

/// A record is a few KiB, and what is under way writes dozens of them; sled's log grows by 8 MiB at a time.
pub const LEAST_FREE: ByteSize = ByteSize::from_bytes(64 * MIB);

/// The disk of the data directory, and how much of it is to stay free.
#[derive(Clone, Debug)]
pub struct Room {
    dir: Option<PathBuf>,
    least: Arc<AtomicU64>,
    /// Said once, not with each request.
    told: Arc<AtomicBool>,
}

impl Default for Room {
    /// No disk at all: nothing is refused.
    fn default() -> Self {
        Self { dir: None, least: Arc::new(AtomicU64::new(LEAST_FREE.bytes())), told: Arc::default() }
    }
}

impl Room {
    #[must_use]
    pub fn with_least(self, least: ByteSize) -> Self {
        self.least.store(least.bytes(), Ordering::Relaxed);
        self
    }

    #[must_use]
    pub fn of(self, dir: PathBuf) -> Self {
        Self { dir: Some(dir), ..self }
    }

    /// For the doctor; `None` where nobody can say.
    pub(super) fn seen(&self) -> Option<OwnDisk> {
        let dir = self.dir.as_ref()?;
        let stat = rustix::fs::statvfs(dir).ok()?;
        let free = ByteSize::from_bytes(stat.f_bavail.saturating_mul(stat.f_frsize));
        Some(OwnDisk { dir: dir.clone(), free, least: ByteSize::from_bytes(self.least.load(Ordering::Relaxed)) })
    }

    /// Why nothing is changed now; `None` where there is room, or nobody can say.
    pub(super) fn refusal(&self) -> Option<String> {
        let OwnDisk { dir, free, least } = self.seen()?;
        let full = free < least;
        if self.told.swap(full, Ordering::Relaxed) != full {
            match full {
                true => {
                    tracing::error!(free = %free, least = %least, dir = %dir.display(), "The coordinator's disk is nearly full; changes are refused.")
                }
                false => tracing::warn!(free = %free, "The coordinator's disk has room again; changes are taken."),
            }
        }
        full.then(|| {
            format!(
                "The coordinator's disk is nearly full: {free} free below {}, at least {least} are needed\nNothing was changed, \
                 and reading goes on. Make room there; changes are taken again at once.",
                dir.display()
            )
        })
    }
}
