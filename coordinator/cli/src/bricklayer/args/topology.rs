//! `bricklayer topology`.

use std::path::PathBuf;

use clap::Subcommand;

use super::common::Look;

const TOPOLOGY_HELP: &str = r#"A topology file:
  {"clusters": [{"nodes": [
    {"node": {"hostnames": {"manage": ["gfs1"], "storage": ["192.168.0.224"]}, "zone": 1},
     "devices": ["/dev/sdb", {"name": "/dev/sdc", "destroydata": false}]}
  ]}]}"#;

#[derive(Debug, Subcommand)]
pub enum TopologyCommand {
    /// Show clusters, nodes, devices and volumes
    Info {
        #[command(flatten)]
        look: Look,
    },
    /// Add the hosts and disks that a file names
    ///
    /// What is there already stays as it is, and nothing is removed. The file is heketi's: see
    /// `bricklayer topology load --help` for an example.
    #[command(after_long_help = TOPOLOGY_HELP)]
    Load {
        /// The topology file
        #[arg(short, long, value_name = "FILE")]
        json: PathBuf,
        /// Exit with 1 when a node or a device could not be added; heketi-cli exits with 0
        #[arg(long)]
        strict: bool,
        /// Change nothing: say what would be added
        #[arg(long)]
        dry_run: bool,
    },
}
