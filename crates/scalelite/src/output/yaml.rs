//! Scalars of YAML, written so that every reader gets the same text back.

/// A text, quoted where it must be.
pub fn quote_scalar(text: &str) -> String {
    if text.chars().any(char::is_control) {
        // JSON strings are YAML's double-quoted scalars.
        return serde_json::Value::from(text).to_string();
    }
    if is_plain(text) { text.to_owned() } else { format!("'{}'", text.replace('\'', "''")) }
}

fn is_plain(text: &str) -> bool {
    const WORDS: [&str; 9] = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];
    let safe = |c: char| c.is_ascii_alphanumeric() || "_./:@-".contains(c);
    let first = text.chars().next().is_some_and(|c| c.is_ascii_alphanumeric() || c == '/');
    // Of numbers in other bases than ten.
    let based = |c: char| c.is_ascii_hexdigit() || "xo_.".contains(c.to_ascii_lowercase());
    let number = text.parse::<f64>().is_ok()
        || text.starts_with('0') && text.len() > 1 && text.chars().all(based)
        || text.chars().all(|c| c.is_ascii_digit() || c == '_' || c == ':')
        || text.chars().all(|c| c.is_ascii_digit() || c == '-');
    let word = WORDS.iter().any(|word| word.eq_ignore_ascii_case(text));
    first && text.chars().all(safe) && !text.ends_with(':') && !number && !word
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
