//! `mkfs.xfs`, as bricks want it. Never with `-f`: a file system that is there stays there.

use super::run::{Call, Program};

#[derive(Clone, Debug)]
pub struct Xfs(Program);

impl Xfs {
    #[must_use]
    pub fn find() -> Self {
        Self(Program::find("mkfs.xfs"))
    }

    #[must_use]
    pub fn version(&self) -> Call {
        self.0.reads(["-V"])
    }

    /// Inodes of 512 bytes hold GlusterFS's extended attributes; directory blocks of 8 KiB are what its users have
    /// found good. An arbiter holds nothing but inodes, so they may take all of it. A new thin volume has no blocks to
    /// discard (`-K`).
    #[must_use]
    pub fn make(&self, device: &str, arbiter: bool) -> Call {
        let mut words = vec!["-q", "-K", "-i", if arbiter { "size=512,maxpct=100" } else { "size=512" }];
        words.extend(["-n", "size=8192", "--", device]);
        self.0.writes(words)
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
}
