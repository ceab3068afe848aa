//! Sizes. Bytes and extents are different types, and every conversion names its rounding.

use std::fmt;
use std::iter::Sum;
use std::num::NonZeroU64;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub const KIB: u64 = 1 << 10;
pub const MIB: u64 = 1 << 20;
pub const GIB: u64 = 1 << 30;
pub const TIB: u64 = 1 << 40;

/// A number of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ByteSize(u64);

impl ByteSize {
    pub const ZERO: Self = Self(0);

    #[must_use]
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// `None` where the number of bytes does not fit into 64 bits.
    #[must_use]
    pub const fn from_kib(kib: u64) -> Option<Self> {
        match kib.checked_mul(KIB) {
            Some(bytes) => Some(Self(bytes)),
            None => None,
        }
    }

    #[must_use]
    pub const fn from_mib(mib: u64) -> Option<Self> {
        match mib.checked_mul(MIB) {
            Some(bytes) => Some(Self(bytes)),
            None => None,
        }
    }

    #[must_use]
    pub const fn from_gib(gib: u64) -> Option<Self> {
        match gib.checked_mul(GIB) {
            Some(bytes) => Some(Self(bytes)),
            None => None,
        }
    }

    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// Whole KiB, rounded down, as heketi's API reports sizes.
    #[must_use]
    pub const fn whole_kib(self) -> u64 {
        self.0 / KIB
    }

    /// Whole GiB, rounded down, as heketi's command line prints sizes.
    #[must_use]
    pub const fn whole_gib(self) -> u64 {
        self.0 / GIB
    }

    /// Rounds up: a brick may come out larger than asked, never smaller.
    #[must_use]
    pub const fn to_extents(self, one: ExtentSize) -> Extents {
        Extents(self.0.div_ceil(one.0.get()))
    }

    /// Whole extents that lie within this size.
    #[must_use]
    pub const fn whole_extents(self, one: ExtentSize) -> Extents {
        Extents(self.0 / one.0.get())
    }

    /// The next multiple of `step`; `None` where that does not fit into 64 bits.
    #[must_use]
    pub const fn round_up(self, step: NonZeroU64) -> Option<Self> {
        match self.0.checked_next_multiple_of(step.get()) {
            Some(bytes) => Some(Self(bytes)),
            None => None,
        }
    }

    /// Checked, as a size that wraps round to a small one would destroy data.
    #[must_use]
    pub const fn checked_add(self, more: Self) -> Option<Self> {
        match self.0.checked_add(more.0) {
            Some(bytes) => Some(Self(bytes)),
            None => None,
        }
    }

    #[must_use]
    pub const fn checked_sub(self, less: Self) -> Option<Self> {
        match self.0.checked_sub(less.0) {
            Some(bytes) => Some(Self(bytes)),
            None => None,
        }
    }

    /// What is missing to `wanted`; nothing where this is enough.
    #[must_use]
    pub const fn short_of(self, wanted: Self) -> Self {
        Self(wanted.0.saturating_sub(self.0))
    }
}

impl Sum for ByteSize {
    /// Saturates: no sum of real devices comes near 2^64 bytes.
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        Self(iter.fold(0, |sum, size| sum.saturating_add(size.0)))
    }
}

/// In the largest unit that shows it exactly or to two decimals: `16 GiB`, `15.95 GiB`, `512 B`.
impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(TIB, "TiB"), (GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")];
        for (unit, name) in units {
            if self.0 >= unit {
                let (whole, rest) = (self.0 / unit, self.0 % unit);
                if rest == 0 {
                    return write!(f, "{whole} {name}");
                }
                // Truncated, never rounded up: nobody is told of space that is not there.
                let hundredths = u128::from(rest) * 100 / u128::from(unit);
                return write!(f, "{whole}.{hundredths:02} {name}");
            }
        }
        write!(f, "{} B", self.0)
    }
}

/// A text that is not a size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a size: write a whole number and a unit, such as 8GiB, 512MiB or 4096B")]
pub struct NotASize(String);

/// `8GiB`, `8 GiB`, `8G`, `512MiB`, `4096` (bytes). Units are powers of 1024; there are no fractions.
impl FromStr for ByteSize {
    type Err = NotASize;

    fn from_str(text: &str) -> Result<Self, NotASize> {
        let wrong = || NotASize(text.chars().take(64).collect());
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let unit = match unit.trim().to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "k" | "kib" => KIB,
            "m" | "mib" => MIB,
            "g" | "gib" => GIB,
            "t" | "tib" => TIB,
            _ => return Err(wrong()),
        };
        number.checked_mul(unit).map(Self).ok_or_else(wrong)
    }
}

/// How many bytes one extent of a volume group has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ExtentSize(NonZeroU64);

impl ExtentSize {
    /// What new volume groups get: LVM's own default, and heketi's.
    pub const FOUR_MIB: Self = match NonZeroU64::new(4 * MIB) {
        Some(size) => Self(size),
        None => unreachable!(),
    };

    #[must_use]
    pub const fn from_bytes(bytes: u64) -> Option<Self> {
        match NonZeroU64::new(bytes) {
            Some(size) => Some(Self(size)),
            None => None,
        }
    }

    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0.get()
    }
}

/// A number of extents of one volume group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Extents(u64);

impl Extents {
    pub const ZERO: Self = Self(0);

    #[must_use]
    pub const fn new(count: u64) -> Self {
        Self(count)
    }

    #[must_use]
    pub const fn count(self) -> u64 {
        self.0
    }

    /// `None` where the number of bytes does not fit into 64 bits.
    #[must_use]
    pub const fn to_bytes(self, one: ExtentSize) -> Option<ByteSize> {
        match self.0.checked_mul(one.0.get()) {
            Some(bytes) => Some(ByteSize(bytes)),
            None => None,
        }
    }

    #[must_use]
    pub const fn checked_add(self, more: Self) -> Option<Self> {
        match self.0.checked_add(more.0) {
            Some(count) => Some(Self(count)),
            None => None,
        }
    }

    #[must_use]
    pub const fn checked_sub(self, less: Self) -> Option<Self> {
        match self.0.checked_sub(less.0) {
            Some(count) => Some(Self(count)),
            None => None,
        }
    }
}

impl fmt::Display for Extents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} extents", self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn extents_round_up_and_never_down() {
        let one = ExtentSize::FOUR_MIB;
        assert_eq!(ByteSize::from_bytes(1).to_extents(one), Extents::new(1));
        assert_eq!(ByteSize::from_bytes(4 * MIB).to_extents(one), Extents::new(1));
        assert_eq!(ByteSize::from_bytes(4 * MIB + 1).to_extents(one), Extents::new(2));
    }

    #[test]
    fn a_size_is_shown_without_promising_more_than_there_is() {
        assert_eq!(ByteSize::from_bytes(16 * GIB).to_string(), "16 GiB");
        assert_eq!(ByteSize::from_bytes(16 * GIB - 1).to_string(), "15.99 GiB");
        assert_eq!(ByteSize::from_bytes(512).to_string(), "512 B");
    }

    #[test]
    fn sizes_with_fractions_signs_or_odd_units_are_refused() {
        for text in ["", "-1", "1.5GiB", "GiB", "8GB ", "8XB", "18446744073709551616", "18446744073709551615K"] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
        assert_eq!("8 GiB".parse(), Ok(ByteSize::from_bytes(8 * GIB)));
        assert_eq!("8g".parse(), Ok(ByteSize::from_bytes(8 * GIB)));
    }

    proptest! {
        #[test]
        fn extents_hold_at_least_what_was_asked(bytes in 0..u64::MAX / 2, extent in 1..GIB) {
            let one = ExtentSize::from_bytes(extent).unwrap();
            let size = ByteSize::from_bytes(bytes);
            let held = size.to_extents(one).to_bytes(one).unwrap();
            prop_assert!(held >= size);
            prop_assert!(held.bytes() - size.bytes() < extent);
        }
    }
}
