//! Subjects and patterns, by the rules of NATS.

use std::fmt;
use std::sync::Arc;

/// Longest subject, in bytes. NATS itself bounds a whole protocol line at 4 KiB.
pub(super) const MAX_SUBJECT: usize = 1024;

/// Why a text is no subject or pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SubjectError {
    /// Nothing between two dots, or nothing at all.
    #[error("an empty level")]
    EmptyLevel,
    /// White space or a control character.
    #[error("white space or a control character")]
    BadCharacter,
    /// `*` or `>` as a level of a subject to publish on.
    #[error("a wildcard in a subject to publish on")]
    Wildcard,
    /// `>` before the last level of a pattern.
    #[error("`>` stands only at the end")]
    TailNotLast,
    /// Longer than 1,024 bytes.
    #[error("longer than {MAX_SUBJECT} bytes")]
    TooLong,
}

/// Where a message is published: levels separated by dots, none empty, no white space, no wildcards.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject(Arc<str>);

impl Subject {
    /// Reads a subject.
    ///
    /// # Errors
    /// [`SubjectError`] when the text breaks a rule.
    pub fn new(text: &str) -> Result<Self, SubjectError> {
        check_levels(text)?;
        if text.split('.').any(|level| level == "*" || level == ">") {
            return Err(SubjectError::Wildcard);
        }
        Ok(Self(text.into()))
    }

    /// The whole text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The levels, in order.
    pub fn levels(&self) -> impl Iterator<Item = &str> {
        self.0.split('.')
    }
}

/// What a subscriber asks for: a subject in which `*` stands for one level and a last `>` for one or more.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Pattern(Arc<str>);

impl Pattern {
    /// Reads a pattern. `*` and `>` are wildcards only as whole levels, as in NATS.
    ///
    /// # Errors
    /// [`SubjectError`] when the text breaks a rule.
    pub fn new(text: &str) -> Result<Self, SubjectError> {
        check_levels(text)?;
        let tail = text.split('.').position(|level| level == ">");
        if tail.is_some_and(|at| at + 1 != text.split('.').count()) {
            return Err(SubjectError::TailNotLast);
        }
        Ok(Self(text.into()))
    }

    /// Whether a message on `subject` is wanted.
    pub fn matches(&self, subject: &Subject) -> bool {
        let mut wanted = self.0.split('.');
        let mut levels = subject.levels();
        loop {
            match (wanted.next(), levels.next()) {
                (Some(">"), Some(_)) | (None, None) => return true,
                (Some("*"), Some(_)) => {}
                (Some(want), Some(level)) if want == level => {}
                _ => return false,
            }
        }
    }

    /// The levels, in order.
    pub fn levels(&self) -> impl Iterator<Item = &str> {
        self.0.split('.')
    }
}

fn check_levels(text: &str) -> Result<(), SubjectError> {
    if text.len() > MAX_SUBJECT {
        return Err(SubjectError::TooLong);
    }
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(SubjectError::BadCharacter);
    }
    if text.split('.').any(str::is_empty) {
        return Err(SubjectError::EmptyLevel);
    }
    Ok(())
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, subject: &str) -> bool {
        Pattern::new(pattern).unwrap().matches(&Subject::new(subject).unwrap())
    }

    #[test]
    fn wildcards_match_as_in_nats() {
        assert!(matches("a.b", "a.b") && matches("a.*", "a.b") && matches("*.b", "a.b") && matches("*.*", "a.b"));
        assert!(matches(">", "a") && matches(">", "a.b.c") && matches("a.>", "a.b.c") && matches("a.*.>", "a.b.c"));
        assert!(!matches("a.>", "a") && !matches("a.*", "a") && !matches("a.*", "a.b.c") && !matches("a", "a.b"));
        assert!(!matches("a.b.*.>", "a.b.c") && !matches("A", "a"));
    }

    #[test]
    fn wildcards_inside_a_level_are_ordinary_characters() {
        assert!(matches("a*.b>", "a*.b>") && !matches("a*", "ab"));
        assert!(Subject::new("client-proto.a*b").is_ok());
    }

    #[test]
    fn broken_texts_are_refused() {
        use SubjectError::*;
        for (text, error) in [
            ("", EmptyLevel),
            ("a..b", EmptyLevel),
            (".a", EmptyLevel),
            ("a.", EmptyLevel),
            ("a b", BadCharacter),
            ("a\n", BadCharacter),
        ] {
            assert_eq!(Subject::new(text), Err(error), "{text:?}");
            assert_eq!(Pattern::new(text), Err(error), "{text:?}");
        }
        assert_eq!(Subject::new("a.*"), Err(Wildcard));
        assert_eq!(Subject::new("a.>"), Err(Wildcard));
        assert_eq!(Pattern::new("a.>.b"), Err(TailNotLast));
        assert_eq!(Subject::new(&"a".repeat(MAX_SUBJECT + 1)), Err(TooLong));
    }
}
