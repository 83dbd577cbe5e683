//! Waiting until a bot hears something.

use super::{Bot, Lane, News, Side};
use crate::within;
use bytes::Bytes;
use livekit_protocol::data_packet::Value;
use livekit_protocol::participant_info::State;
use livekit_protocol::signal_response::Message as Signal;
use livekit_protocol::{DataPacket, LeaveRequest, ParticipantInfo};

/// What somebody said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// Whose words they are: an identity.
    pub from: String,
    /// The packet.
    pub payload: Vec<u8>,
    /// What it is about.
    pub topic: Option<String>,
    /// By which channel it came.
    pub lane: Lane,
}

impl Bot {
    /// The next news that come, which can be waited for later, too.
    pub async fn next_fresh(&mut self) -> News {
        let news = self.fresh().await;
        self.passed.push_back(news.clone());
        news
    }

    async fn fresh(&mut self) -> News {
        let news = self.news.recv().await.expect("the bot itself holds a sender");
        self.follow(&news);
        news
    }

    fn follow(&mut self, news: &News) {
        if let News::Signal(signal) = news
            && let Signal::Update(update) = &**signal
        {
            update.participants.iter().for_each(|info| self.note(info));
        }
    }

    fn note(&mut self, info: &ParticipantInfo) {
        if info.identity == self.identity() && info.sid == self.sid() {
            return;
        }
        match info.state() {
            State::Disconnected => {
                // Somebody may have come anew under another sid before.
                if self.others.get(&info.identity).is_some_and(|known| known.sid == info.sid) {
                    self.others.remove(&info.identity);
                }
            }
            _ => {
                self.others.insert(info.identity.clone(), info.clone());
            }
        }
    }

    /// The first news that `pick` picks; what is passed over can be waited for later.
    ///
    /// # Panics
    /// When there are none in time.
    pub async fn until<T>(&mut self, what: &str, mut pick: impl FnMut(&News) -> Option<T>) -> T {
        for at in 0..self.passed.len() {
            if let Some(picked) = pick(&self.passed[at]) {
                self.passed.remove(at);
                return picked;
            }
        }
        within(what, async {
            loop {
                let news = self.fresh().await;
                if let Some(picked) = pick(&news) {
                    return picked;
                }
                self.passed.push_back(news);
            }
        })
        .await
    }

    /// The first signal that `pick` picks.
    ///
    /// # Panics
    /// When there is none in time.
    pub async fn signal<T>(&mut self, what: &str, mut pick: impl FnMut(&Signal) -> Option<T>) -> T {
        self.until(what, |news| if let News::Signal(signal) = news { pick(signal) } else { None }).await
    }

    /// The next packet of somebody.
    ///
    /// # Panics
    /// When there is none in time.
    pub async fn packet(&mut self) -> (Lane, DataPacket) {
        let is_data =
            |news: &News| if let News::Data(lane, packet) = news { Some((*lane, (**packet).clone())) } else { None };
        self.until("a data packet", is_data).await
    }

    /// What the next to say something says.
    ///
    /// # Panics
    /// When nobody says anything in time, or not in the words of users.
    pub async fn hears(&mut self) -> Heard {
        let (lane, packet) = self.packet().await;
        let from = packet.participant_identity;
        match packet.value {
            Some(Value::User(user)) => Heard { from, payload: user.payload, topic: user.topic, lane },
            other => panic!("a user's packet is due: {other:?}"),
        }
    }

    /// A packet of this track that it got and that was not taken: its number and an Opus packet.
    pub fn sound_of(&mut self, track: &str) -> Option<(u16, Bytes)> {
        self.collect();
        let is_of = |news: &News| matches!(news, News::Sound { track: one, .. } if one == track);
        let at = self.passed.iter().position(is_of)?;
        match self.passed.remove(at)? {
            News::Sound { number, frame, .. } => Some((number, frame)),
            _ => None,
        }
    }

    /// Whether it heard anything since that was not waited for.
    pub fn heard_more(&mut self) -> bool {
        self.collect();
        self.passed.iter().any(|news| matches!(news, News::Data(..) | News::Sound { .. }))
    }

    fn collect(&mut self) {
        while let Ok(news) = self.news.try_recv() {
            self.follow(&news);
            self.passed.push_back(news);
        }
    }

    /// The signals that it got and that were not waited for.
    pub fn signals_so_far(&mut self) -> Vec<Signal> {
        self.collect();
        let signals =
            self.passed.iter().filter_map(|news| if let News::Signal(signal) = news { Some(&**signal) } else { None });
        signals.cloned().collect()
    }

    /// Waits until exactly these others are there.
    ///
    /// # Panics
    /// When they are not in time.
    pub async fn among(&mut self, identities: &[String]) {
        let mut expected: Vec<&str> = identities.iter().map(String::as_str).collect();
        expected.sort_unstable();
        within("the others", async {
            while !self.others.keys().map(String::as_str).eq(expected.iter().copied()) {
                self.next_fresh().await;
            }
        })
        .await;
    }

    /// Waits until so many others are there.
    ///
    /// # Panics
    /// When they are not in time.
    pub async fn sees_others(&mut self, count: usize) {
        within("so many others", async {
            while self.others.len() != count {
                self.next_fresh().await;
            }
        })
        .await;
    }

    /// Waits until it is told that somebody is as `is` says.
    ///
    /// # Panics
    /// When it is not in time.
    pub async fn sees(&mut self, identity: &str, is: impl Fn(&ParticipantInfo) -> bool) -> ParticipantInfo {
        within("somebody as expected", async {
            loop {
                if let Some(info) = self.others.get(identity).filter(|info| is(info)) {
                    return info.clone();
                }
                self.next_fresh().await;
            }
        })
        .await
    }

    /// Whether its WebSocket has ended, and nobody has waited for that.
    pub fn has_ended(&mut self) -> bool {
        self.collect();
        self.passed.iter().any(|news| matches!(news, News::Closed(_)))
    }

    /// The words of farewell, and that the socket ends behind them.
    ///
    /// # Panics
    /// When there are none in time.
    pub async fn left(&mut self) -> LeaveRequest {
        let leave =
            self.signal("a Leave", |signal| if let Signal::Leave(leave) = signal { Some(leave.clone()) } else { None });
        let leave = leave.await;
        self.until("the end of the socket", |news| matches!(news, News::Closed(_)).then_some(())).await;
        leave
    }

    /// Waits until a connection stands, again if it stood before.
    ///
    /// # Panics
    /// When it does not in time.
    pub async fn is_connected(&mut self, side: Side) {
        self.until("a connection", |news| matches!(news, News::Connected(one) if *one == side).then_some(())).await;
    }
}
