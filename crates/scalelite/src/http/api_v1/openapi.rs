//! The documentation of the API by OpenAPI 3.1, written from the table of endpoints.

use std::sync::LazyLock;

use http::{Method, Response, StatusCode};
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::endpoint::Endpoint;
use super::problem::ProblemView;
use super::{BASE, MAX_IF_MATCH_BYTES, idempotency, table};
use crate::http::respond::{self, ResponseBody};

static DOCUMENT: LazyLock<Value> = LazyLock::new(build);

/// The answer that shows the document.
pub(super) fn answer() -> Response<ResponseBody> {
    respond::json(StatusCode::OK, &DOCUMENT)
}

/// The document as a text for people.
pub fn render_document() -> String {
    format!("{:#}\n", *DOCUMENT)
}

fn build() -> Value {
    let mut settings = SchemaSettings::draft2020_12().for_serialize();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    let mut generator = settings.into_generator();
    let problem = generator.subschema_for::<ProblemView>().to_value();
    let mut paths: Map<String, Value> = Map::new();
    for endpoint in table::endpoints() {
        let entry = paths.entry(endpoint.path).or_insert_with(|| json!({}));
        let method = endpoint.method.as_str().to_ascii_lowercase();
        entry[method] = describe_operation(endpoint, &mut generator);
    }
    let schemas = generator.take_definitions(true);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Scalelite management API",
            "version": "1",
            "description": "Everything the command line can do. Tokens are made by `scalelite tokens create`.",
            "license": { "name": "AGPL-3.0-or-later", "identifier": "AGPL-3.0-or-later" },
        },
        "servers": [{ "url": BASE }],
        "security": [{ "token": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A management token",
                },
            },
            "responses": describe_problems(&problem),
        },
    })
}

/// Statuses of refusals, and what they mean.
const PROBLEMS: [(&str, &str); 12] = [
    ("400", "The request cannot be read, or its query has faults."),
    ("401", "No token, or one that is not valid."),
    ("403", "The token lacks the scope, or is limited to a tenant."),
    ("404", "There is no such thing, or the token may not know of it."),
    ("409", "What is there contradicts the request."),
    ("412", "It was changed since the client has read it."),
    ("413", "The body is longer than 64 KiB."),
    ("415", "The body is not JSON."),
    ("422", "The body has faults."),
    ("500", "The balancer has a fault."),
    ("502", "A BBB server does not answer as it should."),
    ("503", "A store or something else that is needed fails."),
];

fn describe_problems(problem: &Value) -> Value {
    let mut responses = Map::new();
    for (status, text) in PROBLEMS {
        let response = json!({
            "description": text,
            "content": { "application/problem+json": { "schema": problem } },
        });
        responses.insert(format!("Problem{status}"), response);
    }
    responses.into()
}

fn describe_operation(endpoint: &Endpoint, generator: &mut SchemaGenerator) -> Value {
    let scope = match endpoint.scope {
        Some(scope) => format!("Needs the scope `{scope}`."),
        None => "Any token will do.".to_owned(),
    };
    let mut operation = json!({
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "description": scope,
        "tags": [endpoint.path.split('/').nth(1).unwrap_or_default()],
        "parameters": describe_parameters(endpoint),
        "responses": describe_responses(endpoint, generator),
    });
    if endpoint.is_change() && endpoint.body.has_fields() {
        operation["requestBody"] = json!({
            "required": endpoint.body.has_required_fields(),
            "content": { "application/json": { "schema": endpoint.body.schema } },
        });
    }
    operation
}

fn describe_parameters(endpoint: &Endpoint) -> Vec<Value> {
    let in_path = endpoint.path.split('/').filter_map(|segment| {
        let name = segment.strip_prefix('{')?.strip_suffix('}')?;
        let schema = json!({ "type": "string", "minLength": 1, "maxLength": 1000 });
        Some(json!({ "name": name, "in": "path", "required": true, "schema": schema }))
    });
    let mut parameters: Vec<Value> = in_path.collect();
    let required = endpoint.query.schema.get("required").and_then(Value::as_array);
    for (name, schema) in endpoint.query.properties().into_iter().flatten() {
        let is_required = required.is_some_and(|names| names.iter().any(|it| it == name));
        let (schema, description) = without_null(schema);
        let mut parameter =
            json!({ "name": name, "in": "query", "required": is_required, "schema": schema });
        if let Some(description) = description {
            parameter["description"] = description;
        }
        parameters.push(parameter);
    }
    let header = |name: &str, text: &str, schema: Value| json!({ "name": name, "in": "header", "required": false, "description": text, "schema": schema });
    if endpoint.is_versioned && endpoint.is_change() && endpoint.path.contains('{') {
        let text = "Make the change only if this is the version that is there (`ETag`)";
        parameters.push(header(
            "If-Match",
            text,
            json!({ "type": "string", "maxLength": MAX_IF_MATCH_BYTES }),
        ));
    }
    if endpoint.method == Method::POST {
        let text = "A request that is repeated with the same key within a day is not made again; its first answer is sent";
        let schema = json!({
            "type": "string", "minLength": 1, "maxLength": idempotency::MAX_KEY_BYTES, "pattern": "^[!-~]+$",
        });
        parameters.push(header("Idempotency-Key", text, schema));
    }
    parameters
}

/// The schema of a parameter: it cannot be null, only absent. Its description belongs to the parameter.
fn without_null(schema: &Value) -> (Value, Option<Value>) {
    let mut schema = schema.clone();
    let Some(fields) = schema.as_object_mut() else { return (schema, None) };
    if let Some(Value::Array(kinds)) = fields.get_mut("type") {
        kinds.retain(|kind| kind != "null");
        if let [kind] = kinds.as_slice() {
            let kind = kind.clone();
            fields.insert("type".to_owned(), kind);
        }
    }
    let description = fields.remove("description");
    if let Some(Value::Array(choices)) = fields.get_mut("anyOf") {
        choices.retain(|choice| choice.get("type").is_none_or(|kind| kind != "null"));
        if let [choice] = choices.as_slice() {
            return (choice.clone(), description);
        }
    }
    (schema, description)
}

fn describe_responses(endpoint: &Endpoint, generator: &mut SchemaGenerator) -> Value {
    let mut success = json!({ "description": "Done." });
    if let Some(schema) = (endpoint.schema)(generator) {
        success["content"] = json!({ "application/json": { "schema": schema } });
        if endpoint.is_versioned {
            success["headers"] = json!({
                "ETag": {
                    "description": "The version of what is shown, for If-Match",
                    "schema": { "type": "string" },
                },
            });
        }
    }
    let mut responses = Map::new();
    responses.insert(endpoint.status.as_str().to_owned(), success);
    for (status, _) in PROBLEMS {
        let reference = json!({ "$ref": format!("#/components/responses/Problem{status}") });
        responses.insert(status.to_owned(), reference);
    }
    responses.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(written == render_document(), "run `just gen`");
    }

    #[test]
    fn all_operations_have_names_and_schemas_of_their_own() {
        let mut names: Vec<&str> =
            table::endpoints().iter().map(|endpoint| endpoint.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
        // Every reference leads somewhere.
        let text = render_document();
        for reference in
            text.split("\"$ref\": \"#").skip(1).filter_map(|rest| rest.split('"').next())
        {
            assert!(DOCUMENT.pointer(reference).is_some(), "{reference}");
        }
    }
}
