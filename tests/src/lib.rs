//! Bricklayer's test harness: simulated hosts, whole clusters in one process, real hosts in the lab.

pub mod clients;
pub mod cluster;
#[cfg(feature = "lab")]
pub mod cuts;
#[cfg(feature = "histories")]
pub mod every_effect;
#[cfg(feature = "histories")]
pub mod histories;
#[cfg(feature = "histories")]
pub mod hostile;
#[cfg(feature = "lab")]
pub mod lab;
pub mod life;
#[cfg(feature = "histories")]
pub mod rig;
#[cfg(feature = "lab")]
pub mod scenario;
pub mod sim;
pub mod story;
