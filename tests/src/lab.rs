//! Real hosts in user-mode Linux, driven through `tests/lab/lab` as a person drives it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

/// A lab that is up; taken down when this goes, also when a test fails, unless `LAB_KEEP` is set.
pub struct Lab {
    name: String,
}

/// What a command on a host or against the coordinator has answered.
#[derive(Clone, Debug)]
pub struct Answer {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Answer {
    /// Both streams, for texts that may be on either.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

impl Lab {
    /// Starts hosts; `options` are those of `lab up`.
    pub fn up(name: &str, options: &[&str]) -> anyhow::Result<Self> {
        let lab = Self { name: name.to_owned() };
        // What an interrupted run has left.
        lab.must(&["down"])?;
        let words: Vec<&str> = ["up"].iter().chain(options).copied().collect();
        lab.must(&words)?;
        Ok(lab)
    }

    /// Runs `lab WORDS...` and answers what it said.
    pub fn run(&self, words: &[&str]) -> anyhow::Result<Answer> {
        let output = self.command(words).output().context("tests/lab/lab cannot be started")?;
        Ok(answer(&output))
    }

    /// Runs `lab WORDS...`, which must succeed; answers its standard output without the last line break.
    pub fn must(&self, words: &[&str]) -> anyhow::Result<String> {
        let answer = self.run(words)?;
        ensure!(answer.code == 0, "lab {} failed ({}):\n{}", words.join(" "), answer.code, answer.text());
        Ok(answer.stdout.trim_end().to_owned())
    }

    /// Runs a script on a host; it must succeed.
    pub fn on(&self, host: &str, script: &str) -> anyhow::Result<String> {
        self.must(&["exec", host, "--", "sh", "-ec", script])
    }

    pub fn try_on(&self, host: &str, script: &str) -> anyhow::Result<Answer> {
        self.run(&["exec", host, "--", "sh", "-ec", script])
    }

    /// Runs `bricklayer WORDS...`; it must succeed.
    pub fn bricklayer(&self, words: &[&str]) -> anyhow::Result<String> {
        let words: Vec<&str> = ["cli"].iter().chain(words).copied().collect();
        self.must(&words)
    }

    pub fn try_bricklayer(&self, words: &[&str]) -> anyhow::Result<Answer> {
        let words: Vec<&str> = ["cli"].iter().chain(words).copied().collect();
        self.run(&words)
    }

    /// Runs `heketi-cli WORDS...`; it must succeed.
    pub fn heketi(&self, words: &[&str]) -> anyhow::Result<String> {
        let answer = self.try_heketi(words)?;
        ensure!(answer.code == 0, "heketi-cli {} failed ({}):\n{}", words.join(" "), answer.code, answer.text());
        Ok(answer.stdout.trim_end().to_owned())
    }

    pub fn try_heketi(&self, words: &[&str]) -> anyhow::Result<Answer> {
        let program = self.dir().join("programs/heketi-cli");
        let program = program.to_str().context("the path of heketi-cli is not text")?;
        let server = "http://192.168.0.1:8080";
        let words: Vec<&str> = ["net", program, "--server", server].iter().chain(words).copied().collect();
        self.run(&words)
    }

    /// Starts something that goes on while the test does other things.
    pub fn start(&self, words: &[&str]) -> anyhow::Result<std::process::Child> {
        let mut command = self.command(words);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().context("tests/lab/lab cannot be started")
    }

    /// Waits until `condition` holds; what it last answered is in the error.
    pub fn wait_for(
        &self,
        what: &str,
        limit: Duration,
        mut condition: impl FnMut() -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        let end = Instant::now() + limit;
        let mut last = None;
        while Instant::now() < end {
            match condition() {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) => last = Some(error),
            }
            // Asking again costs processes on the hosts: a short pause between looks, not a wait for time to pass.
            std::thread::park_timeout(Duration::from_millis(200));
        }
        match last {
            Some(error) => Err(error.context(format!("waited {limit:?} for {what}"))),
            None => bail!("waited {limit:?} for {what}"),
        }
    }

    /// Beside the lab's own logs, for whoever looks into a failure: what hosts have logged, and what is on them.
    pub fn note_what_hosts_say(&self, hosts: &[&str]) {
        let looks = [
            ("agent", "cat /var/log/bricklayer-agent.log"),
            ("boot", "cat /var/log/boot.log"),
            ("glusterd", "tail -n 3000 /var/log/glusterfs/glusterd.log"),
            (
                "bricks",
                "cd /var/log/glusterfs/bricks && for log in $(ls -t | head -n 12); do echo \"== $log\"; \
                 grep -E ' [ECW] ' \"$log\" | tail -n 60; done; set +e; \
                 for brick in /var/lib/bricklayer/mounts/*/*/brick; do ls -la $brick; ls -ld $brick/.glusterfs/indices; \
                 getfattr -d -m . -e hex $brick; done",
            ),
            (
                "state",
                "set +e; lvs -a -o +lv_tags; vgs; cat /etc/fstab /proc/mounts; ps -ef; dmesg | tail -n 200; \
                 gluster pool list; gluster volume info; gluster volume status",
            ),
        ];
        for host in hosts {
            for (name, script) in looks {
                // A host that does not answer has a console log.
                let said = self.try_on(host, script).map_or_else(|error| format!("{error:#}"), |answer| answer.text());
                let _ = std::fs::write(self.dir().join(format!("{host}-{name}.log")), said);
            }
        }
        let said = self.try_bricklayer(&["operation", "list", "-o", "yaml"]).map(|answer| answer.text());
        let _ = std::fs::write(self.dir().join("operations.log"), said.unwrap_or_default());
    }

    #[must_use]
    pub fn dir(&self) -> PathBuf {
        repository().join("target/lab").join(&self.name)
    }

    #[expect(clippy::disallowed_methods, reason = "the lab is a script, and this is no part of the product")]
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(repository().join("tests/lab/lab"));
        command.args(words).env("LAB_NAME", &self.name).stdin(Stdio::null());
        command
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let kept = repository().join("target").join(format!("{}-failed", self.name));
            // For whoever looks into it afterwards; a failure to copy must not hide the test's own.
            let _ = keep_logs(&self.dir(), &kept);
            eprintln!("The logs of the lab are in {}.", kept.display());
        }
        if std::thread::panicking() && std::env::var_os("LAB_KEEP").is_some() {
            eprintln!("The lab {} is left as it is.", self.name);
            return;
        }
        if let Err(error) = self.must(&["down"]) {
            eprintln!("The lab could not be taken down: {error:#}");
        }
    }
}

fn keep_logs(from: &Path, into: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(into)?;
    for entry in std::fs::read_dir(from)?.flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "log") {
            std::fs::copy(&path, into.join(entry.file_name()))?;
        } else if path.is_dir() && path.join("console.log").exists() {
            std::fs::copy(path.join("console.log"), into.join(entry.file_name()).with_extension("console.log"))?;
        }
    }
    Ok(())
}

fn answer(output: &Output) -> Answer {
    Answer {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}
