//! Bricklayer's agent: places and keeps bricks on one GlusterFS host.
//!
//! Data flows one way: `session` (the stream to the coordinator) hands tasks to [`engine`], which observes, plans
//! (pure) and carries out through [`host`]. Nothing below knows what is above it. `docs/architecture.md` has the map.

pub mod commands;
pub mod engine;
pub mod fstab;
pub mod host;
pub mod identity;
pub mod journal;
pub mod keepsakes;
pub mod lock;
pub mod observe;
pub mod plan;
pub mod session;
pub mod status;
pub mod tags;
pub mod tools;
