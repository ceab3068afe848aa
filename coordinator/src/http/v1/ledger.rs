//! `/v1/devices/{id}/ledger`, `/v1/nodes/{node}/ledger` and `/v1/clusters/{id}/ledger`: where every byte went.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use bricklayer_api::v1::{
    BrickStage, DeviceLedger as Shown, DeviceSum, Figure, LedgerBrick, LedgerClass, LedgerSum, LedgerVolume, LvmArea,
    OtherKind, Source, SourceKind,
};
use bricklayer_proto::ids::{BrickId, ClusterId, DeviceId, NodeId, VolumeId};
use bricklayer_proto::names::VolumeName;
use bricklayer_proto::size::ByteSize;
use jiff::Timestamp;

use super::Id;
use crate::http::failure::Failure;
use crate::http::{Service, answer};
use crate::ops::{Basis, DeviceLedger, LedgerOf};
use crate::placement::ledger::{BrickLine, Class, Stage};

/// Tells where every byte of a device went.
///
/// Brick by brick, with who says each figure and how old it is. Answered from memory: no host is asked.
#[utoipa::path(get, path = "/v1/devices/{id}/ledger", responses((status = 200, body = Shown)))]
pub async fn of_device(State(service): State<Service>, Id(id): Id<DeviceId>) -> Result<Response, Failure> {
    let ledgers = service.operations.ledgers(LedgerOf::Device(id)).map_err(|_| unknown("device", id))?;
    let ledger = ledgers.first().ok_or_else(|| unknown("device", id))?;
    let shown = Shown {
        operations: service.operations.under_way_on(id),
        ..device(ledger, &service.operations.volumes_of_bricks(id), service.operations.now())
    };
    Ok(answer::ok(&shown))
}

/// Tells where every byte of a node's devices went.
#[utoipa::path(get, path = "/v1/nodes/{node}/ledger", responses((status = 200, body = LedgerSum)))]
pub async fn of_node(State(service): State<Service>, Path(node): Path<String>) -> Result<Response, Failure> {
    let id = service.node(&node)?;
    let topology = service.operations.topology();
    let node = topology.nodes.get(&id).ok_or_else(Failure::unknown_id)?;
    let ledgers = service.operations.ledgers(LedgerOf::Node(id))?;
    Ok(answer::ok(&sum(node.cluster, Some((id, node.name())), &ledgers, service.operations.now())))
}

/// Tells where every byte of a cluster's devices went.
#[utoipa::path(get, path = "/v1/clusters/{id}/ledger", responses((status = 200, body = LedgerSum)))]
pub async fn of_cluster(State(service): State<Service>, Id(id): Id<ClusterId>) -> Result<Response, Failure> {
    let ledgers = service.operations.ledgers(LedgerOf::Cluster(id)).map_err(|_| unknown("cluster", id))?;
    Ok(answer::ok(&sum(id, None, &ledgers, service.operations.now())))
}

/// The one thing that a ledger is refused for.
fn unknown(kind: &str, id: impl std::fmt::Display) -> Failure {
    Failure::new(StatusCode::NOT_FOUND, format!("there is no {kind} {id}\nSee `bricklayer {kind} list`"))
}

fn device(from: &DeviceLedger, volumes: &BTreeMap<BrickId, (VolumeId, VolumeName)>, now: Timestamp) -> Shown {
    let sources = Sources { of: from, now };
    let figures = from.ledger.amounts().map(|(class, amount)| {
        let class = shown(class);
        Figure { class, bytes: amount.bytes(), sources: vec![sources.of_class(class)] }
    });
    let others = from.others.iter().map(|other| LedgerVolume {
        name: other.name.to_string(),
        kind: if other.orphan { OtherKind::Orphan } else { OtherKind::Foreign },
        bytes: other.size.bytes(),
        brick: other.brick,
        volume: other.volume,
    });
    Shown {
        device: from.device.id,
        name: from.device.name.to_string(),
        node: from.node.id,
        node_name: from.node.name().to_owned(),
        cluster: from.node.cluster,
        extent_bytes: from.device.space.extent_size.bytes(),
        total_bytes: from.ledger.total.bytes(),
        total_sources: vec![sources.of_total()],
        figures: figures.collect(),
        unaccounted_bytes: from.ledger.unaccounted.0,
        promised_beyond_bytes: from.promised_beyond.bytes(),
        lvm_area: lvm_area(from),
        operations: Vec::new(),
        bricks: from.ledger.bricks.iter().map(|line| brick(line, volumes.get(&line.brick))).collect(),
        volumes: others.collect(),
        notes: notes(from, |brick| volumes.get(&brick).map(|(_, name)| name.to_string())),
    }
}

fn brick(line: &BrickLine, volume: Option<&(VolumeId, VolumeName)>) -> LedgerBrick {
    LedgerBrick {
        brick: line.brick,
        volume: volume.map(|(id, _)| *id),
        volume_name: volume.map(|(_, name)| name.to_string()),
        stage: match line.stage {
            Stage::Whole => BrickStage::Whole,
            Stage::Making => BrickStage::Making,
            Stage::Growing { .. } => BrickStage::Growing,
            Stage::Leaving => BrickStage::Leaving,
            Stage::Trash => BrickStage::Trash,
        },
        data_bytes: line.data.bytes(),
        rounding_bytes: line.rounding.bytes(),
        snapshot_room_bytes: line.snapshot_room.bytes(),
        metadata_bytes: line.metadata.bytes(),
        lvm_bytes: line.seen.map(ByteSize::bytes),
    }
}

fn sum(cluster: ClusterId, node: Option<(NodeId, &str)>, of: &[DeviceLedger], now: Timestamp) -> LedgerSum {
    let figures = Class::ALL.map(|class| {
        let bytes: ByteSize = of.iter().map(|device| device.ledger.amount(class)).sum();
        let class = shown(class);
        let sources = of.iter().map(|device| Sources { of: device, now }.of_class(class));
        Figure { class, bytes: bytes.bytes(), sources: merged(sources) }
    });
    let devices = of.iter().map(|device| DeviceSum {
        device: device.device.id,
        name: device.device.name.to_string(),
        node: device.node.id,
        node_name: device.node.name().to_owned(),
        total_bytes: device.ledger.total.bytes(),
        amounts: device.ledger.amounts().map(|(class, amount)| (shown(class), amount.bytes())).collect(),
        unaccounted_bytes: device.ledger.unaccounted.0,
    });
    let notes = of.iter().flat_map(|device| {
        let at = format!("{} on {}", device.device.name, device.node.name());
        notes(device, |_| None).into_iter().map(move |note| format!("{at}: {note}"))
    });
    let total: ByteSize = of.iter().map(|device| device.ledger.total).sum();
    LedgerSum {
        cluster,
        node: node.map(|(id, _)| id),
        node_name: node.map(|(_, name)| name.to_owned()),
        total_bytes: total.bytes(),
        total_sources: merged(of.iter().map(|device| Sources { of: device, now }.of_total())),
        figures: figures.into(),
        unaccounted_bytes: of.iter().map(|device| device.ledger.unaccounted.0).fold(0, i64::saturating_add),
        devices: devices.collect(),
        notes: notes.collect(),
    }
}

/// One of each kind, with every host and the oldest age.
fn merged(sources: impl Iterator<Item = Source>) -> Vec<Source> {
    let mut merged: BTreeMap<SourceKind, Source> = BTreeMap::new();
    for source in sources {
        match merged.get_mut(&source.from) {
            None => {
                merged.insert(source.from, source);
            }
            Some(known) => {
                known.hosts.extend(source.hosts);
                known.hosts.sort();
                known.hosts.dedup();
                known.seen = known.seen.into_iter().chain(source.seen).min();
                known.age_seconds = known.age_seconds.max(source.age_seconds);
            }
        }
    }
    merged.into_values().collect()
}

/// Who says what of one device.
#[derive(Clone, Copy)]
struct Sources<'a> {
    of: &'a DeviceLedger,
    now: Timestamp,
}

impl Sources<'_> {
    fn of_class(self, class: LedgerClass) -> Source {
        match class {
            LedgerClass::BrickData
            | LedgerClass::Rounding
            | LedgerClass::SnapshotRoom
            | LedgerClass::PoolMetadata
            | LedgerClass::Trash
            | LedgerClass::Reserved => RECORD,
            LedgerClass::MetadataSpare | LedgerClass::KeptFree | LedgerClass::Free => self.of_lvm(SourceKind::Vgs),
            LedgerClass::UnderWay | LedgerClass::Orphans | LedgerClass::Foreign => self.of_lvm(SourceKind::Lvs),
            LedgerClass::LvmArea => self.of_total(),
        }
    }

    fn of_lvm(self, from: SourceKind) -> Source {
        match self.of.basis {
            Basis::Report { received } => self.seen(from, received),
            Basis::RecordAfterReport | Basis::RecordAlone => RECORD,
        }
    }

    fn of_total(self) -> Source {
        match self.of.disk {
            Some(disk) if disk.start.is_some() => self.seen(SourceKind::Pvs, disk.received),
            Some(disk) => self.seen(SourceKind::Lsblk, disk.received),
            None => self.of_lvm(SourceKind::Vgs),
        }
    }

    fn seen(self, from: SourceKind, received: Timestamp) -> Source {
        // A clock that was set back makes nothing younger than now.
        let age = u64::try_from(self.now.duration_since(received).as_secs()).unwrap_or(0);
        Source { from, hosts: vec![self.of.node.name().to_owned()], seen: Some(received), age_seconds: Some(age) }
    }
}

const RECORD: Source = Source { from: SourceKind::Record, hosts: Vec::new(), seen: None, age_seconds: None };

fn lvm_area(of: &DeviceLedger) -> Option<LvmArea> {
    let before = of.disk?.start?;
    let area = of.ledger.amount(Class::LvmArea);
    Some(LvmArea { before_bytes: before.min(area).bytes(), behind_bytes: before.short_of(area).bytes() })
}

/// What to know when reading it.
fn notes(of: &DeviceLedger, volume_of: impl Fn(BrickId) -> Option<String>) -> Vec<String> {
    let (host, device) = (of.node.name(), &of.device);
    let mut notes = Vec::new();
    match of.basis {
        Basis::Report { .. } => {}
        Basis::RecordAfterReport => notes.push(format!(
            "the last report of the agent on {host} is older than what was done since: LVM's figures are those that \
             were recorded, and orphans count as foreign, until its next report"
        )),
        Basis::RecordAlone => notes.push(format!(
            "the agent on {host} has not reported this volume group since the coordinator started: LVM's figures are \
             those that were recorded last, and orphans count as foreign"
        )),
    }
    match (of.disk, lvm_area(of)) {
        (None, _) => {
            notes.push("the size of the disk is not known, so that LVM's own area on it is not in here".to_owned())
        }
        (Some(_), None) => notes.push(format!(
            "where the extents begin on the disk is not reported by this version of the agent on {host}: \
             update bricklayer-agent there"
        )),
        (Some(_), Some(area)) if area.behind_bytes >= device.space.extent_size.bytes() => notes.push(format!(
            "{} of the disk lie behind the last extent; if the disk has grown, run `pvresize {}` on {host} and \
             `bricklayer device resync {}`",
            ByteSize::from_bytes(area.behind_bytes),
            device.name,
            device.id
        )),
        (Some(_), Some(_)) => {}
    }
    if of.promised_beyond > ByteSize::ZERO {
        notes.push(format!(
            "bricks and clones here may hold {} beyond what their pools have; {} are free to extend them, and where that is not \
             enough, writes fail",
            of.promised_beyond,
            of.ledger.amount(Class::Free)
        ));
    }
    for line in of.ledger.bricks.iter().filter(|line| line.differs()) {
        let volume = volume_of(line.brick).map_or_else(String::new, |name| format!(" of volume {name}"));
        let (record, lvm) = (line.taken().bytes(), line.seen.unwrap_or_default().bytes());
        notes.push(format!("brick {}{volume}: the records say {record} bytes, LVM has {lvm} bytes", line.brick));
    }
    notes
}

fn shown(class: Class) -> LedgerClass {
    match class {
        Class::BrickData => LedgerClass::BrickData,
        Class::Rounding => LedgerClass::Rounding,
        Class::SnapshotRoom => LedgerClass::SnapshotRoom,
        Class::PoolMetadata => LedgerClass::PoolMetadata,
        Class::MetadataSpare => LedgerClass::MetadataSpare,
        Class::Trash => LedgerClass::Trash,
        Class::UnderWay => LedgerClass::UnderWay,
        Class::Orphans => LedgerClass::Orphans,
        Class::Foreign => LedgerClass::Foreign,
        Class::Reserved => LedgerClass::Reserved,
        Class::KeptFree => LedgerClass::KeptFree,
        Class::Free => LedgerClass::Free,
        Class::LvmArea => LedgerClass::LvmArea,
    }
}
