//! Who comes in, who does not, and what each is told: enrolment, renewal, revocation and the stream, over real mutual
//! TLS.

mod enrolment;
mod raw;
mod refusals;
mod stream;
mod world;
