//! Clusters, and the loading of a topology.

use std::path::Path;

use bricklayer_api::heketi::ClusterFlags;
use bricklayer_api::ids::ClusterId;

use super::{Session, known};
use crate::actions::topology::{FileError, LoadError, LoadEvent, TopologyFile, load};
use crate::actions::{Silent, set_cluster_flags};
use crate::error::CliError;
use crate::heketi::print;

impl Session<'_> {
    pub(super) async fn cluster_create(&mut self) -> Result<(), CliError> {
        let flags = ClusterFlags { block: self.line.values.bool("block"), file: self.line.values.bool("file") };
        let made = self.client.cluster_create(flags).await?;
        self.show(&made, |made| format!("Cluster id: {}\n", made.id))
    }

    pub(super) async fn cluster_delete(&mut self) -> Result<(), CliError> {
        let id: ClusterId = self.id("Cluster id missing")?;
        self.client.cluster_delete(id).await?;
        self.say(&format!("Cluster {id} deleted\n"))
    }

    pub(super) async fn cluster_info(&mut self) -> Result<(), CliError> {
        let cluster = self.client.cluster(self.id("Cluster id missing")?).await?;
        self.show(&cluster, print::cluster_info)
    }

    pub(super) async fn cluster_list(&mut self) -> Result<(), CliError> {
        let list = self.client.clusters().await?;
        if self.line.values.bool("json") {
            return self.show(&list, |_| String::new());
        }
        let mut clusters = Vec::with_capacity(list.clusters.len());
        for id in list.clusters {
            clusters.push(self.client.cluster(id).await?);
        }
        self.say(&print::cluster_list(&clusters))
    }

    pub(super) async fn cluster_set_flags(&mut self) -> Result<(), CliError> {
        let id = self.argument("Cluster id missing")?;
        let flag = |name: &str| match self.line.values.text(name) {
            "" => Ok(None),
            "true" => Ok(Some(true)),
            "false" => Ok(Some(false)),
            other => Err(CliError::usage(format!("--{name} is true or false, not {other:?}"))),
        };
        let (file, block) = (flag("file")?, flag("block")?);
        if file.is_none() && block.is_none() {
            return Err(CliError::usage("At least one of --file or --block must be specified."));
        }
        set_cluster_flags(&self.client, known(&id)?, file, block).await?;
        Ok(())
    }

    pub(super) async fn topology_load(&mut self) -> Result<(), CliError> {
        let path = self.required("json", "Missing configuration file")?;
        // heketi's words alone: the cause stays out of them.
        let file =
            TopologyFile::read(Path::new(&path)).map_err(|error: FileError| CliError::usage(error.to_string()))?;
        let out = &mut *self.out;
        let tell = |event: &LoadEvent<'_>| {
            out.write_all(print::load_event(event).as_bytes())?;
            out.flush()
        };
        let loaded = load(&self.client, &file, &mut Silent, tell).await;
        let loaded = loaded.map_err(|error| match error {
            LoadError::Topology(cause) => {
                let cause = CliError::Client(cause).full_text();
                CliError::usage(format!("Unable to get topology information: {cause}"))
            }
            LoadError::Client(cause) => CliError::Client(cause),
            LoadError::Output(cause) => CliError::Output(cause),
        })?;
        // A node or a device that failed was told in its line; heketi-cli exits with 0 all the same.
        match loaded.missing().filter(|_| self.line.values.bool("strict")) {
            Some(missing) => Err(CliError::usage(format!("Not added: {missing}"))),
            None => Ok(()),
        }
    }
}
