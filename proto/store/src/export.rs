//! A store as a text that outlives sled: JSON lines, readable, complete or refused.
//!
//! ```text
//! {"bricklayer_export":1,"application":"coordinator","schema":1,"seq":42,"store":"…","exported_at":"…"}
//! {"table":"nodes","key":"gfs1","record":{…}}
//! {"end":true,"records":1,"sha256":"…"}
//! ```
//! The closing line counts the records and hashes every byte before it.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::Seq;
use crate::engine::{Changes, Engine};
use crate::error::{Fault, ImportError, OpenError};
use crate::files;
use crate::open;
use crate::schema::{Migration, Schema};
use crate::table::{Batch, RowKey, is_table_name};

const FORMAT: u32 = 1;

/// Bytes of JSON that an import puts into one commit.
const IMPORT_CHUNK: usize = 4 * 1024 * 1024;

#[derive(Debug, Serialize, Deserialize)]
struct Header {
    bricklayer_export: u32,
    application: String,
    schema: u32,
    seq: u64,
    store: Uuid,
    exported_at: jiff::Timestamp,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row<'a> {
    table: std::borrow::Cow<'a, str>,
    key: std::borrow::Cow<'a, str>,
    /// The bytes as they are in the store: numbers are not read and printed again.
    #[serde(borrow)]
    record: &'a RawValue,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Trailer {
    end: bool,
    records: u64,
    sha256: String,
}

/// The whole export. Stores are small: one that could not be held in memory could not be served either.
pub(crate) fn print(engine: &Engine) -> Result<Vec<u8>, Fault> {
    let identity = &engine.identity;
    let mut text = Vec::new();
    line(
        &mut text,
        &Header {
            bricklayer_export: FORMAT,
            application: identity.application.clone(),
            schema: identity.schema,
            seq: engine.seq,
            store: identity.store,
            exported_at: jiff::Timestamp::now(),
        },
    );
    let mut records = 0;
    let mut unreadable = None;
    engine.sled.records(None, |at, json| match serde_json::from_slice::<&RawValue>(&json) {
        Ok(record) => {
            line(&mut text, &Row { table: at.table.into(), key: at.key.into(), record });
            records += 1;
        }
        Err(_) => unreadable = Some(at),
    })?;
    if let Some(at) = unreadable {
        return Err(crate::Damage::Record { at, what: "it is not JSON" }.into());
    }
    let sha256 = hex::encode(Sha256::digest(&text));
    line(&mut text, &Trailer { end: true, records, sha256 });
    Ok(text)
}

fn line(text: &mut Vec<u8>, value: &impl Serialize) {
    #[expect(clippy::expect_used, reason = "plain structs of texts and numbers, written to memory")]
    serde_json::to_writer(&mut *text, value).expect("a line of an export is plain JSON");
    text.push(b'\n');
}

/// An export whose every byte was checked.
struct Checked {
    header: Header,
    rows: Vec<(RowKey, Vec<u8>)>,
}

fn check(file: &Path, text: &[u8]) -> Result<Checked, ImportError> {
    let not = |line: usize, what: String| ImportError::NotAnExport { file: file.to_owned(), line, what };
    let altered = |what: String| ImportError::Altered { file: file.to_owned(), what };
    let cut_off = || ImportError::CutOff { file: file.to_owned() };

    let first = text.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default();
    let header: Header = serde_json::from_slice(first).map_err(|error| not(1, error.to_string()))?;
    if header.bricklayer_export != FORMAT {
        let found = header.bricklayer_export;
        return Err(not(1, format!("its format is {found}, and this program reads format {FORMAT}")));
    }

    // The trailer is the last line, ended; anything else means that the end is missing.
    let whole = text.strip_suffix(b"\n").ok_or_else(cut_off)?;
    let start = whole.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let trailer: Trailer = serde_json::from_slice(&whole[start..]).map_err(|_| cut_off())?;
    let hash = hex::encode(Sha256::digest(&text[..start]));
    if hash != trailer.sha256 {
        return Err(altered(format!("its SHA-256 is {hash}, and its closing line says {}", trailer.sha256)));
    }

    let mut rows = Vec::new();
    let body = &text[first.len().min(start)..start];
    for (index, text) in body.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let number = index + 2;
        let row: Row<'_> = serde_json::from_slice(text).map_err(|error| not(number, error.to_string()))?;
        if !is_table_name(&row.table) {
            return Err(not(number, format!("{:?} is no table's name", row.table)));
        }
        let at = RowKey { table: row.table.into_owned(), key: row.key.into_owned() };
        if rows.last().is_some_and(|(before, _)| *before >= at) {
            return Err(not(number, format!("the record {at} is out of order")));
        }
        rows.push((at, row.record.get().as_bytes().to_vec()));
    }
    if rows.len() as u64 != trailer.records {
        return Err(altered(format!("it has {} records, and its closing line says {}", rows.len(), trailer.records)));
    }
    Ok(Checked { header, rows })
}

pub(crate) fn last_commit(file: &Path) -> Result<Seq, ImportError> {
    let text = fs::read(file).map_err(files::fault("read", file)).map_err(ImportError::File)?;
    Ok(Seq(check(file, &text)?.header.seq))
}

/// Makes a store of an export. It grows under another name and gets its own when it is whole.
pub(crate) fn import(file: &Path, dir: &Path, schema: Schema) -> Result<(), ImportError> {
    let text = fs::read(file).map_err(files::fault("read", file)).map_err(ImportError::File)?;
    let Checked { header, rows } = check(file, &text)?;
    drop(text);
    if fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some()) || dir.is_file() {
        return Err(ImportError::NotEmpty { dir: dir.to_owned() });
    }
    let mut name = dir.as_os_str().to_owned();
    name.push(".importing");
    let staging = std::path::PathBuf::from(name);
    if staging.exists() {
        return Err(ImportError::LeftOver { dir: staging });
    }

    let made = fill(&staging, schema, header, rows);
    if let Err(error) = made {
        // Only copies of what the export still holds.
        if let Err(error) = fs::remove_dir_all(&staging) {
            tracing::warn!(path = %staging.display(), %error, "could not remove a half-made store");
        }
        return Err(error);
    }
    fs::rename(&staging, dir).map_err(files::fault("move into place", dir)).map_err(ImportError::File)?;
    files::sync_dir(files::parent(dir)).map_err(ImportError::File)
}

fn fill(staging: &Path, schema: Schema, header: Header, rows: Vec<(RowKey, Vec<u8>)>) -> Result<(), ImportError> {
    let write = |fault| ImportError::File(fault);
    // As the export's schema for now: `Store::import` opens the result, which migrates it.
    const NONE: &[Migration] = &[];
    let as_exported = Schema { version: header.schema, migrations: NONE, ..schema };
    if header.application != schema.application {
        return Err(ImportError::Open(Box::new(OpenError::OtherApplication {
            dir: staging.to_owned(),
            found: header.application,
            expected: schema.application,
        })));
    }
    if header.schema > schema.version {
        let (found, known) = (header.schema, schema.version);
        return Err(ImportError::Open(Box::new(OpenError::FromTheFuture { dir: staging.to_owned(), found, known })));
    }
    // Numbers go on from the export's, so that nothing that remembers a commit's number sees it fall.
    let mut engine = open::open(staging, as_exported, header.seq, open::time_limit(staging)).map_err(Box::new)?;
    let mut chunk = Changes::new();
    let mut size = 0;
    for (at, json) in rows {
        let mut checked = Batch::new();
        size += json.len();
        checked.set(at, Some(json));
        if let Some(refused) = checked.refused {
            return Err(refused.into());
        }
        chunk.append(&mut checked.changes);
        if size > IMPORT_CHUNK {
            engine.commit(&chunk, None).map_err(write)?;
            chunk.clear();
            size = 0;
        }
    }
    if !chunk.is_empty() {
        engine.commit(&chunk, None).map_err(write)?;
    }
    Ok(())
}
