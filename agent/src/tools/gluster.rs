//! The `gluster` command line: words in, XML out.
//!
//! It ends well also when it failed, so `opRet` decides; its texts are for people. Three things make it wait or ask
//! again: another transaction of the cluster holds glusterd's lock, which is retried for as long as such a lock can
//! last; and a time-out or a broken connection says nothing about what glusterd did, which is reported as unknown.

use std::time::Duration;

use bricklayer_proto::names::{HostName, OptionKey, OptionValue, SnapshotName, VolumeName};
use bricklayer_proto::task::{BrickAddress, Layout};

use super::run::{Call, Program};
use crate::host::{Drain, HostError};

pub use answer::Answer;
use answer::CliOutput;

mod answer;

/// glusterd gives a lock up after 180 s when whoever took it is gone.
const LOCK_PATIENCE: Duration = Duration::from_secs(200);

/// The command line itself gives up after 120 s, or 600 s for some commands.
const LIMIT: Duration = Duration::from_secs(660);

#[derive(Clone, Debug)]
pub struct Gluster(Program);

impl Gluster {
    #[must_use]
    pub fn find() -> Self {
        Self(Program::find("gluster"))
    }

    #[must_use]
    pub fn version(&self) -> Call {
        self.0.reads(["--version"])
    }

    fn asks(&self, words: &[&str]) -> Call {
        self.0.reads(FIRST.iter().chain(words).copied()).within(LIMIT)
    }

    fn changes<W: Into<String>>(&self, words: impl IntoIterator<Item = W>) -> Call {
        let words: Vec<String> = words.into_iter().map(Into::into).collect();
        let title = format!("gluster {}", words[..words.len().min(3)].join(" "));
        self.0.writes(FIRST.iter().map(|word| (*word).to_owned()).chain(words)).within(LIMIT).titled(title)
    }

    #[must_use]
    pub fn pool_list(&self) -> Call {
        self.asks(&["pool", "list"])
    }

    #[must_use]
    pub fn volume_info(&self, name: &VolumeName) -> Call {
        self.asks(&["volume", "info", name.as_str()])
    }

    /// Of all volumes.
    #[must_use]
    pub fn volumes_info(&self) -> Call {
        self.asks(&["volume", "info", "all"])
    }

    #[must_use]
    pub fn volume_list(&self) -> Call {
        self.asks(&["volume", "list"])
    }

    #[must_use]
    pub fn peer_probe(&self, host: &HostName) -> Call {
        self.changes(["peer", "probe", host.as_str()])
    }

    #[must_use]
    pub fn peer_detach(&self, host: &HostName, lost: bool) -> Call {
        let mut words = vec!["peer", "detach", host.as_str()];
        words.extend(lost.then_some("force"));
        self.changes(words)
    }

    #[must_use]
    pub fn volume_create(&self, name: &VolumeName, layout: Layout, bricks: &[BrickAddress]) -> Call {
        let mut words = vec!["volume".to_owned(), "create".to_owned(), name.to_string()];
        let mut say = |word: &str, count: u32| words.extend([word.to_owned(), count.to_string()]);
        match layout {
            Layout::Distribute => {}
            Layout::Replicate { replica } => say("replica", replica),
            Layout::Arbiter => {
                say("replica", 3);
                say("arbiter", 1);
            }
            Layout::Disperse { data, redundancy } => {
                say("disperse-data", data);
                say("redundancy", redundancy);
            }
        }
        words.extend(bricks.iter().map(ToString::to_string));
        self.changes(words)
    }

    #[must_use]
    pub fn volume_status(&self, name: &VolumeName) -> Call {
        self.asks(&["volume", "status", name.as_str()])
    }

    #[must_use]
    pub fn add_bricks(&self, name: &VolumeName, bricks: &[BrickAddress]) -> Call {
        let words = ["volume", "add-brick", name.as_str()].map(str::to_owned);
        self.changes(words.into_iter().chain(bricks.iter().map(ToString::to_string)))
    }

    /// Forced, GlusterFS takes several bricks of a set on one host, and such beside the host's own files.
    #[must_use]
    pub fn add_stand_ins(&self, name: &VolumeName, bricks: &[BrickAddress]) -> Call {
        let words = ["volume", "add-brick", name.as_str()].map(str::to_owned);
        let force = std::iter::once("force".to_owned());
        self.changes(words.into_iter().chain(bricks.iter().map(ToString::to_string)).chain(force))
    }

    #[must_use]
    pub fn drop_bricks(&self, name: &VolumeName, bricks: &[BrickAddress]) -> Call {
        let words = ["volume", "remove-brick", name.as_str()].map(str::to_owned);
        let force = std::iter::once("force".to_owned());
        self.changes(words.into_iter().chain(bricks.iter().map(ToString::to_string)).chain(force))
    }

    /// The only way in which GlusterFS replaces a brick is called `commit force`.
    #[must_use]
    pub fn replace_brick(&self, name: &VolumeName, old: &BrickAddress, new: &BrickAddress) -> Call {
        let (old, new) = (old.to_string(), new.to_string());
        self.changes(["volume", "replace-brick", name.as_str(), &old, &new, "commit", "force"])
    }

    #[must_use]
    pub fn heal_start(&self, name: &VolumeName) -> Call {
        self.changes(["volume", "heal", name.as_str()])
    }

    /// Counts only; the names of the entries would be many.
    #[must_use]
    pub fn heal_summary(&self, name: &VolumeName) -> Call {
        self.asks(&["volume", "heal", name.as_str(), "info", "summary"])
    }

    #[must_use]
    pub fn rebalance_start(&self, name: &VolumeName) -> Call {
        self.changes(["volume", "rebalance", name.as_str(), "start"])
    }

    #[must_use]
    pub fn rebalance_status(&self, name: &VolumeName) -> Call {
        self.asks(&["volume", "rebalance", name.as_str(), "status"])
    }

    #[must_use]
    pub fn drain(&self, name: &VolumeName, brick: &BrickAddress, what: Drain) -> Call {
        let what = match what {
            Drain::Start => "start",
            Drain::Stop => "stop",
            Drain::Commit => "commit",
        };
        self.changes(["volume", "remove-brick", name.as_str(), &brick.to_string(), what])
    }

    #[must_use]
    pub fn drain_status(&self, name: &VolumeName, brick: &BrickAddress) -> Call {
        self.asks(&["volume", "remove-brick", name.as_str(), &brick.to_string(), "status"])
    }

    #[must_use]
    pub fn volume_reset(&self, name: &VolumeName, option: &OptionKey) -> Call {
        self.changes(vec!["volume".to_owned(), "reset".to_owned(), name.to_string(), option.to_string()])
    }

    pub fn volume_set(&self, name: &VolumeName, options: &[(OptionKey, OptionValue)]) -> Call {
        let mut words = vec!["volume".to_owned(), "set".to_owned(), name.to_string()];
        words.extend(options.iter().flat_map(|(key, value)| [key.to_string(), value.to_string()]));
        self.changes(words)
    }

    #[must_use]
    pub fn volume_start(&self, name: &VolumeName) -> Call {
        self.changes(["volume", "start", name.as_str()])
    }

    /// By force means: also of a volume that runs, for those of its bricks that have no process.
    #[must_use]
    pub fn volume_start_bricks(&self, name: &VolumeName) -> Call {
        self.changes(["volume", "start", name.as_str(), "force"])
    }

    /// By force, as a rebalance that runs would hold it up, and who stops a volume of ours is about to delete it.
    #[must_use]
    pub fn volume_stop(&self, name: &VolumeName) -> Call {
        self.changes(["volume", "stop", name.as_str(), "force"])
    }

    #[must_use]
    pub fn volume_delete(&self, name: &VolumeName) -> Call {
        self.changes(["volume", "delete", name.as_str()])
    }
}

impl Gluster {
    #[must_use]
    pub fn snapshot_info(&self, name: &SnapshotName) -> Call {
        self.asks(&["snapshot", "info", name.as_str()])
    }

    /// With the name as it is: GlusterFS would add the time to it.
    #[must_use]
    pub fn snapshot_create(&self, name: &SnapshotName, of: &VolumeName) -> Call {
        self.changes(["snapshot", "create", name.as_str(), of.as_str(), "no-timestamp"])
    }

    #[must_use]
    pub fn snapshot_activate(&self, name: &SnapshotName, active: bool) -> Call {
        self.changes(["snapshot", if active { "activate" } else { "deactivate" }, name.as_str()])
    }

    #[must_use]
    pub fn snapshot_clone(&self, name: &SnapshotName, clone: &VolumeName) -> Call {
        self.changes(["snapshot", "clone", clone.as_str(), name.as_str()])
    }

    #[must_use]
    pub fn snapshot_delete(&self, name: &SnapshotName) -> Call {
        self.changes(["snapshot", "delete", name.as_str()])
    }
}

/// No question is asked, and every answer but that of the launch of a heal is XML.
const FIRST: [&str; 2] = ["--mode=script", "--xml"];

/// Runs a command until it is not another transaction that is in its way.
pub async fn ask(call: &Call) -> Result<Answer, HostError> {
    match ask_for(call).await? {
        Some(answer) => Ok(answer),
        None => Err(HostError::Failed { what: call.title(), said: "there is nothing of that kind".to_owned() }),
    }
}

/// As [`ask`], for how far a movement of data is, or about a snapshot: `None` where there is none.
pub async fn ask_for(call: &Call) -> Result<Option<Answer>, HostError> {
    let start = tokio::time::Instant::now();
    let mut pause = Duration::from_millis(500);
    loop {
        let said = call.run_whatever_comes().await?;
        match judge(call, &said.stdout, &said.stderr) {
            Judged::Answer(answer) => return Ok(Some(answer)),
            Judged::Nothing => return Ok(None),
            Judged::Busy(_) if start.elapsed() < LOCK_PATIENCE => {
                tracing::info!(command = %call.words(), "another transaction of GlusterFS is in progress; waiting");
                // Several hosts may wait for the same lock.
                tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..1.5))).await;
                pause = (pause * 2).min(Duration::from_secs(10));
            }
            // It may be an earlier try of the same that did not answer in time, and may yet take effect.
            Judged::Busy(_) => {
                return Err(HostError::StillRunning { what: call.title(), seconds: start.elapsed().as_secs() });
            }
            Judged::Failed(said) => return Err(HostError::Failed { what: call.title(), said }),
            Judged::PeersDown(said) => return Err(HostError::PeersDown { what: call.title(), said }),
            Judged::NoSuchVolume => {
                return Err(HostError::Failed { what: call.title(), said: "there is no such volume".to_owned() });
            }
            Judged::Unknown => {
                return Err(HostError::StillRunning { what: call.title(), seconds: start.elapsed().as_secs() });
            }
        }
    }
}

/// As [`ask`], for a question about one volume: `None` where GlusterFS says by its number that there is none.
pub async fn ask_of_volume(call: &Call) -> Result<Option<Answer>, HostError> {
    let said = call.run_whatever_comes().await?;
    match judge(call, &said.stdout, &said.stderr) {
        Judged::Answer(answer) => Ok(Some(answer)),
        Judged::NoSuchVolume => Ok(None),
        // Such questions need no lock of the cluster.
        Judged::Busy(said) | Judged::Failed(said) | Judged::PeersDown(said) => {
            Err(HostError::Failed { what: call.title(), said })
        }
        Judged::Nothing => {
            Err(HostError::Failed { what: call.title(), said: "there is nothing of that kind".to_owned() })
        }
        Judged::Unknown => Err(HostError::Failed { what: call.title(), said: "no answer in time".to_owned() }),
    }
}

#[derive(Debug)]
enum Judged {
    Answer(Answer),
    NoSuchVolume,
    /// There is no such snapshot; or no data is being moved, and none was since the last movement was dismissed.
    Nothing,
    /// Nothing was done, as not all of the pool is there.
    PeersDown(String),
    /// The lock of this volume or of the cluster is taken. Nothing was done.
    Busy(String),
    Failed(String),
    /// glusterd was asked, and nobody knows what it made of it.
    Unknown,
}

/// `EG_ANOTRANS` of GlusterFS.
const ANOTHER_TRANSACTION: i64 = 30802;
/// `EG_NOVOL`. Of its numbers only few are kept to everywhere; `volume info` keeps to this one.
const NO_SUCH_VOLUME: i64 = 30806;

/// How the launch of a heal is answered, by text even where XML is asked for (GlusterFS 10.3); what follows is the kind of
/// heal and the volume's name.
const HEAL_LAUNCH: &str = "Launching heal operation";

fn judge(call: &Call, stdout: &[u8], stderr: &str) -> Judged {
    let text = String::from_utf8_lossy(stdout);
    let output: CliOutput = match quick_xml::de::from_str(&text) {
        Ok(output) => output,
        // What is no XML comes from the command line itself: glusterd is not there, or went away.
        Err(error) => {
            let said = if text.trim().is_empty() { stderr.trim() } else { text.trim() };
            let lost = said.contains("Connection failed");
            if lost {
                return Judged::Failed("glusterd does not answer on this host".to_owned());
            }
            // It gave up waiting for glusterd, which works on.
            if said.contains("timed out") {
                return Judged::Unknown;
            }
            if said.starts_with(HEAL_LAUNCH) {
                let failed =
                    said.split_once("has been unsuccessful").map(|(_, why)| why.trim_matches([':', ' ', '\n']));
                return match failed {
                    None if said.contains("has been successful") => Judged::Answer(Answer::new(CliOutput::default())),
                    Some(why) if is_busy(why) => Judged::Busy(why.to_owned()),
                    why => Judged::Failed(one_line(why.unwrap_or(said))),
                };
            }
            tracing::debug!(command = %call.words(), %error, "no XML");
            return Judged::Failed(format!("its answer is no XML: {}", one_line(said)));
        }
    };
    if output.op_ret == 0 {
        return Judged::Answer(Answer::new(output));
    }
    let said = output.op_errstr.clone().unwrap_or_default();
    // The texts are looked at for what is safe either way: to wait and ask again, or to look at the state again.
    if output.op_errno == ANOTHER_TRANSACTION || is_busy(&said) {
        return Judged::Busy(said);
    }
    if output.op_errno == NO_SUCH_VOLUME {
        return Judged::NoSuchVolume;
    }
    if said.contains("timed out") {
        return Judged::Unknown;
    }
    let no_snapshot = said.starts_with("Snapshot (") && said.contains("does not exist");
    if said.contains("not started for volume") || no_snapshot {
        return Judged::Nothing;
    }
    if said.contains("Some of the peers are down") || said.contains("One of the peers is probably down") {
        return Judged::PeersDown(said);
    }
    if said.trim().is_empty() {
        return Judged::Failed(format!("glusterd answered {} without a word", output.op_errno));
    }
    Judged::Failed(one_line(&said))
}

fn is_busy(said: &str) -> bool {
    said.contains("Another transaction") || said.contains("Locking failed")
}

fn one_line(said: &str) -> String {
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Reads the answer as the answer to every question: for the fuzz target, to which this is the only way in.
#[doc(hidden)]
pub fn read_as_anything(stdout: &[u8]) {
    let call = Gluster::find().volume_list();
    let read: [fn(Answer); 7] = [
        |answer| drop(answer.pool()),
        |answer| drop(answer.volume()),
        |answer| drop(answer.volume_status()),
        |answer| drop(answer.heal()),
        |answer| drop(answer.movement()),
        |answer| drop(answer.snapshot()),
        |answer| drop(answer.volumes()),
    ];
    for read in read {
        if let Judged::Answer(answer) = judge(&call, stdout, "") {
            read(answer);
        }
    }
}

#[cfg(test)]
mod tests {
    use bricklayer_proto::task::RebalanceState;

    use super::*;

    fn judged(name: &str) -> Judged {
        let path = format!("{}/../tests/fixtures/glusterfs-10.3/{name}.xml", env!("CARGO_MANIFEST_DIR"));
        judge(&Gluster::find().volume_list(), &std::fs::read(path).unwrap(), "")
    }

    fn answer(name: &str) -> Answer {
        match judged(name) {
            Judged::Answer(answer) => answer,
            other => panic!("{name}: {other:?}"),
        }
    }

    #[test]
    fn the_pool_tells_our_own_id_from_the_others() {
        let (own, peers) = answer("pool-list-one-down").pool().unwrap();
        assert_eq!(own, "966afdbc-59c0-4ba1-affb-045f0a0c4fe8");
        let peers: Vec<_> = peers.iter().map(|peer| (peer.host.as_str(), peer.connected)).collect();
        assert_eq!(peers, [("192.168.0.204", true), ("192.168.0.173", false)]);
        assert_eq!(answer("pool-list-alone").pool().unwrap().1, []);
    }

    #[test]
    fn a_volume_has_its_bricks_in_order_and_its_options() {
        let volume = answer("volume-info").volume().unwrap();
        assert!(volume.started);
        let hosts: Vec<_> = volume.bricks.iter().map(|brick| brick.host.as_str()).collect();
        assert_eq!(hosts, ["192.168.0.224", "192.168.0.204", "192.168.0.173"]);
        assert!(volume.bricks[0].path.as_path().as_str().ends_with("/brick"));
        assert!(volume.options.iter().any(|(key, _)| key == "transport.address-family"), "{:?}", volume.options);
        assert!(!answer("volume-info-created").volume().unwrap().started);
        assert!(!answer("volume-info-stopped").volume().unwrap().started);
    }

    #[test]
    fn a_list_of_volumes_may_be_empty() {
        assert_eq!(answer("volume-list-empty").volumes().unwrap(), []);
        assert_eq!(answer("volume-list").volumes().unwrap(), ["vol_0001".parse().unwrap()]);
    }

    #[test]
    fn what_gluster_refuses_is_a_failure_in_its_own_words_though_it_ends_well() {
        for (name, words) in [
            ("volume-create-again", "Volume vol_0001 already exists"),
            ("volume-create-one-down", "Host 192.168.0.173 not connected"),
            ("volume-start-again", "Volume vol_0001 already started"),
            ("volume-delete-missing", "Volume vol_0001 does not exist"),
            ("peer-probe-dead", "Probe returned with Transport endpoint is not connected"),
            ("peer-detach-in-use", "Peer 192.168.0.173 hosts one or more bricks."),
            ("volume-set-unknown", "option : no.such.option does not exist Did you mean"),
            ("daemon-down", "glusterd does not answer on this host"),
        ] {
            let Judged::Failed(said) = judged(name) else { panic!("{name} was taken for a success") };
            assert!(said.starts_with(words), "{name}: {said}");
        }
    }

    #[test]
    fn a_volume_that_is_not_there_is_known_by_its_number() {
        assert!(matches!(judged("volume-info-missing"), Judged::NoSuchVolume));
    }

    #[test]
    fn a_probe_of_a_known_peer_is_a_success() {
        answer("peer-probe");
        answer("peer-probe-again");
        answer("peer-probe-self");
    }

    #[test]
    fn what_is_refused_while_peers_are_down_is_told_from_other_failures() {
        let Judged::PeersDown(said) = judged("volume-delete-one-down") else { panic!("taken for something else") };
        assert_eq!(said, "Some of the peers are down");
    }

    #[test]
    fn a_movement_that_was_never_started_or_a_snapshot_that_is_not_there_is_no_failure() {
        assert!(matches!(judged("snapshot-info-missing"), Judged::Nothing));
        assert!(matches!(judged("snapshot-create-one-down"), Judged::Failed(_)));
        assert!(matches!(judged("rebalance-status-not-started"), Judged::Nothing));
        assert!(matches!(judged("remove-brick-status-not-started"), Judged::Nothing));
        assert!(matches!(judged("remove-brick-start-again"), Judged::Failed(_)));
        assert!(matches!(judged("remove-brick-commit-early"), Judged::Failed(_)));
    }

    #[test]
    fn the_bricks_of_a_host_that_is_down_are_missing_in_the_status() {
        let online = |name: &str| {
            let status = answer(name).volume_status().unwrap();
            status.iter().map(|brick| (brick.brick.host.to_string(), brick.online)).collect::<Vec<_>>()
        };
        let host = |name: &str| (name.to_owned(), true);
        assert_eq!(online("volume-status"), [host("192.168.0.224"), host("192.168.0.204"), host("192.168.0.173")]);
        assert_eq!(online("volume-status-one-down"), [host("192.168.0.224"), host("192.168.0.204")]);
    }

    #[test]
    fn the_entries_to_heal_are_counted_per_brick_and_unknown_of_a_brick_that_is_down() {
        let pending = |name: &str| {
            let heal = answer(name).heal().unwrap();
            heal.bricks.iter().map(|brick| (brick.online, brick.pending)).collect::<Vec<_>>()
        };
        assert_eq!(pending("heal-summary"), [(true, Some(0)); 3]);
        let [(true, Some(one)), (true, Some(other)), (true, Some(0))] = pending("heal-summary-pending")[..3] else {
            panic!("{:?}", pending("heal-summary-pending"))
        };
        assert!(one > 0 && one == other);
        assert_eq!(pending("heal-summary-one-down")[..3], [(true, Some(0)), (true, Some(0)), (false, None)]);
        // As `heal info` prints it of a brick that is down, and older versions here too.
        assert_eq!(pending("heal-info-one-down"), [(true, Some(0)), (true, Some(0)), (false, None)]);
    }

    #[test]
    fn a_movement_is_read_host_by_host() {
        let rebalance = answer("rebalance-status").movement().unwrap();
        assert_eq!(rebalance.state, RebalanceState::Completed);
        let hosts: Vec<_> = rebalance.nodes.iter().map(|node| node.host.as_str()).collect();
        assert_eq!(hosts, ["192.168.0.204", "192.168.0.173", "localhost"]);
        let drain = answer("remove-brick-status").movement().unwrap();
        assert_eq!(drain.state, RebalanceState::Running);
        let [node] = drain.nodes.as_slice() else { panic!("{drain:?}") };
        assert_eq!((node.host.as_str(), node.state, node.failures), ("192.168.0.173", RebalanceState::Running, 0));
        assert!(node.scanned > 0 && node.moved.bytes() > node.files, "{node:?}");
        assert_eq!(answer("remove-brick-status-completed").movement().unwrap().state, RebalanceState::Completed);
    }

    #[test]
    fn a_snapshot_is_active_when_its_volume_is_started() {
        assert!(!answer("snapshot-info").snapshot().unwrap().active);
        assert!(answer("snapshot-info-started").snapshot().unwrap().active);
    }

    #[test]
    fn a_clone_inherits_the_id_of_its_source_and_has_its_bricks_where_glusterd_mounts_them() {
        let clone = answer("volume-info-clone").volume().unwrap();
        assert!(!clone.started);
        assert!(clone.options.iter().any(|(key, value)| key == "user.bricklayer.id" && value == "0001"));
        assert!(clone.bricks.iter().all(|brick| brick.path.as_path().starts_with("/run/gluster/snaps")));
    }

    #[test]
    fn a_snapshot_keeps_its_name_and_is_cloned_under_another() {
        let (name, volume) = ("tmpsnap_1".parse().unwrap(), "vol_1".parse().unwrap());
        let gluster = Gluster::find();
        let words = |call: Call| call.words().replace("gluster --mode=script --xml ", "");
        assert_eq!(words(gluster.snapshot_create(&name, &volume)), "snapshot create tmpsnap_1 vol_1 no-timestamp");
        assert_eq!(words(gluster.snapshot_clone(&name, &volume)), "snapshot clone vol_1 tmpsnap_1");
        assert_eq!(words(gluster.snapshot_activate(&name, false)), "snapshot deactivate tmpsnap_1");
    }

    #[test]
    fn bricks_without_a_process_are_started_by_the_force_of_a_start() {
        let gluster = Gluster::find();
        let call = gluster.volume_start_bricks(&"vol_1".parse().unwrap());
        assert_eq!(call.words(), "gluster --mode=script --xml volume start vol_1 force");
    }

    #[test]
    fn bricks_are_added_replaced_and_drained_without_a_force_that_loses_data() {
        let name = "vol_1".parse().unwrap();
        let brick = |host: &str| BrickAddress {
            host: host.parse().unwrap(),
            path: "/m/vg_a/brick_b/brick".to_owned().try_into().unwrap(),
        };
        let gluster = Gluster::find();
        let (one, two) = ("gfs1:/m/vg_a/brick_b/brick", "gfs2:/m/vg_a/brick_b/brick");
        let head = "gluster --mode=script --xml volume";
        assert_eq!(
            gluster.add_bricks(&name, &[brick("gfs1"), brick("gfs2")]).words(),
            format!("{head} add-brick vol_1 {one} {two}")
        );
        assert_eq!(
            gluster.replace_brick(&name, &brick("gfs1"), &brick("gfs2")).words(),
            format!("{head} replace-brick vol_1 {one} {two} commit force")
        );
        for (what, word) in [(Drain::Start, "start"), (Drain::Stop, "stop"), (Drain::Commit, "commit")] {
            assert_eq!(
                gluster.drain(&name, &brick("gfs1"), what).words(),
                format!("{head} remove-brick vol_1 {one} {word}")
            );
        }
        assert_eq!(
            gluster.peer_detach(&"gfs1".parse().unwrap(), true).words(),
            "gluster --mode=script --xml peer detach gfs1 force"
        );
    }

    fn judged_text(errno: i64, text: &str) -> Judged {
        let xml =
            format!("<cliOutput><opRet>-1</opRet><opErrno>{errno}</opErrno><opErrstr>{text}</opErrstr></cliOutput>");
        judge(&Gluster::find().volume_list(), xml.as_bytes(), "")
    }

    #[test]
    fn another_transaction_is_waited_for_and_a_time_out_is_unknown() {
        assert!(matches!(judged_text(30802, ""), Judged::Busy(_)));
        let text = "Another transaction is in progress for v1. Please try again after some time.";
        assert!(matches!(judged_text(30800, text), Judged::Busy(_)));
        assert!(matches!(judged_text(30800, "Locking failed on gfs2."), Judged::Busy(_)));
        assert!(matches!(judged_text(0, "Error : Request timed out"), Judged::Unknown));
        let call = Gluster::find().volume_list();
        for (stdout, stderr) in [("Error : Request timed out\n", ""), ("", "Error : Request timed out\n")] {
            assert!(matches!(judge(&call, stdout.as_bytes(), stderr), Judged::Unknown), "of a busy host it is no XML");
        }
    }

    #[test]
    fn the_launch_of_a_heal_is_answered_by_text_and_read() {
        let heal = Gluster::find().heal_start(&"vol_1".parse().unwrap());
        let launched = include_bytes!("../../../tests/fixtures/glusterfs-10.3/heal-start.xml");
        assert!(matches!(judge(&heal, launched, ""), Judged::Answer(_)));
        let missing = include_str!("../../../tests/fixtures/glusterfs-10.3/heal-start-missing.stderr.txt");
        let Judged::Failed(said) = judge(&heal, b"", missing) else { panic!("there is no such volume") };
        assert_eq!(said, "Volume none does not exist");
        let busy = "Launching heal operation to perform index self heal on volume vol_1 has been unsuccessful:\n\
                    Another transaction is in progress for vol_1. Please try again after some time.";
        assert!(matches!(judge(&heal, b"", busy), Judged::Busy(_)));
        let unattended = "Launching heal operation to perform index self heal on volume vol_1 has been unsuccessful:\n\
                          Self-heal daemon is not running. Check self-heal daemon log file.";
        let Judged::Failed(said) = judge(&heal, b"", unattended) else { panic!("nobody is there to heal") };
        assert_eq!(said, "Self-heal daemon is not running. Check self-heal daemon log file.");
    }

    #[test]
    fn a_volume_is_created_set_by_set_in_the_order_given() {
        let brick = |host: &str| BrickAddress {
            host: host.parse().unwrap(),
            path: "/m/vg_a/brick_b/brick".to_owned().try_into().unwrap(),
        };
        let bricks = ["gfs3", "gfs1", "gfs2"].map(brick);
        let name = "vol_1".parse().unwrap();
        let words = |layout| Gluster::find().volume_create(&name, layout, &bricks).words();
        let tail = "gfs3:/m/vg_a/brick_b/brick gfs1:/m/vg_a/brick_b/brick gfs2:/m/vg_a/brick_b/brick";
        let head = "gluster --mode=script --xml volume create vol_1";
        assert_eq!(words(Layout::Replicate { replica: 3 }), format!("{head} replica 3 {tail}"));
        assert_eq!(words(Layout::Arbiter), format!("{head} replica 3 arbiter 1 {tail}"));
        assert_eq!(words(Layout::Distribute), format!("{head} {tail}"));
        let disperse = Layout::Disperse { data: 2, redundancy: 1 };
        assert_eq!(words(disperse), format!("{head} disperse-data 2 redundancy 1 {tail}"));
    }
}
