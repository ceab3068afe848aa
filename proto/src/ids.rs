//! One type per kind of id, so that no function can be handed the wrong one.
//!
//! Every id is 128 random bits, printed as heketi prints them: 32 lower-case hex digits without dashes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// A text that is not 32 lower-case hex digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {kind} (32 lower-case hex digits are expected)")]
pub struct NotAnId {
    kind: &'static str,
    text: String,
}

fn parse(kind: &'static str, text: &str) -> Result<Uuid, NotAnId> {
    let hex = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let wrong = || NotAnId { kind, text: text.chars().take(64).collect() };
    if text.len() != 32 || !hex {
        return Err(wrong());
    }
    Uuid::try_parse(text).map_err(|_| wrong())
}

fn fresh() -> Uuid {
    #[cfg(feature = "seeded")]
    if let Some(bits) = seeded::next() {
        return Uuid::from_u128(bits);
    }
    Uuid::new_v4()
}

/// Ids that are the same in each run of a simulation.
#[cfg(feature = "seeded")]
pub mod seeded {
    use std::cell::Cell;

    thread_local! {
        static STATE: Cell<Option<u64>> = const { Cell::new(None) };
    }

    /// From now on the ids that this thread makes follow from the seed; without one they are random again.
    pub fn from_seed(seed: Option<u64>) {
        STATE.set(seed);
    }

    pub(super) fn next() -> Option<u128> {
        let (high, low) = (step()?, step()?);
        Some(u128::from(high) << 64 | u128::from(low))
    }

    /// SplitMix64: one state, well spread, a few lines.
    fn step() -> Option<u64> {
        let state = STATE.get()?.wrapping_add(0x9e37_79b9_7f4a_7c15);
        STATE.set(Some(state));
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Some(mixed ^ (mixed >> 31))
    }
}

#[cfg(feature = "openapi")]
fn schema(kind: &str) -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
    use utoipa::openapi::schema::{ObjectBuilder, Type};
    let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[0-9a-f]{32}$"));
    text.description(Some(format!("{kind}: 32 lower-case hex digits"))).into()
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $kind:literal),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// A new random id.
            #[must_use]
            pub fn random() -> Self {
                Self(fresh())
            }

            /// An id with known bits, for tests and for ids that are derived from others.
            #[must_use]
            pub const fn from_u128(bits: u128) -> Self {
                Self(Uuid::from_u128(bits))
            }

            #[must_use]
            pub const fn to_u128(self) -> u128 {
                self.0.as_u128()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.simple().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0.simple())
            }
        }

        #[cfg(feature = "openapi")]
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                schema($kind)
            }
        }

        #[cfg(feature = "openapi")]
        impl utoipa::ToSchema for $name {}

        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                parse($kind, text).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}

ids! {
    /// A whole installation: one coordinator with its agents.
    InstallationId = "an installation id",
    /// A trusted storage pool of GlusterFS.
    ClusterId = "a cluster id",
    /// A host that we manage.
    NodeId = "a node id",
    /// A raw disk given to us; its volume group is `vg_<device id>`.
    DeviceId = "a device id",
    /// A directory on an XFS of its own.
    BrickId = "a brick id",
    /// A GlusterFS volume.
    VolumeId = "a volume id",
    /// A block device whose file lies in a volume.
    BlockVolumeId = "a block volume id",
    /// A durable operation; heketi's `/queue/<id>`.
    OperationId = "an operation id",
    /// One task given to one agent.
    TaskId = "a task id",
    /// An invitation to enrol.
    InvitationId = "an invitation id",
    /// One start of a host's kernel; the same value as long as the host has not rebooted.
    BootId = "a boot id",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_printed_as_heketi_prints_it_and_read_back() {
        let id = VolumeId::from_u128(0xab);
        assert_eq!(id.to_string(), "000000000000000000000000000000ab");
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn dashes_capitals_and_other_lengths_are_refused() {
        for text in [
            "",
            "ab",
            "000000000000000000000000000000AB",
            "00000000-0000-0000-0000-0000000000ab",
            "000000000000000000000000000000ab0",
            "00000000000000000000000000000-ab",
        ] {
            assert!(text.parse::<VolumeId>().is_err(), "{text}");
        }
    }
}
