//! A YAML value whose mappings keep their order: the order of parameters and of headers matters.

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl Node {
    pub(super) fn parse(yaml: &str) -> anyhow::Result<Node> {
        // Only true and false are truth values: `y` is a parameter's value.
        let options = serde_saphyr::options! { strict_booleans: true };
        Ok(serde_saphyr::from_str_with_options(yaml, options)?)
    }

    pub(super) fn str(text: impl Into<String>) -> Node {
        Node::Str(text.into())
    }

    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.pairs().iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    pub(super) fn pairs(&self) -> &[(String, Node)] {
        if let Node::Map(pairs) = self { pairs } else { &[] }
    }

    pub(super) fn items(&self) -> &[Node] {
        if let Node::List(items) = self { items } else { &[] }
    }

    /// A scalar as text, spelled as the recorder did (in Python); nothing for null, lists and mappings.
    pub(super) fn text(&self) -> Option<String> {
        match self {
            Node::Bool(value) => Some(if *value { "True" } else { "False" }.to_owned()),
            Node::Int(value) => Some(value.to_string()),
            Node::Float(value) => Some(format!("{value:?}")),
            Node::Str(value) => Some(value.clone()),
            Node::Null | Node::List(_) | Node::Map(_) => None,
        }
    }

    /// The scalar under a key, as text.
    pub(super) fn text_of(&self, key: &str) -> Option<String> {
        self.get(key).and_then(Node::text)
    }

    pub(super) fn int_of(&self, key: &str) -> Option<i64> {
        match self.get(key)? {
            Node::Int(value) => Some(*value),
            Node::Str(value) => value.parse().ok(),
            _ => None,
        }
    }

    /// What Python calls true: not absent, null, false, zero or empty.
    pub(super) fn truthy(&self, key: &str) -> bool {
        match self.get(key) {
            None | Some(Node::Null) => false,
            Some(Node::Bool(value)) => *value,
            Some(Node::Int(value)) => *value != 0,
            Some(Node::Float(value)) => *value != 0.0,
            Some(Node::Str(value)) => !value.is_empty(),
            Some(Node::List(items)) => !items.is_empty(),
            Some(Node::Map(pairs)) => !pairs.is_empty(),
        }
    }

    /// The same with every text, keys included, put through a function.
    pub(super) fn map_text(&self, change: &dyn Fn(&str) -> String) -> Node {
        match self {
            Node::Str(value) => Node::Str(change(value)),
            Node::List(items) => Node::List(items.iter().map(|n| n.map_text(change)).collect()),
            Node::Map(pairs) => {
                Node::Map(pairs.iter().map(|(k, v)| (change(k), v.map_text(change))).collect())
            }
            other => other.clone(),
        }
    }

    pub(super) fn to_json(&self) -> serde_json::Value {
        use serde_json::Value;
        match self {
            Node::Null => Value::Null,
            Node::Bool(value) => Value::from(*value),
            Node::Int(value) => Value::from(*value),
            Node::Float(value) => Value::from(*value),
            Node::Str(value) => Value::from(value.as_str()),
            Node::List(items) => items.iter().map(Node::to_json).collect(),
            Node::Map(pairs) => {
                Value::Object(pairs.iter().map(|(k, v)| (k.clone(), v.to_json())).collect())
            }
        }
    }

    /// All keys and scalars, one a line: what a case itself says.
    pub(super) fn words(&self) -> String {
        match self {
            Node::List(items) => items.iter().map(Node::words).collect(),
            Node::Map(pairs) => pairs.iter().map(|(k, v)| format!("{k}\n{}", v.words())).collect(),
            scalar => scalar.text().map(|text| text + "\n").unwrap_or_default(),
        }
    }

    /// The value as lines of YAML, for people and for comparison line by line.
    pub(super) fn lines(&self) -> Vec<String> {
        match self {
            Node::List(items) if !items.is_empty() => {
                items.iter().flat_map(|item| hang("- ", item.lines())).collect()
            }
            Node::Map(pairs) if !pairs.is_empty() => {
                pairs.iter().flat_map(|(key, value)| entry(key, value)).collect()
            }
            Node::Str(text) if text.trim_end_matches('\n').contains('\n') => {
                let head = if text.ends_with('\n') { "|" } else { "|-" };
                let mut lines = vec![head.to_owned()];
                lines.extend(text.lines().map(|line| format!("  {line}")));
                lines
            }
            scalar => vec![scalar.inline()],
        }
    }

    fn inline(&self) -> String {
        match self {
            Node::Null => "null".to_owned(),
            Node::List(_) => "[]".to_owned(),
            Node::Map(_) => "{}".to_owned(),
            Node::Str(text) if is_plain(text) => text.clone(),
            Node::Str(text) => format!("{text:?}"),
            other => other.text().unwrap_or_default(),
        }
    }
}

/// Whether a text can stand without quotes and cannot be taken for another kind of scalar.
fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && text.trim() == text
        && !text.chars().any(char::is_control)
        && text.parse::<f64>().is_err()
        && !matches!(text, "true" | "false" | "null" | "[]" | "{}")
}

/// The lines with a mark before the first and room before the others.
fn hang(mark: &str, lines: Vec<String>) -> Vec<String> {
    let room = " ".repeat(mark.len());
    let marked = |(n, line): (usize, String)| if n == 0 { mark } else { &room }.to_owned() + &line;
    lines.into_iter().enumerate().map(marked).collect()
}

fn entry(key: &str, value: &Node) -> Vec<String> {
    let mut lines = value.lines();
    let nested = match value {
        Node::List(items) => !items.is_empty(),
        Node::Map(pairs) => !pairs.is_empty(),
        _ => false,
    };
    if !nested {
        lines[0] = format!("{key}: {}", lines[0]);
        return lines;
    }
    let room = if matches!(value, Node::Map(_)) { "  " } else { "" };
    let mut out = vec![format!("{key}:")];
    out.extend(lines.into_iter().map(|line| format!("{room}{line}")));
    out
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Int(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Node, E> {
        i64::try_from(value).map(Node::Int).map_err(E::custom)
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::str(value))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut pairs = Vec::new();
        while let Some((key, value)) = map.next_entry::<Node, Node>()? {
            pairs.push((key.text().unwrap_or_default(), value));
        }
        Ok(Node::Map(pairs))
    }
}
