//! The messages as the JSON of the vectors: camelCase, absent optionals left out, maps as objects,
//! `{"$hex"}` for bytes, `{"$float"}` for NaN, the infinities and -0, `{"$case"}` for a oneof.

mod messages;

use serde_json::{Map, Value, json};

/// A value of a message as JSON; `None`: an optional that is absent.
pub(crate) trait Json {
    fn json(&self) -> Option<Value>;
}

/// A value that is not the recorded one.
#[derive(Debug, PartialEq)]
pub(crate) struct Difference {
    /// The field.
    pub(crate) key: String,
    pub(crate) theirs: Value,
    pub(crate) ours: Value,
}

/// All differences of two messages. With `defaults_left_out`, what is missing in `theirs` may be the default in `ours`.
pub(crate) fn compare(theirs: &Value, ours: &Value, defaults_left_out: bool) -> Vec<Difference> {
    let mut differences = Vec::new();
    collect("", theirs, ours, defaults_left_out, &mut differences);
    differences
}

fn collect(key: &str, theirs: &Value, ours: &Value, defaults_left_out: bool, differences: &mut Vec<Difference>) {
    match (theirs, ours) {
        (Value::Array(theirs), Value::Array(ours)) if theirs.len() == ours.len() => {
            for (theirs, ours) in theirs.iter().zip(ours) {
                collect(key, theirs, ours, defaults_left_out, differences);
            }
        }
        (Value::Object(t), Value::Object(o)) if number(theirs).is_none() || number(ours).is_none() => {
            for key in t.keys().chain(o.keys().filter(|key| !t.contains_key(*key))) {
                let [theirs, ours] = [t, o].map(|object| object.get(key).unwrap_or(&Value::Null));
                collect(key, theirs, ours, defaults_left_out, differences);
            }
        }
        (Value::Null, ours) if defaults_left_out && (*ours == json!(0.0) || *ours == json!("")) => {}
        _ if theirs == ours => {}
        _ => match (number(theirs), number(ours)) {
            (Some(theirs), Some(ours)) if theirs.to_bits() == ours.to_bits() => {}
            (Some(theirs), Some(ours)) if theirs.is_nan() && ours.is_nan() => {}
            _ => differences.push(Difference { key: key.into(), theirs: theirs.clone(), ours: ours.clone() }),
        },
    }
}

/// A number, `{"$float"}` included.
pub(crate) fn number(value: &Value) -> Option<f64> {
    match value.get("$float") {
        Some(text) => text.as_str()?.parse().ok(),
        None => value.as_f64(),
    }
}

pub(crate) fn bytes_of_hex(hex: &str) -> Vec<u8> {
    assert!(hex.len().is_multiple_of(2), "odd number of hex digits");
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

impl Json for f64 {
    fn json(&self) -> Option<Value> {
        let name = match *self {
            value if value.is_nan() => "NaN",
            f64::INFINITY => "Infinity",
            f64::NEG_INFINITY => "-Infinity",
            value if value == 0.0 && value.is_sign_negative() => "-0",
            value => return Some(json!(value)),
        };
        Some(json!({ "$float": name }))
    }
}

impl Json for f32 {
    fn json(&self) -> Option<Value> {
        f64::from(*self).json()
    }
}

impl Json for u32 {
    fn json(&self) -> Option<Value> {
        f64::from(*self).json()
    }
}

impl Json for i32 {
    fn json(&self) -> Option<Value> {
        f64::from(*self).json()
    }
}

impl Json for u64 {
    fn json(&self) -> Option<Value> {
        (*self as f64).json()
    }
}

impl Json for bool {
    fn json(&self) -> Option<Value> {
        Some(json!(self))
    }
}

impl Json for String {
    fn json(&self) -> Option<Value> {
        Some(json!(self))
    }
}

impl Json for Vec<u8> {
    fn json(&self) -> Option<Value> {
        let hex: String = self.iter().map(|byte| format!("{byte:02x}")).collect();
        Some(json!({ "$hex": hex }))
    }
}

impl<T: Json> Json for Option<T> {
    fn json(&self) -> Option<Value> {
        self.as_ref()?.json()
    }
}

impl<T: Json> Json for Vec<T> {
    fn json(&self) -> Option<Value> {
        Some(self.iter().filter_map(T::json).collect())
    }
}

/// A map with each key once.
fn object<'a, K: ToString + 'a>(entries: impl Iterator<Item = (&'a K, Option<Value>)>) -> Value {
    let mut object = Map::new();
    for (key, value) in entries {
        let key = key.to_string();
        let former = object.insert(key.clone(), value.expect("an entry with a value"));
        assert!(former.is_none(), "{key:?} twice");
    }
    object.into()
}

/// `position_x` or `PositionX` → `positionX`.
fn camel(name: &str) -> String {
    let mut camel = String::new();
    for letter in name.trim_start_matches("r#").chars() {
        let after_underscore = camel.ends_with('_');
        if after_underscore {
            camel.pop();
        }
        match letter {
            _ if camel.is_empty() => camel.push(letter.to_ascii_lowercase()),
            _ if after_underscore => camel.push(letter.to_ascii_uppercase()),
            _ => camel.push(letter),
        }
    }
    camel
}
