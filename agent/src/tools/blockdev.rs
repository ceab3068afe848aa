//! Block devices: `lsblk` for what they are and what lies on what, the folders below `/dev` for their other names,
//! `dmsetup` for who is open, `wipefs` for what is on them.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};

use bricklayer_proto::names::DevicePath;
use bricklayer_proto::size::ByteSize;
use camino::Utf8Path;
use serde::Deserialize;

use super::run::{Call, Program};
use crate::host::{BlockDevice, BlockKind, HostError, Signature};

#[derive(Clone, Debug)]
pub struct BlockTools {
    lsblk: Program,
    dmsetup: Program,
    wipefs: Program,
    udevadm: Program,
}

impl BlockTools {
    #[must_use]
    pub fn find() -> Self {
        Self {
            lsblk: Program::find("lsblk"),
            dmsetup: Program::find("dmsetup"),
            wipefs: Program::find("wipefs"),
            udevadm: Program::find("udevadm"),
        }
    }

    #[must_use]
    pub fn list(&self) -> Call {
        let columns = "NAME,KNAME,MAJ:MIN,TYPE,SIZE,RO,ROTA,SERIAL,WWN,MODEL,PTTYPE,FSTYPE";
        self.lsblk.reads(["--json", "--bytes", "--paths", "--output", columns])
    }

    /// How often each mapping is open, one per line: the count and the name.
    #[must_use]
    pub fn open_counts(&self) -> Call {
        self.dmsetup.reads(["info", "--columns", "--noheadings", "--separator", " ", "--options", "open,name"])
    }

    #[must_use]
    pub fn remove_mapping(&self, name: &str) -> Call {
        self.dmsetup.writes(["remove", name])
    }

    #[must_use]
    pub fn signatures(&self, disk: &str) -> Call {
        self.wipefs.reads(["--json", "--no-act", disk])
    }

    #[must_use]
    pub fn wipe(&self, disk: &DevicePath) -> Call {
        self.wipefs.writes(["--all", disk.as_str()])
    }

    /// Waits until udev has heard of what just happened.
    #[must_use]
    pub fn settle(&self) -> Call {
        self.udevadm.reads(["settle", "--timeout=30"])
    }
}

/// util-linux before 2.33 (RHEL 8) quotes numbers and flags.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Loose<T> {
    Value(T),
    Text(String),
}

impl Loose<u64> {
    fn number(&self) -> Option<u64> {
        match self {
            Self::Value(number) => Some(*number),
            Self::Text(text) => text.parse().ok(),
        }
    }
}

impl Loose<bool> {
    fn flag(&self) -> Option<bool> {
        match self {
            Self::Value(flag) => Some(*flag),
            Self::Text(text) => match text.as_str() {
                "0" => Some(false),
                "1" => Some(true),
                _ => None,
            },
        }
    }
}

#[derive(Debug, Deserialize)]
struct Row {
    name: String,
    kname: String,
    #[serde(rename = "maj:min")]
    number: String,
    #[serde(rename = "type")]
    kind: String,
    /// Null for a drive without a medium.
    size: Option<Loose<u64>>,
    ro: Loose<bool>,
    rota: Loose<bool>,
    serial: Option<String>,
    wwn: Option<String>,
    model: Option<String>,
    pttype: Option<String>,
    fstype: Option<String>,
    #[serde(default)]
    children: Vec<Row>,
}

/// Reads lsblk's tree. A device below several others stands in it several times, and comes out once.
pub fn parse_lsblk(stdout: &[u8]) -> Result<Vec<BlockDevice>, HostError> {
    #[derive(Deserialize)]
    struct Tree {
        blockdevices: Vec<Row>,
    }
    let unreadable = |why: String| HostError::Unreadable { what: "lsblk's list".to_owned(), why };
    let tree: Tree = serde_json::from_slice(stdout).map_err(|error| unreadable(error.to_string()))?;
    let mut devices = BTreeMap::new();
    for row in &tree.blockdevices {
        collect(row, None, &mut devices).map_err(unreadable)?;
    }
    Ok(devices.into_values().collect())
}

fn collect(
    row: &Row,
    parent: Option<&DevicePath>,
    devices: &mut BTreeMap<(u32, u32), BlockDevice>,
) -> Result<(), String> {
    let number = device_number(row.number.trim()).ok_or_else(|| format!("MAJ:MIN is {:?}", row.number))?;
    let wrong = |what: &str| format!("{what} of {} cannot be read", row.kname);
    let path: DevicePath = row.kname.parse().map_err(|error| format!("{error}"))?;
    let size = match &row.size {
        Some(size) => size.number().ok_or_else(|| wrong("SIZE"))?,
        None => 0,
    };
    let kind = kind(&row.kind, &path);
    let (read_only, rotational) =
        (row.ro.flag().ok_or_else(|| wrong("RO"))?, row.rota.flag().ok_or_else(|| wrong("ROTA"))?);
    let device = devices.entry(number).or_insert_with(|| BlockDevice {
        path: path.clone(),
        device_number: number,
        links: Vec::new(),
        kind,
        size: ByteSize::from_bytes(size),
        read_only,
        rotational,
        serial: trimmed(row.serial.as_deref()),
        wwn: trimmed(row.wwn.as_deref()),
        model: trimmed(row.model.as_deref()),
        // lsblk shows a partition the table that it is part of.
        partition_table: if kind == BlockKind::Partition { None } else { trimmed(row.pttype.as_deref()) },
        signature: trimmed(row.fstype.as_deref()),
        parents: Vec::new(),
        mapping: row.name.strip_prefix("/dev/mapper/").map(str::to_owned),
        open: false,
    });
    if let Some(parent) = parent
        && !device.parents.contains(parent)
    {
        device.parents.push(parent.clone());
    }
    for child in &row.children {
        collect(child, Some(&path), devices)?;
    }
    Ok(())
}

fn trimmed(text: Option<&str>) -> Option<String> {
    text.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn kind(word: &str, path: &DevicePath) -> BlockKind {
    let name = path.as_str().trim_start_matches("/dev/");
    // lsblk calls these disks.
    let in_memory = ["ram", "zram", "fd", "sr"].iter().any(|prefix| {
        name.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
    });
    match word {
        "disk" if in_memory => BlockKind::Other,
        "disk" => BlockKind::Disk,
        "part" => BlockKind::Partition,
        "lvm" => BlockKind::Lvm,
        "mpath" => BlockKind::Multipath,
        "loop" | "rom" => BlockKind::Other,
        word if word.starts_with("raid") || word.starts_with("md") || word == "linear" => BlockKind::Raid,
        _ if name.starts_with("dm-") => BlockKind::Mapping,
        _ => BlockKind::Other,
    }
}

/// `8:16`.
#[must_use]
pub fn device_number(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Which mappings somebody has open, from [`BlockTools::open_counts`].
#[must_use]
pub fn parse_open(stdout: &[u8]) -> BTreeSet<String> {
    let text = String::from_utf8_lossy(stdout);
    let lines = text.lines().filter_map(|line| line.trim().split_once(' '));
    // What cannot be read counts as open: it is left alone then.
    lines.filter(|(count, _)| count.trim() != "0").map(|(_, name)| name.trim().to_owned()).collect()
}

/// `wipefs` says nothing at all of an empty disk in some versions, and an empty list in others.
pub fn parse_signatures(stdout: &[u8]) -> Result<Vec<Signature>, HostError> {
    #[derive(Deserialize)]
    struct List {
        signatures: Vec<Row>,
    }
    #[derive(Deserialize)]
    struct Row {
        offset: String,
        #[serde(rename = "type")]
        what: String,
    }
    let unreadable = |why: String| HostError::Unreadable { what: "wipefs's list".to_owned(), why };
    if stdout.iter().all(u8::is_ascii_whitespace) {
        return Ok(Vec::new());
    }
    let list: List = serde_json::from_slice(stdout).map_err(|error| unreadable(error.to_string()))?;
    let read = |row: Row| {
        let offset = u64::from_str_radix(row.offset.trim_start_matches("0x"), 16);
        offset.map(|offset| Signature { what: row.what, offset }).map_err(|_| unreadable(row.offset))
    };
    list.signatures.into_iter().map(read).collect()
}

/// Finds every name of every device: udev's links, the nodes and links of `/dev` itself, and those of device-mapper.
pub fn add_links(dev: &Utf8Path, devices: &mut [BlockDevice]) {
    let mut by_number: BTreeMap<(u32, u32), &mut BlockDevice> =
        devices.iter_mut().map(|device| (device.device_number, device)).collect();
    let mut folders = vec![dev.to_owned(), dev.join("mapper")];
    folders.extend(entries(&dev.join("disk")));
    for folder in folders {
        for path in entries(&folder) {
            // Follows a link: the number is what counts. A link that leads nowhere any more is passed over.
            let Ok(metadata) = path.metadata() else { continue };
            if !metadata.file_type().is_block_device() {
                continue;
            }
            let rdev = metadata.rdev();
            let number = (rustix::fs::major(rdev), rustix::fs::minor(rdev));
            let Some(device) = by_number.get_mut(&number) else { continue };
            // A label may hold anything; one that is not a plain path is of no use to us.
            let Ok(path) = path.as_str().parse::<DevicePath>() else { continue };
            if path != device.path && !device.links.contains(&path) {
                device.links.push(path);
            }
        }
    }
    for device in devices {
        device.links.sort();
    }
}

fn entries(folder: &Utf8Path) -> Vec<camino::Utf8PathBuf> {
    // A folder that is not there holds no names.
    let Ok(entries) = folder.read_dir_utf8() else { return Vec::new() };
    entries.filter_map(|entry| entry.ok().map(|entry| entry.path().to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lsblk(name: &str) -> Vec<BlockDevice> {
        let path = format!("{}/../tests/fixtures/util-linux-2.38/lsblk-{name}.json", env!("CARGO_MANIFEST_DIR"));
        parse_lsblk(&std::fs::read(path).unwrap()).unwrap()
    }

    fn find<'a>(devices: &'a [BlockDevice], path: &str) -> &'a BlockDevice {
        devices.iter().find(|device| device.path.as_str() == path).unwrap()
    }

    #[test]
    fn a_raw_disk_has_its_size_serial_and_wwn_and_nothing_on_it() {
        let devices = lsblk("raw");
        let disk = find(&devices, "/dev/sdb");
        assert_eq!(disk.kind, BlockKind::Disk);
        assert_eq!(disk.device_number, (8, 16));
        assert_eq!(disk.size.bytes(), 16 << 30);
        assert!(disk.serial.is_some() && disk.wwn.as_deref().unwrap().starts_with("0x6001405"));
        assert_eq!((disk.signature.as_deref(), disk.partition_table.as_deref()), (None, None));
    }

    #[test]
    fn a_partition_table_belongs_to_the_disk_and_not_to_its_partitions() {
        let devices = lsblk("foreign");
        assert_eq!(find(&devices, "/dev/sdc").partition_table.as_deref(), Some("gpt"));
        let partition = find(&devices, "/dev/sdc2");
        assert_eq!(partition.kind, BlockKind::Partition);
        assert_eq!(partition.partition_table, None);
        assert_eq!(partition.signature.as_deref(), Some("swap"));
        assert_eq!(partition.parents, ["/dev/sdc".parse().unwrap()]);
    }

    #[test]
    fn mappings_are_known_by_their_names_and_told_from_logical_volumes() {
        let devices = lsblk("foreign");
        let volume = find(&devices, "/dev/dm-0");
        assert_eq!((volume.kind, volume.mapping.as_deref()), (BlockKind::Lvm, Some("old-data")));
        let stale = find(&devices, "/dev/dm-1");
        assert_eq!((stale.kind, stale.mapping.as_deref()), (BlockKind::Mapping, Some("stale")));
        assert_eq!(stale.parents, ["/dev/sde".parse().unwrap()]);
    }

    #[test]
    fn a_device_on_two_others_comes_out_once_with_both() {
        let devices = lsblk("brick");
        let pool = devices.iter().filter(|device| device.path.as_str() == "/dev/dm-2").collect::<Vec<_>>();
        let [pool] = pool.as_slice() else { panic!("{pool:?}") };
        assert_eq!(pool.parents, ["/dev/dm-0".parse().unwrap(), "/dev/dm-1".parse().unwrap()]);
    }

    #[test]
    fn a_row_without_a_size_that_can_be_read_is_an_error() {
        let list = br#"{"blockdevices":[{"name":"/dev/sdb","kname":"/dev/sdb","maj:min":"8:16","type":"disk",
            "size":"16G","ro":false,"rota":true,"serial":null,"wwn":null,"model":null,"pttype":null,"fstype":null}]}"#;
        assert!(parse_lsblk(list).is_err());
    }

    #[test]
    fn the_older_lsblk_that_quotes_numbers_is_read_too() {
        let list = br#"{"blockdevices":[{"name":"/dev/sdb","kname":"/dev/sdb","maj:min":"8:16","type":"disk",
            "size":"1024","ro":"0","rota":"1","serial":null,"wwn":null,"model":null,"pttype":null,"fstype":null}]}"#;
        assert!(parse_lsblk(list).unwrap()[0].rotational);
    }

    #[test]
    fn disks_in_memory_are_none() {
        assert_eq!(kind("disk", &"/dev/zram0".parse().unwrap()), BlockKind::Other);
        assert_eq!(kind("disk", &"/dev/sdb".parse().unwrap()), BlockKind::Disk);
        assert_eq!(kind("loop", &"/dev/loop0".parse().unwrap()), BlockKind::Other);
    }

    #[test]
    fn signatures_come_with_their_offsets() {
        let list = parse_signatures(include_bytes!("../../../tests/fixtures/util-linux-2.38/wipefs-gpt.json")).unwrap();
        let list: Vec<_> = list.iter().map(|found| (found.what.as_str(), found.offset)).collect();
        assert_eq!(list, [("gpt", 0x200), ("gpt", 0x3_ffff_fe00), ("PMBR", 0x1fe)]);
        let none = parse_signatures(include_bytes!("../../../tests/fixtures/util-linux-2.38/wipefs-raw.json"));
        assert_eq!(none.unwrap(), []);
        assert_eq!(parse_signatures(b"").unwrap(), []);
    }

    #[test]
    fn a_mapping_is_open_unless_its_count_is_nought() {
        assert_eq!(parse_open(b"0 stale\n1 vg-lv\n? odd\n"), ["odd".to_owned(), "vg-lv".to_owned()].into());
    }
}
