//! Verifies BigBlueButton's checksums over the raw text of a request.

use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};

use crate::options::Strictness;

/// A hash algorithm with which requests may be signed. The length of a checksum identifies its algorithm.
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
    /// All algorithms that BigBlueButton supports.
    pub const ALL: [Self; 4] = [Self::Sha1, Self::Sha256, Self::Sha384, Self::Sha512];

    /// Returns the algorithm whose checksums have this many hex digits.
    fn from_length(digits: usize) -> Option<Self> {
        match digits {
            40 => Some(Self::Sha1),
            64 => Some(Self::Sha256),
            96 => Some(Self::Sha384),
            128 => Some(Self::Sha512),
            _ => None,
        }
    }

    /// Returns the lower-case hex digest of `text`.
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

/// Verifies checksums with a secret and by one set of rules.
pub(crate) struct ChecksumVerifier<'a> {
    pub(crate) secret: &'a str,
    pub(crate) algorithms: &'a [Algorithm],
    pub(crate) strictness: Strictness,
}

impl ChecksumVerifier<'_> {
    /// Whether `call` with this raw query and raw form body has exactly one checksum, and a valid one.
    pub(crate) fn accepts(&self, call: &str, query: &str, form: &str) -> bool {
        let (in_query, in_form) = (checksum_values(query), checksum_values(form));
        match (in_query.as_slice(), in_form.as_slice()) {
            ([checksum], []) => self.is_valid(call, &remove_checksum(query, checksum), checksum),
            // BigBlueButton 3 takes the checksum over the query, which is empty here, and not over the body.
            ([], [checksum]) => {
                self.is_valid(call, query, checksum)
                    || self.strictness == Strictness::Recorded
                        && self.is_valid(call, &remove_checksum(form, checksum), checksum)
            }
            _ => false,
        }
    }

    /// Whether `checksum` matches `text` for this call, by one of the allowed algorithms.
    fn is_valid(&self, call: &str, text: &str, checksum: &str) -> bool {
        Algorithm::from_length(checksum.len()).is_some_and(|algorithm| {
            self.algorithms.contains(&algorithm)
                && algorithm
                    .hex_digest(&format!("{call}{text}{}", self.secret))
                    .eq_ignore_ascii_case(checksum)
        })
    }
}

/// Returns the raw value of every parameter `checksum` in `text`.
fn checksum_values(text: &str) -> Vec<&str> {
    text.split('&').filter_map(|pair| pair.strip_prefix("checksum=")).collect()
}

/// Removes the checksum from `text` by the same three replacements as BigBlueButton.
fn remove_checksum(text: &str, checksum: &str) -> String {
    text.replace(&format!("&checksum={checksum}"), "")
        .replace(&format!("checksum={checksum}&"), "")
        .replace(&format!("checksum={checksum}"), "")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "k3y-Of-The-Test-Balancer";
    const QUERY_WITH_PLUS: &str = "meetingID=room-7&name=Weekly+sync&meta_bbb-origin=demo";

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
    fn published_test_vectors_are_accepted() {
        let sha1 = "ce7322bc95f84b00a914c2834bded34a909dfba8";
        let sha256 = "467869aa9021daadc80750f6a604bde09405503f5fe0d56341ce190eccdc922d";
        let sha384 = "e63fd3b1bd203de05cb1d5293f45cb676402f0df4fa9bc69e2380b52a190532b\
                      a360aa884130b2a52c22f74c482f8fd2";
        for checksum in [sha1, sha256, sha384] {
            assert!(real_verifier().accepts(
                "create",
                &format!("{QUERY_WITH_PLUS}&checksum={checksum}"),
                ""
            ));
            let spaced = QUERY_WITH_PLUS.replace('+', "%20");
            assert!(!real_verifier().accepts(
                "create",
                &format!("{spaced}&checksum={checksum}"),
                ""
            ));
        }
        let empty = "85e6b5745bc5c82376a7d95164908cbfe8316c94";
        assert!(real_verifier().accepts("getMeetings", &format!("&checksum={empty}"), ""));
        assert!(real_verifier().accepts("getMeetings", &format!("checksum={empty}"), ""));
    }

    #[test]
    fn position_case_and_algorithm_of_the_checksum_do_not_matter() {
        for algorithm in Algorithm::ALL {
            let checksum = sign(algorithm, "end", "a=1&b=2").to_uppercase();
            for query in [
                format!("checksum={checksum}&a=1&b=2"),
                format!("a=1&checksum={checksum}&b=2"),
                format!("a=1&b=2&checksum={checksum}"),
            ] {
                assert!(real_verifier().accepts("end", &query, ""), "{query}");
            }
            let verifier = ChecksumVerifier { algorithms: &[Algorithm::Sha256], ..real_verifier() };
            let query = format!("a=1&b=2&checksum={checksum}");
            assert_eq!(verifier.accepts("end", &query, ""), algorithm == Algorithm::Sha256);
        }
        let trailing = sign(Algorithm::Sha1, "end", "a=1&");
        assert!(real_verifier().accepts("end", &format!("a=1&&checksum={trailing}"), ""));
    }

    #[test]
    fn missing_short_or_repeated_checksums_are_refused() {
        let checksum = sign(Algorithm::Sha256, "end", "a=1");
        for (query, form) in [
            ("a=1".to_owned(), String::new()),
            ("a=1&checksum=".to_owned(), String::new()),
            (format!("a=1&checksum={}", &checksum[1..]), String::new()),
            (format!("a=1&checksum={checksum}&checksum={checksum}"), String::new()),
            (format!("a=1&checksum={checksum}"), format!("checksum={checksum}")),
        ] {
            assert!(!real_verifier().accepts("end", &query, &form), "{query} {form}");
            assert!(!recorded_verifier().accepts("end", &query, &form), "{query} {form}");
        }
    }

    #[test]
    fn a_checksum_in_a_form_covers_the_query_or_by_the_recorded_rules_the_form() {
        let empty = format!("a=1&checksum={}", sign(Algorithm::Sha256, "end", ""));
        assert!(real_verifier().accepts("end", "", &empty));
        assert!(recorded_verifier().accepts("end", "", &empty));
        let body = format!("a=1&checksum={}", sign(Algorithm::Sha256, "end", "a=1"));
        assert!(!real_verifier().accepts("end", "", &body));
        assert!(recorded_verifier().accepts("end", "", &body));
    }
}
