//! `bricklayer trash`.

use bricklayer_api::client::Change;
use serde_json::json;

use super::{DONE, Done, Seen, Session};
use crate::bricklayer::args::TrashCommand;
use crate::bricklayer::tables;

impl Session {
    pub(super) async fn trash(&self, command: TrashCommand) -> Done {
        match command {
            TrashCommand::Empty { volumes, all, work } => {
                let mut ids = Vec::new();
                for volume in &volumes {
                    ids.push((volume.find_in_trash(&self.client).await?, volume.to_string()));
                }
                if all {
                    let kept = self.client.trash().await?.volumes;
                    ids.extend(kept.into_iter().map(|volume| (volume.id, volume.name)));
                }
                for (id, name) in ids {
                    let what = format!("destroying {name}");
                    let Some(()) = self.work(&Change::trash_end(id)?, work, &what).await? else { continue };
                    self.tell(work.output(), &json!({ "deleted": id }), &format!("volume {name} is deleted"), &id)?;
                }
                DONE
            }
            TrashCommand::List { look } => {
                self.look(look, async || {
                    let trash = self.client.trash().await?;
                    let names = || trash.volumes.iter().map(|volume| volume.name.clone()).collect();
                    self.show(look.output, &trash, |_| tables::trash_list(&trash), names)?;
                    Ok(Seen::SO_FAR)
                })
                .await
            }
        }
    }
}
