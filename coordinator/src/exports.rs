//! Exports of the store that the coordinator makes by itself, reads back and keeps some of.
//!
//! An export is what is left when a store is damaged: `import` takes it, and `rebuild` adds what the hosts have known
//! since (`docs/operations/recovery.md`). Owns the folder `exports` of the data directory. Must never take a file for an
//! export that does not read back whole, nor remove the last good one. [`Plan`] says how often, [`Status`] what came of
//! it, [`Exporter`] does it, [`list`] is for people.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use bricklayer_store::{ImportError, Store};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::standing;

/// How often is looked whether an export is due; one that failed is tried again then.
const LOOK: Duration = Duration::from_secs(30);

/// How often exports are made, and how many are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// At the latest so long after a change.
    pub every: Duration,
    /// At the latest after so many commits.
    pub commits: u64,
    /// The newest of them stay.
    pub keep: usize,
}

impl Default for Plan {
    fn default() -> Self {
        Self { every: Duration::from_secs(3600), commits: 5000, keep: 24 }
    }
}

impl Plan {
    /// Nothing is due while nothing has changed: the last export then says all.
    #[must_use]
    pub fn is_due(&self, last: Option<Made>, seq: u64, now: Timestamp) -> bool {
        match last {
            None => true,
            Some(last) if last.seq >= seq => false,
            // A clock that was set back must not keep exports from being made.
            Some(last) => seq - last.seq >= self.commits || now.duration_since(last.at).unsigned_abs() >= self.every,
        }
    }

    /// Whether the last good export is older than it should ever be, though there have been changes since.
    #[must_use]
    pub fn is_overdue(&self, status: &Seen, now: Timestamp) -> bool {
        let since = status.last.map_or(status.started, |last| last.at);
        let behind = status.last.is_none_or(|last| last.seq < status.seq);
        behind && now.duration_since(since).unsigned_abs() > self.every * 3
    }
}

/// An export that was read back and found good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Made {
    pub at: Timestamp,
    /// The last commit in it.
    pub seq: u64,
}

/// What is known of the exports at one moment.
#[derive(Clone, Debug)]
pub struct Seen {
    pub plan: Plan,
    pub last: Option<Made>,
    /// The store's last commit when it was looked at last.
    pub seq: u64,
    /// Why the last try failed, if it did.
    pub failing: Option<String>,
    pub started: Timestamp,
}

/// Shared by who makes exports and who tells of them. `None` where nobody makes any, as in tests of other things.
#[derive(Clone, Debug, Default)]
pub struct Status(Option<Arc<Mutex<Seen>>>);

impl Status {
    #[must_use]
    pub fn seen(&self) -> Option<Seen> {
        Some(self.0.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn change(&self, change: impl FnOnce(&mut Seen)) {
        if let Some(seen) = &self.0 {
            change(&mut seen.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }
}

/// One file in the folder of exports.
#[derive(Debug)]
pub struct Entry {
    pub file: PathBuf,
    pub bytes: u64,
    pub written: Option<Timestamp>,
    /// The last commit in it, if all of it reads back as it was written.
    pub content: Result<u64, ImportError>,
}

/// Why the folder of exports cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the folder of exports {dir} cannot be read")]
pub struct ListError {
    dir: PathBuf,
    #[source]
    source: io::Error,
}

/// Reads and checks every export of a folder, the newest first.
pub fn list(dir: &Path) -> Result<Vec<Entry>, ListError> {
    let found = files(dir).map_err(|source| ListError { dir: dir.to_owned(), source })?;
    Ok(found.iter().map(|file| read(file)).collect())
}

/// Reads and checks one export.
#[must_use]
pub fn read(file: &Path) -> Entry {
    let known = std::fs::metadata(file).ok();
    let written = known.as_ref().and_then(|known| Timestamp::try_from(known.modified().ok()?).ok());
    let content = Store::exported(file).map(bricklayer_store::Seq::get);
    Entry { bytes: known.map_or(0, |known| known.len()), written, content, file: file.to_owned() }
}

/// The newest export that reads back whole; for the message when a store does not open.
#[must_use]
pub fn last_good(dir: &Path) -> Option<(PathBuf, u64)> {
    let found = files(dir).ok()?.into_iter();
    found.filter_map(|file| Some((Store::exported(&file).ok()?.get(), file))).map(|(seq, file)| (file, seq)).next()
}

/// The exports, the one that was written last first. Their numbers do not tell that: a store that was made of an older
/// export, or of what hosts say, may count less than the one before it. A folder that is not there has none.
fn files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()?;
    let is_export = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.strip_prefix("commit-")
            .and_then(|name| name.strip_suffix(".jsonl"))
            .is_some_and(|number| number.len() == 20 && number.bytes().all(|digit| digit.is_ascii_digit()))
    };
    // One that goes away meanwhile counts as the oldest.
    let written = |path: &PathBuf| path.metadata().and_then(|known| known.modified()).ok();
    let mut exports: Vec<_> = paths.into_iter().filter(is_export).map(|path| (written(&path), path)).collect();
    exports.sort();
    Ok(exports.into_iter().rev().map(|(_, path)| path).collect())
}

/// Makes the exports of one store.
pub struct Exporter {
    store: Store,
    dir: PathBuf,
    plan: Plan,
    status: Status,
    standing: standing::Watch,
}

impl Exporter {
    /// Finds out what there is. Blocks while the newest export is read.
    #[must_use]
    pub fn new(store: Store, dir: PathBuf, plan: Plan) -> Self {
        let started = Timestamp::now();
        let last = last_good(&dir).and_then(|(file, seq)| {
            let at = Timestamp::try_from(std::fs::metadata(file).ok()?.modified().ok()?).ok()?;
            Some(Made { at, seq })
        });
        // A store that was made anew counts on from there; one that counts less is another one.
        let seq = store.seq().map_or(0, bricklayer_store::Seq::get);
        let last = last.filter(|last| last.seq <= seq);
        let seen = Seen { plan, last, seq, failing: None, started };
        let status = Status(Some(Arc::new(Mutex::new(seen))));
        Self { store, dir, plan, status, standing: standing::Watch::default() }
    }

    /// Of a store that may be an older copy none is made: it would pass for the newest, and push a better one out.
    #[must_use]
    pub fn while_newest(self, standing: standing::Watch) -> Self {
        Self { standing, ..self }
    }

    #[must_use]
    pub fn status(&self) -> Status {
        self.status.clone()
    }

    /// Makes exports as they become due, until told to stop.
    pub async fn run(self, stop: CancellationToken) {
        let this = Arc::new(self);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = this.standing.until_newest() => {}
            }
            let working = Arc::clone(&this);
            let result = tokio::task::spawn_blocking(move || working.look(Timestamp::now())).await;
            if let Err(panic) = result {
                tracing::error!(%panic, "an export panicked");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Makes one if it is due. Blocks.
    pub fn look(&self, now: Timestamp) {
        let Some(seen) = self.status.seen() else { return };
        // A store that has failed says so itself, to everybody.
        let Ok(seq) = self.store.seq().map(bricklayer_store::Seq::get) else { return };
        self.status.change(|seen| seen.seq = seq);
        if !self.standing.is_newest() || !self.plan.is_due(seen.last, seq, now) {
            return;
        }
        let made = self.make().with_context(|| self.dir.display().to_string()).map_err(|error| format!("{error:#}"));
        match made {
            Ok(made) => {
                tracing::debug!(commit = made, "exported the store");
                let last = Some(Made { at: now, seq: made });
                self.status.change(|seen| (seen.last, seen.failing) = (last, None));
            }
            Err(why) => {
                tracing::error!("the store could not be exported: {why}");
                self.status.change(|seen| seen.failing = Some(why));
            }
        }
    }

    fn make(&self) -> anyhow::Result<u64> {
        private_dir(&self.dir)?;
        let unnamed = self.dir.join("newest.jsonl");
        let seq = self.store.export(&unnamed).context("writing it")?.get();
        // Read back from the disk before it counts: what cannot be imported is no export.
        let read = Store::exported(&unnamed).context("reading it back")?.get();
        anyhow::ensure!(read == seq, "it was written as of commit {seq} and reads back as of {read}");
        let made = self.dir.join(format!("commit-{seq:020}.jsonl"));
        std::fs::rename(&unnamed, &made).and_then(|()| std::fs::File::open(&self.dir)?.sync_all())?;
        // Never the one that was just made, whatever the clock says of when the others were written.
        let others = files(&self.dir)?.into_iter().filter(|file| *file != made);
        for old in others.skip(self.plan.keep.saturating_sub(1)) {
            if let Err(error) = std::fs::remove_file(&old) {
                tracing::warn!("{} could not be removed: {error}", old.display());
            }
        }
        Ok(seq)
    }
}

fn private_dir(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

#[cfg(test)]
mod tests {
    use bricklayer_proto::ids::NodeId;
    use bricklayer_store::{Batch, Table};

    use super::*;
    use crate::state::SCHEMA;

    const THINGS: Table<u64, String> = Table::numbered("things");

    struct Place {
        _dir: tempfile::TempDir,
        exports: PathBuf,
        store: Store,
    }

    fn place() -> Place {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store"), SCHEMA).unwrap();
        let exports = dir.path().join("exports");
        let place = Place { _dir: dir, exports, store };
        place.change(0);
        place
    }

    impl Place {
        fn change(&self, number: u64) {
            let mut batch = Batch::new();
            batch.put(&THINGS, &number, &format!("thing {number}"));
            self.store.commit_blocking(batch).unwrap();
        }

        fn exporter(&self, plan: Plan) -> Exporter {
            Exporter::new(self.store.clone(), self.exports.clone(), plan)
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    #[test]
    fn an_export_is_due_after_a_time_or_after_many_commits_and_never_without_a_change() {
        let plan = Plan { every: Duration::from_secs(60), commits: 10, keep: 3 };
        let last = Some(Made { at: at(0), seq: 5 });
        assert!(plan.is_due(None, 0, at(0)));
        assert!(!plan.is_due(last, 5, at(10_000)));
        assert!(!plan.is_due(last, 6, at(59)));
        assert!(plan.is_due(last, 6, at(60)));
        assert!(plan.is_due(last, 15, at(1)));
        assert!(plan.is_due(last, 6, at(-3600)), "the clock was set back");
    }

    #[test]
    fn it_is_overdue_only_where_changes_are_in_no_export() {
        let plan = Plan { every: Duration::from_secs(60), commits: 10, keep: 3 };
        let last = Some(Made { at: at(0), seq: 5 });
        let seen = |last, seq| Seen { plan, last, seq, failing: None, started: at(0) };
        assert!(!plan.is_overdue(&seen(last, 5), at(100_000)));
        assert!(!plan.is_overdue(&seen(last, 6), at(180)));
        assert!(plan.is_overdue(&seen(last, 6), at(181)));
        assert!(plan.is_overdue(&seen(None, 1), at(181)));
    }

    #[test]
    fn the_export_of_a_store_that_counts_less_than_the_one_before_it_stays() {
        let plan = Plan { every: Duration::ZERO, commits: 1, keep: 2 };
        let former = place();
        for number in 1..=5 {
            former.change(number);
            former.exporter(plan).look(at(i64::try_from(number).unwrap()));
        }
        let store = place();
        Exporter::new(store.store.clone(), former.exports.clone(), plan).look(at(100));
        let seq = store.store.seq().unwrap().get();
        let numbers: Vec<u64> =
            list(&former.exports).unwrap().into_iter().map(|entry| entry.content.unwrap()).collect();
        assert!(numbers.len() == 2 && numbers.contains(&seq), "{numbers:?}");
    }

    #[test]
    fn the_newest_exports_are_kept_and_each_can_be_imported() {
        let place = place();
        let plan = Plan { every: Duration::ZERO, commits: 1, keep: 3 };
        let exporter = place.exporter(plan);
        for number in 1..=6 {
            place.change(number);
            exporter.look(at(i64::try_from(number).unwrap()));
        }
        let found = list(&place.exports).unwrap();
        let commits: Vec<u64> = found.iter().map(|entry| *entry.content.as_ref().unwrap()).collect();
        assert_eq!(commits, [7, 6, 5]);
        assert_eq!(exporter.status().seen().unwrap().last, Some(Made { at: at(6), seq: 7 }));
        let into = place.exports.with_file_name("imported");
        let imported = Store::import(&found[1].file, &into, SCHEMA).unwrap();
        assert_eq!(imported.scan(&THINGS).unwrap().len(), 6);
    }

    #[test]
    fn a_start_goes_on_from_the_last_export_that_reads_back_whole() {
        let place = place();
        let plan = Plan { every: Duration::from_secs(60), commits: 1, keep: 5 };
        let exporter = place.exporter(plan);
        for number in 1..=2 {
            place.change(number);
            exporter.look(at(0));
        }
        let newest = list(&place.exports).unwrap().remove(0).file;
        let text = std::fs::read_to_string(&newest).unwrap();
        std::fs::write(&newest, text.replace("thing 1", "thing 9")).unwrap();
        let found = list(&place.exports).unwrap();
        assert!(found[0].content.is_err() && found[1].content.is_ok());
        assert_eq!(last_good(&place.exports).unwrap().1, 2);
        let again = place.exporter(plan);
        assert_eq!(again.status().seen().unwrap().last.unwrap().seq, 2);
        again.look(at(0));
        assert!(list(&place.exports).unwrap()[0].content.is_ok(), "it was made anew");
    }

    #[test]
    fn a_store_that_may_be_an_older_copy_is_not_exported_and_pushes_nothing_out() {
        let place = place();
        let plan = Plan { every: Duration::ZERO, commits: 1, keep: 1 };
        place.exporter(plan).look(at(0));
        place.change(1);
        let restored = standing::Standing::Unheard { restored: Some(at(0)), missing: Vec::new() };
        let (tell, standing) = tokio::sync::watch::channel(restored);
        let exporter = place.exporter(plan).while_newest(standing.into());
        for standing in [None, Some(standing::Standing::Older { node: NodeId::from_u128(1), found: at(0) })] {
            standing.map(|standing| tell.send_replace(standing));
            exporter.look(at(1));
            assert_eq!(last_good(&place.exports).unwrap().1, 1);
        }
        tell.send_replace(standing::Standing::Newest);
        exporter.look(at(1));
        assert_eq!(last_good(&place.exports).unwrap().1, 2);
    }

    #[test]
    fn an_export_that_cannot_be_written_is_told_and_the_last_good_one_stays() {
        let place = place();
        let plan = Plan { every: Duration::ZERO, commits: 1, keep: 1 };
        let exporter = place.exporter(plan);
        exporter.look(at(0));
        // A folder stands where the file is to come: the same as a full disk, and works for root, too.
        std::fs::create_dir(place.exports.join("newest.jsonl.new")).unwrap();
        place.change(1);
        exporter.look(at(1));
        let seen = exporter.status().seen().unwrap();
        assert_eq!(seen.last.unwrap().seq, 1);
        assert!(seen.failing.unwrap().contains("newest.jsonl.new"));
        assert_eq!(last_good(&place.exports).unwrap().1, 1);
        std::fs::remove_dir(place.exports.join("newest.jsonl.new")).unwrap();
        exporter.look(at(2));
        assert_eq!(exporter.status().seen().unwrap().failing, None);
    }
}
