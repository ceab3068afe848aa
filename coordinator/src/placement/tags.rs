//! The rule by which a request picks devices by their tags: `rack=a` or `rack!=a`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A text that is not a rule about tags. The wording is heketi's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Invalid tag match rule: {0}")]
pub struct NotATagMatch(String);

/// heketi's `user.heketi.device-tag-match`: a tag that is missing has the empty value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TagMatch {
    key: String,
    equal: bool,
    value: String,
}

impl TagMatch {
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// heketi's rule takes `/` and `:` in keys by a slip in its pattern, and refuses `-`; all of them are let in.
    pub(super) fn is_key(text: &str) -> bool {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "_.-/:".contains(c))
    }

    #[must_use]
    pub fn matches(&self, tags: &BTreeMap<String, String>) -> bool {
        let found = tags.get(&self.key).map_or("", String::as_str);
        (found == self.value) == self.equal
    }
}

impl FromStr for TagMatch {
    type Err = NotATagMatch;

    fn from_str(text: &str) -> Result<Self, NotATagMatch> {
        let wrong = || NotATagMatch(text.to_owned());
        let (key, value) = text.split_once('=').ok_or_else(wrong)?;
        let (key, equal) = key.strip_suffix('!').map_or((key, true), |key| (key, false));
        let good_value = |c: char| c.is_ascii_graphic() && c != '=';
        if !Self::is_key(key) || !value.chars().all(good_value) {
            return Err(wrong());
        }
        Ok(Self { key: key.to_owned(), equal, value: value.to_owned() })
    }
}

impl TryFrom<String> for TagMatch {
    type Error = NotATagMatch;

    fn try_from(text: String) -> Result<Self, NotATagMatch> {
        text.parse()
    }
}

impl From<TagMatch> for String {
    fn from(rule: TagMatch) -> Self {
        rule.to_string()
    }
}

impl fmt::Display for TagMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}", self.key, if self.equal { "=" } else { "!=" }, self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_missing_tag_has_the_empty_value() {
        let matches = |rule: &str, pairs| rule.parse::<TagMatch>().unwrap().matches(&tags(pairs));
        assert!(matches("rack=a", &[("rack", "a")]));
        assert!(!matches("rack=a", &[("rack", "b")]));
        assert!(!matches("rack=a", &[]));
        assert!(matches("rack!=a", &[]));
        assert!(matches("rack=", &[]));
        assert!(!matches("rack!=", &[("tier", "fast")]));
    }

    #[test]
    fn a_rule_is_printed_as_it_is_written() {
        for text in ["rack=a", "rack!=a", "tier=", "disk-type!=hdd", "example.org/zone=b"] {
            assert_eq!(text.parse::<TagMatch>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn rules_without_key_or_comparison_are_refused() {
        for text in ["", "rack", "=a", "!=a", "rack==a", "rack!a", "ra ck=a", "rack=a b", "rack!!=a"] {
            let refused = text.parse::<TagMatch>().unwrap_err();
            assert_eq!(refused.to_string(), format!("Invalid tag match rule: {text}"));
        }
    }
}
