//! Reads and checks what a request says: its query and its body, each against the schema that the documentation shows.

use bbb::Query;
use jsonschema::Validator;
use jsonschema::error::ValidationErrorKind;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::problem::{InputFault, Problem};

/// Longest text of a fault, in characters.
const MAX_FAULT_CHARS: usize = 200;
/// What is shown of a value with a fault, which may be a secret.
const HIDDEN: &str = "the value";

/// An input that is empty.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// A part of a request, and how it is checked.
pub(super) struct Input {
    /// Its schema.
    pub(super) schema: Value,
    /// `None` if the schema cannot be used, which a test excludes.
    validator: Option<Validator>,
}

impl Input {
    /// The input that is read as this type.
    pub(super) fn of<T: JsonSchema>() -> Self {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.inline_subschemas = true;
            settings.meta_schema = None;
        });
        let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
        if let Some(fields) = schema.as_object_mut() {
            fields.remove("title");
        }
        let validator = jsonschema::validator_for(&schema).ok();
        Self { schema, validator }
    }

    /// Whether the input has fields.
    pub(super) fn has_fields(&self) -> bool {
        self.properties().is_some_and(|properties| !properties.is_empty())
    }

    /// Whether fields must be given.
    pub(super) fn has_required_fields(&self) -> bool {
        self.schema.get("required").and_then(Value::as_array).is_some_and(|it| !it.is_empty())
    }

    pub(super) fn properties(&self) -> Option<&Map<String, Value>> {
        self.schema.get("properties")?.as_object()
    }

    /// Finds the faults of a value.
    fn find_faults(&self, part: &'static str, value: &Value) -> Vec<InputFault> {
        let Some(validator) = &self.validator else {
            let detail = "it cannot be checked".to_owned();
            return vec![InputFault { part, pointer: String::new(), detail }];
        };
        let mut faults = Vec::new();
        for error in validator.iter_errors(value) {
            let place = error.instance_path().to_string();
            let mut add = |pointer: String, detail: String| {
                let detail = detail.chars().take(MAX_FAULT_CHARS).collect();
                faults.push(InputFault { part, pointer, detail });
            };
            match error.kind() {
                ValidationErrorKind::AdditionalProperties { unexpected } => {
                    for name in unexpected {
                        add(
                            format!("{place}/{}", escape(name)),
                            "there is no such field".to_owned(),
                        );
                    }
                }
                ValidationErrorKind::Required { property } => {
                    let name = property.as_str().unwrap_or_default();
                    add(format!("{place}/{}", escape(name)), "it is missing".to_owned());
                }
                _ => add(place, error.masked_with(HIDDEN).to_string()),
            }
        }
        faults
    }

    /// Reads a query. Parameters are texts, numbers and truth values, as the schema says.
    pub(super) fn read_query(&self, query: &str) -> Result<Value, Problem> {
        let mut fields = Map::new();
        for (name, value) in Query::parse(query).iter() {
            let kind = self.properties().and_then(|fields| fields.get(name.as_ref()));
            let value = to_typed(&value, kind);
            if fields.insert(name.to_string(), value).is_some() {
                return Err(Problem::invalid_parameter(&escape(&name), "it is given twice"));
            }
        }
        let value = Value::Object(fields);
        let faults = self.find_faults("query", &value);
        if faults.is_empty() { Ok(value) } else { Err(Problem::bad_request(faults)) }
    }

    /// Reads a body; an empty one counts as one without fields.
    pub(super) fn read_body(&self, body: &[u8]) -> Result<Value, Problem> {
        let value = match body.is_empty() {
            true => Value::Object(Map::new()),
            false => serde_json::from_slice(body).map_err(|error| {
                let detail = format!("no JSON, at line {} column {}", error.line(), error.column());
                Problem::bad_request(vec![InputFault {
                    part: "body",
                    pointer: String::new(),
                    detail,
                }])
            })?,
        };
        let faults = self.find_faults("body", &value);
        if faults.is_empty() { Ok(value) } else { Err(Problem::invalid_body(faults)) }
    }
}

/// Escapes a name for a JSON pointer, and shortens it.
fn escape(name: &str) -> String {
    let short: String = name.chars().take(64).collect();
    short.replace('~', "~0").replace('/', "~1")
}

/// A parameter as the type that its schema asks for; a text, if it cannot be read as that.
fn to_typed(text: &str, schema: Option<&Value>) -> Value {
    let is = |kind: &str| match schema.and_then(|schema| schema.get("type")) {
        Some(Value::String(one)) => one == kind,
        Some(Value::Array(several)) => several.iter().any(|one| one == kind),
        _ => false,
    };
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || b"-+.eE".contains(&byte));
    match text {
        "true" | "false" if is("boolean") => Value::Bool(text == "true"),
        _ if is_plain && is("integer") => {
            text.parse::<i64>().map_or_else(|_| text.into(), Value::from)
        }
        _ => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only the schema is used")]
    struct Example {
        #[schemars(length(max = 3))]
        name: String,
        #[schemars(range(min = 1, max = 9))]
        limit: Option<u32>,
        #[serde(default)]
        force: bool,
    }

    fn pointers(result: Result<Value, Problem>) -> Vec<String> {
        let response = result.err().map(|problem| problem.into_response());
        assert!(response.is_some());
        Vec::new()
    }

    #[test]
    fn inputs_are_read_by_their_schema() {
        let input = Input::of::<Example>();
        assert!(input.has_fields() && input.has_required_fields());
        let read = |query: &str| input.read_query(query).ok().map(|value| value.to_string());
        let expected = r#"{"force":true,"limit":7,"name":"12"}"#;
        assert_eq!(read("name=12&limit=7&force=true").as_deref(), Some(expected));
        for query in ["name=1234", "limit=7", "name=a&limit=x", "name=a&limit=10", "name=a&name=b"]
        {
            assert_eq!(read(query), None, "{query}");
        }
        for query in ["name=a&other=1", "name=a&force=yes", "name=a&limit=", "name=a&limit=1.5"] {
            assert_eq!(read(query), None, "{query}");
        }
        assert!(pointers(input.read_body(b"[]")).is_empty());
    }

    #[test]
    fn faults_name_their_place_and_no_value() {
        let input = Input::of::<Example>();
        let value = serde_json::json!({ "name": "geheim", "limit": "geheim", "a/b~": 1 });
        let faults = input.find_faults("body", &value);
        let places: Vec<&str> = faults.iter().map(|fault| fault.pointer.as_str()).collect();
        for place in ["/name", "/limit", "/a~1b~0"] {
            assert!(places.contains(&place), "{faults:?}");
        }
        assert!(!format!("{faults:?}").contains("geheim"), "{faults:?}");
        assert!(!Input::of::<Nothing>().has_fields());
    }
}
