//! Checksums of the BBB API: the hex digest of call name, query string without its checksum, and
//! the shared secret. Source: BBB's API documentation and the behaviour of bbb-web's
//! ValidationService (`checksum` may stand anywhere; the length of the digest names its algorithm).

use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq;

use crate::query::decode;

/// A digest that BBB knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    /// 40 hex digits; the default of most front-ends.
    Sha1,
    /// 64 hex digits; what every supported BBB accepts.
    Sha256,
    /// 96 hex digits.
    Sha384,
    /// 128 hex digits.
    Sha512,
}

impl Algorithm {
    const ALL: [Self; 4] = [Self::Sha1, Self::Sha256, Self::Sha384, Self::Sha512];

    /// The name used in settings: `SHA1`, `SHA256`, `SHA384`, `SHA512`.
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

/// The set of algorithms that a deployment accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Algorithms([bool; 4]);

impl Default for Algorithms {
    /// All four.
    fn default() -> Self {
        Self([true; 4])
    }
}

impl Algorithms {
    /// Reads `SHA1:SHA256:…` (any case).
    ///
    /// # Errors
    /// Names the part that is no algorithm; an empty list is an error as well.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut set = [false; 4];
        for part in text.split(':').map(str::trim).filter(|part| !part.is_empty()) {
            let known = Algorithm::ALL.iter().find(|one| one.name().eq_ignore_ascii_case(part));
            let one =
                known.ok_or_else(|| format!("{part} is not SHA1, SHA256, SHA384 or SHA512"))?;
            set[*one as usize] = true;
        }
        if set == [false; 4] {
            return Err("at least one of SHA1, SHA256, SHA384, SHA512 is needed".to_owned());
        }
        Ok(Self(set))
    }

    /// Whether a checksum of that algorithm is accepted.
    #[must_use]
    pub fn contains(self, algorithm: Algorithm) -> bool {
        self.0[algorithm as usize]
    }

    /// Whether checksums of no other algorithm are accepted.
    #[must_use]
    pub fn is_only(self, algorithm: Algorithm) -> bool {
        Algorithm::ALL.iter().all(|one| self.contains(*one) == (*one == algorithm))
    }

    /// The strongest one of the set.
    #[must_use]
    pub fn strongest_algorithm(self) -> Algorithm {
        let mut all = Algorithm::ALL.iter().rev();
        all.find(|one| self.contains(**one)).copied().unwrap_or(Algorithm::Sha256)
    }
}

/// A query string or form body with its checksum cut out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitChecksum {
    /// The text that the sender signed.
    pub signed_text: String,
    /// The checksum as received.
    pub checksum: String,
}

/// Why a text has no usable checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChecksumError {
    /// There is none.
    #[error("no checksum")]
    Missing,
    /// There is more than one: recent bbb-web refuses that, and so do we.
    #[error("more than one checksum")]
    Repeated,
}

/// Cuts the `checksum` parameter out of a raw query, with its one neighbouring `&`.
///
/// # Errors
/// When there is no such parameter, or more than one.
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

/// The secret, of these, under which the checksum fits the call and the signed text; if several
/// do, the last.
///
/// Every secret is tried and each comparison takes constant time, so timing tells neither which
/// secret matched nor how far. Empty secrets never match.
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
        let right: bool = algorithm.digest([call, signed, secret]).ct_eq(&received).into();
        if right { Some(secret) } else { found }
    })
}

/// Whether the checksum fits the call and the signed text under any of the secrets: [`find_signing_secret`].
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

/// The checksum, in lower-case hex, of a call with that query string.
#[must_use]
pub fn compute_checksum(call: &str, query: &str, secret: &str, algorithm: Algorithm) -> String {
    hex::encode(algorithm.digest([call, query, secret]))
}

/// The query string with its checksum appended.
#[must_use]
pub fn sign_query(call: &str, query: &str, secret: &str, algorithm: Algorithm) -> String {
    let checksum = compute_checksum(call, query, secret, algorithm);
    let and = if query.is_empty() { "" } else { "&" };
    format!("{query}{and}checksum={checksum}")
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
    fn vectors_of_the_specification() {
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
    fn the_checksum_may_stand_anywhere() {
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
    fn only_allowed_algorithms_count() {
        let allowed = Algorithms::parse("sha256:SHA512").unwrap();
        assert_eq!(allowed.strongest_algorithm(), Algorithm::Sha512);
        let of = |algorithm| compute_checksum("end", "a=1", SECRET, algorithm);
        assert!(!verify("end", "a=1", &of(Algorithm::Sha1), &[SECRET], allowed));
        assert!(!verify("end", "a=1", &of(Algorithm::Sha384), &[SECRET], allowed));
        assert!(verify("end", "a=1", &of(Algorithm::Sha512), &[SECRET], allowed));
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
            at in 0usize..7, secret in "[a-z]{1,20}",
        ) {
            let query = pairs.join("&");
            let sum = compute_checksum("create", &query, &secret, Algorithm::Sha256);
            let mut moved = pairs.clone();
            moved.insert(at.min(pairs.len()), format!("checksum={sum}"));
            let cut = split_checksum(&moved.join("&")).unwrap();
            prop_assert_eq!(&cut.signed_text, &query);
            prop_assert!(verify("create", &cut.signed_text, &cut.checksum, &[&secret], Algorithms::default()));
            prop_assert!(!verify("creatf", &cut.signed_text, &cut.checksum, &[&secret], Algorithms::default()));
        }

        #[test]
        fn nothing_panics(raw in "\\PC*", sum in "\\PC*") {
            let _ = split_checksum(&raw);
            let _ = verify("x", &raw, &sum, &["s"], Algorithms::default());
        }
    }
}
