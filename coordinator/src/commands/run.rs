use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use crate::config::{self, ConfigFile};
use crate::http::{self, Mode, ModeSwitch};
use crate::keys::KeySources;
use crate::logging::LogControl;
use crate::service::{Config, Coordinator};

#[derive(Debug, Args)]
pub struct Run {
    /// Where REST is served; 0.0.0.0:8080 by default.
    #[arg(long, env = "BRICKLAYER_REST_LISTEN", value_name = "ADDRESS:PORT")]
    rest_listen: Option<SocketAddr>,
    /// Where agents attach; 0.0.0.0:24010 by default.
    #[arg(long, env = "BRICKLAYER_AGENTS_LISTEN", value_name = "ADDRESS:PORT")]
    agents_listen: Option<SocketAddr>,
    /// How agents reach this coordinator; may be given several times. Goes into invitations.
    #[arg(long, env = "BRICKLAYER_ADVERTISE", value_name = "HOST:PORT", value_delimiter = ',')]
    advertise: Vec<String>,
    /// Takes every REST request as an administrator's, as heketi's flag of this name does. Agents always authenticate.
    #[arg(long, env = "BRICKLAYER_DISABLE_AUTH")]
    disable_auth: bool,
}

impl Run {
    pub fn run(self, data_dir: PathBuf, file: &ConfigFile, log: LogControl) -> anyhow::Result<()> {
        let any = |port| SocketAddr::from(([0, 0, 0, 0], port));
        let heketi = config::heketi::at_run(|name| std::env::var(name).ok()).context("heketi's environment")?;
        if let Some(level) = file.log_level {
            log.start_at(level)?;
        }
        let agents_listen = self.agents_listen.or(file.agents_listen).unwrap_or(any(24010));
        let mut advertise = self.advertise;
        if advertise.is_empty() {
            advertise = file.advertise.clone().unwrap_or_default();
        }
        if advertise.is_empty() && agents_listen.ip().is_unspecified() {
            anyhow::bail!(
                "agents are told in their invitation where to find this coordinator: give --advertise HOST:{}",
                agents_listen.port()
            );
        }
        let config = Config {
            data_dir,
            rest_listen: self.rest_listen.or(heketi.port.map(any)).or(file.rest_listen).unwrap_or(any(8080)),
            agents_listen,
            advertise,
            disable_auth: self.disable_auth || file.disable_auth.unwrap_or(false),
            policy: file.policy().map_err(anyhow::Error::msg)?,
            unknown_node: None,
            rest: settings(file, &heketi, log)?,
            keys: KeySources { admin: heketi.admin_key, user: heketi.user_key },
            exports: file.exports(),
        };
        if !heketi.idle.is_empty() {
            tracing::warn!(
                variables = heketi.idle.join(" "),
                "Variables of heketi's are set that have no meaning here; `import-config` says why."
            );
        }
        tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
            let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
            let mode = Arc::clone(&config.rest.mode);
            let mut normal = signal(SignalKind::user_defined2())?;
            // As heketi takes it: the one way out of the mode in which nothing is taken.
            tokio::spawn(async move {
                while normal.recv().await.is_some() {
                    mode.set(Mode::Normal);
                }
            });
            let coordinator = Coordinator::start(config).await?;
            // Not under systemd: nobody to tell.
            let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            tracing::info!("Stopping. What is under way goes on at the next start.");
            let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
            coordinator.stop().await;
            Ok(())
        })
    }
}

/// How REST is served, by the file and what heketi's environment says beyond it.
fn settings(file: &ConfigFile, heketi: &config::heketi::AtRun, log: LogControl) -> anyhow::Result<http::Settings> {
    let tls = match (&file.rest.certificate, &file.rest.private_key) {
        (Some(certificate), Some(key)) => Some(http::Tls::read(certificate, key)?),
        _ => None,
    };
    let default = http::Settings::default();
    Ok(http::Settings {
        mode: Arc::new(ModeSwitch::new(heketi.mode.unwrap_or(file.rest.mode))),
        most_unfinished: file.rest.most_unfinished.unwrap_or(default.most_unfinished),
        clock_leeway: heketi.clock_leeway_seconds.or(file.rest.clock_leeway_seconds).unwrap_or(default.clock_leeway),
        options_first: file.volumes.options_first.clone(),
        options_last: file.volumes.options_last.clone(),
        log,
        poll_held: default.poll_held,
        tls,
        room: default.room.with_least(file.least_free()?),
    })
}
