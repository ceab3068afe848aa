//! What is kept of a host's report. Every host has one, it grows with every brick, and it is kept for as long as the
//! coordinator runs: of a hundred thousand bricks the tags alone would fill hundreds of MiB.

use bricklayer_proto::inventory::{Inventory, LogicalVolume, OUR_TAGS};
use bricklayer_proto::names::LvmTag;

/// The tags of logical volumes that anybody asks for; the agent has read the others into the brick that they are of.
const ASKED_FOR: [&str; 3] = ["brick=", "volume=", "mounted-by="];

/// The report without what nobody asks for.
pub fn lean(mut inventory: Inventory) -> Inventory {
    for group in &mut inventory.groups {
        // LVM's own parts of pools: everybody passes over them.
        group.volumes.retain(|volume| !volume.is_part_of_pool());
        group.volumes.iter_mut().for_each(forget_tags);
        group.volumes.shrink_to_fit();
    }
    inventory.groups.shrink_to_fit();
    inventory.bricks.shrink_to_fit();
    inventory.disks.shrink_to_fit();
    inventory
}

fn of_ours(tag: &LvmTag) -> Option<&str> {
    tag.as_str().strip_prefix(OUR_TAGS)
}

fn forget_tags(volume: &mut LogicalVolume) {
    let is_asked_for =
        |tag: &&LvmTag| of_ours(tag).is_some_and(|key| ASKED_FOR.iter().any(|asked| key.starts_with(asked)));
    let mut kept: Vec<LvmTag> = volume.tags.iter().filter(is_asked_for).cloned().collect();
    if kept.is_empty() {
        // That it is ours at all.
        kept.extend(volume.tags.iter().find(|tag| of_ours(tag).is_some()).cloned());
    }
    kept.shrink_to_fit();
    volume.tags = kept;
}

#[cfg(test)]
mod tests {
    use bricklayer_proto::inventory::{GroupSpace, LvKind, VolumeGroup};
    use bricklayer_proto::size::{ByteSize, ExtentSize, Extents};

    use super::*;

    fn volume(name: &str, tags: &[&str]) -> LogicalVolume {
        LogicalVolume {
            name: name.parse().unwrap(),
            uuid: "u".to_owned(),
            size: ByteSize::ZERO,
            kind: LvKind::Other { segment_type: "linear".to_owned() },
            active: true,
            open: true,
            condemned: false,
            tags: tags.iter().map(|tag| tag.parse().unwrap()).collect(),
        }
    }

    fn leaned(volumes: Vec<LogicalVolume>) -> Vec<LogicalVolume> {
        let space = GroupSpace {
            seqno: 1,
            extent_size: ExtentSize::FOUR_MIB,
            total: Extents::ZERO,
            free: Extents::ZERO,
            spare: Extents::ZERO,
        };
        let group = VolumeGroup {
            name: "vg".parse().unwrap(),
            uuid: "u".to_owned(),
            space,
            physical_volumes: Vec::new(),
            tags: None,
            condemned: false,
            adopted: false,
            volumes,
        };
        lean(Inventory { groups: vec![group], ..Inventory::default() }).groups.remove(0).volumes
    }

    #[test]
    fn what_is_asked_of_a_volume_is_answered_as_before() {
        let tags = [
            "bricklayer.asked=7",
            "bricklayer.brick=b1",
            "bricklayer.mounted-by=glusterd",
            "bricklayer.volume=a1",
            "somebody.else=1",
        ];
        let before = volume("brick_1", &tags);
        let after = leaned(vec![before.clone()]).remove(0);
        for key in ["brick", "volume", "mounted-by"] {
            assert_eq!(after.our_tag(key), before.our_tag(key), "{key}");
        }
        assert!(after.is_tagged_ours());
        assert_eq!(after.tags.len(), 3);
    }

    #[test]
    fn a_volume_of_ours_stays_ours_and_one_of_others_stays_theirs() {
        let ours = volume("odd", &["bricklayer.condemned", "bricklayer.format=1"]);
        let theirs = volume("theirs", &["backup=daily"]);
        let after = leaned(vec![ours, theirs]);
        assert_eq!(after.iter().map(LogicalVolume::is_tagged_ours).collect::<Vec<_>>(), [true, false]);
    }

    #[test]
    fn parts_of_pools_are_passed_over() {
        let names = ["tp_1", "tp_1_tdata", "tp_1_tmeta", "lvol0_pmspare"];
        let after = leaned(names.iter().map(|name| volume(name, &[])).collect());
        assert_eq!(after.iter().map(|volume| volume.name.as_str()).collect::<Vec<_>>(), ["tp_1"]);
    }
}
