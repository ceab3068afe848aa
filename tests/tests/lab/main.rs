//! Real hosts in user-mode Linux, with real LVM, XFS and GlusterFS. Each test brings up its own; one at a time.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod adopt;
mod changes;
mod coordinator_killed;
mod disks;
mod dying_disk;
mod lost_host;
mod pools;
mod power_cut;
mod random_cuts;
mod rebuild;
mod thick;
mod trust;
