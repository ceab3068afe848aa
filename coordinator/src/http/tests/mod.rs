//! The routes over a real socket, on a real store, with agents that say yes to everything.

mod adopt;
mod audit;
mod auth;
mod golden;
mod hardware;
mod heketi;
mod ledger;
mod ours;
mod placing;
mod plans;
mod policy;
mod server;
mod tls;
mod wire;
mod world;
