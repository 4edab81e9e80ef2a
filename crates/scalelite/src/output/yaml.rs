//! Scalars of YAML that every reader reads back as the same text.

/// Returns a text as a scalar on one line, in quotes where it needs them.
pub fn quote_scalar(text: &str) -> String {
    let write = |quote_all| {
        let options =
            serde_saphyr::ser_options! { prefer_block_scalars: false, quote_all: quote_all };
        let written = serde_saphyr::to_string_with_options(&text, options);
        // Strings of JSON are scalars of YAML.
        let written = written.unwrap_or_else(|_| serde_json::Value::from(text).to_string());
        written.trim_end_matches('\n').to_owned()
    };
    let is_plain = is_version(text) || write(false) == text;
    if is_plain { text.to_owned() } else { write(true) }
}

/// Whether a text is three or more numbers, as the version of BBB: the library quotes it, but no reader takes
/// it for a number.
fn is_version(text: &str) -> bool {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    text.split('.').count() > 2 && text.split('.').all(is_number)
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
            ("it's", "it's"),
            ("'", "\"'\""),
            ("yes", "'yes'"),
            ("a: b", "'a: b'"),
            ("-x", "-x"),
            ("- x", "'- x'"),
            ("a\nb", "\"a\\nb\""),
        ] {
            assert_eq!(quote_scalar(text), quoted);
        }
    }
}
