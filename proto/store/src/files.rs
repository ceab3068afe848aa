//! Files and directories, made so that they are still there after a power cut.

use std::fs::{self, DirBuilder, File, Permissions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::error::{Fault, OpenError};

/// The lock's file in a store's directory.
pub(crate) const LOCK: &str = "lock";

pub(crate) fn fault(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Fault {
    move |source| Fault::Io { doing, path: path.to_owned(), source }
}

/// Makes the names in a directory durable.
pub(crate) fn sync_dir(path: &Path) -> Result<(), Fault> {
    File::open(path).and_then(|dir| dir.sync_all()).map_err(fault("fsync", path))
}

/// Makes a file's content and size durable.
pub(crate) fn sync_file(path: &Path) -> Result<(), Fault> {
    File::open(path).and_then(|file| file.sync_all()).map_err(fault("fsync", path))
}

/// The directory that holds a path; `.` for a bare name.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) => Path::new("."),
        None => path,
    }
}

/// Makes a directory for its owner alone, with those above it, durably; one that is there is closed to others.
pub(crate) fn private_dir(path: &Path) -> Result<(), Fault> {
    if let Ok(found) = fs::metadata(path)
        && found.is_dir()
    {
        return restrict(path, 0o700);
    }
    let above = parent(path);
    if !above.exists() {
        // Not ours alone, so it gets the usual mode.
        fs::create_dir_all(above).map_err(fault("create", above))?;
        sync_dir(parent(above))?;
    }
    DirBuilder::new().mode(0o700).create(path).map_err(fault("create", path))?;
    sync_dir(above)
}

/// Takes all rights on a file or directory from everybody but its owner.
pub(crate) fn restrict(path: &Path, mode: u32) -> Result<(), Fault> {
    let found = fs::metadata(path).map_err(fault("look at", path))?.permissions().mode();
    if found & 0o777 == mode {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(fault("change the mode of", path))
}

/// Writes a whole file: it is there with all of its content, or it is not there (or the one before it is).
pub(crate) fn write_atomically(path: &Path, content: &[u8]) -> Result<(), Fault> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    let mut file = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)
        .map_err(fault("create", &new))?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(fault("write", &new))?;
    fs::rename(&new, path).map_err(fault("move into place", path))?;
    sync_dir(parent(path))
}

/// A store's lock; it ends with the process, however that ends.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    pub(crate) fn take(dir: &Path) -> Result<Self, OpenError> {
        let path = dir.join(LOCK);
        let io = |doing| {
            let path = path.clone();
            move |source| OpenError::Io { dir: dir.to_owned(), fault: Fault::Io { doing, path, source } }
        };
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(io("open"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let holder = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
                return Err(OpenError::Locked { dir: dir.to_owned(), lock: path, holder });
            }
            Err(TryLockError::Error(error)) => return Err(io("lock")(error)),
        }
        // Between our open and our lock the holder may have set the directory aside: then we hold the lock of that one.
        let ours = file.metadata().map_err(io("look at"))?;
        if fs::metadata(&path).map_or(true, |there| (there.dev(), there.ino()) != (ours.dev(), ours.ino())) {
            return Err(OpenError::Locked { dir: dir.to_owned(), lock: path, holder: None });
        }
        // For people only: the lock is the kernel's.
        file.set_len(0).and_then(|()| file.rewind()).map_err(io("write"))?;
        writeln!(file, "{}", std::process::id()).map_err(io("write"))?;
        Ok(Self { _file: file })
    }
}

/// The present time, as it is put into names of files.
pub(crate) fn timestamp() -> String {
    jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// Moves a file or directory to `<path>.<why>-<time>` and makes that durable. Never replaces anything.
pub(crate) fn move_aside(path: &Path, why: &str) -> Result<PathBuf, Fault> {
    let base = format!("{why}-{}", timestamp());
    let mut attempt = 1;
    let aside = loop {
        let suffix = if attempt == 1 { base.clone() } else { format!("{base}-{attempt}") };
        let mut name = path.as_os_str().to_owned();
        name.push(".");
        name.push(suffix);
        let aside = PathBuf::from(name);
        if fs::symlink_metadata(&aside).is_err() {
            break aside;
        }
        attempt += 1;
    };
    fs::rename(path, &aside).map_err(fault("set aside", path))?;
    sync_dir(parent(path))?;
    Ok(aside)
}

/// Moves a damaged store out of the way, to `<dir>.damaged-<time>`, and says where it went. Nothing is deleted.
///
/// Refused while a program has the store open.
pub fn set_aside(dir: &Path) -> Result<PathBuf, OpenError> {
    let _lock = Lock::take(dir)?;
    move_aside(dir, "damaged").map_err(|fault| OpenError::Io { dir: dir.to_owned(), fault })
}
