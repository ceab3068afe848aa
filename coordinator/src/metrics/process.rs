//! The process itself, under the names that every exporter has for it. What /proc does not tell is left out.

use std::fmt;
use std::fs;

use super::Gauges;

pub fn gauges(gauges: &mut Gauges<'_>) -> fmt::Result {
    if let Some(bytes) = status("VmRSS:") {
        gauges.one("process_resident_memory_bytes", "Resident memory.", bytes)?;
    }
    if let Some(bytes) = status("VmSize:") {
        gauges.one("process_virtual_memory_bytes", "Virtual memory.", bytes)?;
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        gauges.one("process_open_fds", "Open file descriptors.", open.count())?;
    }
    Ok(())
}

/// A line of /proc/self/status that is in kB, as bytes.
fn status(name: &str) -> Option<u64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}
