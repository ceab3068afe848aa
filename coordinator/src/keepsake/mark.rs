//! How the coordinator knows its own documents again, and what in them is for nobody else.
//!
//! Both by keys that are derived from the authority's: whoever may rebuild has them, and no host can make up a document,
//! alter one, or pass one off as newer than it is.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bricklayer_proto::keepsake::{Keepsake, KeepsakeKind};

use crate::pki::Authority;

/// A document that somebody else made or altered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it does not carry this installation's mark: it was altered, or is that of another one")]
pub struct NotOurs;

/// The keys of one installation for what its hosts keep.
pub struct Marks {
    mark: hmac::Key,
    sealing: LessSafeKey,
    nonces: hmac::Key,
}

impl std::fmt::Debug for Marks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Marks(..)")
    }
}

impl Marks {
    #[must_use]
    pub fn of(authority: &Authority) -> Self {
        let key = |purpose: &str| authority.derive(purpose);
        let hmac = |purpose: &str| hmac::Key::new(hmac::HMAC_SHA256, &key(purpose));
        let sealing = UnboundKey::new(&AES_256_GCM, &key("bricklayer keepsake sealing 1"));
        Self {
            mark: hmac("bricklayer keepsake mark 1"),
            sealing: LessSafeKey::new(sealing.expect("a key of 32 bytes is one of AES-256")),
            nonces: hmac("bricklayer keepsake nonces 1"),
        }
    }

    /// Makes a keepsake of a document.
    #[must_use]
    pub fn keepsake(&self, kind: KeepsakeKind, sequence: u64, content: String) -> Keepsake {
        let tag = hmac::sign(&self.mark, &marked(kind, sequence, &content));
        Keepsake { kind, sequence, content, mark: hex::encode(tag) }
    }

    pub fn check(&self, keepsake: &Keepsake) -> Result<(), NotOurs> {
        let tag = hex::decode(&keepsake.mark).map_err(|_| NotOurs)?;
        let marked = marked(keepsake.kind, keepsake.sequence, &keepsake.content);
        hmac::verify(&self.mark, &marked, &tag).map_err(|_| NotOurs)
    }

    /// Seals a short text. The same text of the same thing is sealed the same way, as a document that says the same
    /// must not differ; so its nonce is made of both.
    #[must_use]
    pub(super) fn seal(&self, of: &str, text: &str) -> String {
        let nonce = self.nonce(of, text);
        let mut sealed = text.as_bytes().to_vec();
        let done = self.sealing.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(of.as_bytes()),
            &mut sealed,
        );
        done.expect("a short text can be sealed");
        BASE64_STANDARD.encode([nonce.as_slice(), &sealed].concat())
    }

    pub(super) fn open(&self, of: &str, sealed: &str) -> Option<String> {
        let bytes = BASE64_STANDARD.decode(sealed).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_LEN>()?;
        let mut sealed = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let text = self.sealing.open_in_place(nonce, Aad::from(of.as_bytes()), &mut sealed).ok()?;
        String::from_utf8(text.to_vec()).ok()
    }

    fn nonce(&self, of: &str, text: &str) -> [u8; NONCE_LEN] {
        let tag = hmac::sign(&self.nonces, format!("{of} {text}").as_bytes());
        let mut nonce = [0; NONCE_LEN];
        nonce.copy_from_slice(&tag.as_ref()[..NONCE_LEN]);
        nonce
    }
}

fn marked(kind: KeepsakeKind, sequence: u64, content: &str) -> Vec<u8> {
    format!("{kind} {sequence} {content}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bricklayer_proto::ids::InstallationId;
    use jiff::Timestamp;

    fn marks(dir: &std::path::Path) -> Marks {
        Marks::of(&Authority::create(dir, InstallationId::from_u128(1), Timestamp::now()).unwrap())
    }

    #[test]
    fn a_document_that_was_altered_in_any_part_is_not_ours() {
        let dir = tempfile::tempdir().unwrap();
        let ours = marks(&dir.path().join("a"));
        let keepsake = ours.keepsake(KeepsakeKind::Volumes, 7, "text".to_owned());
        assert_eq!(ours.check(&keepsake), Ok(()));
        let newer = Keepsake { sequence: 8, ..keepsake.clone() };
        let other_kind = Keepsake { kind: KeepsakeKind::Installation, ..keepsake.clone() };
        let other_text = Keepsake { content: "texts".to_owned(), ..keepsake.clone() };
        let unmarked = Keepsake { mark: String::new(), ..keepsake.clone() };
        for altered in [newer, other_kind, other_text, unmarked] {
            assert_eq!(ours.check(&altered), Err(NotOurs), "{altered:?}");
        }
        assert_eq!(marks(&dir.path().join("b")).check(&keepsake), Err(NotOurs));
    }

    #[test]
    fn a_password_opens_for_its_own_thing_alone_and_is_sealed_the_same_each_time() {
        let dir = tempfile::tempdir().unwrap();
        let marks = marks(&dir.path().join("a"));
        let sealed = marks.seal("block 1", "s3cret");
        assert_eq!(sealed, marks.seal("block 1", "s3cret"));
        assert_ne!(sealed, marks.seal("block 2", "s3cret"));
        assert_eq!(marks.open("block 1", &sealed).as_deref(), Some("s3cret"));
        assert_eq!(marks.open("block 2", &sealed), None);
    }
}
