//! The `gluster-block` command line: words in, JSON out.
//!
//! Its JSON comes on standard output or, when something went wrong, on standard error; `RESULT` and `errMsg` decide.
//! Passwords are in what it prints, so nothing of that is logged or repeated but `errMsg`. It only hands a request to
//! the host's daemon: killing it would stop nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bricklayer_proto::names::{BlockName, HostName, VolumeName};
use bricklayer_proto::size::{ByteSize, GIB};
use serde::Deserialize;
use tokio::sync::OnceCell;

use super::real::RealHost;
use super::run::{Call, Program, Said};
use crate::host::{BlockInfo, BlockTool, HostError, NewBlock, PrintedSize};

/// A large file is written in full before a create ends.
const LIMIT: Duration = Duration::from_secs(30 * 60);

/// The unit that listens for the command line.
const DAEMON: &str = "gluster-blockd";

#[derive(Clone, Debug)]
pub struct GlusterBlock {
    program: Program,
    /// It stays the same for as long as this process has found that program.
    version: Arc<OnceCell<Option<String>>>,
}

impl GlusterBlock {
    #[must_use]
    pub fn find() -> Self {
        Self { program: Program::find("gluster-block"), version: Arc::default() }
    }

    fn version(&self) -> Call {
        self.program.reads(["version"])
    }

    fn info(&self, hosting: &VolumeName, name: &BlockName) -> Call {
        self.program.reads(["info".to_owned(), format!("{hosting}/{name}"), "--json".to_owned()]).discreet()
    }

    fn create(&self, hosting: &VolumeName, name: &BlockName, new: &NewBlock) -> Call {
        let hosts: Vec<&str> = new.hosts.iter().map(HostName::as_str).collect();
        self.changes([
            "create".to_owned(),
            format!("{hosting}/{name}"),
            "ha".to_owned(),
            new.hosts.len().to_string(),
            "auth".to_owned(),
            if new.auth { "enable" } else { "disable" }.to_owned(),
            "prealloc".to_owned(),
            new.preallocation.as_str().to_owned(),
            hosts.join(","),
            size_word(new.size),
            "--json".to_owned(),
        ])
    }

    fn resize(&self, hosting: &VolumeName, name: &BlockName, to: ByteSize) -> Call {
        self.changes([
            "modify".to_owned(),
            format!("{hosting}/{name}"),
            "size".to_owned(),
            size_word(to),
            "--json".to_owned(),
        ])
    }

    fn delete(&self, hosting: &VolumeName, name: &BlockName) -> Call {
        self.changes(["delete".to_owned(), format!("{hosting}/{name}"), "--json".to_owned()])
    }

    fn changes<const N: usize>(&self, words: [String; N]) -> Call {
        let title = format!("gluster-block {} {}", words[0], words[1]);
        self.program.writes(words).within(LIMIT).titled(title).discreet()
    }
}

/// Whole GiB where it is one, as people read it in the logs of `gluster-blockd`; else bytes.
fn size_word(size: ByteSize) -> String {
    if size.bytes().is_multiple_of(GIB) { format!("{}GiB", size.whole_gib()) } else { size.bytes().to_string() }
}

#[async_trait]
impl BlockTool for RealHost {
    async fn block_version(&self) -> Option<String> {
        let tool = self.gluster_block();
        let ask = async || match tool.version().run_whatever_comes().await {
            Ok(said) => Ok(Some(version(&String::from_utf8_lossy(&said.stdout)))),
            Err(HostError::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        };
        match tool.version.get_or_try_init(ask).await {
            Ok(version) => version.clone(),
            Err(error) => {
                tracing::warn!("gluster-block does not tell its version: {}", crate::engine::chain(&error));
                None
            }
        }
    }

    async fn block_info(&self, hosting: &VolumeName, name: &BlockName) -> Result<Option<BlockInfo>, HostError> {
        let call = self.gluster_block().info(hosting, name);
        match judge(&call, &call.run_whatever_comes().await?)? {
            Judged::Done(reply) => info(&call, *reply).map(Some),
            Judged::Absent => Ok(None),
            Judged::Failed(said) => Err(HostError::Failed { what: call.title(), said }),
        }
    }

    async fn block_create(&self, hosting: &VolumeName, name: &BlockName, new: &NewBlock) -> Result<(), HostError> {
        change(&self.gluster_block().create(hosting, name, new)).await
    }

    async fn block_resize(&self, hosting: &VolumeName, name: &BlockName, to: ByteSize) -> Result<(), HostError> {
        change(&self.gluster_block().resize(hosting, name, to)).await
    }

    async fn block_delete(&self, hosting: &VolumeName, name: &BlockName) -> Result<(), HostError> {
        change(&self.gluster_block().delete(hosting, name)).await
    }
}

async fn change(call: &Call) -> Result<(), HostError> {
    match judge(call, &call.run_whatever_comes().await?)? {
        Judged::Done(_) => Ok(()),
        Judged::Absent => {
            Err(HostError::Failed { what: call.title(), said: "there is no such block volume".to_owned() })
        }
        Judged::Failed(said) => Err(HostError::Failed { what: call.title(), said }),
    }
}

enum Judged {
    Done(Box<Reply>),
    /// There is no block volume of that name.
    Absent,
    Failed(String),
}

#[derive(Deserialize)]
struct Reply {
    #[serde(rename = "RESULT")]
    result: Option<String>,
    #[serde(rename = "errCode", default)]
    code: i64,
    #[serde(rename = "errMsg")]
    message: Option<String>,
    #[serde(rename = "GBID")]
    gbid: Option<String>,
    #[serde(rename = "SIZE")]
    size: Option<String>,
    #[serde(rename = "HA")]
    ha: Option<u64>,
    #[serde(rename = "PASSWORD", default)]
    password: String,
    #[serde(rename = "EXPORTED ON", default)]
    exported_on: Vec<String>,
    #[serde(rename = "RESIZE FAILED ON", default)]
    resize_failed_on: BTreeMap<String, String>,
}

fn judge(call: &Call, said: &Said) -> Result<Judged, HostError> {
    let stdout = String::from_utf8_lossy(&said.stdout);
    let text = if stdout.trim().is_empty() { said.stderr.trim() } else { stdout.trim() };
    if text.contains("Connection failed") || text.contains("daemon is operational") {
        return Err(HostError::NotRunning { service: DAEMON.to_owned() });
    }
    let reply: Reply = serde_json::from_str(text).map_err(|error| HostError::Unreadable {
        what: format!("the answer of {}", call.title()),
        // Not serde's own text, which repeats what it read, and that may be a password.
        why: format!("no JSON as it is known, at line {} column {}", error.line(), error.column()),
    })?;
    if reply.result.as_deref().is_none_or(|result| result == "SUCCESS") && reply.code == 0 && said.status.success() {
        return Ok(Judged::Done(Box::new(reply)));
    }
    let message = reply.message.as_deref().unwrap_or_default().trim();
    if message.contains("doesn't exist") || message.contains("does not exist") {
        return Ok(Judged::Absent);
    }
    Ok(Judged::Failed(match message {
        "" => format!("it ended with {} and told no reason (number {})", said.status, reply.code),
        message => message.split_whitespace().collect::<Vec<_>>().join(" "),
    }))
}

fn info(call: &Call, reply: Reply) -> Result<BlockInfo, HostError> {
    let unreadable = |why: String| HostError::Unreadable { what: format!("the answer of {}", call.title()), why };
    let size = |text: &str| printed_size(text).ok_or_else(|| unreadable(format!("the size {text:?}")));
    let host = |text: &String| text.parse::<HostName>().map_err(|error| unreadable(error.to_string()));
    let gbid = reply.gbid.filter(|gbid| !gbid.is_empty()).ok_or_else(|| unreadable("it has no GBID".to_owned()))?;
    let behind = reply.resize_failed_on.iter().map(|(name, text)| Ok((host(name)?, size(text)?)));
    Ok(BlockInfo {
        gbid,
        size: size(reply.size.as_deref().unwrap_or_default())?,
        ha: reply.ha.ok_or_else(|| unreadable("it has no HA".to_owned()))?,
        hosts: reply.exported_on.iter().map(host).collect::<Result<_, _>>()?,
        behind: behind.collect::<Result<_, HostError>>()?,
        password: reply.password.into(),
    })
}

/// `100.0 GiB`.
fn printed_size(text: &str) -> Option<PrintedSize> {
    let (number, unit) = text.trim().split_once(' ')?;
    let power = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"].iter().position(|known| *known == unit)?;
    let (whole, tenths) = number.split_once('.').unwrap_or((number, "0"));
    let (whole, tenths): (u64, u64) = (whole.parse().ok()?, tenths.parse().ok().filter(|digit| *digit < 10)?);
    PrintedSize::of_tenths(whole.checked_mul(10)?.checked_add(tenths)?, 1 << (10 * power))
}

/// `gluster-block (0.5.1)` and more lines.
fn version(text: &str) -> String {
    let number = |word: &&str| word.starts_with(|first: char| first.is_ascii_digit());
    let words = text.split_whitespace().map(|word| word.trim_matches(|mark| matches!(mark, '(' | ')')));
    words.into_iter().find(number).unwrap_or("unknown").to_owned()
}

/// Reads the answer as the answer to every question: for the fuzz target, to which this is the only way in.
#[doc(hidden)]
pub fn read_as_anything(stdout: &[u8]) {
    let call = GlusterBlock::find().version();
    let said = Said { status: std::process::ExitStatus::default(), stdout: stdout.to_vec(), stderr: String::new() };
    if let Ok(Judged::Done(reply)) = judge(&call, &said) {
        let _ = info(&call, *reply);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::ExitStatus;

    use bricklayer_proto::block::Preallocation;

    use super::*;

    fn tool() -> GlusterBlock {
        GlusterBlock::find()
    }

    fn place() -> (VolumeName, BlockName) {
        ("vol_1".parse().unwrap(), "blk".parse().unwrap())
    }

    fn said(stdout: &str, stderr: &str, status: i32) -> Said {
        let status = ExitStatus::from_raw(status << 8);
        Said { status, stdout: stdout.as_bytes().to_vec(), stderr: stderr.to_owned() }
    }

    fn judged(stdout: &str, stderr: &str, status: i32) -> Result<Judged, HostError> {
        let (hosting, name) = place();
        judge(&tool().info(&hosting, &name), &said(stdout, stderr, status))
    }

    #[test]
    fn a_create_names_hosts_size_login_and_preallocation() {
        let (hosting, name) = place();
        let new = NewBlock {
            size: ByteSize::from_gib(5).unwrap(),
            hosts: vec!["192.168.0.3".parse().unwrap(), "192.168.0.1".parse().unwrap()],
            auth: true,
            preallocation: Preallocation::Full,
        };
        assert_eq!(
            tool().create(&hosting, &name, &new).words(),
            "gluster-block create vol_1/blk ha 2 auth enable prealloc full 192.168.0.3,192.168.0.1 5GiB --json"
        );
        let new = NewBlock { auth: false, preallocation: Preallocation::No, ..new };
        assert!(tool().create(&hosting, &name, &new).words().contains("auth disable prealloc no"));
    }

    #[test]
    fn the_other_commands_name_the_block_volume() {
        let (hosting, name) = place();
        let to = ByteSize::from_gib(9).unwrap();
        assert_eq!(tool().info(&hosting, &name).words(), "gluster-block info vol_1/blk --json");
        assert_eq!(tool().delete(&hosting, &name).words(), "gluster-block delete vol_1/blk --json");
        assert_eq!(tool().resize(&hosting, &name, to).words(), "gluster-block modify vol_1/blk size 9GiB --json");
    }

    const INFO: &str = r#"{ "NAME":"blk", "VOLUME":"vol_1", "GBID":"6b60c53c-8ce0-4d8d-a42c-5b546bca3d09",
        "SIZE":"5.0 GiB", "HA":2, "PASSWORD":"0839c829", "EXPORTED ON":[ "192.168.0.3", "192.168.0.1" ] }"#;

    #[test]
    fn info_tells_who_exports_what() {
        let (hosting, name) = place();
        let Ok(Judged::Done(reply)) = judged(INFO, "", 0) else { panic!("it was understood") };
        let info = info(&tool().info(&hosting, &name), *reply).unwrap();
        assert_eq!(info.gbid, "6b60c53c-8ce0-4d8d-a42c-5b546bca3d09");
        assert!(info.size.may_be(ByteSize::from_gib(5).unwrap()) && info.is_whole());
        assert_eq!(info.password.expose(), "0839c829");
        assert!(info.behind.is_empty());
    }

    #[test]
    fn hosts_that_a_resize_did_not_reach_are_told_with_their_size() {
        let (hosting, name) = place();
        let text = INFO.replace(" }", r#", "RESIZE FAILED ON":{ "192.168.0.1":"3.0 GiB" } }"#);
        let Ok(Judged::Done(reply)) = judged(&text, "", 0) else { panic!("it was understood") };
        let info = info(&tool().info(&hosting, &name), *reply).unwrap();
        let behind: Vec<_> = info.behind.iter().map(|(host, size)| (host.as_str(), size.nearest())).collect();
        assert_eq!(behind, [("192.168.0.1", ByteSize::from_gib(3).unwrap())]);
    }

    #[test]
    fn a_failure_is_told_in_its_own_words_wherever_the_json_is() {
        let text = r#"{ "RESULT": "FAIL", "errCode": 255, "errMsg": "failed to configure on 192.168.0.1\n" }"#;
        for (stdout, stderr) in [(text, ""), ("", text)] {
            let Ok(Judged::Failed(message)) = judged(stdout, stderr, 255) else { panic!("it failed") };
            assert_eq!(message, "failed to configure on 192.168.0.1");
        }
    }

    #[test]
    fn a_block_volume_that_does_not_exist_is_absent() {
        let text = r#"{ "RESULT": "FAIL", "errCode": 2, "errMsg": "block vol_1/blk doesn't exist" }"#;
        assert!(matches!(judged(text, "", 2), Ok(Judged::Absent)));
    }

    #[test]
    fn a_daemon_that_does_not_run_is_named() {
        let text = "Connection failed. Please check if gluster-block daemon is operational.";
        let error = judged("", text, 255).err().unwrap();
        assert_eq!(error.to_string(), "gluster-blockd does not run on this host");
    }

    #[test]
    fn no_error_repeats_a_password() {
        let broken = INFO.replace("\"HA\":2", "\"HA\":\"0839c829\"");
        for text in [broken.as_str(), "PASSWORD: 0839c829", r#"{"PASSWORD":"0839c829","RESULT":"FAIL","errCode":1}"#] {
            let told = match judged(text, "", 1) {
                Err(error) => crate::engine::chain(&error),
                Ok(Judged::Failed(said)) => said,
                Ok(_) => panic!("{text} was taken for a success"),
            };
            assert!(!told.contains("0839c829"), "{told}");
        }
    }

    #[test]
    fn sizes_and_versions_are_read_as_they_are_printed() {
        let size = |text: &str| printed_size(text).map(|size| size.nearest().bytes());
        assert_eq!(size("1.5 TiB"), Some(3 << 39));
        assert_eq!(size("20.0 MiB"), Some(20 << 20));
        for wrong in ["", "5", "5 GB", "5.55 GiB", "-1.0 GiB"] {
            assert_eq!(size(wrong), None, "{wrong}");
        }
        assert_eq!(version("gluster-block (0.5.1)\nRepository rev: x\n"), "0.5.1");
    }
}
