//! Errors of YAML in words for administrators, without values: these may be secrets.

use serde_saphyr::Error;

/// Longest name of a field that is shown, in characters.
const MAX_SHOWN_CHARS: usize = 40;

/// Returns what is wrong. The place is not part of it.
pub fn describe(error: &Error) -> String {
    match error {
        Error::SerdeInvalidType { expected, .. } | Error::SerdeInvalidValue { expected, .. } => {
            format!("it must be {}", name_type(expected))
        }
        Error::InvalidScalar { ty, .. } => format!("it must be {}", name_type(ty)),
        Error::InvalidBooleanStrict { .. } => "it must be true or false".to_owned(),
        Error::NullIntoString { .. } => "it must be a text, and it is null".to_owned(),
        Error::SerdeUnknownField { field, expected, .. } => {
            format!("unknown field `{}`; known are {}", shorten(field), expected.join(", "))
        }
        Error::SerdeUnknownVariant { expected, .. } => {
            format!("it must be one of {}", expected.join(", "))
        }
        Error::SerdeMissingField { field, .. } => format!("the field `{field}` is missing"),
        Error::DuplicateMappingKey { key: Some(key), .. } => {
            format!("the field `{}` is given twice", shorten(key))
        }
        Error::DuplicateMappingKey { key: None, .. } => "a field is given twice".to_owned(),
        Error::MultipleDocuments { .. } => "only one document may be in the file".to_owned(),
        Error::Eof { .. } => "the file is empty".to_owned(),
        Error::UnknownAnchor { .. } => "an alias has no anchor".to_owned(),
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::AliasReplayCounterOverflow { .. } => {
            "too large, too deep, or too many aliases for such a file".to_owned()
        }
        Error::AliasError { .. } => "an alias stands for something that does not fit".to_owned(),
        Error::ExternalMessage { msg, .. } => format!("not valid YAML: {msg}"),
        Error::Unexpected { expected, .. } => format!("it must be {}", name_type(expected)),
        _ => "not YAML that is understood here".to_owned(),
    }
}

fn name_type(expected: &str) -> &str {
    match expected {
        "f64" | "floating point" => "a number",
        "u32" | "unsigned integer" => "a whole number, 0 or more",
        "bool" | "a boolean" => "true or false",
        "string" | "a string" | "string scalar" => "a text",
        "sequence" | "a sequence" | "sequence start" => "a list",
        "mapping" | "a mapping" | "mapping start" => "fields with values",
        other => other.strip_prefix("struct ").map_or(other, |_| "fields with values"),
    }
}

fn shorten(name: &str) -> String {
    let shown: String = name.chars().filter(|c| !c.is_control()).take(MAX_SHOWN_CHARS).collect();
    if shown.len() < name.len() { format!("{shown}…") } else { shown }
}
