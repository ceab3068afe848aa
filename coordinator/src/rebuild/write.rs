//! Makes a store of what was rebuilt: beside the place where it is to be, and renamed when it is whole.

use std::path::Path;

use anyhow::Context as _;
use bricklayer_proto::ids::InstallationId;
use bricklayer_store::Store;
use jiff::Timestamp;

use super::Rebuilt;
use crate::pki::{InstallationRecord, Trust, epoch_above_all};
use crate::state::{SCHEMA, State};

/// `highest_epoch`: that any host has met. The new coordinator is above it, so that the old one, should it come back, is
/// taken for what it is. There must be no store at `to`.
pub async fn write(
    rebuilt: Rebuilt,
    to: &Path,
    installation: InstallationId,
    highest_epoch: u64,
    now: Timestamp,
) -> anyhow::Result<()> {
    let is_there = std::fs::read_dir(to).is_ok_and(|mut entries| entries.next().is_some());
    anyhow::ensure!(!is_there, "{} is there already", to.display());
    let staging = to.with_extension("rebuilding");
    if staging.exists() {
        // Half of an earlier attempt; all that was in it is on the hosts.
        std::fs::remove_dir_all(&staging).with_context(|| format!("{} cannot be removed", staging.display()))?;
    }
    let (dir, sequence) = (staging.clone(), rebuilt.sequence);
    let made = tokio::task::spawn_blocking(move || Store::found(&dir, SCHEMA, sequence).map_err(Box::new)).await?;
    let store = made?;
    let record = InstallationRecord { id: installation, epoch: epoch_above_all(highest_epoch, now), created: now };
    Trust::rebuilt(&store, record, &rebuilt.agents)?;
    State::load(store.clone())?.fill(rebuilt.records).await?;
    tokio::task::spawn_blocking(move || store.close()).await?;
    std::fs::rename(&staging, to).with_context(|| format!("{} cannot be moved into place", staging.display()))?;
    let parent = to.parent().context("a store lies in a folder")?;
    std::fs::File::open(parent)?.sync_all().with_context(|| format!("{} cannot be synced", parent.display()))
}
