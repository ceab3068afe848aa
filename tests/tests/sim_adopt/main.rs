//! Installations that heketi or a person made are taken over as they are, and given back. Real coordinator, real agents
//! over mutual TLS, simulated hosts.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod by_hand;
mod giving_back;
mod refusals;
mod taking;
mod world;
