//! Runs the program as people run it, by both of its names, against a server that answers by a script.

#![expect(clippy::unwrap_used, reason = "what a test's own server cannot do fails the test")]

mod bricklayer;
mod heketi_cli;
mod life_of_a_volume;
mod other_ways;
mod placing;
mod support;
