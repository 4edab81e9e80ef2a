//! What the calls of the management API share: refusals, and fields of JSON objects.

use http::StatusCode;
use serde_json::{Map, Value};

/// A refused call: HTTP status and text.
pub(super) struct AdminRefusal(pub(super) StatusCode, pub(super) String);

/// Returns a field that must be an object with at least one field.
pub(super) fn object_field<'a>(
    parameters: &'a Map<String, Value>,
    name: &str,
) -> Result<&'a Map<String, Value>, AdminRefusal> {
    match parameters.get(name) {
        Some(Value::Object(object)) if !object.is_empty() => Ok(object),
        _ => {
            let text = format!("param is missing or the value is empty: {name}");
            Err(AdminRefusal(StatusCode::BAD_REQUEST, text))
        }
    }
}

/// Returns a field that is a string or a number as text.
pub(super) fn text_field(object: &Map<String, Value>, name: &str) -> Option<String> {
    match object.get(name)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
