//! One walker: a client with a wallet of its own that walks, listens, tells where it is, and chats.

use super::door::Socket;
use super::stamp::Clock;
use super::tally::{Outcome, Tally};
use super::walk::{Random, Walk};
use super::{Area, Walkers};
use crate::Stats;
use crate::client::{Client, SendError};
use crate::event::Event;
use crate::target::Way;
use crate::wallet::{Wallet, WalletError};
use atoll_proto::ethereum::keccak256;
use atoll_proto::rfc4::{Chat, Packet, Position, packet};
use prost::Message;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, interval_at, sleep_until};

pub(super) struct Walker {
    pub(super) way: Way,
    pub(super) settings: Arc<Walkers>,
    pub(super) index: usize,
    pub(super) connect_at: Instant,
    pub(super) clock: Clock,
    pub(super) tally: Arc<Tally>,
}

impl Walker {
    /// Walks until it is told to stop or its session ends.
    pub(super) async fn run(self, socket: Socket, mut stop: watch::Receiver<bool>) -> Outcome {
        let client = tokio::select! {
            client = self.connect(socket) => client,
            _ = stop.wait_for(|stop| *stop) => return Outcome::default(),
        };
        let (client, mut outcome) = match client {
            Ok(client) => {
                let outcome = self.walk(&client, stop).await;
                (Some(client), outcome)
            }
            Err(why) => (None, Outcome::failed(&why)),
        };
        self.tally.moved(outcome.island.as_deref(), None);
        if let Some(why) = &outcome.failure {
            self.tally.failed(why, 1);
            outcome.island = None;
        }
        if let Some(client) = client {
            client.close().await;
        }
        outcome
    }

    async fn connect(&self, socket: Socket) -> Result<Client, String> {
        let socket = socket.map_err(|why| why.to_string())?;
        sleep_until(self.connect_at).await;
        let wallet = self.wallet().map_err(|_| "wallet".to_owned())?;
        socket.connect(&wallet).await.map_err(|error| error.label())
    }

    async fn walk(&self, client: &Client, mut stop: watch::Receiver<bool>) -> Outcome {
        let mut random = Random(self.settings.seed ^ (self.index as u64) << 32);
        let mut updates = self.every(self.settings.rate, &mut random);
        let mut chat = self.every(self.settings.chat_per_minute / 60.0, &mut random);
        let mut walk = Walk::new(self.area(), &self.settings.speed, random);
        let mut heartbeats = interval(client.limits().heartbeat_interval);
        heartbeats.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let (mut outcome, mut index, mut stepped) = (Outcome::default(), 0, Instant::now());
        loop {
            tokio::select! {
                event = client.next_event() => {
                    if let Some(why) = self.hear(event, &mut outcome) {
                        outcome.failure = Some(why);
                        break;
                    }
                }
                _ = updates.tick() => {
                    walk.step(stepped.elapsed());
                    stepped = Instant::now();
                    index += 1;
                    self.count(client.send_update(self.position(&walk, index).into()).map(drop));
                }
                _ = chat.tick(), if self.settings.chat_per_minute > 0.0 => {
                    self.count(client.send_ordered(self.chat().into()).map(drop));
                }
                _ = heartbeats.tick() => {
                    client.heartbeat(walk.position());
                    self.tell(client.stats(), &mut outcome);
                }
                _ = stop.wait_for(|stop| *stop) => break,
            }
        }
        self.tell(client.stats(), &mut outcome);
        outcome
    }

    /// Takes note of an event; why the walk is over, if it is.
    fn hear(&self, event: Event, outcome: &mut Outcome) -> Option<String> {
        match event {
            Event::IslandChanged(island) => {
                outcome.joined = Some(self.way);
                self.tally.moved(outcome.island.as_deref(), Some(&island.id));
                outcome.island = Some(island.id);
            }
            Event::Packet(packet) => {
                if let Some(age) = self.clock.age(&packet.payload) {
                    self.tally.delivered(self.index, age);
                }
            }
            Event::Ordered(message) => {
                outcome.chat_heard += 1;
                if let Some(age) = self.clock.age(&message.payload) {
                    self.tally.chat_delivered(age);
                }
            }
            Event::Gap { first, last, .. } => self.tally.failed("gap", last - first + 1),
            Event::Undelivered { first, last, .. } => self.tally.failed("undelivered", last - first + 1),
            Event::Refused { code, count, .. } => self.tally.failed(code.as_str_name(), count.into()),
            Event::Disconnected { why, .. } => self.tally.lost(&why),
            Event::Restarted { .. } => {
                self.tally.moved(outcome.island.as_deref(), None);
                outcome.island = None;
            }
            Event::Closed(why) => return Some(why.label()),
            Event::RoomJoined(_)
            | Event::MembersChanged { .. }
            | Event::Large(_)
            | Event::Topic(_)
            | Event::Subscribed(_)
            | Event::SubscriptionRefused { .. }
            | Event::Draining { .. }
            | Event::Resumed { .. }
            | Event::WayChanged { .. } => {}
        }
        None
    }

    fn count(&self, sent: Result<(), SendError>) {
        match sent {
            // Without a seat there is nobody to tell, without a connection no way; the end of a session is told by an
            // event.
            Ok(()) | Err(SendError::NotSeated | SendError::Disconnected | SendError::Closed) => {}
            Err(SendError::TooLarge { .. }) => self.tally.failed("send_too_large", 1),
            Err(SendError::Full) => self.tally.failed("send_full", 1),
            Err(SendError::Unsupported) => self.tally.failed("send_unsupported", 1),
        }
    }

    fn tell(&self, now: Stats, outcome: &mut Outcome) {
        self.tally.counted(&outcome.stats, &now);
        outcome.stats = now;
    }

    /// Ticks at a rate in hertz, from a random moment on; a rate that makes no sense is taken as one an hour.
    fn every(&self, rate: f64, random: &mut Random) -> Interval {
        let hour = Duration::from_secs(3600);
        let period = Duration::try_from_secs_f64(1.0 / rate).unwrap_or(hour).clamp(Duration::from_millis(1), hour);
        let mut ticks = interval_at(Instant::now() + period.mul_f32(random.between(0.0, 1.0)), period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        ticks
    }

    fn area(&self) -> Area {
        let areas = &self.settings.areas;
        let at = self.index.checked_rem(areas.len()).and_then(|at| areas.get(at));
        at.copied().unwrap_or(Area::square(0.0))
    }

    fn wallet(&self) -> Result<Wallet, WalletError> {
        let key =
            |part: &str| keccak256(format!("atoll walker {} {} {part}", self.settings.seed, self.index).as_bytes());
        Wallet::from_keys(key("owner"), key("ephemeral"))
    }

    /// An rfc4 position with the time of sending behind it.
    fn position(&self, walk: &Walk, index: u32) -> Vec<u8> {
        let (place, half_turn) = (walk.position(), walk.heading() / 2.0);
        self.packet(packet::Message::Position(Position {
            index,
            position_x: place.x,
            position_y: place.y,
            position_z: place.z,
            rotation_y: half_turn.sin(),
            rotation_w: half_turn.cos(),
            ..Position::default()
        }))
    }

    /// A line of chat with the time of sending behind it.
    fn chat(&self) -> Vec<u8> {
        self.packet(packet::Message::Chat(Chat { message: format!("walker {}", self.index), timestamp: 0.0 }))
    }

    fn packet(&self, message: packet::Message) -> Vec<u8> {
        let mut packet = Packet { message: Some(message) }.encode_to_vec();
        self.clock.stamp(&mut packet, self.settings.payload);
        packet
    }
}
