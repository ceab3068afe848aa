//! heketi's contract with its clients, played over a real socket against the sandbox.
//!
//! [`golden`] compares answers to the byte, [`life_cycles`] lets models of heketi's clients live with everything that
//! there is, [`kubernetes`] does so with the provisioner of Kubernetes, [`tokens`] is about who is let in,
//! [`connections`] about how requests come, and [`bad_input`] sends what nobody should.

#![allow(clippy::unwrap_used, reason = "what helps a test may fail as a test does")]

mod bad_input;
mod connections;
mod golden;
mod kubernetes;
mod life_cycles;
mod sandbox;
mod tokens;
