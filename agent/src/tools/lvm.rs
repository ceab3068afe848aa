//! LVM: one constructor per use, and its JSON reports read strictly.
//!
//! Success is the exit status, state is what a report says afterwards; LVM's prose is shown to people and never read.
//! Sizes go in as bytes and extents and come out as bytes and extents. What is removed is selected by LVM itself, under
//! its own lock, by the mark on it: a volume that is not condemned is not removed whatever the caller believes.
//!
//! `--yes` is given where the question could only be about blocks that LVM has just allocated in a group of ours; never
//! to make a physical volume, and `-ff` never at all.

use std::collections::BTreeMap;

use bricklayer_proto::inventory::{GroupSpace, LogicalVolume, LvKind, PhysicalVolume, PvExtent};
use bricklayer_proto::names::{DevicePath, LvName, LvmTag, VgName};
use bricklayer_proto::size::{ByteSize, ExtentSize, Extents};
use bricklayer_proto::space::{DATA_ALIGNMENT, POOL_CHUNK, PV_METADATA};
use serde::Deserialize;

use super::run::{Call, Program};
use crate::host::{BrickVolumes, GroupReport, HostError, LinearVolume};
use crate::tags;

/// The `lvm` program and what we ask of it.
#[derive(Clone, Debug)]
pub struct Lvm(Program);

/// One group or all, and in the latter case the physical volumes that are in none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FullReport {
    pub groups: Vec<GroupReport>,
    pub loose: Vec<PhysicalVolume>,
}

impl Lvm {
    #[must_use]
    pub fn find() -> Self {
        Self(Program::find("lvm"))
    }

    #[must_use]
    pub fn version(&self) -> Call {
        self.0.reads(["version"])
    }

    /// Everything about one group, or about all: one process, one look at the disks.
    #[must_use]
    pub fn full_report(&self, group: Option<&VgName>) -> Call {
        let mut words = vec!["fullreport", "--reportformat", "json", "--units", "b", "--nosuffix"];
        for (report, fields) in FIELDS {
            words.extend(["--configreport", report, "--options", fields]);
        }
        words.extend(group.map(VgName::as_str));
        let of = group.map_or_else(|| "all volume groups".to_owned(), |group| format!("volume group {group}"));
        self.0.reads(words).titled(format!("LVM's report of {of}"))
    }

    #[must_use]
    pub fn group_names(&self) -> Call {
        self.0.reads(["vgs", "--reportformat", "json", "--options", "vg_name"])
    }

    /// Makes the physical volume as well. Refuses a disk that carries a signature, as its question goes unanswered.
    #[must_use]
    pub fn create_group(&self, disk: &DevicePath, group: &VgName, extent: ExtentSize, tags: &[LvmTag]) -> Call {
        let mut words = vec!["vgcreate".to_owned()];
        words.extend(option("--metadatasize", bytes(PV_METADATA)));
        words.extend(option("--dataalignment", bytes(DATA_ALIGNMENT)));
        words.extend(option("--physicalextentsize", format!("{}b", extent.bytes())));
        words.extend(add_tags(tags));
        words.extend([group.to_string(), disk.to_string()]);
        self.0.writes(words).titled(format!("vgcreate {group} {disk}"))
    }

    #[must_use]
    pub fn add_group_tag(&self, group: &VgName, tag: &LvmTag) -> Call {
        self.0.writes(["vgchange", "--addtag", tag.as_str(), group.as_str()])
    }

    #[must_use]
    pub fn replace_group_tags(&self, group: &VgName, gone: &[LvmTag], new: &[LvmTag]) -> Call {
        let mut words = vec!["vgchange".to_owned()];
        words.extend(gone.iter().flat_map(|tag| option("--deltag", tag.to_string())));
        words.extend(add_tags(new));
        words.push(group.to_string());
        self.0.writes(words).titled(format!("vgchange {group}"))
    }

    /// Removes the group if it is condemned. LVM itself refuses one that holds volumes: its question goes unanswered.
    #[must_use]
    pub fn remove_group(&self, group: &VgName) -> Call {
        let condemned = format!("vg_tags={}", tags::condemned());
        self.0.writes(["vgremove", "--select", &condemned, group.as_str()]).titled(format!("vgremove {group}"))
    }

    #[must_use]
    pub fn remove_physical_volume(&self, disk: &DevicePath) -> Call {
        self.0.writes(["pvremove", disk.as_str()])
    }

    #[must_use]
    pub fn activate_group(&self, group: &VgName, active: bool) -> Call {
        self.0.writes(["vgchange", "--activate", if active { "y" } else { "n" }, group.as_str()])
    }

    /// Makes the thin pool of a brick.
    #[must_use]
    pub fn create_pool(&self, wanted: &BrickVolumes) -> Call {
        self.0.writes(create_pool(wanted)).titled(format!("lvcreate {}/{}", wanted.group, wanted.pool))
    }

    /// Makes the thin volume of a brick in its pool.
    #[must_use]
    pub fn create_volume(&self, wanted: &BrickVolumes) -> Call {
        self.0.writes(create_volume(wanted)).titled(format!("lvcreate {}/{}", wanted.group, wanted.volume))
    }

    /// Makes the linear volume of a thick brick. LVM wipes what earlier volumes left at its beginning once it is there, as is
    /// said here and not left to `lvm.conf`.
    #[must_use]
    pub fn create_linear(&self, wanted: &LinearVolume) -> Call {
        let mut words = ["lvcreate", "--yes", "--type", "linear"].map(str::to_owned).to_vec();
        words.extend(option("--extents", wanted.size.count().to_string()));
        words.extend(option("--zero", "y".to_owned()));
        words.extend(option("--wipesignatures", "y".to_owned()));
        words.extend(add_tags(&wanted.tags));
        words.extend(option("--name", wanted.volume.to_string()));
        words.push(wanted.group.to_string());
        self.0.writes(words).titled(format!("lvcreate {}/{}", wanted.group, wanted.volume))
    }

    /// Both in one process, which spares reading the configuration and all disks again. `lvm` takes command lines from
    /// its standard input, and its words need no quoting: our types leave no space, quote or line break in any.
    /// It goes on after a failure and ends well, so only a report tells what is there afterwards.
    #[must_use]
    pub fn create_pool_and_volume(&self, wanted: &BrickVolumes) -> Call {
        let title = format!("lvcreate {}/{}", wanted.group, wanted.volume);
        self.script([create_pool(wanted), create_volume(wanted)]).titled(title)
    }

    /// Sizes are what it is to have, never what is to be added: a repeat then changes nothing. Metadata comes first, and
    /// with enough of it LVM does not extend it once more by its own estimate.
    #[must_use]
    pub fn extend_pool(
        &self,
        group: &VgName,
        pool: &LvName,
        data: Option<ByteSize>,
        metadata: Option<ByteSize>,
    ) -> Call {
        let mut words = vec!["lvextend".to_owned()];
        words.extend(metadata.into_iter().flat_map(|size| option("--poolmetadatasize", bytes(size))));
        words.extend(data.into_iter().flat_map(|size| option("--size", bytes(size))));
        words.push(format!("{group}/{pool}"));
        self.0.writes(words).titled(format!("lvextend {group}/{pool}"))
    }

    #[must_use]
    pub fn extend_volume(&self, group: &VgName, volume: &LvName, to: ByteSize) -> Call {
        let mut words = vec!["lvextend".to_owned()];
        words.extend(option("--size", bytes(to)));
        words.push(format!("{group}/{volume}"));
        self.0.writes(words).titled(format!("lvextend {group}/{volume}"))
    }

    #[must_use]
    pub fn replace_volume_tags(&self, group: &VgName, volume: &LvName, gone: &[LvmTag], new: &[LvmTag]) -> Call {
        let mut words = vec!["lvchange".to_owned()];
        words.extend(gone.iter().flat_map(|tag| option("--deltag", tag.to_string())));
        words.extend(add_tags(new));
        words.push(format!("{group}/{volume}"));
        self.0.writes(words).titled(format!("lvchange {group}/{volume}"))
    }

    #[must_use]
    pub fn add_volume_tag(&self, group: &VgName, volumes: &[&LvName], tag: &LvmTag) -> Call {
        let mut words = vec!["lvchange".to_owned(), "--addtag".to_owned(), tag.to_string()];
        words.extend(volumes.iter().map(|volume| format!("{group}/{volume}")));
        self.0.writes(words)
    }

    /// Removes a condemned volume that nothing has open; of pools, empty ones. Where LVM's selection leaves it out, it
    /// ends well and the volume is still there.
    #[must_use]
    pub fn remove_volume(&self, group: &VgName, volume: &LvName) -> Call {
        self.0.writes(remove_volume(group, volume)).titled(format!("lvremove {group}/{volume}"))
    }

    /// Several in one process, in this order; see [`Self::create_pool_and_volume`] for what that means.
    #[must_use]
    pub fn remove_volumes<'a>(&self, group: &VgName, volumes: impl IntoIterator<Item = &'a LvName>) -> Call {
        self.script(volumes.into_iter().map(|volume| remove_volume(group, volume)))
            .titled(format!("lvremove in {group}"))
    }

    fn script(&self, lines: impl IntoIterator<Item = Vec<String>>) -> Call {
        let mut script = String::new();
        for words in lines {
            script.push_str(&words.join(" "));
            script.push('\n');
        }
        self.0.writes::<&str>([]).with_script(script)
    }
}

fn create_pool(wanted: &BrickVolumes) -> Vec<String> {
    let mut words = vec!["lvcreate".to_owned(), "--yes".to_owned(), "--thin".to_owned()];
    words.extend(option("--extents", wanted.space.pool.count().to_string()));
    words.extend(option("--poolmetadatasize", extents(wanted.space.metadata, wanted.extent_size)));
    words.extend(option("--chunksize", bytes(POOL_CHUNK)));
    words.extend(option("--zero", "y".to_owned()));
    words.extend(option("--errorwhenfull", "y".to_owned()));
    words.extend(add_tags(&wanted.pool_tags));
    words.extend(option("--name", wanted.pool.to_string()));
    words.push(wanted.group.to_string());
    words
}

fn create_volume(wanted: &BrickVolumes) -> Vec<String> {
    let mut words = vec!["lvcreate".to_owned(), "--yes".to_owned(), "--thin".to_owned()];
    words.extend(option("--virtualsize", extents(wanted.space.volume, wanted.extent_size)));
    words.extend(add_tags(&wanted.volume_tags));
    words.extend(option("--name", wanted.volume.to_string()));
    words.push(format!("{}/{}", wanted.group, wanted.pool));
    words
}

fn remove_volume(group: &VgName, volume: &LvName) -> Vec<String> {
    // A pool is removed only when it is empty; other volumes have no such count, which LVM reads as 0.
    let selection = format!("lv_tags={}&&(thin_count=0||segtype!=thin-pool)", tags::condemned());
    vec!["lvremove".to_owned(), "--yes".to_owned(), "--select".to_owned(), selection, format!("{group}/{volume}")]
}

fn option(name: &str, value: String) -> [String; 2] {
    [name.to_owned(), value]
}

fn add_tags(tags: &[LvmTag]) -> impl Iterator<Item = String> {
    tags.iter().flat_map(|tag| option("--addtag", tag.to_string()))
}

fn bytes(size: ByteSize) -> String {
    format!("{}b", size.bytes())
}

/// LVM itself refuses what does not fit into 64 bits; saturating hands it such a number.
fn extents(count: Extents, one: ExtentSize) -> String {
    format!("{}b", count.count().saturating_mul(one.bytes()))
}

/// What each part of a full report is to contain.
const FIELDS: [(&str, &str); 5] = [
    ("vg", "vg_name,vg_uuid,vg_seqno,vg_extent_size,vg_extent_count,vg_free_count,vg_tags"),
    ("pv", "pv_name,pv_uuid,pv_missing,dev_size,pe_start"),
    (
        "lv",
        "lv_name,lv_uuid,lv_size,lv_metadata_size,lv_tags,lv_active,lv_device_open,pool_lv,data_percent,metadata_percent,\
         lv_health_status,lv_check_needed",
    ),
    ("pvseg", "pvseg_start,pvseg_size,lv_name"),
    ("seg", "lv_name,segtype,thin_count"),
];

/// What LVM's spare of pool metadata is called, hidden as its brackets say.
const SPARE: &str = "_pmspare]";

/// Reads a full report. A row that cannot be read fails it: space that is not counted would be given away twice.
pub fn parse_full_report(stdout: &[u8]) -> Result<FullReport, HostError> {
    let document: Document = serde_json::from_slice(stdout).map_err(|error| unreadable(&error.to_string()))?;
    let mut full = FullReport::default();
    for section in document.report {
        let physical_volumes =
            section.pv.iter().map(PvRow::read).collect::<Result<Vec<_>, _>>().map_err(|why| unreadable(&why))?;
        match &section.vg {
            None => full.loose.extend(physical_volumes),
            Some(rows) => {
                let [row] = rows.as_slice() else {
                    return Err(unreadable(&format!("a section with {} groups", rows.len())));
                };
                full.groups.push(read_group(row, &section, physical_volumes).map_err(|why| unreadable(&why))?);
            }
        }
    }
    Ok(full)
}

/// The names of all groups.
pub fn parse_group_names(stdout: &[u8]) -> Result<Vec<String>, HostError> {
    #[derive(Deserialize)]
    struct Names {
        report: Vec<Section>,
    }
    #[derive(Deserialize)]
    struct Section {
        vg: Vec<Row>,
    }
    #[derive(Deserialize)]
    struct Row {
        vg_name: String,
    }
    let names: Names = serde_json::from_slice(stdout).map_err(|error| unreadable(&error.to_string()))?;
    Ok(names.report.into_iter().flat_map(|section| section.vg).map(|row| row.vg_name).collect())
}

fn unreadable(why: &str) -> HostError {
    HostError::Unreadable { what: "LVM's report".to_owned(), why: why.to_owned() }
}

/// Newer LVM adds `log` beside `report`; unknown keys are passed over, missing ones are errors.
#[derive(Deserialize)]
struct Document {
    report: Vec<Section>,
}

/// A group's section has all five parts; that of physical volumes in no group has two.
#[derive(Deserialize)]
struct Section {
    vg: Option<Vec<VgRow>>,
    pv: Vec<PvRow>,
    pvseg: Vec<PvSegRow>,
    lv: Option<Vec<LvRow>>,
    seg: Option<Vec<SegRow>>,
}

#[derive(Deserialize)]
struct VgRow {
    vg_name: String,
    vg_uuid: String,
    vg_seqno: String,
    vg_extent_size: String,
    vg_extent_count: String,
    vg_free_count: String,
    vg_tags: String,
}

#[derive(Deserialize)]
struct PvRow {
    pv_name: String,
    pv_uuid: String,
    pv_missing: String,
    dev_size: String,
    pe_start: String,
}

#[derive(Deserialize)]
struct PvSegRow {
    pvseg_size: String,
    lv_name: String,
}

#[derive(Deserialize)]
struct LvRow {
    lv_name: String,
    lv_uuid: String,
    lv_size: String,
    lv_metadata_size: String,
    lv_tags: String,
    lv_active: String,
    lv_device_open: String,
    pool_lv: String,
    data_percent: String,
    metadata_percent: String,
    // The recorded reports are older than these two.
    #[serde(default)]
    lv_health_status: String,
    #[serde(default)]
    lv_check_needed: String,
}

#[derive(Deserialize)]
struct SegRow {
    lv_name: String,
    segtype: String,
    thin_count: String,
}

impl PvRow {
    fn read(&self) -> Result<PhysicalVolume, String> {
        let missing = !self.pv_missing.is_empty();
        // Of a missing disk LVM knows no size.
        let extent = match missing {
            true => None,
            false => Some(PvExtent {
                disk: ByteSize::from_bytes(number("dev_size", &self.dev_size)?),
                start: ByteSize::from_bytes(number("pe_start", &self.pe_start)?),
            }),
        };
        Ok(PhysicalVolume {
            uuid: self.pv_uuid.parse().map_err(|error| format!("{error}"))?,
            path: if missing { None } else { Some(self.pv_name.parse().map_err(|error| format!("{error}"))?) },
            missing,
            extent,
        })
    }
}

fn read_group(row: &VgRow, section: &Section, physical_volumes: Vec<PhysicalVolume>) -> Result<GroupReport, String> {
    let (Some(lv), Some(seg)) = (&section.lv, &section.seg) else {
        return Err(format!("group {} without its volumes", row.vg_name));
    };
    let mut segments = BTreeMap::new();
    for segment in seg {
        segments.entry(segment.lv_name.as_str()).or_insert(segment);
    }
    let mut spare = 0;
    for segment in section.pvseg.iter().filter(|segment| segment.lv_name.ends_with(SPARE)) {
        spare += number("pvseg_size", &segment.pvseg_size)?;
    }
    let mut volumes = Vec::with_capacity(lv.len());
    for row in lv {
        let segment = segments.get(row.lv_name.as_str());
        let segment = segment.ok_or_else(|| format!("volume {} without a segment", row.lv_name))?;
        volumes.push(read_volume(row, segment)?);
    }
    let extent_size = number("vg_extent_size", &row.vg_extent_size)?;
    Ok(GroupReport {
        name: row.vg_name.parse().map_err(|error| format!("{error}"))?,
        uuid: row.vg_uuid.clone(),
        space: GroupSpace {
            seqno: number("vg_seqno", &row.vg_seqno)?,
            extent_size: ExtentSize::from_bytes(extent_size).ok_or("an extent size of 0")?,
            total: Extents::new(number("vg_extent_count", &row.vg_extent_count)?),
            free: Extents::new(number("vg_free_count", &row.vg_free_count)?),
            spare: Extents::new(spare),
        },
        tags: read_tags(&row.vg_tags),
        physical_volumes,
        volumes,
    })
}

fn read_volume(row: &LvRow, segment: &SegRow) -> Result<LogicalVolume, String> {
    let kind = match segment.segtype.as_str() {
        "thin-pool" => LvKind::ThinPool {
            metadata: ByteSize::from_bytes(number("lv_metadata_size", &row.lv_metadata_size)?),
            data_percent: percent("data_percent", &row.data_percent)?,
            metadata_percent: percent("metadata_percent", &row.metadata_percent)?,
            volumes: segment.thin_count.parse().map_err(|_| format!("thin_count is {:?}", segment.thin_count))?,
            fault: pool_fault(row),
        },
        "thin" => LvKind::Thin { pool: row.pool_lv.parse().map_err(|error| format!("{error}"))? },
        other => LvKind::Other { segment_type: other.to_owned() },
    };
    let tags = read_tags(&row.lv_tags);
    Ok(LogicalVolume {
        name: row.lv_name.parse().map_err(|error| format!("{error}"))?,
        uuid: row.lv_uuid.clone(),
        size: ByteSize::from_bytes(number("lv_size", &row.lv_size)?),
        kind,
        active: row.lv_active == "active",
        open: row.lv_device_open == "open",
        condemned: tags::is_condemned(&tags),
        tags,
    })
}

/// That its data is full is no such fault: there is a figure for that.
fn pool_fault(row: &LvRow) -> Option<String> {
    let check = (row.lv_check_needed == "check needed").then_some("it needs a check");
    let health = match row.lv_health_status.as_str() {
        "failed" => Some("it has failed"),
        "metadata_read_only" => Some("its metadata is read-only"),
        _ => None,
    };
    let faults: Vec<&str> = health.into_iter().chain(check).collect();
    (!faults.is_empty()).then(|| faults.join(", "))
}

/// LVM allows tags that begin with a dash; none of ours does, and nobody else's means anything here.
fn read_tags(text: &str) -> Vec<LvmTag> {
    text.split(',').filter_map(|tag| tag.parse().ok()).collect()
}

fn number(field: &str, text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{field} is {text:?}"))
}

/// Empty while the pool is not active.
fn percent(field: &str, text: &str) -> Result<Option<f64>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| format!("{field} is {text:?}"))
}

#[cfg(test)]
mod tests {
    use bricklayer_proto::space::{BrickSpace, Provisioning};

    use super::*;

    fn lvm() -> Lvm {
        Lvm(Program::find("lvm"))
    }

    fn brick() -> BrickVolumes {
        BrickVolumes {
            group: "vg_a".parse().unwrap(),
            pool: "tp_b".parse().unwrap(),
            volume: "brick_b".parse().unwrap(),
            space: BrickSpace {
                provisioning: Provisioning::Thin,
                volume: Extents::new(2048),
                pool: Extents::new(2048),
                metadata: Extents::new(2),
            },
            extent_size: ExtentSize::FOUR_MIB,
            pool_tags: vec!["bricklayer.role=pool".parse().unwrap()],
            volume_tags: vec!["bricklayer.role=data".parse().unwrap()],
        }
    }

    #[test]
    fn a_brick_is_made_by_two_commands_in_one_process() {
        let call = lvm().create_pool_and_volume(&brick());
        assert_eq!(call.words(), "lvm");
        assert_eq!(
            call.script().unwrap(),
            "lvcreate --yes --thin --extents 2048 --poolmetadatasize 8388608b --chunksize 262144b --zero y \
             --errorwhenfull y --addtag bricklayer.role=pool --name tp_b vg_a\n\
             lvcreate --yes --thin --virtualsize 8589934592b --addtag bricklayer.role=data --name brick_b vg_a/tp_b\n"
        );
    }

    #[test]
    fn a_thick_brick_is_made_by_one_command_that_wipes_what_was_left_there() {
        let wanted = LinearVolume {
            group: "vg_a".parse().unwrap(),
            volume: "brick_b".parse().unwrap(),
            size: Extents::new(2048),
            tags: vec!["bricklayer.role=data".parse().unwrap(), "bricklayer.blank".parse().unwrap()],
        };
        assert_eq!(
            lvm().create_linear(&wanted).words(),
            "lvm lvcreate --yes --type linear --extents 2048 --zero y --wipesignatures y --addtag bricklayer.role=data \
             --addtag bricklayer.blank --name brick_b vg_a"
        );
    }

    #[test]
    fn what_grows_is_given_the_size_that_it_is_to_have_with_metadata_first() {
        let (group, pool, volume) = ("vg_a".parse().unwrap(), "tp_b".parse().unwrap(), "brick_b".parse().unwrap());
        let (data, metadata) = (ByteSize::from_gib(4), ByteSize::from_mib(16));
        assert_eq!(
            lvm().extend_pool(&group, &pool, data, metadata).words(),
            "lvm lvextend --poolmetadatasize 16777216b --size 4294967296b vg_a/tp_b"
        );
        assert_eq!(lvm().extend_pool(&group, &pool, data, None).words(), "lvm lvextend --size 4294967296b vg_a/tp_b");
        assert_eq!(
            lvm().extend_volume(&group, &volume, data.unwrap()).words(),
            "lvm lvextend --size 4294967296b vg_a/brick_b"
        );
    }

    #[test]
    fn tags_are_replaced_in_one_command() {
        let tag = |text: &str| text.parse::<LvmTag>().unwrap();
        let call = lvm().replace_volume_tags(
            &"vg_a".parse().unwrap(),
            &"brick_b".parse().unwrap(),
            &[tag("bricklayer.asked=1"), tag("bricklayer.generation=1")],
            &[tag("bricklayer.asked=2"), tag("bricklayer.generation=2")],
        );
        assert_eq!(
            call.words(),
            "lvm lvchange --deltag bricklayer.asked=1 --deltag bricklayer.generation=1 --addtag bricklayer.asked=2 \
             --addtag bricklayer.generation=2 vg_a/brick_b"
        );
    }

    #[test]
    fn a_group_is_made_without_a_yes() {
        let tags = ["bricklayer.format=1".parse().unwrap()];
        let call =
            lvm().create_group(&"/dev/sdb".parse().unwrap(), &"vg_a".parse().unwrap(), ExtentSize::FOUR_MIB, &tags);
        assert_eq!(
            call.words(),
            "lvm vgcreate --metadatasize 16777216b --dataalignment 262144b --physicalextentsize 4194304b \
             --addtag bricklayer.format=1 vg_a /dev/sdb"
        );
    }

    #[test]
    fn only_what_is_condemned_is_removed_and_of_pools_only_empty_ones() {
        let (group, pool) = ("vg_a".parse().unwrap(), "tp_b".parse().unwrap());
        assert_eq!(
            lvm().remove_volume(&group, &pool).words(),
            "lvm lvremove --yes --select lv_tags=bricklayer.condemned&&(thin_count=0||segtype!=thin-pool) vg_a/tp_b"
        );
        assert_eq!(lvm().remove_group(&group).words(), "lvm vgremove --select vg_tags=bricklayer.condemned vg_a");
    }

    fn report(name: &str) -> Vec<u8> {
        let path = format!("{}/../tests/fixtures/lvm-2.03.16/agent-report-{name}.json", env!("CARGO_MANIFEST_DIR"));
        std::fs::read(path).unwrap()
    }

    #[test]
    fn the_space_of_a_group_is_lvms_own_with_its_hidden_spare() {
        let full = parse_full_report(&report("brick")).unwrap();
        let [group] = full.groups.as_slice() else { panic!("{full:?}") };
        let space = group.space;
        assert_eq!((space.total, space.free, space.spare), (Extents::new(4091), Extents::new(2039), Extents::new(2)));
        assert_eq!(space.extent_size, ExtentSize::FOUR_MIB);
        assert_eq!(space.seqno, 6);
        // What the arithmetic of placement says of the same brick.
        let brick = BrickSpace::thin(ByteSize::from_gib(8).unwrap(), ByteSize::from_gib(8).unwrap(), space.extent_size);
        let taken = brick.unwrap().taken().unwrap().checked_add(space.spare).unwrap();
        assert_eq!(space.total.checked_sub(taken), Some(space.free));
    }

    #[test]
    fn a_pool_and_its_volume_are_read_with_their_tags() {
        let full = parse_full_report(&report("brick")).unwrap();
        let [volume, pool] = full.groups[0].volumes.as_slice() else { panic!("{full:?}") };
        assert_eq!(volume.kind, LvKind::Thin { pool: pool.name.clone() });
        assert!(volume.active && volume.open && !volume.condemned);
        assert_eq!(volume.size, ByteSize::from_gib(8).unwrap());
        assert_eq!(volume.tags, ["bricklayer.brick=b1", "bricklayer.role=data"].map(|tag| tag.parse().unwrap()));
        let metadata = ByteSize::from_mib(8).unwrap();
        let expected = LvKind::ThinPool {
            metadata,
            data_percent: Some(0.81),
            metadata_percent: Some(10.64),
            volumes: 1,
            fault: None,
        };
        assert_eq!(pool.kind, expected);
    }

    #[test]
    fn what_lvm_says_of_a_pool_that_takes_a_person_is_read_and_a_full_one_is_none_of_it() {
        let recorded = String::from_utf8(report("brick")).unwrap();
        let fault = |health: &str, check: &str| {
            let more = format!(r#""lv_health_status":"{health}", "lv_check_needed":"{check}", "lv_metadata_size":"#);
            let text = recorded.replace(r#""lv_metadata_size":"#, &more);
            assert_ne!(text, recorded);
            let full = parse_full_report(text.as_bytes()).unwrap();
            full.groups[0].volumes.iter().find_map(|volume| volume.kind.pool_fault().map(str::to_owned))
        };
        assert_eq!(fault("", ""), None);
        assert_eq!(fault("unknown", "unknown"), None, "of a pool that is not active");
        assert_eq!(fault("out_of_data", ""), None);
        assert_eq!(fault("", "check needed").unwrap(), "it needs a check");
        assert_eq!(fault("metadata_read_only", "check needed").unwrap(), "its metadata is read-only, it needs a check");
        assert_eq!(fault("failed", "").unwrap(), "it has failed");
    }

    #[test]
    fn a_physical_volume_in_no_group_is_a_loose_one() {
        let full = parse_full_report(&report("pv")).unwrap();
        assert_eq!(full.groups, []);
        assert_eq!(full.loose[0].path, Some("/dev/sdb".parse().unwrap()));
        assert_eq!(parse_full_report(&report("raw")).unwrap(), FullReport::default());
    }

    #[test]
    fn a_disk_of_16_gib_has_as_many_extents_as_the_arithmetic_says() {
        let full = parse_full_report(&report("group")).unwrap();
        let disk = ByteSize::from_gib(16).unwrap();
        let expected = bricklayer_proto::space::usable_extents(disk, ExtentSize::FOUR_MIB);
        assert_eq!(full.groups[0].space.total, expected);
    }

    #[test]
    fn the_disk_is_as_large_as_its_extents_and_what_lvm_keeps_before_and_behind_them() {
        let full = parse_full_report(&report("brick")).unwrap();
        let group = &full.groups[0];
        let PvExtent { disk, start } = group.physical_volumes[0].extent.unwrap();
        assert_eq!(disk, ByteSize::from_gib(16).unwrap());
        // 16 MiB of metadata area and the label before it, up to the next multiple of 256 KiB.
        assert_eq!(start.whole_kib(), (16 << 10) + 256);
        let extents = group.space.total.to_bytes(group.space.extent_size).unwrap();
        let behind = disk.bytes() - start.bytes() - extents.bytes();
        assert!(behind < group.space.extent_size.bytes(), "{behind} bytes behind the last extent");
    }

    #[test]
    fn newer_reports_with_a_log_are_read() {
        let mut text = String::from_utf8(report("brick")).unwrap();
        let end = text.rfind('}').unwrap();
        text.insert_str(end, r#", "log": [ {"log_seq_num":"1", "log_type":"status"} ]"#);
        assert_eq!(parse_full_report(text.as_bytes()).unwrap(), parse_full_report(&report("brick")).unwrap());
    }

    #[test]
    fn a_missing_disk_has_no_path() {
        let text = String::from_utf8(report("brick")).unwrap();
        let text = text.replace(r#""pv_name":"/dev/sdb""#, r#""pv_name":"[unknown]""#);
        assert!(parse_full_report(text.as_bytes()).is_err(), "a name that is none was taken");
        let text = text.replace(r#""pv_missing":"""#, r#""pv_missing":"missing""#);
        let full = parse_full_report(text.as_bytes()).unwrap();
        let physical = &full.groups[0].physical_volumes[0];
        assert_eq!((&physical.path, physical.extent), (&None, None));
    }

    #[test]
    fn a_row_that_cannot_be_read_fails_the_report() {
        let good = String::from_utf8(report("brick")).unwrap();
        for (from, to) in [
            (r#""vg_free_count":"2039""#, r#""vg_free_count":"""#),
            (r#""lv_size":"8589934592""#, r#""lv_size":"8g""#),
            (r#""thin_count":"1""#, r#""thin_count":"""#),
            (r#""pe_start":"17039360""#, r#""pe_start":"""#),
            (r#""vg_free_count""#, r#""vg_free""#),
            (r#""segtype":"thin-pool""#, r#""kind":"thin-pool""#),
        ] {
            let bad = good.replace(from, to);
            assert_ne!(bad, good);
            assert!(parse_full_report(bad.as_bytes()).is_err(), "{to}");
        }
    }
}
