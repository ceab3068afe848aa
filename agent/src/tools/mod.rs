//! The host's own programs and files behind the trait [`Host`](crate::host::Host).
//!
//! The one module that starts processes ([`run`]); one file per program, each with a constructor per use that is tested
//! by its words, and a parser that is tested on what the real program printed. No decision is made here: what may be
//! destroyed is for [`crate::plan`] to say. Start at [`RealHost`].

pub mod blockdev;
pub mod files;
mod fstab_file;
pub mod gluster;
pub mod gluster_block;
pub mod gluster_store;
mod holders;
pub mod lvm;
pub mod mount;
mod probe;
pub mod processes;
mod real;
mod removal;
pub mod run;
pub mod xfs;

pub use real::RealHost;
