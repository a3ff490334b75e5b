//! The JSON Schema of plan files, from the same description that validates them.

use serde_json::{Value, json};

use crate::model::shape::{Keys, Shape};

/// JSON Schema 2020-12 of a record.
pub fn schema(record: &Keys, title: &str) -> Value {
    let mut root = object(record);
    root["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    root["title"] = json!(title);
    root
}

fn object(record: &Keys) -> Value {
    let mut properties = serde_json::Map::new();
    for field in record.fields {
        let mut of = shape(&field.shape);
        of["description"] = json!(field.doc);
        properties.insert(field.key.to_owned(), of);
    }
    let required: Vec<_> = record.fields.iter().filter(|f| f.required).map(|f| f.key).collect();
    json!({"type": "object", "additionalProperties": false, "properties": properties, "required": required})
}

fn shape(shape_: &Shape) -> Value {
    match shape_ {
        Shape::Text | Shape::Prose => json!({"type": "string", "minLength": 1}),
        Shape::Written(syntax) => json!({
            "type": "string", "pattern": syntax.pattern, "maxLength": syntax.longest, "examples": [syntax.example],
        }),
        Shape::Name => json!({"type": "string", "pattern": "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$"}),
        Shape::Duration => json!({"type": "string", "pattern": "^([0-9]+(ms|s|m|h|d))+$"}),
        Shape::Percent => json!({"type": "string", "pattern": "^[0-9]{1,4}%$"}),
        Shape::Bool => json!({"type": "boolean"}),
        Shape::Int(min, max) => json!({"type": "integer", "minimum": min, "maximum": max}),
        Shape::OneOf(words) => json!({"enum": words}),
        Shape::Secret(reference) => json!({"oneOf": [
            {"type": "string"},
            {"type": "object", "additionalProperties": false, "properties": {"secret": {"type": "string", "pattern": reference.pattern, "examples": [reference.example]}}, "required": ["secret"]},
            {"type": "object", "additionalProperties": false, "properties": {"endpoint_of": {"type": "string"}}, "required": ["endpoint_of"]}
        ]}),
        Shape::List(inner) => json!({"type": "array", "items": shape(inner)}),
        Shape::Map(inner) => json!({"type": "object", "additionalProperties": shape(inner)}),
        Shape::Keys(record) => object(record),
        Shape::ByKind(cases) => {
            let cases: Vec<_> = cases
                .iter()
                .map(|case| {
                    let mut object = object(case.keys);
                    object["properties"]["kind"] = json!({"const": case.name});
                    object
                })
                .collect();
            json!({"oneOf": cases})
        }
        Shape::Either(a, b) => json!({"oneOf": [shape(a), shape(b)]}),
        Shape::Any => json!({}),
    }
}
