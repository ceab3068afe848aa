//! Files that hold keys: never readable by others, not even for the time of their making.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("{} exists already; it is never overwritten", path.display())]
    Exists { path: PathBuf },
    #[error(
        "{} can be read by others (mode {mode:04o}, owner {owner}): a key that others may have read is no secret. If \
         you are certain that nobody has, `chown {us} {0} && chmod 600 {0}`", path.display()
    )]
    Loose { path: PathBuf, mode: u32, owner: u32, us: u32 },
    #[error("{doing} {} failed", path.display())]
    Io {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl FileError {
    fn io<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + use<'a> {
        move |source| Self::Io { doing, path: path.to_owned(), source }
    }
}

/// Makes a folder that only its owner may enter, durably.
pub fn make_private_dir(path: &Path) -> Result<(), FileError> {
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(FileError::io("making", path))?;
    path.parent().map_or(Ok(()), sync_dir)
}

/// Writes a file that is not there yet: whole and durable, or not at all.
pub fn write_new(path: &Path, content: &[u8]) -> Result<(), FileError> {
    if path.exists() {
        return Err(FileError::Exists { path: path.to_owned() });
    }
    let unfinished = path.with_extension("new");
    // Left from a crash in the middle of this function; it never became the real one.
    remove(&unfinished)?;
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
        file.write_all(content)?;
        file.sync_all()?;
        std::fs::rename(&unfinished, path)
    };
    write().map_err(FileError::io("writing", path))?;
    path.parent().map_or(Ok(()), sync_dir)
}

/// Writes a file in one step and durably, whether one is there or not.
pub fn replace(path: &Path, content: &[u8]) -> Result<(), FileError> {
    let unfinished = path.with_extension("new");
    remove(&unfinished)?;
    write_new(&unfinished, content)?;
    std::fs::rename(&unfinished, path).map_err(FileError::io("replacing", path))?;
    path.parent().map_or(Ok(()), sync_dir)
}

/// Removes a file, if it is there.
pub fn remove(path: &Path) -> Result<(), FileError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(FileError::io("removing", path)(error)),
        _ => Ok(()),
    }
}

/// Reads a file that nobody else may read.
pub fn read_private(path: &Path) -> Result<String, FileError> {
    let metadata = std::fs::metadata(path).map_err(FileError::io("reading", path))?;
    let (mode, owner, us) = (metadata.mode() & 0o7777, metadata.uid(), rustix::process::geteuid().as_raw());
    if mode & 0o077 != 0 || owner != us {
        return Err(FileError::Loose { path: path.to_owned(), mode, owner, us });
    }
    std::fs::read_to_string(path).map_err(FileError::io("reading", path))
}

fn sync_dir(path: &Path) -> Result<(), FileError> {
    File::open(path).and_then(|dir| dir.sync_all()).map_err(FileError::io("syncing", path))
}
