//! The id of a request: the one that a proxy or client has given it, or a new one. It stands in the log, goes to the BBB server, and
//! comes back in the answer, so that one request can be followed through all logs.

use std::sync::Arc;

use app::ports::Entropy;
use http::{HeaderMap, HeaderName, HeaderValue};

/// The header by which web servers pass on the id of a request.
pub(super) const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Longest id that is accepted, in bytes.
const MAX_BYTES: usize = 128;

/// Returns the id that the headers name, if there is one and it can stand in a log, otherwise a new one.
pub(super) fn find_or_make(headers: &HeaderMap, entropy: &dyn Entropy) -> Arc<str> {
    let mut given = headers.get_all(&HEADER).iter();
    match (given.next().and_then(read), given.next()) {
        (Some(id), None) => id.into(),
        _ => entropy.generate_uuid().into(),
    }
}

fn read(value: &HeaderValue) -> Option<&str> {
    let text = value.to_str().ok()?;
    let is_sane = |c: u8| c.is_ascii_alphanumeric() || b"-_.:=+/@".contains(&c);
    (!text.is_empty() && text.len() <= MAX_BYTES && text.bytes().all(is_sane)).then_some(text)
}

#[cfg(test)]
mod tests {
    use app::memory::CountingEntropy;

    use super::*;

    #[test]
    fn only_one_id_that_can_stand_in_a_log_is_accepted() {
        let find = |values: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(HEADER, HeaderValue::from_bytes(value).unwrap());
            }
            find_or_make(&headers, &CountingEntropy::default())
        };
        for good in
            ["a", "7b7d5e1c-0b0a-4d6e-9a51-000000000000", "Root=1-67891233-abc", &"x".repeat(128)]
        {
            assert_eq!(*find(&[good.as_bytes()]), *good);
        }
        let long = "x".repeat(129);
        for bad in [b"".as_slice(), b"a b", b"a\"", b"a,b", b"\xff", b"<a>", long.as_bytes()] {
            assert_ne!(find(&[bad]).as_bytes(), bad);
        }
        assert_ne!(*find(&[b"one", b"two"]), *"one");
    }
}
