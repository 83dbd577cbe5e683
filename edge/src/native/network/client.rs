//! A model client: what it does when, driven by its own random numbers.

mod login;

use super::judge::{Shared, Standing};
use super::random::Random;
use super::session::{Decoders, Session, say};
use super::times::{CALM, CHAOS, QUIET};
use super::wire::{Down, Wire};
use crate::native::Door;
use atoll_client::Wallet;
use atoll_proto::archipelago::{Heartbeat, Position, SignedChallengeMessage};
use atoll_proto::atoll::client_message::Message as ToEdge;
use atoll_proto::atoll::server_message::Message as FromEdge;
use atoll_proto::atoll::{ErrorCode, Login, ServerMessage};
use atoll_proto::close::CloseCode;
use atoll_proto::datagram::Kind;
use atoll_proto::framing::{MAX_MESSAGE, take_frame};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;
use tokio::time::Instant;

/// Where islands are; far from each other.
const PLACES: [f32; 3] = [0.0, 500.0, 1000.0];

/// The value of a client's last updates.
const LAST: f32 = 1_000_000.0;

enum Phase {
    /// Without a connection, until then.
    Away(Instant),
    /// On the wire with this number, which is the last one; logged in or not.
    On { live: bool },
}

pub(super) struct Client {
    index: u32,
    wallet: Wallet,
    door: Door,
    judge: Shared,
    random: Random,
    started: Instant,
    phase: Phase,
    session: Option<Session>,
    sessions: u32,
    wires: Vec<Wire>,
    decoders: Decoders,
    opened: u32,
    /// When it notices that its connection is cut.
    notices: Option<Instant>,
    place: f32,
    value: f32,
    next_heartbeat: Instant,
    next_message: Instant,
    next_trouble: Instant,
    next_look: Instant,
    seed: u64,
}

impl Client {
    pub(super) fn new(seed: u64, index: u32, wallet: Wallet, door: Door, judge: Shared) -> Self {
        let mut random = Random::new(seed, u64::from(index));
        let now = Instant::now();
        let place = PLACES[random.between(0, 1) as usize];
        Self {
            index,
            wallet,
            door,
            judge,
            phase: Phase::Away(now + random.millis(0, 1500)),
            next_trouble: now + random.millis(3000, 6000),
            random,
            started: now,
            session: None,
            sessions: 0,
            wires: Vec::new(),
            decoders: Decoders::default(),
            opened: 0,
            notices: None,
            place,
            value: 0.0,
            next_heartbeat: now,
            next_message: now,
            next_look: now,
            seed,
        }
    }

    pub(super) async fn run(mut self) {
        let end = self.started + CHAOS + CALM;
        loop {
            let now = Instant::now();
            self.step(now);
            if now >= end {
                return self.conclude();
            }
            let wake = self.wires.iter().filter_map(|wire| wire.next(now)).chain([self.next_look]).min();
            let mut sleep = pin!(tokio::time::sleep_until(wake.unwrap_or(end)));
            std::future::poll_fn(|cx| {
                let now = Instant::now();
                let mut drained = Poll::Pending;
                for wire in &mut self.wires {
                    if wire.drain(cx, now).is_ready() {
                        drained = Poll::Ready(());
                    }
                }
                if drained.is_ready() { drained } else { sleep.as_mut().poll(cx) }
            })
            .await;
        }
    }

    fn elapsed(&self, now: Instant) -> Duration {
        now - self.started
    }

    fn note(&self, what: &str) {
        self.judge.note(&format!("client {} {what}", self.index));
    }

    fn step(&mut self, now: Instant) {
        for wire in &mut self.wires {
            wire.deliver(now);
        }
        while let Some(down) = self.wires.last_mut().and_then(|wire| wire.receive(now)) {
            if matches!(self.phase, Phase::On { .. }) {
                self.hear(now, down);
            }
        }
        self.next_look = now + Duration::from_millis(50);
        let chaos = self.elapsed(now) < CHAOS;
        if !chaos {
            self.wires.iter_mut().for_each(Wire::calm);
        }
        if self.notices.is_some_and(|at| at <= now) {
            self.lose(now, "notices that it is cut off");
        }
        if let Phase::Away(until) = self.phase
            && (until <= now || !chaos)
        {
            self.connect(now);
        }
        if chaos && self.next_trouble <= now {
            self.next_trouble = now + self.random.millis(1500, 5000);
            self.trouble(now);
        }
        if self.next_message <= now {
            self.next_message = now + self.random.millis(50, 400);
            self.speak(now);
        }
        if let Phase::On { live: true } = self.phase {
            self.send(now);
        }
    }

    /// Says something, whether there is a connection or not.
    fn speak(&mut self, now: Instant) {
        let Some(session) = &mut self.session else { return };
        let (elapsed, random) = (now - self.started, &mut self.random);
        let (chaos, quiet) = (elapsed < CHAOS, elapsed > CHAOS + CALM - QUIET);
        let choice = if quiet { 99 } else { random.between(0, 99) };
        match choice {
            0..=29 => session.push(random.between(16, 600) as usize, false),
            // More than is kept, now and then.
            30 if chaos => (0..random.between(1, 7)).for_each(|_| session.push(60_000, true)),
            31 => (0..random.between(10, 40)).for_each(|_| session.push(16, true)),
            32..=33 if chaos => session.push(random.between(65_537, 90_000) as usize, false),
            _ => {
                self.value = if quiet { LAST + self.index as f32 } else { self.value + 1.0 };
                let kind = if quiet || random.percent(80) { Kind::Update } else { Kind::Event };
                let (Phase::On { live: true }, Some(wire)) = (&self.phase, self.wires.last_mut()) else { return };
                if let Some(datagram) = session.datagram(kind, self.value) {
                    wire.send_datagram(now, datagram);
                }
            }
        }
    }

    fn send(&mut self, now: Instant) {
        let (Some(session), Some(wire)) = (&mut self.session, self.wires.last_mut()) else { return };
        if self.next_heartbeat <= now {
            self.next_heartbeat = now + Duration::from_secs(1);
            let position = Some(Position { x: self.place, y: 0.0, z: self.index as f32 });
            say(now, wire, ToEdge::Heartbeat(Heartbeat { position, desired_room: None }));
        }
        session.acknowledge(now, wire);
        session.flush(now, wire, &mut self.decoders);
    }

    fn trouble(&mut self, now: Instant) {
        let choice = self.random.between(0, 99);
        if choice < 25 || (choice < 35 && self.wires.is_empty()) {
            let others = PLACES.iter().copied().filter(|place| *place != self.place);
            let others: Vec<f32> = others.collect();
            self.place = others[self.random.between(0, others.len() as u64 - 1) as usize];
            self.next_heartbeat = now;
            self.note(&format!("walks to {}", self.place));
            // Some are cut off as soon as they have said so.
            if self.random.percent(30) {
                self.next_trouble = now + self.random.millis(0, 400);
            }
            return;
        }
        if !matches!(self.phase, Phase::On { .. }) {
            return;
        }
        let random = &mut self.random;
        let Some(wire) = self.wires.last_mut() else { return };
        match choice {
            25..=64 => {
                let (at_edge, here) = (random.millis(0, 3000), random.millis(0, 3000));
                let first = random.percent(50);
                wire.cut(now + if first { Duration::ZERO } else { at_edge });
                self.notices = Some(now + if first { here } else { Duration::ZERO });
                self.note("is cut off");
            }
            65..=76 => {
                wire.black_out(now + random.millis(100, 2000));
                self.note("hears nothing for a while");
            }
            77..=84 => {
                wire.stall(now + random.millis(500, 3000));
                self.note("does not read for a while");
            }
            85..=92 => {
                wire.cut(now + random.millis(0, 3000));
                self.note("crashes");
                self.forget();
                self.phase = Phase::Away(now + self.random.millis(10, 4000));
            }
            _ => {
                wire.close(now);
                self.note("closes");
                self.forget();
                self.phase = Phase::Away(now + self.random.millis(10, 4000));
            }
        }
    }

    /// The session is over.
    fn forget(&mut self) {
        self.notices = None;
        if let Some(session) = self.session.take() {
            self.judge.ended(session.life);
        }
    }

    fn lose(&mut self, now: Instant, how: &str) {
        self.note(how);
        self.notices = None;
        let long = if self.random.percent(20) { 20_000 } else { 3000 };
        self.phase = Phase::Away(now + self.random.millis(0, long));
    }

    fn hear(&mut self, now: Instant, down: Down) {
        let live = matches!(self.phase, Phase::On { live: true });
        match (down, &mut self.session) {
            (Down::Control(bytes), _) => {
                self.decoders.control.extend_from_slice(&bytes);
                while let Some(frame) = take_frame(&mut self.decoders.control, MAX_MESSAGE).unwrap() {
                    let message: ServerMessage = atoll_proto::decode(&frame).unwrap();
                    self.hear_message(now, message.message.unwrap());
                }
            }
            (Down::Closed(code), _) => self.closed(now, code),
            (Down::Ordered(bytes), Some(session)) if live => session.ordered(&bytes, &mut self.decoders),
            (Down::Large(bytes), Some(session)) if live => session.large(&bytes, &mut self.decoders),
            (Down::Datagram(bytes), Some(session)) if live => session.chunk(bytes),
            // Overtook the welcome. Streams are acknowledged later and come again.
            (Down::Datagram(_), _) => {}
            (early, _) => self.decoders.keep(early),
        }
    }

    fn closed(&mut self, now: Instant, code: CloseCode) {
        match code {
            // A client that was stopped for a while.
            CloseCode::TooSlow => self.lose(now, "was too slow"),
            other => {
                self.judge.fail(format!("client {} was closed with {other:?}", self.index));
                self.forget();
                self.phase = Phase::Away(now + Duration::from_millis(100));
            }
        }
    }

    fn hear_message(&mut self, now: Instant, message: FromEdge) {
        let session = self.session.as_mut();
        match (message, session) {
            (FromEdge::ChallengeResponse(challenge), _) => {
                let signed = SignedChallengeMessage { auth_chain_json: self.sign(&challenge.challenge_to_sign) };
                let login = Login { signed_challenge: Some(signed), ..Login::default() };
                if let Some(wire) = self.wires.last_mut() {
                    say(now, wire, ToEdge::Login(login));
                }
            }
            (FromEdge::Welcome(welcome), _) => self.welcomed(now, welcome),
            (FromEdge::Error(error), _) if error.code() == ErrorCode::ResumeRefused => {
                self.refused(now);
                self.forget();
                let Some(mut wire) = self.wires.pop() else { return };
                self.ask(now, &mut wire);
                self.wires.push(wire);
            }
            (FromEdge::IslandChanged(island), Some(session)) => session.island(&island),
            (FromEdge::MembersChanged(members), Some(session)) => session.members(members),
            (FromEdge::Received(received), Some(session)) => session.acknowledged(&received),
            (FromEdge::Error(error), _) => self.note(&format!("is told {:?} × {}", error.code(), error.count)),
            (other, _) => self.judge.fail(format!("client {} was told {other:?}", self.index)),
        }
    }

    fn conclude(self) {
        let (Phase::On { live: true }, Some(session)) = (&self.phase, &self.session) else {
            return self.judge.fail(format!("client {} is not there at the end", self.index));
        };
        let Some(room) = &session.room else {
            return self.judge.fail(format!("{:?} has no room at the end", session.life));
        };
        if !session.is_settled() {
            self.judge.fail(format!("{:?} said things that were never acknowledged", session.life));
        }
        let standing = Standing {
            life: session.life,
            tag: room.tag,
            members: room.members.clone(),
            updates: room.updates.iter().map(|(alias, (_, value))| (*alias, *value)).collect(),
            own: room.own,
            name: self.wallet.address().to_string(),
            update: LAST + self.index as f32,
        };
        self.judge.lock().standings.push(standing);
    }
}
