//! The contract between Bricklayer's coordinator and its agents.
//!
//! Two halves: the **vocabulary** (plain types, parsed where they are made, no I/O) and, behind the feature `wire`,
//! the gRPC code that carries it. Read [`ids`], [`size`] and [`names`] first, then [`inventory`] (what an agent sees)
//! and [`task`] (what it is asked to bring about).

pub mod adopt;
pub mod block;
pub mod identity;
pub mod ids;
pub mod inventory;
pub mod keepsake;
pub mod names;
pub mod size;
pub mod space;
pub mod task;

#[cfg(feature = "wire")]
pub mod wire;
