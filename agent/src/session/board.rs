//! What the running agent tells people on its host: the status file, and systemd.

use std::sync::{Mutex, PoisonError};

use camino::Utf8PathBuf;
use jiff::Timestamp;
use sd_notify::NotifyState;

use super::Config;
use crate::identity::{Clock, Identity};
use crate::status::AgentStatus;

pub struct Board {
    file: Option<Utf8PathBuf>,
    notify: bool,
    clock: Clock,
    status: Mutex<AgentStatus>,
}

impl Board {
    pub fn new(config: &Config) -> Self {
        let status =
            AgentStatus { started: Some(Timestamp::now()), pid: Some(std::process::id()), ..AgentStatus::default() };
        Self {
            file: config.status_file.clone(),
            notify: config.notify_systemd,
            clock: config.clock.clone(),
            status: Mutex::new(status),
        }
    }

    pub fn ready(&self) {
        self.change(|_| {});
        self.tell(&[NotifyState::Ready]);
    }

    pub fn identity(&self, identity: &Identity) {
        self.change(|status| {
            status.node = Some(identity.node);
            status.name = Some(identity.name.to_string());
            status.installation = Some(identity.installation);
            status.coordinators.clone_from(&identity.addresses);
            status.certificate_expires = Some(identity.expires());
        });
    }

    pub fn attached(&self, address: &str) {
        let now = self.clock.now();
        self.change(|status| {
            status.attached_to = Some(address.to_owned());
            status.attachment_changed = Some(now);
            status.last_error = None;
        });
        self.tell(&[NotifyState::Status(&format!("Attached to {address}"))]);
    }

    pub fn detached(&self) {
        let now = self.clock.now();
        self.change(|status| {
            status.attached_to = None;
            status.attachment_changed = Some(now);
        });
    }

    pub fn failed(&self, why: &str) {
        self.change(|status| status.last_error = Some(why.to_owned()));
        self.tell(&[NotifyState::Status(&format!("Not attached: {}", why.replace('\n', " ")))]);
    }

    pub fn stopping(&self) {
        self.tell(&[NotifyState::Stopping]);
    }

    /// Writes the file only if something has changed. A full disk keeps nobody from attaching.
    fn change(&self, change: impl FnOnce(&mut AgentStatus)) {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        let before = status.clone();
        change(&mut status);
        if let Some(file) = &self.file
            && (before != *status || !file.exists())
            && let Err(error) = status.write(file)
        {
            tracing::warn!(%error, "{file} could not be written");
        }
    }

    fn tell(&self, state: &[NotifyState<'_>]) {
        if self.notify
            && let Err(error) = sd_notify::notify(state)
        {
            tracing::debug!(%error, "systemd could not be told");
        }
    }
}
