//! Starts programs. Nothing else in Bricklayer does.
//!
//! A program is an absolute path found once, its arguments are words, its environment is empty but for what is set
//! here, and no shell is near. What only reads is killed when nobody waits for it any more. What writes is never
//! killed, as a half-done `lvcreate` leaves suspended devices behind: past its limit the caller is told that it still
//! runs, and it goes on in a task of its own, which keeps the locks of whoever started it until it has ended.

use std::process::{ExitStatus, Output, Stdio};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Child;

use crate::host::HostError;
use crate::lock;

/// Where the programs of a host are looked for, in this order.
const FOLDERS: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];

/// No program of ours says more than this. What comes after is read and dropped, so that the program can end.
const MOST_OUTPUT: u64 = 32 << 20;

/// A program of this host, found once.
#[derive(Clone, Debug)]
pub struct Program {
    name: &'static str,
    path: Option<Utf8PathBuf>,
}

impl Program {
    #[must_use]
    pub fn find(name: &'static str) -> Self {
        let path = FOLDERS.iter().map(|folder| Utf8Path::new(folder).join(name)).find(|path| path.is_file());
        Self { name, path }
    }

    pub fn must_be_there(&self) -> Result<(), HostError> {
        match &self.path {
            Some(_) => Ok(()),
            None => Err(HostError::Missing { program: self.name.to_owned() }),
        }
    }

    /// A call that changes nothing.
    #[must_use]
    pub fn reads<W: Into<String>>(&self, args: impl IntoIterator<Item = W>) -> Call {
        self.call(args, Effect::Reads, Duration::from_secs(60))
    }

    /// A call that changes something: never killed.
    #[must_use]
    pub fn writes<W: Into<String>>(&self, args: impl IntoIterator<Item = W>) -> Call {
        self.call(args, Effect::Writes, Duration::from_secs(300))
    }

    fn call<W: Into<String>>(&self, args: impl IntoIterator<Item = W>, effect: Effect, limit: Duration) -> Call {
        let args = args.into_iter().map(Into::into).collect();
        Call { program: self.clone(), args, script: None, effect, limit, title: None, discreet: false }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Reads,
    Writes,
}

/// One run of a program, ready to be started.
#[derive(Clone, Debug)]
pub struct Call {
    program: Program,
    args: Vec<String>,
    script: Option<String>,
    effect: Effect,
    limit: Duration,
    title: Option<String>,
    /// What it prints is not for the log.
    discreet: bool,
}

/// What a program said, whatever its exit status.
#[derive(Debug)]
pub struct Said {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Said {
    /// Whether it named anything that went wrong.
    #[must_use]
    pub fn complained(&self) -> bool {
        complaint(&self.stderr).is_some()
    }
}

impl Call {
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// There may be secrets in what it prints: none of that goes into the log.
    #[must_use]
    pub fn discreet(mut self) -> Self {
        self.discreet = true;
        self
    }

    /// Lines for the program's standard input, which otherwise is empty: a question is answered by silence, "no".
    #[must_use]
    pub fn with_script(mut self, script: String) -> Self {
        self.script = Some(script);
        self
    }

    /// What messages call it, where its words are too many for a sentence.
    #[must_use]
    pub fn titled(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// What messages call it.
    #[must_use]
    pub fn title(&self) -> String {
        self.title.clone().unwrap_or_else(|| self.words())
    }

    /// The program and all its words, as tests and the log show them.
    #[must_use]
    pub fn words(&self) -> String {
        let mut words = self.program.name.to_owned();
        for arg in &self.args {
            words.push(' ');
            words.push_str(arg);
        }
        words
    }

    /// The lines of its standard input.
    #[must_use]
    pub fn script(&self) -> Option<&str> {
        self.script.as_deref()
    }

    /// Runs it; a program that fails is an error.
    pub async fn run(&self) -> Result<Vec<u8>, HostError> {
        let said = self.run_whatever_comes().await?;
        if said.status.success() { Ok(said.stdout) } else { Err(self.failed(&said)) }
    }

    /// Runs it; how it ended is for the caller to judge.
    pub async fn run_whatever_comes(&self) -> Result<Said, HostError> {
        let child = self.start()?;
        let script = self.script.clone();
        let words = self.words();
        tracing::debug!(command = %words, "running");
        let limit = self.limit;
        let output = match self.effect {
            // Dropping the future drops the child, which kills it.
            Effect::Reads => tokio::time::timeout(limit, finish(child, script)).await,
            Effect::Writes => {
                let locks = lock::held();
                let ending = tokio::spawn(async move {
                    let output = finish(child, script).await;
                    drop(locks);
                    output
                });
                let waited = tokio::time::timeout(limit, ending).await;
                waited.map(|joined| joined.unwrap_or_else(|error| Err(std::io::Error::other(error))))
            }
        };
        let output = match output {
            Ok(output) => output.map_err(|source| HostError::Io { what: self.title(), source })?,
            Err(_) => {
                tracing::warn!(command = %words, seconds = limit.as_secs(), "no end in time");
                return Err(match self.effect {
                    Effect::Reads => HostError::Failed {
                        what: self.title(),
                        said: format!("no answer within {} s", limit.as_secs()),
                    },
                    Effect::Writes => HostError::StillRunning { what: self.title(), seconds: limit.as_secs() },
                });
            }
        };
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let complained = if self.discreet { "[not shown]" } else { stderr.trim() };
        tracing::debug!(command = %words, status = %output.status, stderr = complained, "ended");
        Ok(Said { status: output.status, stdout: output.stdout, stderr })
    }

    /// The error for a run that ended badly.
    #[must_use]
    pub fn failed(&self, said: &Said) -> HostError {
        let complaint = complaint(&said.stderr).or_else(|| complaint(&String::from_utf8_lossy(&said.stdout)));
        HostError::Failed { what: self.title(), said: complaint.unwrap_or_else(|| said.status.to_string()) }
    }

    fn start(&self) -> Result<Child, HostError> {
        let Some(path) = &self.program.path else {
            return Err(HostError::Missing { program: self.program.name.to_owned() });
        };
        #[expect(clippy::disallowed_methods, reason = "the one place that starts processes")]
        let mut command = tokio::process::Command::new(path);
        command
            .args(&self.args)
            .env_clear()
            .env("LC_ALL", "C.UTF-8")
            .env("PATH", FOLDERS.join(":"))
            // LVM complains of descriptors that it was not born with; systemd leaves some open on purpose.
            .env("LVM_SUPPRESS_FD_WARNINGS", "1")
            .current_dir("/")
            .stdin(if self.script.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A signal to the agent's group, such as Ctrl-C at a terminal, is not meant for a running lvcreate.
            .process_group(0)
            .kill_on_drop(self.effect == Effect::Reads);
        command.spawn().map_err(|source| HostError::Io { what: self.title(), source })
    }
}

async fn finish(mut child: Child, script: Option<String>) -> std::io::Result<Output> {
    let stdin = child.stdin.take();
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let feed = async {
        if let (Some(mut stdin), Some(script)) = (stdin, script) {
            // A program that ends before it has read everything says more by its status than a broken pipe does.
            let _ = stdin.write_all(script.as_bytes()).await;
        }
    };
    let ((), stdout, stderr, status) = tokio::join!(feed, bounded(stdout), bounded(stderr), child.wait());
    Ok(Output { status: status?, stdout: stdout?, stderr: stderr? })
}

async fn bounded(pipe: Option<impl AsyncRead + Unpin>) -> std::io::Result<Vec<u8>> {
    let Some(mut pipe) = pipe else { return Ok(Vec::new()) };
    let mut kept = Vec::new();
    (&mut pipe).take(MOST_OUTPUT).read_to_end(&mut kept).await?;
    tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await?;
    Ok(kept)
}

/// What went wrong, in the program's own words: without hints, without warnings, without a usage of fifty lines. LVM
/// tells the cause first and its consequences after, so the first lines count.
fn complaint(text: &str) -> Option<String> {
    let usage = text.find("\nUsage:").unwrap_or(text.len());
    let mut lines: Vec<&str> = Vec::new();
    for line in text[..usage].lines().map(str::trim) {
        let hint = line.is_empty() || line.starts_with("Run `") || line.starts_with("WARNING: ") && !line.contains('?');
        if !hint && !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines.truncate(3);
    (!lines.is_empty()).then(|| lines.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::{Key, Locks};

    fn shell(effect: Effect, line: &str, limit: Duration) -> Call {
        // The one shell in Bricklayer: a stand-in for programs that are slow, talkative or rude.
        let program = Program::find("sh");
        Call {
            program,
            args: vec!["-c".into(), line.into()],
            script: None,
            effect,
            limit,
            title: None,
            discreet: false,
        }
    }

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_program_sees_an_empty_environment_and_an_empty_input() {
        let out = shell(Effect::Reads, "env | cut -d= -f1 | sort; cat", LONG).run().await.unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "LC_ALL\nLVM_SUPPRESS_FD_WARNINGS\nPATH\nPWD\n");
    }

    #[tokio::test]
    async fn a_failure_names_the_command_and_repeats_what_it_complained_of() {
        let line = "echo 'WARNING: this and that' >&2; echo '  Volume group \"a\" not found' >&2; exit 5";
        let error = shell(Effect::Writes, line, LONG).run().await.unwrap_err();
        assert!(matches!(error, HostError::Failed { said, .. } if said == "Volume group \"a\" not found"));
    }

    #[tokio::test]
    async fn a_missing_program_is_named() {
        let program = Program::find("no-such-program");
        assert_eq!(program.must_be_there().unwrap_err().to_string(), "no-such-program is not installed on this host");
        let error = program.reads(["-V"]).run().await.unwrap_err();
        assert_eq!(error.to_string(), "no-such-program is not installed on this host");
    }

    #[tokio::test]
    async fn more_output_than_fits_is_cut_and_the_program_still_ends() {
        let line = format!("head -c {} /dev/zero", MOST_OUTPUT + 3_000_000);
        let out = shell(Effect::Reads, &line, LONG).run().await.unwrap();
        assert_eq!(out.len() as u64, MOST_OUTPUT);
    }

    #[tokio::test]
    async fn a_writer_past_its_limit_is_left_to_finish_and_keeps_the_lock_until_then() {
        let dir = tempfile::tempdir().unwrap();
        let gate = dir.path().join("gate").display().to_string();
        let done = dir.path().join("done");
        rustix::fs::mkfifoat(rustix::fs::CWD, gate.as_str(), rustix::fs::Mode::RWXU).unwrap();
        let line = format!("cat {gate}; touch {}", done.display());
        let locks = Locks::default();
        let group = Key::Group("vg_a".parse().unwrap());
        let call = shell(Effect::Writes, &line, Duration::from_millis(50));
        let error = locks.holding(vec![group.clone()], call.run()).await.unwrap_err();
        assert!(matches!(error, HostError::StillRunning { .. }), "{error:?}");

        let waiting = tokio::time::timeout(Duration::from_millis(50), locks.take(group.clone())).await;
        assert!(waiting.is_err(), "the lock was free while the program ran");
        std::fs::write(&gate, "go").unwrap();
        locks.take(group).await;
        assert!(done.exists());
    }

    #[test]
    fn the_complaint_of_mkfs_is_not_its_usage() {
        let text = include_str!("../../../tests/fixtures/util-linux-2.38/mkfs-xfs-again.stderr.txt");
        assert!(complaint(text).unwrap().ends_with("contains a mounted filesystem"));
    }

    #[test]
    fn the_complaint_of_lvm_is_not_its_hint() {
        let text = include_str!("../../../tests/fixtures/lvm-2.03.16/lvcreate-error-when-full-refused.stderr.txt");
        assert_eq!(complaint(text).unwrap(), "Option --errorwhenfull is unsupported with thin pools.");
        let text = include_str!("../../../tests/fixtures/lvm-2.03.16/pvcreate-in-group.stderr.txt");
        let said = complaint(text).unwrap();
        assert!(said.starts_with("Can't initialize physical volume \"/dev/sde\" of volume group \"old\""), "{said}");
    }
}
