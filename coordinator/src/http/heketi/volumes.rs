//! `/volumes`.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use bricklayer_api::heketi::{
    BlockInfo, BlockRestriction as Restriction, BlockRestrictionRequest, Disperse, Durability as DurabilityInfo,
    DurabilityKind, DurabilityRequest, GlusterfsMount, Mount, Replicate, Snapshot as SnapshotInfo, SnapshotFactor,
    VolumeCloneRequest, VolumeCreateRequest, VolumeExpandRequest, VolumeInfo, VolumeList,
};
use bricklayer_proto::ids::{ClusterId, VolumeId};
use bricklayer_proto::names::{NotAName, VolumeName};
use bricklayer_proto::size::{ByteSize, GIB};
use bricklayer_proto::task::Layout;

use super::check::{self, Faults};
use super::{Id, devices};
use crate::http::body::Json;
use crate::http::failure::{Doing, Failure};
use crate::http::{Service, answer};
use crate::model::{BlockRestriction, Durability, Node, Snapshot, Topology, Volume};
use crate::ops::{Keep, VolumeWish};

/// heketi's default where a request says `replicate` and no number.
const DEFAULT_REPLICA: u32 = 2;

/// The most GiB whose bytes can be counted.
const MOST_GIB: u64 = u64::MAX / GIB;

/// heketi's limit; its text speaks of another number.
const GID_LIMIT: i64 = 2_147_483_647;

/// What erasure codes heketi offers.
const DISPERSE: [(u32, u32); 4] = [(2, 1), (4, 2), (8, 3), (8, 4)];

/// Makes a volume.
#[utoipa::path(post, path = "/volumes", request_body = VolumeCreateRequest, responses((status = 202)))]
pub async fn create(
    State(service): State<Service>,
    Json(request): Json<VolumeCreateRequest>,
) -> Result<Response, Failure> {
    let wish = checked(&service, request)?;
    service.has_room_for_one_more()?;
    let rejected = |error| Failure::rejected(Doing::VolumeCreate, &error);
    let operation = service.operations.volume_create(wish).await.map_err(rejected)?;
    Ok(answer::accepted(operation))
}

/// Lists the volumes.
#[utoipa::path(get, path = "/volumes", responses((status = 200, body = VolumeList)))]
pub async fn list(State(service): State<Service>) -> Response {
    let topology = service.operations.topology();
    let listed = topology.volumes.values().filter(|volume| volume.trash.is_none());
    let volumes = listed.map(|volume| volume.id).collect();
    answer::ok(&VolumeList { volumes })
}

/// Shows a volume with its bricks.
#[utoipa::path(get, path = "/volumes/{id}", responses((status = 200, body = VolumeInfo)))]
pub async fn info(State(service): State<Service>, Id(id): Id<VolumeId>) -> Result<Response, Failure> {
    let topology = service.operations.topology();
    let listed = topology.volumes.get(&id).filter(|volume| volume.trash.is_none());
    let volume = listed.ok_or_else(Failure::unknown_id)?;
    Ok(answer::ok(&view(&topology, volume)))
}

/// Deletes a volume and all that is on it.
#[utoipa::path(delete, path = "/volumes/{id}", responses((status = 202)))]
pub async fn delete(State(service): State<Service>, Id(id): Id<VolumeId>) -> Result<Response, Failure> {
    service.has_room_for_one_more()?;
    let rejected = |error| Failure::rejected(Doing::VolumeDelete, &error);
    // heketi's clients count on the space at once, so for them nothing is kept unless the installation says so.
    let keep = if service.operations.policy().trash.on_heketi_routes { Keep::AsConfigured } else { Keep::NotAtAll };
    let operation = service.operations.volume_delete(id, keep).await.map_err(rejected)?;
    Ok(answer::accepted(operation))
}

impl Service {
    /// What the configuration has for every volume stands before and behind what the request brings.
    fn with_options_of_all_volumes(&self, request: VolumeCreateRequest) -> VolumeCreateRequest {
        let (first, last) = (&self.settings.options_first, &self.settings.options_last);
        let options = match request.block {
            true => self.options_of_hosting_volumes(&request.gluster_volume_options),
            false => first.iter().chain(&request.gluster_volume_options).chain(last).cloned().collect(),
        };
        VolumeCreateRequest { gluster_volume_options: options, ..request }
    }

    /// The same for a volume that is to hold block volumes.
    pub(super) fn options_of_hosting_volumes(&self, requested: &[String]) -> Vec<String> {
        let hosting = &self.operations.policy().block.hosting_options;
        let (first, last) = (&self.settings.options_first, &self.settings.options_last);
        first.iter().chain(hosting).chain(requested).chain(last).cloned().collect()
    }
}

/// What a request for a new volume comes to, with the options that every volume has.
pub fn checked(service: &Service, request: VolumeCreateRequest) -> Result<VolumeWish, Failure> {
    let least_brick = service.operations.policy().limits.least_brick;
    let request = service.with_options_of_all_volumes(request);
    wish(request, &service.operations.topology(), least_brick)
}

fn wish(request: VolumeCreateRequest, topology: &Topology, least_brick: ByteSize) -> Result<VolumeWish, Failure> {
    let mut faults = Faults::default();
    let size = size("size", request.size_gib, "size_bytes", request.size_bytes, &mut faults);
    let name = name(&request.name, &mut faults);
    faults.none()?;

    let (layout, durability) = layout(&request.durability)?;
    if request.gid < 0 {
        return Err(Failure::bad_request("Bad group id less than zero"));
    }
    let gid = u32::try_from(request.gid).ok().filter(|_| request.gid < GID_LIMIT);
    let gid = gid.ok_or_else(|| Failure::bad_request("Bad group id equal or greater than 2**32"))?;
    let snapshot = snapshot(request.snapshot)?;
    let clusters = clusters(&request.clusters, topology)?;

    let data_bricks = match layout {
        Layout::Disperse { data, .. } => data,
        Layout::Distribute | Layout::Replicate { .. } | Layout::Arbiter => 1,
    };
    let least_kib = least_brick.whole_kib().saturating_mul(data_bricks.into());
    if size.whole_kib() < least_kib {
        // heketi names the one in GiB and the other in KiB; what it means stands below.
        return Err(Failure::bad_request(format!(
            "Requested volume size ({} GB) is smaller than the minimum supported volume size ({least_kib})\n\
             With this durability a volume has at least {}.",
            size.bytes().div_ceil(GIB),
            ByteSize::from_kib(least_kib).unwrap_or(size)
        )));
    }
    let options = request.gluster_volume_options.into_iter().filter(|option| !option.trim().is_empty()).collect();
    Ok(VolumeWish { name, size, clusters, layout, durability, gid, options, block: request.block, snapshot })
}

/// The clusters that a request names.
pub fn clusters(ids: &[String], topology: &Topology) -> Result<Vec<ClusterId>, Failure> {
    let cluster = |text: &String| {
        let known = text.parse().ok().filter(|id| topology.clusters.contains_key(id));
        known.ok_or_else(|| Failure::bad_request(format!("Cluster id {text} not found")))
    };
    ids.iter().map(cluster).collect()
}

/// Makes a volume larger.
///
/// heketi says how much is to be added.
#[utoipa::path(post, path = "/volumes/{id}/expand", request_body = VolumeExpandRequest, responses((status = 202)))]
pub async fn expand(
    State(service): State<Service>,
    Id(id): Id<VolumeId>,
    Json(request): Json<VolumeExpandRequest>,
) -> Result<Response, Failure> {
    let mut faults = Faults::default();
    let VolumeExpandRequest { expand_size_gib, expand_size_bytes } = request;
    let more = size("expand_size", expand_size_gib, "expand_size_bytes", expand_size_bytes, &mut faults);
    faults.none()?;
    service.has_room_for_one_more()?;
    let rejected = |error| Failure::rejected(Doing::VolumeExpand, &error);
    Ok(answer::accepted(service.operations.volume_expand(id, more).await.map_err(rejected)?))
}

/// Makes a volume with the same contents.
#[utoipa::path(post, path = "/volumes/{id}/clone", request_body = VolumeCloneRequest, responses((status = 202)))]
pub async fn clone(
    State(service): State<Service>,
    Id(id): Id<VolumeId>,
    Json(request): Json<VolumeCloneRequest>,
) -> Result<Response, Failure> {
    let mut faults = Faults::default();
    let name = name(&request.name, &mut faults);
    faults.none()?;
    service.has_room_for_one_more()?;
    let rejected = |error| Failure::rejected(Doing::VolumeClone(id), &error);
    Ok(answer::accepted(service.operations.volume_clone(id, name).await.map_err(rejected)?))
}

/// A size in GiB, or to the byte in our own field beside it.
fn size(gib_field: &'static str, gib: i64, bytes_field: &'static str, bytes: i64, faults: &mut Faults) -> ByteSize {
    let whole = u64::try_from(gib).unwrap_or(0);
    match u64::try_from(bytes) {
        Err(_) => faults.add(bytes_field, check::LESS_THAN_1),
        Ok(0) => {
            faults.number(gib_field, gib);
            if whole > MOST_GIB {
                faults.add(gib_field, format!("must be no greater than {MOST_GIB}"));
            }
            return ByteSize::from_gib(whole).unwrap_or(ByteSize::from_bytes(0));
        }
        Ok(bytes) => {
            let rounded = bytes.div_ceil(GIB);
            if gib != 0 && whole != rounded {
                faults.add(gib_field, format!("must be {rounded}, as {bytes_field} says, or be left out"));
            }
            return ByteSize::from_bytes(bytes);
        }
    }
    ByteSize::from_bytes(0)
}

fn name(text: &str, faults: &mut Faults) -> Option<VolumeName> {
    match check::name_fault(text) {
        Some(fault) => faults.add("name", fault),
        None if text.is_empty() => {}
        None => return text.parse().map_err(|error: NotAName| faults.add("name", error.to_string())).ok(),
    }
    None
}

/// Sets whether a volume takes more block volumes.
#[utoipa::path(post, path = "/volumes/{id}/block-restriction", request_body = BlockRestrictionRequest, responses((status = 202)))]
pub async fn restrict(
    State(service): State<Service>,
    Id(id): Id<VolumeId>,
    Json(request): Json<BlockRestrictionRequest>,
) -> Result<Response, Failure> {
    let mut faults = Faults::default();
    if !matches!(request.restriction.as_str(), "" | "locked") {
        faults.add("restriction", check::NO_SUCH_VALUE);
    }
    faults.none()?;
    service.has_room_for_one_more()?;
    let to = if request.restriction.is_empty() { BlockRestriction::None } else { BlockRestriction::Locked };
    let rejected = |error| Failure::rejected(Doing::BlockRestrict, &error);
    Ok(answer::accepted(service.operations.block_restrict(id, to).await.map_err(rejected)?))
}

/// What a durability comes to, and what heketi would say of it later: the request's numbers, those of other kinds
/// included. One number is filled in, the default of replicas: heketi left it out, and its command line divided by it.
pub fn layout(request: &DurabilityRequest) -> Result<(Layout, Durability), Failure> {
    let mut durability = Durability {
        kind: request.kind.clone(),
        replica: request.replicate.replica,
        disperse_data: request.disperse.data,
        disperse_redundancy: request.disperse.redundancy,
    };
    let layout = match request.kind.as_str() {
        "" | "none" => {
            DurabilityKind::None.as_str().clone_into(&mut durability.kind);
            Layout::Distribute
        }
        "replicate" => {
            let replica = match durability.replica {
                0 => Some(DEFAULT_REPLICA),
                asked => u32::try_from(asked).ok().filter(|replica| *replica <= 3),
            };
            let replica = replica.ok_or_else(|| {
                Failure::bad_request("Invalid replica value").with_cure(format!(
                    "{} copies were asked for, and a replicated volume has 1, 2 or 3. Dispersed ones outlive the loss of up to \
                     4 bricks of a set: `--durability disperse --disperse-data 8 --redundancy 4`.",
                    durability.replica
                ))
            })?;
            durability.replica = replica.into();
            Layout::Replicate { replica }
        }
        "disperse" => {
            let (data, redundancy) = (durability.disperse_data, durability.disperse_redundancy);
            let offered = |&&(d, r): &&(u32, u32)| i64::from(d) == data && i64::from(r) == redundancy;
            let found = DISPERSE.iter().find(offered);
            let &(data, redundancy) = found.ok_or_else(|| {
                let offered: Vec<_> = DISPERSE.iter().map(|(data, more)| format!("{data}+{more}")).collect();
                Failure::bad_request(format!("Invalid dispersion combination: {data}+{redundancy}"))
                    .with_cure(format!("There are: {}.", offered.join(", ")))
            })?;
            Layout::Disperse { data, redundancy }
        }
        _ => return Err(Failure::bad_request("Unknown durability type")),
    };
    Ok((layout, durability))
}

pub fn snapshot(request: SnapshotInfo) -> Result<Snapshot, Failure> {
    if !request.enable {
        return Ok(Snapshot { enable: false, factor_milli: 1000 });
    }
    let SnapshotFactor(factor) = request.factor;
    if !(1.0..=100.0).contains(&factor) {
        return Err(Failure::bad_request("Invalid snapshot factor"));
    }
    // A 32-bit float has 1.1 as 1.10000002: to the nearest thousandth is what was meant.
    let thousandths = (f64::from(factor) * 1000.0).round();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, from 1,000 to 100,000")]
    let factor_milli = thousandths as u32;
    Ok(Snapshot { enable: true, factor_milli })
}

pub fn view(topology: &Topology, volume: &Volume) -> VolumeInfo {
    let mut bricks: Vec<_> = volume.bricks.iter().map(|brick| devices::brick_view(volume.id, brick)).collect();
    bricks.sort_unstable_by_key(|brick| brick.id);
    VolumeInfo {
        size_gib: volume.size.whole_gib(),
        size_bytes: (!volume.size.bytes().is_multiple_of(GIB)).then_some(volume.size.bytes()),
        name: volume.name.to_string(),
        durability: durability_view(volume),
        gid: volume.gid.into(),
        gluster_volume_options: volume.options.clone(),
        block: volume.block,
        snapshot: SnapshotInfo {
            enable: volume.snapshot.enable,
            factor: SnapshotFactor(factor_view(volume.snapshot.factor_milli)),
        },
        protected: volume.protected,
        thick: volume.provisioning().is_thick(),
        id: volume.id,
        cluster: volume.cluster,
        mount: mount_view(topology, volume),
        block_info: if volume.block { block_info(topology, volume) } else { BlockInfo::default() },
        bricks,
    }
}

fn block_info(topology: &Topology, volume: &Volume) -> BlockInfo {
    let space = topology.hosting_space(volume);
    let gib = |gib: u64| i64::try_from(gib).unwrap_or(i64::MAX);
    BlockInfo {
        free_size_gib: gib(space.free),
        reserved_size_gib: gib(space.reserved),
        block_volumes: topology.blocks_in(volume.id).map(|block| block.id).collect(),
        restriction: match volume.restriction {
            BlockRestriction::None => Restriction::None,
            BlockRestriction::Locked => Restriction::Locked,
            BlockRestriction::LockedByUpdate => Restriction::LockedByUpdate,
        },
    }
}

fn durability_view(volume: &Volume) -> DurabilityInfo {
    let durability = &volume.durability;
    let kind = match volume.layout {
        Layout::Distribute => DurabilityKind::None,
        Layout::Replicate { .. } | Layout::Arbiter => DurabilityKind::Replicate,
        Layout::Disperse { .. } => DurabilityKind::Disperse,
    };
    DurabilityInfo {
        kind,
        replicate: Replicate { replica: durability.replica },
        disperse: Disperse { data: durability.disperse_data, redundancy: durability.disperse_redundancy },
    }
}

fn factor_view(milli: u32) -> f32 {
    #[expect(clippy::cast_possible_truncation, reason = "the nearest 32-bit float is what heketi has")]
    let factor = (f64::from(milli) / 1000.0) as f32;
    factor
}

/// Every node of the cluster serves the volume file, those without a brick and those that are offline included. By
/// node id, as heketi has it, so that the first one is the same for all volumes.
fn mount_view(topology: &Topology, volume: &Volume) -> Mount {
    let hosts: Vec<String> = topology
        .nodes_of(volume.cluster)
        .filter_map(|node| Node::storage_host(node))
        .map(|host| host.as_str().to_owned())
        .collect();
    let first = hosts.first().map_or("", String::as_str);
    let device = format!("{first}:{}", volume.name);
    let backups = hosts.get(1..).unwrap_or_default().join(",");
    let options = BTreeMap::from([("backup-volfile-servers".to_owned(), backups)]);
    Mount { glusterfs: GlusterfsMount { hosts, device, options } }
}
