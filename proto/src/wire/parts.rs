//! Large messages go in parts.
//!
//! Both ends of a stream keep room for the largest message that ever went over it. A coordinator has a thousand streams,
//! and what hosts keep for it comes to half a MiB each.

use std::marker::PhantomData;

use prost::Message;

use super::convert::NotUnderstood;
use super::{MAX_FROM_AGENT, MAX_TO_AGENT, v1};

/// Larger messages are cut.
pub const PART: usize = 8 << 10;

/// A message of a stream that may come in parts.
pub trait Parted: Message + Default {
    /// None is larger, be it whole or in parts.
    const MOST: usize;

    fn part(part: v1::Part) -> Self;

    /// The part that it is, or itself.
    fn into_part(self) -> Result<v1::Part, Self>;
}

impl Parted for v1::FromAgent {
    const MOST: usize = MAX_FROM_AGENT;

    fn part(part: v1::Part) -> Self {
        Self { message: Some(v1::from_agent::Message::Part(part)) }
    }

    fn into_part(self) -> Result<v1::Part, Self> {
        match self.message {
            Some(v1::from_agent::Message::Part(part)) => Ok(part),
            message => Err(Self { message }),
        }
    }
}

impl Parted for v1::ToAgent {
    const MOST: usize = MAX_TO_AGENT;

    fn part(part: v1::Part) -> Self {
        Self { message: Some(v1::to_agent::Message::Part(part)) }
    }

    fn into_part(self) -> Result<v1::Part, Self> {
        match self.message {
            Some(v1::to_agent::Message::Part(part)) => Ok(part),
            message => Err(Self { message }),
        }
    }
}

/// The message as it is sent: whole where it is small, or in parts.
pub fn cut<M: Parted>(message: M) -> Vec<M> {
    if message.encoded_len() <= PART {
        return vec![message];
    }
    let bytes = message.encode_to_vec();
    let count = bytes.len().div_ceil(PART);
    let pieces = (1..).zip(bytes.chunks(PART));
    pieces.map(|(number, piece)| M::part(v1::Part { piece: piece.to_vec(), last: number == count })).collect()
}

/// Puts parts together again.
#[derive(Debug)]
pub struct Gather<M> {
    bytes: Vec<u8>,
    message: PhantomData<M>,
}

impl<M> Default for Gather<M> {
    fn default() -> Self {
        Self { bytes: Vec::new(), message: PhantomData }
    }
}

impl<M: Parted> Gather<M> {
    /// The message, if this is one or makes one whole.
    pub fn take(&mut self, message: M) -> Result<Option<M>, NotUnderstood> {
        let part = match message.into_part() {
            Ok(part) => part,
            Err(whole) if self.bytes.is_empty() => return Ok(Some(whole)),
            Err(_) => {
                self.bytes = Vec::new();
                return Err(NotUnderstood::new("part", "another message came before its last one"));
            }
        };
        if self.bytes.len() + part.piece.len() > M::MOST {
            self.bytes = Vec::new();
            return Err(NotUnderstood::new("part", "its message is larger than any may be"));
        }
        self.bytes.extend_from_slice(&part.piece);
        if !part.last {
            return Ok(None);
        }
        let bytes = std::mem::take(&mut self.bytes);
        let whole =
            M::decode(bytes.as_slice()).map_err(|_| NotUnderstood::new("part", "its message cannot be read"))?;
        match whole.into_part() {
            Ok(_) => Err(NotUnderstood::new("part", "it is in parts itself")),
            Err(whole) => Ok(Some(whole)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inventory(bytes: usize) -> v1::FromAgent {
        let inventory = v1::Inventory { inventory_json: vec![b'x'; bytes], clock_ms: None };
        v1::FromAgent { message: Some(v1::from_agent::Message::Inventory(inventory)) }
    }

    #[test]
    fn a_message_comes_out_as_it_went_in_and_no_part_is_large() {
        for bytes in [0, 1, PART - 10, PART, PART + 1, 3 * PART, 10 * PART + 17] {
            let message = inventory(bytes);
            let parts = cut(message.clone());
            assert!(parts.iter().all(|part| part.encoded_len() <= PART + 16), "{bytes}");
            assert_eq!(parts.len() == 1, message.encoded_len() <= PART, "{bytes}");
            let mut gather = Gather::default();
            let taken: Vec<_> = parts.into_iter().map(|part| gather.take(part).unwrap()).collect();
            let (last, before) = taken.split_last().unwrap();
            assert!(before.iter().all(Option::is_none), "{bytes}");
            assert_eq!(last.as_ref(), Some(&message), "{bytes}");
            assert_eq!(gather.take(inventory(3)).unwrap(), Some(inventory(3)), "nothing is left over");
        }
    }

    #[test]
    fn parts_without_an_end_are_refused_before_they_fill_the_memory() {
        let mut gather = Gather::<v1::ToAgent>::default();
        let part = || v1::ToAgent::part(v1::Part { piece: vec![0; 1 << 20], last: false });
        let taken: Vec<_> = (0..6).map(|_| gather.take(part()).is_ok()).collect();
        assert_eq!(taken, [true, true, true, true, false, true]);
    }

    #[test]
    fn a_message_between_the_parts_of_another_is_not_understood() {
        let mut parts = cut(inventory(3 * PART)).into_iter();
        let mut gather = Gather::default();
        assert_eq!(gather.take(parts.next().unwrap()).unwrap(), None);
        assert!(gather.take(inventory(3)).is_err());
        assert_eq!(gather.take(inventory(3)).unwrap(), Some(inventory(3)), "what was gathered is forgotten");
    }

    #[test]
    fn parts_of_nonsense_and_parts_within_parts_are_not_understood() {
        let mut gather = Gather::<v1::ToAgent>::default();
        let nonsense = v1::ToAgent::part(v1::Part { piece: vec![0xff; 9], last: true });
        assert!(gather.take(nonsense.clone()).is_err());
        let within = v1::ToAgent::part(v1::Part { piece: nonsense.encode_to_vec(), last: true });
        assert!(gather.take(within).is_err());
    }
}
