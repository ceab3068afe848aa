//! Which records a store holds, and how older ones become today's.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::table::RowKey;

/// What a program expects of its store.
#[derive(Debug, Clone, Copy)]
pub struct Schema {
    /// Whose store it is, so that an agent never opens a coordinator's.
    pub application: &'static str,
    /// The schema of today's records; the first one is 1.
    pub version: u32,
    /// One for each version that can still be brought up; each leads to `to` from the version before it.
    pub migrations: &'static [Migration],
}

impl Schema {
    pub(crate) fn step_to(&self, to: u32) -> Option<&'static Migration> {
        self.migrations.iter().find(|migration| migration.to == to)
    }
}

/// One step between two schemas: a function of the records alone.
///
/// It sees everything in memory and its result is committed as one; if it fails, the store is as it was.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    pub to: u32,
    /// What it does, in a few words for the log.
    pub what: &'static str,
    pub run: fn(&mut Rows) -> Result<(), MigrationFailed>,
}

/// Why a migration could not be done.
pub type MigrationFailed = Box<dyn std::error::Error + Send + Sync>;

/// All records of a store as plain JSON, for migrations.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rows {
    pub(crate) rows: BTreeMap<RowKey, Value>,
}

impl Rows {
    /// The records of a table, sorted by key.
    pub fn table(&self, table: &str) -> impl Iterator<Item = (&str, &Value)> {
        self.rows.iter().filter(move |(at, _)| at.table == table).map(|(at, value)| (at.key.as_str(), value))
    }

    /// The records of a table, to be changed in place.
    pub fn table_mut(&mut self, table: &str) -> impl Iterator<Item = (&str, &mut Value)> {
        self.rows.iter_mut().filter(move |(at, _)| at.table == table).map(|(at, value)| (at.key.as_str(), value))
    }

    /// Puts a record; the table must be one that [`crate::Table::new`] accepts.
    pub fn put(&mut self, table: &str, key: &str, record: Value) {
        assert!(crate::table::is_table_name(table), "{table:?} is no table's name");
        self.rows.insert(RowKey { table: table.to_owned(), key: key.to_owned() }, record);
    }

    pub fn remove(&mut self, table: &str, key: &str) -> Option<Value> {
        self.rows.remove(&RowKey { table: table.to_owned(), key: key.to_owned() })
    }
}
