//! The installation's keys, sealed, so that they may lie on every host: of use to whoever has the recovery key.
//!
//! The recovery key is told once and stored nowhere. What is stored is its public half, inside the bundle: so a key that
//! changes is sealed anew without anybody having to type it, and what a host keeps opens nothing.
//!
//! ```text
//! recovery key    256 random bits: the private key of X25519
//! bundle          seal(its public key): ephemeral X25519 -> HKDF-SHA-256 -> AES-256-GCM, the head as associated data
//! ```

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::agreement::{self, PrivateKey, UnparsedPublicKey, X25519};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bricklayer_proto::ids::InstallationId;
use bricklayer_proto::keepsake::Digest;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use zeroize::Zeroize as _;

use super::files::{self, FileError};

const FORMAT: u32 = 1;
const KEY: usize = 32;

/// Bytes of SHA-256 behind the key, so that a slip of the pen is told as such.
const CHECK: usize = 3;

/// Crockford's: no letter looks like a digit.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const GROUP: usize = 4;

/// A text that is not the key that was told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    #[error("the recovery key has {found} of its {whole} letters and digits; dashes and spaces do not count")]
    Length { found: usize, whole: usize },
    #[error("the recovery key cannot have the character {0:?}")]
    Character(char),
    #[error("the recovery key was not copied right: its check digits do not match")]
    Check,
}

#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    #[error("{what} is not a sealed bundle of ours: {why}")]
    NotABundle { what: String, why: String },
    #[error("this recovery key does not open the bundle; it belongs to another one. Nothing was written")]
    OtherKey,
    #[error("the bundle is damaged: it is for this recovery key and does not open. Take that of another host")]
    Damaged,
    #[error("the bundle could not be sealed")]
    Crypto(#[source] Unspecified),
    #[error(transparent)]
    File(#[from] FileError),
}

/// What opens a bundle. Shown once.
#[derive(Clone, PartialEq, Eq)]
pub struct RecoveryKey([u8; KEY]);

impl RecoveryKey {
    #[must_use]
    pub fn random() -> Self {
        Self(rand::random())
    }

    fn check(&self) -> [u8; CHECK] {
        let mut hashed = b"bricklayer recovery key".to_vec();
        hashed.extend(self.0);
        let digest = Digest::of(&hashed);
        let mut check = [0; CHECK];
        check.copy_from_slice(&digest.as_bytes()[..CHECK]);
        check
    }

    /// For the one time that it is told: groups of letters and digits.
    #[must_use]
    pub fn to_text(&self) -> String {
        let bytes: Vec<u8> = self.0.iter().copied().chain(self.check()).collect();
        let digits: Vec<u8> = (0..bytes.len() * 8 / 5).map(|at| ALPHABET[usize::from(five_bits(&bytes, at))]).collect();
        let groups: Vec<_> = digits.chunks(GROUP).map(String::from_utf8_lossy).collect();
        groups.join("-")
    }

    fn private(&self) -> Result<PrivateKey, Unspecified> {
        PrivateKey::from_private_key(&X25519, &self.0).map_err(|_| Unspecified)
    }

    fn public(&self) -> Result<Vec<u8>, Unspecified> {
        Ok(self.private()?.compute_public_key()?.as_ref().to_vec())
    }
}

/// The `at`-th group of five bits, the first bit of the first byte first.
fn five_bits(bytes: &[u8], at: usize) -> u8 {
    (at * 5..at * 5 + 5).fold(0, |value, bit| value << 1 | (bytes[bit / 8] >> (7 - bit % 8) & 1))
}

impl FromStr for RecoveryKey {
    type Err = BadKey;

    fn from_str(text: &str) -> Result<Self, BadKey> {
        const WHOLE: usize = (KEY + CHECK) * 8 / 5;
        let mut values = Vec::with_capacity(WHOLE);
        for character in text.chars().filter(|character| !character.is_whitespace() && *character != '-') {
            let letter = match character.to_ascii_uppercase() {
                'O' => '0',
                'I' | 'L' => '1',
                other => other,
            };
            let value = ALPHABET.iter().position(|known| char::from(*known) == letter);
            let value = value.and_then(|value| u8::try_from(value).ok());
            values.push(value.ok_or(BadKey::Character(character))?);
        }
        if values.len() != WHOLE {
            return Err(BadKey::Length { found: values.len(), whole: WHOLE });
        }
        let mut bytes = [0_u8; KEY + CHECK];
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] |= (values[bit / 5] >> (4 - bit % 5) & 1) << (7 - bit % 8);
        }
        let mut key = [0; KEY];
        key.copy_from_slice(&bytes[..KEY]);
        let key = Self(key);
        if key.check() == bytes[KEY..] { Ok(key) } else { Err(BadKey::Check) }
    }
}

impl fmt::Debug for RecoveryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryKey(..)")
    }
}

impl Drop for RecoveryKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// All that makes a machine the coordinator of an installation, but for its store. As the files have it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secrets {
    pub authority_certificate: String,
    pub authority_key: String,
    pub admin_key: Option<String>,
    pub user_key: Option<String>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(..)")
    }
}

impl Secrets {
    fn to_json(&self) -> Vec<u8> {
        // Nothing in their place would be sealed as if it were the keys.
        serde_json::to_vec(self).expect("keys can be written as JSON")
    }
}

/// The sealed keys of an installation, as a text that may lie anywhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    head: Head,
    /// base64
    sealed: String,
}

/// What can be read without the key. Altered, the bundle does not open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    bricklayer_bundle: u32,
    installation: InstallationId,
    made: Timestamp,
    /// The public half of the recovery key, hex.
    recovery_key: String,
    /// Of the sealed keys, hex: tells whether they have changed since. 256 random bits are among them.
    sha256: String,
    /// Of this sealing alone, hex.
    ephemeral: String,
}

impl Bundle {
    /// Seals under a new recovery key.
    pub fn seal(
        key: &RecoveryKey,
        installation: InstallationId,
        secrets: &Secrets,
        made: Timestamp,
    ) -> Result<Self, BundleError> {
        Self::seal_for(key.public().map_err(BundleError::Crypto)?, installation, secrets, made)
    }

    /// The same keys as they are now, for the same recovery key; `None` where nothing has changed.
    pub fn renewed(&self, secrets: &Secrets, now: Timestamp) -> Result<Option<Self>, BundleError> {
        if self.head.sha256 == digest(secrets) {
            return Ok(None);
        }
        let public = hex::decode(&self.head.recovery_key).map_err(|error| not_a_bundle(&error))?;
        // A clock that was set back does not make the newer bundle the older one.
        let made = now.max(self.head.made + std::time::Duration::from_millis(1));
        Self::seal_for(public, self.head.installation, secrets, made).map(Some)
    }

    fn seal_for(
        public: Vec<u8>,
        installation: InstallationId,
        secrets: &Secrets,
        made: Timestamp,
    ) -> Result<Self, BundleError> {
        let own = PrivateKey::generate(&X25519).map_err(BundleError::Crypto)?;
        let ephemeral = own.compute_public_key().map_err(BundleError::Crypto)?;
        let head = Head {
            bricklayer_bundle: FORMAT,
            installation,
            made,
            recovery_key: hex::encode(&public),
            sha256: digest(secrets),
            ephemeral: hex::encode(ephemeral.as_ref()),
        };
        let key = sealing_key(&own, &public, &head).map_err(BundleError::Crypto)?;
        let mut text = secrets.to_json();
        key.seal_in_place_append_tag(only_nonce(), Aad::from(head.to_json()), &mut text)
            .map_err(BundleError::Crypto)?;
        Ok(Self { head, sealed: BASE64_STANDARD.encode(text) })
    }

    pub fn open(&self, key: &RecoveryKey) -> Result<Secrets, BundleError> {
        if hex::encode(key.public().map_err(BundleError::Crypto)?) != self.head.recovery_key {
            return Err(BundleError::OtherKey);
        }
        let ephemeral = hex::decode(&self.head.ephemeral).map_err(|_| BundleError::Damaged)?;
        let private = key.private().map_err(BundleError::Crypto)?;
        let opening = sealing_key(&private, &ephemeral, &self.head).map_err(|_| BundleError::Damaged)?;
        let mut text = BASE64_STANDARD.decode(&self.sealed).map_err(|_| BundleError::Damaged)?;
        let opened = opening.open_in_place(only_nonce(), Aad::from(self.head.to_json()), &mut text);
        serde_json::from_slice(opened.map_err(|_| BundleError::Damaged)?).map_err(|_| BundleError::Damaged)
    }

    #[must_use]
    pub fn installation(&self) -> InstallationId {
        self.head.installation
    }

    #[must_use]
    pub fn made(&self) -> Timestamp {
        self.head.made
    }

    /// As it lies in files.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("a bundle can be written as JSON");
        text.push('\n');
        text
    }

    /// `None` where there is no such file.
    pub fn read(file: &Path) -> Result<Option<Self>, BundleError> {
        if !file.exists() {
            return Ok(None);
        }
        let text = std::fs::read_to_string(file).map_err(|source| FileError::Io {
            doing: "reading",
            path: file.to_owned(),
            source,
        })?;
        text.parse().map(Some).map_err(|error| match error {
            BundleError::NotABundle { why, .. } => BundleError::NotABundle { what: file.display().to_string(), why },
            other => other,
        })
    }

    /// Takes the place of the one that is there.
    pub fn write(&self, file: &Path) -> Result<(), BundleError> {
        if let Some(dir) = file.parent() {
            files::make_private_dir(dir)?;
        }
        Ok(files::replace(file, self.to_text().as_bytes())?)
    }
}

impl FromStr for Bundle {
    type Err = BundleError;

    fn from_str(text: &str) -> Result<Self, BundleError> {
        let bundle: Self = serde_json::from_str(text).map_err(|error| not_a_bundle(&error))?;
        match bundle.head.bricklayer_bundle {
            FORMAT => Ok(bundle),
            other => Err(not_a_bundle(&format!("it has format {other}, this program knows format {FORMAT}"))),
        }
    }
}

impl Head {
    fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("the head of a bundle can be written as JSON")
    }
}

fn not_a_bundle(why: &dyn fmt::Display) -> BundleError {
    BundleError::NotABundle { what: "the text".to_owned(), why: why.to_string() }
}

fn digest(secrets: &Secrets) -> String {
    hex::encode(Digest::of(&secrets.to_json()).as_bytes())
}

/// The same from either side: of the ephemeral key and the recovery key.
fn sealing_key(own: &PrivateKey, other: &[u8], head: &Head) -> Result<LessSafeKey, Unspecified> {
    let other = UnparsedPublicKey::new(&X25519, other);
    agreement::agree(own, other, Unspecified, |shared| {
        let salt = format!("{}{}", head.ephemeral, head.recovery_key);
        let secret = Salt::new(HKDF_SHA256, salt.as_bytes()).extract(shared);
        let key = secret.expand(&[b"bricklayer bundle 1"], &AES_256_GCM)?;
        Ok(LessSafeKey::new(UnboundKey::from(key)))
    })
}

/// A key seals one text, so its nonce need not differ.
fn only_nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn secrets() -> Secrets {
        Secrets {
            authority_certificate: "certificate".to_owned(),
            authority_key: "key of the authority".to_owned(),
            admin_key: Some("admin".to_owned()),
            user_key: None,
        }
    }

    fn sealed(key: &RecoveryKey) -> Bundle {
        Bundle::seal(key, InstallationId::from_u128(1), &secrets(), Timestamp::UNIX_EPOCH).unwrap()
    }

    #[test]
    fn a_bundle_opens_with_its_key_alone_and_shows_nothing_without() {
        let key = RecoveryKey::random();
        let text = sealed(&key).to_text();
        assert!(!text.contains("key of the authority"), "{text}");
        let bundle: Bundle = text.parse().unwrap();
        assert_eq!(bundle.open(&key).unwrap(), secrets());
        assert!(matches!(bundle.open(&RecoveryKey::random()), Err(BundleError::OtherKey)));
        assert!(!format!("{key:?} {:?}", secrets()).contains("admin"));
    }

    #[test]
    fn a_bundle_that_was_altered_anywhere_does_not_open() {
        let key = RecoveryKey::random();
        let bundle = sealed(&key);
        let mut other = bundle.clone();
        other.head.installation = InstallationId::from_u128(2);
        assert!(matches!(other.open(&key), Err(BundleError::Damaged)));
        let mut sealed = BASE64_STANDARD.decode(&bundle.sealed).unwrap();
        for at in 0..sealed.len() {
            sealed[at] ^= 1;
            let altered = Bundle { sealed: BASE64_STANDARD.encode(&sealed), ..bundle.clone() };
            assert!(matches!(altered.open(&key), Err(BundleError::Damaged)), "byte {at}");
            sealed[at] ^= 1;
        }
    }

    #[test]
    fn keys_that_change_are_sealed_anew_without_the_recovery_key_and_only_then() {
        let key = RecoveryKey::random();
        let bundle = sealed(&key);
        assert_eq!(bundle.renewed(&secrets(), Timestamp::UNIX_EPOCH).unwrap(), None);
        let changed = Secrets { user_key: Some("user".to_owned()), ..secrets() };
        let renewed = bundle.renewed(&changed, Timestamp::UNIX_EPOCH).unwrap().unwrap();
        assert_eq!(renewed.open(&key).unwrap(), changed);
        assert!(renewed.made() > bundle.made(), "it is newer whatever the clock says");
    }

    #[test]
    fn a_key_is_told_in_groups_and_a_slip_is_told_as_such() {
        let text = RecoveryKey([7; KEY]).to_text();
        assert_eq!(text.split('-').map(str::len).collect::<Vec<_>>(), [4; 14]);
        let short = text[..text.len() - 1].parse::<RecoveryKey>();
        assert_eq!(short, Err(BadKey::Length { found: 55, whole: 56 }));
        assert_eq!("U".repeat(56).parse::<RecoveryKey>(), Err(BadKey::Character('U')));
        let first = text.chars().next().unwrap();
        let slip = text.replacen(first, if first == '9' { "8" } else { "9" }, 1);
        assert_eq!(slip.parse::<RecoveryKey>(), Err(BadKey::Check));
    }

    proptest! {
        #[test]
        fn a_key_is_read_back_however_it_was_copied(key in any::<[u8; KEY]>(), lower in any::<bool>()) {
            let key = RecoveryKey(key);
            let mut text = key.to_text().replace('-', " \n");
            if lower {
                text = text.to_lowercase().replace('0', "o").replace('1', "l");
            }
            prop_assert_eq!(text.parse::<RecoveryKey>(), Ok(key));
        }
    }
}
