//! What peers say to each other, from the words of 2022's summer ([`data`]) into those since then ([`rfc4`]), and back.
//!
//! | older `Data` | `rfc4.Packet` | what becomes of what only one of them has |
//! |---|---|---|
//! | `position` | `position` | `time` becomes an index, in hundredths of a second; an index becomes the time of translation |
//! | `profile` | `profile_version` | a version that is no number has no translation; `time` is that of translation, the type "deployed" |
//! | `chat` | `chat` | `message_id` is made from sender, time and text |
//! | `scene` | `scene` | data that is no text has no translation; `time` is that of translation |
//!
//! Everything else either generation knows has no translation. What neither knows is left as it is.

use crate::{PacketKind, data, decode, peek, rfc4};
use bytes::Bytes;
use prost::Message;

/// What became of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Translation {
    /// The other generation's packet.
    Packet(Bytes),
    /// Neither generation knows it: it is to be passed on as it is.
    Unknown,
    /// The other generation has no words for it.
    None,
}

/// What the older generation tells with a packet and the later one does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    /// The time of translation, in milliseconds since 1970.
    pub unix_ms: u64,
    /// Tells one sender from another.
    pub sender: u32,
}

/// A packet of the older generation in the words of the later one.
pub fn to_rfc4(packet: &[u8]) -> Translation {
    use data::data::Message as Older;
    use rfc4::packet::Message as Later;

    let message = decode::<data::Data>(packet).ok().and_then(|packet| packet.message);
    let message = match message {
        Some(Older::Position(position)) => Later::Position(rfc4::Position {
            index: (position.time / 10.0) as u64 as u32,
            position_x: position.position_x,
            position_y: position.position_y,
            position_z: position.position_z,
            rotation_x: position.rotation_x,
            rotation_y: position.rotation_y,
            rotation_z: position.rotation_z,
            rotation_w: position.rotation_w,
        }),
        Some(Older::Profile(profile)) => match profile.profile_version.parse() {
            Ok(profile_version) => Later::ProfileVersion(rfc4::AnnounceProfileVersion { profile_version }),
            Err(_) => return Translation::None,
        },
        Some(Older::Chat(chat)) => Later::Chat(rfc4::Chat { message: chat.text, timestamp: chat.time }),
        Some(Older::Scene(scene)) => {
            Later::Scene(rfc4::Scene { scene_id: scene.scene_id, data: scene.data.into_bytes() })
        }
        Some(Older::ProfileRequest(_) | Older::ProfileResponse(_) | Older::Voice(_)) => return Translation::None,
        None => return Translation::Unknown,
    };
    Translation::Packet(rfc4::Packet { message: Some(message) }.encode_to_vec().into())
}

/// A packet of the later generation in the words of the older one.
pub fn to_data(packet: &[u8], Context { unix_ms, sender }: Context) -> Translation {
    use data::data::Message as Older;
    use rfc4::packet::Message as Later;

    let time = unix_ms as f64;
    let message = decode::<rfc4::Packet>(packet).ok().and_then(|packet| packet.message);
    let message = match message {
        Some(Later::Position(position)) => Older::Position(data::Position {
            time,
            position_x: position.position_x,
            position_y: position.position_y,
            position_z: position.position_z,
            rotation_x: position.rotation_x,
            rotation_y: position.rotation_y,
            rotation_z: position.rotation_z,
            rotation_w: position.rotation_w,
        }),
        Some(Later::ProfileVersion(profile)) => Older::Profile(data::Profile {
            time,
            profile_version: profile.profile_version.to_string(),
            profile_type: data::ProfileType::Deployed.into(),
        }),
        Some(Later::Chat(chat)) => {
            Older::Chat(data::Chat { time: chat.timestamp, message_id: message_id(sender, &chat), text: chat.message })
        }
        Some(Later::Scene(scene)) => match String::from_utf8(scene.data) {
            Ok(data) => Older::Scene(data::Scene { time, scene_id: scene.scene_id, data }),
            Err(_) => return Translation::None,
        },
        Some(Later::ProfileRequest(_) | Later::ProfileResponse(_) | Later::Voice(_)) => return Translation::None,
        None if peek(packet).kind == PacketKind::Unknown => return Translation::Unknown,
        None => return Translation::None,
    };
    Translation::Packet(data::Data { message: Some(message) }.encode_to_vec().into())
}

/// The same line has the same id wherever it is translated (FNV-1a, 64 bits).
fn message_id(sender: u32, chat: &rfc4::Chat) -> String {
    // A time of -0 is written as none, which is 0.
    let time = (chat.timestamp + 0.0).to_le_bytes();
    let bytes = sender.to_le_bytes().into_iter().chain(time).chain(chat.message.bytes());
    let hash =
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use data::data::Message as Older;
    use proptest::prelude::*;
    use rfc4::packet::Message as Later;

    const CONTEXT: Context = Context { unix_ms: 1_660_000_000_123, sender: 7 };

    fn older(message: Older) -> Vec<u8> {
        data::Data { message: Some(message) }.encode_to_vec()
    }

    fn later(message: Later) -> Vec<u8> {
        rfc4::Packet { message: Some(message) }.encode_to_vec()
    }

    fn read_later(translation: &Translation) -> Later {
        let Translation::Packet(packet) = translation else { panic!("{translation:?}") };
        rfc4::Packet::decode(packet.clone()).unwrap().message.unwrap()
    }

    fn read_older(translation: &Translation) -> Older {
        let Translation::Packet(packet) = translation else { panic!("{translation:?}") };
        data::Data::decode(packet.clone()).unwrap().message.unwrap()
    }

    #[test]
    fn a_position_keeps_its_place_and_its_order() {
        let at =
            |time| data::Position { time, position_x: 1.5, position_z: -3.0, rotation_w: 1.0, ..Default::default() };
        let translated = |time| match read_later(&to_rfc4(&older(Older::Position(at(time))))) {
            Later::Position(position) => position,
            other => panic!("{other:?}"),
        };
        let (first, second) = (translated(1.66e12), translated(1.66e12 + 10.0));
        assert_eq!((first.position_x, first.position_z, first.rotation_w), (1.5, -3.0, 1.0));
        assert_eq!(second.index.wrapping_sub(first.index), 1);
        let back = later(Later::Position(second));
        let Older::Position(back) = read_older(&to_data(&back, CONTEXT)) else { panic!() };
        assert_eq!(back, at(CONTEXT.unix_ms as f64));
        for time in [f64::NAN, f64::NEG_INFINITY, -1.0, 0.0] {
            assert_eq!(translated(time).index, 0);
        }
    }

    #[test]
    fn a_profile_version_is_a_number_or_none() {
        let announced = |version: &str| {
            let profile = data::Profile { time: 1.0, profile_version: version.to_owned(), profile_type: 0 };
            to_rfc4(&older(Older::Profile(profile)))
        };
        let expected = Later::ProfileVersion(rfc4::AnnounceProfileVersion { profile_version: 12 });
        assert_eq!(read_later(&announced("12")), expected);
        for version in ["", "one", "-1", "4294967296"] {
            assert_eq!(announced(version), Translation::None, "{version}");
        }
        let Older::Profile(back) = read_older(&to_data(&later(expected), CONTEXT)) else { panic!() };
        assert_eq!((back.profile_version.as_str(), back.profile_type), ("12", 1));
    }

    #[test]
    fn chat_keeps_text_and_time_and_gets_an_id_of_its_own() {
        let chat = data::Chat { time: 5.0, message_id: "gone".to_owned(), text: "hé".to_owned() };
        let translated = read_later(&to_rfc4(&older(Older::Chat(chat))));
        assert_eq!(translated, Later::Chat(rfc4::Chat { message: "hé".to_owned(), timestamp: 5.0 }));
        let back = |sender, text: &str| {
            let chat = rfc4::Chat { message: text.to_owned(), timestamp: 5.0 };
            let back = read_older(&to_data(&later(Later::Chat(chat)), Context { sender, ..CONTEXT }));
            let Older::Chat(back) = back else { panic!() };
            assert_eq!((back.time, back.text.as_str()), (5.0, text));
            back.message_id
        };
        assert_eq!(back(1, "a"), back(1, "a"));
        assert_ne!(back(1, "a"), back(2, "a"));
        assert_ne!(back(1, "a"), back(1, "b"));
        let ids = [-0.0, 0.0].map(|timestamp| message_id(1, &rfc4::Chat { message: "a".to_owned(), timestamp }));
        assert_eq!(ids[0], ids[1], "the wire does not tell them apart");
    }

    #[test]
    fn a_scenes_message_is_text_or_has_no_translation() {
        let scene = data::Scene { time: 1.0, scene_id: "bafk".to_owned(), data: "{}".to_owned() };
        let translated = read_later(&to_rfc4(&older(Older::Scene(scene))));
        assert_eq!(translated, Later::Scene(rfc4::Scene { scene_id: "bafk".to_owned(), data: b"{}".to_vec() }));
        let Older::Scene(back) = read_older(&to_data(&later(translated), CONTEXT)) else { panic!() };
        assert_eq!((back.scene_id.as_str(), back.data.as_str()), ("bafk", "{}"));
        let binary = rfc4::Scene { scene_id: "bafk".to_owned(), data: vec![0xff] };
        assert_eq!(to_data(&later(Later::Scene(binary)), CONTEXT), Translation::None);
    }

    #[test]
    fn what_has_no_words_is_told_from_what_nobody_knows() {
        for message in [
            Older::ProfileRequest(data::ProfileRequest::default()),
            Older::ProfileResponse(data::ProfileResponse::default()),
            Older::Voice(data::Voice::default()),
        ] {
            assert_eq!(to_rfc4(&older(message)), Translation::None);
        }
        for message in [
            Later::ProfileRequest(rfc4::ProfileRequest::default()),
            Later::ProfileResponse(rfc4::ProfileResponse::default()),
            Later::Voice(rfc4::Voice::default()),
        ] {
            assert_eq!(to_data(&later(message), CONTEXT), Translation::None);
        }
        // Cases of later years.
        for case in [8_u8, 9, 10, 12, 13, 14, 15] {
            assert_eq!(to_data(&[case << 3 | 2, 0], CONTEXT), Translation::None, "{case}");
        }
        for unknown in [&b""[..], &[1, 2, 3], b"hello", &[0x0a, 0x7f]] {
            assert_eq!(to_data(unknown, CONTEXT), Translation::Unknown, "{unknown:?}");
            assert_eq!(to_rfc4(unknown), Translation::Unknown, "{unknown:?}");
        }
    }

    proptest! {
        #[test]
        fn garbage_never_panics(packet in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = (to_rfc4(&packet), to_data(&packet, CONTEXT));
        }
    }
}
