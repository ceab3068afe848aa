//! Who keeps a file system from going: processes that are in it, what lies on it, and other mount namespaces that have it
//! too. All of it is in `/proc`. Nothing that is open is touched: a file system that hangs would hold whoever looks.

use std::collections::BTreeSet;
use std::fs;

use camino::{Utf8Path, Utf8PathBuf};

use super::{mount, processes};

/// So many are named; the others are counted.
const NAMED: usize = 4;

/// What keeps the file system at this place from being unmounted, in words: `bash (1234), less (77) and 2 more`. `None` where
/// nothing of it is seen. `proc` is `/proc`.
#[must_use]
pub fn of_mount(proc: &Utf8Path, at: &Utf8Path) -> Option<String> {
    let text = |name: &str| fs::read_to_string(proc.join(name)).unwrap_or_default();
    let mounts = mount::parse_mounts(&text("self/mountinfo")).unwrap_or_default();
    let mut holders: Vec<String> = mounts
        .iter()
        .filter(|mount| mount.at != at && mount.at.starts_with(at))
        .map(|mount| format!("what is mounted at {}", mount.at))
        .collect();
    let swaps = mount::parse_swaps(&text("swaps"));
    holders.extend(swaps.iter().filter(|file| file.starts_with(at)).map(|file| format!("swap in {file}")));
    let here = processes::all(proc).into_iter().flatten();
    holders.extend(here.filter(|process| is_in(process, at)).map(|process| processes::name(&process)));
    in_words(&holders)
}

/// Who has a device mounted in a mount namespace other than ours, by one process of each: `containerd-shim (812)`. Such a mount
/// keeps the device open when the host has it mounted nowhere.
#[must_use]
pub fn in_other_namespaces(proc: &Utf8Path, device: &Utf8Path) -> Option<String> {
    let namespace = |process: &Utf8Path| process.join("ns/mnt").read_link_utf8().ok();
    let mut known: BTreeSet<Utf8PathBuf> = namespace(&proc.join("self")).into_iter().collect();
    let mut holders = Vec::new();
    for process in processes::all(proc).into_iter().flatten() {
        if !namespace(&process).is_some_and(|namespace| known.insert(namespace)) {
            continue;
        }
        let table = fs::read_to_string(process.join("mountinfo")).unwrap_or_default();
        let mounts = mount::parse_mounts(&table).unwrap_or_default();
        if mounts.iter().any(|mount| mount.source == device.as_str()) {
            holders.push(processes::name(&process));
        }
    }
    in_words(&holders)
}

/// Whether the process runs from there, works there, or has a file of it open or mapped.
fn is_in(process: &Utf8Path, at: &Utf8Path) -> bool {
    let leads_there = |link: &Utf8Path| link.read_link_utf8().is_ok_and(|target| target.starts_with(at));
    // A process may be gone by now, and its links with it.
    ["cwd", "root", "exe"].iter().any(|link| leads_there(&process.join(link)))
        || ["fd", "map_files"].iter().any(|folder| {
            let links = process.join(folder).read_dir_utf8().into_iter().flatten().flatten();
            links.into_iter().any(|link| leads_there(link.path()))
        })
}

fn in_words(holders: &[String]) -> Option<String> {
    let named = holders.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match holders.len() {
        0 => None,
        few if few <= NAMED => Some(named),
        many => Some(format!("{named} and {} more", many - NAMED)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const AT: &str = "/m/vg_1/brick_1";

    /// A `/proc`, process by process.
    struct Proc(tempfile::TempDir);

    impl Proc {
        fn new() -> Self {
            let proc = Self(tempfile::tempdir().unwrap());
            for folder in ["sys", "self/ns", "99"] {
                fs::create_dir_all(proc.path().join(folder)).unwrap();
            }
            symlink("mnt:[1]", proc.path().join("self/ns/mnt")).unwrap();
            proc
        }

        fn path(&self) -> &Utf8Path {
            Utf8Path::from_path(self.0.path()).unwrap()
        }

        /// With links such as `cwd` or `fd/3`.
        fn process(self, id: u32, name: &str, links: &[(&str, &str)]) -> Self {
            let process = self.path().join(id.to_string());
            for folder in ["fd", "map_files", "ns"] {
                fs::create_dir_all(process.join(folder)).unwrap();
            }
            fs::write(process.join("comm"), format!("{name}\n")).unwrap();
            for (link, target) in links {
                symlink(target, process.join(link)).unwrap();
            }
            self
        }

        fn file(self, name: &str, text: &str) -> Self {
            fs::write(self.path().join(name), text).unwrap();
            self
        }
    }

    #[test]
    fn who_is_in_a_file_system_is_named_however_it_holds_it() {
        let brick = |below: &str| format!("{AT}{below}");
        let (root, open, gone) = (brick(""), brick("/brick/a"), brick("/brick/b (deleted)"));
        for link in [("cwd", &root), ("root", &root), ("exe", &open), ("fd/7", &gone), ("map_files/1-2", &open)] {
            let proc = Proc::new().process(7, "bash", &[(link.0, link.1.as_str())]);
            assert_eq!(of_mount(proc.path(), AT.into()).as_deref(), Some("bash (7)"), "{}", link.0);
        }
        let beside = [("cwd", "/m/vg_1/brick_10"), ("fd/1", "/m/vg_1"), ("exe", "/usr/bin/bash"), ("fd/2", "pipe:[5]")];
        assert_eq!(of_mount(Proc::new().process(7, "bash", &beside).path(), AT.into()), None);
    }

    #[test]
    fn a_few_holders_are_named_and_the_others_counted() {
        let proc = (1..8).fold(Proc::new(), |proc, id| proc.process(id, "tail", &[("cwd", AT)]));
        let said = of_mount(proc.path(), AT.into()).unwrap();
        assert!(said.ends_with(" and 3 more") && said.matches("tail (").count() == 4, "{said}");
    }

    #[test]
    fn mounts_and_swap_on_a_file_system_hold_it_too() {
        let table = format!(
            "30 1 253:4 / {AT} rw - xfs /dev/mapper/a rw\n31 30 0:9 / {AT}/in\\040it rw shared:1 - tmpfs tmpfs rw\n"
        );
        let swaps =
            format!("Filename\tType\tSize\tUsed\tPriority\n{AT}/swap file 1 0 -2\n/dev/sda2 partition 1 0 -3\n");
        let proc = Proc::new().file("self/mountinfo", &table).file("swaps", &swaps);
        let expected = format!("what is mounted at {AT}/in it, swap in {AT}/swap");
        assert_eq!(of_mount(proc.path(), AT.into()), Some(expected));
    }

    #[test]
    fn a_device_that_another_mount_namespace_still_has_is_told_by_one_process_of_it() {
        let mounts = |device: &str| format!("30 1 253:4 / {AT} rw - xfs {device} rw\n");
        let here = ("ns/mnt", "mnt:[1]");
        let there = ("ns/mnt", "mnt:[2]");
        let proc = Proc::new()
            .process(10, "sshd", &[here])
            .process(20, "conmon", &[there])
            .process(21, "nginx", &[there])
            .file("10/mountinfo", &mounts("/dev/mapper/a"))
            .file("20/mountinfo", &mounts("/dev/mapper/a"))
            .file("21/mountinfo", &mounts("/dev/mapper/a"));
        let said = in_other_namespaces(proc.path(), "/dev/mapper/a".into()).unwrap();
        assert!(["conmon (20)", "nginx (21)"].contains(&said.as_str()), "{said}");
        assert_eq!(in_other_namespaces(proc.path(), "/dev/mapper/b".into()), None);
    }

    #[test]
    fn this_very_process_is_found_in_the_folder_in_which_it_has_a_file_open() {
        let dir = tempfile::tempdir().unwrap();
        let at = Utf8Path::from_path(dir.path()).unwrap().canonicalize_utf8().unwrap();
        let _open = fs::File::create(at.join("file")).unwrap();
        let said = of_mount("/proc".into(), &at).unwrap_or_default();
        assert!(said.contains(&format!("({})", std::process::id())), "{said:?}");
    }
}
