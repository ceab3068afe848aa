//! Mounts, the folders they stand on, and what is written inside: system calls, no programs.
//!
//! An empty mount point is immutable, and nothing is written to one on which nothing is mounted: what GlusterFS would
//! write there would fill the host's own file system.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::time::Duration;

use bricklayer_proto::names::{BrickPath, MountPoint};
use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::IFlags;
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags};
use uuid::Uuid;

use super::blockdev::device_number;
use super::{files, holders};
use crate::host::{HostError, Mount};

pub(super) const PROC: &str = "/proc";

/// Reads `/proc/<pid>/mountinfo`.
pub fn parse_mounts(text: &str) -> Result<Vec<Mount>, HostError> {
    let read = |line: &str| {
        let (place, what) = line.split_once(" - ")?;
        let mut place = place.split(' ').skip(2);
        let number = device_number(place.next()?)?;
        let at = place.nth(1)?;
        let mut what = what.split(' ');
        let (file_system, source) = (what.next()?, what.next()?);
        Some(Mount {
            source: unescape(source),
            device_number: number,
            at: Utf8PathBuf::from(unescape(at)),
            file_system: file_system.to_owned(),
        })
    };
    let unreadable =
        |line: &str| HostError::Unreadable { what: "the kernel's list of mounts".to_owned(), why: line.to_owned() };
    text.lines().map(|line| read(line).ok_or_else(|| unreadable(line))).collect()
}

/// Reads `/proc/swaps`.
#[must_use]
pub fn parse_swaps(text: &str) -> Vec<Utf8PathBuf> {
    let sources = text.lines().skip(1).filter_map(|line| line.split_whitespace().next());
    sources.map(|source| Utf8PathBuf::from(unescape(source))).collect()
}

/// The kernel, and fstab, write space, tab, line break and backslash as `\040`, `\011`, `\012`, `\134`.
#[must_use]
pub fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let digits = rest.get(at + 1..at + 4);
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()).filter(u8::is_ascii);
        match byte {
            Some(byte) => {
                out.push(char::from(byte));
                rest = &rest[at + 4..];
            }
            None => {
                out.push('\\');
                rest = &rest[at + 1..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// Mounts an XFS as every brick is mounted.
pub fn mount_xfs(device: &Utf8Path, at: &MountPoint) -> Result<(), HostError> {
    let mount = |options| rustix::mount::mount(device.as_str(), at.as_str(), "xfs", MountFlags::NOATIME, options);
    let mounted = match mount(c"inode64") {
        // A clone of it, which has the same UUID, is mounted already. The volume was found by its tags, not by its UUID.
        Err(Errno::INVAL) => mount(c"inode64,nouuid"),
        other => other,
    };
    mounted.map_err(|errno| io_error(format!("mounting {device} at {at}"), errno))
}

/// Unmounts; a brick process that was just stopped may hold it for some seconds more.
pub async fn unmount(at: &Utf8Path, patience: Duration) -> Result<(), HostError> {
    let start = tokio::time::Instant::now();
    loop {
        match rustix::mount::unmount(at.as_str(), UnmountFlags::NOFOLLOW) {
            Ok(()) => return Ok(()),
            Err(Errno::BUSY) if start.elapsed() < patience => tokio::time::sleep(Duration::from_millis(100)).await,
            Err(Errno::BUSY) => {
                let place = at.to_owned();
                let look = tokio::task::spawn_blocking(move || holders::of_mount(PROC.into(), &place));
                let said = match look.await.ok().flatten() {
                    Some(holders) => format!("it is in use by {holders}"),
                    None => "it is in use, and no process is seen to have anything of it open".to_owned(),
                };
                return Err(HostError::Failed { what: format!("unmounting {at}"), said });
            }
            Err(errno) => return Err(io_error(format!("unmounting {at}"), errno)),
        }
    }
}

/// Whether something is mounted exactly here.
pub fn is_mounted(at: &Utf8Path) -> io::Result<bool> {
    let above = at.parent().unwrap_or(at);
    Ok(fs::symlink_metadata(at)?.dev() != fs::symlink_metadata(above)?.dev())
}

pub fn make_mount_point(at: &MountPoint) -> Result<(), HostError> {
    let path = at.as_path();
    let failed = |source| HostError::Io { what: format!("making the mount point {at}"), source };
    match fs::symlink_metadata(path) {
        Ok(found) if !found.is_dir() => {
            return Err(HostError::Failed {
                what: format!("making the mount point {at}"),
                said: "there is something else of that name".to_owned(),
            });
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            DirBuilder::new().recursive(true).mode(0o755).create(path).map_err(failed)?;
            for folder in path.ancestors().skip(1).take(2) {
                files::sync_folder(folder).map_err(failed)?;
            }
        }
        Err(error) => return Err(failed(error)),
    }
    if !is_mounted(path).map_err(failed)? {
        set_immutable(path, true).map_err(failed)?;
    }
    Ok(())
}

/// Removes the group's folder too if it is empty then, but never `root`.
pub fn remove_mount_point(root: &MountPoint, at: &MountPoint) -> Result<(), HostError> {
    let path = at.as_path();
    let failed = |source| HostError::Io { what: format!("removing the mount point {at}"), source };
    match is_mounted(path) {
        Ok(true) => {
            return Err(HostError::Failed {
                what: format!("removing the mount point {at}"),
                said: "something is mounted there".to_owned(),
            });
        }
        Ok(false) => {
            set_immutable(path, false).map_err(failed)?;
            fs::remove_dir(path).map_err(failed)?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    // Of an adopted brick the folder above may be anybody's.
    let of_group = |folder: &&Utf8Path| folder.file_name().is_some_and(|name| name.starts_with("vg_"));
    if let Some(folder) = path.parent().filter(|folder| *folder != root.as_path()).filter(of_group) {
        match fs::remove_dir(folder) {
            Ok(()) => {}
            // Other bricks of the group, or never made.
            Err(error) if matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotFound) => {}
            Err(error) => return Err(failed(error)),
        }
    }
    // A power cut would bring it back, and by then nobody would know of it.
    match path.ancestors().skip(1).find(|folder| folder.exists()) {
        Some(folder) => files::sync_folder(folder).map_err(failed),
        None => Ok(()),
    }
}

/// Folder by folder, never what is in them: GlusterFS makes these and puts nothing there while the volume does not run.
pub fn remove_stand_in(path: &Utf8Path) -> Result<(), HostError> {
    for folder in [path.join(".glusterfs/indices"), path.join(".glusterfs"), path.to_owned()] {
        match fs::remove_dir(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(HostError::Io { what: format!("removing the empty folder {folder}"), source: error });
            }
            _ => {}
        }
    }
    Ok(())
}

fn set_immutable(folder: &Utf8Path, immutable: bool) -> io::Result<()> {
    let file = File::open(folder)?;
    let set = || {
        let mut flags = rustix::fs::ioctl_getflags(&file)?;
        if flags.contains(IFlags::IMMUTABLE) != immutable {
            flags.set(IFlags::IMMUTABLE, immutable);
            rustix::fs::ioctl_setflags(&file, flags)?;
        }
        Ok(())
    };
    match set() {
        // Some file systems know no such flag. The brick is a folder inside the mounted file system, which is the
        // first guard; this would have been the second.
        Err(Errno::NOTTY | Errno::OPNOTSUPP | Errno::INVAL) => {
            tracing::debug!(%folder, "this file system has no immutable folders");
            Ok(())
        }
        other => other.map_err(Into::into),
    }
}

/// The root of a brick's file system, if it is mounted; an error where the folder is bare.
fn mounted_root(at: &MountPoint, doing: &str) -> Result<Utf8PathBuf, HostError> {
    match is_mounted(at.as_path()) {
        Ok(true) => Ok(at.as_path().to_owned()),
        Ok(false) => Err(HostError::Failed { what: doing.to_owned(), said: format!("nothing is mounted at {at}") }),
        Err(source) => Err(HostError::Io { what: doing.to_owned(), source }),
    }
}

pub fn write_record(at: &MountPoint, name: &str, content: &[u8]) -> Result<(), HostError> {
    let what = format!("writing {at}/{name}");
    let file = mounted_root(at, &what)?.join(name);
    files::replace(&file, content, 0o600).map_err(|source| HostError::Io { what, source })
}

pub fn read_record(at: &MountPoint, name: &str) -> Result<Option<Vec<u8>>, HostError> {
    let what = format!("reading {at}/{name}");
    let file = mounted_root(at, &what)?.join(name);
    match fs::read(file) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(HostError::Io { what, source }),
    }
}

pub fn remove_record(at: &MountPoint, name: &str) -> Result<(), HostError> {
    let what = format!("removing {at}/{name}");
    let root = mounted_root(at, &what)?;
    let removed = match fs::remove_file(root.join(name)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    };
    removed.and_then(|()| files::sync_folder(&root)).map_err(|source| HostError::Io { what, source })
}

/// Made beside its place and moved there, so that it is never seen without its owner and mode.
pub fn make_brick_directory(path: &BrickPath, gid: u32) -> Result<(), HostError> {
    let what = format!("making the brick directory {path}");
    let failed = |source| HostError::Io { what: what.clone(), source };
    let folder = path.as_path();
    match fs::symlink_metadata(folder) {
        Ok(found) if found.is_dir() => return Ok(()),
        Ok(_) => {
            return Err(HostError::Failed { what, said: "there is something else of that name".to_owned() });
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let root = folder.parent().unwrap_or(folder);
    if !is_mounted(root).map_err(failed)? {
        return Err(HostError::Failed { what, said: format!("nothing is mounted at {root}") });
    }
    let new = root.join(".brick.bricklayer-new");
    match fs::remove_dir(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    fs::create_dir(&new).map_err(failed)?;
    let mode = if gid == 0 {
        0o755
    } else {
        std::os::unix::fs::chown(&new, None, Some(gid)).map_err(failed)?;
        0o2775
    };
    fs::set_permissions(&new, Permissions::from_mode(mode)).map_err(failed)?;
    fs::rename(&new, folder).map_err(failed)?;
    files::sync_folder(root).map_err(failed)
}

/// Where GlusterFS writes on a brick directory of which volume it is: the 16 bytes of the volume's own id.
const MARK: &str = "trusted.glusterfs.volume-id";

/// See [`crate::host::Host::brick_mark`].
pub fn brick_mark(path: &BrickPath) -> Result<Option<String>, HostError> {
    let mut mark = uuid::Bytes::default();
    match rustix::fs::getxattr(path.as_path().as_str(), MARK, &mut mark[..]) {
        Ok(_) => Ok(Some(Uuid::from_bytes(mark).to_string())),
        Err(Errno::NODATA | Errno::NOENT) => Ok(None),
        Err(errno) => Err(io_error(format!("reading GlusterFS's mark of {path}"), errno)),
    }
}

/// See [`crate::host::Host::mark_brick`].
pub fn mark_brick(path: &BrickPath, found: Option<&str>, volume: &str) -> Result<(), HostError> {
    let what = format!("marking {path} as a brick of volume {volume}");
    let said = |error: uuid::Error| HostError::Failed { what: what.clone(), said: error.to_string() };
    let mark = Uuid::parse_str(volume).map_err(said)?;
    let there = brick_mark(path)?;
    if there.as_deref() != found {
        let there = there.map_or_else(|| "it has none".to_owned(), |there| format!("it has that of volume {there}"));
        let said = format!("its mark is not the one that was found: {there} by now");
        return Err(HostError::Failed { what, said });
    }
    let folder = path.as_path();
    // glusterd makes them before it sets the mark, and no brick starts without them ("Failed to find parent dir").
    let own = folder.join(".glusterfs");
    for made in [&own, &own.join("indices")] {
        match DirBuilder::new().mode(0o600).create(made) {
            Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
                return Err(HostError::Io { what, source });
            }
            _ => {}
        }
    }
    files::sync_folder(&own).map_err(|source| HostError::Io { what: what.clone(), source })?;
    let as_found = if found.is_some() { rustix::fs::XattrFlags::REPLACE } else { rustix::fs::XattrFlags::CREATE };
    rustix::fs::setxattr(folder.as_str(), MARK, mark.as_bytes(), as_found)
        .map_err(|errno| io_error(what.clone(), errno))?;
    files::sync_folder(folder).map_err(|source| HostError::Io { what, source })
}

/// See [`crate::host::Host::clear_brick_marks`].
pub fn clear_brick_marks(path: &BrickPath) -> Result<(), HostError> {
    const OWN_FOLDER: &str = ".glusterfs";
    let what = format!("clearing GlusterFS's marks off {path}");
    let failed = |source| HostError::Io { what: what.clone(), source };
    let folder = path.as_path();
    for entry in folder.read_dir_utf8().map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_name() != OWN_FOLDER {
            let said = format!("it is not empty: there is {}", entry.file_name());
            return Err(HostError::Failed { what, said });
        }
    }
    match fs::remove_dir_all(folder.join(OWN_FOLDER)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    for name in extended_attributes(folder).map_err(failed)? {
        if name == "trusted.gfid" || name.starts_with("trusted.glusterfs.") || name.starts_with("trusted.afr.") {
            rustix::fs::removexattr(folder.as_str(), name.as_str()).map_err(|errno| failed(errno.into()))?;
        }
    }
    files::sync_folder(folder).map_err(failed)
}

fn extended_attributes(path: &Utf8Path) -> io::Result<Vec<String>> {
    // The kernel's limit for the list of one file.
    let mut names = vec![0_u8; 64 << 10];
    let length = rustix::fs::listxattr(path.as_str(), &mut names[..])?;
    names.truncate(length);
    Ok(names.split(|byte| *byte == 0).filter_map(|name| std::str::from_utf8(name).ok()).map(str::to_owned).collect())
}

fn io_error(what: String, errno: Errno) -> HostError {
    HostError::Io { what, source: errno.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_brick_is_marked_together_with_the_folders_without_which_it_does_not_start() {
        let dir = tempfile::tempdir().unwrap();
        let brick = Utf8PathBuf::try_from(dir.path().join("brick")).unwrap();
        fs::create_dir(&brick).unwrap();
        let path: BrickPath = brick.as_str().to_owned().try_into().unwrap();
        let volume = "a5a0d348-9256-4c25-87c2-48b57876aee8";
        let marked = mark_brick(&path, None, volume);
        let mode = fs::metadata(brick.join(".glusterfs/indices")).unwrap().mode();
        assert_eq!(mode & 0o7777, 0o600, "as glusterd makes it");
        // Such marks are for root alone, and not on every file system.
        match marked {
            Ok(()) => {
                assert_eq!(brick_mark(&path).unwrap().as_deref(), Some(volume));
                assert!(mark_brick(&path, None, volume).is_err(), "what was not found is not replaced");
                let clone = "5a0fbd3e-5b54-4c4f-a6ce-34c1fbf0f4f2";
                assert!(mark_brick(&path, Some(clone), volume).is_err(), "nor is another than what was found");
                mark_brick(&path, Some(volume), clone).unwrap();
                assert_eq!(brick_mark(&path).unwrap().as_deref(), Some(clone));
            }
            Err(error) => assert!(error.to_string().contains("marking"), "{error}"),
        }
    }

    #[test]
    fn mounts_are_read_with_device_numbers_and_spaces() {
        let mounts =
            parse_mounts(include_str!("../../../tests/fixtures/util-linux-2.38/mountinfo-foreign.txt")).unwrap();
        let with_space = mounts.iter().find(|mount| mount.source == "/dev/sdd").unwrap();
        assert_eq!(with_space.at, "/mnt/with space");
        assert_eq!(with_space.device_number, (8, 48));
        assert_eq!(with_space.file_system, "xfs");
    }

    #[test]
    fn a_line_of_mounts_that_cannot_be_read_is_an_error() {
        assert!(parse_mounts("26 1 0:20 / / rw,relatime overlay").is_err());
    }

    #[test]
    fn swaps_are_read_without_their_heading() {
        let swaps = parse_swaps(include_str!("../../../tests/fixtures/util-linux-2.38/swaps-foreign.txt"));
        assert_eq!(swaps, ["/dev/sdc2"]);
    }

    #[test]
    fn what_is_no_escape_stays_as_it_is() {
        assert_eq!(unescape(r"a\040b\134c\x20d\"), r"a b\c\x20d\");
        assert_eq!(unescape(r"\0é"), r"\0é");
    }

    #[test]
    fn nothing_is_written_below_a_bare_mount_point() {
        let dir = tempfile::tempdir().unwrap();
        let root: MountPoint = dir.path().display().to_string().parse().unwrap();
        let at: MountPoint = format!("{root}/vg_a/brick_b").parse().unwrap();
        make_mount_point(&at).unwrap();
        make_mount_point(&at).unwrap();
        assert!(write_record(&at, "record", b"{}").unwrap_err().to_string().contains("nothing is mounted"));
        assert!(make_brick_directory(&at.brick_path(), 0).unwrap_err().to_string().contains("nothing is mounted"));
        remove_mount_point(&root, &at).unwrap();
        remove_mount_point(&root, &at).unwrap();
        assert!(!at.as_path().parent().unwrap().exists());
        assert!(root.as_path().exists());
    }
}
