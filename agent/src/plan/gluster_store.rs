//! glusterd's own files, as far as a power cut keeps it from starting.
//!
//! When a brick is replaced, glusterd deletes the old brick's file, makes the volume's graphs, and only then writes the
//! volume's `info` anew. A host that loses power in between has an `info` that names a brick without a file, and its glusterd
//! ends with `Unable to restore volume`: with it every volume of the host (seen with GlusterFS 10.3). The file says nothing
//! that `info` does not say, so it is made again. glusterd starts then with the volume as it was, and takes over from its
//! peers what came of the replacement, as the version of theirs is higher.
//!
//! Only one file, that of a brick of ours, and only where the numbers of all other bricks leave no doubt about its own, as the
//! marks of pending heals go by it.

use bricklayer_proto::ids::{BrickId, DeviceId};
use bricklayer_proto::names::{LvName, MountPoint, VgName};

use crate::host::StoredVolume;

/// The brick's file that is missing or empty, and what is to stand in it. `None` where nothing is to be done, or not for
/// certain.
#[must_use]
pub fn mend(volume: &StoredVolume, root: &MountPoint) -> Option<(String, String)> {
    let StoredVolume { name, info, bricks } = volume;
    let named: Vec<(&str, &str)> = info
        .lines()
        .filter_map(|line| line.strip_prefix("brick-")?.split_once('='))
        .filter(|(number, _)| number.parse::<u32>().is_ok())
        .collect();
    let is_there = |file: &str| bricks.get(file).is_some_and(|text| !text.trim().is_empty());
    let mut gone = named.iter().filter(|(_, file)| !is_there(file));
    let (number, file) = gone.next()?;
    let is_numbered = |(number, file): &&(&str, &str)| {
        let id = format!("brick-id={name}-client-{number}");
        bricks.get(*file).is_some_and(|text| text.lines().any(|line| line == id))
    };
    // Bricks that were taken out have moved the numbers: then nobody knows the one that is missing. With two missing nobody
    // knows either, as they may be just those that were moved.
    let agree = named.iter().filter(is_numbered).count();
    if gone.next().is_some() || agree + 1 != named.len() || agree == 0 {
        return None;
    }
    let text = content(file, &format!("{name}-client-{number}"), root)?;
    Some(((*file).to_owned(), text))
}

/// Of a brick of ours below this host's root; `None` for any other, as the name of its file does not tell a slash from a dash.
fn content(file: &str, id: &str, root: &MountPoint) -> Option<String> {
    let (host, tail) = file.rsplit_once(':')?;
    let mut parts = tail.rsplit('-');
    let (_folder, brick, device) = (parts.next()?, parts.next()?, parts.next()?);
    let brick: BrickId = brick.strip_prefix("brick_")?.parse().ok()?;
    let device: DeviceId = device.strip_prefix("vg_")?.parse().ok()?;
    let path = MountPoint::of_brick(root, &VgName::of_device(device), &LvName::of_brick(brick)).brick_path();
    (path.as_path().as_str().replace('/', "-") == tail).then(|| {
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

    fn root() -> MountPoint {
        "/var/lib/bricklayer/mounts".parse().unwrap()
    }

    fn stored() -> StoredVolume {
        let names = INFO.lines().filter_map(|line| line.strip_prefix("brick-")?.split_once('='));
        let others = names.filter(|(_, file)| *file != GONE);
        let bricks =
            others.map(|(number, file)| (file.to_owned(), format!("hostname=x\nbrick-id={VOLUME}-client-{number}\n")));
        StoredVolume { name: VOLUME.to_owned(), info: INFO.to_owned(), bricks: bricks.collect() }
    }

    #[test]
    fn a_brick_that_glusterd_names_and_has_no_file_of_gets_one() {
        let mut volume = stored();
        let (file, text) = mend(&volume, &root()).unwrap();
        assert_eq!(file, GONE);
        let path = "/var/lib/bricklayer/mounts/vg_5b7914c3376b45f7b9fb31e2e46e9f6c/brick_36a906aa717942458193f5a03a98b6ae/brick";
        for line in ["hostname=192.168.0.173".to_owned(), format!("path={path}"), format!("brick-id={VOLUME}-client-0")]
        {
            assert!(text.lines().any(|there| there == line), "{line}: {text}");
        }
        volume.bricks.insert(file.clone(), String::new());
        assert_eq!(
            mend(&volume, &root()),
            Some((file.clone(), text.clone())),
            "one that the power cut has emptied is none"
        );
        volume.bricks.insert(file, text);
        assert_eq!(mend(&volume, &root()), None, "once is enough");
    }

    #[test]
    fn where_a_number_is_in_doubt_nothing_is_made() {
        let mut shifted = stored();
        let first = shifted.bricks.values_mut().next().unwrap();
        *first = first.replace("-client-1", "-client-7").replace("-client-2", "-client-7");
        assert_eq!(mend(&shifted, &root()), None);
        let mut two = stored();
        let file = two.bricks.keys().next().unwrap().clone();
        two.bricks.remove(&file);
        assert_eq!(mend(&two, &root()), None, "two are missing");
        two.bricks.clear();
        assert_eq!(mend(&two, &root()), None, "all are missing");
    }

    #[test]
    fn a_brick_that_is_not_ours_or_lies_elsewhere_is_left_to_a_person() {
        let mut foreign = stored();
        foreign.info = INFO.replace("brick_36a906aa717942458193f5a03a98b6ae", "photos");
        assert_eq!(mend(&foreign, &root()), None);
        assert_eq!(mend(&stored(), &"/srv/my-bricks".parse().unwrap()), None);
        let mut dashed = stored();
        dashed.info = INFO.replace("-var-lib-bricklayer-mounts-", "-srv-my-bricks-");
        dashed.bricks = stored()
            .bricks
            .into_iter()
            .map(|(file, text)| (file.replace("-var-lib-bricklayer-mounts-", "-srv-my-bricks-"), text))
            .collect();
        let (_, text) = mend(&dashed, &"/srv/my-bricks".parse().unwrap()).unwrap();
        assert!(text.contains("\npath=/srv/my-bricks/vg_"), "{text}");
    }
}
