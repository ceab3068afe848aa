//! Thin pools.

use bricklayer_api::size::ByteSize;
use bricklayer_api::v1::{Pool, PoolList};

use super::{Width, cells, columns, or_dash, table};

pub fn pool_list(list: &PoolList, width: Width) -> String {
    if list.pools.is_empty() {
        return "no pool promises more than it has; --all shows the others\n".to_owned();
    }
    let row = |pool: &Pool| {
        let size = |bytes| ByteSize::from_bytes(bytes).to_string();
        let percent = |percent: Option<f64>| or_dash(percent.map(|percent| format!("{percent:.1} %")));
        let mut volumes: Vec<&str> = pool.bricks.iter().map(|brick| brick.volume_name.as_str()).collect();
        volumes.dedup();
        let normal = vec![
            pool.node_name.clone(),
            pool.device_name.clone(),
            or_dash(Some(volumes.join(", "))),
            size(pool.size_bytes),
            size(pool.promised_bytes),
            percent(pool.data_percent),
            percent(pool.metadata_percent),
            or_dash(pool.full_in_seconds.map(roughly)),
            or_dash(pool.not_extended.clone()),
        ];
        let wide = || {
            let per_day = pool.bytes_per_day.map(|bytes| {
                let sign = if bytes < 0 { "-" } else { "" };
                format!("{sign}{}", ByteSize::from_bytes(bytes.unsigned_abs()))
            });
            vec![size(pool.metadata_bytes), or_dash(per_day), pool.volumes.to_string(), pool.name.clone()]
        };
        cells(normal, wide, width)
    };
    let normal = ["NODE", "DEVICE", "VOLUMES", "SIZE", "PROMISES", "DATA", "METADATA", "FULL IN", "NOT EXTENDED AS"];
    let wide = ["METADATA SIZE", "PER DAY", "THIN VOLUMES", "POOL"];
    table(&columns(&normal, &wide, width), list.pools.iter().map(row))
}

fn roughly(seconds: u64) -> String {
    match seconds {
        0..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}
