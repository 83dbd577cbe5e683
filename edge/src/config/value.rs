//! One value, from a file with its type or from text without one.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use toml::de::DeValue;

/// How much of a value a message shows, in characters.
const SHOWN: usize = 80;

/// Most items of a list. Each is compared for every request.
const MAX_ITEMS: usize = 64;

/// What a source says about a key. `Display` shows it as it was written, shortened.
#[derive(Debug, Clone)]
pub struct Value {
    written: String,
    parsed: Parsed,
}

#[derive(Debug, Clone)]
enum Parsed {
    /// From a variable or a flag: the key decides what it has to be.
    Untyped(String),
    Text(String),
    Whole(i128),
    Number(f64),
    Boolean(bool),
    List(Vec<String>),
    /// A type that no key has.
    Other,
}

impl Value {
    /// A variable's or a flag's value.
    pub(super) fn untyped(text: String) -> Self {
        let written = if text.is_empty() { "\"\"".to_owned() } else { text.escape_debug().to_string() };
        Self { written, parsed: Parsed::Untyped(text) }
    }

    /// A value of a file, which wrote it as `written`.
    pub(super) fn typed(value: &DeValue<'_>, written: &str) -> Self {
        let parsed = match value {
            DeValue::String(text) => Parsed::Text(text.to_string()),
            DeValue::Integer(whole) => {
                i128::from_str_radix(whole.as_str(), whole.radix()).map_or(Parsed::Other, Parsed::Whole)
            }
            DeValue::Boolean(boolean) => Parsed::Boolean(*boolean),
            DeValue::Array(items) => {
                let texts = items.iter().map(|item| item.get_ref().as_str().map(str::to_owned));
                texts.collect::<Option<_>>().map_or(Parsed::Other, Parsed::List)
            }
            DeValue::Float(number) => number.as_str().parse().map_or(Parsed::Other, Parsed::Number),
            _ => Parsed::Other,
        };
        Self { written: written.to_owned(), parsed }
    }

    /// The text, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.parsed {
            Parsed::Untyped(text) | Parsed::Text(text) => Some(text),
            _ => None,
        }
    }

    /// What its text says.
    pub(super) fn parse<T: FromStr>(&self) -> Option<T> {
        self.text()?.parse().ok()
    }

    /// A path. Only shells know what `~` is; a directory of that name is never meant.
    pub(super) fn path(&self) -> Option<PathBuf> {
        self.text().filter(|text| !text.is_empty() && !text.starts_with('~')).map(PathBuf::from)
    }

    /// True or false.
    pub(super) fn boolean(&self) -> Option<bool> {
        match &self.parsed {
            Parsed::Untyped(text) => text.parse().ok(),
            Parsed::Boolean(boolean) => Some(*boolean),
            _ => None,
        }
    }

    /// An array of the file, or what commas separate elsewhere. At most 64 items.
    pub(super) fn list<T: FromStr>(&self) -> Option<Vec<T>> {
        let items: Vec<&str> = match &self.parsed {
            Parsed::Untyped(text) => text.split(',').map(str::trim).collect(),
            Parsed::List(items) => items.iter().map(String::as_str).collect(),
            _ => return None,
        };
        if items.len() > MAX_ITEMS {
            return None;
        }
        items.into_iter().map(|item| item.parse().ok()).collect()
    }

    /// A whole number within `bounds`.
    pub(super) fn whole(&self, bounds: RangeInclusive<usize>) -> Option<usize> {
        let whole = match &self.parsed {
            Parsed::Untyped(text) => text.parse().ok()?,
            Parsed::Whole(whole) => usize::try_from(*whole).ok()?,
            _ => return None,
        };
        bounds.contains(&whole).then_some(whole)
    }

    /// A number within `bounds`, whole or not.
    pub(super) fn number(&self, bounds: RangeInclusive<f64>) -> Option<f64> {
        let number = match &self.parsed {
            Parsed::Untyped(text) => text.parse().ok()?,
            // Exact within every bound; what is rounded is far out of them.
            Parsed::Whole(whole) => *whole as f64,
            Parsed::Number(number) => *number,
            _ => return None,
        };
        bounds.contains(&number).then_some(number)
    }

    /// A number of seconds within `bounds`.
    pub(super) fn seconds(&self, bounds: RangeInclusive<f64>) -> Option<Duration> {
        Duration::try_from_secs_f64(self.number(bounds)?).ok()
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.written.lines().next().unwrap_or_default();
        match line.char_indices().nth(SHOWN) {
            Some((end, _)) => write!(f, "{}…", &line[..end]),
            None if line.len() < self.written.len() => write!(f, "{line}…"),
            None => f.write_str(line),
        }
    }
}
