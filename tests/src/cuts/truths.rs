//! What has to be true between the rounds: the records, every host, GlusterFS and the client's data are one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

use super::{DISKS, HOSTS, Volume, data};
use crate::lab::Lab;
use crate::scenario;

/// Of what comes to rest by itself: an undo that was told of early, a brick that goes, peers that see each other again.
const REST: Duration = Duration::from_secs(300);
/// The self-heal daemon looks again after ten minutes where it misses a brick's return; it is told to look, as a person
/// would, and this is how long all of that may take.
const HEAL: Duration = Duration::from_secs(720);
/// What the doctor leaves out after a change, and a report's age.
const DIAGNOSIS: Duration = Duration::from_secs(300);

/// A brick as the coordinator has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Recorded {
    pub id: String,
    pub volume: String,
    pub device: String,
    pub host: String,
    pub path: String,
}

/// Every brick of the records.
pub fn recorded(lab: &Lab) -> anyhow::Result<Vec<Recorded>> {
    let topology = scenario::topology(lab)?;
    let mut bricks = Vec::new();
    let array = |value: &serde_json::Value| value.as_array().cloned().unwrap_or_default();
    for node in array(&topology["clusters"]).iter().flat_map(|cluster| array(&cluster["nodes"])) {
        for device in array(&node["devices"]) {
            for brick in array(&device["bricks"]) {
                let text = |value: &serde_json::Value| value.as_str().map(str::to_owned).context("not a text");
                bricks.push(Recorded {
                    id: text(&brick["id"])?,
                    volume: text(&brick["volume"])?,
                    device: text(&brick["device"])?,
                    host: text(&node["hostnames"]["manage"][0])?,
                    path: text(&brick["path"])?,
                });
            }
        }
    }
    Ok(bricks)
}

/// No operation is unfinished.
pub fn nothing_is_under_way(lab: &Lab) -> anyhow::Result<()> {
    lab.wait_for("all operations to end", REST, || {
        let said = scenario::read(lab, "/v1/operations")?;
        let operations = said["operations"].as_array().context("a list of operations")?;
        for operation in operations {
            let state = operation["state"].as_str().unwrap_or_default();
            ensure!(state == "done" || state == "failed", "{operation}");
        }
        Ok(true)
    })
}

/// Waits until everything agrees, and then for the copies; what was flushed has to be there, for the client and in
/// every brick.
pub fn hold(lab: &Lab, volumes: &BTreeMap<String, Volume>) -> anyhow::Result<()> {
    nothing_is_under_way(lab)?;
    lab.wait_for("the hosts to be what the records say", REST, || {
        let hold = hosts_are_the_records(lab, volumes);
        if hold.is_err() {
            restart_what_differs(lab)?;
        }
        hold.map(|()| true)
    })?;
    scenario::assert_ledger_is_vgs(lab)?;
    for volume in volumes.values() {
        // A client whose hosts have all been away connects again within seconds.
        lab.wait_for(&format!("the data of {} for the client", volume.id), Duration::from_secs(60), || {
            data::is_all_there(lab, volume)?;
            Ok(true)
        })?;
    }
    heal(lab, volumes)?;
    every_copy_is_whole(lab, volumes)
}

/// GlusterFS 10.3 may leave a glusterd that comes back in the very moment of a change without it, for good. What a person does about
/// that is what the doctor says, and it has to say it.
fn restart_what_differs(lab: &Lab) -> anyhow::Result<()> {
    let said = scenario::read(lab, "/v1/doctor")?;
    for finding in said["findings"].as_array().context("a list of findings")? {
        if finding["code"] == "gluster-differs" {
            let host = finding["host"].as_str().context("the host of a finding")?;
            eprintln!("    the doctor: {}; it is restarted", finding["what"]);
            lab.on(host, "/lab/service restart glusterd")?;
        }
    }
    Ok(())
}

/// Volumes and sizes are those that the client knows; logical volumes, lines of fstab, mounts, folders and brick processes
/// of each host, and GlusterFS's volumes, are those of the records, and no other.
fn hosts_are_the_records(lab: &Lab, volumes: &BTreeMap<String, Volume>) -> anyhow::Result<()> {
    let known: BTreeMap<&str, u64> = volumes.values().map(|volume| (volume.id.as_str(), volume.size_gib)).collect();
    let topology = scenario::topology(lab)?;
    let shown: BTreeMap<&str, u64> = topology["clusters"][0]["volumes"]
        .as_array()
        .context("volumes")?
        .iter()
        .filter_map(|volume| Some((volume["id"].as_str()?, volume["size"].as_u64()?)))
        .collect();
    ensure!(shown == known, "the volumes are {shown:?}, their client knows {known:?}");

    let bricks = recorded(lab)?;
    let mut in_gluster = BTreeSet::new();
    for host in HOSTS {
        let here: Vec<&Recorded> = bricks.iter().filter(|brick| brick.host == host).collect();
        let names: BTreeSet<String> = here.iter().map(|brick| format!("brick_{}", brick.id)).collect();
        let paths: BTreeSet<String> = here.iter().map(|brick| brick.path.clone()).collect();
        let pools = here.iter().map(|brick| format!("tp_{}", brick.id));
        let lvs: BTreeSet<String> = names.iter().cloned().chain(pools).collect();
        let seen = seen(lab, host)?;
        let compare = |what: &str, expected: &BTreeSet<String>| {
            let found = seen.get(what).cloned().unwrap_or_default();
            ensure!(found == *expected, "{host}: {what}: the records say {expected:#?}, there is {found:#?}");
            Ok(())
        };
        compare("lvs", &lvs)?;
        compare("fstab", &names)?;
        compare("mounts", &names)?;
        compare("folders", &names)?;
        compare("processes", &paths)?;
        let peers = seen.get("connected").and_then(|words| words.first()).map(String::as_str);
        ensure!(peers == Some("3"), "{host}: glusterd is connected with {peers:?} of 3");
        let address = lab.on("client", &format!("getent hosts {host} | cut -d' ' -f1"))?;
        in_gluster.extend(here.iter().map(|brick| format!("{address}:{}", brick.path)));
    }
    // Each glusterd has its own copy, and hands it to who mounts from there.
    let wanted: BTreeSet<&str> = volumes.values().map(|volume| volume.name.as_str()).collect();
    for host in HOSTS {
        let info = lab.on(host, "gluster volume info all 2>&1 || true")?;
        let of = |name: &'static str| info.lines().filter_map(move |line| line.strip_prefix(name)).map(str::trim);
        let names: BTreeSet<&str> = of("Volume Name:").collect();
        ensure!(names == wanted, "{host}: GlusterFS has the volumes {names:?}, not {wanted:?}");
        ensure!(of("Status:").all(|status| status == "Started"), "{host}: a volume is not started:\n{info}");
        let bricks = info.lines().filter(|line| line.starts_with("Brick") && !line.starts_with("Bricks:"));
        let served: BTreeSet<String> =
            bricks.filter_map(|line| Some(line.split_once(": ")?.1.trim().to_owned())).collect();
        ensure!(served == in_gluster, "{host}: GlusterFS has the bricks {served:#?}, not {in_gluster:#?}");
    }
    Ok(())
}

/// What a host shows of bricks, by kind: one command, as each costs processes in there.
fn seen(lab: &Lab, host: &str) -> anyhow::Result<BTreeMap<String, BTreeSet<String>>> {
    let report = lab.on(
        host,
        r"words() { printf '%s' $1; shift; for word in $*; do printf ' %s' $word; done; echo; }
        words lvs $(lvs --noheadings -o lv_name)
        words fstab $(grep -o 'brick_[0-9a-f]*' /etc/fstab)
        words mounts $(grep -o 'brick_[0-9a-f]*' /proc/mounts)
        words folders $(find /var/lib/bricklayer/mounts -mindepth 1 -maxdepth 2 -name 'brick_*' -printf '%f\n')
        words processes $(ps -C glusterfsd -o args= | grep -o -- '--brick-name [^ ]*' | cut -d' ' -f2)
        words connected $(gluster pool list | grep -c Connected)",
    )?;
    let mut seen = BTreeMap::new();
    for line in report.lines() {
        let mut words = line.split_whitespace().map(str::to_owned);
        let kind = words.next().context("a line without a word")?;
        seen.insert(kind, words.collect());
    }
    Ok(seen)
}

/// Tells GlusterFS to look for what is to be healed, as a person would, and waits until nothing is left.
///
/// A file that was made a moment before a power cut and not flushed on that host is missing there afterwards, though GlusterFS
/// knows only of what was written into it later: such a file is healed when a client asks for it by its name, which has been
/// done by then, or by a full heal, which a person orders after a power cut and which goes through the brick of one host.
fn heal(lab: &Lab, volumes: &BTreeMap<String, Volume>) -> anyhow::Result<()> {
    for (nth, volume) in volumes.values().enumerate() {
        let mut looks = nth;
        lab.wait_for(&format!("the copies of {}", volume.id), HEAL, || {
            let name = &volume.name;
            let Some(pending) = scenario::to_heal(lab, name)? else { return Ok(true) };
            // Refused while a self-heal daemon is not there yet.
            if looks % 10 == 0 {
                let full = if looks > 10 { " full" } else { "" };
                lab.try_on("gfs1", &format!("gluster volume heal {name}{full}"))?;
            }
            looks += 1;
            bail!("{pending}")
        })?;
    }
    Ok(())
}

/// Reads what was flushed from each brick itself: a client reads one copy of three.
fn every_copy_is_whole(lab: &Lab, volumes: &BTreeMap<String, Volume>) -> anyhow::Result<()> {
    let bricks = recorded(lab)?;
    for volume in volumes.values() {
        let sums = data::sums(lab, volume)?;
        if sums.is_empty() {
            continue;
        }
        for host in HOSTS {
            // The host sees its share as /lab.
            std::fs::write(lab.dir().join(host).join("share/sums"), format!("{sums}\n"))?;
            for brick in bricks.iter().filter(|brick| brick.host == host && brick.volume == volume.id) {
                let script = format!("cd {} && sha256sum -c --quiet /lab/sums", brick.path);
                lab.on(host, &script).with_context(|| format!("the copy in {host}:{}", brick.path))?;
            }
        }
    }
    Ok(())
}

/// Nothing is left out any more, and nothing is amiss.
pub fn doctor_finds_nothing(lab: &Lab, volumes: usize) -> anyhow::Result<()> {
    let (nodes, devices, bricks) = (HOSTS.len(), HOSTS.len() * DISKS.len(), 3 * volumes);
    let well = format!("nothing is amiss ({nodes} nodes, {devices} devices, {bricks} bricks looked at)");
    lab.wait_for("the doctor to find nothing amiss", DIAGNOSIS, || {
        let said = lab.try_bricklayer(&["doctor"])?.text();
        ensure!(said.starts_with(&well), "{said}");
        Ok(true)
    })
}
