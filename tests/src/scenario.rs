//! The words of the lab's scenarios: what a person does with real hosts, and what they look at afterwards.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail, ensure};

use crate::lab::Lab;

/// The file of the project's first user: three nodes in one zone, a raw disk each.
pub const TOPOLOGY: &str = r#"{"clusters":[{"nodes":[
 {"node":{"hostnames":{"manage":["gfs1"],"storage":["192.168.0.224"]},"zone":1},"devices":["/dev/sdb"]},
 {"node":{"hostnames":{"manage":["gfs2"],"storage":["192.168.0.204"]},"zone":1},"devices":["/dev/sdb"]},
 {"node":{"hostnames":{"manage":["gfs3"],"storage":["192.168.0.173"]},"zone":1},"devices":["/dev/sdb"]}]}]}"#;

/// As many as a lab of ours ever has.
const MOST_HOSTS: usize = 9;

/// A volume as the command line shows it.
#[derive(Clone, Debug)]
pub struct Shown {
    pub id: String,
    pub name: String,
    pub mount: String,
    pub options: String,
}

pub fn load_topology(lab: &Lab) -> anyhow::Result<()> {
    let file = lab.dir().join("topology.json");
    std::fs::write(&file, TOPOLOGY)?;
    let said = lab.heketi(&["topology", "load", &format!("--json={}", file.display())])?;
    ensure!(said.matches("Adding device /dev/sdb ... OK").count() == 3, "the topology was not loaded:\n{said}");
    Ok(())
}

/// One cluster of `gfs1` to `gfs<hosts>`, every host in a zone of its own, a raw disk each.
pub fn load_topology_of(lab: &Lab, hosts: usize) -> anyhow::Result<()> {
    let mut nodes = Vec::new();
    for number in 1..=hosts {
        let name = format!("gfs{number}");
        let line = lab.on("gfs1", &format!("getent hosts {name}"))?;
        let address = line.split_whitespace().next().context("a host without an address")?;
        nodes.push(serde_json::json!({
            "node": { "hostnames": { "manage": [name], "storage": [address] }, "zone": number },
            "devices": ["/dev/sdb"],
        }));
    }
    let topology = serde_json::json!({ "clusters": [{ "nodes": nodes }] });
    let file = lab.dir().join("topology.json");
    std::fs::write(&file, topology.to_string())?;
    let said = lab.heketi(&["topology", "load", &format!("--json={}", file.display())])?;
    ensure!(said.matches("Adding device /dev/sdb ... OK").count() == hosts, "the topology was not loaded:\n{said}");
    Ok(())
}

/// A cluster of its own with one node; answers the node's id.
pub fn add_node(lab: &Lab, manage: &str, storage: &str) -> anyhow::Result<String> {
    let cluster = field(&lab.heketi(&["cluster", "create"])?, "Cluster id")?;
    let said = lab.heketi(&[
        "node",
        "add",
        "--zone=1",
        &format!("--cluster={cluster}"),
        &format!("--management-host-name={manage}"),
        &format!("--storage-host-name={storage}"),
    ])?;
    field(&said, "Node Id")
}

pub fn create_volume(lab: &Lab, options: &[&str]) -> anyhow::Result<Shown> {
    let words: Vec<&str> = ["volume", "create"].iter().chain(options).copied().collect();
    shown(&lab.heketi(&words)?)
}

/// Reads what heketi-cli prints of a volume.
pub fn shown(said: &str) -> anyhow::Result<Shown> {
    Ok(Shown {
        id: field(said, "Volume Id")?,
        name: field(said, "Name")?,
        mount: field(said, "Mount")?,
        options: field(said, "Mount Options")?,
    })
}

/// All of heketi's view of the installation.
pub fn topology(lab: &Lab) -> anyhow::Result<serde_json::Value> {
    Ok(serde_json::from_str(&lab.heketi(&["--json", "topology", "info"])?)?)
}

pub fn is_attached(lab: &Lab, host: &str) -> anyhow::Result<bool> {
    let said = lab.bricklayer(&["agent", "list", "-o", "json"])?;
    Ok(said.contains(&format!(r#""name":"{host}","state":"attached""#)))
}

/// What is left to heal in a volume of three bricks, in GlusterFS's words; `None` where that is nothing.
pub fn to_heal(lab: &Lab, name: &str) -> anyhow::Result<Option<String>> {
    let pending = lab.on("gfs1", &format!("gluster volume heal {name} info | grep '^Number of entries'"))?;
    let is_healed = pending.lines().count() == 3 && pending.lines().all(|line| line.ends_with(": 0"));
    Ok((!is_healed).then_some(pending))
}

/// Mounts it on the client with the words that the command line printed. heketi puts commas between the servers, which
/// mount(8) takes for the end of the option, so a person puts colons there.
pub fn mount(lab: &Lab, volume: &Shown) -> anyhow::Result<()> {
    let Shown { mount, options, .. } = volume;
    let options = options.replace(',', ":");
    lab.on("client", &format!("mkdir -p /mnt/volume; mount -t glusterfs -o {options} {mount} /mnt/volume"))?;
    Ok(())
}

/// The brick directory of the only brick on a host.
pub fn brick_path(lab: &Lab, host: &str) -> anyhow::Result<String> {
    let target = lab.on(host, "findmnt -rn -t xfs -o TARGET | grep /brick_")?;
    ensure!(target.lines().count() == 1, "one brick is expected on {host}:\n{target}");
    Ok(format!("{target}/brick"))
}

/// The serial that a person would read off the disk.
pub fn serial(lab: &Lab, host: &str, disk: &str) -> anyhow::Result<String> {
    lab.on(host, &format!("lsblk -dn -o SERIAL {disk}"))
}

/// Free bytes by host and group, as LVM says.
pub fn vgs(lab: &Lab) -> anyhow::Result<BTreeMap<String, u64>> {
    let mut free = BTreeMap::new();
    for host in hosts(lab)? {
        let report = lab.on(&host, "vgs --noheadings --units b --nosuffix -o vg_name,vg_free")?;
        for line in report.lines() {
            let mut words = line.split_whitespace();
            let (Some(name), Some(bytes)) = (words.next(), words.next()) else { bail!("{host}: {line:?}") };
            free.insert(format!("{host} {name}"), bytes.parse()?);
        }
    }
    Ok(free)
}

/// Free bytes by host and group, as the coordinator says.
pub fn ledger(lab: &Lab) -> anyhow::Result<BTreeMap<String, u64>> {
    let topology: serde_json::Value = serde_json::from_str(&lab.heketi(&["--json", "topology", "info"])?)?;
    let mut free = BTreeMap::new();
    for node in topology["clusters"].as_array().into_iter().flatten().flat_map(|c| c["nodes"].as_array()).flatten() {
        let host = node["hostnames"]["manage"][0].as_str().context("a node without a name")?;
        for device in node["devices"].as_array().into_iter().flatten() {
            let id = device["id"].as_str().context("a device without an id")?;
            let kib = device["storage"]["free"].as_u64().context("a device without free space")?;
            free.insert(format!("{host} vg_{id}"), kib * 1024);
        }
    }
    Ok(free)
}

pub fn assert_ledger_is_vgs(lab: &Lab) -> anyhow::Result<()> {
    let (ledger, vgs) = (ledger(lab)?, vgs(lab)?);
    ensure!(ledger == vgs, "the ledger differs from vgs:\nledger {ledger:#?}\nvgs {vgs:#?}");
    Ok(())
}

/// Every byte of the disk is in the device's ledger once, and none is unaccounted for.
pub fn assert_device_ledger(lab: &Lab, host: &str) -> anyhow::Result<()> {
    let device = format!("{host}:/dev/sdb");
    let said = lab.bricklayer(&["device", "ledger", &device, "-o", "json"])?;
    let ledger: serde_json::Value = serde_json::from_str(&said)?;
    let figures = ledger["figures"].as_array().context("figures")?;
    let sum: u64 = figures.iter().filter_map(|figure| figure["bytes"].as_u64()).sum();
    let disk: u64 = lab.on(host, "blockdev --getsize64 /dev/sdb")?.trim().parse()?;
    ensure!(ledger["unaccounted_bytes"] == 0 && sum == disk, "the disk has {disk} bytes, the ledger {sum}: {said}");
    Ok(())
}

pub fn assert_no_bricks(lab: &Lab) -> anyhow::Result<()> {
    for host in hosts(lab)? {
        let volumes = lab.on(&host, "lvs -a --noheadings -o lv_name")?;
        ensure!(volumes.is_empty(), "{host} still has logical volumes:\n{volumes}");
        let fstab = lab.on(&host, "grep brick_ /etc/fstab || true")?;
        ensure!(fstab.is_empty(), "{host} still has fstab lines:\n{fstab}");
        let folders = lab.on(&host, "find /var/lib/bricklayer/mounts -mindepth 1")?;
        ensure!(folders.is_empty(), "{host} still has folders:\n{folders}");
    }
    Ok(())
}

/// Asks for a volume over REST; answers where to ask for the outcome.
pub fn post_volume(lab: &Lab, body: &str) -> anyhow::Result<String> {
    begin(lab, "POST", "/volumes", body)
}

/// Asks over REST for what takes time; answers where to ask for the outcome.
pub fn begin(lab: &Lab, method: &str, path: &str, body: &str) -> anyhow::Result<String> {
    let reply = request(lab, &["-X", method, "-d", body], path)?;
    ensure!(reply.status == 202, "{method} {path}: {} {}", reply.status, reply.body);
    reply.location.context("202 without a Location")
}

/// What is at a path of REST.
pub fn read(lab: &Lab, path: &str) -> anyhow::Result<serde_json::Value> {
    let reply = request(lab, &[], path)?;
    ensure!(reply.status == 200, "GET {path}: {} {}", reply.status, reply.body);
    Ok(serde_json::from_str(&reply.body)?)
}

/// What a finished queue entry says.
#[derive(Clone, Debug)]
pub enum Polled {
    Resource(String),
    /// Done, with nothing to show for it.
    Done,
    Failed(String),
}

/// `None` while the operation runs.
pub fn poll(lab: &Lab, queue: &str) -> anyhow::Result<Option<Polled>> {
    let reply = request(lab, &[], queue)?;
    match (reply.status, reply.location) {
        (200, _) => Ok(None),
        (303, Some(location)) => Ok(Some(Polled::Resource(location))),
        (204, _) => Ok(Some(Polled::Done)),
        (500, _) => Ok(Some(Polled::Failed(reply.body))),
        (status, _) => bail!("GET {queue}: {status} {}", reply.body),
    }
}

struct Reply {
    status: u16,
    location: Option<String>,
    body: String,
}

fn request(lab: &Lab, options: &[&str], path: &str) -> anyhow::Result<Reply> {
    let url = format!("http://192.168.0.1:8080{path}");
    let words: Vec<&str> = ["net", "curl", "-s", "-S", "-i", "--max-time", "20"]
        .iter()
        .chain(options)
        .copied()
        .chain([url.as_str()])
        .collect();
    let text = lab.must(&words)?;
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split_whitespace().nth(1).context("no status")?.parse()?;
    let location = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("location").then(|| value.trim().to_owned())
    });
    Ok(Reply { status, location, body: body.trim().to_owned() })
}

fn hosts(lab: &Lab) -> anyhow::Result<Vec<String>> {
    let status = lab.must(&["status"])?;
    let names = (1..=MOST_HOSTS).map(|number| format!("gfs{number}"));
    Ok(names.filter(|host| status.contains(&format!("{host} "))).collect())
}

fn field(text: &str, name: &str) -> anyhow::Result<String> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    Ok(line.with_context(|| format!("no {name:?} in:\n{text}"))?.trim().to_owned())
}
