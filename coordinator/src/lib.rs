//! Bricklayer's coordinator: decides where bricks go, drives the agents, serves REST.

pub mod agents;
pub mod model;
pub mod ops;
pub mod placement;
pub mod reconcile;
pub mod state;
