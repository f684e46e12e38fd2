//! Values of TOML as text: in an error, and in TOML's inline form.

/// A value as it stands in an error: what it is, and its text where it is one.
pub(super) fn shown(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => format!("{text:?}"),
        toml::Value::Integer(number) => number.to_string(),
        other => format!("a value of type {}", other.type_str()),
    }
}

/// Appends `"key" = `. TOML's quoted keys and strings have the escapes of JSON.
pub(super) fn write_inline_key(key: &str, out: &mut String) {
    out.push_str(&serde_json::Value::from(key).to_string());
    out.push_str(" = ");
}

/// Appends a value in TOML's inline form, so that the codec reads an inline dialect as it reads a
/// file.
pub(super) fn write_inline(value: &toml::Value, out: &mut String) {
    use std::fmt::Write;
    match value {
        toml::Value::String(text) => out.push_str(&serde_json::Value::from(&**text).to_string()),
        toml::Value::Integer(number) => {
            let _ = write!(out, "{number}");
        }
        toml::Value::Float(number) => {
            let _ = write!(out, "{number:?}");
        }
        toml::Value::Boolean(truth) => {
            let _ = write!(out, "{truth}");
        }
        toml::Value::Datetime(moment) => {
            let _ = write!(out, "{moment}");
        }
        toml::Value::Array(values) => {
            out.push('[');
            for value in values {
                write_inline(value, out);
                out.push(',');
            }
            out.push(']');
        }
        toml::Value::Table(table) => {
            out.push('{');
            for (index, (key, value)) in table.iter().enumerate() {
                out.push_str(if index == 0 { " " } else { ", " });
                write_inline_key(key, out);
                write_inline(value, out);
            }
            out.push('}');
        }
    }
}
