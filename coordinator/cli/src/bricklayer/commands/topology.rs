//! `bricklayer topology`.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use super::{DONE, Done, Seen, Session};
use crate::actions::Silent;
use crate::actions::topology::{FileError, LoadError, LoadEvent, TopologyFile, load, preview};
use crate::bricklayer::args::TopologyCommand;
use crate::bricklayer::{REFUSED, tables};
use crate::error::CliError;
use crate::heketi::print::load_event;

impl Session {
    pub(super) async fn topology(&self, command: TopologyCommand) -> Done {
        match command {
            TopologyCommand::Info { look } => {
                self.look(look, async || {
                    let topology = self.client.topology().await?;
                    let ids = || topology.clusters.iter().map(|cluster| cluster.id.to_string()).collect();
                    self.show(look.output, &topology, |width| tables::topology_info(&topology, width), ids)?;
                    Ok(Seen::SO_FAR)
                })
                .await
            }
            TopologyCommand::Load { json, strict, dry_run } => self.topology_load(&json, strict, dry_run).await,
        }
    }

    async fn topology_load(&self, path: &Path, strict: bool, dry_run: bool) -> Done {
        if self.curl.is_some() {
            return Err(CliError::Usage {
                what: "each request of a load depends on the answer to the one before, so there is no line for curl"
                    .into(),
                cure: Some("use --dry-run to see what would be added".into()),
            });
        }
        let file = TopologyFile::read(path).map_err(|error| unusable(path, error))?;
        // Its lines are its progress: each is begun before the work and ended after it.
        let mut out = std::io::stdout().lock();
        let tell = |event: &LoadEvent<'_>| {
            out.write_all(load_event(event).as_bytes())?;
            out.flush()
        };
        let failed = |error| match error {
            LoadError::Topology(cause) | LoadError::Client(cause) => CliError::Client(cause),
            LoadError::Output(cause) => CliError::Output(cause),
        };
        if dry_run {
            preview(&self.client, &file, tell).await.map_err(failed)?;
            return DONE;
        }
        let loaded = load(&self.client, &file, &mut Silent, tell).await.map_err(failed)?;
        let Some(missing) = loaded.missing() else { return DONE };
        eprintln!("Not added: {missing}.");
        if strict { Ok(ExitCode::from(REFUSED)) } else { DONE }
    }
}

fn unusable(path: &Path, error: FileError) -> CliError {
    let path = path.display();
    match error {
        FileError::NoManageName { cluster, node } => CliError::refused(
            format!("{path}: node {node} of cluster {cluster} has no manage host name"),
            "give it one under hostnames.manage",
        ),
        FileError::Open(source) => CliError::File { what: format!("cannot read {path}"), source: source.into() },
        FileError::Parse(source) => {
            CliError::File { what: format!("{path} is no topology file"), source: source.into() }
        }
    }
}
