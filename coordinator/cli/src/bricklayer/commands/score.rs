//! `bricklayer score`.

use bricklayer_api::v1::ScoreQuery;

use super::{Done, Seen, Session};
use crate::bricklayer::args::common::Look;
use crate::bricklayer::tables;

impl Session {
    pub(super) async fn score(&self, moves: Option<u32>, look: Look) -> Done {
        self.look(look, async || {
            let list = self.client.score(&ScoreQuery { moves }).await?;
            let moves = list.scores.iter().flat_map(|score| &score.moves);
            let names = || moves.map(|moved| moved.brick.to_string()).collect();
            self.show(look.output, &list, |_| tables::scores(&list.scores), names)?;
            Ok(Seen::SO_FAR)
        })
        .await
    }
}
