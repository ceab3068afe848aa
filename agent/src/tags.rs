//! LVM tags: what a volume group, a pool and a brick say of themselves on the disk.
//!
//! They are written in the same metadata commit as what they describe, outlive every database, and are one of the two
//! keys to destroy something. Every tag of ours is `bricklayer.<what>=<value>`, or `bricklayer.condemned` alone.
//!
//! Reading is strict: an object with some of our tags but not all of them is [`Damaged`], never "not ours", and is left
//! alone by everything that destroys.

use std::fmt::Display;
use std::str::FromStr;

use bricklayer_proto::ids::{BrickId, OperationId, VolumeId};
use bricklayer_proto::inventory::{BrickRole, BrickTags, GroupTags, OUR_TAGS};
use bricklayer_proto::names::{BrickPath, LvmTag, MountPoint};
use bricklayer_proto::size::ByteSize;

const PREFIX: &str = OUR_TAGS;

/// Of the tags themselves. A group with a later one was made by a newer agent and is left alone.
pub const FORMAT: u32 = 1;

/// Tags of ours that contradict themselves or lack something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damaged {
    #[error("the tag {PREFIX}{key} is missing")]
    Missing { key: &'static str },
    #[error("the tag {PREFIX}{key} is there more than once")]
    Twice { key: &'static str },
    #[error("the tag {PREFIX}{key} has the value {value:?}, which cannot be read")]
    Unreadable { key: &'static str, value: String },
    #[error("the tags have format {found}, and this agent knows formats up to {FORMAT}")]
    FromTheFuture { found: u32 },
}

/// What the thin pool of a brick says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolTags {
    pub brick: BrickId,
    pub volume: VolumeId,
    pub operation: OperationId,
}

/// The mark without which nothing is destroyed.
#[must_use]
pub fn condemned() -> LvmTag {
    tag_word("condemned".to_owned())
}

/// Nothing on the linear volume is anybody's yet. LVM hands out extents as they were left: what is found on them until the
/// file system is made was some earlier volume's.
#[must_use]
pub fn blank() -> LvmTag {
    tag_word("blank".to_owned())
}

#[must_use]
pub fn is_blank(tags: &[LvmTag]) -> bool {
    tags.contains(&blank())
}

/// Others made it, and it can be given back to them.
#[must_use]
pub fn adopted() -> LvmTag {
    tag_word("adopted".to_owned())
}

/// glusterd made this brick's volume for a clone, and mounts it itself: it has no line in fstab.
#[must_use]
pub fn mounted_by_glusterd() -> LvmTag {
    tag_word("mounted-by=glusterd".to_owned())
}

#[must_use]
pub fn is_mounted_by_glusterd(tags: &[LvmTag]) -> bool {
    tags.contains(&mounted_by_glusterd())
}

/// The brick directory of an adopted brick, below where its file system is mounted; ours are all called the same. `None`
/// where LVM takes no such tag.
#[must_use]
pub fn print_folder(folder: &str) -> Option<LvmTag> {
    format!("{PREFIX}folder={folder}").parse().ok()
}

/// The directory that GlusterFS knows as the brick whose volume carries these tags and is mounted there.
#[must_use]
pub fn brick_path(at: &MountPoint, tags: &[LvmTag]) -> BrickPath {
    let folder = Ours::of(tags).value("folder").ok().and_then(|folder| at.brick_path_in(folder));
    folder.unwrap_or_else(|| at.brick_path())
}

/// Those of the tags that are ours.
#[must_use]
pub fn ours(tags: &[LvmTag]) -> Vec<LvmTag> {
    tags.iter().filter(|tag| tag.as_str().starts_with(PREFIX)).cloned().collect()
}

#[must_use]
pub fn is_condemned(tags: &[LvmTag]) -> bool {
    tags.contains(&condemned())
}

#[must_use]
pub fn print_group(tags: &GroupTags) -> Vec<LvmTag> {
    vec![
        tag("format", FORMAT),
        tag("installation", tags.installation),
        tag("node", tags.node),
        tag("device", tags.device),
    ]
}

/// `None` where the group carries no tag of ours.
pub fn parse_group(tags: &[LvmTag]) -> Result<Option<GroupTags>, Damaged> {
    let ours = Ours::of(tags);
    if ours.has_none() {
        return Ok(None);
    }
    let found = ours.read("format")?;
    if found > FORMAT {
        return Err(Damaged::FromTheFuture { found });
    }
    Ok(Some(GroupTags {
        installation: ours.read("installation")?,
        node: ours.read("node")?,
        device: ours.read("device")?,
    }))
}

#[must_use]
pub fn print_brick(tags: &BrickTags) -> Vec<LvmTag> {
    vec![
        tag("brick", tags.brick),
        tag("volume", tags.volume),
        tag("name", &tags.volume_name),
        tag("set", tags.set),
        tag("position", tags.position),
        tag("role", role(tags.role)),
        tag("asked", tags.asked.bytes()),
        tag("generation", tags.generation),
        tag("operation", tags.operation),
    ]
}

/// `None` where the volume carries no tag of ours, or is a brick's pool.
pub fn parse_brick(tags: &[LvmTag]) -> Result<Option<BrickTags>, Damaged> {
    let ours = Ours::of(tags);
    if ours.has_none() || ours.is_pool() {
        return Ok(None);
    }
    Ok(Some(BrickTags {
        brick: ours.read("brick")?,
        volume: ours.read("volume")?,
        volume_name: ours.read("name")?,
        set: ours.read("set")?,
        position: ours.read("position")?,
        role: match ours.value("role")? {
            "data" => BrickRole::Data,
            "arbiter" => BrickRole::Arbiter,
            other => return Err(Damaged::Unreadable { key: "role", value: other.to_owned() }),
        },
        asked: ByteSize::from_bytes(ours.read("asked")?),
        generation: ours.read("generation")?,
        operation: ours.read("operation")?,
    }))
}

/// What has to go and what to come so that `old` becomes `new`.
#[must_use]
pub fn difference(old: &[LvmTag], new: &[LvmTag]) -> (Vec<LvmTag>, Vec<LvmTag>) {
    let only = |these: &[LvmTag], those: &[LvmTag]| these.iter().filter(|tag| !those.contains(tag)).cloned().collect();
    (only(old, new), only(new, old))
}

/// The tags of the pool below a brick.
#[must_use]
pub fn print_pool(brick: &BrickTags) -> Vec<LvmTag> {
    vec![tag("role", POOL), tag("brick", brick.brick), tag("volume", brick.volume), tag("operation", brick.operation)]
}

/// `None` where the volume carries no tag of ours, or is a brick itself.
pub fn parse_pool(tags: &[LvmTag]) -> Result<Option<PoolTags>, Damaged> {
    let ours = Ours::of(tags);
    if !ours.is_pool() {
        return Ok(None);
    }
    Ok(Some(PoolTags { brick: ours.read("brick")?, volume: ours.read("volume")?, operation: ours.read("operation")? }))
}

const POOL: &str = "pool";

fn role(role: BrickRole) -> &'static str {
    match role {
        BrickRole::Data => "data",
        BrickRole::Arbiter => "arbiter",
    }
}

fn tag(key: &'static str, value: impl Display) -> LvmTag {
    tag_word(format!("{key}={value}"))
}

fn tag_word(word: String) -> LvmTag {
    // Ids, numbers and volume names consist of letters, digits, dashes and under-scores only, and are short.
    format!("{PREFIX}{word}").parse().expect("what we print is always a tag")
}

/// The tags of ours among those of an object, as key and value.
struct Ours<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Ours<'a> {
    fn of(tags: &'a [LvmTag]) -> Self {
        Self(tags.iter().filter_map(|tag| tag.as_str().strip_prefix(PREFIX)?.split_once('=')).collect())
    }

    fn has_none(&self) -> bool {
        self.0.is_empty()
    }

    fn is_pool(&self) -> bool {
        self.0.contains(&("role", POOL))
    }

    fn value(&self, key: &'static str) -> Result<&'a str, Damaged> {
        let mut values = self.0.iter().filter(|(found, _)| *found == key).map(|(_, value)| *value);
        match (values.next(), values.next()) {
            (Some(value), None) => Ok(value),
            (None, _) => Err(Damaged::Missing { key }),
            (Some(_), Some(_)) => Err(Damaged::Twice { key }),
        }
    }

    fn read<T: FromStr>(&self, key: &'static str) -> Result<T, Damaged> {
        let value = self.value(key)?;
        value.parse().map_err(|_| Damaged::Unreadable { key, value: value.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use bricklayer_proto::ids::{DeviceId, InstallationId, NodeId};
    use proptest::prelude::*;

    use super::*;

    fn brick() -> BrickTags {
        BrickTags {
            brick: BrickId::from_u128(1),
            volume: VolumeId::from_u128(2),
            volume_name: "vol_1".parse().unwrap(),
            set: 0,
            position: 2,
            role: BrickRole::Data,
            asked: ByteSize::from_bytes(8 << 30),
            generation: 1,
            operation: OperationId::from_u128(3),
        }
    }

    #[test]
    fn tags_are_printed_with_our_prefix_in_a_fixed_order() {
        let printed: Vec<_> = print_brick(&brick()).iter().map(ToString::to_string).collect();
        assert_eq!(
            printed,
            [
                "bricklayer.brick=00000000000000000000000000000001",
                "bricklayer.volume=00000000000000000000000000000002",
                "bricklayer.name=vol_1",
                "bricklayer.set=0",
                "bricklayer.position=2",
                "bricklayer.role=data",
                "bricklayer.asked=8589934592",
                "bricklayer.generation=1",
                "bricklayer.operation=00000000000000000000000000000003",
            ]
        );
    }

    #[test]
    fn a_brick_with_a_missing_or_doubled_tag_is_damaged_and_not_foreign() {
        let mut tags = print_brick(&brick());
        let last = tags.pop().unwrap();
        assert_eq!(parse_brick(&tags), Err(Damaged::Missing { key: "operation" }));
        tags.extend([last.clone(), last]);
        assert_eq!(parse_brick(&tags), Err(Damaged::Twice { key: "operation" }));
    }

    #[test]
    fn a_pool_is_not_taken_for_its_brick() {
        let tags = print_pool(&brick());
        assert_eq!(parse_brick(&tags), Ok(None));
        assert_eq!(parse_pool(&tags).unwrap().unwrap().brick, brick().brick);
        assert_eq!(parse_pool(&print_brick(&brick())), Ok(None));
    }

    #[test]
    fn tags_of_others_are_not_ours() {
        let others: Vec<LvmTag> = ["backup", "bricklayers.brick=1", "x.brick=1"].map(|tag| tag.parse().unwrap()).into();
        assert_eq!(parse_brick(&others), Ok(None));
        assert_eq!(parse_group(&others), Ok(None));
        assert!(!is_condemned(&others));
    }

    #[test]
    fn a_group_of_a_later_format_is_not_read() {
        let tags: Vec<LvmTag> = vec!["bricklayer.format=2".parse().unwrap()];
        assert_eq!(parse_group(&tags), Err(Damaged::FromTheFuture { found: 2 }));
    }

    prop_compose! {
        fn any_brick()(
            ids in any::<[u128; 3]>(), name in "[A-Za-z0-9_][A-Za-z0-9_-]{0,232}", set in any::<u32>(),
            position in any::<u32>(), arbiter in any::<bool>(), asked in any::<u64>(), generation in any::<u64>(),
        ) -> BrickTags {
            BrickTags {
                brick: BrickId::from_u128(ids[0]),
                volume: VolumeId::from_u128(ids[1]),
                volume_name: name.parse().unwrap(),
                set,
                position,
                role: if arbiter { BrickRole::Arbiter } else { BrickRole::Data },
                asked: ByteSize::from_bytes(asked),
                generation,
                operation: OperationId::from_u128(ids[2]),
            }
        }
    }

    proptest! {
        #[test]
        fn a_brick_is_read_back_from_its_tags_among_others_in_any_order(brick in any_brick(), at in 0..9_usize) {
            let mut tags = print_brick(&brick);
            tags.rotate_left(at);
            tags.push("somebody.elses".parse().unwrap());
            tags.push(condemned());
            prop_assert_eq!(parse_brick(&tags), Ok(Some(brick)));
            prop_assert!(is_condemned(&tags));
        }

        #[test]
        fn a_group_is_read_back_from_its_tags(ids in any::<[u128; 3]>()) {
            let group = GroupTags {
                installation: InstallationId::from_u128(ids[0]),
                node: NodeId::from_u128(ids[1]),
                device: DeviceId::from_u128(ids[2]),
            };
            prop_assert_eq!(parse_group(&print_group(&group)), Ok(Some(group)));
        }
    }
}
