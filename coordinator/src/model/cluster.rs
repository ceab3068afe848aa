use bricklayer_proto::ids::ClusterId;
use serde::{Deserialize, Serialize};

/// A trusted storage pool of GlusterFS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    pub id: ClusterId,
    /// Whether ordinary volumes may be placed here.
    pub file: bool,
    /// Whether block volumes may be placed here.
    pub block: bool,
}
