//! The agents that attach to this coordinator: their streams, their tasks, and what operations may ask of them.
//!
//! Owns the one open port (agents dial out, nobody dials them) and the live sessions. Must never decide what a host is
//! asked for, nor believe a name that the certificate does not carry. Read [`AgentApi`] first, then [`Registry`].

mod api;
mod lean;
mod listen;
mod registry;
mod service;

pub use api::{AgentApi, AgentError, AgentEvent, AgentStatus, Patience, Presence, Refusal, Refused, Sight};
pub use listen::{ServeError, serve};
pub use registry::{Arrival, Parting, Registry, Session};
