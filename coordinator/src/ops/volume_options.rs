//! A volume's options: words for glusterd, some of which heketi reads itself.

use std::collections::BTreeMap;

use bricklayer_proto::names::{NotAName, OptionKey, OptionValue};
use bricklayer_proto::size::ByteSize;
use bricklayer_proto::space::NotAProvisioning;

use crate::placement::policy::{NotAPoolsAtMost, NotATagRule};
use crate::placement::{Policy, TagMatch, TagRule, ZoneRule};

/// What a request's `glustervolumeoptions` come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeOptions {
    /// All of them are set on the volume, those that steer the placement included.
    pub set: BTreeMap<OptionKey, OptionValue>,
    pub arbiter: bool,
    /// `None`: as the installation has it.
    pub average_file_size: Option<ByteSize>,
    /// What it says goes before what its cluster and the installation say.
    pub policy: Policy,
    pub tag_match: Option<TagMatch>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadOption {
    #[error("volume option {0:?} has no value: write `key value`")]
    NoValue(String),
    #[error("{0}")]
    Name(#[from] NotAName),
    #[error("Invalid tag matching rule: Invalid tag match rule: {0}")]
    TagMatch(String),
    #[error("{MOST_PER_ZONE} is a number from 1, not {0:?}")]
    MostPerZone(String),
    #[error("{TAG_RULES}: {0}")]
    TagRule(#[from] NotATagRule),
    #[error("{PROVISIONING}: {0}")]
    Provisioning(#[from] NotAProvisioning),
    #[error("{POOLS_AT_MOST}: {0}")]
    PoolsAtMost(#[from] NotAPoolsAtMost),
}

/// How many bricks of a set one zone may have.
const MOST_PER_ZONE: &str = "user.bricklayer.most-bricks-per-zone";

/// Instead of the policy's: `same:tier,different:rack`; `none` for no rule.
const TAG_RULES: &str = "user.bricklayer.tag-rules";

/// Whether its bricks are `thin` or `thick`.
const PROVISIONING: &str = "user.bricklayer.provisioning";

/// How far its pools are extended, as a multiple of the brick's size.
const POOLS_AT_MOST: &str = "user.bricklayer.pools-at-most";

/// Reads `key value` texts. Empty ones are heketi's way of saying nothing.
pub fn read(options: &[String]) -> Result<VolumeOptions, BadOption> {
    let mut read = VolumeOptions {
        set: BTreeMap::new(),
        arbiter: false,
        average_file_size: None,
        policy: Policy::default(),
        tag_match: None,
    };
    for option in options.iter().map(|option| option.trim()).filter(|option| !option.is_empty()) {
        let (key, value) = option.split_once(char::is_whitespace).ok_or_else(|| BadOption::NoValue(option.into()))?;
        let (key, value): (OptionKey, OptionValue) = (key.parse()?, value.trim().parse()?);
        let text = value.as_str();
        match key.as_str() {
            "user.heketi.arbiter" => read.arbiter = is_true(text),
            // Zero and anything unreadable mean the default, as in heketi.
            "user.heketi.average-file-size" => {
                if let Some(size) = text.parse().ok().filter(|kib| *kib > 0).and_then(ByteSize::from_kib) {
                    read.average_file_size = Some(size);
                }
            }
            "user.heketi.zone-checking" => {
                read.policy.zones = Some(if text == "strict" { ZoneRule::Strict } else { ZoneRule::Preferred });
            }
            "user.heketi.device-tag-match" => {
                read.tag_match = Some(text.parse().map_err(|_| BadOption::TagMatch(text.to_owned()))?);
            }
            MOST_PER_ZONE => {
                read.policy.most_per_zone = Some(text.parse().map_err(|_| BadOption::MostPerZone(text.to_owned()))?);
            }
            TAG_RULES => {
                let rules = text.split(',').filter(|rule| *rule != "none").map(str::parse);
                read.policy.tags = Some(rules.collect::<Result<Vec<TagRule>, _>>()?);
            }
            PROVISIONING => read.policy.provisioning = Some(text.parse().map_err(BadOption::Provisioning)?),
            POOLS_AT_MOST => read.policy.pools_at_most = Some(text.parse()?),
            _ => {}
        }
        read.set.insert(key, value);
    }
    Ok(read)
}

/// Go's `ParseBool`; what it cannot read is false.
fn is_true(text: &str) -> bool {
    matches!(text, "1" | "t" | "T" | "true" | "TRUE" | "True")
}

#[cfg(test)]
mod tests {
    use bricklayer_proto::space::Provisioning;

    use super::*;

    fn options(texts: &[&str]) -> Result<VolumeOptions, BadOption> {
        read(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn empty_texts_say_nothing() {
        assert!(options(&["", " "]).unwrap().set.is_empty());
    }

    #[test]
    fn a_key_or_a_value_that_could_be_an_option_of_gluster_is_refused() {
        assert!(options(&["--mode script"]).is_err());
        assert!(options(&["performance.cache-size --xml"]).is_err());
        assert!(options(&["performance.cache-size"]).is_err());
    }

    #[test]
    fn a_volume_may_say_itself_how_its_sets_are_spread() {
        let read =
            options(&["user.bricklayer.most-bricks-per-zone 2", "user.bricklayer.tag-rules same:tier,different:rack"]);
        let read = read.unwrap();
        assert_eq!(read.policy.most_per_zone.map(u32::from), Some(2));
        assert_eq!(read.policy.tags.unwrap().len(), 2);
        assert_eq!(options(&["user.bricklayer.tag-rules none"]).unwrap().policy.tags, Some(Vec::new()));
        assert!(options(&["user.bricklayer.most-bricks-per-zone 0"]).is_err());
        let read = options(&["user.bricklayer.provisioning thick"]).unwrap();
        assert_eq!(read.policy.provisioning, Some(Provisioning::Thick));
        let refused = options(&["user.bricklayer.provisioning fat"]).unwrap_err().to_string();
        assert_eq!(refused, r#"user.bricklayer.provisioning: "fat" is no provisioning: write thin or thick"#);
        let read = options(&["user.bricklayer.pools-at-most 1.5"]).unwrap();
        assert_eq!(read.policy.pools_at_most, "1.5".parse().ok());
        let refused = options(&["user.bricklayer.pools-at-most 0.5"]).unwrap_err().to_string();
        assert!(refused.starts_with(r#"user.bricklayer.pools-at-most: "0.5" does not say"#), "{refused}");
        assert!(options(&["user.bricklayer.tag-rules rack"]).unwrap_err().to_string().contains("different:KEY"));
    }

    #[test]
    fn heketis_own_options_steer_and_are_set_as_well() {
        let read = options(&["user.heketi.arbiter true", "user.heketi.average-file-size 1024"]).unwrap();
        assert!(read.arbiter);
        assert_eq!(read.average_file_size, ByteSize::from_mib(1));
        assert_eq!(read.set.len(), 2);
    }
}
