//! What a client says in its room.

use super::Generation;
use crate::counters::RoomCounters;
use crate::ended::Ended;
use atoll_core::region::{Seat, SendFailed};
use atoll_core::room::{Delivery, Older, Payload};
use atoll_proto::decode;
use atoll_proto::rfc5::ws_packet::Message;
use atoll_proto::rfc5::{WsPacket, WsPeerUpdate};
use atoll_proto::ws_2022::ws_message::Data;
use atoll_proto::ws_2022::{WsIdentity, WsMessage, WsSystem};

/// A packet, and what is asked for it.
#[derive(Debug, Clone)]
pub struct Said {
    /// What is asked for it. Only ordered packets are larger than a datagram carries.
    pub delivery: Delivery,
    /// The packet.
    pub payload: Payload,
}

/// What a message says to the others; `None` when nothing: what is unknown or cannot be read never ends a connection.
pub fn read(generation: Generation, message: &[u8]) -> Option<Said> {
    match generation {
        Generation::Rfc5 => match decode::<WsPacket>(message).ok()?.message? {
            Message::PeerUpdateMessage(WsPeerUpdate { body, unreliable, .. }) => {
                let delivery = if unreliable { Delivery::unreliable(&body) } else { Delivery::Ordered };
                Some(Said { delivery, payload: bytes::Bytes::from(body).into() })
            }
            _ => None,
        },
        Generation::First => {
            let (data, with_identity) = match decode::<WsMessage>(message).ok()?.data? {
                Data::SystemMessage(WsSystem { body, .. }) => (body, false),
                Data::IdentityMessage(WsIdentity { body, .. }) => (body, true),
                Data::WelcomeMessage(_) => return None,
            };
            let delivery = match Delivery::unreliable(&data) {
                unreliable @ (Delivery::Update | Delivery::Voice) if !with_identity => unreliable,
                _ => Delivery::Ordered,
            };
            Some(Said { delivery, payload: Older { data: data.into(), with_identity }.into() })
        }
    }
}

/// Whether a message is what kernels of RFC-5 say first, also those that a token has let in already.
pub(super) fn is_identification(generation: Generation, message: &[u8]) -> bool {
    let said = || decode::<WsPacket>(message).ok()?.message;
    generation == Generation::Rfc5 && matches!(said(), Some(Message::PeerIdentification(_)))
}

/// Passes on what a client says. Waits while the room has no place for what may not be lost.
pub(super) async fn say(seat: &Seat, Said { delivery, payload }: Said, counters: &RoomCounters) -> Result<(), Ended> {
    if payload.rfc4().is_none() {
        counters.untranslated.add(1);
    }
    if delivery != Delivery::Ordered {
        if seat.send(delivery, None, payload).is_err() {
            counters.refused.add(1);
        }
        return Ok(());
    }
    match seat.send_ordered(payload).await {
        Ok(()) => Ok(()),
        Err(SendFailed::Ending) => Err(Ended::Ending),
        Err(SendFailed::TooLarge(_)) => {
            counters.refused.add(1);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use atoll_proto::datagram::MAX_PAYLOAD;
    use atoll_proto::{data, rfc4};
    use bytes::Bytes;
    use prost::Message as _;

    fn rfc5(body: Vec<u8>, unreliable: bool) -> Option<Said> {
        let update = WsPeerUpdate { from_alias: 9, body, unreliable };
        read(Generation::Rfc5, &WsPacket { message: Some(Message::PeerUpdateMessage(update)) }.encode_to_vec())
    }

    fn first(message: Data) -> Option<Said> {
        read(Generation::First, &WsMessage { data: Some(message) }.encode_to_vec())
    }

    fn position() -> Vec<u8> {
        let position = rfc4::Position { position_x: 1.0, ..Default::default() };
        rfc4::Packet { message: Some(rfc4::packet::Message::Position(position)) }.encode_to_vec()
    }

    #[test]
    fn rfc5_says_by_a_flag_what_may_be_lost() {
        let voice = rfc4::Packet { message: Some(rfc4::packet::Message::Voice(rfc4::Voice::default())) };
        for (body, unreliable, delivery) in [
            (position(), true, Delivery::Update),
            (position(), false, Delivery::Ordered),
            (voice.encode_to_vec(), true, Delivery::Voice),
            (vec![1, 2, 3], true, Delivery::Event),
            (vec![1, 2, 3], false, Delivery::Ordered),
            (Vec::new(), true, Delivery::Event),
            (vec![1; MAX_PAYLOAD], true, Delivery::Event),
            (vec![1; MAX_PAYLOAD + 1], true, Delivery::Ordered),
        ] {
            let said = rfc5(body.clone(), unreliable).unwrap();
            assert_eq!(said.delivery, delivery, "{body:?} {unreliable}");
            assert_eq!(said.payload.rfc4(), Some(&Bytes::from(body)));
        }
    }

    #[test]
    fn the_first_generation_goes_by_kind() {
        use data::data::Message as Older;
        let packet = |message| data::Data { message: Some(message) }.encode_to_vec();
        let position = packet(Older::Position(data::Position { time: 1.0, ..Default::default() }));
        let system = |body: &[u8]| first(Data::SystemMessage(WsSystem { from_alias: 9, body: body.to_vec() })).unwrap();
        let identity = |body: &[u8]| {
            let message = WsIdentity { from_alias: 9, identity: "somebody else".to_owned(), body: body.to_vec() };
            first(Data::IdentityMessage(message)).unwrap()
        };
        assert_eq!(system(&position).delivery, Delivery::Update);
        assert_eq!(identity(&position).delivery, Delivery::Ordered);
        assert_eq!(system(&packet(Older::Voice(data::Voice::default()))).delivery, Delivery::Voice);
        for reliable in
            [packet(Older::Chat(data::Chat::default())), packet(Older::Scene(data::Scene::default())), vec![7]]
        {
            let said = system(&reliable);
            assert_eq!(said.delivery, Delivery::Ordered);
            assert_eq!(said.payload.older().map(|older| older.data.to_vec()), Some(reliable));
        }
        assert!(identity(&[]).payload.older().unwrap().with_identity);
    }

    #[test]
    fn what_says_nothing_is_passed_over() {
        use atoll_proto::rfc5::{WsIdentification, WsKicked};
        for message in [
            Message::PeerIdentification(WsIdentification { address: "0x".to_owned() }),
            Message::PeerKicked(WsKicked::default()),
        ] {
            let bytes = WsPacket { message: Some(message) }.encode_to_vec();
            assert!(read(Generation::Rfc5, &bytes).is_none());
            let is_identification =
                matches!(WsPacket::decode(&bytes[..]).unwrap().message, Some(Message::PeerIdentification(_)));
            assert_eq!(super::is_identification(Generation::Rfc5, &bytes), is_identification);
            assert!(!super::is_identification(Generation::First, &bytes));
        }
        for odd in [&b""[..], &[0x7a, 1, 9], &[0xff; 9], &[0x1a, 0x7f], b"hello"] {
            assert!(read(Generation::Rfc5, odd).is_none() && read(Generation::First, odd).is_none(), "{odd:?}");
        }
        assert!(first(Data::WelcomeMessage(atoll_proto::ws_2022::WsWelcome { alias: 1 })).is_none());
    }
}
