//! Installations that heketi or a person made are taken over as they are, and given back. Real coordinator, real agents
//! over mutual TLS, simulated hosts.

mod by_hand;
mod giving_back;
mod refusals;
mod taking;
mod world;
