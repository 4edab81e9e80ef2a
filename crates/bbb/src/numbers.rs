//! Numbers as servers write them. Templates that format numbers by the language of the machine write
//! `1,234`, `1.234` or `1 234`.

/// Most digits of a number; more are no count and no time.
const MAX_DIGITS: usize = 18;

/// A number, and how it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReadNumber {
    pub(crate) value: u64,
    /// Whether it was written with digits only.
    pub(crate) is_plain: bool,
}

/// Reads a number that is not negative. `None` if the text is no such number, or if it is larger
/// than any count or time can be.
pub(crate) fn read_number(text: &str) -> Option<ReadNumber> {
    let text = text.trim();
    let mut digits = String::new();
    let mut separator = None;
    // Digits since the last separator, and their number before the first one.
    let (mut group, mut is_first) = (0_usize, true);
    for character in text.chars() {
        if character.is_ascii_digit() {
            digits.push(character);
            group += 1;
        } else {
            // In India, only the last three digits are a group of three.
            let is_complete = (1..=3).contains(&group) && (is_first || group >= 2);
            let is_separator = is_separator(character);
            if !is_complete || !is_separator || separator.is_some_and(|other| other != character) {
                return None;
            }
            separator = Some(character);
            (group, is_first) = (0, false);
        }
        if digits.len() > MAX_DIGITS {
            return None;
        }
    }
    let is_plain = separator.is_none();
    if !is_plain && group != 3 {
        return None;
    }
    Some(ReadNumber { value: digits.parse().ok()?, is_plain })
}

/// Returns whether the character separates groups of digits in some language.
fn is_separator(character: char) -> bool {
    matches!(character, ',' | '.' | '\'' | '_' | '’' | '٬') || character.is_whitespace()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Option<u64> {
        read_number(text).map(|number| number.value)
    }

    #[test]
    fn separators_of_all_languages_are_read() {
        assert_eq!(read_number(" 12\n"), Some(ReadNumber { value: 12, is_plain: true }));
        assert_eq!(read_number("1,234"), Some(ReadNumber { value: 1234, is_plain: false }));
        for text in ["1.234", "1 234", "1\u{a0}234", "1\u{202f}234", "1'234", "1’234", "1_234"] {
            assert_eq!(read(text), Some(1234), "{text}");
        }
        assert_eq!(read("1,700,000,000,123"), Some(1_700_000_000_123));
        assert_eq!(read("17,00,00,00,00,123"), Some(1_700_000_000_123));
        assert_eq!(read("0012"), Some(12));
    }

    #[test]
    fn what_is_no_number_is_not_read() {
        for text in [
            "",
            " ",
            "-5",
            "+5",
            "1.5",
            "12,34",
            "1,23",
            "1234,567",
            ",123",
            "123,",
            "1,,234",
            "1,2,345",
            "1.234,567",
            "0x10",
            "1e3",
            "NaN",
            "null",
            "1 user",
            "1234567890123456789",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn grouped_numbers_are_read_back(value in 0u64..1_000_000_000_000_000_000, separator in "[,. '_\u{a0}\u{202f}]") {
            let digits = value.to_string();
            let mut text = String::new();
            for (position, digit) in digits.chars().enumerate() {
                if position > 0 && (digits.len() - position) % 3 == 0 {
                    text.push_str(&separator);
                }
                text.push(digit);
            }
            prop_assert_eq!(read(&text), Some(value));
            prop_assert_eq!(read(&digits), Some(value));
        }

        #[test]
        fn nothing_panics(text in "[-0-9,. a]{0,30}") {
            let _ = read_number(&text);
        }
    }
}
