//! Where the learning analytics of a meeting go, as BBB takes it: sealed with the server's secret,
//! because metadata is for everybody to see.

use aes::Aes256;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cbc::Encryptor;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeEncrypt as _, KeyIvInit as _};
use sha2::Sha256;

/// The parameter of `create`.
pub const PAYLOAD_PARAMETER: &str = "meta_secret-lrs-payload";
/// Rounds of the derivation of the key.
const KEY_ROUNDS: u32 = 10_000;

/// Seals a text: base64 of 8 bytes without meaning, 8 bytes of salt, and AES-256-CBC under key and
/// initial vector from PBKDF2-HMAC-SHA256. It takes milliseconds, as it is meant to.
#[must_use]
pub fn encrypt_payload(plain: &str, secret: &str, noise: [u8; 16]) -> String {
    let mut key = [0; 32];
    let mut initial = [0; 16];
    let mut derived = [0; 48];
    pbkdf2::pbkdf2_hmac::<Sha256>(secret.as_bytes(), &noise[8..], KEY_ROUNDS, &mut derived);
    key.copy_from_slice(&derived[..32]);
    initial.copy_from_slice(&derived[32..]);
    let cipher = Encryptor::<Aes256>::new(&key.into(), &initial.into());
    let mut sealed = noise.to_vec();
    sealed.extend(cipher.encrypt_padded_vec::<Pkcs7>(plain.as_bytes()));
    STANDARD.encode(sealed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with Python's hashlib and `openssl enc`.
    const ENCRYPTED: &str =
        "AAECAwQFBgcICQoLDA0OD0ilAvhi++hKJIfBTtUHZqMVxUZ4+j0A+y2BedcMogDHDumPE5e0UBE4ltdInvTRbg==";

    #[test]
    fn encryption_matches_openssl() {
        let noise = std::array::from_fn(|at| u8::try_from(at).unwrap());
        let plain = r#"{"lrs_endpoint":"https://lrs.example.test"}"#;
        assert_eq!(encrypt_payload(plain, "server secret", noise), ENCRYPTED);
    }
}
