//! What tokens of LiveKit do not allow, and sound between its clients.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use atoll_client::Wallet;
use atoll_tests::livekit::{Bot, Entrance, Lane, News, SILENCE, Side, Sound, Transport, VARIABLES, token};
use atoll_tests::room::Rfc5;
use atoll_tests::{Edge, chat, within};
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::signal_response::Message as Signal;
use livekit_protocol::{MuteTrackRequest, TrackSource};
use serde_json::{Value, json};
use std::time::Duration;

const ROOM: &str = "world-a";

async fn edge() -> Edge {
    Edge::start_with_variables(&VARIABLES).await
}

async fn bot(edge: &Edge, grants: Value) -> Bot {
    let identity = Wallet::random().unwrap().address().to_string();
    Bot::join(edge.http(), &token(ROOM, &identity, grants)).await
}

/// Speaks until `listener` has heard 10 packets of the track.
async fn speak(sound: &mut Sound, track: &str, listener: &mut Bot) {
    within("sound", async {
        let mut heard = Vec::new();
        while heard.len() < 10 {
            sound.play(&SILENCE, 20).await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
            while let Some((number, frame)) = listener.sound_of(track) {
                assert_eq!(&frame[..], SILENCE);
                heard.push(number);
            }
        }
        assert!(heard.windows(2).all(|pair| pair[0] < pair[1]), "{heard:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_goes_from_livekit_to_livekit() {
    let edge = edge().await;
    let (mut first, mut second) = (bot(&edge, json!({})).await, bot(&edge, json!({})).await);
    let mut third = bot(&edge, json!({})).await;
    let (track, mut sound) = first.publish("microphone", TrackSource::Microphone).await.unwrap();
    assert!(track.starts_with("TR_"));
    for listener in [&mut second, &mut third] {
        let info = listener.sees(first.identity(), |info| !info.tracks.is_empty()).await;
        assert_eq!((info.tracks[0].sid.as_str(), info.tracks[0].source()), (track.as_str(), TrackSource::Microphone));
        speak(&mut sound, &track, listener).await;
    }
    let sid = first.sid().to_owned();
    let speaks = |signal: &Signal| match signal {
        Signal::SpeakersChanged(change) => change.speakers.iter().any(|one| one.sid == sid && one.active).then_some(()),
        _ => None,
    };
    second.signal("a speaker", speaks).await;
    // A latecomer hears it, too.
    let mut late = bot(&edge, json!({})).await;
    speak(&mut sound, &track, &mut late).await;
    // What is muted is not heard.
    first.request(Request::Mute(MuteTrackRequest { sid: track.clone(), muted: true }));
    second.sees(first.identity(), |info| info.tracks.iter().all(|track| track.muted)).await;
    while late.sound_of(&track).is_some() {}
    for _ in 0..10 {
        sound.play(&SILENCE, 20).await.unwrap();
    }
    first.request(Request::Mute(MuteTrackRequest { sid: track.clone(), muted: false }));
    second.sees(first.identity(), |info| info.tracks.iter().all(|track| !track.muted)).await;
    speak(&mut sound, &track, &mut second).await;
    // Packets of a stream that was never offered cost nobody anything.
    for _ in 0..200 {
        sound.play_as(0xbad, &SILENCE, 20).await.unwrap();
    }
    speak(&mut sound, &track, &mut third).await;
    drop(first);
    second.among(&[third.identity().to_owned(), late.identity().to_owned()]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_whom_no_datagram_reaches_comes_by_tcp() {
    let edge = edge().await;
    let mut first = bot(&edge, json!({})).await;
    let identity = Wallet::random().unwrap().address().to_string();
    let by_tcp = Entrance { transport: Transport::Tcp, ..Entrance::default() };
    let mut second = Bot::join_by(edge.http(), &token(ROOM, &identity, json!({})), by_tcp).await;
    for (lane, words) in [(Lane::Reliable, "by TCP"), (Lane::Lossy, "still by TCP")] {
        second.say(lane, &chat(words)).await.unwrap();
        assert_eq!(first.hears().await.payload, chat(words));
        first.say(lane, &chat(words)).await.unwrap();
        assert_eq!(second.hears().await.payload, chat(words));
    }
    let (track, mut sound) = first.publish("microphone", TrackSource::Microphone).await.unwrap();
    speak(&mut sound, &track, &mut second).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_speak_by_data_is_not_heard() {
    let edge = edge().await;
    let mute = bot(&edge, json!({ "canPublishData": false })).await;
    let mut listener = bot(&edge, json!({})).await;
    let speaker = bot(&edge, json!({ "canPublishData": true, "canPublish": false })).await;
    mute.say(Lane::Reliable, &chat("not allowed")).await.unwrap();
    mute.say(Lane::Lossy, &chat("not allowed")).await.unwrap();
    speaker.say(Lane::Reliable, &chat("allowed")).await.unwrap();
    assert_eq!(listener.hears().await.payload, chat("allowed"));
    // It hears the others all the same, and is not sent away.
    listener.say(Lane::Reliable, &chat("to everybody")).await.unwrap();
    let mut mute = mute;
    while mute.hears().await.payload != chat("to everybody") {}
    assert!(!listener.heard_more());
    let permission = mute.joined.participant.as_ref().unwrap().permission.clone().unwrap();
    assert!(!permission.can_publish_data && permission.can_publish && permission.can_subscribe);
}

#[tokio::test(flavor = "multi_thread")]
async fn tracks_are_for_those_who_may() {
    let edge = edge().await;
    let mut deaf = bot(&edge, json!({ "canSubscribe": false })).await;
    let mut listener = bot(&edge, json!({})).await;
    let mut microphone = bot(&edge, json!({ "canPublishSources": ["microphone"] })).await;
    let mut silent = bot(&edge, json!({ "canPublish": false })).await;
    let screen = microphone.publish("screen", TrackSource::ScreenShareAudio).await.err();
    let unknown = microphone.publish("unknown", TrackSource::Unknown).await.err();
    let none = silent.publish("microphone", TrackSource::Microphone).await.err();
    for refused in [screen, unknown, none] {
        let refused = refused.unwrap().to_string();
        assert!(refused.contains("NOT_ALLOWED"), "{refused}");
    }
    let (track, mut sound) = microphone.publish("allowed", TrackSource::Microphone).await.unwrap();
    listener.sees(microphone.identity(), |info| info.tracks.len() == 1).await;
    speak(&mut sound, &track, &mut listener).await;
    assert!(deaf.sound_of(&track).is_none());
    assert!(
        !deaf
            .signals_so_far()
            .iter()
            .any(|signal| matches!(signal, Signal::Offer(offer) if offer.sdp.contains(&track)))
    );
    // It hears data, for which this grant is not.
    listener.say(Lane::Reliable, &chat("data")).await.unwrap();
    assert_eq!(deaf.hears().await.payload, chat("data"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_hidden_sees_and_is_not_seen() {
    let edge = edge().await;
    let mut witness = bot(&edge, json!({})).await;
    let kernels = Wallet::random().unwrap();
    let mut kernel = Rfc5::signed_in(edge.http(), ROOM, &kernels).await;
    let mut hidden = bot(&edge, json!({ "hidden": true })).await;
    hidden.among(&[witness.identity().to_owned(), kernels.address().to_string()]).await;
    witness.say(Lane::Reliable, &chat("to whom it may concern")).await.unwrap();
    assert_eq!(hidden.hears().await.payload, chat("to whom it may concern"));
    assert_eq!(kernel.hears().await.1, chat("to whom it may concern"));
    let mut late = bot(&edge, json!({})).await;
    late.among(&[witness.identity().to_owned(), kernels.address().to_string()]).await;
    witness.among(&[late.identity().to_owned(), kernels.address().to_string()]).await;
    kernel.among(&[witness.identity().to_owned(), late.identity().to_owned()]).await;
    drop(hidden);
    late.say(Lane::Reliable, &chat("still three")).await.unwrap();
    assert_eq!(witness.hears().await.payload, chat("still three"));
    assert_eq!(witness.others.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_did_not_want_tracks_gets_those_that_it_asks_for() {
    use livekit_protocol::UpdateSubscription;
    let edge = edge().await;
    let mut speaker = bot(&edge, json!({})).await;
    let mut listener = bot(&edge, json!({})).await;
    let (track, mut sound) = speaker.publish("microphone", TrackSource::Microphone).await.unwrap();
    speak(&mut sound, &track, &mut listener).await;
    let ask = |subscribe| {
        let track_sids = vec![track.clone()];
        Request::Subscription(UpdateSubscription { track_sids, subscribe, participant_tracks: Vec::new() })
    };
    let offers_so_far =
        |bot: &mut Bot| bot.signals_so_far().iter().filter(|one| matches!(one, Signal::Offer(_))).count();
    let before = offers_so_far(&mut listener);
    listener.request(ask(false));
    within("another offer", async {
        while offers_so_far(&mut listener) == before {
            let news = listener.next_fresh().await;
            assert!(!matches!(news, News::Lost(Side::Subscriber)));
        }
    })
    .await;
    while listener.sound_of(&track).is_some() {}
    listener.request(ask(true));
    speak(&mut sound, &track, &mut listener).await;
}
