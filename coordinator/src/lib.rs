//! Bricklayer's coordinator: decides where bricks go, drives the agents, serves REST.

pub mod agents;
pub mod pki;
pub mod model;
pub mod ops;
pub mod placement;
pub mod reconcile;
pub mod state;
pub mod config;
pub mod keys;
