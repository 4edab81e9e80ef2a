//! Sealing of what is stored encrypted: AES-256-GCM, with keys derived from the secrets of the deployment.

use app::ports::{Entropy as _, Sealer};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::entropy::OsEntropy;

/// Derives keys for this purpose only: the same secrets sign calls and cookies.
const PURPOSE: &[u8] = b"scalelite: kept creates, version 1";
/// Length of a key.
const KEY_BYTES: usize = 32;

/// Seals with the key of the first secret, and opens what was sealed with any of them, so that secrets
/// can be replaced one after the other.
pub struct AesSealer(Vec<LessSafeKey>);

struct KeyLength;

impl KeyType for KeyLength {
    fn len(&self) -> usize {
        KEY_BYTES
    }
}

impl AesSealer {
    /// Returns a sealer for these secrets. Empty ones are left out.
    #[must_use]
    pub fn new(secrets: &[&str]) -> Self {
        let secrets = secrets.iter().filter(|secret| !secret.is_empty());
        Self(secrets.filter_map(|secret| derive_key(secret.as_bytes())).collect())
    }
}

fn derive_key(secret: &[u8]) -> Option<LessSafeKey> {
    let mut key = [0; KEY_BYTES];
    let derived = Salt::new(HKDF_SHA256, PURPOSE).extract(secret);
    derived.expand(&[PURPOSE], KeyLength).ok()?.fill(&mut key).ok()?;
    UnboundKey::new(&AES_256_GCM, &key).ok().map(LessSafeKey::new)
}

impl Sealer for AesSealer {
    fn seal(&self, context: &str, plain: &[u8]) -> Option<String> {
        let mut text = plain.to_vec();
        let key = self.0.first()?;
        // Not the library's own random numbers: it collects entropy for a quarter of a second first.
        let mut sealed = OsEntropy.generate_bytes().get(..NONCE_LEN)?.to_vec();
        let nonce = Nonce::try_assume_unique_for_key(&sealed).ok()?;
        key.seal_in_place_append_tag(nonce, Aad::from(context), &mut text).ok()?;
        sealed.extend_from_slice(&text);
        Some(STANDARD_NO_PAD.encode(sealed))
    }

    fn open(&self, context: &str, sealed: &str) -> Option<Vec<u8>> {
        let sealed = STANDARD_NO_PAD.decode(sealed).ok()?;
        let (nonce, text) = sealed.split_at_checked(NONCE_LEN)?;
        self.0.iter().find_map(|key| {
            let mut text = text.to_vec();
            let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
            let plain = key.open_in_place(nonce, Aad::from(context), &mut text).ok()?;
            Some(plain.to_vec())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_can_be_opened_with_any_of_the_secrets() {
        let sealer = AesSealer::new(&["new", "", "old"]);
        let sealed = sealer.seal("room", b"moderatorPW=hidden").unwrap();
        assert!(!sealed.contains("hidden") && !sealed.contains("room"));
        assert_eq!(sealer.open("room", &sealed).unwrap(), b"moderatorPW=hidden");
        assert_ne!(sealer.seal("room", b"moderatorPW=hidden").unwrap(), sealed);
        let rotated = AesSealer::new(&["newest", "new"]);
        assert_eq!(rotated.open("room", &sealed).unwrap(), b"moderatorPW=hidden");
        assert_eq!(AesSealer::new(&["newest"]).open("room", &sealed), None);
    }

    #[test]
    fn another_context_or_a_changed_text_cannot_be_opened() {
        let sealer = AesSealer::new(&["secret"]);
        let sealed = sealer.seal("room", b"x").unwrap();
        assert_eq!(sealer.open("other room", &sealed), None);
        let first = if sealed.starts_with('A') { "B" } else { "A" };
        let changed = format!("{first}{}", &sealed[1..]);
        for wrong in ["", "A", "&", &changed, &sealed[..sealed.len() - 2]] {
            assert_eq!(sealer.open("room", wrong), None, "{wrong}");
        }
        assert_eq!(AesSealer::new(&[]).seal("room", b"x"), None, "without a key");
    }
}
