//! The `create` parameter that tells BBB where to send the learning analytics of a meeting. Its
//! value is encrypted with the server's secret, because the metadata of a meeting is not secret.

use aes::Aes256;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cbc::Encryptor;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeEncrypt as _, KeyIvInit as _};
use sha2::Sha256;

/// The name of the parameter.
pub const PAYLOAD_PARAMETER: &str = "meta_secret-lrs-payload";
/// Number of PBKDF2 iterations of the key derivation.
const KEY_ROUNDS: u32 = 10_000;

/// Encrypts a text as BBB expects it: base64 of 8 arbitrary bytes, 8 bytes of salt, and the
/// AES-256-CBC ciphertext. PBKDF2-HMAC-SHA256 derives the key and the initialisation vector, which
/// takes milliseconds by design.
///
/// `noise` consists of the 8 arbitrary bytes and the salt.
#[must_use]
pub fn encrypt_payload(plain: &str, secret: &str, noise: [u8; 16]) -> String {
    let mut key = [0; 32];
    let mut initialisation_vector = [0; 16];
    let mut derived = [0; 48];
    pbkdf2::pbkdf2_hmac::<Sha256>(secret.as_bytes(), &noise[8..], KEY_ROUNDS, &mut derived);
    key.copy_from_slice(&derived[..32]);
    initialisation_vector.copy_from_slice(&derived[32..]);
    let cipher = Encryptor::<Aes256>::new(&key.into(), &initialisation_vector.into());
    let mut payload = noise.to_vec();
    payload.extend(cipher.encrypt_padded_vec::<Pkcs7>(plain.as_bytes()));
    STANDARD.encode(payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with Python's hashlib and `openssl enc`.
    const ENCRYPTED: &str =
        "AAECAwQFBgcICQoLDA0OD0ilAvhi++hKJIfBTtUHZqMVxUZ4+j0A+y2BedcMogDHDumPE5e0UBE4ltdInvTRbg==";

    #[test]
    fn encryption_matches_openssl() {
        let noise = std::array::from_fn(|index| u8::try_from(index).unwrap());
        let plain = r#"{"lrs_endpoint":"https://lrs.example.test"}"#;
        assert_eq!(encrypt_payload(plain, "server secret", noise), ENCRYPTED);
    }
}
