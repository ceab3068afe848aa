//! The file of fstab: it is replaced as a whole, and whether it can be is found out beforehand, without changing anything.

use std::os::unix::fs::MetadataExt as _;
use std::{fs, io};

use camino::Utf8Path;
use rustix::fs::{Access, IFlags, Mode, OFlags};

use super::{files, mount};
use crate::host::{HostError, Mount};

/// Where it still has the text `old`, it has the text `new`; `false` where somebody has changed it meanwhile.
pub fn replace(fstab: &Utf8Path, old: &str, new: &str) -> Result<bool, HostError> {
    let what = || format!("replacing {fstab}");
    let failed = |source: io::Error| HostError::Io { what: what(), source };
    let mode = plain(fstab, what)?.map_or(0o644, |found| found.mode() & 0o7777);
    let unchanged = || match fs::read_to_string(fstab) {
        Ok(text) => Ok(text == old),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(old.is_empty()),
        Err(error) => Err(error),
    };
    files::replace_if(fstab, new.as_bytes(), mode, unchanged).map_err(failed)
}

/// The file, which has to be a plain one; `None` where there is none yet.
fn plain(fstab: &Utf8Path, what: impl Fn() -> String) -> Result<Option<fs::Metadata>, HostError> {
    match fs::symlink_metadata(fstab) {
        Ok(found) if found.is_file() => Ok(Some(found)),
        Ok(_) => {
            let said = "it is no plain file; a link would be replaced, not followed".to_owned();
            Err(HostError::Failed { what: what(), said })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(HostError::Io { what: what(), source }),
    }
}

/// A replacement makes a file beside it and puts that in its place. What refuses either is told: a file system that is mounted
/// read-only, a folder or file that is immutable or append-only, a link, or a file on which something is mounted.
pub fn can_be_replaced(fstab: &Utf8Path) -> Result<(), HostError> {
    let what = || format!("changing {fstab}");
    let refused = |said: String| HostError::Failed { what: what(), said };
    let failed = |source: io::Error| HostError::Io { what: what(), source };
    let folder = fstab.parent().unwrap_or(fstab);
    check_access(folder).map_err(|source| refused(format!("nothing can be made in {folder}: {source}")))?;
    if let Some(flag) = flag_of(folder).filter(|flag| *flag == APPEND_ONLY) {
        return Err(refused(format!("{folder} is {flag}")));
    }
    if plain(fstab, what)?.is_none() {
        return Ok(());
    }
    if let Some(flag) = flag_of(fstab) {
        return Err(refused(format!("it is {flag}")));
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").map_err(failed)?;
    if is_mounted_on(fstab, &mount::parse_mounts(&mounts)?) {
        return Err(refused("something is mounted on it, so that it cannot be replaced".to_owned()));
    }
    Ok(())
}

/// By the kernel's table. A file whose device number is another than its folder's says nothing: in an overlay all are so.
fn is_mounted_on(file: &Utf8Path, mounts: &[Mount]) -> bool {
    mounts.iter().any(|mount| mount.at == file)
}

/// For root, the kernel refuses this where the file system is read-only or the folder immutable, and nowhere else.
fn check_access(folder: &Utf8Path) -> io::Result<()> {
    rustix::fs::access(folder.as_str(), Access::WRITE_OK | Access::EXEC_OK).map_err(io::Error::from)
}

const IMMUTABLE: &str = "immutable (`chattr +i`)";
const APPEND_ONLY: &str = "append-only (`chattr +a`)";

/// Of a file system that has such flags.
fn flag_of(path: &Utf8Path) -> Option<&'static str> {
    let open = rustix::fs::open(path.as_str(), OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty());
    let flags = rustix::fs::ioctl_getflags(open.ok()?).ok()?;
    if flags.contains(IFlags::IMMUTABLE) {
        return Some(IMMUTABLE);
    }
    flags.contains(IFlags::APPEND).then_some(APPEND_ONLY)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn an_fstab_that_can_be_replaced_and_one_that_is_not_there_yet_are_no_trouble() {
        let dir = tempfile::tempdir().unwrap();
        let fstab = Utf8Path::from_path(dir.path()).unwrap().join("fstab");
        can_be_replaced(&fstab).unwrap();
        fs::write(&fstab, "# mine\n").unwrap();
        can_be_replaced(&fstab).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left of the look");
    }

    #[test]
    fn a_link_and_a_folder_that_takes_nothing_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let fstab = Utf8Path::from_path(dir.path()).unwrap().join("fstab");
        symlink("/etc/fstab", &fstab).unwrap();
        let said = can_be_replaced(&fstab).unwrap_err().to_string();
        assert!(said.contains("no plain file"), "{said}");
        // Read-only for everybody, also for root.
        let said = can_be_replaced("/proc/sys/kernel/fstab".into()).unwrap_err().to_string();
        assert!(said.starts_with("changing /proc/sys/kernel/fstab failed: nothing can be made in /proc/sys"), "{said}");
    }

    #[test]
    fn an_fstab_on_which_something_is_mounted_is_known_from_one_in_an_overlay() {
        let overlay = "22 1 0:20 / / rw,relatime - overlay none rw,lowerdir=/ro,upperdir=/rw/up,workdir=/rw/work\n";
        let bind = "40 22 8:1 /fstab /etc/fstab rw,relatime - ext4 /dev/sda1 rw\n";
        let is_mounted = |table: &str| is_mounted_on("/etc/fstab".into(), &mount::parse_mounts(table).unwrap());
        assert!(!is_mounted(overlay));
        assert!(is_mounted(&format!("{overlay}{bind}")));
    }

    /// Only root on a file system that has the flag can set it up.
    #[test]
    fn an_fstab_that_is_immutable_is_told_with_the_flag() {
        let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let fstab = Utf8Path::from_path(dir.path()).unwrap().join("fstab");
        fs::write(&fstab, "").unwrap();
        let set = |flags| {
            let file = fs::File::open(&fstab).unwrap();
            rustix::fs::ioctl_setflags(&file, flags)
        };
        let Ok(before) = rustix::fs::ioctl_getflags(fs::File::open(&fstab).unwrap()) else { return };
        if set(before | IFlags::IMMUTABLE).is_err() {
            return;
        }
        let said = can_be_replaced(&fstab).unwrap_err().to_string();
        set(before).unwrap();
        assert!(said.ends_with("it is immutable (`chattr +i`)"), "{said}");
    }
}
