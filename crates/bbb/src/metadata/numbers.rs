//! Reads numbers as scripts and people write them: with a fraction, and with separators between
//! thousands.

/// Reads a number that is not negative, without its fraction. `1234`, `1234.5`, `1,234`, `1.234.567`
/// and `1 234,5` are numbers; a single point, or a comma that no three digits follow, begins a
/// fraction.
pub(super) fn parse_number<T: TryFrom<u64>>(text: &str) -> Option<T> {
    let is_space = |c: char| c.is_whitespace() || matches!(c, '\'' | '’' | '_');
    let text = text.trim();
    let parts: Vec<&str> = text.split(is_space).collect();
    // Blanks separate thousands only.
    let grouped = parts.iter().skip(1).all(|part| {
        let digits = part.split(['.', ',']).next().unwrap_or_default();
        digits.len() == 3
    });
    if !grouped {
        return None;
    }
    let number = parts.concat();
    let whole = whole_part(&number)?;
    let is_number = !whole.is_empty() && whole.bytes().all(|byte| byte.is_ascii_digit());
    let number = is_number.then(|| whole.parse::<u64>().ok())??;
    T::try_from(number).ok()
}

/// Returns the digits before the fraction, without separators.
fn whole_part(number: &str) -> Option<String> {
    let points = number.matches('.').count();
    let commas = number.matches(',').count();
    let fraction_mark = match (points, commas) {
        (0, 0) => return Some(number.to_owned()),
        (1, 0) => Some('.'),
        (0, 1) if !has_groups(number, ',') => Some(','),
        // Of both, the last one begins the fraction.
        (1.., 1..) => number.rfind(['.', ',']).and_then(|at| number[at..].chars().next()),
        _ => None,
    };
    let (whole, fraction) = match fraction_mark {
        Some(mark) => number.rsplit_once(mark)?,
        None => (number, ""),
    };
    let separator = if whole.contains('.') { '.' } else { ',' };
    let is_valid = fraction.bytes().all(|byte| byte.is_ascii_digit())
        && (!whole.contains(separator) || has_groups(whole, separator));
    is_valid.then(|| whole.replace(separator, ""))
}

/// Whether separators stand between groups of three digits.
fn has_groups(number: &str, separator: char) -> bool {
    let mut groups = number.split(separator);
    let first = groups.next().unwrap_or_default();
    (1..=3).contains(&first.len()) && groups.all(|group| group.len() == 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_and_separators_are_read() {
        for (text, number) in [
            ("1234", 1234),
            (" 90000.75 ", 90_000),
            ("90000,5", 90_000),
            ("0.999", 0),
            ("1718000000123.0", 1_718_000_000_123),
            ("3,541,000", 3_541_000),
            ("3.541.000", 3_541_000),
            ("3,541", 3541),
            ("3 541 000", 3_541_000),
            ("3\u{a0}541\u{202f}000", 3_541_000),
            ("3'541'000.5", 3_541_000),
            ("3,541,000.25", 3_541_000),
            ("3.541.000,25", 3_541_000),
            ("1_234", 1234),
        ] {
            assert_eq!(parse_number::<u64>(text), Some(number), "{text}");
        }
    }

    #[test]
    fn anything_else_is_no_number() {
        for text in [
            "",
            " ",
            "-1",
            "-1.5",
            "1e3",
            "abc",
            "1,2,3",
            "1.2.3",
            "1 2",
            "1,23,456",
            ".",
            ",",
            ".5",
            "1.5.",
            "0x10",
            "99999999999999999999",
            "1.-5",
            "12 34 567",
            "NaN",
            "+5x",
        ] {
            assert_eq!(parse_number::<u64>(text), None, "{text}");
        }
        assert_eq!(parse_number::<i32>("3,000,000,000"), None);
    }
}
