//! Writes text as YAML scalars that every YAML reader reads back as the same text.

/// Returns the text as a YAML scalar, quoted if necessary.
pub fn quote_scalar(text: &str) -> String {
    if text.chars().any(char::is_control) {
        // JSON strings are valid double-quoted YAML scalars.
        return serde_json::Value::from(text).to_string();
    }
    if is_plain(text) { text.to_owned() } else { format!("'{}'", text.replace('\'', "''")) }
}

/// Whether the text needs no quotes. YAML would read words such as `no` as booleans, and digits with
/// colons or dashes as numbers, times or dates.
fn is_plain(text: &str) -> bool {
    const RESERVED_WORDS: [&str; 9] = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];
    let is_safe = |c: char| c.is_ascii_alphanumeric() || "_./:@-".contains(c);
    let starts_safely = text.chars().next().is_some_and(|c| c.is_ascii_alphanumeric() || c == '/');
    // Digits and prefixes of hexadecimal and octal numbers.
    let is_hex_digit = |c: char| c.is_ascii_hexdigit() || "xo_.".contains(c.to_ascii_lowercase());
    let is_number = text.parse::<f64>().is_ok()
        || text.starts_with('0') && text.len() > 1 && text.chars().all(is_hex_digit)
        || text.chars().all(|c| c.is_ascii_digit() || c == '_' || c == ':')
        || text.chars().all(|c| c.is_ascii_digit() || c == '-');
    let is_reserved = RESERVED_WORDS.iter().any(|word| word.eq_ignore_ascii_case(text));
    starts_safely && text.chars().all(is_safe) && !text.ends_with(':') && !is_number && !is_reserved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted_where_needed() {
        for plain in ["secret1", "https://b:8/api", "2.7.12", "2bdce5cb", "bbb-1"] {
            assert_eq!(quote_scalar(plain), plain);
        }
        let uuid = "0bdce5cb-0e91-4a0c-9d7c-2f4a0d6d1e10";
        assert_eq!(quote_scalar(uuid), uuid);
        for (text, quoted) in [
            ("", "''"),
            ("12", "'12'"),
            ("1e5", "'1e5'"),
            ("017", "'017'"),
            ("0x1F", "'0x1F'"),
            ("0o17", "'0o17'"),
            ("2020-01-01", "'2020-01-01'"),
            ("it's", "'it''s'"),
            ("yes", "'yes'"),
            ("a: b", "'a: b'"),
            ("-x", "'-x'"),
            ("a\nb", "\"a\\nb\""),
        ] {
            assert_eq!(quote_scalar(text), quoted);
        }
    }
}
