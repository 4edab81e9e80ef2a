//! Values of settings as the original reads them: the number at the beginning of a text, and the usable parts
//! of a list.

/// The number at the beginning of a text, as Ruby's `to_i` and `to_f` find it: underscores between digits are
/// skipped, and without a number it is 0.
pub fn leading_number(text: &str, with_fraction: bool) -> String {
    let text = text.trim_start();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, rest) = leading_digits(digits);
    let mut number = if whole.is_empty() { "0".to_owned() } else { whole };
    if let Some(rest) = rest.strip_prefix('.').filter(|_| with_fraction) {
        let (fraction, _) = leading_digits(rest);
        if !fraction.is_empty() {
            number = format!("{number}.{fraction}");
        }
    }
    format!("{sign}{number}")
}

/// The digits at the beginning of a text without their underscores, and what follows them.
fn leading_digits(text: &str) -> (String, &str) {
    let end = text
        .char_indices()
        .find(|(at, character)| {
            let follows_digit = text[..*at].ends_with(|before: char| before.is_ascii_digit());
            !(character.is_ascii_digit() || *character == '_' && follows_digit)
        })
        .map_or(text.len(), |(at, _)| at);
    (text[..end].replace('_', ""), &text[end..])
}

/// The items of a list that are usable, joined again.
pub fn usable_items(text: &str, separator: char, is_usable: impl Fn(&str) -> bool) -> String {
    let items = text.split(separator).map(str::trim).filter(|item| !item.is_empty());
    let usable: Vec<&str> = items.filter(|item| is_usable(item)).collect();
    usable.join(&separator.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_at_the_beginning() {
        for (text, whole, fraction) in [
            (" 90 ", "90", "90"),
            ("2.5s", "2", "2.5"),
            ("1_000", "1000", "1000"),
            ("1__0", "1", "1"),
            ("_1", "0", "0"),
            ("-3x", "-3", "-3"),
            ("+7", "7", "7"),
            (".5", "0", "0.5"),
            ("5.", "5", "5"),
            ("ü", "0", "0"),
            ("", "0", "0"),
        ] {
            let found = (leading_number(text, false), leading_number(text, true));
            assert_eq!(found, (whole.to_owned(), fraction.to_owned()), "{text}");
        }
    }
}
