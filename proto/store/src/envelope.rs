//! How one value lies in sled: format, kind, sequence and a checksum around the bytes.
//!
//! ```text
//! 0       format, 1
//! 1       kind: 1 a whole record, 2 the head of a record in parts, 3 a part, 4 the store's own
//! 2..10   number of the commit that wrote it, big-endian
//! 10..14  CRC-32C of tree, length of the key, key, bytes 0..10 and the body, big-endian
//! 14..    the body
//! ```
//! The checksum covers the key, so that a good value in a wrong place is damage as well.

use sha2::{Digest, Sha256};

const FORMAT: u8 = 1;
const HEADER: usize = 14;

/// A sled tree; the discriminants are part of checksums on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tree {
    Records = 0,
    Parts = 1,
    Meta = 2,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Whole = 1,
    Head = 2,
    Part = 3,
    Meta = 4,
}

#[derive(Debug)]
pub(crate) struct Opened<'a> {
    pub kind: Kind,
    pub seq: u64,
    pub body: &'a [u8],
}

pub(crate) fn seal(tree: Tree, key: &[u8], kind: Kind, seq: u64, body: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(HEADER + body.len());
    value.push(FORMAT);
    value.push(kind as u8);
    value.extend_from_slice(&seq.to_be_bytes());
    let crc = checksum(tree, key, &value, body);
    value.extend_from_slice(&crc.to_be_bytes());
    value.extend_from_slice(body);
    value
}

/// The content of a value, or what is wrong with it.
pub(crate) fn open<'a>(tree: Tree, key: &[u8], value: &'a [u8]) -> Result<Opened<'a>, &'static str> {
    let Some((header, body)) = value.split_first_chunk::<HEADER>() else {
        return Err("it is shorter than its header");
    };
    let [format, kind, seq @ .., c0, c1, c2, c3] = *header;
    if u32::from_be_bytes([c0, c1, c2, c3]) != checksum(tree, key, &header[..10], body) {
        return Err("its checksum is wrong");
    }
    // Good checksum, other format: a later version wrote it; its schema number should have kept us out.
    if format != FORMAT {
        return Err("its format is unknown");
    }
    let kind = match kind {
        1 => Kind::Whole,
        2 => Kind::Head,
        3 => Kind::Part,
        4 => Kind::Meta,
        _ => return Err("its kind is unknown"),
    };
    Ok(Opened { kind, seq: u64::from_be_bytes(seq), body })
}

fn checksum(tree: Tree, key: &[u8], header: &[u8], body: &[u8]) -> u32 {
    let crc = crc32c::crc32c(&[tree as u8]);
    let crc = crc32c::crc32c_append(crc, &(key.len() as u64).to_be_bytes());
    let crc = crc32c::crc32c_append(crc, key);
    let crc = crc32c::crc32c_append(crc, header);
    crc32c::crc32c_append(crc, body)
}

/// A digest of a set of rows that each change of one row updates in place, whatever the order.
///
/// It is the sum of the rows' own hashes modulo 2^128: a row that is lost, stale or foreign changes it. That guards
/// against accidents, not against somebody who makes up rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct SetDigest {
    pub rows: u64,
    pub sum: u128,
}

impl SetDigest {
    pub(crate) fn add(&mut self, tree: Tree, key: &[u8], value: &[u8]) {
        self.rows += 1;
        self.sum = self.sum.wrapping_add(row_hash(tree, key, value));
    }

    pub(crate) fn remove(&mut self, tree: Tree, key: &[u8], value: &[u8]) {
        self.rows = self.rows.saturating_sub(1);
        self.sum = self.sum.wrapping_sub(row_hash(tree, key, value));
    }
}

fn row_hash(tree: Tree, key: &[u8], value: &[u8]) -> u128 {
    let mut hash = Sha256::new();
    hash.update([tree as u8]);
    hash.update((key.len() as u64).to_be_bytes());
    hash.update(key);
    hash.update(value);
    let mut half = [0; 16];
    half.copy_from_slice(&hash.finalize()[..16]);
    u128::from_be_bytes(half)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_value_is_opened_as_it_was_sealed(key: Vec<u8>, seq: u64, body: Vec<u8>) {
            let value = seal(Tree::Records, &key, Kind::Whole, seq, &body);
            let opened = open(Tree::Records, &key, &value).unwrap();
            prop_assert_eq!((opened.kind, opened.seq, opened.body), (Kind::Whole, seq, body.as_slice()));
        }

        #[test]
        fn a_flipped_bit_is_noticed(body: Vec<u8>, at: prop::sample::Index, bit in 0..8_u8) {
            let mut value = seal(Tree::Records, b"volumes\0a", Kind::Whole, 7, &body);
            let at = at.index(value.len());
            value[at] ^= 1_u8 << bit;
            prop_assert!(open(Tree::Records, b"volumes\0a", &value).is_err());
        }

        #[test]
        fn a_digest_forgets_what_was_removed(rows: Vec<(Vec<u8>, Vec<u8>)>, extra: Vec<u8>) {
            let mut plain = SetDigest::default();
            let mut roundabout = SetDigest::default();
            roundabout.add(Tree::Parts, b"extra", &extra);
            for (key, value) in &rows {
                plain.add(Tree::Records, key, value);
            }
            for (key, value) in rows.iter().rev() {
                roundabout.add(Tree::Records, key, value);
            }
            prop_assert_ne!(plain, roundabout);
            roundabout.remove(Tree::Parts, b"extra", &extra);
            prop_assert_eq!(plain, roundabout);
        }
    }

    #[test]
    fn a_good_value_in_a_wrong_place_is_damage() {
        let value = seal(Tree::Records, b"volumes\0a", Kind::Whole, 7, b"{}");
        assert!(open(Tree::Records, b"volumes\0b", &value).is_err());
        assert!(open(Tree::Parts, b"volumes\0a", &value).is_err());
    }
}
