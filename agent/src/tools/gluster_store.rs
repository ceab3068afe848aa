//! Reads and writes glusterd's own files. What is to be written is decided in [`crate::plan::gluster_store`].

use std::collections::BTreeMap;
use std::{fs, io};

use camino::Utf8Path;

use super::files;
use crate::host::StoredVolume;

/// Every volume of which all files can be read; one of which a file cannot is left out, whatever the reason.
pub fn read(glusterd: &Utf8Path) -> io::Result<Vec<StoredVolume>> {
    let mut volumes = Vec::new();
    let folders = match fs::read_dir(glusterd.join("vols").as_std_path()) {
        Ok(folders) => folders,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(volumes),
        Err(error) => return Err(error),
    };
    for folder in folders {
        let Ok(name) = folder?.file_name().into_string() else { continue };
        match read_volume(&glusterd.join("vols").join(&name), &name) {
            Ok(volume) => volumes.push(volume),
            Err(error) => tracing::debug!(name, "glusterd's files of a volume are passed over: {error}"),
        }
    }
    Ok(volumes)
}

fn read_volume(folder: &Utf8Path, name: &str) -> io::Result<StoredVolume> {
    let info = fs::read_to_string(folder.join("info").as_std_path())?;
    let mut bricks = BTreeMap::new();
    for file in fs::read_dir(folder.join("bricks").as_std_path())? {
        let file = file?;
        let name = file.file_name().into_string().map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        bricks.insert(name, fs::read_to_string(file.path())?);
    }
    Ok(StoredVolume { name: name.to_owned(), info, bricks })
}

/// A brick's file, whole and synced or not at all.
pub fn write_brick(glusterd: &Utf8Path, volume: &str, file: &str, text: &str) -> io::Result<()> {
    if [volume, file].iter().any(|name| name.contains('/') || name.starts_with('.')) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let bricks = glusterd.join("vols").join(volume).join("bricks");
    files::replace(&bricks.join(file), text.as_bytes(), 0o600)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_are_read_and_one_that_cannot_be_hides_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let glusterd = Utf8Path::from_path(dir.path()).unwrap();
        assert_eq!(read(glusterd).unwrap(), [], "a host without volumes");
        for name in ["vol_1", "vol_2", "vol_3"] {
            fs::create_dir_all(glusterd.join("vols").join(name).join("bricks")).unwrap();
            fs::write(glusterd.join("vols").join(name).join("info"), "x").unwrap();
        }
        fs::write(glusterd.join("vols/odd"), "").unwrap();
        fs::write(glusterd.join("vols/vol_1/bricks/h:-b"), [0xff]).unwrap();
        fs::remove_dir(glusterd.join("vols/vol_2/bricks")).unwrap();
        write_brick(glusterd, "vol_3", "h:-b", "y").unwrap();
        let bricks = BTreeMap::from([("h:-b".to_owned(), "y".to_owned())]);
        assert_eq!(read(glusterd).unwrap(), [StoredVolume { name: "vol_3".to_owned(), info: "x".to_owned(), bricks }]);
        assert!(write_brick(glusterd, "vol_3", "../info", "").is_err());
    }
}
