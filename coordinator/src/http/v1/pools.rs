//! `/v1/pools`.

use axum::extract::State;
use axum::response::Response;
use bricklayer_api::v1::{Pool, PoolBrick, PoolList};

use crate::http::{Service, answer};
use crate::ops::PoolView;
use crate::pools::extension::Decision;

/// Tells how full the thin pools are, how fast they fill, and which bricks fail when one is full.
///
/// From what the agents reported last; no host is asked.
#[utoipa::path(get, path = "/v1/pools", responses((status = 200, body = PoolList)))]
pub async fn list(State(service): State<Service>) -> Response {
    answer::ok(&PoolList { pools: service.operations.pools().into_iter().map(view).collect() })
}

fn view(pool: PoolView) -> Pool {
    let full_in_seconds = pool.seconds_to_full();
    let bricks =
        pool.bricks.into_iter().map(|(brick, volume, name)| PoolBrick { brick, volume, volume_name: name.to_string() });
    #[expect(clippy::cast_possible_truncation, reason = "an estimate, and saturating")]
    let bytes_per_day = pool.trend.map(|trend| (trend.data * 86_400.0).round() as i64);
    Pool {
        name: pool.seen.name.to_string(),
        node: pool.node.id,
        node_name: pool.node.name().to_owned(),
        device: pool.device.id,
        device_name: pool.device.name.to_string(),
        size_bytes: pool.seen.size.bytes(),
        metadata_bytes: pool.seen.metadata.bytes(),
        data_percent: pool.seen.data_percent,
        metadata_percent: pool.seen.metadata_percent,
        promised_bytes: pool.seen.promised.bytes(),
        volumes: pool.seen.volumes,
        bytes_per_day,
        full_in_seconds,
        bricks: bricks.collect(),
        not_extended: match pool.decision {
            Decision::Cannot(why) => Some(why.to_string()),
            Decision::Leave | Decision::Extend(_) => None,
        },
    }
}
