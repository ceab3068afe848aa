//! Logical volumes go, and where one does not, why.

use bricklayer_proto::names::{LvName, VgName, mapper_path};

use super::lvm::Lvm;
use super::{holders, mount};
use crate::host::HostError;

/// As [`Host::remove_volumes`](crate::host::Host::remove_volumes).
pub async fn of_volumes(lvm: &Lvm, group: &VgName, volumes: &[LvName]) -> Result<(), HostError> {
    let removed = in_one_process(lvm, group, volumes).await;
    let Err(HostError::Failed { what, said }) = removed else { return removed };
    // It is mounted nowhere here by now. Another namespace that still has it is what LVM cannot name.
    let devices: Vec<_> = volumes.iter().map(|volume| mapper_path(group, volume)).collect();
    let look = move || devices.iter().find_map(|device| holders::in_other_namespaces(mount::PROC.into(), device));
    let said = match tokio::task::spawn_blocking(look).await.ok().flatten() {
        Some(holders) => format!("{said}; it is mounted in another mount namespace, that of {holders}"),
        None => said,
    };
    Err(HostError::Failed { what, said })
}

async fn in_one_process(lvm: &Lvm, group: &VgName, volumes: &[LvName]) -> Result<(), HostError> {
    let call = lvm.remove_volumes(group, volumes);
    let said = call.run_whatever_comes().await?;
    if said.status.success() {
        // Where a line of the script failed, what it complained of is told if the volume turns out to be there.
        return if said.complained() { Err(call.failed(&said)) } else { Ok(()) };
    }
    // This lvm was built without its command loop.
    for volume in volumes {
        lvm.remove_volume(group, volume).run().await?;
    }
    Ok(())
}
