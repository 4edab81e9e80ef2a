//! Parses the parameters of a call from its query and its form body.

use std::borrow::Cow;

use crate::options::Strictness;

/// Decoded parameters in order of arrival. Each name occurs once.
#[derive(Debug, Default)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    /// Parses query and form body. If a name occurs several times, BigBlueButton uses the first value, with the query
    /// before the body; the recorded server used the last value.
    pub(crate) fn parse(query: &str, form: &str, strictness: Strictness) -> Self {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for (name, value) in decode_pairs(query).chain(decode_pairs(form)) {
            match pairs.iter_mut().find(|(existing, _)| *existing == name) {
                None => pairs.push((name.into_owned(), value.into_owned())),
                Some(pair) if strictness == Strictness::Recorded => pair.1 = value.into_owned(),
                Some(_) => {}
            }
        }
        Self(pairs)
    }

    /// Creates parameters from decoded pairs, for a preloaded meeting.
    pub(crate) fn from_pairs(pairs: Vec<(String, String)>) -> Self {
        Self(pairs)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(existing, _)| existing == name).map(|(_, value)| value.as_str())
    }

    /// Like `get`, but returns `None` for an empty value.
    pub(crate) fn get_non_empty(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// Returns a value of decimal digits as a number, and 0 for anything else.
    pub(crate) fn get_number(&self, name: &str) -> u64 {
        self.get(name)
            .filter(|value| value.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|value| value.parse().ok())
            .unwrap_or(0)
    }

    pub(crate) fn has_value(&self, name: &str, value: &str) -> bool {
        self.get(name) == Some(value)
    }

    /// Returns the custom data of a user who joins, with names without `userdata-`.
    pub(crate) fn user_data(&self) -> Vec<(String, String)> {
        let data = self.0.iter().filter_map(|(name, value)| {
            Some((name.strip_prefix("userdata-")?.to_owned(), value.clone()))
        });
        data.collect()
    }

    /// Returns the metadata, with names in lower case and without `meta_`. Of two equal names the last value counts.
    /// BigBlueButton ignores a name unless it begins with a letter and consists of letters, digits and hyphens.
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
            match meta.iter_mut().find(|(existing, _)| *existing == name) {
                None => meta.push((name, value.clone())),
                Some(pair) => pair.1.clone_from(value),
            }
        }
        meta
    }
}

/// Whether any name occurs both in the query and in the form body.
pub(crate) fn has_common_name(query: &str, form: &str) -> bool {
    !form.is_empty()
        && decode_pairs(query)
            .any(|(name, _)| decode_pairs(form).any(|(form_name, _)| form_name == name))
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
    fn the_rules_decide_which_of_several_values_counts() {
        let (query, form) = ("a=1&a=2&b=x+y%C3%BC", "a=3");
        let real = Params::parse(query, form, Strictness::Real);
        assert_eq!((real.get("a"), real.get("b")), (Some("1"), Some("x yü")));
        let recorded = Params::parse(query, form, Strictness::Recorded);
        assert_eq!(recorded.get("a"), Some("3"));
    }

    #[test]
    fn invalid_metadata_names_are_ignored_by_the_real_rules() {
        let params = Params::parse("meta_A=1&meta_a_b=2&meta_9=3&x=4", "", Strictness::Real);
        assert_eq!(params.metadata(Strictness::Real), [("a".to_owned(), "1".to_owned())]);
        let names: Vec<_> =
            params.metadata(Strictness::Recorded).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["a", "a_b", "9"]);
    }

    #[test]
    fn only_decimal_digits_are_a_number() {
        let params = Params::parse("a=060&b=-1&c=x&d=", "", Strictness::Real);
        let numbers: Vec<_> =
            ["a", "b", "c", "d", "e"].iter().map(|name| params.get_number(name)).collect();
        assert_eq!(numbers, [60, 0, 0, 0, 0]);
    }
}
