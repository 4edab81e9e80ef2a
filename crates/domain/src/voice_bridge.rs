//! Generates voice bridges: the numbers under which meetings are reached by telephone. The
//! generator is seeded with the meeting id, so that a meeting tends to get the same number each
//! time. It generates the same numbers as the original Scalelite, so that both can work with the
//! data of one pool.

use rand_mt::Mt;
use sha2::{Digest, Sha256};

/// The number that BBB reserves for its echo test.
const ECHO_TEST: &str = "99999";
/// Maximum number of generated numbers to try for a meeting.
pub const MAX_TRIES: usize = 10;

/// The settings for generated numbers and for numbers that front-ends request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VoiceBridgePolicy {
    /// Number of digits of a generated number (`VOICE_BRIDGE_LEN`).
    pub length: usize,
    /// Minimum number of digits of a requested number (`VOICE_BRIDGE_MIN`).
    pub min_length: usize,
    /// Maximum number of digits of a requested number (`VOICE_BRIDGE_MAX`).
    pub max_length: usize,
    /// Whether a requested number is tried first (`USE_EXTERNAL_VOICE_BRIDGE`).
    pub use_external: bool,
}

/// Returns the numbers to try for a meeting, in order.
#[must_use]
pub fn generate_candidates(
    policy: VoiceBridgePolicy,
    meeting_id: &str,
    requested: Option<&str>,
) -> Vec<String> {
    let is_acceptable = |number: &&str| {
        (policy.min_length..=policy.max_length).contains(&number.len())
            && number.bytes().all(|byte| byte.is_ascii_digit())
            && *number != ECHO_TEST
    };
    let external = requested.filter(|_| policy.use_external).filter(is_acceptable);
    let mut generator = seeded_generator(meeting_id);
    let generated = (0..MAX_TRIES).map(|_| draw_number(&mut generator, policy.length));
    external
        .map(str::to_owned)
        .into_iter()
        .chain(generated.filter(|number| number != ECHO_TEST))
        .collect()
}

fn seeded_generator(meeting_id: &str) -> Mt {
    let hash = Sha256::digest(meeting_id.as_bytes());
    let word = |offset: usize| {
        u32::from_le_bytes([hash[offset], hash[offset + 1], hash[offset + 2], hash[offset + 3]])
    };
    // The seed is the first two little-endian u64 of the hash, the first of them high. The key of
    // the generator has the least significant word first.
    Mt::new_with_key([word(8), word(12), word(0), word(4)])
}

fn draw_number(generator: &mut Mt, length: usize) -> String {
    let mut digit = |limit: u32| loop {
        let drawn = generator.next_u32() & 15;
        if drawn <= limit {
            break drawn;
        }
    };
    let mut number = String::with_capacity(length);
    for position in 0..length {
        let value = if position == 0 { digit(8) + 1 } else { digit(9) };
        number.extend(char::from_digit(value, 10));
    }
    number
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const POLICY: VoiceBridgePolicy =
        VoiceBridgePolicy { length: 9, min_length: 5, max_length: 9, use_external: false };

    /// One case on each line: meeting id, tab, three numbers of 9 digits, three numbers of 5
    /// digits.
    const VECTORS: &str = include_str!("../testdata/voice-bridges.tsv");

    #[test]
    fn numbers_equal_those_recorded_from_the_original_scalelite() {
        assert!(VECTORS.lines().count() > 3);
        for line in VECTORS.lines() {
            let (id, numbers) = line.split_once('\t').unwrap();
            let numbers: Vec<&str> = numbers.split(' ').collect();
            assert_eq!(generate_candidates(POLICY, id, None)[..3], numbers[..3], "{id}");
            let short = VoiceBridgePolicy { length: 5, ..POLICY };
            assert_eq!(generate_candidates(short, id, None)[..3], numbers[3..], "{id}");
        }
    }

    #[test]
    fn a_valid_external_number_is_tried_first() {
        let external = VoiceBridgePolicy { use_external: true, ..POLICY };
        assert_eq!(generate_candidates(external, "a", Some("71234"))[0], "71234");
        for number in ["99999", "1234", "1234567890", "12a45", "", "１２３４５"] {
            assert_eq!(
                generate_candidates(external, "a", Some(number)),
                generate_candidates(POLICY, "a", None),
                "{number}"
            );
        }
        assert_eq!(
            generate_candidates(POLICY, "a", Some("71234")),
            generate_candidates(POLICY, "a", None)
        );
    }

    proptest! {
        #[test]
        fn generated_numbers_have_the_configured_length_and_no_leading_zero(id in "\\PC*", length in 4usize..12) {
            let policy = VoiceBridgePolicy { length, ..POLICY };
            for number in generate_candidates(policy, &id, None) {
                prop_assert_eq!(number.len(), length);
                prop_assert!(!number.starts_with('0'));
                prop_assert_ne!(number, ECHO_TEST);
            }
        }
    }
}
