//! `bricklayer-agent run`.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use camino::Utf8Path;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::Settings;
use bricklayer_proto::wire::PROTOCOLS;

use crate::engine::boot::Boot;
use crate::engine::{Engine, Executor, chain};
use crate::host::Host;
use crate::identity::Clock;
use crate::journal::{Journal, ManifestBrick};
use crate::session::{self, Config, Timing};
use crate::tools::{RealHost, files};

/// A disk that takes longer than this to appear is not waited for: the other bricks have waited long enough.
const BOOT_PATIENCE: Duration = Duration::from_secs(30);

pub async fn run(settings: &Settings) -> anyhow::Result<()> {
    for dir in [&settings.data_dir, &settings.run_dir] {
        std::fs::create_dir_all(dir).with_context(|| format!("{dir} could not be made"))?;
    }
    let shutdown = CancellationToken::new();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let told = shutdown.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: tasks that have begun are finished first");
        told.cancel();
    });
    complain_of_own_mounts();

    let real = RealHost::new(settings.mount_root.clone(), settings.fstab.clone(), settings.data_dir.clone());
    let host: Arc<dyn Host> = Arc::new(real);
    let engine = Arc::new(Engine::new(Arc::clone(&host)));
    let journal_dir = settings.journal_dir();
    let open = move || Journal::open(journal_dir.as_std_path()).context("the agent's journal could not be opened");
    let journal = tokio::task::spawn_blocking(open).await?;
    // Bricks come up whatever the state of the journal: the disks themselves say what they hold.
    bring_up(&engine, journal.as_ref().ok(), &settings.bricks_ready_file()).await;
    let journal = Arc::new(journal?);

    let config = Config {
        data_dir: settings.data_dir.clone(),
        journal_dir: settings.journal_dir(),
        status_file: Some(settings.status_file()),
        notify_systemd: true,
        timing: Timing::default(),
        clock: Clock::system(),
        protocols: PROTOCOLS,
    };
    let executor = Executor::new(engine, journal);
    session::serve(config, host, Arc::clone(&executor), shutdown).await;
    executor.drain().await;
    Ok(())
}

/// Mounts the bricks and says so in the file that marks them ready. A host whose bricks do not all come up starts
/// glusterd all the same: its other bricks are wanted, and the replicas of the missing ones are elsewhere.
async fn bring_up(engine: &Engine, journal: Option<&Journal>, ready: &Utf8Path) {
    let manifest: Vec<(_, ManifestBrick)> = match journal.map(Journal::manifest) {
        Some(Ok(manifest)) => manifest,
        Some(Err(error)) => {
            tracing::error!("the manifest of bricks cannot be read: {}", chain(&error));
            Vec::new()
        }
        None => Vec::new(),
    };
    let boot = match engine.boot(&manifest, BOOT_PATIENCE).await {
        Ok(boot) => boot,
        Err(error) => {
            tracing::error!("bricks could not be brought up: {}", chain(&error));
            Boot::default()
        }
    };
    tracing::info!(up = boot.up.len(), down = boot.down.len(), "bricks");
    engine.mend_gluster_store().await;
    let mut text: String = boot.up.iter().map(|brick| format!("up {brick}\n")).collect();
    text.extend(boot.down.iter().map(|(brick, why)| format!("down {brick} {why}\n")));
    if let Err(error) = files::replace(ready, text.as_bytes(), 0o644) {
        tracing::error!("{ready} could not be written: {error}");
    }
    if let Some(journal) = journal {
        engine.clear_begun_spares(&journal.unfinished()).await;
    }
}

/// A service with mounts of its own would mount bricks that glusterd never sees, and believe them mounted.
fn complain_of_own_mounts() {
    let namespace = |process: &str| std::fs::read_link(format!("/proc/{process}/ns/mnt")).ok();
    let (own, first) = (namespace("self"), namespace("1"));
    if first.is_some() && own != first {
        tracing::error!(
            "this agent runs in a mount namespace of its own, so that glusterd would not see the bricks it mounts; \
             take PrivateTmp=, ProtectSystem= and their like out of its unit"
        );
    }
}
