//! What a participant is called and what it says of itself, as it or a program changes it.

use livekit_protocol::ParticipantInfo;
use std::collections::HashMap;

/// Longest metadata, and attributes together, in bytes: LiveKit's own limit.
pub(super) const MAX_METADATA: usize = 64 * 1024;

/// Longest name, in bytes.
pub(super) const MAX_NAME: usize = 256;

/// What is to change. What is empty stays as it is, and an attribute without a value goes: so LiveKit's clients and programs say it.
pub(super) struct Profile {
    pub(super) name: String,
    pub(super) metadata: String,
    pub(super) attributes: HashMap<String, String>,
}

/// It would be larger than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("metadata or attributes above {MAX_METADATA} bytes, or a name above {MAX_NAME}")]
pub(super) struct TooLarge;

impl Profile {
    /// Changes what is known of a participant: all of it, or nothing.
    pub(super) fn apply(self, info: &mut ParticipantInfo) -> Result<(), TooLarge> {
        let Self { name, metadata, attributes } = self;
        if metadata.len() > MAX_METADATA || name.len() > MAX_NAME {
            return Err(TooLarge);
        }
        let mut all = info.attributes.clone();
        all.extend(attributes);
        all.retain(|_, value| !value.is_empty());
        if all.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>() > MAX_METADATA {
            return Err(TooLarge);
        }
        info.attributes = all;
        if !metadata.is_empty() {
            info.metadata = metadata;
        }
        if !name.is_empty() {
            info.name = name;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(name: &str, metadata: &str, attributes: &[(&str, &str)]) -> Profile {
        let attributes = attributes.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Profile { name: name.to_owned(), metadata: metadata.to_owned(), attributes }
    }

    #[test]
    fn what_is_too_large_changes_nothing() {
        let mut info = ParticipantInfo::default();
        profile("Ann", "about", &[("hat", "red"), ("shoes", "blue")]).apply(&mut info).unwrap();
        profile("", "", &[("hat", "")]).apply(&mut info).unwrap();
        let shoes = HashMap::from([("shoes".to_owned(), "blue".to_owned())]);
        assert_eq!((&*info.name, &*info.metadata, &info.attributes), ("Ann", "about", &shoes));
        let before = info.clone();
        let much = "x".repeat(MAX_METADATA);
        let long = "x".repeat(MAX_NAME + 1);
        for too_large in
            [profile(&long, "", &[]), profile("B", &(much.clone() + "x"), &[]), profile("B", "", &[("a", &much)])]
        {
            assert_eq!(too_large.apply(&mut info), Err(TooLarge));
            assert_eq!(info, before);
        }
        profile("", &much, &[]).apply(&mut info).unwrap();
    }
}
