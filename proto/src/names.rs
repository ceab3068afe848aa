//! Names and paths that reach a command line: parsed at construction, so that none can be read as an option, climb out
//! of its folder, or mean something else to the program that is handed it.

use std::fmt;
use std::str::FromStr;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use crate::ids::{BrickId, DeviceId, VolumeId};

/// A text that may not be used as the name it was meant to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {kind}: {rule}")]
pub struct NotAName {
    kind: &'static str,
    rule: &'static str,
    text: String,
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident = $kind:literal, $rule:literal, $check:expr;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NotAName;

            fn from_str(text: &str) -> Result<Self, NotAName> {
                let check: fn(&str) -> bool = $check;
                if check(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(NotAName { kind: $kind, rule: $rule, text: text.chars().take(80).collect() })
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = NotAName;

            fn try_from(text: String) -> Result<Self, NotAName> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.0)
            }
        }
    )+};
}

fn word(text: &str, longest: usize, other: &[u8]) -> bool {
    !text.is_empty()
        && text.len() <= longest
        && !text.starts_with('-')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || other.contains(&byte))
}

/// Steps up (`..`), empty and dot components, and anything that a shell, fstab or LVM would have to quote.
fn plain_absolute(text: &str, other: &[u8]) -> bool {
    text.len() > 1
        && text.len() <= 1024
        && text.starts_with('/')
        && !text.ends_with('/')
        && text[1..].split('/').all(|part| {
            !matches!(part, "" | "." | "..")
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || other.contains(&byte))
        })
}

names! {
    /// A DNS name or an IP address of a host. Under-scores are taken, as heketi takes them.
    HostName = "a host name or address",
        "letters, digits, dots, dashes, under-scores and (for IPv6) colons, not starting with a dash, at most 253",
        |text| word(text, 253, b".-_:");

    /// The name of a GlusterFS volume.
    VolumeName = "a volume name",
        "letters, digits, dashes and under-scores, not starting with a dash, at most 233",
        // glusterd makes file names from it; its own limit is 1000, a file system's 255 less its suffixes.
        |text| word(text, 233, b"-_");

    /// The name of a block volume within the volume that hosts it.
    BlockName = "a block volume name",
        "letters, digits, dashes and under-scores, not starting with a dash, at most 233",
        |text| word(text, 233, b"-_");

    /// The name of a GlusterFS snapshot.
    SnapshotName = "a snapshot name",
        "letters, digits, dashes and under-scores, not starting with a dash, at most 233",
        |text| word(text, 233, b"-_");

    /// The name of an LVM volume group.
    VgName = "a volume group name",
        "letters, digits and . _ + -, not starting with a dash, at most 127",
        |text| word(text, 127, b"._+-") && text != "." && text != "..";

    /// The name of an LVM logical volume.
    LvName = "a logical volume name",
        "letters, digits and . _ + -, not starting with a dash, at most 127",
        |text| word(text, 127, b"._+-") && text != "." && text != "..";

    /// LVM's own id of a physical volume, such as `Xc3Hqh-…`.
    PvUuid = "an LVM UUID",
        "38 letters, digits and dashes as LVM prints them",
        |text| text.len() == 38 && word(text, 38, b"-");

    /// A block device below `/dev`, by whichever of its names.
    DevicePath = "a device path",
        "an absolute path below /dev of letters, digits and . _ - + : @ = , #",
        |text| text.starts_with("/dev/") && plain_absolute(text, b"._-+:@=,#");

    /// Where a brick's file system is mounted.
    MountPoint = "a mount point",
        "an absolute path of letters, digits and . _ - +, without . or .. as a part",
        |text| plain_absolute(text, b"._-+");

    /// An LVM tag.
    LvmTag = "an LVM tag",
        "letters, digits and _ + . - / = ! : # &, not starting with a dash, at most 1024",
        |text| word(text, 1024, b"_+.-/=!:#&");

    /// The key of a volume option, such as `performance.cache-size` or `group`.
    OptionKey = "a volume option",
        "letters, digits, dots, dashes and under-scores, not starting with a dash, at most 255",
        |text| word(text, 255, b".-_");

    /// The value of a volume option. GlusterFS scans every word for `--`, wherever it stands.
    OptionValue = "the value of a volume option",
        "printable ASCII, not starting with a dash, at most 1024",
        |text| {
            !text.is_empty()
                && text.len() <= 1024
                && !text.starts_with('-')
                && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        };
}

impl SnapshotName {
    /// The snapshot that a clone is made from, and that goes again. Named after the clone, so that a repeat finds it.
    #[must_use]
    pub fn for_clone(clone: VolumeId) -> Self {
        Self(format!("tmpsnap_{clone}"))
    }
}

impl VgName {
    /// The group that we make on a device, with heketi's name for it.
    #[must_use]
    pub fn of_device(device: DeviceId) -> Self {
        Self(format!("vg_{device}"))
    }
}

impl LvName {
    /// The thin volume that we make for a brick, with heketi's name for it.
    #[must_use]
    pub fn of_brick(brick: BrickId) -> Self {
        Self(format!("brick_{brick}"))
    }

    /// The thin pool that we make for a brick. Those of adopted bricks have other names: read them, never compute them.
    #[must_use]
    pub fn of_pool(brick: BrickId) -> Self {
        Self(format!("tp_{brick}"))
    }
}

impl MountPoint {
    /// The folder in the root of the brick's file system that GlusterFS is given: it exists only while the file system
    /// is mounted, so that nothing is ever written below it.
    #[must_use]
    pub fn brick_path(&self) -> BrickPath {
        BrickPath(Utf8PathBuf::from(format!("{}/brick", self.0)))
    }

    /// A brick directory below it that is called otherwise, as of bricks that others made; several parts where it lies
    /// deeper. `None` where that is no path.
    #[must_use]
    pub fn brick_path_in(&self, folder: &str) -> Option<BrickPath> {
        format!("{}/{folder}", self.0).try_into().ok()
    }

    #[must_use]
    pub fn as_path(&self) -> &Utf8Path {
        Utf8Path::new(&self.0)
    }

    /// `<root>/vg_<device>/brick_<brick>`, as heketi lays it out below its own root.
    #[must_use]
    pub fn of_brick(root: &Self, vg: &VgName, lv: &LvName) -> Self {
        Self(format!("{}/{vg}/{lv}", root.0))
    }
}

/// The directory that GlusterFS knows as a brick.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BrickPath(Utf8PathBuf);

impl BrickPath {
    #[must_use]
    pub fn as_path(&self) -> &Utf8Path {
        &self.0
    }

    /// Its part below the mount point; `None` where it does not lie below that, or is that.
    #[must_use]
    pub fn folder_in(&self, at: &MountPoint) -> Option<&str> {
        self.0.strip_prefix(at.as_path()).ok().map(Utf8Path::as_str).filter(|folder| !folder.is_empty())
    }
}

impl TryFrom<String> for BrickPath {
    type Error = NotAName;

    fn try_from(text: String) -> Result<Self, NotAName> {
        text.parse::<MountPoint>().map(|path| Self(Utf8PathBuf::from(path.0)))
    }
}

impl From<BrickPath> for String {
    fn from(path: BrickPath) -> Self {
        path.0.into_string()
    }
}

impl fmt::Display for BrickPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

/// The device-mapper node of a logical volume. Dashes within a name are doubled there, as LVM does.
#[must_use]
pub fn mapper_path(vg: &VgName, lv: &LvName) -> Utf8PathBuf {
    let part = |name: &str| name.replace('-', "--");
    Utf8PathBuf::from(format!("/dev/mapper/{}-{}", part(&vg.0), part(&lv.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_could_be_read_as_an_option_is_refused() {
        assert!("--mode=script".parse::<VolumeName>().is_err());
        assert!("-x".parse::<HostName>().is_err());
        assert!("--xml".parse::<OptionValue>().is_err());
        assert!("-tag".parse::<LvmTag>().is_err());
    }

    #[test]
    fn a_path_that_climbs_is_refused() {
        for text in ["/dev/../etc/passwd", "/dev//sdb", "/dev/./sdb", "/dev/", "/dev", "dev/sdb", "/etc/fstab"] {
            assert!(text.parse::<DevicePath>().is_err(), "{text}");
        }
        assert!("/dev/disk/by-path/pci-0000:00:1f.2-ata-1".parse::<DevicePath>().is_ok());
    }

    #[test]
    fn a_dash_in_a_name_is_doubled_in_the_mapper_path() {
        let (vg, lv) = ("a-b".parse().unwrap(), "c".parse().unwrap());
        assert_eq!(mapper_path(&vg, &lv), "/dev/mapper/a--b-c");
    }

    #[test]
    fn a_name_with_a_line_break_or_a_space_is_refused() {
        assert!("vol\n".parse::<VolumeName>().is_err());
        assert!("/mnt/a b".parse::<MountPoint>().is_err());
        assert!("on\n".parse::<OptionValue>().is_err());
    }
}
