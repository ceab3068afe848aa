//! Faults that are planted to see that the harness finds them: what Bricklayer would leave by a mistake is left by the deed.

use std::cell::Cell;
use std::sync::Arc;

use anyhow::Context as _;
use async_trait::async_trait;
use bricklayer_agent::engine::Engine;
use bricklayer_agent::host::Host;
use bricklayer_api::client::Client;
use bricklayer_api::heketi::StateRequest;
use bricklayer_proto::ids::BrickId;
use bricklayer_proto::task::{BrickSpec, Wanted};
use bricklayer_tests::cluster::Cluster;
use bricklayer_tests::every_effect::{Asked, Deed, Extent, hosts, play_some};
use bricklayer_tests::rig;
use bricklayer_tests::story::{distributed, hardware};

/// Asks for a volume on one host, undisturbed. Whatever was planted comes with the first try after that.
#[derive(Default)]
struct Create {
    asked: Cell<u64>,
}

impl Create {
    async fn set_up<D: Default>() -> anyhow::Result<(Cluster, D)> {
        Ok((hosts(1, 16, |_| {}).await?, D::default()))
    }

    async fn ask(&self, client: &Client) -> anyhow::Result<Asked> {
        self.asked.set(self.asked.get() + 1);
        Asked::of(client.volume_create(&distributed(1)).await?)
    }

    fn is_disturbed(&self) -> bool {
        self.asked.get() > 1
    }
}

async fn fails<D: Deed>() -> String {
    let result = play_some::<D>(Extent { seed: 1, all: false }).await;
    format!("{:#}", result.expect_err("what was planted is found"))
}

/// An agent that carried a task out twice, the second time with another id.
#[derive(Default)]
struct LeavesABrick(Create);

#[async_trait(?Send)]
impl Deed for LeavesABrick {
    async fn set_up() -> anyhow::Result<(Cluster, Self)> {
        Create::set_up().await
    }

    async fn ask(&self, client: &Client) -> anyhow::Result<Asked> {
        self.0.ask(client).await
    }

    async fn is_done(&self, cluster: &Cluster) -> anyhow::Result<()> {
        if !self.0.is_disturbed() {
            return Ok(());
        }
        let (_, device) = hardware(&cluster.client()?, 1).await?;
        let mut spec = BrickSpec { device, ..rig::brick_spec(0, 1) };
        spec.tags.brick = BrickId::random();
        let host: Arc<dyn Host> = Arc::new(cluster.host("gfs1").clone());
        let made = Engine::new(host).carry_out(&Wanted::Brick(spec), &|_| {}).await;
        made.map(drop).map_err(|failure| anyhow::anyhow!("{failure:?}")).context("the second brick")
    }
}

#[tokio::test]
async fn a_brick_that_no_record_knows_is_found() {
    let found = fails::<LeavesABrick>().await;
    assert!(found.contains("bytes are orphans") && found.contains("EFFECTS_SEED=1"), "{found}");
}

/// An agent that forgot a line of fstab.
#[derive(Default)]
struct LeavesALine(Create);

#[async_trait(?Send)]
impl Deed for LeavesALine {
    async fn set_up() -> anyhow::Result<(Cluster, Self)> {
        Create::set_up().await
    }

    async fn ask(&self, client: &Client) -> anyhow::Result<Asked> {
        self.0.ask(client).await
    }

    async fn is_done(&self, cluster: &Cluster) -> anyhow::Result<()> {
        if self.0.is_disturbed() {
            cluster.host("gfs1").edit_fstab(|fstab| fstab.push_str("# of a brick that has gone\n"));
        }
        Ok(())
    }
}

#[tokio::test]
async fn a_line_of_fstab_that_is_left_over_is_found() {
    let found = fails::<LeavesALine>().await;
    assert!(found.contains("after all was taken away") && found.contains("of a brick that has gone"), "{found}");
}

/// A harness that disturbs nothing: what is asked for has no effects any more.
#[derive(Default)]
struct DoesNothing(Create);

#[async_trait(?Send)]
impl Deed for DoesNothing {
    async fn set_up() -> anyhow::Result<(Cluster, Self)> {
        Create::set_up().await
    }

    async fn ask(&self, client: &Client) -> anyhow::Result<Asked> {
        if self.0.asked.get() == 0 {
            return self.0.ask(client).await;
        }
        let (_, device) = hardware(client, 1).await?;
        let online = StateRequest { state: "online".to_owned(), ..StateRequest::default() };
        Asked::of(client.device_set_state(device, &online).await?)
    }

    async fn is_done(&self, _cluster: &Cluster) -> anyhow::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn tries_that_meet_no_effect_are_no_proof() {
    let found = fails::<DoesNothing>().await;
    assert!(found.contains("too few tries met their effect"), "{found}");
}
