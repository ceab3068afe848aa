//! What the coordinator left with this host, so that its state outlives its machine.
//!
//! A file per kind, below a folder per installation, apart from the journal: a journal that is damaged takes no keepsake
//! with it. The first line says what it is, the rest is the coordinator's text, which nothing here reads. Replaced in
//! one step and durably; an older one never takes the place of a newer one.

use std::io;
use std::os::unix::fs::DirBuilderExt as _;

use bricklayer_proto::ids::InstallationId;
use bricklayer_proto::keepsake::{Digest, Keepsake, KeepsakeKind, Kept};
use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use crate::tools::files;

const FORMAT: u32 = 1;

#[derive(Debug, thiserror::Error)]
pub enum KeepsakeError {
    #[error("{doing} {file} failed")]
    Io {
        doing: &'static str,
        file: Utf8PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{file} is damaged ({why}); the coordinator, while it is there, sends it anew")]
    Damaged { file: Utf8PathBuf, why: String },
}

/// The first line of a file.
#[derive(Serialize, Deserialize)]
struct Head {
    bricklayer_keepsake: u32,
    kind: KeepsakeKind,
    sequence: u64,
    mark: String,
    /// Of the rest of the file, hex.
    sha256: String,
}

/// The keepsakes of one installation on this host.
#[derive(Clone, Debug)]
pub struct Keepsakes {
    dir: Utf8PathBuf,
}

impl Keepsakes {
    #[must_use]
    pub fn of(data_dir: &Utf8Path, installation: InstallationId) -> Self {
        Self { dir: data_dir.join("keepsakes").join(installation.to_string()) }
    }

    fn file(&self, kind: KeepsakeKind) -> Utf8PathBuf {
        self.dir.join(kind.as_str())
    }

    /// `None` where there is none of that kind.
    pub fn get(&self, kind: KeepsakeKind) -> Result<Option<Keepsake>, KeepsakeError> {
        let file = self.file(kind);
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Err(KeepsakeError::Damaged { file, why: "it is not text".to_owned() });
            }
            Err(source) => return Err(KeepsakeError::Io { doing: "reading", file, source }),
        };
        let damaged = |why: String| KeepsakeError::Damaged { file: file.clone(), why };
        let (head, content) = text.split_once('\n').ok_or_else(|| damaged("it has no first line".to_owned()))?;
        let head: Head = serde_json::from_str(head).map_err(|error| damaged(error.to_string()))?;
        if head.bricklayer_keepsake != FORMAT || head.kind != kind {
            return Err(damaged("its first line says that it is something else".to_owned()));
        }
        if head.sha256 != hex::encode(Digest::of(content.as_bytes()).as_bytes()) {
            return Err(damaged("its checksum does not match".to_owned()));
        }
        Ok(Some(Keepsake { kind, sequence: head.sequence, content: content.to_owned(), mark: head.mark }))
    }

    /// All that can be read. What cannot is said in the log and left as it is.
    #[must_use]
    pub fn all(&self) -> Vec<Keepsake> {
        let all = KeepsakeKind::ALL.into_iter().filter_map(|kind| match self.get(kind) {
            Ok(keepsake) => keepsake,
            Err(error) => {
                tracing::warn!("a keepsake cannot be read: {}", crate::engine::chain(&error));
                None
            }
        });
        all.collect()
    }

    #[must_use]
    pub fn kept(&self) -> Vec<Kept> {
        self.all().iter().map(Keepsake::kept).collect()
    }

    /// Durable when it returns. `false` where a newer one is kept already; nothing is changed then.
    pub fn take(&self, keepsake: &Keepsake) -> Result<bool, KeepsakeError> {
        // A damaged one is worth less than any whole one.
        if let Ok(Some(kept)) = self.get(keepsake.kind)
            && kept.sequence > keepsake.sequence
        {
            return Ok(false);
        }
        let file = self.file(keepsake.kind);
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.dir);
        made.map_err(|source| KeepsakeError::Io { doing: "making", file: self.dir.clone(), source })?;
        let head = Head {
            bricklayer_keepsake: FORMAT,
            kind: keepsake.kind,
            sequence: keepsake.sequence,
            mark: keepsake.mark.clone(),
            sha256: hex::encode(Digest::of(keepsake.content.as_bytes()).as_bytes()),
        };
        let write = || -> io::Result<()> {
            let mut text = serde_json::to_string(&head)?;
            text.push('\n');
            text.push_str(&keepsake.content);
            files::replace(&file, text.as_bytes(), 0o600)?;
            // The folders may be new.
            self.dir.ancestors().skip(1).take(2).try_for_each(files::sync_folder)
        };
        write().map_err(|source| KeepsakeError::Io { doing: "writing", file: file.clone(), source })?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keepsake(sequence: u64, content: &str) -> Keepsake {
        Keepsake { kind: KeepsakeKind::Volumes, sequence, content: content.to_owned(), mark: "m".to_owned() }
    }

    fn dir() -> (tempfile::TempDir, Keepsakes) {
        let dir = tempfile::tempdir().unwrap();
        let keepsakes = Keepsakes::of(Utf8Path::from_path(dir.path()).unwrap(), InstallationId::from_u128(1));
        (dir, keepsakes)
    }

    #[test]
    fn an_older_one_never_takes_the_place_of_a_newer_one() {
        let (_dir, keepsakes) = dir();
        assert_eq!(keepsakes.kept(), []);
        assert!(keepsakes.take(&keepsake(4, "four\nlines")).unwrap());
        assert!(!keepsakes.take(&keepsake(3, "three")).unwrap());
        assert_eq!(keepsakes.all(), [keepsake(4, "four\nlines")]);
        assert!(keepsakes.take(&keepsake(5, "five")).unwrap());
        assert_eq!(keepsakes.kept(), [keepsake(5, "five").kept()]);
    }

    #[test]
    fn a_damaged_one_is_not_given_away_and_is_replaced_by_any_whole_one() {
        let (_dir, keepsakes) = dir();
        keepsakes.take(&keepsake(4, "four")).unwrap();
        let file = keepsakes.file(KeepsakeKind::Volumes);
        let text = std::fs::read_to_string(&file).unwrap();
        for damaged in [text.replace("four", "fore"), text.lines().next().unwrap().to_owned(), String::new()] {
            std::fs::write(&file, damaged).unwrap();
            assert!(matches!(keepsakes.get(KeepsakeKind::Volumes), Err(KeepsakeError::Damaged { .. })));
            assert_eq!(keepsakes.all(), []);
        }
        assert!(keepsakes.take(&keepsake(2, "two")).unwrap());
        assert_eq!(keepsakes.all(), [keepsake(2, "two")]);
    }

    #[test]
    fn those_of_another_installation_are_apart() {
        let (dir, keepsakes) = dir();
        keepsakes.take(&keepsake(9, "nine")).unwrap();
        let other = Keepsakes::of(Utf8Path::from_path(dir.path()).unwrap(), InstallationId::from_u128(2));
        assert!(other.take(&keepsake(1, "one")).unwrap());
        assert_eq!(keepsakes.all(), [keepsake(9, "nine")]);
    }
}
