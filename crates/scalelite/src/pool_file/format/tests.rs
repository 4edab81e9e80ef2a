//! Tests of the format: the schema says of a file what reading it says.

use serde_json::Value;

use super::*;

/// The examples of the documentation, and files with one fault each.
const GOOD: &[&str] = &[
    "servers: []\ntenants: []\n",
    "servers:\n- url: https://a/api\n  secret: x\n  tag: null\n  max_users: null\n  state: cordoned\n",
    "tenants:\n- name: a\n  secrets: [x]\n  settings: [{param: p, value: 'true', override: true}]\n  lrs: {lrs_endpoint: e, kc_password_file: f}\n",
];
const BAD: &[&str] = &[
    "[]",
    "servers: {}\n",
    "servers:\n- secret: x\n",
    "servers:\n- {url: u, colour: red}\n",
    "servers:\n- {url: u, state: on}\n",
    "servers:\n- {url: u, max_users: many}\n",
    "servers:\n- {url: u, tier: -1}\n",
    "tenants:\n- {name: a, secrets: x}\n",
    "tenants:\n- {name: a, settings: [{param: p}]}\n",
    "tenants:\n- {name: a, lrs: {endpoint: e}}\n",
    "other: 1\n",
];

fn is_valid(text: &str) -> bool {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    validator.is_valid(&serde_saphyr::from_str::<Value>(text).unwrap())
}

#[test]
fn the_schema_accepts_what_is_read() {
    let documentation = include_str!("../../../../../docs/apply.md");
    let example = documentation.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    for text in GOOD.iter().chain([&example]) {
        assert!(is_valid(text), "{text}");
        assert!(parse(text).is_ok(), "{text}: {:?}", parse(text));
    }
    for text in BAD {
        assert!(!is_valid(text), "{text}");
        assert!(parse(text).is_err(), "{text}");
    }
}

#[test]
fn every_field_has_a_description() {
    fn check(name: &str, schema: &Value) {
        for (field, property) in schema["properties"].as_object().into_iter().flatten() {
            assert!(property["description"].is_string(), "{name}.{field}");
        }
        assert!(
            schema.get("properties").is_none() || schema["additionalProperties"] == false,
            "{name}"
        );
    }
    let schema = schema();
    check("", &schema);
    let definitions = schema["$defs"].as_object().unwrap();
    assert!(definitions.len() >= 5);
    definitions.iter().for_each(|(name, definition)| check(name, definition));
}
