//! Environment variables.

use super::key;
use super::keys::KEYS;
use super::problem::{Origin, Problem};
use super::value::Value;
use super::{Key, Setting};
use std::ffi::OsString;
use std::path::PathBuf;

/// What the environment says.
pub(super) struct Environment {
    /// `ATOLL_CONFIG`.
    pub(super) file: Option<PathBuf>,
    pub(super) settings: Vec<Setting>,
}

/// Reads the variables that begin with `ATOLL_`. Of those only names with `__`, which are nothing but keys, are refused when
/// unknown: others belong to the tests, to `atoll bots`, or to whoever runs the process.
pub(super) fn read(mut variables: Vec<(OsString, OsString)>, problems: &mut Vec<Problem>) -> Environment {
    variables.sort();
    let mut found = Environment { file: None, settings: Vec::new() };
    for (name, value) in variables {
        let Some(name) = name.to_str().filter(|name| name.starts_with("ATOLL_")) else { continue };
        if name == "ATOLL_CONFIG" {
            found.file = (!value.is_empty()).then(|| value.into());
            continue;
        }
        let origin = Origin::Variable(name.to_owned());
        let Some(key) = KEYS.iter().find(|key| key.variables().any(|known| known == name)) else {
            problems.extend(unknown(name, origin));
            continue;
        };
        if value.is_empty() {
            continue;
        }
        let earlier = found.settings.iter().find(|setting| same(setting.key, key));
        if let Some(Setting { origin: first, .. }) = earlier {
            problems.push(Problem::Twice { key, first: first.clone(), second: origin });
            continue;
        }
        match value.into_string() {
            Ok(text) => found.settings.push(Setting { key, value: Value::untyped(text), origin }),
            Err(bytes) => problems.push(Problem::Value { origin, key, value: key.shown(&bytes.display().to_string()) }),
        }
    }
    found
}

fn same(one: &Key, other: &Key) -> bool {
    one.name == other.name
}

fn unknown(variable: &str, origin: Origin) -> Option<Problem> {
    let name = variable.strip_prefix("ATOLL_")?;
    let name = name.contains("__").then(|| name.replace("__", ".").to_lowercase())?;
    let nearest = key::nearest(&name).variable();
    Some(Problem::Unknown { origin, name, nearest })
}
