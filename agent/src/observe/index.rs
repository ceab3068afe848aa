//! What is looked up for every brick of a host: where it is mounted, and what fstab says of it. Hundreds of bricks come
//! with thousands of device-mapper devices, and nobody walks through all of those for each.

use std::collections::HashMap;

use bricklayer_proto::ids::BrickId;
use bricklayer_proto::names::{DevicePath, LvName, MountPoint, VgName, mapper_path};

use super::mount_point;
use crate::fstab;
use crate::host::HostView;

pub struct Index<'a> {
    view: &'a HostView,
    /// Places in the view's lists. Of several that go by one name the first counts.
    devices_by_mapping: HashMap<&'a str, usize>,
    devices_by_link: HashMap<&'a str, usize>,
    mounts_by_source: HashMap<&'a str, usize>,
    mounts_by_device: HashMap<(u32, u32), usize>,
    in_fstab: HashMap<BrickId, Option<MountPoint>>,
}

impl<'a> Index<'a> {
    pub fn of(view: &'a HostView) -> Self {
        let mut index = Self {
            view,
            devices_by_mapping: HashMap::new(),
            devices_by_link: HashMap::new(),
            mounts_by_source: HashMap::new(),
            mounts_by_device: HashMap::new(),
            in_fstab: HashMap::new(),
        };
        for (at, device) in view.block_devices.iter().enumerate() {
            if let Some(mapping) = &device.mapping {
                index.devices_by_mapping.entry(mapping).or_insert(at);
            }
            for link in device.links.iter().map(DevicePath::as_str) {
                index.devices_by_link.entry(link).or_insert(at);
            }
        }
        for (at, mount) in view.mounts.iter().enumerate() {
            index.mounts_by_source.entry(&mount.source).or_insert(at);
            index.mounts_by_device.entry(mount.device_number).or_insert(at);
        }
        for entry in fstab::entries(&view.fstab) {
            if let Some(brick) = entry.brick {
                index.in_fstab.entry(brick).or_insert_with(|| entry.at.as_str().parse().ok());
            }
        }
        index
    }

    /// Where a logical volume is mounted, by whatever name.
    pub fn mounted(&self, group: &VgName, volume: &LvName) -> Option<MountPoint> {
        let path = mapper_path(group, volume);
        let by_mapping = path.file_name().and_then(|name| self.devices_by_mapping.get(name));
        let device = by_mapping.into_iter().chain(self.devices_by_link.get(path.as_str())).min();
        let number = device.and_then(|at| self.view.block_devices.get(*at)).map(|device| device.device_number);
        let by_number = number.and_then(|number| self.mounts_by_device.get(&number));
        let mount = self.mounts_by_source.get(path.as_str()).into_iter().chain(by_number).min();
        mount_point(mount.and_then(|at| self.view.mounts.get(*at)))
    }

    /// Where fstab has the brick mounted.
    pub fn in_fstab(&self, brick: BrickId) -> Option<MountPoint> {
        self.in_fstab.get(&brick).cloned().flatten()
    }
}
