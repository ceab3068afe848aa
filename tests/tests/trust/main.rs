//! Who comes in, who does not, and what each is told: enrolment, renewal, revocation and the stream, over real mutual
//! TLS.

#![allow(clippy::unwrap_used, reason = "what helps a test may fail as a test does")]

mod enrolment;
mod raw;
mod refusals;
mod stream;
mod world;
