//! heketi's contract with its clients, played over a real socket against the sandbox.
//!
//! [`golden`] compares answers to the byte, [`life_cycles`] lets models of heketi's clients live with everything that
//! there is, and [`kubernetes`] does so with the provisioner of Kubernetes.

#![allow(clippy::unwrap_used, reason = "what helps a test may fail as a test does")]

mod golden;
mod kubernetes;
mod life_cycles;
mod sandbox;
