//! The program as `heketi-cli`: heketi's words, flags, texts and exit codes.
//!
//! [`flags`] reads the line, [`commands`] says which commands there are, [`print`] holds the texts; here each command
//! is carried out. Errors go to stderr as `Error: …` with exit code 255, and nothing of ours is added to any output.

mod commands;
mod flags;
pub mod print;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;

use bricklayer_api::client::{Client, ClientError};
use bricklayer_api::heketi::{
    ClusterFlags, DeviceAddRequest, DeviceDeleteRequest, Disperse, DurabilityRequest, EntryState, HostAddresses,
    NodeAddRequest, Replicate, Snapshot, SnapshotFactor, VolumeCreateRequest,
};
use serde::Serialize;

use crate::actions::topology::{FileError, LoadError, LoadEvent, TopologyFile, load};
use crate::actions::{Silent, finish, nodes, set_cluster_flags, state_request, volumes};
use crate::connection::Connection;
use crate::error::CliError;
use commands::{Action, Command, ROOT, path_to};
use flags::Line;

/// heketi-cli's exit code for every failure.
const FAILED: u8 = 255;

/// Runs one command line (without the program's name).
pub async fn run(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    let words = words.into_iter().map(|word| word.to_string_lossy().into_owned());
    match answer(words.collect(), &mut std::io::stdout().lock()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is_closed_pipe() => ExitCode::from(FAILED),
        Err(error) => {
            eprintln!("Error: {}", error.full_text());
            ExitCode::from(FAILED)
        }
    }
}

async fn answer(words: Vec<String>, out: &mut dyn Write) -> Result<(), CliError> {
    let line = flags::read(words, &ROOT, |command, word| command.step(word), |command| command.flags())
        .map_err(|error| CliError::usage(error.to_string()))?;
    let Some(action) = line.command.action.filter(|_| !line.help) else {
        return explain(&line, out);
    };
    if action == Action::TopologyInfo && !line.values.text("template").is_empty() {
        return Err(CliError::usage("Templates of Go are not supported here. Use --json and a JSON tool instead."));
    }
    let values = &line.values;
    let client = Connection {
        server: Some(values.text("server").to_owned()),
        user: Some(values.text("user").to_owned()),
        key: Some(values.text("secret").to_owned()),
        insecure_tls: values.bool("insecure-tls"),
        tls_certificates: values.texts("tls-cert").into_iter().map(PathBuf::from).collect(),
    }
    .client(&["HEKETI_CLI"])?;
    Session { client, line: &line, out }.carry_out(action).await?;
    out.flush()?;
    Ok(())
}

/// Usage, where no command is given or help is asked for.
fn explain(line: &Line<&'static Command>, out: &mut dyn Write) -> Result<(), CliError> {
    let is_root = std::ptr::eq(line.command, &raw const ROOT);
    if is_root && line.values.bool("version") {
        writeln!(out, "heketi-cli {}", env!("CARGO_PKG_VERSION"))?;
        return Ok(());
    }
    if let (true, false, Some(word)) = (is_root, line.help, line.arguments.first()) {
        let text = format!("unknown command {word:?} for \"heketi-cli\"\nRun 'heketi-cli --help' for usage.");
        return Err(CliError::usage(text));
    }
    out.write_all(line.command.usage(&path_to(line.command)).as_bytes())?;
    Ok(())
}

struct Session<'a> {
    client: Client,
    line: &'a Line<&'static Command>,
    out: &'a mut dyn Write,
}

impl Session<'_> {
    async fn carry_out(&mut self, action: Action) -> Result<(), CliError> {
        match action {
            Action::ClusterCreate => self.cluster_create().await,
            Action::ClusterDelete => {
                let id = self.argument("Cluster id missing")?;
                self.client.cluster_delete(known(&id)?).await?;
                self.say(&format!("Cluster {id} deleted\n"))
            }
            Action::ClusterInfo => {
                let cluster = self.client.cluster(known(&self.argument("Cluster id missing")?)?).await?;
                self.show(&cluster, print::cluster_info)
            }
            Action::ClusterList => self.cluster_list().await,
            Action::ClusterSetFlags => self.cluster_set_flags().await,
            Action::DeviceAdd => self.device_add().await,
            Action::DeviceDelete => {
                let id = self.argument("Device id missing")?;
                let options = DeviceDeleteRequest { force_forget: self.line.values.bool("force-forget") };
                let work = self.client.device_delete(known(&id)?, options).await?;
                finish(&self.client, work, &mut Silent).await?;
                self.say(&format!("Device {id} deleted\n"))
            }
            Action::DeviceDisable => self.device_state(EntryState::Offline).await,
            Action::DeviceEnable => self.device_state(EntryState::Online).await,
            Action::DeviceInfo => {
                let device = self.client.device(known(&self.argument("Device id missing")?)?).await?;
                self.show(&device, print::device_info)
            }
            Action::NodeAdd => self.node_add().await,
            Action::NodeDelete => {
                let id = self.argument("Node id missing")?;
                let work = self.client.node_delete(known(&id)?).await?;
                finish(&self.client, work, &mut Silent).await?;
                self.say(&format!("Node {id} deleted\n"))
            }
            Action::NodeDisable => self.node_state(EntryState::Offline).await,
            Action::NodeEnable => self.node_state(EntryState::Online).await,
            Action::NodeInfo => {
                let node = self.client.node(known(&self.argument("Node id missing")?)?).await?;
                self.show(&node, print::node_info)
            }
            Action::NodeList => {
                let nodes = nodes(&self.client).await?;
                self.say(&print::node_list(&nodes))
            }
            Action::TopologyInfo => {
                let topology = self.client.topology().await?;
                self.show(&topology, print::topology_info)
            }
            Action::TopologyLoad => self.topology_load().await,
            Action::VolumeCreate => self.volume_create().await,
            Action::VolumeDelete => {
                let id = known(&self.argument("Volume id missing")?)?;
                let work = self.client.volume_delete(id).await?;
                finish(&self.client, work, &mut Silent).await?;
                self.say(&print::volume_deleted(id))
            }
            Action::VolumeInfo => {
                let volume = self.client.volume(known(&self.argument("Volume id missing")?)?).await?;
                self.show(&volume, print::volume_info)
            }
            Action::VolumeList => self.volume_list().await,
        }
    }

    async fn cluster_create(&mut self) -> Result<(), CliError> {
        let flags = ClusterFlags { block: self.line.values.bool("block"), file: self.line.values.bool("file") };
        let made = self.client.cluster_create(flags).await?;
        self.show(&made, |made| format!("Cluster id: {}\n", made.id))
    }

    async fn cluster_list(&mut self) -> Result<(), CliError> {
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

    async fn cluster_set_flags(&mut self) -> Result<(), CliError> {
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

    async fn node_add(&mut self) -> Result<(), CliError> {
        let values = &self.line.values;
        let zone = values.int("zone");
        if zone == -1 {
            return Err(CliError::usage("Missing zone"));
        }
        let request = NodeAddRequest {
            zone,
            hostnames: HostAddresses {
                manage: vec![self.required("management-host-name", "Missing management hostname")?],
                storage: vec![self.required("storage-host-name", "Missing storage hostname")?],
            },
            cluster: self.required("cluster", "Missing cluster id")?,
            ..NodeAddRequest::default()
        };
        let work = self.client.node_add(&request).await?;
        let node = finish(&self.client, work, &mut Silent).await?;
        self.show(&node, print::node_added)
    }

    async fn node_state(&mut self, state: EntryState) -> Result<(), CliError> {
        let id = self.argument("Node id missing")?;
        let work = self.client.node_set_state(known(&id)?, &state_request(state)).await?;
        finish(&self.client, work, &mut Silent).await?;
        self.say(&format!("Node {id} is now {state}\n"))
    }

    async fn device_add(&mut self) -> Result<(), CliError> {
        let request = DeviceAddRequest {
            name: self.required("name", "Missing device name")?,
            node: self.required("node", "Missing node id")?,
            destroy_data: self.line.values.bool("destroy-existing-data"),
            ..DeviceAddRequest::default()
        };
        let work = self.client.device_add(&request).await?;
        finish(&self.client, work, &mut Silent).await?;
        self.say("Device added successfully\n")
    }

    async fn device_state(&mut self, state: EntryState) -> Result<(), CliError> {
        let id = self.argument("Device id missing")?;
        let work = self.client.device_set_state(known(&id)?, &state_request(state)).await?;
        finish(&self.client, work, &mut Silent).await?;
        self.say(&format!("Device {id} is now {state}\n"))
    }

    async fn topology_load(&mut self) -> Result<(), CliError> {
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
        // A node or a device that failed was told in its line; heketi-cli exits with 0 all the same.
        loaded.map(drop).map_err(|error| match error {
            LoadError::Topology(cause) => {
                let cause = CliError::Client(cause).full_text();
                CliError::usage(format!("Unable to get topology information: {cause}"))
            }
            LoadError::Client(cause) => CliError::Client(cause),
            LoadError::Output(cause) => CliError::Output(cause),
        })
    }

    async fn volume_create(&mut self) -> Result<(), CliError> {
        let values = &self.line.values;
        let size_gib = values.int("size");
        if size_gib == -1 {
            return Err(CliError::usage("Missing volume size"));
        }
        let endpoint = values.text("persistent-volume-endpoint");
        let (print_volume, file) = (values.bool("persistent-volume"), values.text("persistent-volume-file"));
        if print_volume && endpoint.is_empty() {
            eprintln!("--persistent-volume needs --persistent-volume-endpoint");
            return Err(CliError::usage("Missing endpoint"));
        }
        let factor = values.float("snapshot-factor");
        let snapshot =
            if factor > 1.0 { Snapshot { enable: true, factor: SnapshotFactor(factor) } } else { Snapshot::default() };
        let request = VolumeCreateRequest {
            size_gib,
            clusters: values.list("clusters"),
            name: values.text("name").to_owned(),
            durability: DurabilityRequest {
                kind: values.text("durability").to_owned(),
                replicate: Replicate { replica: values.int("replica") },
                disperse: Disperse { data: values.int("disperse-data"), redundancy: values.int("redundancy") },
            },
            gid: values.int("gid"),
            gluster_volume_options: values.list("gluster-volume-options"),
            block: values.bool("block"),
            snapshot,
        };
        let work = self.client.volume_create(&request).await?;
        let volume = finish(&self.client, work, &mut Silent).await?;
        if !file.is_empty() {
            let text = print::persistent_volume(&volume, endpoint);
            std::fs::write(file, text).map_err(|source| CliError::File {
                what: format!("volume {} is made, but {file} cannot be written", volume.id),
                source: source.into(),
            })
        } else if print_volume {
            let text = print::persistent_volume(&volume, endpoint);
            self.say(&text)
        } else {
            self.show(&volume, print::volume_info)
        }
    }

    async fn volume_list(&mut self) -> Result<(), CliError> {
        if self.line.values.bool("json") {
            let list = self.client.volumes().await?;
            return self.show(&list, |_| String::new());
        }
        let volumes = volumes(&self.client).await?;
        self.say(&print::volume_list(&volumes))
    }

    /// The first word behind the command; those after it are ignored, as heketi-cli ignores them.
    fn argument(&self, missing: &str) -> Result<String, CliError> {
        self.line.arguments.first().cloned().ok_or_else(|| CliError::usage(missing))
    }

    fn required(&self, flag: &str, missing: &str) -> Result<String, CliError> {
        match self.line.values.text(flag) {
            "" => Err(CliError::usage(missing)),
            text => Ok(text.to_owned()),
        }
    }

    fn say(&mut self, text: &str) -> Result<(), CliError> {
        Ok(self.out.write_all(text.as_bytes())?)
    }

    /// As JSON, without a line feed, where the person asked for that.
    fn show<T: Serialize>(&mut self, answer: &T, text: impl Fn(&T) -> String) -> Result<(), CliError> {
        if self.line.values.bool("json") {
            let json = serde_json::to_string(answer)?;
            self.say(&json)
        } else {
            self.say(&text(answer))
        }
    }
}

/// An id as the routes take it. A text that is none gets the answer that the server would give to it, without asking:
/// no such path, or no such id.
fn known<T: FromStr>(text: &str) -> Result<T, CliError> {
    text.parse().map_err(|_| {
        let hex = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let answer = if hex { "Id not found" } else { "Invalid path or request" };
        ClientError::Refused { status: 404, text: answer.to_owned(), cure: None }.into()
    })
}
