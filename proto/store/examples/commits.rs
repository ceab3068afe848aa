//! How many durable commits this disk gives, for 1 and for 16 callers.
//!
//! `cargo run --release -p bricklayer-store --example commits [DIRECTORY] [SECONDS]`; the directory must be on the disk
//! that is asked about (`/tmp` may be memory), and is left as it was found.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bricklayer_store::{Batch, Schema, Store, Table};
use serde_json::{Value, json};

const VOLUMES: Table<String, Value> = Table::new("volumes");
const SCHEMA: Schema = Schema { application: "commits", version: 1, migrations: &[] };

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let parent = arguments.next().map_or_else(|| PathBuf::from("."), PathBuf::from);
    let seconds = arguments.next().map_or(Ok(3), |text| text.parse())?;
    for callers in [1, 16] {
        let dir = tempfile::Builder::new().prefix("commits-").tempdir_in(&parent)?;
        let store = Store::open(&dir.path().join("store"), SCHEMA)?;
        let start = Instant::now();
        let until = start + Duration::from_secs(seconds);
        let mut tasks = Vec::new();
        for caller in 0..callers {
            let store = store.clone();
            tasks.push(tokio::spawn(async move {
                let mut commits = 0_u64;
                while Instant::now() < until {
                    let mut batch = Batch::new();
                    let key = format!("{caller}-{}", commits % 60);
                    batch.put(&VOLUMES, &key, &json!({ "commit": commits, "filling": "x".repeat(700) }));
                    store.commit(batch).await?;
                    commits += 1;
                }
                Ok::<_, bricklayer_store::StoreError>(commits)
            }));
        }
        let mut commits = 0;
        for task in tasks {
            commits += task.await??;
        }
        let took = start.elapsed();
        let groups = store.seq()?;
        store.close();
        println!(
            "{callers:2} callers: {:6.0} commits/s in {:6.0} groups/s; {commits} commits left {} KiB; {} KiB of memory",
            per_second(commits, took),
            per_second(groups.get(), took),
            bytes_in(dir.path())? / 1024,
            memory_kib()?,
        );
        let start = Instant::now();
        let store = Store::open(&dir.path().join("store"), SCHEMA)?;
        println!("            opened again and verified in {} ms", start.elapsed().as_millis());
        store.close();
    }
    Ok(())
}

fn per_second(count: u64, took: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "printed without decimals")]
    let count = count as f64;
    count / took.as_secs_f64()
}

fn bytes_in(dir: &Path) -> std::io::Result<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        sum += if entry.file_type()?.is_dir() { bytes_in(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(sum)
}

fn memory_kib() -> std::io::Result<String> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap_or_default();
    Ok(line.trim().trim_end_matches("kB").trim().to_owned())
}
