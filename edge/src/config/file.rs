//! The file.

use super::Setting;
use super::key;
use super::keys::KEYS;
use super::problem::{Origin, Problem};
use super::value::Value;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use toml::de::{DeTable, DeValue};

/// A configuration is some kilobytes; what is longer is something else.
const MAX_BYTES: u64 = 1 << 20;

/// Reads the settings of the file at `path`.
pub(super) fn read(path: &Path, problems: &mut Vec<Problem>) -> Vec<Setting> {
    let text = match text_of(path) {
        Ok(text) => text,
        Err(error) => {
            problems.push(Problem::Unreadable { path: path.to_owned(), error });
            return Vec::new();
        }
    };
    let mut reader = Reader { path, text: &text, settings: Vec::new(), problems };
    match DeTable::parse(&text) {
        Ok(root) => reader.table("", root.get_ref()),
        Err(error) => {
            let origin = reader.origin(error.span().map_or(0, |span| span.start));
            reader.problems.push(Problem::Syntax { origin, message: error.message().replace('\n', ", ") });
        }
    }
    reader.settings
}

fn text_of(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let length = File::open(path)?.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    if u64::try_from(length).is_ok_and(|length| length <= MAX_BYTES) {
        return Ok(text);
    }
    Err(io::Error::new(io::ErrorKind::FileTooLarge, "more than 1 MiB"))
}

struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
    settings: Vec<Setting>,
    problems: &'a mut Vec<Problem>,
}

impl Reader<'_> {
    /// Takes the keys of `table`, whose names begin with `prefix`.
    fn table(&mut self, prefix: &str, table: &DeTable<'_>) {
        for (part, value) in table {
            let name = format!("{prefix}{}", part.get_ref());
            let origin = self.origin(part.span().start);
            if let Some(key) = KEYS.iter().find(|key| key.name == name) {
                let written = self.text.get(value.span()).unwrap_or_default();
                let value = Value::typed(value.get_ref(), written);
                self.settings.push(Setting { key, value, origin });
                continue;
            }
            let section = format!("{name}.");
            match value.get_ref() {
                DeValue::Table(inner) if !inner.is_empty() || is_section(&section) => self.table(&section, inner),
                _ => {
                    let nearest = key::nearest(&name).name.to_owned();
                    self.problems.push(Problem::Unknown { origin, name, nearest });
                }
            }
        }
    }

    fn origin(&self, offset: usize) -> Origin {
        let before = self.text.as_bytes().iter().take(offset);
        Origin::File(self.path.to_owned(), 1 + before.filter(|byte| **byte == b'\n').count())
    }
}

fn is_section(prefix: &str) -> bool {
    KEYS.iter().any(|key| key.name.starts_with(prefix))
}
