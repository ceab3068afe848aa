//! `bricklayer pool`.

use super::{Done, Seen, Session};
use crate::bricklayer::args::PoolCommand;
use crate::bricklayer::tables;

impl Session {
    pub(super) async fn pool(&self, command: PoolCommand) -> Done {
        let PoolCommand::List { all, look } = command;
        self.look(look, async || {
            let mut pools = self.client.pools().await?;
            pools.pools.retain(|pool| all || pool.promised_bytes > pool.size_bytes);
            let names = || pools.pools.iter().map(|pool| format!("{}:{}", pool.node_name, pool.name)).collect();
            self.show(look.output, &pools, |width| tables::pool_list(&pools, width), names)?;
            Ok(Seen::SO_FAR)
        })
        .await
    }
}
