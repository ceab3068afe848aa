//! The invitation as one line: what a host needs in order to know its coordinator and to be known by it.
//!
//! `bricklayer1.` and base64url of: length of what follows (2 bytes), invitation id (16), secret (32), number of pins
//! (1) and the pins (32 each), number of addresses (1) and each address after its length (1), and the first 4 bytes
//! of the SHA-256 of all that. The length tells a line that was cut off from one that was mistyped.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::Secret;
use crate::ids::InvitationId;

const PREFIX: &str = "bricklayer1.";
const CHECKSUM: usize = 4;

/// SHA-256 of an authority's public key (`SubjectPublicKeyInfo`, DER).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pin([u8; 32]);

impl Pin {
    #[must_use]
    pub fn of_public_key(der: &[u8]) -> Self {
        Self(Sha256::digest(der).into())
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", hex::encode(self.0))
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One invitation. It is printed once and holds a secret, so `Debug` does not show that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    pub invitation: InvitationId,
    pub secret: Secret,
    /// Two during a change of the authority.
    pub pins: Vec<Pin>,
    /// `host:port`, in the order in which they are to be tried.
    pub addresses: Vec<String>,
}

impl Token {
    pub const MOST_ADDRESSES: usize = 16;
    pub const LONGEST_ADDRESS: usize = 255;

    /// The line to hand to the host.
    ///
    /// # Panics
    /// With more than 16 addresses or pins, or an address of more than 255 bytes: whoever makes tokens checks that.
    #[must_use]
    pub fn to_line(&self) -> String {
        let count = |len: usize, most: usize| {
            assert!(len <= most, "a token holds at most {most} of these");
            u8::try_from(len).unwrap_or(u8::MAX)
        };
        let mut body = Vec::new();
        body.extend_from_slice(&self.invitation.to_u128().to_be_bytes());
        body.extend_from_slice(self.secret.expose());
        body.push(count(self.pins.len(), 16));
        for pin in &self.pins {
            body.extend_from_slice(&pin.0);
        }
        body.push(count(self.addresses.len(), Self::MOST_ADDRESSES));
        for address in &self.addresses {
            body.push(count(address.len(), Self::LONGEST_ADDRESS));
            body.extend_from_slice(address.as_bytes());
        }
        let length = u16::try_from(body.len() + CHECKSUM).unwrap_or(u16::MAX);
        let mut whole = length.to_be_bytes().to_vec();
        whole.append(&mut body);
        let sum = Sha256::digest(&whole);
        whole.extend_from_slice(&sum[..CHECKSUM]);
        format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(&whole))
    }
}

/// Why a line is no invitation. The line itself is not repeated: most of it may be right, and secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAToken {
    #[error("this is not an invitation: it does not begin with {PREFIX:?}; ask for one with `bricklayer agent invite`")]
    Foreign,
    #[error("this invitation is of a newer kind ({prefix:?}); a newer bricklayer-agent is needed")]
    Newer { prefix: String },
    #[error(
        "the invitation is cut off after {found}{} characters; paste the whole line once more",
        expected.map(|expected| format!(" of its {expected}")).unwrap_or_default()
    )]
    CutOff { found: usize, expected: Option<usize> },
    #[error("the invitation has {extra} characters too many at its end; paste the line alone")]
    TooLong { extra: usize },
    #[error("the invitation was changed on its way (its checksum does not fit); paste the line once more")]
    Altered,
}

impl FromStr for Token {
    type Err = NotAToken;

    fn from_str(line: &str) -> Result<Self, NotAToken> {
        let line = line.trim();
        let Some(text) = line.strip_prefix(PREFIX) else {
            return Err(match line.split_once('.') {
                Some((kind, _)) if kind.strip_prefix("bricklayer").is_some_and(is_number) => {
                    NotAToken::Newer { prefix: kind.to_owned() }
                }
                _ if !line.is_empty() && PREFIX.starts_with(line) => {
                    NotAToken::CutOff { found: line.len(), expected: None }
                }
                _ => NotAToken::Foreign,
            });
        };
        if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
            return Err(NotAToken::Altered);
        }
        // The first four characters hold the length, so that a cut is told however short the rest is.
        let head = text.get(..4).and_then(|head| BASE64_URL_SAFE_NO_PAD.decode(head).ok());
        let Some([high, low, ..]) = head.as_deref() else {
            return Err(NotAToken::CutOff { found: line.len(), expected: None });
        };
        let bytes = 2 + usize::from(u16::from_be_bytes([*high, *low]));
        let expected = (bytes * 4).div_ceil(3);
        match text.len() {
            found if found < expected => {
                return Err(NotAToken::CutOff { found: line.len(), expected: Some(PREFIX.len() + expected) });
            }
            found if found > expected => return Err(NotAToken::TooLong { extra: found - expected }),
            _ => {}
        }
        let whole = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| NotAToken::Altered)?;
        let (body, sum) = whole.split_last_chunk::<CHECKSUM>().ok_or(NotAToken::Altered)?;
        if Sha256::digest(body)[..CHECKSUM] != *sum {
            return Err(NotAToken::Altered);
        }
        let mut rest = body.get(2..).ok_or(NotAToken::Altered)?;
        let token = Self {
            invitation: InvitationId::from_u128(u128::from_be_bytes(take(&mut rest)?)),
            secret: Secret::from_bytes(take(&mut rest)?),
            pins: (0..byte(&mut rest)?).map(|_| take(&mut rest).map(Pin)).collect::<Result<_, _>>()?,
            addresses: (0..byte(&mut rest)?).map(|_| text_of(&mut rest)).collect::<Result<_, _>>()?,
        };
        if rest.is_empty() { Ok(token) } else { Err(NotAToken::Altered) }
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], NotAToken> {
    let (taken, left) = rest.split_first_chunk::<N>().ok_or(NotAToken::Altered)?;
    *rest = left;
    Ok(*taken)
}

fn byte(rest: &mut &[u8]) -> Result<u8, NotAToken> {
    take::<1>(rest).map(|[byte]| byte)
}

fn text_of(rest: &mut &[u8]) -> Result<String, NotAToken> {
    let length = usize::from(byte(rest)?);
    let (taken, left) = rest.split_at_checked(length).ok_or(NotAToken::Altered)?;
    *rest = left;
    String::from_utf8(taken.to_vec()).map_err(|_| NotAToken::Altered)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn token() -> Token {
        Token {
            invitation: InvitationId::from_u128(0xabc),
            secret: Secret::from_bytes([7; 32]),
            pins: vec![Pin::of_public_key(b"key")],
            addresses: vec!["storage.example.org:24010".to_owned(), "[2001:db8::1]:24010".to_owned()],
        }
    }

    proptest! {
        #[test]
        fn every_token_is_read_back(
            id: u128, secret: [u8; 32], pins in prop::collection::vec(any::<[u8; 32]>(), 0..4),
            addresses in prop::collection::vec("[a-z0-9.:]{0,60}", 0..6),
        ) {
            let token = Token {
                invitation: InvitationId::from_u128(id),
                secret: Secret::from_bytes(secret),
                pins: pins.into_iter().map(Pin).collect(),
                addresses,
            };
            prop_assert_eq!(token.to_line().parse(), Ok(token));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "(bricklayer1\\.)?[A-Za-z0-9_-]{0,200}") {
            let _ = text.parse::<Token>();
        }
    }

    #[test]
    fn a_token_is_one_line_without_anything_to_quote() {
        let line = token().to_line();
        assert!(line.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)), "{line}");
    }

    #[test]
    fn every_cut_off_line_is_told_as_such() {
        let line = token().to_line();
        for end in 1..line.len() {
            let error = line[..end].parse::<Token>().unwrap_err();
            assert!(matches!(error, NotAToken::CutOff { .. }), "{end}: {error}");
        }
        let error = line[..60].parse::<Token>().unwrap_err();
        assert_eq!(error, NotAToken::CutOff { found: 60, expected: Some(line.len()) });
    }

    #[test]
    fn a_changed_character_is_noticed_wherever_it_stands() {
        let line = token().to_line();
        for at in PREFIX.len()..line.len() {
            let mut changed = line.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(changed.parse::<Token>().is_err(), "{at}");
        }
    }

    #[test]
    fn white_space_around_the_line_does_no_harm_and_more_text_is_told() {
        let line = token().to_line();
        assert_eq!(format!("  {line}\n").parse(), Ok(token()));
        assert_eq!(format!("{line}AAAA").parse::<Token>(), Err(NotAToken::TooLong { extra: 4 }));
    }

    #[test]
    fn something_else_is_told_from_a_token_of_the_future() {
        assert_eq!("K10abc::server:def".parse::<Token>(), Err(NotAToken::Foreign));
        assert_eq!("".parse::<Token>(), Err(NotAToken::Foreign));
        assert_eq!("bricklayer2.AAAA".parse::<Token>(), Err(NotAToken::Newer { prefix: "bricklayer2".to_owned() }));
    }

    #[test]
    fn the_secret_of_a_token_is_not_in_its_debug_text() {
        assert!(!format!("{:?}", token()).contains("7, 7"));
    }
}
