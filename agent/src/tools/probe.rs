//! Reads a little from disks and file systems, past every cache, to find out whether they still answer.
//!
//! A read of a dying disk may hold up its thread for minutes, and no signal ends it. So each has a thread of its own, which
//! nobody waits for when the agent stops.

use std::io;

use camino::Utf8Path;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use tokio::sync::oneshot;

use crate::host::HostError;

/// What every disk and file system of today takes as the unit of direct access.
const BLOCK: usize = 4096;

/// The first block and the last one: a disk may answer at one end only.
pub fn disk(path: &Utf8Path) -> io::Result<()> {
    let file = rustix::fs::open(path.as_std_path(), OFlags::RDONLY | OFlags::DIRECT | OFlags::CLOEXEC, Mode::empty())?;
    let size = rustix::fs::seek(&file, rustix::fs::SeekFrom::End(0))?;
    let block = BLOCK as u64;
    for at in [0, (size / block).saturating_sub(1) * block] {
        // A disk that has died may come back with no room at all.
        if read(&file, at)? < BLOCK {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

/// An XFS that has shut itself down answers every access with an error, also where the cache has what is asked for. A folder
/// that is gone is no fault: its brick was removed, or is not mounted, and neither is the disk's doing.
pub fn file_system(root: &Utf8Path, file: &str) -> io::Result<()> {
    let path = root.join(file);
    let open = |flags| rustix::fs::open(path.as_std_path(), flags | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    match open(OFlags::DIRECT) {
        Ok(file) => match read(&file, 0) {
            // A file system that knows no direct access.
            Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => {
                read(open(OFlags::empty())?, 0).map(drop)
            }
            result => result.map(drop),
        },
        Err(Errno::NOENT) => match std::fs::read_dir(root.as_std_path()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            entries => entries?.next().transpose().map(drop),
        },
        Err(Errno::INVAL) => read(open(OFlags::empty())?, 0).map(drop),
        Err(error) => Err(error.into()),
    }
}

fn read(file: impl std::os::fd::AsFd, offset: u64) -> io::Result<usize> {
    let mut room = vec![0_u8; 2 * BLOCK];
    let start = room.as_ptr().align_offset(BLOCK).min(BLOCK);
    let read = rustix::io::pread(file, &mut room[start..start + BLOCK], offset);
    Ok(read?)
}

/// Runs it where nothing else waits.
pub async fn on_a_thread_of_its_own<T: Send + 'static>(
    what: &str,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, HostError> {
    let failed = |source| HostError::Io { what: format!("reading {what}"), source };
    let (tell, told) = oneshot::channel();
    std::thread::Builder::new()
        .name("probe".to_owned())
        .spawn(move || {
            // Whoever asked may have stopped.
            let _ = tell.send(work());
        })
        .map_err(failed)?;
    told.await.unwrap_or_else(|_| Err(io::Error::other("the thread that read it has ended"))).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_answers_with_the_file_and_without_it_and_one_that_was_taken_away_is_no_fault() {
        let dir = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(dir.path()).unwrap();
        file_system(root, "record").unwrap();
        std::fs::write(root.join("record"), "x").unwrap();
        file_system(root, "record").unwrap();
        file_system(&root.join("gone"), "record").unwrap();
        std::fs::write(root.join("no-folder"), "").unwrap();
        assert!(file_system(&root.join("no-folder"), "record").is_err());
    }

    #[test]
    fn a_disk_that_has_shrunk_to_nothing_does_not_answer() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = Utf8Path::from_path(file.path()).unwrap();
        assert!(disk(path).is_err());
        std::fs::write(path, vec![0; 3 * BLOCK]).unwrap();
        disk(path).unwrap();
    }

    #[test]
    fn a_disk_that_is_not_there_is_an_error() {
        assert_eq!(disk(Utf8Path::new("/dev/no-such-disk")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[tokio::test]
    async fn the_answer_names_what_was_read() {
        let error = on_a_thread_of_its_own::<()>("/dev/sdb", || Err(Errno::IO.into())).await.unwrap_err();
        let text = crate::engine::chain(&error);
        assert!(text.starts_with("reading /dev/sdb failed: Input/output error"), "{text}");
    }
}
