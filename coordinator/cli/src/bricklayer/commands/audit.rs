//! `bricklayer audit`.

use super::{Done, Seen, Session};
use crate::bricklayer::args::common::Look;
use crate::bricklayer::tables;

impl Session {
    pub(super) async fn audit(&self, look: Look) -> Done {
        self.look(look, async || {
            let audit = self.client.audit().await?;
            let bricks = audit.clusters.iter().flat_map(|cluster| &cluster.sets).flat_map(|set| &set.faults);
            let names = || bricks.map(|fault| fault.brick.to_string()).collect();
            self.show(look.output, &audit, |_| tables::audit(&audit), names)?;
            Ok(Seen::SO_FAR)
        })
        .await
    }
}
