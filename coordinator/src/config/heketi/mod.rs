//! heketi's configuration, read as heketi read it, and what it comes to here.
//!
//! Pure: takes the text of `heketi.json` and the variables of heketi's environment, gives our TOML and a remark for every
//! key that is gone or means something else now. The keys are in [`keys`], the environment in [`environment`].

mod environment;
mod keys;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use secrecy::SecretString;
use serde_json::Value;

pub use environment::{AtRun, NotHonoured, at_run};

use environment::overrides;

#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("this is not JSON: {0}")]
    Json(#[source] serde_json::Error),
    #[error("this is JSON, but not an object as heketi.json is")]
    NoObject,
}

/// What a heketi.json comes to.
#[derive(Debug, Default)]
pub struct Imported {
    /// By section, of which the empty one is the top, and key.
    lines: BTreeMap<&'static str, BTreeMap<&'static str, toml::Value>>,
    /// In the order of heketi's keys.
    pub remarks: Vec<Remark>,
    /// The keys of REST's users, which belong into files of their own.
    pub admin_key: Option<SecretString>,
    pub user_key: Option<SecretString>,
}

/// A key of heketi's that has no meaning any more, or another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    pub key: String,
    pub why: String,
}

/// Reads heketi.json; `environment` are heketi's variables, which count more than the file.
pub fn import(json: &str, environment: &[(String, String)]) -> Result<Imported, ImportError> {
    let json: Value = serde_json::from_str(json).map_err(ImportError::Json)?;
    let object = json.as_object().ok_or(ImportError::NoObject)?;
    let mut found = BTreeMap::new();
    flatten("", object, &mut found);
    let overrides = overrides(environment, found.get("glusterfs.executor"));
    found.extend(overrides);
    let mut imported = Imported::default();
    keys::read(&found, &mut imported);
    Ok(imported)
}

/// Every value by its path, in small letters: heketi's parser does not look at case. Keys that begin with an underscore
/// are comments.
fn flatten(prefix: &str, object: &serde_json::Map<String, Value>, found: &mut BTreeMap<String, Value>) {
    for (key, value) in object {
        if key.starts_with('_') {
            continue;
        }
        let path = format!("{prefix}{}", key.to_ascii_lowercase());
        match value {
            Value::Object(inner) => flatten(&format!("{path}."), inner, found),
            Value::Null => {}
            value => {
                found.insert(path, value.clone());
            }
        }
    }
}

impl Imported {
    fn set(&mut self, section: &'static str, key: &'static str, value: impl Into<toml::Value>) {
        self.lines.entry(section).or_default().insert(key, value.into());
    }

    fn remark(&mut self, key: &str, why: impl Into<String>) {
        self.remarks.push(Remark { key: key.to_owned(), why: why.into() });
    }

    /// Our configuration file.
    #[must_use]
    pub fn toml(&self) -> String {
        let mut text = String::from("# Made of a heketi.json by `bricklayer-coordinator import-config`.\n");
        for (section, lines) in &self.lines {
            if !section.is_empty() {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "\n[{section}]");
            }
            for (key, value) in lines {
                let _ = writeln!(text, "{key} = {value}");
            }
        }
        text
    }
}
