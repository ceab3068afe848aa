//! What Bricklayer's REST API says, and a client for it.
//!
//! [`heketi`] holds the bodies of heketi's own routes, equal to heketi's byte for byte: nothing of ours may stand in
//! them, but for sizes in bytes, and those only where heketi's GiB cannot say them. [`v1`] holds the bodies of our routes, all below `/v1`. [`json`] reads both as heketi's clients and server
//! expect JSON to be read. [`client`] speaks to a coordinator, or to a heketi.
//!
//! The vocabulary that the bodies are made of is handed on ([`ids`], [`names`], [`size`], [`inventory`]), so that a client
//! needs this crate alone.
//!
//! The server and every client share these types, so that the two sides cannot drift apart. No decision is taken here.

pub use bricklayer_proto::{ids, inventory, names, size};

pub mod client;
pub mod heketi;
pub mod json;
pub mod v1;
