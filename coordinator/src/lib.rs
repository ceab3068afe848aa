//! Bricklayer's coordinator: decides where bricks go, drives the agents, serves REST.
//!
//! Data flows one way: [`http`] parses a request and hands the wish to [`ops`], which asks [`placement`] (pure), writes
//! down what it will do ([`state`]), and asks the hosts through [`agents`]. [`pki`] says who may come in, [`reconcile`]
//! takes over what agents report. [`service`] puts the parts together. `docs/architecture.md` has the map.

pub mod adopt;
pub mod agents;
pub mod commands;
pub mod config;
pub mod doctor;
pub mod exports;
pub mod http;
pub mod keepsake;
pub mod keys;
pub mod logging;
pub mod metrics;
pub mod model;
pub mod ops;
pub mod pki;
pub mod placement;
pub mod pools;
pub mod rebuild;
pub mod reconcile;
pub mod recovery;
pub mod service;
pub mod standing;
pub mod state;
