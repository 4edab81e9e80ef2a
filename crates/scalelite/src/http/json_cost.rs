//! Estimates the memory that parsed JSON takes, without parsing it: a body of tiny objects takes a hundred times its length.

/// Deepest nesting that is parsed.
const MAX_DEPTH: u32 = 64;
/// Memory of an object: the library allocates room for several fields at once.
const OBJECT_COST: u64 = 800;
/// Memory of any value, with its name.
const VALUE_COST: u64 = 96;

/// Returns the memory in bytes that the parsed text takes at most; `None` if it is nested too deeply. For a text that is no JSON the number means
/// nothing.
pub(super) fn estimate(text: &[u8]) -> Option<u64> {
    let (mut cost, mut depth) = (u64::try_from(text.len()).unwrap_or(u64::MAX), 0_u32);
    let (mut is_in_string, mut is_escaped) = (false, false);
    for byte in text {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_in_string => is_escaped = true,
            b'"' => is_in_string = !is_in_string,
            _ if is_in_string => {}
            b'{' | b'[' => {
                depth += 1;
                cost = cost.saturating_add(if *byte == b'{' { OBJECT_COST } else { VALUE_COST });
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b',' => cost = cost.saturating_add(VALUE_COST),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return None;
        }
    }
    Some(cost)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estimate_follows_the_structure() {
        assert_eq!(estimate(b"{\"a\":1,\"b\":[2,{}]}"), Some(18 + 2 * 800 + 3 * 96));
        assert_eq!(estimate(br#""{[,\"{[,""#), Some(10));
        assert!(estimate("{\"a\":1},".repeat(100_000).as_bytes()).unwrap() > 80_000_000);
        assert!(estimate("[".repeat(64).as_bytes()).is_some());
        assert_eq!(estimate("[".repeat(65).as_bytes()), None);
    }
}
