//! Calls by telephone: what users see of a caller, which numbers a PIN can mean, and whose number was dialled.

/// What is shown of a caller who hides.
const UNKNOWN_CALLER: &str = "Unavailable";
/// So many last digits of a caller's number are hidden.
const HIDDEN_DIGITS: usize = 4;
/// The PIN of a breakout room is that of its meeting with one more digit, so it is longer than this.
const MAX_SHORT_PIN: usize = 5;
/// Two spellings of a number have at least so many last digits in common.
const MIN_COMMON_DIGITS: usize = 6;

/// What the telephone network says of a caller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallerId {
    /// Name or number, as the network shows it.
    pub name: String,
    /// Whether the caller hides the name.
    pub hides_name: bool,
    /// Whether the caller hides the number.
    pub hides_number: bool,
}

/// What counts as a number in place of a caller's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberSpelling {
    /// Digits only, as with the original.
    Digits,
    /// Digits, with the signs that are usual between and before them.
    WithSigns,
}

impl NumberSpelling {
    fn is_number(self, text: &str) -> bool {
        let is_sign = |c: char| self == Self::WithSigns && "+-./() ".contains(c);
        text.contains(|c: char| c.is_ascii_digit())
            && text.chars().all(|c| c.is_ascii_digit() || is_sign(c))
    }
}

impl CallerId {
    /// Returns what users of the meeting see of the caller: the name, or the number without its last digits.
    #[must_use]
    pub fn shown_name(&self, spelling: NumberSpelling) -> String {
        if self.name.trim().is_empty() {
            return UNKNOWN_CALLER.to_owned();
        }
        match spelling.is_number(&self.name) {
            true if !self.hides_number => mask_number(&self.name),
            false if !self.hides_name => self.name.clone(),
            _ => UNKNOWN_CALLER.to_owned(),
        }
    }
}

/// Replaces the last digits, and keeps everything else.
fn mask_number(number: &str) -> String {
    let digits = number.bytes().filter(u8::is_ascii_digit).count();
    let mut left = digits.saturating_sub(HIDDEN_DIGITS);
    let mask = |c: char| match c.is_ascii_digit() {
        true if left == 0 => 'X',
        true => {
            left -= 1;
            c
        }
        false => c,
    };
    number.chars().map(mask).collect()
}

/// Returns the voice bridges that a PIN can mean, in order: itself, and that of a breakout room's meeting.
pub fn bridges_of_pin(pin: &str) -> impl Iterator<Item = &str> {
    let of_meeting = pin.char_indices().next_back().map(|(end, _)| &pin[..end]);
    [pin].into_iter().chain(of_meeting.filter(|_| pin.chars().count() > MAX_SHORT_PIN))
}

/// Returns the significant digits of a telephone number, without what dials out of a town or country.
#[must_use]
pub fn significant_digits(number: &str) -> String {
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    digits.trim_start_matches('0').to_owned()
}

/// How well two numbers agree, both as [`significant_digits`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NumberMatch {
    /// They are different numbers.
    Different,
    /// One is the other with the code of its town or country.
    Longer,
    /// They are equal.
    Same,
}

/// Compares two numbers, each as [`significant_digits`].
#[must_use]
pub fn compare_numbers(one: &str, other: &str) -> NumberMatch {
    let shorter = one.len().min(other.len());
    match one == other {
        true if shorter > 0 => NumberMatch::Same,
        false if shorter >= MIN_COMMON_DIGITS && (one.ends_with(other) || other.ends_with(one)) => {
            NumberMatch::Longer
        }
        _ => NumberMatch::Different,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn callers_are_shown_as_far_as_they_like() {
        for (name, hides_name, hides_number, shown) in [
            ("Alice", false, false, "Alice"),
            ("Alice", false, true, "Alice"),
            ("Alice", true, false, "Unavailable"),
            ("15559876543", false, false, "1555987####"),
            ("15559876543", true, false, "1555987####"),
            ("15559876543", false, true, "Unavailable"),
            ("123", false, false, "###"),
            ("+4930 123456", false, false, "+4930 123456"),
            ("Room 5", false, false, "Room 5"),
            ("", false, false, "Unavailable"),
            (" ", false, false, "Unavailable"),
        ] {
            let caller = CallerId { name: name.to_owned(), hides_name, hides_number };
            let found = caller.shown_name(NumberSpelling::Digits);
            assert_eq!(found, shown.replace('#', "X"), "{name} {hides_name} {hides_number}");
        }
        for (name, shown) in [
            ("+49 30 123456", "+49 30 12####"),
            ("(030) 55-5", "(03#) ##-#"),
            ("+", "+"),
            ("Ann", "Ann"),
        ] {
            let caller = CallerId { name: name.to_owned(), ..CallerId::default() };
            let found = caller.shown_name(NumberSpelling::WithSigns);
            assert_eq!(found, shown.replace('#', "X"));
        }
    }

    #[test]
    fn a_long_pin_may_be_that_of_a_breakout_room() {
        let bridges = |pin: &'static str| bridges_of_pin(pin).collect::<Vec<_>>();
        assert_eq!(bridges("7123451"), ["7123451", "712345"]);
        assert_eq!(bridges("712345"), ["712345", "71234"]);
        assert_eq!(bridges("71231"), ["71231"]);
        assert_eq!(bridges(""), [""]);
    }

    #[test]
    fn spellings_of_a_number_are_recognised() {
        let compare = |one: &str, other: &str| {
            compare_numbers(&significant_digits(one), &significant_digits(other))
        };
        assert_eq!(compare("+49 30 555-0100", "0049305550100"), NumberMatch::Same);
        assert_eq!(compare("030 5550100", "+49 30 5550100"), NumberMatch::Longer);
        assert_eq!(compare("0100", "+49 30 5550100"), NumberMatch::Different);
        assert_eq!(compare("1", "1"), NumberMatch::Same);
        assert_eq!(compare("", ""), NumberMatch::Different);
        assert_eq!(compare("", "+49 30 5550100"), NumberMatch::Different);
    }

    proptest! {
        #[test]
        fn the_last_digits_of_a_number_are_never_shown(number in "[0-9]{1,20}") {
            let caller = CallerId { name: number.clone(), ..CallerId::default() };
            let shown = caller.shown_name(NumberSpelling::WithSigns);
            prop_assert_eq!(shown.len(), number.len());
            let hidden = shown.chars().rev().take(4).all(|c| c == 'X');
            prop_assert!(hidden, "{}", shown);
        }
    }
}
