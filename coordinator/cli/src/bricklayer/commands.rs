//! Carries out `bricklayer`'s commands, one function each.

use std::io::Write as _;
use std::process::ExitCode;

use bricklayer_api::client::{Accepted, Client, ClientError, Wipe, WorkResult};
use bricklayer_api::heketi::{
    ClusterFlags, DeviceAddRequest, DeviceDeleteRequest, Disperse, DurabilityKind, DurabilityRequest, EntryState,
    HostAddresses, NodeAddRequest, NodeInfo, Replicate, Snapshot, SnapshotFactor, VolumeCreateRequest, VolumeInfo,
};
use bricklayer_api::v1::{InvitationRequest, WipeRequest};
use serde::Serialize;
use serde_json::json;

use super::args::{
    AgentCommand, ClusterCommand, Command, DeviceCommand, DurabilityArg, NodeCommand, OperationCommand, Output,
    TopologyCommand, VolumeCommand, VolumeCreate, Wait,
};
use super::progress::Bar;
use super::{REFUSED, refs, tables};
use crate::actions::topology::{FileError, LoadError, LoadEvent, TopologyFile, load};
use crate::actions::{Silent, finish, nodes, set_cluster_flags, state_request, volumes};
use crate::connection::Connection;
use crate::error::CliError;
use crate::heketi::print::load_event;

type Done = Result<ExitCode, CliError>;

/// Variables that name the server and the user, ours before heketi's.
const VARIABLES: &[&str] = &["BRICKLAYER", "HEKETI_CLI"];

pub async fn carry_out(connection: Connection, command: Command) -> Done {
    // What can be refused without a server is refused without one.
    if let Command::Volume(VolumeCommand::Create(wanted)) = &command {
        check_durability(wanted)?;
    }
    let client = connection.client(VARIABLES)?;
    match command {
        Command::Agent(command) => agent(&client, command).await,
        Command::Cluster(command) => cluster(&client, command).await,
        Command::Device(command) => device(&client, command).await,
        Command::Node(command) => node(&client, command).await,
        Command::Operation(command) => operation(&client, command).await,
        Command::Topology(command) => topology(&client, command).await,
        Command::Volume(command) => volume(&client, command).await,
        Command::Completion { .. } => Ok(ExitCode::SUCCESS),
    }
}

fn say(text: &str) -> Done {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn show<T: Serialize>(output: Output, answer: &T, text: impl FnOnce(&T) -> String) -> Done {
    if output.json {
        say(&format!("{}\n", serde_json::to_string(answer)?))
    } else {
        say(&tables::printable(&text(answer)))
    }
}

/// What became of work that was asked for.
enum Outcome<T> {
    Done(T),
    /// Nobody waits for it; it has been told how to look at it.
    Left,
}

async fn outcome<T: WorkResult>(
    client: &Client,
    work: Accepted<T>,
    what: &str,
    wait: Wait,
    output: Output,
) -> Result<Outcome<T>, CliError> {
    if !wait.no_wait {
        let mut bar = Bar::new(what);
        return Ok(Outcome::Done(finish(client, work, &mut bar).await?));
    }
    match work.operation() {
        Some(id) => {
            show(output, &json!({ "operation": id }), |_| format!("operation {id}\n"))?;
            eprintln!("`bricklayer operation info {id}` tells how far it is.");
        }
        None => {
            show(output, &json!({ "queue": work.queue() }), |_| format!("{}\n", work.queue()))?;
        }
    }
    Ok(Outcome::Left)
}

/// For work that leaves nothing to look at.
async fn done(
    client: &Client,
    work: Accepted<()>,
    what: &str,
    wait: Wait,
    output: Output,
    answer: serde_json::Value,
    text: String,
) -> Done {
    match outcome(client, work, what, wait, output).await? {
        Outcome::Done(()) => show(output, &answer, |_| text),
        Outcome::Left => Ok(ExitCode::SUCCESS),
    }
}

async fn agent(client: &Client, command: AgentCommand) -> Done {
    match command {
        AgentCommand::Invite { name, zone, ttl, rejoin, output } => {
            let request =
                InvitationRequest { name: name.to_string(), zone: zone.map(i64::from), ttl_seconds: ttl, rejoin };
            let made = client.invite(&request).await?;
            show(output, &made, |made| format!("{}\n", made.token.expose()))?;
            eprintln!(
                "The token is for {name} alone, can be used once, and holds until {}. On {name} run:\n  \
                 bricklayer-agent enroll TOKEN",
                made.expires.strftime("%Y-%m-%d %H:%M:%SZ")
            );
            Ok(ExitCode::SUCCESS)
        }
        AgentCommand::Invitations { output } => {
            let list = client.invitations().await?;
            show(output, &list, |list| tables::invitation_list(&list.invitations))
        }
        AgentCommand::Uninvite { invitation, output } => {
            client.uninvite(invitation).await?;
            show(output, &json!({ "deleted": invitation }), |_| format!("invitation {invitation} is taken back\n"))
        }
        AgentCommand::List { output } => {
            let list = client.agents().await?;
            show(output, &list, |list| tables::agent_list(&list.agents))
        }
        AgentCommand::Revoke { node, output } => {
            client.agent_revoke(&node).await?;
            show(output, &json!({ "revoked": node }), |_| format!("the agent of {node} is shut out\n"))
        }
    }
}

async fn cluster(client: &Client, command: ClusterCommand) -> Done {
    match command {
        ClusterCommand::Create { block, file, output } => {
            let made = client.cluster_create(ClusterFlags { block, file }).await?;
            show(output, &made, |made| format!("{}\n", made.id))
        }
        ClusterCommand::Delete { id, output } => {
            client.cluster_delete(id).await?;
            show(output, &json!({ "deleted": id }), |_| format!("cluster {id} is deleted\n"))
        }
        ClusterCommand::Info { id, output } => show(output, &client.cluster(id).await?, tables::cluster_info),
        ClusterCommand::List { output } => {
            let mut clusters = Vec::new();
            for id in client.clusters().await?.clusters {
                clusters.push(client.cluster(id).await?);
            }
            show(output, &json!({ "clusters": clusters }), |_| tables::cluster_list(&clusters))
        }
        ClusterCommand::Setflags { id, block, file, output } => {
            set_cluster_flags(client, id, file, block).await?;
            show(output, &client.cluster(id).await?, tables::cluster_info)
        }
    }
}

async fn device(client: &Client, command: DeviceCommand) -> Done {
    match command {
        DeviceCommand::Add { name, node, destroy_existing_data, wait, output } => {
            let id = node.find(client).await?;
            let request = DeviceAddRequest {
                name: name.to_string(),
                node: id.to_string(),
                destroy_data: destroy_existing_data,
                ..DeviceAddRequest::default()
            };
            let work = client.device_add(&request).await?;
            match outcome(client, work, &format!("adding {name} of {node}"), wait, output).await? {
                Outcome::Left => Ok(ExitCode::SUCCESS),
                Outcome::Done(()) => {
                    // heketi's route does not tell what was made, so the node is asked.
                    let devices = client.node(id).await?.devices;
                    match devices.into_iter().find(|device| device.name == name.as_str()) {
                        Some(device) => show(output, &device, tables::device_info),
                        None => show(output, &json!({ "added": name }), |_| format!("{name} of {node} is added\n")),
                    }
                }
            }
        }
        DeviceCommand::Delete { device, force_forget, wait, output } => {
            let id = device.find(client).await?;
            let work = client.device_delete(id, DeviceDeleteRequest { force_forget }).await?;
            let text = format!("device {id} is deleted\n");
            done(client, work, "deleting the device", wait, output, json!({ "deleted": id }), text).await
        }
        DeviceCommand::Disable { device, wait, output } => {
            let id = device.find(client).await?;
            let work = client.device_set_state(id, &state_request(EntryState::Offline)).await?;
            let text = format!("device {id} is offline: no new bricks are placed on it, those on it go on\n");
            done(client, work, "disabling the device", wait, output, json!({ "id": id, "state": "offline" }), text)
                .await
        }
        DeviceCommand::Enable { device, wait, output } => {
            let id = device.find(client).await?;
            let work = client.device_set_state(id, &state_request(EntryState::Online)).await?;
            let text = format!("device {id} is online\n");
            done(client, work, "enabling the device", wait, output, json!({ "id": id, "state": "online" }), text).await
        }
        DeviceCommand::Info { device, output } => {
            let id = device.find(client).await?;
            show(output, &client.device(id).await?, tables::device_info)
        }
        DeviceCommand::List { node, output } => {
            let nodes = match node {
                Some(node) => vec![client.node(node.find(client).await?).await?],
                None => nodes(client).await?,
            };
            let devices: Vec<_> = nodes
                .iter()
                .flat_map(|node| node.devices.iter().map(|device| json!({ "node": node.id, "device": device })))
                .collect();
            show(output, &json!({ "devices": devices }), |_| tables::device_list(&nodes))
        }
        DeviceCommand::Wipe { node, device, confirm, wait, output } => {
            let request = WipeRequest { node: node.to_string(), device: device.to_string(), confirm };
            match client.device_wipe(&request).await? {
                Wipe::Unconfirmed(refusal) => {
                    if output.json {
                        say(&format!("{}\n", serde_json::to_string(&refusal)?))?;
                    } else {
                        eprint!("error: {}", tables::printable(&tables::wipe_refusal(&refusal, node.as_str())));
                    }
                    Ok(ExitCode::from(REFUSED))
                }
                Wipe::Accepted(work) => {
                    let answer = json!({ "wiped": device, "node": node });
                    let text = format!("{device} of {node} is empty\n");
                    done(client, work, &format!("wiping {device} of {node}"), wait, output, answer, text).await
                }
            }
        }
    }
}

async fn node(client: &Client, command: NodeCommand) -> Done {
    match command {
        NodeCommand::Add { zone, cluster, management_host_name, storage_host_name, wait, output } => {
            let request = NodeAddRequest {
                zone: i64::from(zone),
                hostnames: HostAddresses {
                    manage: vec![management_host_name.to_string()],
                    storage: vec![storage_host_name.to_string()],
                },
                cluster: refs::cluster(client, cluster).await?.to_string(),
                ..NodeAddRequest::default()
            };
            let work = client.node_add(&request).await?;
            match outcome::<NodeInfo>(client, work, &format!("adding {management_host_name}"), wait, output).await? {
                Outcome::Done(node) => show(output, &node, tables::node_info),
                Outcome::Left => Ok(ExitCode::SUCCESS),
            }
        }
        NodeCommand::Delete { node, wait, output } => {
            let id = node.find(client).await?;
            let work = client.node_delete(id).await?;
            let text = format!("node {node} is deleted\n");
            done(client, work, &format!("deleting {node}"), wait, output, json!({ "deleted": id }), text).await
        }
        NodeCommand::Disable { node, wait, output } => {
            let id = node.find(client).await?;
            let work = client.node_set_state(id, &state_request(EntryState::Offline)).await?;
            let text = format!("node {node} is offline: no new bricks are placed on it, those on it go on\n");
            let answer = json!({ "id": id, "state": "offline" });
            done(client, work, &format!("disabling {node}"), wait, output, answer, text).await
        }
        NodeCommand::Disks { node, output } => show(output, &client.disks(&node).await?, tables::disk_list),
        NodeCommand::Enable { node, wait, output } => {
            let id = node.find(client).await?;
            let work = client.node_set_state(id, &state_request(EntryState::Online)).await?;
            let answer = json!({ "id": id, "state": "online" });
            done(client, work, &format!("enabling {node}"), wait, output, answer, format!("node {node} is online\n"))
                .await
        }
        NodeCommand::Info { node, output } => {
            let id = node.find(client).await?;
            show(output, &client.node(id).await?, tables::node_info)
        }
        NodeCommand::List { output } => {
            let nodes = nodes(client).await?;
            show(output, &json!({ "nodes": nodes }), |_| tables::node_list(&nodes))
        }
    }
}

async fn operation(client: &Client, command: OperationCommand) -> Done {
    match command {
        OperationCommand::Info { id, output } => show(output, &client.operation(id).await?, tables::operation_info),
        OperationCommand::List { output } => {
            let list = client.operations().await?;
            show(output, &list, |list| tables::operation_list(&list.operations))
        }
    }
}

async fn topology(client: &Client, command: TopologyCommand) -> Done {
    match command {
        TopologyCommand::Info { output } => show(output, &client.topology().await?, tables::topology_info),
        TopologyCommand::Load { json, strict } => {
            let file = TopologyFile::read(&json).map_err(|error| match error {
                FileError::NoManageName { cluster, node } => CliError::refused(
                    format!("{}: node {node} of cluster {cluster} has no manage host name", json.display()),
                    "give it one under hostnames.manage",
                ),
                FileError::Open(source) => {
                    CliError::File { what: format!("cannot read {}", json.display()), source: source.into() }
                }
                FileError::Parse(source) => {
                    CliError::File { what: format!("{} is no topology file", json.display()), source: source.into() }
                }
            })?;
            // Its lines are its progress: each is begun before the work and ended after it.
            let mut out = std::io::stdout().lock();
            let tell = |event: &LoadEvent<'_>| {
                out.write_all(load_event(event).as_bytes())?;
                out.flush()
            };
            let loaded = load(client, &file, &mut Silent, tell).await.map_err(|error| match error {
                LoadError::Topology(cause) | LoadError::Client(cause) => CliError::Client(cause),
                LoadError::Output(cause) => CliError::Output(cause),
            })?;
            let Some(missing) = loaded.missing() else { return Ok(ExitCode::SUCCESS) };
            eprintln!("Not added: {missing}.");
            Ok(if strict { ExitCode::from(REFUSED) } else { ExitCode::SUCCESS })
        }
    }
}

/// Numbers of another durability than the chosen one would be ignored in silence.
fn check_durability(wanted: &VolumeCreate) -> Result<(), CliError> {
    let kind = DurabilityKind::from(wanted.durability);
    let flags = [
        ("--replica", wanted.replica.is_some(), DurabilityArg::Replicate),
        ("--disperse-data", wanted.disperse_data.is_some(), DurabilityArg::Disperse),
        ("--redundancy", wanted.redundancy.is_some(), DurabilityArg::Disperse),
    ];
    for (flag, given, of) in flags {
        if given && of != wanted.durability {
            return Err(CliError::Usage {
                what: format!("{flag} means nothing to a volume of durability {kind}"),
                cure: Some(format!("leave it out, or add --durability {}", DurabilityKind::from(of))),
            });
        }
    }
    Ok(())
}

fn create_request(wanted: &VolumeCreate) -> VolumeCreateRequest {
    let (mut replicate, mut disperse) = (Replicate::default(), Disperse::default());
    match wanted.durability {
        DurabilityArg::None => {}
        DurabilityArg::Replicate => replicate.replica = wanted.replica.unwrap_or(3),
        DurabilityArg::Disperse => {
            disperse = Disperse { data: wanted.disperse_data.unwrap_or(4), redundancy: wanted.redundancy.unwrap_or(2) };
        }
    }
    VolumeCreateRequest {
        size_gib: wanted.size,
        size_bytes: 0,
        clusters: wanted.clusters.iter().map(ToString::to_string).collect(),
        name: wanted.name.as_ref().map(ToString::to_string).unwrap_or_default(),
        durability: DurabilityRequest {
            kind: DurabilityKind::from(wanted.durability).as_str().to_owned(),
            replicate,
            disperse,
        },
        gid: wanted.gid,
        gluster_volume_options: wanted.gluster_volume_options.clone(),
        block: false,
        snapshot: wanted
            .snapshot_factor
            .map(|factor| Snapshot { enable: true, factor: SnapshotFactor(factor) })
            .unwrap_or_default(),
    }
}

/// A volume with the names of its nodes, where they can still be learnt.
async fn show_volume(client: &Client, output: Output, volume: &VolumeInfo) -> Done {
    if output.json {
        return show(output, volume, |_| String::new());
    }
    let mut found = Vec::new();
    for id in client.cluster(volume.cluster).await?.nodes {
        match client.node(id).await {
            Ok(node) => found.push(node),
            Err(ClientError::Refused { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    show(output, volume, |volume| tables::volume_info(volume, &tables::node_names(&found)))
}

async fn volume(client: &Client, command: VolumeCommand) -> Done {
    match command {
        VolumeCommand::Create(wanted) => {
            let work = client.volume_create(&create_request(&wanted)).await?;
            match outcome::<VolumeInfo>(client, work, "creating the volume", wanted.wait, wanted.output).await? {
                Outcome::Done(volume) => show_volume(client, wanted.output, &volume).await,
                Outcome::Left => Ok(ExitCode::SUCCESS),
            }
        }
        VolumeCommand::Delete { volume, wait, output } => {
            let id = volume.find(client).await?;
            let work = client.volume_delete(id).await?;
            let text = format!("volume {id} is deleted\n");
            done(client, work, "deleting the volume", wait, output, json!({ "deleted": id }), text).await
        }
        VolumeCommand::Info { volume, output } => {
            let id = volume.find(client).await?;
            show_volume(client, output, &client.volume(id).await?).await
        }
        VolumeCommand::List { output } => {
            let volumes = volumes(client).await?;
            show(output, &json!({ "volumes": volumes }), |_| tables::volume_list(&volumes))
        }
    }
}
