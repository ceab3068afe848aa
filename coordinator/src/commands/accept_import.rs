use std::path::Path;

use bricklayer_store::{Batch, Store};
use clap::Args;

use crate::keepsake::keeper::{BEHIND, RESTORED};
use crate::service::Layout;
use crate::state::SCHEMA;

#[derive(Debug, Args)]
pub struct AcceptImport {}

impl AcceptImport {
    pub fn run(&self, data_dir: &Path) -> anyhow::Result<()> {
        Layout(data_dir).must_hold_an_installation()?;
        let store = Store::open(&Layout(data_dir).store(), SCHEMA)?;
        anyhow::ensure!(
            store.get(&BEHIND, &())?.is_none(),
            "a host has seen a later state than this store: `bricklayer-coordinator rebuild` says what is missing, and puts it right"
        );
        let Some(restored) = store.get(&RESTORED, &())? else {
            println!(
                "The store does not wait for any host: it was not made of an export, or all have been heard since."
            );
            return Ok(());
        };
        let mut batch = Batch::new();
        batch.remove(&RESTORED, &());
        store.commit_blocking(batch)?;
        store.close();
        println!(
            "The store of the export as of commit {} is taken for the newest state that there is. What was under way in it goes on \
             at the next start.",
            restored.seq
        );
        Ok(())
    }
}
