//! Whole clusters on simulated hosts: REST, the real coordinator, real agents over mutual TLS.
//!
//! One program for all of them: each would carry the whole coordinator and all agents again.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod adopt;
mod audit;
mod block;
mod changes;
mod cluster;
mod doctor;
mod engine;
mod every_effect;
mod fstab_fixed;
mod full_disk;
mod host;
mod ledger;
mod lost;
mod placing;
mod pool_faults;
mod pools;
mod rebuild;
mod thick;
mod trash;
mod watch;
