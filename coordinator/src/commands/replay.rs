use std::path::PathBuf;

use anyhow::Context as _;
use bricklayer_api::v1::{Explanation, VolumePlacement};
use clap::Args;

use crate::http::explanation_of;
use crate::ops::Bundle;

#[derive(Debug, Args)]
pub struct Replay {
    /// A file that `bricklayer volume explain --bundle` has written.
    file: PathBuf,
    /// Prints the answer as `POST /v1/explain` gives it.
    #[arg(long)]
    json: bool,
}

impl Replay {
    /// Fails where it comes to another answer than the bundle has: it was made by another version, or altered.
    pub fn run(&self) -> anyhow::Result<()> {
        let file = self.file.display();
        let text = std::fs::read_to_string(&self.file).with_context(|| format!("{file} cannot be read"))?;
        let bundle: Bundle = serde_json::from_str(&text).with_context(|| format!("{file} is not a support bundle"))?;
        anyhow::ensure!(
            bundle.bricklayer_support_bundle == Bundle::FORMAT,
            "{file} is a support bundle of format {}, and this program knows {}: use the coordinator of version {}",
            bundle.bricklayer_support_bundle,
            Bundle::FORMAT,
            bundle.version
        );
        let Some(answer) = explanation_of(&bundle) else {
            anyhow::bail!("{file} has the devices and the policy, and nothing was asked: there is nothing to replay");
        };
        if self.json {
            println!("{}", serde_json::to_string(&answer)?);
        } else {
            print!("{}", in_words(&answer));
        }
        let same =
            bundle.answer.as_ref().is_none_or(|then| serde_json::to_value(&answer).is_ok_and(|now| now == *then));
        anyhow::ensure!(
            same,
            "this is another answer than the one in {file}, which version {} gave; this is version {}",
            bundle.version,
            env!("CARGO_PKG_VERSION")
        );
        Ok(())
    }
}

fn in_words(answer: &Explanation) -> String {
    match &answer.placement {
        Some(placement) => placed(placement),
        None => answer.refusals.iter().map(|refusal| format!("{}\n", refusal.text)).collect(),
    }
}

fn placed(placement: &VolumePlacement) -> String {
    let VolumePlacement { durability, sets, cluster, bricks, .. } = placement;
    let head = format!("It fits: {durability}, sets: {sets}, in cluster {cluster}.\n");
    bricks.iter().fold(head, |text, brick| {
        let (set, node, device) = (brick.set + 1, &brick.node_name, &brick.device_name);
        text + &format!("set {set}: {node}:{device}, {} bytes, {} extents\n", brick.size_bytes, brick.extents)
    })
}
