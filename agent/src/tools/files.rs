//! Files that are replaced in one step and durably: a reader, or the next boot, sees the old text or the new one.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};

use camino::Utf8Path;

/// Replaces (or makes) `file` with `mode`. Its folder must be there.
pub fn replace(file: &Utf8Path, content: &[u8], mode: u32) -> io::Result<()> {
    replace_if(file, content, mode, || Ok(true)).map(drop)
}

/// Replaces `file` if, with the new text ready beside it, `still` says so. Owner and security label of the file that
/// was there are kept.
pub fn replace_if(
    file: &Utf8Path,
    content: &[u8],
    mode: u32,
    still: impl FnOnce() -> io::Result<bool>,
) -> io::Result<bool> {
    let folder = file.parent().ok_or_else(|| io::Error::other(format!("{file} lies in no folder")))?;
    let name = file.file_name().ok_or_else(|| io::Error::other(format!("{file} names no file")))?;
    let temporary = folder.join(format!(".{name}.bricklayer-new"));
    // Left from a crash. The folders that we write to belong to root, so nobody else puts a link there.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut new = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
    // The umask may have taken bits off.
    new.set_permissions(Permissions::from_mode(mode))?;
    if let Ok(old) = fs::metadata(file) {
        std::os::unix::fs::fchown(&new, Some(old.uid()), Some(old.gid()))?;
        keep_label(file, &new);
    }
    new.write_all(content)?;
    new.sync_all()?;
    if !still()? {
        fs::remove_file(&temporary)?;
        return Ok(false);
    }
    fs::rename(&temporary, file)?;
    sync_folder(folder)?;
    Ok(true)
}

/// SELinux's label of a file in /etc is not the one that a new file gets from its folder. A host without SELinux has
/// none to keep.
fn keep_label(old: &Utf8Path, new: &File) {
    const LABEL: &str = "security.selinux";
    let mut label = vec![0_u8; 4096];
    if let Ok(length) = rustix::fs::getxattr(old.as_str(), LABEL, &mut label[..])
        && let Err(errno) = rustix::fs::fsetxattr(new, LABEL, &label[..length], rustix::fs::XattrFlags::empty())
    {
        tracing::warn!(file = %old, "could not keep the SELinux label: {errno}");
    }
}

/// Makes the folder's entries durable.
pub fn sync_folder(folder: &Utf8Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_with_its_mode_and_nothing_is_left_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = Utf8Path::from_path(dir.path()).unwrap().join("a");
        fs::write(file.with_file_name(".a.bricklayer-new"), "left from a crash").unwrap();
        replace(&file, b"one", 0o600).unwrap();
        replace(&file, b"two", 0o644).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "two");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o644);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
