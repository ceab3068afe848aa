//! What the client writes, and what it knows of it: only what was flushed counts, as nobody is promised anything else.

use std::process::Child;
use std::time::Duration;

use anyhow::ensure;

use super::Volume;
use crate::lab::Lab;

/// Writes a file to each volume in turn until it is told to stop. A file whose flush was acknowledged is noted with its
/// checksum, beside the volume; one that was refused is not, and its name is not used again.
const WRITE: &str = r#"
round=$1; shift; rm -f /tmp/stop-writing; mkdir -p /var/sums; i=0; noted=0
while :; do
    i=$((i + 1))
    for volume in "$@"; do
        head -c $((i % 48 * 1024 + 100)) /dev/urandom >/tmp/data
        if dd if=/tmp/data of=/mnt/$volume/r$round-$i bs=64k conv=fsync 2>/dev/null; then
            sum=$(sha256sum </tmp/data); echo "${sum%% *}  r$round-$i" >>/var/sums/$volume; noted=$((noted + 1))
        fi
    done
    if [ $noted -ge $# ]; then touch /tmp/wrote-once; fi
    if [ -e /tmp/stop-writing ] || [ $i -ge 40 ]; then break; fi
    sleep 0.7
done
echo $noted"#;

/// A mount that meets hosts that came back a moment ago tries them one after the other.
const MOUNT: Duration = Duration::from_secs(180);

/// The client, writing.
pub struct Writer(Option<Child>);

impl Writer {
    /// Back when each volume has a file of this round, from before any cut.
    pub fn start(lab: &Lab, round: usize, volumes: &[&Volume]) -> anyhow::Result<Self> {
        if volumes.is_empty() {
            return Ok(Self(None));
        }
        lab.on("client", "rm -f /tmp/wrote-once")?;
        let round = round.to_string();
        let words = ["exec", "client", "--", "sh", "-c", WRITE, "write", &round];
        let words: Vec<&str> = words.into_iter().chain(volumes.iter().map(|volume| volume.id.as_str())).collect();
        let child = lab.start(&words)?;
        lab.wait_for("the first files to be written", MOUNT, || {
            Ok(lab.try_on("client", "test -e /tmp/wrote-once")?.code == 0)
        })?;
        Ok(Self(Some(child)))
    }

    /// Answers how many files are known to be written.
    pub fn stop(self, lab: &Lab) -> anyhow::Result<u64> {
        let Some(child) = self.0 else { return Ok(0) };
        lab.on("client", "touch /tmp/stop-writing")?;
        let output = child.wait_with_output()?;
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        ensure!(output.status.success(), "the client's writing ended: {said}");
        Ok(said.parse()?)
    }
}

/// Below `/mnt/<id>`.
pub fn mount(lab: &Lab, volume: &Volume) -> anyhow::Result<()> {
    let Volume { id, name, .. } = volume;
    let others = "backup-volfile-servers=192.168.0.204:192.168.0.173";
    lab.wait_for(&format!("{name} to be mounted"), MOUNT, || {
        lab.on(
            "client",
            &format!("mkdir -p /mnt/{id} && mount -t glusterfs -o {others} 192.168.0.224:{name} /mnt/{id}"),
        )?;
        Ok(true)
    })
}

pub fn unmount(lab: &Lab, id: &str) -> anyhow::Result<()> {
    lab.on("client", &format!("umount /mnt/{id} && rmdir /mnt/{id}"))?;
    Ok(())
}

/// Of a volume that is gone.
pub fn forget(lab: &Lab, id: &str) -> anyhow::Result<()> {
    lab.on("client", &format!("rm -f /var/sums/{id}"))?;
    Ok(())
}

/// Everything that was flushed is there and the same, as the client reads it.
pub fn is_all_there(lab: &Lab, volume: &Volume) -> anyhow::Result<()> {
    let id = &volume.id;
    let script = format!(
        "[ ! -e /var/sums/{id} ] || {{ cd /mnt/{id} && echo 3 >/proc/sys/vm/drop_caches && \
         sha256sum -c --quiet /var/sums/{id}; }}"
    );
    lab.on("client", &script)?;
    Ok(())
}

/// The checksums of what was flushed, as `sha256sum -c` reads them.
pub fn sums(lab: &Lab, volume: &Volume) -> anyhow::Result<String> {
    lab.on("client", &format!("cat /var/sums/{} 2>/dev/null || true", volume.id))
}
