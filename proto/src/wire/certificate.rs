//! What both sides read in a certificate: whom it names, which one of its series it is, and when it is valid.
//!
//! Reads only. Whether a certificate is to be believed, by signature and authority, is rustls's to say.

use std::fmt;

use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::identity::Identity;

/// A certificate's own claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    pub identity: Identity,
    pub serial: Serial,
    /// Seconds since 1970.
    pub not_before: i64,
    /// Seconds since 1970; valid until then, inclusive.
    pub not_after: i64,
}

/// A certificate without the one name that we go by.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotOurs {
    #[error("it is not an X.509 certificate")]
    Unreadable,
    #[error("it carries {0} URIs, and exactly one is its owner's name")]
    Uris(usize),
    #[error("it names somebody unknown: {0}")]
    Name(#[from] crate::identity::NotAnIdentity),
    #[error("its serial number is not one of ours")]
    Serial,
}

impl Claims {
    pub fn read(der: &[u8]) -> Result<Self, NotOurs> {
        let certificate = parse(der)?;
        let names = certificate.subject_alternative_name().map_err(|_| NotOurs::Unreadable)?;
        let uris: Vec<&str> = names
            .iter()
            .flat_map(|names| &names.value.general_names)
            .filter_map(|name| match name {
                GeneralName::URI(uri) => Some(*uri),
                _ => None,
            })
            .collect();
        let [uri] = uris.as_slice() else { return Err(NotOurs::Uris(uris.len())) };
        let validity = certificate.validity();
        Ok(Self {
            identity: uri.parse()?,
            serial: Serial::from_slice(certificate.raw_serial()).ok_or(NotOurs::Serial)?,
            not_before: validity.not_before.timestamp(),
            not_after: validity.not_after.timestamp(),
        })
    }
}

/// The public key (`SubjectPublicKeyInfo`, DER) of a certificate, whosever it is.
pub fn public_key(der: &[u8]) -> Result<Vec<u8>, NotOurs> {
    Ok(parse(der)?.public_key().raw.to_vec())
}

fn parse(der: &[u8]) -> Result<X509Certificate<'_>, NotOurs> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        _ => Err(NotOurs::Unreadable),
    }
}

/// A serial number: 96 random bits, and which certificate of its owner's series it is.
///
/// The number in the series lets all certificates before an enrolment be refused at once, with no list of them.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Serial([u8; 16]);

impl Serial {
    /// The two highest bits are fixed, so that the number is positive and always has 16 bytes.
    #[must_use]
    pub fn new(random: [u8; 12], series: u32) -> Self {
        let mut bytes = [0; 16];
        bytes[..12].copy_from_slice(&random);
        bytes[0] = bytes[0] & 0x3f | 0x40;
        bytes[12..].copy_from_slice(&series.to_be_bytes());
        Self(bytes)
    }

    fn from_slice(bytes: &[u8]) -> Option<Self> {
        let bytes: [u8; 16] = bytes.try_into().ok()?;
        (bytes[0] & 0xc0 == 0x40).then_some(Self(bytes))
    }

    #[must_use]
    pub fn series(self) -> u32 {
        let [.., a, b, c, d] = self.0;
        u32::from_be_bytes([a, b, c, d])
    }

    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Serial({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_keeps_its_place_in_the_series_whatever_the_random_bits() {
        for random in [[0; 12], [0xff; 12]] {
            let serial = Serial::new(random, 0x0102_0304);
            assert_eq!(serial.series(), 0x0102_0304);
            assert_eq!(Serial::from_slice(serial.as_bytes()), Some(serial));
        }
    }

    #[test]
    fn what_is_no_certificate_is_told_as_such() {
        assert_eq!(Claims::read(b"no"), Err(NotOurs::Unreadable));
    }
}
