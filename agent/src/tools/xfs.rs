//! `mkfs.xfs`, as bricks want it, and `xfs_growfs`. Without `-f`: a file system that is there stays there. With it only on
//! a linear volume that says of itself that nothing on it is anybody's.

use bricklayer_proto::names::MountPoint;

use super::run::{Call, Program};

#[derive(Clone, Debug)]
pub struct Xfs {
    mkfs: Program,
    growfs: Program,
}

impl Xfs {
    #[must_use]
    pub fn find() -> Self {
        Self { mkfs: Program::find("mkfs.xfs"), growfs: Program::find("xfs_growfs") }
    }

    #[must_use]
    pub fn version(&self) -> Call {
        self.mkfs.reads(["-V"])
    }

    /// Inodes of 512 bytes hold GlusterFS's extended attributes; directory blocks of 8 KiB are what its users have
    /// found good. An arbiter holds nothing but inodes, so they may take all of it. A new thin volume has no blocks to
    /// discard (`-K`), and to discard all of a large linear one may take minutes.
    #[must_use]
    pub fn make(&self, device: &str, arbiter: bool) -> Call {
        self.mkfs.writes(Self::words(&["-q", "-K"], device, arbiter))
    }

    /// Over whatever is there.
    #[must_use]
    pub fn make_over(&self, device: &str, arbiter: bool) -> Call {
        self.mkfs.writes(Self::words(&["-q", "-K", "-f"], device, arbiter))
    }

    fn words<'a>(how: &[&'a str], device: &'a str, arbiter: bool) -> Vec<&'a str> {
        let inodes = if arbiter { "size=512,maxpct=100" } else { "size=512" };
        [how, &["-i", inodes, "-n", "size=8192", "--", device]].concat()
    }

    /// Has the file system mounted here take all of its device. A repeat changes nothing.
    #[must_use]
    pub fn grow(&self, at: &MountPoint) -> Call {
        self.growfs.writes(["-d", at.as_str()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_is_made_without_force() {
        let xfs = Xfs::find();
        assert_eq!(
            xfs.make("/dev/mapper/a", false).words(),
            "mkfs.xfs -q -K -i size=512 -n size=8192 -- /dev/mapper/a"
        );
        assert_eq!(
            xfs.make("/dev/mapper/a", true).words(),
            "mkfs.xfs -q -K -i size=512,maxpct=100 -n size=8192 -- /dev/mapper/a"
        );
    }

    #[test]
    fn a_file_system_is_made_over_what_is_there_only_where_that_is_said() {
        let words = Xfs::find().make_over("/dev/mapper/a", false);
        assert_eq!(words.words(), "mkfs.xfs -q -K -f -i size=512 -n size=8192 -- /dev/mapper/a");
    }

    #[test]
    fn a_file_system_grows_by_its_mount_point() {
        assert_eq!(Xfs::find().grow(&"/m/vg_a/brick_b".parse().unwrap()).words(), "xfs_growfs -d /m/vg_a/brick_b");
    }
}
