//! BigBlueButton's checksums, checked over the raw text of a request.

use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};

use crate::options::Strictness;

/// A hash that requests may be signed with. The length of the checksum tells which one it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// 40 hex digits.
    Sha1,
    /// 64 hex digits.
    Sha256,
    /// 96 hex digits.
    Sha384,
    /// 128 hex digits.
    Sha512,
}

impl Algorithm {
    /// All that BigBlueButton knows.
    pub const ALL: [Self; 4] = [Self::Sha1, Self::Sha256, Self::Sha384, Self::Sha512];

    /// The algorithm that makes checksums of this many hex digits.
    fn from_length(digits: usize) -> Option<Self> {
        match digits {
            40 => Some(Self::Sha1),
            64 => Some(Self::Sha256),
            96 => Some(Self::Sha384),
            128 => Some(Self::Sha512),
            _ => None,
        }
    }

    /// The lower-case hex digest of `text`.
    #[must_use]
    pub fn hex_digest(self, text: &str) -> String {
        match self {
            Self::Sha1 => hex::encode(Sha1::digest(text)),
            Self::Sha256 => hex::encode(Sha256::digest(text)),
            Self::Sha384 => hex::encode(Sha384::digest(text)),
            Self::Sha512 => hex::encode(Sha512::digest(text)),
        }
    }
}

/// The secret and the rules that a request is checked against.
pub(crate) struct ChecksumVerifier<'a> {
    pub(crate) secret: &'a str,
    pub(crate) algorithms: &'a [Algorithm],
    pub(crate) strictness: Strictness,
}

impl ChecksumVerifier<'_> {
    /// Whether `call` with this raw query and raw form body carries one good checksum.
    pub(crate) fn accepts(&self, call: &str, query: &str, form: &str) -> bool {
        let (in_query, in_form) = (checksum_values(query), checksum_values(form));
        match (in_query.as_slice(), in_form.as_slice()) {
            ([given], []) => self.is_signature(call, &remove_checksum(query, given), given),
            // BigBlueButton 3 signs the query, which is empty here; the body is not signed.
            ([], [given]) => {
                self.is_signature(call, query, given)
                    || self.strictness == Strictness::Recorded
                        && self.is_signature(call, &remove_checksum(form, given), given)
            }
            _ => false,
        }
    }

    fn is_signature(&self, call: &str, text: &str, given: &str) -> bool {
        Algorithm::from_length(given.len()).is_some_and(|algorithm| {
            self.algorithms.contains(&algorithm)
                && algorithm
                    .hex_digest(&format!("{call}{text}{}", self.secret))
                    .eq_ignore_ascii_case(given)
        })
    }
}

/// The raw values of every parameter `checksum` in `text`.
fn checksum_values(text: &str) -> Vec<&str> {
    text.split('&').filter_map(|pair| pair.strip_prefix("checksum=")).collect()
}

/// `text` as it was before the checksum was put in, by BigBlueButton's three replacements.
fn remove_checksum(text: &str, checksum: &str) -> String {
    text.replace(&format!("&checksum={checksum}"), "")
        .replace(&format!("checksum={checksum}&"), "")
        .replace(&format!("checksum={checksum}"), "")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "k3y-Of-The-Test-Balancer";
    const PLUS: &str = "meetingID=room-7&name=Weekly+sync&meta_bbb-origin=demo";

    fn real_verifier() -> ChecksumVerifier<'static> {
        ChecksumVerifier {
            secret: SECRET,
            algorithms: &Algorithm::ALL,
            strictness: Strictness::Real,
        }
    }

    fn recorded_verifier() -> ChecksumVerifier<'static> {
        ChecksumVerifier { strictness: Strictness::Recorded, ..real_verifier() }
    }

    fn sign(algorithm: Algorithm, call: &str, text: &str) -> String {
        algorithm.hex_digest(&format!("{call}{text}{SECRET}"))
    }

    #[test]
    fn the_published_vectors() {
        let sha1 = "ce7322bc95f84b00a914c2834bded34a909dfba8";
        let sha256 = "467869aa9021daadc80750f6a604bde09405503f5fe0d56341ce190eccdc922d";
        let sha384 = "e63fd3b1bd203de05cb1d5293f45cb676402f0df4fa9bc69e2380b52a190532b\
                      a360aa884130b2a52c22f74c482f8fd2";
        for given in [sha1, sha256, sha384] {
            assert!(real_verifier().accepts("create", &format!("{PLUS}&checksum={given}"), ""));
            let spaced = PLUS.replace('+', "%20");
            assert!(!real_verifier().accepts("create", &format!("{spaced}&checksum={given}"), ""));
        }
        let empty = "85e6b5745bc5c82376a7d95164908cbfe8316c94";
        assert!(real_verifier().accepts("getMeetings", &format!("&checksum={empty}"), ""));
        assert!(real_verifier().accepts("getMeetings", &format!("checksum={empty}"), ""));
    }

    #[test]
    fn anywhere_in_the_query_in_any_case_by_any_algorithm() {
        for algorithm in Algorithm::ALL {
            let given = sign(algorithm, "end", "a=1&b=2").to_uppercase();
            for query in [
                format!("checksum={given}&a=1&b=2"),
                format!("a=1&checksum={given}&b=2"),
                format!("a=1&b=2&checksum={given}"),
            ] {
                assert!(real_verifier().accepts("end", &query, ""), "{query}");
            }
            let only = ChecksumVerifier { algorithms: &[Algorithm::Sha256], ..real_verifier() };
            let query = format!("a=1&b=2&checksum={given}");
            assert_eq!(only.accepts("end", &query, ""), algorithm == Algorithm::Sha256);
        }
        let trailing = sign(Algorithm::Sha1, "end", "a=1&");
        assert!(real_verifier().accepts("end", &format!("a=1&&checksum={trailing}"), ""));
    }

    #[test]
    fn missing_short_or_repeated_is_refused() {
        let given = sign(Algorithm::Sha256, "end", "a=1");
        for (query, form) in [
            ("a=1".to_owned(), String::new()),
            ("a=1&checksum=".to_owned(), String::new()),
            (format!("a=1&checksum={}", &given[1..]), String::new()),
            (format!("a=1&checksum={given}&checksum={given}"), String::new()),
            (format!("a=1&checksum={given}"), format!("checksum={given}")),
        ] {
            assert!(!real_verifier().accepts("end", &query, &form), "{query} {form}");
            assert!(!recorded_verifier().accepts("end", &query, &form), "{query} {form}");
        }
    }

    #[test]
    fn a_form_signs_nothing_and_when_recorded_also_itself() {
        let empty = format!("a=1&checksum={}", sign(Algorithm::Sha256, "end", ""));
        assert!(real_verifier().accepts("end", "", &empty));
        assert!(recorded_verifier().accepts("end", "", &empty));
        let body = format!("a=1&checksum={}", sign(Algorithm::Sha256, "end", "a=1"));
        assert!(!real_verifier().accepts("end", "", &body));
        assert!(recorded_verifier().accepts("end", "", &body));
    }
}
