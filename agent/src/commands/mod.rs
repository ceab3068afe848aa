//! The command line: one file per subcommand, each short enough to read at once.

mod bundle;
mod enroll;
mod inspect;
mod run;
mod set_coordinator;
mod status;

use anyhow::Context as _;
use bricklayer_proto::names::MountPoint;
use camino::Utf8PathBuf;
use clap::{Args, Parser, Subcommand};

/// Bricklayer's agent: places and keeps bricks on one GlusterFS host.
#[derive(Debug, Parser)]
#[command(name = "bricklayer-agent", version, max_term_width = 100)]
pub struct CommandLine {
    #[command(flatten)]
    pub settings: Settings,
    #[command(subcommand)]
    pub command: Command,
}

/// Where things lie. The defaults are what the packages use.
#[derive(Clone, Debug, Args)]
pub struct Settings {
    /// Identity, journal and everything else that has to outlive a restart.
    #[arg(
        long,
        global = true,
        env = "BRICKLAYER_AGENT_DATA",
        default_value = "/var/lib/bricklayer",
        value_name = "DIR"
    )]
    pub data_dir: Utf8PathBuf,
    /// What is true of this start only.
    #[arg(long, global = true, env = "BRICKLAYER_AGENT_RUN", default_value = "/run/bricklayer", value_name = "DIR")]
    pub run_dir: Utf8PathBuf,
    /// Bricks are mounted below this folder.
    #[arg(
        long,
        global = true,
        env = "BRICKLAYER_MOUNT_ROOT",
        default_value = "/var/lib/bricklayer/mounts",
        value_name = "DIR"
    )]
    pub mount_root: MountPoint,
    /// The table of file systems that brings bricks back at boot.
    #[arg(long, global = true, env = "BRICKLAYER_FSTAB", default_value = "/etc/fstab", value_name = "FILE")]
    pub fstab: Utf8PathBuf,
}

impl Settings {
    #[must_use]
    pub fn journal_dir(&self) -> Utf8PathBuf {
        self.data_dir.join("journal")
    }

    /// Written by `run`, read by `status`.
    #[must_use]
    pub fn status_file(&self) -> Utf8PathBuf {
        self.run_dir.join("status.json")
    }

    /// There from when every brick that can be mounted is; removed by a reboot.
    #[must_use]
    pub fn bricks_ready_file(&self) -> Utf8PathBuf {
        self.run_dir.join("bricks-ready")
    }
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make this host an agent, by an invitation from `bricklayer agent invite NAME`.
    Enroll(enroll::Arguments),
    /// Bring the bricks of this host up, attach to the coordinator, and do what it asks. systemd runs this.
    Run,
    /// Say who this agent is, where its coordinator is, and when it was last attached.
    Status(status::Arguments),
    /// Write the sealed bundle of the installation's keys into a file, for `bricklayer-coordinator recover` on a new
    /// machine. It is of no use without the recovery key.
    Bundle(bundle::Arguments),
    /// Tell this agent where its coordinator is now. The coordinator must be of the same installation.
    SetCoordinator(set_coordinator::Arguments),
    /// Show the disks of this host, whether each could be used and if not why, and the bricks.
    Inspect(inspect::Arguments),
}

/// Carries the command out.
pub fn run(line: &CommandLine) -> anyhow::Result<()> {
    // A host has better uses for its cores and memory: one thread for the work, one for what blocks.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(8)
        .enable_all()
        .build()
        .context("could not start the runtime")?;
    runtime.block_on(async {
        match &line.command {
            Command::Enroll(arguments) => enroll::run(&line.settings, arguments).await,
            Command::Run => run::run(&line.settings).await,
            Command::Status(arguments) => status::run(&line.settings, arguments),
            Command::Bundle(arguments) => bundle::run(&line.settings, arguments),
            Command::SetCoordinator(arguments) => set_coordinator::run(&line.settings, arguments),
            Command::Inspect(arguments) => inspect::run(&line.settings, arguments).await,
        }
    })
}
