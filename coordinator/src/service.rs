//! The coordinator as one thing that is started and stopped: the program does it once, tests do it often.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use bricklayer_store::{OpenError, Store};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::agents::{self, AgentApi, Registry};
use crate::exports::{self, Exporter};
use crate::http;
use crate::keepsake::keeper::{Handed, Keeper};
use crate::keys::{KeySources, RestKeys};
use crate::ops::{self, Context, Operations, Policy, UnknownNode};
use crate::pki::{Authority, Clock, Start, Trust};
use crate::reconcile;
use crate::state::{SCHEMA, State};

/// Everything a coordinator needs to know before it starts.
pub struct Config {
    pub data_dir: PathBuf,
    pub rest_listen: SocketAddr,
    pub agents_listen: SocketAddr,
    /// `host:port` as agents dial it. Empty: the address that `agents_listen` came to.
    pub advertise: Vec<String>,
    pub disable_auth: bool,
    pub policy: Policy,
    pub unknown_node: Option<Arc<dyn UnknownNode>>,
    pub rest: http::Settings,
    /// Keys of REST's users that are not read from the data directory.
    pub keys: KeySources,
    /// `None`: no exports are made.
    pub exports: Option<exports::Plan>,
}

/// What lies where in the data directory.
pub struct Layout<'a>(pub &'a Path);

impl Layout<'_> {
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.0.join("store")
    }

    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.0.join("authority")
    }

    #[must_use]
    pub fn keys(&self) -> PathBuf {
        self.0.join("keys")
    }

    /// What the coordinator exports by itself.
    #[must_use]
    pub fn exports(&self) -> PathBuf {
        self.0.join("exports")
    }

    /// The sealed keys of the installation; not there where it was made before there were any.
    #[must_use]
    pub fn bundle(&self) -> PathBuf {
        self.0.join("recovery").join("bundle.json")
    }

    /// There while an installation is being made.
    #[must_use]
    pub fn unfinished_init(&self) -> PathBuf {
        self.0.join("init.unfinished")
    }

    /// Whether something lies where the store is to be. A folder without content is no store: it is where one is mounted.
    #[must_use]
    pub fn has_store(&self) -> bool {
        std::fs::read_dir(self.store()).is_ok_and(|mut entries| entries.next().is_some())
    }

    /// Opening a store makes one where there is none, so a mistyped directory is found out before: an empty store
    /// would pass for the real one, and its export for a backup.
    pub fn must_hold_an_installation(&self) -> anyhow::Result<()> {
        let dir = self.0.display();
        // Its mark would let `init` make a store anew that is lost later.
        anyhow::ensure!(
            !self.unfinished_init().exists(),
            "the making of the installation in {dir} was cut off; `bricklayer-coordinator init` goes on with it"
        );
        match (Authority::exists(&self.authority()), self.has_store()) {
            (true, true) => Ok(()),
            (true, false) => Err(self.no_store()),
            (false, false) if !self.bundle().exists() => {
                anyhow::bail!("{dir} holds no installation; `bricklayer-coordinator init` makes one")
            }
            (false, _) => Err(self.no_authority()),
        }
    }

    pub fn no_store(&self) -> anyhow::Error {
        anyhow::anyhow!(
            "{} has the authority of an installation and no store. If {} is a mount of its own, see that it is mounted; if not, \
             `bricklayer-coordinator rebuild` makes a store of what the hosts keep, `bricklayer-coordinator import` one of an export",
            self.0.display(),
            self.store().display()
        )
    }

    pub fn no_authority(&self) -> anyhow::Error {
        anyhow::anyhow!(
            "{} has been the data directory of an installation, and its authority is not there: put {} back, or have \
             `bricklayer-coordinator recover` make it of what any host keeps",
            self.0.display(),
            self.authority().display()
        )
    }
}

/// A running coordinator.
pub struct Coordinator {
    pub rest: SocketAddr,
    pub agents_address: SocketAddr,
    pub operations: Operations,
    pub registry: Arc<Registry>,
    pub trust: Arc<Trust>,
    pub handed: Handed,
    store: Store,
    stop: CancellationToken,
    tracker: TaskTracker,
}

impl Coordinator {
    /// Opens the store, raises the epoch, takes up unfinished operations, and serves.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        let layout = Layout(&config.data_dir);
        layout.must_hold_an_installation()?;
        let rest = TcpListener::bind(config.rest_listen)
            .await
            .with_context(|| format!("REST cannot be served on {}", config.rest_listen))?;
        let agents_listener = TcpListener::bind(config.agents_listen)
            .await
            .with_context(|| format!("agents cannot be served on {}", config.agents_listen))?;
        let (rest_address, agents_address) = (rest.local_addr()?, agents_listener.local_addr()?);

        if !layout.bundle().exists() {
            tracing::warn!(
                "This installation has no recovery key: if this machine is lost, every host has to enrol anew. \
                 `bricklayer-coordinator recovery-key` makes one."
            );
        }
        let store_dir = layout.store();
        let opened = tokio::task::spawn_blocking(move || Store::open(&store_dir, SCHEMA).map_err(Box::new)).await?;
        let store = opened.map_err(|error| with_the_way_out(error, &layout.exports()))?;
        let addresses = if config.advertise.is_empty() { vec![agents_address.to_string()] } else { config.advertise };
        let start = Start { addresses, epoch_at_least: 0, clock: Clock::system() };
        let trust = Trust::open(store.clone(), &layout.authority(), start)?;
        let auth = if config.disable_auth {
            tracing::warn!("REST takes every request as an administrator's: authentication is switched off.");
            http::Auth::disabled()
        } else {
            http::Auth::with_keys(RestKeys::read_with(&layout.keys(), config.keys)?)
        };

        let stop = CancellationToken::new();
        let tracker = TaskTracker::new();
        let registry = Registry::new(Arc::clone(&trust), stop.clone());
        let state = Arc::new(State::load(store.clone())?);
        let agents_api: Arc<dyn AgentApi> = Arc::clone(&registry) as Arc<dyn AgentApi>;
        let mut context =
            Context::new(Arc::clone(&state), Arc::clone(&agents_api), trust.installation(), trust.epoch())
                .with_policy(config.policy);
        context.unknown_node = config.unknown_node;
        let (hearing, data_dir) = (context.policy.hearing, config.data_dir.clone());
        let keeper = Keeper::new(Arc::clone(&state), Arc::clone(&registry), data_dir, hearing)?;
        let handed = keeper.handed();
        context.standing = keeper.standing();
        if let Some(plan) = config.exports {
            let (store, dir) = (store.clone(), layout.exports());
            let exporter = tokio::task::spawn_blocking(move || Exporter::new(store, dir, plan)).await?;
            let exporter = exporter.while_newest(context.standing.clone());
            context.exports = exporter.status();
            tracker.spawn(exporter.run(stop.clone()));
        }
        let operations = Operations::new(context);

        tracker.spawn(keeper.run(stop.clone()));
        tracker.spawn(reconcile::run(state, agents_api, stop.clone()));
        tracker.spawn(agents::serve(agents_listener, Arc::clone(&registry), stop.clone()));
        operations.resume();
        tracker.spawn(ops::watch_pools(operations.clone(), stop.clone()));
        tracker.spawn(ops::watch_gluster(operations.clone(), stop.clone()));
        tracker.spawn(ops::watch_boots(operations.clone(), stop.clone()));
        tracker.spawn(ops::expire_trash(operations.clone(), stop.clone()));
        let service = http::Service::new(operations.clone(), Arc::clone(&trust), Arc::clone(&registry), auth);
        let room = config.rest.room.clone().of(config.data_dir.clone());
        let service = service.with(http::Settings { room, ..config.rest });
        tracker.spawn(http::serve(rest, service, stop.clone()));
        tracker.close();
        tracing::info!(rest = %rest_address, agents = %agents_address, installation.id = %trust.installation(), epoch = trust.epoch(), "The coordinator serves.");
        Ok(Self { rest: rest_address, agents_address, operations, registry, trust, handed, store, stop, tracker })
    }

    /// Ends all connections and lets the store come to rest. Operations go on at the next start.
    pub async fn stop(self) {
        self.stop.cancel();
        self.operations.stop().await;
        self.tracker.wait().await;
        self.store.close();
    }
}

/// Of a damaged store it is said at once what there is to go on with.
fn with_the_way_out(error: Box<OpenError>, exports: &Path) -> anyhow::Error {
    if !matches!(*error, OpenError::Damaged { .. }) {
        return error.into();
    }
    let way_out = match exports::last_good(exports) {
        Some((file, seq)) => format!(
            "the store does not open. `bricklayer-coordinator rebuild` makes it anew of what the hosts keep. The last good \
             export is {}, as of commit {seq}; docs/operations/recovery.md says when to import it first",
            file.display()
        ),
        None => {
            "the store does not open. `bricklayer-coordinator rebuild` makes it anew of what the hosts keep".to_owned()
        }
    };
    anyhow::Error::from(error).context(way_out)
}

#[cfg(test)]
mod tests {
    use bricklayer_proto::ids::InstallationId;
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn a_directory_without_an_installation_is_refused_and_left_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let mistyped = dir.path().join("mistyped");
        assert!(Layout(&mistyped).must_hold_an_installation().is_err());
        assert!(!mistyped.exists());
    }

    #[test]
    fn where_an_authority_has_no_store_or_a_folder_without_content_rebuild_is_named_and_not_init() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout(dir.path());
        Authority::create(&layout.authority(), InstallationId::from_u128(7), Timestamp::now()).unwrap();
        for folder in [false, true] {
            if folder {
                std::fs::create_dir(layout.store()).unwrap();
            }
            let text = layout.must_hold_an_installation().unwrap_err().to_string();
            assert!(text.contains("no store") && text.contains("rebuild") && text.contains("import"), "{text}");
            assert!(!text.contains("init"), "{text}");
            assert!(!layout.has_store());
        }
    }

    #[test]
    fn where_a_store_or_the_sealed_keys_have_no_authority_recover_is_named() {
        for file in ["store/high-water", "recovery/bundle.json"] {
            let dir = tempfile::tempdir().unwrap();
            let file = dir.path().join(file);
            std::fs::create_dir(file.parent().unwrap()).unwrap();
            std::fs::write(file, "x").unwrap();
            let text = Layout(dir.path()).must_hold_an_installation().unwrap_err().to_string();
            assert!(text.contains("recover") && !text.contains("init"), "{text}");
        }
    }
}
