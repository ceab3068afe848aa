//! `bricklayer adopt`, `unadopt` and `export`.

use std::io::{self, Read as _};
use std::path::Path;
use std::process::ExitCode;

use bricklayer_api::client::Change;
use bricklayer_api::v1::{AdoptRequest, UnadoptRequest};
use serde_json::json;

use super::{DONE, Done, Session};
use crate::bricklayer::args::common::Quick;
use crate::bricklayer::args::{AdoptCommand, AdoptCommon, ExportCommand, UnadoptCommand};
use crate::bricklayer::output::say;
use crate::bricklayer::{REFUSED, tables};
use crate::error::CliError;
use crate::files::write_private;

/// The whole file; a dash is standard input.
fn read(file: &Path) -> io::Result<Vec<u8>> {
    if file.as_os_str() != "-" {
        return std::fs::read(file);
    }
    let mut text = Vec::new();
    io::stdin().lock().read_to_end(&mut text)?;
    Ok(text)
}

impl Session {
    pub(super) async fn adopt(&self, command: AdoptCommand) -> Done {
        let (request, common) = match command {
            AdoptCommand::Heketi { file, ignore_pending, new_node_ids, common } => {
                let text = read(&file).map_err(|source| CliError::File {
                    what: format!("cannot read {}", file.display()),
                    source: source.into(),
                })?;
                let database = serde_json::from_slice(&text)
                    .map_err(|error| CliError::usage(format!("{} is not JSON: {error}", file.display())))?;
                let from = "heketi".to_owned();
                let request = AdoptRequest {
                    from,
                    database: Some(database),
                    ignore_pending,
                    new_node_ids,
                    ..AdoptRequest::default()
                };
                (request, common)
            }
            AdoptCommand::Disks { cluster, common } => {
                let cluster = cluster.map(|id| id.to_string()).unwrap_or_default();
                (AdoptRequest { from: "disks".to_owned(), cluster, ..AdoptRequest::default() }, common)
            }
            AdoptCommand::Volume { name, cluster, common } => {
                let cluster = cluster.map(|id| id.to_string()).unwrap_or_default();
                let (from, volume) = ("volume".to_owned(), name.to_string());
                (AdoptRequest { from, volume, cluster, ..AdoptRequest::default() }, common)
            }
        };
        let AdoptCommon { plan: _, agents, without, output } = common;
        let request = AdoptRequest { agents: agents.into_iter().collect(), without, ..request };
        let Some(told) = self.ask(&Change::adopt(&request)?, Quick::in_earnest(output)).await? else { return DONE };
        let names = || told.plan.iter().filter_map(|plan| Some(plan.kept.as_ref()?.id.to_string())).collect();
        self.show(output, &told, |_| tables::adoption(&told), names)?;
        if told.findings.iter().any(|finding| finding.blocks) { Ok(ExitCode::from(REFUSED)) } else { DONE }
    }

    pub(super) async fn unadopt(&self, command: UnadoptCommand) -> Done {
        let (request, work, what) = match command {
            UnadoptCommand::Volume { volume, work } => {
                let id = volume.find(&self.client).await?;
                (UnadoptRequest { volume: Some(id), ..UnadoptRequest::default() }, work, format!("volume {volume}"))
            }
            UnadoptCommand::Device { device, work } => {
                let id = device.find(&self.client).await?;
                (UnadoptRequest { device: Some(id), ..UnadoptRequest::default() }, work, format!("device {device}"))
            }
            UnadoptCommand::Cluster { id, work } => {
                (UnadoptRequest { cluster: Some(id), ..UnadoptRequest::default() }, work, format!("cluster {id}"))
            }
        };
        let doing = format!("giving {what} back");
        let Some(()) = self.work(&Change::unadopt(&request)?, work, &doing).await? else { return DONE };
        let text = format!("{what} is given back: Bricklayer's marks are off, and it knows it no more");
        self.tell(work.output(), &json!({ "unadopted": what }), &text, &what)
    }

    pub(super) async fn export(&self, command: ExportCommand) -> Done {
        let ExportCommand::Heketi { file } = command;
        let database = self.client.export_heketi().await?;
        if self.curl.is_some() {
            return DONE;
        }
        let text = format!("{database:#}\n");
        if file.as_os_str() == "-" {
            say(&text)?;
            return DONE;
        }
        write_private(&file, text.as_bytes())?;
        eprintln!("heketi's database is in {}", file.display());
        DONE
    }
}
