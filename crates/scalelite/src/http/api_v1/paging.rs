//! Pages of long lists: how many entries, and where the list goes on.

use schemars::JsonSchema;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::problem::Problem;

/// Entries of a page, if the client names no number.
const DEFAULT_LIMIT: u32 = 100;
/// Most entries of a page.
pub(super) const MAX_LIMIT: u32 = 500;

/// Longest key that a cursor holds whole, in bytes.
const MAX_KEY_BYTES: usize = 400;

/// A page of a list.
#[derive(Serialize, JsonSchema)]
pub(super) struct Page<T> {
    /// The entries.
    pub(super) items: Vec<T>,
    /// What to give as `cursor` for the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next: Option<String>,
}

impl<T> Page<T> {
    /// The same page with other entries.
    pub(super) fn map<U>(self, convert: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(convert).collect(), next: self.next }
    }
}

/// How many entries are wanted.
pub(super) fn page_size(limit: Option<u32>) -> usize {
    usize::try_from(limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT)).unwrap_or(1)
}

/// The cursor of an entry.
pub(super) fn to_cursor(key: &str) -> String {
    hex::encode(key)
}

/// The key that a cursor stands for.
pub(super) fn from_cursor(cursor: &str) -> Result<String, Problem> {
    let key = hex::decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    key.ok_or_else(bad_cursor)
}

/// The refusal of a cursor that no page has named.
pub(super) fn bad_cursor() -> Problem {
    Problem::invalid_parameter("cursor", "no page has named this one")
}

/// Keeps cursors short: of a long key the end is replaced by a digest.
fn shorten_key(key: String) -> String {
    if key.len() <= MAX_KEY_BYTES {
        return key;
    }
    let begin: String = key.chars().take(MAX_KEY_BYTES / 4).collect();
    format!("{begin}\0{}", hex::encode(Sha256::digest(key.as_bytes())))
}

/// Cuts a page out of a list: entries are ordered by their keys.
pub(super) fn cut_page<T>(
    entries: Vec<T>,
    key: impl Fn(&T) -> String,
    limit: Option<u32>,
    cursor: Option<&str>,
) -> Result<Page<T>, Problem> {
    let after = cursor.map(from_cursor).transpose()?;
    let mut keyed: Vec<(String, T)> =
        entries.into_iter().map(|entry| (shorten_key(key(&entry)), entry)).collect();
    keyed.retain(|(key, _)| after.as_ref().is_none_or(|after| key > after));
    keyed.sort_by(|a, b| a.0.cmp(&b.0));
    let size = page_size(limit);
    let has_more = keyed.len() > size;
    keyed.truncate(size);
    let next = keyed.last().filter(|_| has_more).map(|(key, _)| to_cursor(key));
    Ok(Page { items: keyed.into_iter().map(|(_, entry)| entry).collect(), next })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_page_by_page() {
        let all: Vec<u32> = (0..10).rev().collect();
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let page = cut_page(all.clone(), |n| format!("{n:03}"), Some(4), cursor.as_deref());
            let page = page.ok().unwrap();
            seen.push(page.items);
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, [vec![0, 1, 2, 3], vec![4, 5, 6, 7], vec![8, 9]]);
        let long = |n: &u32| format!("{}{n}", "ä".repeat(5_000));
        let first = cut_page(all.clone(), long, Some(9), None).ok().unwrap();
        let cursor = first.next.unwrap();
        assert!(cursor.len() < 2_000);
        assert_eq!(cut_page(all.clone(), long, None, Some(&cursor)).ok().unwrap().items.len(), 1);
        assert!(cut_page(all, |n| n.to_string(), None, Some("zz")).is_err());
        assert_eq!([page_size(None), page_size(Some(0)), page_size(Some(9_999))], [100, 1, 500]);
    }
}
