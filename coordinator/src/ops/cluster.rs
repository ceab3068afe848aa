//! Clusters are records only: no host is touched, so these are done when they return.

use bricklayer_proto::ids::ClusterId;

use super::Rejected;
use crate::model::{Cluster, Plan, Policies};
use crate::state::State;

pub async fn create(state: &State, file: bool, block: bool) -> Result<Cluster, Rejected> {
    let cluster = Cluster { id: ClusterId::random(), file, block };
    state
        .change(|change| {
            change.put_cluster(cluster.clone());
            Ok(cluster)
        })
        .await
}

pub async fn set_flags(state: &State, id: ClusterId, file: bool, block: bool) -> Result<(), Rejected> {
    state
        .change(|change| {
            if !change.clusters.contains_key(&id) {
                return Err(Rejected::NotFound);
            }
            change.put_cluster(Cluster { id, file, block });
            Ok(())
        })
        .await
}

pub async fn delete(state: &State, id: ClusterId) -> Result<(), Rejected> {
    state
        .change(|change| {
            if !change.clusters.contains_key(&id) {
                return Err(Rejected::NotFound);
            }
            let on_its_way = change.unfinished.values().any(|operation| match &operation.plan {
                Plan::NodeAdd(add) => add.node.cluster == id,
                plan => plan.adopts_in(id) || plan.volume().is_some_and(|volume| volume.cluster == id),
            });
            if on_its_way || change.nodes_of(id).next().is_some() || change.volumes_of(id).next().is_some() {
                return Err(Rejected::ClusterNotEmpty(id));
            }
            let mut policies = Policies::clone(&change.policies);
            if policies.clusters.remove(&id).is_some() {
                change.put_policies(policies);
            }
            change.remove_cluster(id);
            Ok(())
        })
        .await
}
