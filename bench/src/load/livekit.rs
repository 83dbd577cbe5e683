//! Load for a named room by LiveKit's protocol: the bot of the tests, whose WebRTC is another implementation than the edge's.

use super::kernels::wallet;
use super::peer::{standing_still, updates};
use super::rooms::ROOM;
use super::sample::{self, Ages, Counts, Sample};
use super::{LOGINS, RoomPlan, SEATING, clock};
use crate::process::Server;
use anyhow::Context;
use atoll_client::walkers::Clock;
use atoll_tests::livekit::{API_KEY, API_SECRET, Bot, Entrance, Lane, token};
use livekit_protocol::DataPacket;
use livekit_protocol::data_packet::Value;
use prost::Message as _;
use serde_json::json;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;

/// What makes an edge take the tokens of this load.
pub const LIVEKIT_KEYS: [(&str, &str); 2] =
    [("ATOLL_LIVEKIT__API_KEY", API_KEY), ("ATOLL_LIVEKIT__API_SECRET", API_SECRET)];

/// Participants of one room that are connected and see each other.
pub struct LivekitLoad {
    participants: Vec<Participant>,
    speaking: Vec<AbortHandle>,
}

struct Participant {
    /// In its speaking task from the beginning of that on.
    bot: Option<Bot>,
    hearing: Arc<Hearing>,
}

/// What a participant counts.
#[derive(Debug, Default)]
struct Hearing {
    sent: AtomicU64,
    delivered: AtomicU64,
    ages: Mutex<Ages>,
}

impl LivekitLoad {
    /// Lets so many in and waits until each sees all others. Nobody speaks yet.
    ///
    /// # Errors
    /// When that does not come about.
    pub async fn start(server: &Server, participants: usize) -> anyhow::Result<Self> {
        let http = server.ready("http")?.to_owned();
        let permits = Arc::new(Semaphore::new(LOGINS));
        let mut joins = JoinSet::new();
        for index in 0..participants {
            let (http, permits) = (http.clone(), permits.clone());
            joins.spawn(async move {
                let _permit = permits.acquire_owned().await?;
                let joined = Participant::join(&http, index);
                anyhow::Ok((index, timeout(SEATING, joined).await.context("no way in, in time")??))
            });
        }
        let mut joined = Vec::new();
        while let Some(join) = joins.join_next().await {
            joined.push(join??);
        }
        joined.sort_by_key(|(index, _)| *index);
        let mut load = Self { participants: Vec::new(), speaking: Vec::new() };
        for (_, mut participant) in joined {
            if let Some(bot) = &mut participant.bot {
                bot.sees_others(participants - 1).await;
            }
            load.participants.push(participant);
        }
        Ok(load)
    }

    /// Has everybody say where it stands, as lossy packets of `plan`'s size and rate.
    pub fn speak(&mut self, plan: RoomPlan) {
        let together = self.participants.len();
        for (index, Participant { bot, hearing }) in self.participants.iter_mut().enumerate() {
            let Some(bot) = bot.take() else { continue };
            let task = tokio::spawn(speak(bot, hearing.clone(), clock(), plan, index, together));
            self.speaking.push(task.abort_handle());
        }
    }

    /// Counts for a time what goes and what comes, and what that costs the server and this process.
    ///
    /// # Errors
    /// When the server has ended.
    pub async fn measure(&self, server: &Server, time: Duration) -> anyhow::Result<Sample> {
        sample::measure(server, time, || self.counts()).await
    }

    /// The ages of what everybody heard since the last call.
    pub fn take_ages(&self) -> Ages {
        let take =
            |one: &Participant| std::mem::take(&mut *one.hearing.ages.lock().unwrap_or_else(PoisonError::into_inner));
        self.participants.iter().map(take).fold(Ages::default(), Ages::with)
    }

    fn counts(&self) -> Counts {
        let others = self.participants.len() as u64 - 1;
        let counts = |one: &Participant| {
            let sent = one.hearing.sent.load(Relaxed);
            Counts { sent, offered: sent * others, delivered: one.hearing.delivered.load(Relaxed) }
        };
        self.participants.iter().map(counts).sum()
    }
}

impl Drop for LivekitLoad {
    fn drop(&mut self) {
        self.speaking.iter().for_each(AbortHandle::abort);
    }
}

impl Participant {
    async fn join(http: &str, index: usize) -> anyhow::Result<Self> {
        let token = token(ROOM, &wallet(index)?.address().to_string(), json!({}));
        let (hearing, clock) = (Arc::new(Hearing::default()), clock());
        let ear = {
            let hearing = hearing.clone();
            Arc::new(move |_: Lane, message: &[u8]| hearing.take_in(message, clock))
        };
        let bot = Bot::join_by(http, &token, Entrance { ear: Some(ear), ..Entrance::default() }).await;
        Ok(Self { bot: Some(bot), hearing })
    }
}

impl Hearing {
    fn take_in(&self, message: &[u8], clock: Clock) {
        let Ok(DataPacket { value: Some(Value::User(user)), .. }) = DataPacket::decode(message) else { return };
        self.delivered.fetch_add(1, Relaxed);
        if let Some(age) = clock.age(&user.payload) {
            self.ages.lock().unwrap_or_else(PoisonError::into_inner).record(age);
        }
    }
}

async fn speak(bot: Bot, hearing: Arc<Hearing>, clock: Clock, plan: RoomPlan, index: usize, together: usize) {
    let mut updates = updates(index, plan.rate);
    let plain = standing_still(index, together);
    loop {
        updates.tick().await;
        let mut body = plain.clone();
        clock.stamp(&mut body, plan.payload);
        if bot.say(Lane::Lossy, &body).await.is_err() {
            return;
        }
        hearing.sent.fetch_add(1, Relaxed);
    }
}
