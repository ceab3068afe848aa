//! What the hosts keep for a coordinator that is to come: all of its state that their disks do not say.
//!
//! [`document`] says what is kept, [`mark`] how it is known again, [`keeper`] when it is handed out. Tags and records on
//! the disks stay the truth of what exists ([ADR 0003](../../../docs/adr/0003-lvm-tags-are-the-truth.md)); [`crate::rebuild`]
//! holds both against each other. Must never send what an agent could use, and never replace newer by older.

pub mod document;
pub mod keeper;
mod mark;

pub use document::{DeviceDocument, InstallationDocument, VolumesDocument};
pub use mark::{Marks, NotOurs};
