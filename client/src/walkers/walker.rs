//! One walker: a client with a wallet of its own that walks, listens and tells where it is.

use super::stamp::Clock;
use super::tally::{Outcome, Tally};
use super::walk::{Random, Walk};
use super::{Socket, Walkers};
use crate::client::{Client, SendError};
use crate::event::Event;
use crate::target::Way;
use crate::wallet::{Wallet, WalletError};
use atoll_proto::ethereum::keccak256;
use atoll_proto::rfc4::{Packet, Position, packet};
use prost::Message;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at, sleep_until};

pub(super) struct Walker {
    pub(super) way: Way,
    pub(super) settings: Walkers,
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
        match client {
            Ok(client) => self.walk(&client, stop).await,
            Err(why) => Outcome::failed(&why),
        }
    }

    async fn connect(&self, socket: Socket) -> Result<Client, String> {
        let socket = socket.map_err(|error| error.label())?;
        let wallet = self.wallet().map_err(|_| "wallet".to_owned())?;
        sleep_until(self.connect_at).await;
        socket.connect(&wallet).await.map_err(|error| error.label())
    }

    async fn walk(&self, client: &Client, mut stop: watch::Receiver<bool>) -> Outcome {
        let mut random = Random(self.settings.seed ^ (self.index as u64) << 32);
        let period = self.period();
        let phase = period.mul_f32(random.between(0.0, 1.0));
        let mut walk = Walk::new(self.settings.area, &self.settings.speed, random);
        let mut updates = interval_at(Instant::now() + phase, period);
        let mut heartbeats = interval(client.limits().heartbeat_interval);
        updates.set_missed_tick_behavior(MissedTickBehavior::Skip);
        heartbeats.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let (mut outcome, mut index, mut stepped) = (Outcome::default(), 0, Instant::now());
        loop {
            tokio::select! {
                event = client.next_event() => match event {
                    Event::IslandChanged(island) => {
                        outcome.joined = Some(self.way);
                        outcome.island = Some(island.id);
                    }
                    Event::Packet(packet) => {
                        if let Some(age) = self.clock.age(&packet.payload) {
                            self.tally.delivered(age);
                        }
                    }
                    Event::Refused { code, count, .. } => self.tally.failed(code.as_str_name(), count.into()),
                    Event::MembersChanged { .. } => {}
                    Event::Closed(why) => {
                        outcome.failure = Some(why.label());
                        outcome.island = None;
                        break;
                    }
                },
                _ = updates.tick() => {
                    walk.step(stepped.elapsed());
                    stepped = Instant::now();
                    index += 1;
                    match client.send_update(self.packet(&walk, index).into()) {
                        // Without a seat there is nobody to tell; the end of a session is told by an event.
                        Ok(_) | Err(SendError::NotSeated | SendError::Closed) => {}
                        Err(SendError::TooLarge { .. }) => self.tally.failed("send_too_large", 1),
                        Err(SendError::Unsupported) => self.tally.failed("send_unsupported", 1),
                    }
                }
                _ = heartbeats.tick() => client.heartbeat(walk.position()),
                _ = stop.wait_for(|stop| *stop) => break,
            }
        }
        outcome.stats = client.stats();
        outcome
    }

    /// The time between two updates; a rate that makes no sense is taken as one an hour.
    fn period(&self) -> Duration {
        let hour = Duration::from_secs(3600);
        let period = Duration::try_from_secs_f64(1.0 / self.settings.rate).unwrap_or(hour);
        period.clamp(Duration::from_millis(1), hour)
    }

    fn wallet(&self) -> Result<Wallet, WalletError> {
        let key =
            |part: &str| keccak256(format!("atoll walker {} {} {part}", self.settings.seed, self.index).as_bytes());
        Wallet::from_keys(key("owner"), key("ephemeral"))
    }

    /// An rfc4 position with the time of sending behind it.
    fn packet(&self, walk: &Walk, index: u32) -> Vec<u8> {
        let (place, half_turn) = (walk.position(), walk.heading() / 2.0);
        let position = Position {
            index,
            position_x: place.x,
            position_y: place.y,
            position_z: place.z,
            rotation_y: half_turn.sin(),
            rotation_w: half_turn.cos(),
            ..Position::default()
        };
        let mut packet = Packet { message: Some(packet::Message::Position(position)) }.encode_to_vec();
        self.clock.stamp(&mut packet);
        packet
    }
}
