//! YAML values whose mappings keep their order, since the order of parameters and headers matters.

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum YamlNode {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(String),
    List(Vec<YamlNode>),
    Map(Vec<(String, YamlNode)>),
}

impl YamlNode {
    pub(super) fn parse(yaml: &str) -> anyhow::Result<YamlNode> {
        // Only `true` and `false` are booleans: `y` is the value of a parameter.
        let options = serde_saphyr::options! { strict_booleans: true };
        Ok(serde_saphyr::from_str_with_options(yaml, options)?)
    }

    pub(super) fn from_text(text: impl Into<String>) -> YamlNode {
        YamlNode::Str(text.into())
    }

    pub(super) fn get(&self, key: &str) -> Option<&YamlNode> {
        self.pairs().iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    pub(super) fn pairs(&self) -> &[(String, YamlNode)] {
        if let YamlNode::Map(pairs) = self { pairs } else { &[] }
    }

    pub(super) fn items(&self) -> &[YamlNode] {
        if let YamlNode::List(items) = self { items } else { &[] }
    }

    /// A scalar as text, in the format of Python, in which the recorder is written. `None` for
    /// null, lists and mappings.
    pub(super) fn text(&self) -> Option<String> {
        match self {
            YamlNode::Bool(value) => Some(if *value { "True" } else { "False" }.to_owned()),
            YamlNode::Int(value) => Some(value.to_string()),
            YamlNode::Float(value) => Some(format!("{value:?}")),
            YamlNode::Str(value) => Some(value.clone()),
            YamlNode::Null | YamlNode::List(_) | YamlNode::Map(_) => None,
        }
    }

    /// The scalar under a key as text.
    pub(super) fn get_text(&self, key: &str) -> Option<String> {
        self.get(key).and_then(YamlNode::text)
    }

    pub(super) fn get_int(&self, key: &str) -> Option<i64> {
        match self.get(key)? {
            YamlNode::Int(value) => Some(*value),
            YamlNode::Str(value) => value.parse().ok(),
            _ => None,
        }
    }

    /// Whether the value under a key is true in Python: not absent, null, false, zero or empty.
    pub(super) fn is_truthy(&self, key: &str) -> bool {
        match self.get(key) {
            None | Some(YamlNode::Null) => false,
            Some(YamlNode::Bool(value)) => *value,
            Some(YamlNode::Int(value)) => *value != 0,
            Some(YamlNode::Float(value)) => *value != 0.0,
            Some(YamlNode::Str(value)) => !value.is_empty(),
            Some(YamlNode::List(items)) => !items.is_empty(),
            Some(YamlNode::Map(pairs)) => !pairs.is_empty(),
        }
    }

    /// The value with a function applied to every text, including keys.
    pub(super) fn map_text(&self, change: &dyn Fn(&str) -> String) -> YamlNode {
        match self {
            YamlNode::Str(value) => YamlNode::Str(change(value)),
            YamlNode::List(items) => {
                YamlNode::List(items.iter().map(|item| item.map_text(change)).collect())
            }
            YamlNode::Map(pairs) => {
                YamlNode::Map(pairs.iter().map(|(k, v)| (change(k), v.map_text(change))).collect())
            }
            other => other.clone(),
        }
    }

    pub(super) fn to_json(&self) -> serde_json::Value {
        use serde_json::Value;
        match self {
            YamlNode::Null => Value::Null,
            YamlNode::Bool(value) => Value::from(*value),
            YamlNode::Int(value) => Value::from(*value),
            YamlNode::Float(value) => Value::from(*value),
            YamlNode::Str(value) => Value::from(value.as_str()),
            YamlNode::List(items) => items.iter().map(YamlNode::to_json).collect(),
            YamlNode::Map(pairs) => {
                Value::Object(pairs.iter().map(|(k, v)| (k.clone(), v.to_json())).collect())
            }
        }
    }

    /// All keys and scalars, one per line.
    pub(super) fn all_words(&self) -> String {
        match self {
            YamlNode::List(items) => items.iter().map(YamlNode::all_words).collect(),
            YamlNode::Map(pairs) => {
                pairs.iter().map(|(k, v)| format!("{k}\n{}", v.all_words())).collect()
            }
            scalar => scalar.text().map(|text| text + "\n").unwrap_or_default(),
        }
    }

    /// The value as lines of YAML, for messages and for comparison line by line.
    pub(super) fn lines(&self) -> Vec<String> {
        match self {
            YamlNode::List(items) if !items.is_empty() => {
                items.iter().flat_map(|item| indent_lines("- ", item.lines())).collect()
            }
            YamlNode::Map(pairs) if !pairs.is_empty() => {
                pairs.iter().flat_map(|(key, value)| entry_lines(key, value)).collect()
            }
            YamlNode::Str(text) if text.trim_end_matches('\n').contains('\n') => {
                let head = if text.ends_with('\n') { "|" } else { "|-" };
                let mut lines = vec![head.to_owned()];
                lines.extend(text.lines().map(|line| format!("  {line}")));
                lines
            }
            scalar => vec![scalar.to_inline()],
        }
    }

    fn to_inline(&self) -> String {
        match self {
            YamlNode::Null => "null".to_owned(),
            YamlNode::List(_) => "[]".to_owned(),
            YamlNode::Map(_) => "{}".to_owned(),
            YamlNode::Str(text) if is_plain(text) => text.clone(),
            YamlNode::Str(text) => format!("{text:?}"),
            other => other.text().unwrap_or_default(),
        }
    }
}

/// Whether a text needs no quotes and cannot be mistaken for another kind of scalar.
fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && text.trim() == text
        && !text.chars().any(char::is_control)
        && text.parse::<f64>().is_err()
        && !matches!(text, "true" | "false" | "null" | "[]" | "{}")
}

/// The lines with a prefix before the first one and as many spaces before the others.
fn indent_lines(prefix: &str, lines: Vec<String>) -> Vec<String> {
    let spaces = " ".repeat(prefix.len());
    let indent =
        |(n, line): (usize, String)| if n == 0 { prefix } else { &spaces }.to_owned() + &line;
    lines.into_iter().enumerate().map(indent).collect()
}

fn entry_lines(key: &str, value: &YamlNode) -> Vec<String> {
    let mut lines = value.lines();
    let nested = match value {
        YamlNode::List(items) => !items.is_empty(),
        YamlNode::Map(pairs) => !pairs.is_empty(),
        _ => false,
    };
    if !nested {
        lines[0] = format!("{key}: {}", lines[0]);
        return lines;
    }
    let indent = if matches!(value, YamlNode::Map(_)) { "  " } else { "" };
    let mut out = vec![format!("{key}:")];
    out.extend(lines.into_iter().map(|line| format!("{indent}{line}")));
    out
}

impl<'de> Deserialize<'de> for YamlNode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<YamlNode, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = YamlNode;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<YamlNode, E> {
        Ok(YamlNode::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<YamlNode, E> {
        Ok(YamlNode::Int(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<YamlNode, E> {
        i64::try_from(value).map(YamlNode::Int).map_err(E::custom)
    }

    fn visit_f64<E>(self, value: f64) -> Result<YamlNode, E> {
        Ok(YamlNode::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<YamlNode, E> {
        Ok(YamlNode::from_text(value))
    }

    fn visit_unit<E>(self) -> Result<YamlNode, E> {
        Ok(YamlNode::Null)
    }

    fn visit_none<E>(self) -> Result<YamlNode, E> {
        Ok(YamlNode::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<YamlNode, D::Error> {
        YamlNode::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<YamlNode, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(YamlNode::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<YamlNode, A::Error> {
        let mut pairs = Vec::new();
        while let Some((key, value)) = map.next_entry::<YamlNode, YamlNode>()? {
            pairs.push((key.text().unwrap_or_default(), value));
        }
        Ok(YamlNode::Map(pairs))
    }
}
