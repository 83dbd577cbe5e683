//! Programs that govern rooms by LiveKit's server API, whatever clients are in them.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use atoll_client::{Event, Position, Wallet, Way};
use atoll_proto::atoll::ErrorCode;
use atoll_proto::rfc5::ws_packet::Message as Rfc5Message;
use atoll_tests::livekit::{API_KEY, API_SECRET, Api, Bot, Lane, VARIABLES, now, signed, token};
use atoll_tests::room::Rfc5;
use atoll_tests::{Edge, Peer, chat, within};
use data_encoding::BASE64;
use livekit_protocol::signal_response::Message as Signal;
use livekit_protocol::{
    DisconnectReason, ListParticipantsRequest, ListParticipantsResponse, ListRoomsRequest, ListRoomsResponse,
    SendDataRequest, SendDataResponse, TrackSource,
};
use serde_json::{Value, json};

const ROOM: &str = "world-a";

async fn edge() -> Edge {
    Edge::start_with_variables(&VARIABLES).await
}

fn admin(edge: &Edge) -> Api {
    let grants = json!({ "roomList": true, "roomCreate": true, "roomAdmin": true, "room": ROOM });
    Api::granted(edge.http(), grants)
}

async fn bot(edge: &Edge, grants: Value) -> Bot {
    let identity = Wallet::random().unwrap().address().to_string();
    Bot::join(edge.http(), &token(ROOM, &identity, grants)).await
}

async fn native(edge: &Edge) -> Peer {
    let peer = edge.peer(Way::WebTransport).await;
    peer.join_room(&format!("quic:{ROOM}")).unwrap();
    peer
}

/// A client of each kind in one room, and what they are called.
async fn company(edge: &Edge) -> (Bot, Rfc5, Peer, [String; 3]) {
    let mut bot = bot(edge, json!({})).await;
    let wallet = Wallet::random().unwrap();
    let mut kernel = Rfc5::signed_in(edge.http(), ROOM, &wallet).await;
    let mut peer = native(edge).await;
    peer.seated(3).await;
    let names = [bot.identity().to_owned(), wallet.address().to_string(), peer.address().to_string()];
    bot.among(&names[1..]).await;
    kernel.among(&[names[0].clone(), names[2].clone()]).await;
    (bot, kernel, peer, names)
}

async fn lost_its_room(peer: &mut Peer) {
    within("the loss of the room", async {
        loop {
            if matches!(peer.next_event().await, Event::Refused { code: ErrorCode::RoomLost, .. }) {
                return;
            }
        }
    })
    .await;
}

fn identities(list: &Value) -> Vec<&str> {
    list["participants"].as_array().unwrap().iter().map(|one| one["identity"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_in_a_room_is_listed_in_json_and_in_protobuf() {
    let edge = edge().await;
    let api = admin(&edge);
    assert_eq!(api.does("ListRooms", json!({})).await, json!({}));
    let (bot, _kernel, _peer, names) = company(&edge).await;
    let rooms = api.does("ListRooms", json!({})).await;
    let room = rooms["rooms"].as_array().unwrap().iter().find(|room| room["name"] == ROOM).unwrap();
    assert_eq!(room["numParticipants"], 3);
    assert_eq!(room["sid"], bot.joined.room.as_ref().unwrap().sid.as_str());
    assert!(room["creationTime"].as_str().unwrap().parse::<u64>().unwrap() <= now(), "{room}");
    let of = |names: &[&str]| ListRoomsRequest { names: names.iter().map(|&name| name.to_owned()).collect() };
    let named: ListRoomsResponse = api.says("ListRooms", &of(&[ROOM, "elsewhere"])).await;
    assert_eq!(named.rooms.iter().map(|room| room.name.as_str()).collect::<Vec<_>>(), [ROOM]);
    let none: ListRoomsResponse = api.says("ListRooms", &of(&["elsewhere"])).await;
    assert!(none.rooms.is_empty());

    let list = api.does("ListParticipants", json!({ "room": ROOM })).await;
    assert_eq!(identities(&list), names);
    let request = ListParticipantsRequest { room: ROOM.to_owned() };
    let list: ListParticipantsResponse = api.says("ListParticipants", &request).await;
    assert_eq!(list.participants[0].sid, bot.sid());
    assert!(list.participants.iter().all(|info| info.joined_at > 0 && info.permission.is_some()), "{list:?}");
    for (info, other) in list.participants[1..].iter().map(|info| (info, &bot.others[&info.identity])) {
        assert_eq!(info.sid, other.sid, "as its company knows it");
    }
    // Addresses are the same in any spelling.
    let shouted = format!("0x{}", names[1][2..].to_uppercase());
    let one = api.does("GetParticipant", json!({ "room": ROOM, "identity": shouted })).await;
    assert_eq!(one["identity"], names[1].as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_removed_hears_of_it_by_any_door() {
    let edge = edge().await;
    let api = admin(&edge);
    let (mut bot, mut kernel, mut peer, names) = company(&edge).await;
    let remove = |name: &str| json!({ "room": ROOM, "identity": name });
    assert_eq!(api.does("RemoveParticipant", remove(&names[1])).await, json!({}));
    let last = loop {
        match kernel.next_or_end().await {
            Ok(Rfc5Message::PeerKicked(kicked)) => assert!(kicked.reason.contains("removed"), "{kicked:?}"),
            Ok(_) => {}
            Err(closed) => break closed,
        }
    };
    assert_eq!(last.code, Some(1008), "{last:?}");
    bot.among(&names[2..]).await;
    api.does("RemoveParticipant", remove(&names[2])).await;
    lost_its_room(&mut peer).await;
    bot.among(&[]).await;
    assert_eq!(api.is_refused("RemoveParticipant", remove(&names[2])).await, (404, "not_found".to_owned()));
    api.does("RemoveParticipant", remove(&names[0])).await;
    assert_eq!(bot.left().await.reason(), DisconnectReason::ParticipantRemoved);
    assert_eq!(api.is_refused("ListParticipants", json!({ "room": ROOM })).await, (404, "not_found".to_owned()));
    let (_, page) = edge.get("/metrics").await;
    assert!(page.contains("atoll_kernel_closed_total{door=\"ws_room\",reason=\"removed\"} 1"), "{page}");
    // Nobody is shut out: as with LiveKit, that takes another token.
    peer.join_room(&format!("quic:{ROOM}")).unwrap();
    peer.seated(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seat_in_an_island_is_taken_away_too() {
    let edge = edge().await;
    let mut peer = edge.peer(Way::Quic).await;
    peer.heartbeat(Position::default());
    let island = peer.seated(1).await.id;
    let api = Api::granted(edge.http(), json!({ "roomAdmin": true, "room": island, "roomList": true }));
    let list = api.does("ListParticipants", json!({ "room": island })).await;
    assert_eq!(identities(&list), [peer.address().to_string()]);
    api.does("RemoveParticipant", json!({ "room": island, "identity": peer.address().to_string() })).await;
    lost_its_room(&mut peer).await;
    assert_eq!(api.does("ListRooms", json!({})).await, json!({}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_is_made_and_told_of_and_ends() {
    let edge = edge().await;
    let api = admin(&edge);
    let request = json!({ "name": ROOM, "metadata": "first", "empty_timeout": 7, "maxParticipants": 2 });
    let made = api.does("CreateRoom", request).await;
    assert_eq!((&made["name"], &made["metadata"], &made["emptyTimeout"]), (&json!(ROOM), &json!("first"), &json!(7)));
    assert_eq!(api.does("ListRooms", json!({})).await["rooms"][0]["sid"], made["sid"]);
    assert_eq!(api.does("ListParticipants", json!({ "room": ROOM })).await, json!({}));
    let (mut bot, mut kernel, mut peer, _) = company(&edge).await;
    let room = bot.joined.room.clone().unwrap();
    assert_eq!((room.metadata.as_str(), room.sid.as_str()), ("first", made["sid"].as_str().unwrap()));
    let updated = api.does("UpdateRoomMetadata", json!({ "room": ROOM, "metadata": "second" })).await;
    assert_eq!((&updated["metadata"], &updated["numParticipants"]), (&json!("second"), &json!(3)));
    let told = |signal: &Signal| match signal {
        Signal::RoomUpdate(update) => update.room.as_ref().filter(|room| room.metadata == "second").cloned(),
        _ => None,
    };
    assert_eq!(bot.signal("an update of the room", told).await.num_participants, 3);
    assert_eq!(api.does("CreateRoom", json!({ "name": ROOM })).await["metadata"], "second", "it was there");

    api.does("DeleteRoom", json!({ "room": ROOM })).await;
    assert_eq!(bot.left().await.reason(), DisconnectReason::RoomDeleted);
    lost_its_room(&mut peer).await;
    while kernel.next_or_end().await.is_ok() {}
    assert_eq!(api.is_refused("DeleteRoom", json!({ "room": ROOM })).await, (404, "not_found".to_owned()));
    let missing = json!({ "room": ROOM, "metadata": "third" });
    assert_eq!(api.is_refused("UpdateRoomMetadata", missing).await, (404, "not_found".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_program_sends_reaches_all_or_those_it_is_for() {
    let edge = edge().await;
    let api = admin(&edge);
    let (mut bot, mut kernel, mut peer, names) = company(&edge).await;
    let data = chat("to all");
    let request = SendDataRequest { room: ROOM.to_owned(), data: data.to_vec(), ..Default::default() };
    let _: SendDataResponse = api.says("SendData", &request).await;
    let heard = bot.hears().await;
    assert_eq!((heard.from.as_str(), &heard.payload[..], heard.lane), ("", &data[..], Lane::Reliable), "nobody's");
    let message = peer.message().await;
    assert_eq!((&*message.sender.name, &message.payload), ("server:livekit", &data));
    assert_eq!(kernel.hears().await, ("server:livekit".to_owned(), data.to_vec(), false));

    let lossy = chat("lossily");
    let request = json!({ "room": ROOM, "data": BASE64.encode(&lossy), "kind": "LOSSY", "topic": "weather" });
    api.does("SendData", request).await;
    let heard = bot.hears().await;
    assert_eq!((&heard.payload[..], heard.lane, heard.topic.as_deref()), (&lossy[..], Lane::Lossy, Some("weather")));
    assert_eq!(kernel.hears().await, ("server:livekit".to_owned(), lossy.to_vec(), true));

    for (at, name) in names.iter().enumerate() {
        let data = chat(&format!("for {at}"));
        let request = json!({ "room": ROOM, "data": BASE64.encode(&data), "destinationIdentities": [name] });
        api.does("SendData", request).await;
    }
    let by_sid = json!({ "room": ROOM, "data": BASE64.encode(&chat("by sid")), "destination_sids": [bot.sid()] });
    api.does("SendData", by_sid).await;
    assert_eq!(bot.hears().await.payload, chat("for 0"));
    assert_eq!(bot.hears().await.payload, chat("by sid"));
    assert_eq!(kernel.hears().await.1, chat("for 1").to_vec());
    assert_eq!(peer.message().await.payload, chat("for 2"));
    assert!(!bot.heard_more());
    // It has no seat, and is in no list.
    assert_eq!(identities(&api.does("ListParticipants", json!({ "room": ROOM })).await).len(), 3);
    assert_eq!(bot.others.len(), 2);
    let large = json!({ "room": ROOM, "data": BASE64.encode(&vec![0; 64_001]) });
    assert_eq!(api.is_refused("SendData", large).await, (400, "invalid_argument".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_participant_is_called_and_may_do_is_changed_at_once() {
    let edge = edge().await;
    let api = admin(&edge);
    let (mut speaker, mut witness) = (bot(&edge, json!({})).await, bot(&edge, json!({})).await);
    let (track, _sound) = speaker.publish("microphone", TrackSource::Microphone).await.unwrap();
    let identity = speaker.identity().to_owned();
    witness.sees(&identity, |info| info.tracks.len() == 1).await;
    let update = |more: Value| {
        let mut request = json!({ "room": ROOM, "identity": identity });
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        request
    };
    let named = json!({ "name": "Ann", "metadata": "m", "attributes": { "a": "1", "b": "2" } });
    assert_eq!(api.does("UpdateParticipant", update(named)).await["name"], "Ann");
    api.does("UpdateParticipant", update(json!({ "attributes": { "a": "" } }))).await;
    let seen = witness.sees(&identity, |info| info.attributes.len() == 1).await;
    assert_eq!((seen.name.as_str(), seen.metadata.as_str(), &*seen.attributes["b"]), ("Ann", "m", "2"));
    speaker.say(Lane::Reliable, &chat("still")).await.unwrap();
    assert_eq!(witness.hears().await.payload, chat("still"));

    // As a gatekeeper mutes: what is not said is not allowed.
    api.does("UpdateParticipant", update(json!({ "permission": {} }))).await;
    witness.sees(&identity, |info| info.tracks.is_empty()).await;
    let ended = |signal: &Signal| match signal {
        Signal::TrackUnpublished(ended) => Some(ended.track_sid.clone()),
        _ => None,
    };
    assert_eq!(speaker.signal("the end of the track", ended).await, track);
    assert!(speaker.publish("again", TrackSource::Microphone).await.is_err());
    // Nor when it comes back, though its first token still allows it.
    speaker.cut();
    speaker.resume().await.unwrap();
    assert!(speaker.publish("once more", TrackSource::Microphone).await.is_err());
    speaker.say(Lane::Reliable, &chat("unheard")).await.unwrap();
    let all = json!({ "canPublish": true, "canPublishData": true, "canSubscribe": true });
    let more = api.does("UpdateParticipant", update(json!({ "permission": all }))).await;
    assert_eq!(more["permission"]["canPublishData"], true);
    let may = |signal: &Signal| match signal {
        Signal::Update(update) => {
            let own = update.participants.iter().find(|info| info.identity == identity)?;
            own.permission
                .as_ref()
                .filter(|permission| permission.can_publish_data && own.tracks.is_empty())
                .map(|_| ())
        }
        _ => None,
    };
    speaker.signal("the permission", may).await;
    // The one before was passed over when it came.
    speaker.say(Lane::Reliable, &chat("heard again")).await.unwrap();
    let mut heard = witness.hears().await.payload;
    if heard == chat("unheard") {
        heard = witness.hears().await.payload;
    }
    assert_eq!(heard, chat("heard again"));

    // Of those by other doors there is nothing to change.
    let peer = native(&edge).await;
    witness.among(&[identity.clone(), peer.address().to_string()]).await;
    let other = json!({ "room": ROOM, "identity": peer.address().to_string(), "name": "Bob" });
    assert_eq!(api.is_refused("UpdateParticipant", other).await, (412, "failed_precondition".to_owned()));
    let large = update(json!({ "metadata": "x".repeat(64 * 1024 + 1) }));
    assert_eq!(api.is_refused("UpdateParticipant", large).await, (400, "invalid_argument".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_and_what_there_is_not() {
    let edge = edge().await;
    let _bot = bot(&edge, json!({})).await;
    let refused = |code: &str, status: u16| (status, code.to_owned());
    let calls = [
        ("ListRooms", json!({})),
        ("CreateRoom", json!({ "name": "x" })),
        ("DeleteRoom", json!({ "room": ROOM })),
        ("ListParticipants", json!({ "room": ROOM })),
        ("GetParticipant", json!({ "room": ROOM, "identity": "x" })),
        ("RemoveParticipant", json!({ "room": ROOM, "identity": "x" })),
        ("UpdateParticipant", json!({ "room": ROOM, "identity": "x" })),
        ("UpdateRoomMetadata", json!({ "room": ROOM, "metadata": "x" })),
        ("SendData", json!({ "room": ROOM })),
    ];
    let claims = |iss: &str, exp: u64| json!({ "iss": iss, "exp": exp, "video": { "roomList": true } });
    let tokens = [
        String::new(),
        "garbage".to_owned(),
        signed(&claims(API_KEY, now() - 1), API_SECRET),
        signed(&claims("other", now() + 300), API_SECRET),
        signed(&claims(API_KEY, now() + 300), "another secret that is long"),
    ];
    for token in &tokens {
        let api = Api::with(edge.http(), token);
        for (method, request) in &calls {
            assert_eq!(api.is_refused(method, request.clone()).await, refused("unauthenticated", 401), "{method}");
        }
    }
    // A client's own token, and that of whoever governs another room.
    let client = Api::with(edge.http(), &token(ROOM, "somebody", json!({})));
    let elsewhere = Api::granted(edge.http(), json!({ "roomAdmin": true, "room": "world-b" }));
    for api in [client, elsewhere] {
        for (method, request) in &calls {
            assert_eq!(api.is_refused(method, request.clone()).await, refused("permission_denied", 403), "{method}");
        }
    }
    let api = admin(&edge);
    for method in ["GetParticipant", "RemoveParticipant", "UpdateParticipant"] {
        let nobody = json!({ "room": ROOM, "identity": "nobody" });
        assert_eq!(api.is_refused(method, nobody).await, refused("not_found", 404), "{method}");
    }
    for name in ["", "a/b", "a b", &"x".repeat(129)] {
        assert_eq!(api.is_refused("CreateRoom", json!({ "name": name })).await, refused("invalid_argument", 400));
    }
    let metadata = json!({ "name": "x", "metadata": "x".repeat(64 * 1024 + 1) });
    assert_eq!(api.is_refused("CreateRoom", metadata).await, refused("invalid_argument", 400));
    for method in ["MutePublishedTrack", "UpdateSubscriptions", "Anything"] {
        assert_eq!(api.is_refused(method, json!({})).await, refused("unimplemented", 501), "{method}");
    }

    let raw = async |method: &str, path: &str, kind: &str, body: &[u8]| {
        let (status, body) = api.post(method, path, kind, body).await;
        let answer: Value = serde_json::from_slice(&body).unwrap();
        (status, answer["code"].as_str().unwrap().to_owned())
    };
    let list = "/twirp/livekit.RoomService/ListRooms";
    let (json, protobuf) = ("application/json", "application/protobuf");
    assert_eq!(raw("POST", "/twirp/livekit.Egress/ListEgress", json, b"{}").await, refused("unimplemented", 501));
    for path in ["/twirp/x", "/twirp/x/y", "/twirp/livekit.RoomService", "/twirp/livekit.RoomService/a/b"] {
        assert_eq!(raw("POST", path, json, b"{}").await, refused("bad_route", 404), "{path}");
    }
    assert_eq!(raw("GET", list, json, b"").await, refused("bad_route", 404));
    assert_eq!(raw("POST", list, "text/plain", b"{}").await, refused("bad_route", 404));
    for (kind, body) in [(json, &b"{"[..]), (json, b"[]"), (json, b"\xff"), (protobuf, b"\x0a\xff"), (protobuf, b"{}")]
    {
        assert_eq!(raw("POST", list, kind, body).await, refused("malformed", 400), "{body:?}");
    }
    let large = vec![b' '; 300 * 1024];
    assert_eq!(raw("POST", list, json, &large).await, refused("malformed", 400));
    assert_eq!(api.does("ListRooms", json!({})).await["rooms"].as_array().unwrap().len(), 1, "it goes on");
}
