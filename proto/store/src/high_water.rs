//! The high-water mark: a small file that knows which commit was acknowledged last.
//!
//! sled cannot notice that it went back: it takes a damaged end of its log for a write that never finished. So the
//! number and digest of every commit go into this file as well, after sled's file is on the disk and before anybody is
//! told. The mark may therefore be one commit behind sled after a crash, and never ahead of it.
//!
//! Two slots of 64 bytes at 0 and 4096 are written in turn, in place: a torn write leaves the other slot good, and
//! `fdatasync` has no metadata to write.
//! ```text
//! 0..8    "BLHIGHW1"
//! 8..24   the store's id
//! 24..32  number of the commit, big-endian
//! 32..48  digest of all rows after it, big-endian
//! 48..52  CRC-32C of bytes 0..48, big-endian
//! ```

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::error::{Damage, Fault};
use crate::files;

const MAGIC: &[u8; 8] = b"BLHIGHW1";
const SLOT: usize = 4096;
const USED: usize = 52;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub store: Uuid,
    pub seq: u64,
    pub digest: u128,
}

impl Mark {
    fn to_slot(self) -> [u8; USED] {
        let mut slot = [0; USED];
        slot[..8].copy_from_slice(MAGIC);
        slot[8..24].copy_from_slice(self.store.as_bytes());
        slot[24..32].copy_from_slice(&self.seq.to_be_bytes());
        slot[32..48].copy_from_slice(&self.digest.to_be_bytes());
        let crc = crc32c::crc32c(&slot[..48]);
        slot[48..].copy_from_slice(&crc.to_be_bytes());
        slot
    }

    fn from_slot(slot: &[u8]) -> Option<Self> {
        let slot: &[u8; USED] = slot.first_chunk()?;
        if slot[..8] != *MAGIC || crc32c::crc32c(&slot[..48]).to_be_bytes() != slot[48..] {
            return None;
        }
        Some(Self {
            store: Uuid::from_bytes(*slot[8..].first_chunk()?),
            seq: u64::from_be_bytes(*slot[24..].first_chunk()?),
            digest: u128::from_be_bytes(*slot[32..].first_chunk()?),
        })
    }

    /// The slot that a commit is written into; the commit before it stays readable in the other one.
    const fn offset(self) -> u64 {
        (self.seq & 1) * SLOT as u64
    }
}

/// What the file said when it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    pub mark: Mark,
    /// No commit was ever acknowledged, for certain.
    pub untouched: bool,
}

#[derive(Debug)]
pub(crate) struct HighWater {
    file: File,
    path: PathBuf,
}

impl HighWater {
    /// Makes the file with its first mark, durably; there must be none yet.
    pub(crate) fn create(path: &Path, mark: Mark) -> Result<(), Fault> {
        let mut content = vec![0; 2 * SLOT];
        let at = if mark.offset() == 0 { 0 } else { SLOT };
        content[at..at + USED].copy_from_slice(&mark.to_slot());
        files::write_atomically(path, &content)
    }

    /// The mark, or `None` if there is no file.
    pub(crate) fn open(path: &Path) -> Result<Option<(Self, Found)>, Fault> {
        let mut file = match File::options().read(true).write(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(files::fault("open", path)(error)),
        };
        let mut content = Vec::new();
        file.read_to_end(&mut content).map_err(files::fault("read", path))?;
        let found = Self::decode(&content).ok_or(Damage::HighWaterDamaged)?;
        Ok(Some((Self { file, path: path.to_owned() }, found)))
    }

    fn decode(content: &[u8]) -> Option<Found> {
        let slots = [content.get(..SLOT).unwrap_or(content), content.get(SLOT..).unwrap_or(&[])];
        let marks = slots.map(Mark::from_slot);
        let mark = marks.into_iter().flatten().max_by_key(|mark| mark.seq)?;
        let other_is_blank = slots.iter().any(|slot| !slot.is_empty() && slot.iter().all(|byte| *byte == 0));
        if marks.contains(&None) && !other_is_blank {
            tracing::warn!("one slot of the store's high-water mark is damaged; the other one is used");
        }
        Some(Found { mark, untouched: mark.seq == 0 && other_is_blank })
    }

    /// Raises the mark; it is on the disk when this returns.
    pub(crate) fn raise(&self, mark: Mark) -> Result<(), Fault> {
        self.file.write_all_at(&mark.to_slot(), mark.offset()).map_err(files::fault("write", &self.path))?;
        self.file.sync_data().map_err(files::fault("fsync", &self.path))
    }
}

#[cfg(test)]
impl HighWater {
    pub(crate) fn break_with(&mut self, file: File) {
        self.file = file;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(seq: u64) -> Mark {
        Mark { store: Uuid::from_u128(7), seq, digest: u128::from(seq) << 64 | 5 }
    }

    fn file_with(seqs: std::ops::RangeInclusive<u64>) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("high-water");
        HighWater::create(&path, mark(*seqs.start())).unwrap();
        let (file, _) = HighWater::open(&path).unwrap().unwrap();
        for seq in seqs.skip(1) {
            file.raise(mark(seq)).unwrap();
        }
        (dir, path)
    }

    #[test]
    fn the_last_mark_is_read_back() {
        for last in 0..5 {
            let (_dir, path) = file_with(0..=last);
            let (_, found) = HighWater::open(&path).unwrap().unwrap();
            assert_eq!(found, Found { mark: mark(last), untouched: last == 0 });
        }
    }

    #[test]
    fn a_torn_write_leaves_the_mark_before_it() {
        let (_dir, path) = file_with(0..=6);
        let mut content = std::fs::read(&path).unwrap();
        content[20] ^= 1; // slot 0 holds commit 6
        std::fs::write(&path, &content).unwrap();
        let (_, found) = HighWater::open(&path).unwrap().unwrap();
        assert_eq!(found, Found { mark: mark(5), untouched: false });
    }

    #[test]
    fn a_damaged_second_slot_is_not_taken_for_one_never_written() {
        let (_dir, path) = file_with(0..=1);
        let mut content = std::fs::read(&path).unwrap();
        content[SLOT + 20] ^= 1;
        std::fs::write(&path, &content).unwrap();
        let (_, found) = HighWater::open(&path).unwrap().unwrap();
        assert_eq!(found, Found { mark: mark(0), untouched: false });
    }

    #[test]
    fn two_damaged_slots_are_an_error_and_not_a_new_store() {
        let (_dir, path) = file_with(0..=6);
        for content in [vec![], vec![0; 2 * SLOT], vec![0xff; 2 * SLOT], vec![0; 10]] {
            std::fs::write(&path, &content).unwrap();
            assert!(matches!(HighWater::open(&path), Err(Fault::Damage(Damage::HighWaterDamaged))));
        }
    }
}
