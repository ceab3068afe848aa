//! What a caller says to the store: tables, keys and batches of changes.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::Serialize;

use crate::error::StoreError;

/// The longest key, in bytes of its text.
pub const MAX_KEY: usize = 255;

/// The largest record, in bytes of its JSON. What is larger belongs into several records.
pub const MAX_RECORD: usize = 1024 * 1024;

/// A named table of records of one type, sorted by the text of their keys.
///
/// A table is a constant; it exists in a store as soon as something was put into it.
pub struct Table<K, R> {
    name: &'static str,
    print: fn(&K) -> String,
    parse: fn(&str) -> Option<K>,
    record: PhantomData<fn() -> R>,
}

impl<K: fmt::Display + FromStr, R> Table<K, R> {
    /// A table whose keys are sorted as texts; for numbers take [`Table::numbered`].
    ///
    /// # Panics
    /// If the name is anything but 1 to 32 lower-case letters, digits and `_`; for a constant this is a compile error.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        check_name(name);
        Self { name, print: |key| key.to_string(), parse: |text| text.parse().ok(), record: PhantomData }
    }
}

impl<R> Table<u64, R> {
    /// A table whose keys are sorted as numbers. The store and its exports show them with leading zeros.
    ///
    /// # Panics
    /// As [`Table::new`].
    #[must_use]
    pub const fn numbered(name: &'static str) -> Self {
        check_name(name);
        Self { name, print: |key| format!("{key:020}"), parse: |text| text.parse().ok(), record: PhantomData }
    }
}

impl<R> Table<(), R> {
    /// A table that holds one record at most.
    ///
    /// # Panics
    /// As [`Table::new`].
    #[must_use]
    pub const fn single(name: &'static str) -> Self {
        check_name(name);
        Self { name, print: |()| String::new(), parse: |text| text.is_empty().then_some(()), record: PhantomData }
    }
}

impl<K, R> Table<K, R> {
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn row(&self, key: &K) -> RowKey {
        RowKey { table: self.name.to_owned(), key: (self.print)(key) }
    }

    pub(crate) fn key(&self, row: &RowKey) -> Result<K, StoreError> {
        (self.parse)(&row.key).ok_or_else(|| StoreError::UnreadableKey { at: row.clone() })
    }
}

impl<K, R> fmt::Debug for Table<K, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Table").field(&self.name).finish()
    }
}

/// Whether a table may be called so. Names are part of the key on the disk, which ends them with a zero byte.
pub(crate) const fn is_table_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if !matches!(bytes[at], b'a'..=b'z' | b'0'..=b'9' | b'_') {
            return false;
        }
        at += 1;
    }
    !bytes.is_empty() && bytes.len() <= 32
}

const fn check_name(name: &str) {
    assert!(is_table_name(name), "a table's name is 1 to 32 lower-case letters, digits and '_'");
}

/// Where a record lies: its table and the text of its key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowKey {
    pub table: String,
    pub key: String,
}

impl fmt::Display for RowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} in table {}", self.key, self.table)
    }
}

/// Changes that take effect together or not at all.
///
/// What cannot be written (a record too large, a key too long, a record that JSON cannot express) is reported by the
/// commit, before anything of the batch has been written. Of several changes to one key the last one counts.
#[derive(Debug, Default)]
pub struct Batch {
    pub(crate) changes: BTreeMap<RowKey, Option<Vec<u8>>>,
    pub(crate) refused: Option<StoreError>,
}

impl Batch {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.refused.is_none()
    }

    /// Puts a record where there may be one already.
    pub fn put<K, R: Serialize>(&mut self, table: &Table<K, R>, key: &K, record: &R) -> &mut Self {
        let at = table.row(key);
        match serde_json::to_vec(record) {
            Ok(json) => self.set(at, Some(json)),
            Err(source) => self.refuse(StoreError::Encode { at, source }),
        }
    }

    /// Removes a record; it need not be there.
    pub fn remove<K, R>(&mut self, table: &Table<K, R>, key: &K) -> &mut Self {
        self.set(table.row(key), None)
    }

    pub(crate) fn set(&mut self, at: RowKey, json: Option<Vec<u8>>) -> &mut Self {
        if at.key.len() > MAX_KEY {
            return self.refuse(StoreError::KeyTooLong { at });
        }
        match &json {
            Some(json) if json.len() > MAX_RECORD => {
                let size = json.len();
                self.refuse(StoreError::TooLarge { at, size })
            }
            _ => {
                self.changes.insert(at, json);
                self
            }
        }
    }

    fn refuse(&mut self, error: StoreError) -> &mut Self {
        self.refused.get_or_insert(error);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_sort_as_numbers_and_are_read_back() {
        let table: Table<u64, ()> = Table::numbered("log");
        let rows: Vec<_> = [2, 10, u64::MAX].iter().map(|key| table.row(key)).collect();
        assert!(rows.is_sorted());
        assert_eq!(table.key(&rows[2]).unwrap(), u64::MAX);
    }

    #[test]
    fn names_that_would_break_the_keys_on_the_disk_are_refused() {
        for name in ["", "Volumes", "a b", "a\0b", "a/b", &"x".repeat(33)] {
            assert!(!is_table_name(name), "{name:?}");
        }
        assert!(is_table_name("volume_records2"));
    }
}
