//! Rooms entered by a token or a proof, and what ends a seat in them.

use super::*;
use crate::auth::signing::Key;
use crate::auth::{RoomKeys, RoomTokenError};
use crate::room::SessionId;

const URL: &str = "wss://edge.example.org/rooms";

fn keys() -> RoomKeys {
    RoomKeys::new(b"the secret of these tests", None)
}

/// A region with tokens, and rooms of its own.
fn region_with(rules: &[&str]) -> Region {
    let rooms = NamedRooms(rules.iter().map(|rule| rule.parse().unwrap()).collect());
    let settings = Settings { rooms, room_keys: Some(keys()), ..settings() };
    Region::start(settings, Arc::new(TestHost(Instant::now())), Arc::new(LocalBus::default()))
}

async fn by_token(region: &Region, room: &str, token: &str) -> Result<Grant, GrantError> {
    region.grant_in(room, Right::Token(token)).await
}

async fn by_proof(region: &Region, room: &str, wallet: &Key) -> Result<Grant, GrantError> {
    let challenge = region.kernel_challenge();
    let auth_chain_json = simple_chain(wallet, challenge.as_str());
    region.grant_in(room, Right::Proof(Proof::SignedChallenge { challenge, signer: None, auth_chain_json })).await
}

async fn sit(region: &Region, grant: Grant) -> (Seat, Ear) {
    let ear = Ear::default();
    (region.join(grant, Box::new(ear.clone())).await.unwrap(), ear)
}

fn simple_chain(wallet: &Key, text: &str) -> String {
    serde_json::Value::from(vec![wallet.owner(), wallet.signed_entity(text)]).to_string()
}

fn token(room: &str, number: u8, session: Option<SessionId>, now: u64) -> String {
    keys().mint(&format!("{URL}/{room}"), address(number), session, now).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_token_of_a_session_is_good_while_it_stands_there() {
    let region = region_with(&[]);
    let session = session(&region, 1);
    move_to(&region, 1, "I1");
    let mine = token("I1", 1, Some(session.id()), 0);
    let (seat, ear) = sit(&region, by_token(&region, "I1", &mine).await.unwrap()).await;
    settle().await;
    // The same session once more is a reseat.
    let (again, _) = sit(&region, by_token(&region, "I1", &mine).await.unwrap()).await;
    settle().await;
    assert_eq!((seat.alias(), ear.last()), (again.alias(), Some("closed")));
    assert_eq!(region.status().seats, 1);

    assert!(matches!(by_token(&region, "I2", &mine).await, Err(GrantError::Token(RoomTokenError::OtherRoom))));
    let of_another = token("I1", 1, Some(SessionId(session.id().0 + 1)), 0);
    assert!(matches!(by_token(&region, "I1", &of_another).await, Err(GrantError::Stale)));
    let granted = by_token(&region, "I1", &mine).await.unwrap();
    move_to(&region, 1, "I2");
    assert!(matches!(by_token(&region, "I1", &mine).await, Err(GrantError::Stale)));
    assert_eq!(region.join(granted, Box::new(Ear::default())).await.unwrap_err(), JoinFailed::Stale);
    tokio::time::sleep(Duration::from_secs(400)).await;
    let late = by_token(&region, "I1", &mine).await;
    assert!(matches!(late, Err(GrantError::Token(RoomTokenError::Expired))));
    let without_keys = super::region();
    assert!(matches!(by_token(&without_keys, "I1", &mine).await, Err(GrantError::NoSuchRoom)));
}

#[tokio::test(start_paused = true)]
async fn the_next_island_does_not_end_the_seat_in_the_last_at_once() {
    let region = region_with(&[]);
    let session = session(&region, 1);
    move_to(&region, 1, "I1");
    let grant = by_token(&region, "I1", &token("I1", 1, Some(session.id()), 0)).await.unwrap();
    let (first, ear) = sit(&region, grant).await;
    move_to(&region, 1, "I2");
    let grant = by_token(&region, "I2", &token("I2", 1, Some(session.id()), 0)).await.unwrap();
    let (second, _) = sit(&region, grant).await;
    settle().await;
    assert_ne!(ear.last(), Some("closed"));
    assert_eq!(region.status().seats, 2);
    let began = Instant::now();
    assert_eq!(first.over().await, Over::LeftBehind);
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    // Told once more of the same island, it is still there.
    move_to(&region, 1, "I2");
    assert!(tokio::time::timeout(Duration::from_secs(100), second.over()).await.is_err());
    drop(session);
    assert_eq!((first.over().await, second.over().await), (Over::Ended, Over::Ended));
}

#[tokio::test(start_paused = true)]
async fn another_session_kicks_and_ends_the_seats_of_the_first() {
    let region = region_with(&[]);
    let first = session(&region, 1);
    move_to(&region, 1, "I1");
    let old = token("I1", 1, Some(first.id()), 0);
    let (seat, ear) = sit(&region, by_token(&region, "I1", &old).await.unwrap()).await;
    settle().await;
    let second = session(&region, 1);
    assert_eq!(seat.over().await, Over::Kicked);
    move_to(&region, 1, "I1");
    let new = token("I1", 1, Some(second.id()), 0);
    let (successor, _) = sit(&region, by_token(&region, "I1", &new).await.unwrap()).await;
    settle().await;
    assert_eq!(ear.last(), Some("closed"));
    assert_ne!(seat.alias(), successor.alias());
    assert!(matches!(by_token(&region, "I1", &old).await, Err(GrantError::Stale)), "it cannot come back");
    assert_eq!(region.status().seats, 1);
}

#[tokio::test(start_paused = true)]
async fn a_foreign_token_is_the_sessions_where_that_stands_and_nobodys_elsewhere() {
    let region = region_with(&[]);
    let (_session, _seat, ear) = seated(&region, 1).await;
    settle().await;
    let (_again, _) = sit(&region, by_token(&region, "I1", &token("I1", 1, None, 0)).await.unwrap()).await;
    settle().await;
    assert_eq!((ear.last(), region.status().seats), (Some("closed"), 1), "a reseat");
    let (elsewhere, ear) = sit(&region, by_token(&region, "I9", &token("I9", 1, None, 0)).await.unwrap()).await;
    settle().await;
    assert_eq!(region.status().seats, 2);
    assert_eq!(at_once(elsewhere.over()).await, None);
    let (_later, _) = sit(&region, by_token(&region, "I9", &token("I9", 1, None, 0)).await.unwrap()).await;
    settle().await;
    assert_eq!((ear.last(), region.status().seats), (Some("closed"), 2), "somebody anew");
}

#[tokio::test(start_paused = true)]
async fn rules_say_who_enters_with_a_proof() {
    let (one, other) = (Key::of(1), Key::of(2));
    let region = region_with(&["vip-* token", &format!("club {}", one.address()), "world-* open"]);
    for (room, wallet, admitted) in [
        ("world-a", &one, true),
        ("world-b", &other, true),
        ("club", &one, true),
        ("club", &other, false),
        ("vip-x", &one, false),
        ("I1", &one, false),
        ("world-/", &one, false),
        ("", &one, false),
    ] {
        let granted = by_proof(&region, room, wallet).await;
        assert_eq!(granted.is_ok(), admitted, "{room} {granted:?}");
        assert!(admitted || matches!(granted, Err(GrantError::NoSuchRoom)));
    }
    let (first, ear) = sit(&region, by_proof(&region, "world-a", &one).await.unwrap()).await;
    settle().await;
    let (second, _) = sit(&region, by_proof(&region, "world-a", &one).await.unwrap()).await;
    settle().await;
    assert_eq!(ear.last(), Some("closed"));
    assert_ne!(first.alias(), second.alias(), "who comes later kicks who came before");
    let challenge = region.kernel_challenge();
    let auth_chain_json = simple_chain(&one, "something else");
    let proof = Proof::SignedChallenge { challenge, signer: None, auth_chain_json };
    let refused = region.grant_in("world-a", Right::Proof(proof)).await;
    assert!(matches!(refused, Err(GrantError::Login(LoginError::Unauthorized(_)))));
}

#[tokio::test(start_paused = true)]
async fn a_proof_is_the_sessions_in_its_island_and_a_session_enters_rooms_by_rule() {
    let wallet = Key::of(1);
    let region = region_with(&["world-* open"]);
    let place = [192, 0, 2, 1].into();
    let session = Session::open(&region.inner, wallet.address(), place, Capabilities::NONE).unwrap();
    let message = IslandChangedMessage::default();
    let event = SessionEvent::IslandChanged(message);
    region.inner.registry.move_to(wallet.address(), RoomId::new("I1"), |_, _| Some(event));
    let (seat, _) = seat(&region, &session).await;
    let (again, _) = sit(&region, by_proof(&region, "I1", &wallet).await.unwrap()).await;
    settle().await;
    assert_eq!(seat.alias(), again.alias());
    let grant = region.grant_in("I1", Right::Session(&session)).await.unwrap();
    assert_eq!((grant.room(), grant.sender()), (&RoomId::new("I1"), &Sender::Peer(wallet.address())));
    let (world, _) = sit(&region, region.grant_in("world-a", Right::Session(&session)).await.unwrap()).await;
    assert!(matches!(region.grant_in("I2", Right::Session(&session)).await, Err(GrantError::NoSuchRoom)));
    drop(session);
    assert_eq!(world.over().await, Over::Ended, "its end is that of its seats everywhere");
}

#[tokio::test(start_paused = true)]
async fn nobody_proves_its_way_to_the_seat_of_a_native_client() {
    let wallet = Key::of(1);
    let region = region_with(&["world-* open"]);
    let native = Capabilities::NONE.with(Transport::Quic);
    let session = Session::open(&region.inner, wallet.address(), [192, 0, 2, 1].into(), native).unwrap();
    region.inner.registry.move_to(wallet.address(), RoomId::new("I1"), |_, _| None);
    let (_seat, ear) = seat(&region, &session).await;
    assert!(matches!(by_proof(&region, "I1", &wallet).await, Err(GrantError::NoSuchRoom)));
    let token = keys().mint(&format!("{URL}/I1"), wallet.address(), None, 0).unwrap();
    assert!(matches!(by_token(&region, "I1", &token).await, Err(GrantError::NoSuchRoom)));
    settle().await;
    assert_ne!(ear.last(), Some("closed"));
    assert!(by_proof(&region, "world-a", &wallet).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_rule_opens_no_islands_room_even_if_it_has_its_name() {
    let region = region_with(&["* open"]);
    let _session = session(&region, 1);
    move_to(&region, 1, "I1");
    let by_session = by_token(&region, "I1", &token("I1", 1, None, 0)).await.unwrap();
    let by_rule = by_proof(&region, "I1", &Key::of(2)).await.unwrap();
    assert_eq!(by_session.room().as_str(), by_rule.room().as_str());
    let (inside, outside) = (sit(&region, by_session).await, sit(&region, by_rule).await);
    assert_ne!(inside.0.tag(), outside.0.tag());
    // Where no rule is, a token opens an island's room to a peer whose session is elsewhere.
    let region = region_with(&[]);
    let grant = by_token(&region, "I1", &token("I1", 3, None, 0)).await.unwrap();
    assert_eq!(grant.room(), &RoomId::new("I1"));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_a_door_has_checked_is_good_for_what_ours_are() {
    let region = region_with(&["world-* open"]);
    let session = session(&region, 1);
    let verified = |session: Option<SessionId>, hidden| VerifiedToken { address: address(1), session, hidden };
    let grant = async |room: &str, token| region.grant_in(room, Right::Verified(token)).await;
    let mine = verified(Some(session.id()), true);
    assert!(matches!(grant("I1", mine).await, Err(GrantError::Stale)), "before it stands anywhere");
    move_to(&region, 1, "I1");
    let granted = grant("I1", mine).await.unwrap();
    assert!(granted.is_of_island() && granted.is_hidden());
    let (seat, _) = sit(&region, granted).await;
    let (_witness_session, _witness, _) = seated(&region, 2).await;
    settle().await;
    assert_eq!(region.status().seats, 2, "who hides has a seat");
    // As with ours, one without a session is the session's where that stands.
    let (same, _) = sit(&region, grant("I1", verified(None, true)).await.unwrap()).await;
    assert_eq!(same.alias(), seat.alias());
    assert!(grant("world-a", verified(None, false)).await.is_ok());
    for (room, token) in [("world-a", mine), ("I1", verified(Some(SessionId(session.id().0 + 1)), false))] {
        assert!(matches!(grant(room, token).await, Err(GrantError::Stale)), "{room} {token:?}");
    }
    assert!(matches!(grant("a/b", verified(None, false)).await, Err(GrantError::NoSuchRoom)));
    move_to(&region, 1, "I2");
    assert!(matches!(grant("I1", mine).await, Err(GrantError::Stale)), "the island was left for good");
    drop(session);
    assert!(matches!(grant("I2", mine).await, Err(GrantError::Stale)), "and so was the region");
}
