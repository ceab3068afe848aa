//! glusterd's own files, as far as a power cut keeps it from starting.
//!
//! When a brick is replaced, glusterd deletes the old brick's file, makes the volume's graphs, and only then writes the
//! volume's `info` anew. A host that loses power in between has an `info` that names a brick without a file, and its glusterd
//! ends with `Unable to restore volume`: with it every volume of the host (seen with GlusterFS 10.3). The file says nothing
//! that `info` does not say, so it is made again. glusterd starts then with the volume as it was, and takes over from its
//! peers what came of the replacement, as the version of theirs is higher.
//!
//! Only while glusterd does not run, only a file that is missing or empty, only of a brick of ours, and only where the numbers
//! of all other bricks leave no doubt about its own, as the marks of pending heals go by it. Nothing is ever taken away.

use std::collections::BTreeMap;
use std::{fs, io};

use bricklayer_proto::ids::{BrickId, DeviceId};
use camino::Utf8Path;

use super::files;

/// Makes the missing files below glusterd's directory; answers the bricks for which it did.
pub fn mend(glusterd: &Utf8Path) -> io::Result<Vec<String>> {
    let mut mended = Vec::new();
    let volumes = match fs::read_dir(glusterd.join("vols").as_std_path()) {
        Ok(volumes) => volumes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(mended),
        Err(error) => return Err(error),
    };
    for volume in volumes {
        let Ok(name) = volume?.file_name().into_string() else { continue };
        let folder = glusterd.join("vols").join(&name);
        let info = match fs::read_to_string(folder.join("info").as_std_path()) {
            Ok(info) => info,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let bricks = folder.join("bricks");
        let mut there = BTreeMap::new();
        for file in fs::read_dir(bricks.as_std_path())? {
            let file = file?;
            if let (Ok(name), Ok(text)) = (file.file_name().into_string(), fs::read_to_string(file.path())) {
                there.insert(name, text);
            }
        }
        for (file, text) in missing(&name, &info, &there) {
            files::replace(&bricks.join(&file), text.as_bytes(), 0o600)?;
            mended.push(format!("{file} of volume {name}"));
        }
    }
    Ok(mended)
}

/// The files that `info` names and that are not there, with what is to stand in them. None where one of them is in doubt:
/// glusterd would not start for the others either.
fn missing(volume: &str, info: &str, there: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let named: Vec<(&str, &str)> = info
        .lines()
        .filter_map(|line| line.strip_prefix("brick-")?.split_once('='))
        .filter(|(number, _)| number.parse::<u32>().is_ok())
        .collect();
    let mut gone = Vec::new();
    for (number, file) in named {
        let id = format!("{volume}-client-{number}");
        match there.get(file).filter(|text| !text.trim().is_empty()) {
            // Bricks that were taken out have moved the numbers: then nobody knows the one that is missing.
            Some(text) if !text.lines().any(|line| line.strip_prefix("brick-id=") == Some(&*id)) => return Vec::new(),
            Some(_) => {}
            None => match content(file, &id) {
                Some(text) => gone.push((file.to_owned(), text)),
                None => return Vec::new(),
            },
        }
    }
    gone
}

/// Of a brick of ours; `None` for any other, as the name of its file does not tell a slash from a dash.
fn content(file: &str, id: &str) -> Option<String> {
    let (host, path) = file.split_once(':')?;
    let path = path.replace('-', "/");
    let mut folders = path.rsplit('/');
    let is_ours = folders.next() == Some("brick")
        && folders.next()?.strip_prefix("brick_")?.parse::<BrickId>().is_ok()
        && folders.next()?.strip_prefix("vg_")?.parse::<DeviceId>().is_ok();
    is_ours.then(|| {
        format!(
            "hostname={host}\npath={path}\nreal_path={path}\nlisten-port=0\nrdma.listen-port=0\ndecommissioned=0\n\
             brick-id={id}\nmount_dir=/brick\nsnap-status=0\nbrick-fsid=0\n"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As glusterd 10.3 left them, cut off in a replacement: the first brick has no file.
    const INFO: &str = include_str!("../../../tests/fixtures/glusterfs-10.3/store-cut-in-replace-brick.info");
    const VOLUME: &str = "vol_522ed806a9294ee886f64250add1bfd0";
    const GONE: &str = "192.168.0.173:-var-lib-bricklayer-mounts-vg_5b7914c3376b45f7b9fb31e2e46e9f6c-\
                        brick_36a906aa717942458193f5a03a98b6ae-brick";

    fn others() -> BTreeMap<String, String> {
        let names = INFO.lines().filter_map(|line| line.strip_prefix("brick-")?.split_once('='));
        let others = names.filter(|(_, file)| *file != GONE);
        others
            .map(|(number, file)| (file.to_owned(), format!("hostname=x\nbrick-id={VOLUME}-client-{number}\n")))
            .collect()
    }

    #[test]
    fn a_brick_that_glusterd_names_and_has_no_file_of_gets_one_and_nothing_else_is_touched() {
        let dir = tempfile::tempdir().unwrap();
        let glusterd = Utf8Path::from_path(dir.path()).unwrap();
        assert_eq!(mend(glusterd).unwrap(), [""; 0], "a host without volumes");
        let bricks = glusterd.join("vols").join(VOLUME).join("bricks");
        fs::create_dir_all(&bricks).unwrap();
        fs::write(bricks.join("../info"), INFO).unwrap();
        for (file, text) in others() {
            fs::write(bricks.join(file), text).unwrap();
        }
        assert_eq!(mend(glusterd).unwrap(), [format!("{GONE} of volume {VOLUME}")]);
        let made = fs::read_to_string(bricks.join(GONE)).unwrap();
        let path = "/var/lib/bricklayer/mounts/vg_5b7914c3376b45f7b9fb31e2e46e9f6c/brick_36a906aa717942458193f5a03a98b6ae/brick";
        for line in ["hostname=192.168.0.173".to_owned(), format!("path={path}"), format!("brick-id={VOLUME}-client-0")]
        {
            assert!(made.lines().any(|there| there == line), "{line}: {made}");
        }
        assert_eq!(fs::read_to_string(bricks.join("../info")).unwrap(), INFO);
        assert_eq!(mend(glusterd).unwrap(), [""; 0], "once is enough");
        fs::write(bricks.join(GONE), "").unwrap();
        assert_eq!(mend(glusterd).unwrap().len(), 1, "a file that the power cut has emptied is none");
    }

    #[test]
    fn where_the_number_of_a_brick_is_in_doubt_or_it_is_not_ours_nothing_is_made() {
        assert_eq!(missing(VOLUME, INFO, &others()).len(), 1);
        let mut shifted = others();
        let first = shifted.values_mut().next().unwrap();
        *first = first.replace("-client-1", "-client-7").replace("-client-2", "-client-7");
        assert!(missing(VOLUME, INFO, &shifted).is_empty());
        let foreign = INFO.replace("brick_36a906aa717942458193f5a03a98b6ae", "photos");
        assert!(missing(VOLUME, &foreign, &others()).is_empty());
    }
}
