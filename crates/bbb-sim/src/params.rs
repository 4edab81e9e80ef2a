//! The parameters of a call, from its query and its form body.

use std::borrow::Cow;

use crate::options::Strictness;

/// Decoded parameters, each name once, in order of arrival.
#[derive(Debug)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    /// BigBlueButton takes the first of several values and the query before the body; the recorded
    /// server took the last one and the body before the query.
    pub(crate) fn parse(query: &str, form: &str, strictness: Strictness) -> Self {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for (name, value) in decode_pairs(query).chain(decode_pairs(form)) {
            match pairs.iter_mut().find(|(known, _)| *known == name) {
                None => pairs.push((name.into_owned(), value.into_owned())),
                Some(known) if strictness == Strictness::Recorded => known.1 = value.into_owned(),
                Some(_) => {}
            }
        }
        Self(pairs)
    }

    /// The parameters of a meeting that nobody asked for.
    pub(crate) fn from_pairs(pairs: Vec<(String, String)>) -> Self {
        Self(pairs)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Like `get`, but an empty value counts as none.
    pub(crate) fn get_non_empty(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// A whole number, or 0 for anything else.
    pub(crate) fn get_number(&self, name: &str) -> u64 {
        self.get(name)
            .filter(|value| value.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|value| value.parse().ok())
            .unwrap_or(0)
    }

    pub(crate) fn has_value(&self, name: &str, value: &str) -> bool {
        self.get(name) == Some(value)
    }

    /// The metadata: names without `meta_` and in lower case, the last of two alike winning.
    /// BigBlueButton drops names that are more than letters, digits and hyphens.
    pub(crate) fn metadata(&self, strictness: Strictness) -> Vec<(String, String)> {
        let mut meta: Vec<(String, String)> = Vec::new();
        for (name, value) in &self.0 {
            let Some(name) = name.strip_prefix("meta_") else {
                continue;
            };
            if strictness == Strictness::Real && !is_meta_name(name) {
                continue;
            }
            let name = name.to_lowercase();
            match meta.iter_mut().find(|(known, _)| *known == name) {
                None => meta.push((name, value.clone())),
                Some(known) => known.1.clone_from(value),
            }
        }
        meta
    }
}

/// Whether a name occurs both in the query and in the form body.
pub(crate) fn has_common_name(query: &str, form: &str) -> bool {
    !form.is_empty()
        && decode_pairs(query).any(|(name, _)| decode_pairs(form).any(|(n, _)| n == name))
}

fn decode_pairs(text: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    form_urlencoded::parse(text.as_bytes())
}

fn is_meta_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_wins_depends_on_the_rules() {
        let (query, form) = ("a=1&a=2&b=x+y%C3%BC", "a=3");
        let real = Params::parse(query, form, Strictness::Real);
        assert_eq!((real.get("a"), real.get("b")), (Some("1"), Some("x yü")));
        let recorded = Params::parse(query, form, Strictness::Recorded);
        assert_eq!(recorded.get("a"), Some("3"));
    }

    #[test]
    fn metadata_names() {
        let params = Params::parse("meta_A=1&meta_a_b=2&meta_9=3&x=4", "", Strictness::Real);
        assert_eq!(params.metadata(Strictness::Real), [("a".to_owned(), "1".to_owned())]);
        let names: Vec<_> =
            params.metadata(Strictness::Recorded).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["a", "a_b", "9"]);
    }

    #[test]
    fn numbers_are_digits() {
        let params = Params::parse("a=060&b=-1&c=x&d=", "", Strictness::Real);
        let all: Vec<_> =
            ["a", "b", "c", "d", "e"].iter().map(|name| params.get_number(name)).collect();
        assert_eq!(all, [60, 0, 0, 0, 0]);
    }
}
