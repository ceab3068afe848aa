//! Devices whose disk, or a brick on which, their host cannot read now.

use super::Operations;
use crate::model::Device;

impl Operations {
    /// Why nothing is placed on a device that its host cannot read, for people; what its agent said before it went away
    /// proves nothing.
    #[must_use]
    pub fn failing(&self, device: &Device) -> Option<String> {
        let agents = self.agents();
        let (inventory, _) = agents.inventory(device.node).filter(|_| agents.is_attached(device.node))?;
        let ailing: Vec<String> = inventory
            .ailing
            .iter()
            .filter(|ailing| ailing.device == device.id)
            .map(|ailing| match ailing.brick {
                None => ailing.fault.to_string(),
                Some(brick) => format!("brick {brick}: {}", ailing.fault),
            })
            .collect();
        (!ailing.is_empty()).then(|| ailing.join("; "))
    }
}
