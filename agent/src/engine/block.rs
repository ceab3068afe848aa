//! Block volumes, through this host's `gluster-block`.
//!
//! It keeps no mark of ours, so the volume that hosts a block volume is what must be ours; within it the name decides.
//! As with glusterd, the state is looked at before and after, and only the state decides.

use std::time::Duration;

use bricklayer_proto::block::{BlockKey, BlockReport, BlockResize, BlockSpec};
use bricklayer_proto::size::ByteSize;
use bricklayer_proto::task::{Done, Failure, Report};

use super::{Engine, OnProgress, done, failure, not_so};
use crate::host::{BlockInfo, HostError, NewBlock};
use crate::plan::{refused, refused_with_cure};

/// What `gluster-block` puts before its own id.
const IQN: &str = "iqn.2016-12.org.gluster-block:";

/// How long a block volume that is found half made is given, as the daemon goes on when whoever asked it is gone.
const HALF_MADE_PATIENCE: Duration = Duration::from_secs(600);

impl Engine {
    pub(super) async fn block_created(&self, spec: &BlockSpec, progress: OnProgress<'_>) -> Result<Done, Failure> {
        let key = &spec.key;
        if !self.hosting_is_there(key).await? {
            return Err(refused(format!("there is no volume {}", key.hosting.name)));
        }
        if let Some(found) = self.look_for_block(key).await? {
            let found = self.whole(key, found, progress).await?;
            return same_as_wanted(spec, &found).map(|()| done(false, report(&found, spec.size)));
        }
        progress("gluster-block create");
        let new =
            NewBlock { size: spec.size, hosts: spec.hosts.clone(), auth: spec.auth, preallocation: spec.preallocation };
        let created = self.host.block_create(&key.hosting.name, &key.name, &new).await;
        match self.look_for_block(key).await? {
            Some(found) if found.is_whole() => {
                same_as_wanted(spec, &found).map(|()| done(true, report(&found, spec.size)))
            }
            found => {
                created.map_err(|error| failure(&error))?;
                let what = if found.is_some() { "not exported by all hosts" } else { "not there" };
                Err(not_so(format!("block volume {} was created and is {what}", place(key))))
            }
        }
    }

    pub(super) async fn block_resized(&self, wanted: &BlockResize, progress: OnProgress<'_>) -> Result<Done, Failure> {
        let BlockResize { key, size } = wanted;
        let missing = || refused(format!("there is no block volume {}", place(key)));
        if !self.hosting_is_there(key).await? {
            return Err(missing());
        }
        let before = self.look_for_block(key).await?.ok_or_else(missing)?;
        let there = |info: &BlockInfo| info.size.may_be(*size);
        // Where the printed size could be another one as well, only a resize makes sure.
        if there(&before) && before.behind.is_empty() && !before.size.is_vague() {
            return Ok(done(false, report(&before, *size)));
        }
        if !there(&before) && before.size.nearest() > *size {
            let has = before.size.nearest();
            return Err(refused(format!("block volume {} has {has}, and nothing is made smaller", place(key))));
        }
        progress("gluster-block modify");
        let resized = self.host.block_resize(&key.hosting.name, &key.name, *size).await;
        let after = self.look_for_block(key).await?.ok_or_else(missing)?;
        match resized {
            Ok(()) if there(&after) => Ok(done(true, report(&after, *size))),
            Ok(()) => Err(not_so(format!("block volume {} was resized and still has another size", place(key)))),
            // Its file has grown; hosts that still export the old size are in the report.
            Err(HostError::Failed { .. }) if there(&after) && !after.size.is_vague() => {
                Ok(done(true, report(&after, *size)))
            }
            Err(error) => Err(failure(&error)),
        }
    }

    pub(super) async fn block_gone(&self, key: &BlockKey, progress: OnProgress<'_>) -> Result<Done, Failure> {
        if !self.hosting_is_there(key).await? || self.look_for_block(key).await?.is_none() {
            return Ok(done(false, Report::Nothing));
        }
        progress("gluster-block delete");
        let deleted = self.host.block_delete(&key.hosting.name, &key.name).await;
        if self.look_for_block(key).await?.is_some() {
            deleted.map_err(|error| failure(&error))?;
            return Err(not_so(format!("block volume {} was deleted and is still there", place(key))));
        }
        Ok(done(true, Report::Nothing))
    }

    pub(super) async fn block_seen(&self, key: &BlockKey) -> Result<Done, Failure> {
        let seen = if self.hosting_is_there(key).await? { self.look_for_block(key).await? } else { None };
        Ok(done(false, Report::Block { seen: seen.map(|info| block_report(&info, info.size.nearest())) }))
    }

    /// Whether the volume is there that is to host it; one of the same name that is not ours is an error.
    async fn hosting_is_there(&self, key: &BlockKey) -> Result<bool, Failure> {
        self.glusterd_must_run().await?;
        Ok(self.look_for_ours(&key.hosting).await?.is_some())
    }

    async fn look_for_block(&self, key: &BlockKey) -> Result<Option<BlockInfo>, Failure> {
        self.host.block_info(&key.hosting.name, &key.name).await.map_err(|error| failure(&error))
    }

    /// Waits until a block volume that was found is exported by as many hosts as it should be.
    async fn whole(&self, key: &BlockKey, found: BlockInfo, progress: OnProgress<'_>) -> Result<BlockInfo, Failure> {
        let mut found = found;
        let start = tokio::time::Instant::now();
        while !found.is_whole() {
            progress("waiting for gluster-block, which is making it");
            if start.elapsed() > HALF_MADE_PATIENCE {
                return Err(refused_with_cure(
                    format!("block volume {} was left half made", place(key)),
                    "See why in the log of gluster-blockd on the hosts that are to export it",
                ));
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            let again = self.look_for_block(key).await?;
            found = again.ok_or_else(|| not_so(format!("block volume {} could not be made", place(key))))?;
        }
        Ok(found)
    }
}

fn place(key: &BlockKey) -> String {
    format!("{}/{}", key.hosting.name, key.name)
}

/// A block volume of that name that is another one is left alone.
fn same_as_wanted(spec: &BlockSpec, found: &BlockInfo) -> Result<(), Failure> {
    let mut hosts = (spec.hosts.clone(), found.hosts.clone());
    hosts.0.sort();
    hosts.1.sort();
    let same = found.size.may_be(spec.size) && hosts.0 == hosts.1 && spec.auth != found.password.is_empty();
    if same { Ok(()) } else { Err(refused(format!("there is another block volume {} already", place(&spec.key)))) }
}

/// `size`: what the printed size stands for.
fn report(info: &BlockInfo, size: ByteSize) -> Report {
    Report::Block { seen: Some(block_report(info, size)) }
}

fn block_report(info: &BlockInfo, size: ByteSize) -> BlockReport {
    let auth = !info.password.is_empty();
    BlockReport {
        iqn: format!("{IQN}{}", info.gbid),
        // It exports each under a target of its own.
        lun: 0,
        username: if auth { info.gbid.clone() } else { String::new() },
        password: info.password.clone(),
        hosts: info.hosts.clone(),
        size,
        behind: info.behind.iter().map(|(host, size)| (host.clone(), size.nearest())).collect(),
    }
}
