//! Checksums of the BBB API. A checksum is the hex digest of the call's name, the query string
//! without the checksum, and the shared secret. Source: BBB's API documentation and the behaviour
//! of bbb-web's ValidationService: `checksum` may be at any position in the query, and the length
//! of the digest determines its algorithm.

use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq;

use crate::query::{Query, decode, encode};

/// A digest algorithm that BBB supports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    /// 40 hex digits; the default of most front-ends.
    Sha1,
    /// 64 hex digits; accepted by every supported BBB release.
    Sha256,
    /// 96 hex digits.
    Sha384,
    /// 128 hex digits.
    Sha512,
}

impl Algorithm {
    const ALL: [Self; 4] = [Self::Sha1, Self::Sha256, Self::Sha384, Self::Sha512];

    /// Returns the name used in settings: `SHA1`, `SHA256`, `SHA384` or `SHA512`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
            Self::Sha384 => "SHA384",
            Self::Sha512 => "SHA512",
        }
    }

    fn from_hex_length(length: usize) -> Option<Self> {
        match length {
            40 => Some(Self::Sha1),
            64 => Some(Self::Sha256),
            96 => Some(Self::Sha384),
            128 => Some(Self::Sha512),
            _ => None,
        }
    }

    fn digest(self, parts: [&str; 3]) -> Vec<u8> {
        fn hash_parts<D: Digest>(parts: [&str; 3]) -> Vec<u8> {
            let mut digest = D::new();
            parts.iter().for_each(|part| digest.update(part.as_bytes()));
            digest.finalize().to_vec()
        }
        match self {
            Self::Sha1 => hash_parts::<Sha1>(parts),
            Self::Sha256 => hash_parts::<Sha256>(parts),
            Self::Sha384 => hash_parts::<Sha384>(parts),
            Self::Sha512 => hash_parts::<Sha512>(parts),
        }
    }
}

/// A set of algorithms: those that a deployment accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Algorithms([bool; 4]);

impl Default for Algorithms {
    /// Returns the set of all four algorithms.
    fn default() -> Self {
        Self([true; 4])
    }
}

impl Algorithms {
    /// Parses a list such as `SHA1:SHA256`, in any case.
    ///
    /// # Errors
    /// When the list is empty or a part of it is not an algorithm; the error names that part.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut set = [false; 4];
        for part in text.split(':').map(str::trim).filter(|part| !part.is_empty()) {
            let algorithm = Algorithm::ALL
                .iter()
                .find(|algorithm| algorithm.name().eq_ignore_ascii_case(part))
                .ok_or_else(|| format!("{part} is not SHA1, SHA256, SHA384 or SHA512"))?;
            set[*algorithm as usize] = true;
        }
        if set == [false; 4] {
            return Err("at least one of SHA1, SHA256, SHA384, SHA512 is needed".to_owned());
        }
        Ok(Self(set))
    }

    /// Returns whether the set contains the algorithm.
    #[must_use]
    pub fn contains(self, algorithm: Algorithm) -> bool {
        self.0[algorithm as usize]
    }

    /// Returns whether the set contains this algorithm and no other.
    #[must_use]
    pub fn is_only(self, algorithm: Algorithm) -> bool {
        Algorithm::ALL.iter().all(|member| self.contains(*member) == (*member == algorithm))
    }

    /// Returns the strongest algorithm of the set.
    #[must_use]
    pub fn strongest_algorithm(self) -> Algorithm {
        let mut strongest_first = Algorithm::ALL.into_iter().rev();
        strongest_first.find(|member| self.contains(*member)).unwrap_or(Algorithm::Sha256)
    }
}

/// A query string or form body, separated into the signed text and its checksum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitChecksum {
    /// The text that the sender signed.
    pub signed_text: String,
    /// The checksum as received.
    pub checksum: String,
}

/// The reason why a text has no usable checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChecksumError {
    /// There is no checksum.
    #[error("no checksum")]
    Missing,
    /// There is more than one checksum. Recent releases of bbb-web refuse that as well.
    #[error("more than one checksum")]
    Repeated,
}

/// Returns the text that BBB 2.4 to 2.7.7 verifies for a form: all parameters but the checksum, sorted by name, with the values encoded
/// as Java does.
#[must_use]
pub fn sorted_form_text(parameters: &Query) -> String {
    let pairs = parameters.iter().filter(|(name, _)| name != "checksum");
    let mut pairs: Vec<_> = pairs.collect();
    // Values of one name keep their order.
    pairs.sort_by(|(one, _), (other, _)| one.as_bytes().cmp(other.as_bytes()));
    let pairs = pairs.iter().map(|(name, value)| {
        let value = encode(value);
        format!("{name}={value}")
    });
    pairs.collect::<Vec<_>>().join("&")
}

/// Removes the `checksum` parameter from a raw query, together with one neighbouring `&`.
///
/// # Errors
/// When there is no `checksum` parameter, or more than one.
pub fn split_checksum(raw: &str) -> Result<SplitChecksum, ChecksumError> {
    let mut found = None;
    let mut start = 0;
    for piece in raw.split('&') {
        let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
        if decode(name) == "checksum" && found.replace((start, piece.len(), value)).is_some() {
            return Err(ChecksumError::Repeated);
        }
        start += piece.len() + 1;
    }
    let (start, length, value) = found.ok_or(ChecksumError::Missing)?;
    let end = start + length;
    let (from, to) = match (start, end == raw.len()) {
        (0, true) => (start, end),
        (0, false) => (start, end + 1),
        _ => (start - 1, end),
    };
    let signed = format!("{}{}", &raw[..from], &raw[to..]);
    Ok(SplitChecksum { signed_text: signed, checksum: decode(value).into_owned() })
}

/// Returns the secret that the checksum was computed with, for this call and signed text. If
/// several secrets match, the last of them is returned.
///
/// All secrets are tried and each comparison takes constant time, so that the time taken reveals
/// neither which secret matched nor how much of a checksum was right. Empty secrets never match.
#[must_use]
pub fn find_signing_secret<'a>(
    call: &str,
    signed: &str,
    checksum: &str,
    secrets: &'a [impl AsRef<str>],
    allowed: Algorithms,
) -> Option<&'a str> {
    let algorithm = Algorithm::from_hex_length(checksum.len())?;
    let received = hex::decode(checksum).ok()?;
    if !allowed.contains(algorithm) {
        return None;
    }
    let usable = secrets.iter().map(AsRef::as_ref).filter(|secret| !secret.is_empty());
    usable.fold(None, |found, secret| {
        let matches: bool = algorithm.digest([call, signed, secret]).ct_eq(&received).into();
        if matches { Some(secret) } else { found }
    })
}

/// Returns whether two secrets are equal, in a time that tells nothing of either but its length.
#[must_use]
pub fn is_same_secret(one: &[u8], other: &[u8]) -> bool {
    Sha256::digest(one).ct_eq(&Sha256::digest(other)).into()
}

/// Returns whether the checksum is valid under any of the secrets; see [`find_signing_secret`].
#[must_use]
pub fn verify(
    call: &str,
    signed: &str,
    checksum: &str,
    secrets: &[impl AsRef<str>],
    allowed: Algorithms,
) -> bool {
    find_signing_secret(call, signed, checksum, secrets, allowed).is_some()
}

/// Computes the checksum of a call and its query string, in lower-case hex.
#[must_use]
pub fn compute_checksum(call: &str, query: &str, secret: &str, algorithm: Algorithm) -> String {
    hex::encode(algorithm.digest([call, query, secret]))
}

/// Returns the query string with its checksum appended.
#[must_use]
pub fn sign_query(call: &str, query: &str, secret: &str, algorithm: Algorithm) -> String {
    let checksum = compute_checksum(call, query, secret, algorithm);
    let separator = if query.is_empty() { "" } else { "&" };
    format!("{query}{separator}checksum={checksum}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECRET: &str = "k3y-Of-The-Test-Balancer";
    const VECTORS: [(&str, &str, &str); 8] = [
        (
            "create",
            "meetingID=room-7&name=Weekly+sync&meta_bbb-origin=demo",
            "ce7322bc95f84b00a914c2834bded34a909dfba8",
        ),
        (
            "create",
            "meetingID=room-7&name=Weekly+sync&meta_bbb-origin=demo",
            "467869aa9021daadc80750f6a604bde09405503f5fe0d56341ce190eccdc922d",
        ),
        (
            "create",
            "meetingID=room-7&name=Weekly+sync&meta_bbb-origin=demo",
            "e63fd3b1bd203de05cb1d5293f45cb676402f0df4fa9bc69e2380b52a190532ba360aa884130b2a52c22f74c482f8fd2",
        ),
        (
            "create",
            "meetingID=room-7&name=Weekly%20sync&meta_bbb-origin=demo",
            "1fdba7adbc7cb70e86b24e2502e73bde2cdc006d",
        ),
        (
            "create",
            "meetingID=room-7&name=Weekly%20sync&meta_bbb-origin=demo",
            "f2543734d20fbfe5dcf4d1fc49c257f9d9dcf1118d2964bbce4a53a4a9fb820c",
        ),
        ("getMeetings", "", "85e6b5745bc5c82376a7d95164908cbfe8316c94"),
        ("hooks/list", "", "5ac27d95ad835dce840408d50b7451ef9c1ad604"),
        ("", "", "eb8768f3f92373efc22e7da6c716152c07978808"),
    ];

    #[test]
    fn checksums_match_the_recorded_vectors() {
        for (call, query, expected) in VECTORS {
            let algorithm = Algorithm::from_hex_length(expected.len()).unwrap();
            assert_eq!(compute_checksum(call, query, SECRET, algorithm), expected);
            assert!(verify(call, query, expected, &[SECRET], Algorithms::default()));
            let upper = expected.to_uppercase();
            assert!(verify(call, query, &upper, &["other", SECRET], Algorithms::default()));
            assert!(!verify(call, query, expected, &["other", ""], Algorithms::default()));
        }
    }

    #[test]
    fn the_checksum_may_be_at_any_position() {
        for (raw, signed) in [
            ("checksum=X", ""),
            ("&checksum=X", ""),
            ("a=b&checksum=X", "a=b"),
            ("checksum=X&a=b", "a=b"),
            ("a=b&checksum=X&c=d", "a=b&c=d"),
            ("a=1&&checksum=X", "a=1&"),
            ("a=1&checksum=X&", "a=1&"),
            ("xchecksum=1&checksum=X", "xchecksum=1"),
        ] {
            let expected =
                SplitChecksum { signed_text: signed.to_owned(), checksum: "X".to_owned() };
            assert_eq!(split_checksum(raw), Ok(expected), "{raw}");
        }
    }

    #[test]
    fn missing_and_repeated_checksums_are_refused() {
        assert_eq!(split_checksum("a=b"), Err(ChecksumError::Missing));
        assert_eq!(split_checksum("checksum=X&checksum=X"), Err(ChecksumError::Repeated));
        assert_eq!(split_checksum("checksum=X&a=1&check%73um=Y"), Err(ChecksumError::Repeated));
    }

    #[test]
    fn only_allowed_algorithms_are_accepted() {
        let allowed = Algorithms::parse("sha256:SHA512").unwrap();
        assert_eq!(allowed.strongest_algorithm(), Algorithm::Sha512);
        let checksum_of = |algorithm| compute_checksum("end", "a=1", SECRET, algorithm);
        assert!(!verify("end", "a=1", &checksum_of(Algorithm::Sha1), &[SECRET], allowed));
        assert!(!verify("end", "a=1", &checksum_of(Algorithm::Sha384), &[SECRET], allowed));
        assert!(verify("end", "a=1", &checksum_of(Algorithm::Sha512), &[SECRET], allowed));
        assert!(Algorithms::parse("MD5").is_err());
        assert!(Algorithms::parse(" : ").is_err());
    }

    #[test]
    fn odd_lengths_and_non_hex_are_refused() {
        for bad in ["", "0", &"a".repeat(63), &"g".repeat(64), &"é".repeat(32)] {
            assert!(!verify("end", "", bad, &[SECRET], Algorithms::default()));
        }
    }

    proptest! {
        #[test]
        fn signed_queries_verify_wherever_the_checksum_is_moved(
            pairs in proptest::collection::vec("[a-z]{1,5}=[a-zA-Z0-9%+]{0,8}", 0..6),
            position in 0usize..7, secret in "[a-z]{1,20}",
        ) {
            let query = pairs.join("&");
            let sum = compute_checksum("create", &query, &secret, Algorithm::Sha256);
            let mut moved = pairs.clone();
            moved.insert(position.min(pairs.len()), format!("checksum={sum}"));
            let split = split_checksum(&moved.join("&")).unwrap();
            prop_assert_eq!(&split.signed_text, &query);
            prop_assert!(verify("create", &split.signed_text, &split.checksum, &[&secret], Algorithms::default()));
            prop_assert!(!verify("creatf", &split.signed_text, &split.checksum, &[&secret], Algorithms::default()));
        }

        #[test]
        fn nothing_panics(raw in "\\PC*", sum in "\\PC*") {
            let _ = split_checksum(&raw);
            let _ = verify("x", &raw, &sum, &["s"], Algorithms::default());
        }
    }
}
