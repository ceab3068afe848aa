//! Processes, as the kernel lists them in `/proc`, GlusterFS's above all: nobody has to be asked for it, least of all the
//! whole pool.

use std::collections::BTreeSet;
use std::{fs, io};

use bricklayer_proto::names::BrickPath;
use camino::{Utf8Path, Utf8PathBuf};

/// What a process was started as, by its arguments.
#[derive(Debug, PartialEq, Eq)]
pub enum Started {
    Glusterd,
    /// The process of this brick; of others as well where bricks are multiplexed, which the arguments do not tell.
    Brick(Utf8PathBuf),
    Other,
}

/// Of each brick whether a process serves it; `None` where that cannot be told. `proc` is `/proc`.
///
/// Where glusterd is not among the processes that are seen, neither need those be that it started.
pub fn serve(proc: &Utf8Path, bricks: &[BrickPath]) -> io::Result<Vec<Option<bool>>> {
    let (mut named, mut processes, mut glusterd) = (BTreeSet::new(), Vec::new(), false);
    for process in all(proc)? {
        // It may have ended by now.
        let Ok(arguments) = fs::read(process.join("cmdline")) else { continue };
        match started_as(&arguments) {
            Started::Glusterd => glusterd = true,
            Started::Brick(path) => {
                named.insert(path);
                processes.push(process);
            }
            Started::Other => {}
        }
    }
    let serves = |brick: &BrickPath| {
        let path = brick.as_path();
        if named.contains(path) {
            return Some(true);
        }
        // One that serves several bricks has the folder of each open.
        let may_serve = !glusterd || processes.iter().any(|process| may_hold(process, path));
        (!may_serve).then_some(false)
    };
    Ok(bricks.iter().map(serves).collect())
}

/// The folders of all processes.
pub(super) fn all(proc: &Utf8Path) -> io::Result<Vec<Utf8PathBuf>> {
    let mut found = Vec::new();
    for entry in proc.read_dir_utf8()? {
        let entry = entry?;
        if entry.file_name().bytes().all(|byte| byte.is_ascii_digit()) {
            found.push(entry.path().to_owned());
        }
    }
    Ok(found)
}

/// `bash (1234)`.
pub(super) fn name(process: &Utf8Path) -> String {
    let comm = fs::read(process.join("comm")).unwrap_or_default();
    format!("{} ({})", printable(&comm), process.file_name().unwrap_or_default())
}

/// A process gives itself a name of any bytes; what would move a terminal's cursor, or break a line, is replaced.
#[must_use]
pub fn printable(comm: &[u8]) -> String {
    let comm = comm.strip_suffix(b"\n").unwrap_or(comm);
    String::from_utf8_lossy(comm).chars().map(|one| if one.is_control() { '?' } else { one }).collect()
}

/// Reads `/proc/<pid>/cmdline`.
#[must_use]
pub fn started_as(arguments: &[u8]) -> Started {
    let mut words = arguments.split(|byte| *byte == 0).map(|word| std::str::from_utf8(word).unwrap_or_default());
    match words.next().and_then(|program| Utf8Path::new(program).file_name()) {
        Some("glusterd") => Started::Glusterd,
        Some("glusterfsd") => {
            let path = words.skip_while(|word| *word != "--brick-name").nth(1);
            path.filter(|path| path.starts_with('/')).map_or(Started::Other, |path| Started::Brick(path.into()))
        }
        _ => Started::Other,
    }
}

/// Whether the process has the folder open, or nobody can tell.
fn may_hold(process: &Utf8Path, folder: &Utf8Path) -> bool {
    let Ok(open) = process.join("fd").read_dir_utf8() else { return true };
    open.flatten().any(|file| file.path().read_link_utf8().is_ok_and(|target| target == folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As glusterd 10.3 starts a brick.
    const BRICK: &str = "/usr/sbin/glusterfsd -s 10.0.0.1 --volfile-id vol_x.10.0.0.1.m-vg_1-brick_1-brick \
        -p /var/run/gluster/vols/vol_x/10.0.0.1-m-vg_1-brick_1-brick.pid -S /var/run/gluster/1c6ad3.socket \
        --brick-name /m/vg_1/brick_1/brick -l /var/log/glusterfs/bricks/m-vg_1-brick_1-brick.log \
        --xlator-option *-posix.glusterd-uuid=7a3a --process-name brick --brick-port 49152 \
        --xlator-option vol_x-server.listen-port=49152";
    const GLUSTERD: &str = "/usr/sbin/glusterd -p /var/run/glusterd.pid --log-level INFO";
    /// The self-heal daemon, and a client.
    const OTHERS: [&str; 3] = [
        "/usr/sbin/glusterfs -s localhost --volfile-id shd/vol_x -p /var/run/gluster/shd/vol_x/vol_x-shd.pid",
        "/usr/sbin/glusterfs --process-name fuse --volfile-server=gfs1 --volfile-id=/vol_x /mnt",
        // A person who looks at a brick is none.
        "less --brick-name /m/vg_1/brick_2/brick",
    ];

    /// A `/proc` of such processes, each with the folders that it has open.
    fn proc(processes: &[(&str, &[&str])]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (number, (line, open)) in processes.iter().enumerate() {
            let process = dir.path().join((number + 100).to_string());
            fs::create_dir_all(process.join("fd")).unwrap();
            let words = line.split_whitespace().flat_map(|word| [word, "\0"]);
            fs::write(process.join("cmdline"), words.collect::<String>()).unwrap();
            for (number, target) in open.iter().enumerate() {
                std::os::unix::fs::symlink(target, process.join("fd").join(number.to_string())).unwrap();
            }
        }
        // What is no process, and one that has just ended.
        fs::create_dir(dir.path().join("sys")).unwrap();
        fs::create_dir(dir.path().join("99")).unwrap();
        dir
    }

    fn served(processes: &[(&str, &[&str])]) -> Vec<Option<bool>> {
        let dir = proc(processes);
        let bricks = ["/m/vg_1/brick_1/brick", "/m/vg_1/brick_2/brick"];
        let bricks: Vec<BrickPath> = bricks.map(|brick| brick.to_owned().try_into().unwrap()).into();
        serve(Utf8Path::from_path(dir.path()).unwrap(), &bricks).unwrap()
    }

    #[test]
    fn a_brick_is_served_by_the_process_that_names_it_and_one_that_none_names_is_not() {
        let others = OTHERS.map(|other| (other, &[] as &[&str]));
        let mut all = vec![(GLUSTERD, &[] as &[&str]), (BRICK, &["/dev/null", "/m/vg_1/brick_1/brick"])];
        all.extend(others);
        assert_eq!(served(&all), [Some(true), Some(false)]);
        all.remove(1);
        assert_eq!(served(&all), [Some(false), Some(false)]);
    }

    #[test]
    fn of_a_brick_that_a_process_of_several_may_serve_nothing_is_said() {
        let both: &[&str] = &["/m/vg_1/brick_1/brick", "/m/vg_1/brick_2/brick"];
        assert_eq!(served(&[(GLUSTERD, &[]), (BRICK, both)]), [Some(true), None]);
        let dir = proc(&[(GLUSTERD, &[]), (BRICK, &[])]);
        fs::remove_dir(dir.path().join("101/fd")).unwrap();
        let brick = "/m/vg_1/brick_2/brick".to_owned().try_into().unwrap();
        let served = serve(Utf8Path::from_path(dir.path()).unwrap(), &[brick]).unwrap();
        assert_eq!(served, [None], "its files cannot be read");
    }

    #[test]
    fn where_glusterd_is_not_seen_no_brick_is_said_to_lack_its_process() {
        assert_eq!(served(&[(BRICK, &[])]), [Some(true), None]);
        assert_eq!(served(&[]), [None, None]);
    }

    #[test]
    fn arguments_that_are_no_bricks_are_taken_for_none() {
        for line in
            ["glusterfsd\0--brick-name", "glusterfsd\0--brick-name\0", "glusterfsd\0--brick-name\0m\0", "", "\0\0"]
        {
            assert_eq!(started_as(line.as_bytes()), Started::Other, "{line:?}");
        }
        assert_eq!(started_as(b"glusterfsd\0\xff\0--brick-name\0/m\0"), Started::Brick("/m".into()));
    }

    #[test]
    fn the_name_that_a_process_gives_itself_does_no_harm_in_a_message() {
        assert_eq!(printable(b"glfs_iotwr000\n"), "glfs_iotwr000");
        assert_eq!(printable(b"a\nb\x1b[2J\xff\n"), "a?b?[2J\u{fffd}");
    }
}
