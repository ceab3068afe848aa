//! heketi's checks of single fields, and the text in which it lists what is wrong.

use std::collections::BTreeMap;

use bricklayer_api::heketi::{StateRequest, Tags};
use bricklayer_proto::names::HostName;

use crate::http::failure::Failure;
use crate::model::AdminState;

pub const BLANK: &str = "cannot be blank";
pub const LESS_THAN_1: &str = "must be no less than 1";
pub const BAD_FORMAT: &str = "must be in a valid format";
pub const NO_SUCH_VALUE: &str = "must be a valid value";

const MOST_TAGS: usize = 32;
const LONGEST_TAG: usize = 32;
const LONGEST_TAG_VALUE: usize = 64;

/// What is wrong with a request, by the name of the field: sorted, one entry each.
#[derive(Default)]
pub struct Faults(BTreeMap<&'static str, String>);

impl Faults {
    /// The first fault of a field is the one that counts.
    pub fn add(&mut self, field: &'static str, fault: impl Into<String>) {
        self.0.entry(field).or_insert_with(|| fault.into());
    }

    /// A whole number that must be there and be 1 at least.
    pub fn number(&mut self, field: &'static str, number: i64) {
        if number == 0 {
            self.add(field, BLANK);
        } else if number < 1 {
            self.add(field, LESS_THAN_1);
        }
    }

    /// Those of an object within the request.
    pub fn add_all(&mut self, field: &'static str, inner: &Self) {
        if !inner.0.is_empty() {
            self.add(field, format!("({})", inner.list()));
        }
    }

    fn list(&self) -> String {
        let entries: Vec<_> = self.0.iter().map(|(field, fault)| format!("{field}: {fault}")).collect();
        format!("{}.", entries.join("; "))
    }

    /// Refuses the request where there is any.
    pub fn none(&self) -> Result<(), Failure> {
        if self.0.is_empty() {
            return Ok(());
        }
        Err(Failure::bad_request(format!("validation failed: {}", self.list())))
    }
}

/// An id in a body: heketi takes capitals here, and then finds nothing by them.
pub fn id_fault(id: &str) -> Option<String> {
    if id.is_empty() {
        return Some(BLANK.to_owned());
    }
    let valid = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    (!valid).then(|| format!("{id} is not a valid UUID"))
}

/// A name of a volume or of a block volume, which may be left out. heketi had no limit of length, and glusterd failed.
pub fn name_fault(text: &str) -> Option<String> {
    const LONGEST: usize = 233;
    let valid = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if !valid || text.starts_with('-') {
        Some(BAD_FORMAT.to_owned())
    } else if text.len() > LONGEST {
        Some(format!("the length must be between 1 and {LONGEST}"))
    } else {
        None
    }
}

pub fn tags_fault(tags: &Tags) -> Option<String> {
    if tags.len() > MOST_TAGS {
        return Some(format!("too many tags specified ({}), up to {MOST_TAGS} supported", tags.len()));
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    tags.iter().find_map(|(name, value)| {
        if name.is_empty() {
            Some("tag names may not be empty".to_owned())
        } else if name.chars().count() > LONGEST_TAG {
            Some(format!("tag name {name}: the length must be between 1 and {LONGEST_TAG}"))
        } else if value.chars().count() > LONGEST_TAG_VALUE {
            Some(format!("value of tag {name}: the length must be no more than {LONGEST_TAG_VALUE}"))
        } else if !name.bytes().all(allowed) {
            Some(format!("invalid characters in tag name {name}"))
        } else {
            None
        }
    })
}

/// Names of a node; `kind` is `manage` or `storage`.
pub fn hosts(kind: &'static str, names: &[String], faults: &mut Faults) -> Vec<HostName> {
    if names.is_empty() {
        faults.add(kind, BLANK);
    }
    let parsed: Option<Vec<HostName>> = names.iter().map(|name| host(name)).collect();
    parsed.unwrap_or_else(|| {
        // As Go prints a list.
        faults.add(kind, format!("[{}] is not a valid {kind} hostname", names.join(" ")));
        Vec::new()
    })
}

/// A DNS name or an address. Colons are an IPv6 address's, never a port's.
fn host(name: &str) -> Option<HostName> {
    let dns = !name.contains(':') && name.trim_end_matches('.').split('.').all(|label| (1..=63).contains(&label.len()));
    let valid = dns || name.parse::<std::net::Ipv6Addr>().is_ok();
    valid.then(|| name.parse().ok()).flatten()
}

/// Whether a volume that is being healed stops what is asked for; it does where nothing is said.
pub fn heal_check(word: &str) -> Result<bool, Failure> {
    let mut faults = Faults::default();
    let check = heal_check_word(word, &mut faults);
    faults.none().map(|()| check)
}

fn heal_check_word(word: &str, faults: &mut Faults) -> bool {
    match word {
        "" | "enable" => true,
        "disable" => false,
        other => {
            faults.add("healcheck", format!("{other} is not valid heal info check"));
            true
        }
    }
}

/// The state that is wished, and whether healing stops its way there.
pub fn state(request: &StateRequest) -> Result<(AdminState, bool), Failure> {
    let mut faults = Faults::default();
    let heal_check = heal_check_word(&request.heal_check, &mut faults);
    let state = match request.state.as_str() {
        "online" => AdminState::Online,
        "offline" => AdminState::Offline,
        "failed" => AdminState::Failed,
        other => {
            let fault = if other.is_empty() { BLANK.to_owned() } else { format!("{other} is not valid state") };
            faults.add("state", fault);
            AdminState::Offline
        }
    };
    faults.none().map(|()| (state, heal_check))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_listed_by_field_and_nested_ones_in_parentheses() {
        let mut inner = Faults::default();
        inner.add("storage", BLANK);
        inner.add("manage", BLANK);
        let mut faults = Faults::default();
        faults.add("zone", BLANK);
        faults.add_all("hostnames", &inner);
        let text = "validation failed: hostnames: (manage: cannot be blank; storage: cannot be blank.); zone: cannot be \
                    blank.";
        assert_eq!(faults.none().unwrap_err().to_string(), text);
        assert!(Faults::default().none().is_ok());
    }

    #[test]
    fn host_names_are_dns_names_or_addresses() {
        for good in ["gfs1", "gfs_1.example.com", "192.168.0.224", "fe80::1", "host."] {
            assert!(host(good).is_some(), "{good}");
        }
        for bad in ["", "gfs1:8080", "a b", "-x", "a..b", "gfs1/x", &"a".repeat(64)] {
            assert!(host(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn tags_have_limits() {
        let tags = |name: &str, value: &str| Tags::from([(name.to_owned(), value.to_owned())]);
        assert_eq!(tags_fault(&tags("rack.1-a_B", &"x".repeat(64))), None);
        assert_eq!(tags_fault(&tags("", "x")).unwrap(), "tag names may not be empty");
        assert_eq!(tags_fault(&tags("a b", "x")).unwrap(), "invalid characters in tag name a b");
        assert_eq!(
            tags_fault(&tags("a", &"x".repeat(65))).unwrap(),
            "value of tag a: the length must be no more than 64"
        );
        let many: Tags = (0..33).map(|number| (format!("t{number}"), String::new())).collect();
        assert_eq!(tags_fault(&many).unwrap(), "too many tags specified (33), up to 32 supported");
    }
}
