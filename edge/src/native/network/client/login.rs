//! How a model client comes in: by challenge, by signed fetch, or by the token of the session it had.

use super::{Client, Phase};
use crate::native::network::random::Random;
use crate::native::network::session::{Decoders, Session, say};
use crate::native::network::times::{CHAOS, NOW, WINDOW};
use crate::native::network::wire::{Quality, Wire};
use atoll_proto::archipelago::ChallengeRequestMessage;
use atoll_proto::atoll::client_message::Message as ToEdge;
use atoll_proto::atoll::{Login, Resume, SignedFetch, Welcome};
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

impl Client {
    pub(super) fn connect(&mut self, now: Instant) {
        self.opened += 1;
        let random = Random::new(self.seed, u64::from(self.index) * 1000 + u64::from(self.opened));
        let chaos = self.elapsed(now) < CHAOS;
        let quality = if chaos { Quality::any(&mut self.random) } else { Quality::CALM };
        self.wires.iter_mut().for_each(Wire::leave);
        let mut wire = Wire::open(&self.door, self.opened, quality, random, &self.judge);
        self.decoders = Decoders::default();
        self.phase = Phase::On { live: false };
        let with_fetch = self.random.percent(50).then(|| self.signed_fetch(now));
        if let Some(session) = &mut self.session {
            let resume = Resume { token: session.token.clone(), received: Some(session.incoming.received()) };
            self.judge.note(&format!("client {} resumes {:?}", self.index, session.life));
            let login = Login { resume: Some(resume), signed_fetch: with_fetch, ..Login::default() };
            say(now, &mut wire, ToEdge::Login(login));
        } else if with_fetch.is_some() {
            self.judge.note(&format!("client {} logs in by signed fetch", self.index));
            say(now, &mut wire, ToEdge::Login(Login { signed_fetch: with_fetch, ..Login::default() }));
        } else {
            self.judge.note(&format!("client {} asks for a challenge", self.index));
            self.ask(now, &mut wire);
        }
        self.wires.push(wire);
    }

    pub(super) fn ask(&self, now: Instant, wire: &mut Wire) {
        let address = self.wallet.address().to_string();
        say(now, wire, ToEdge::ChallengeRequest(ChallengeRequestMessage { address }));
    }

    pub(super) fn sign(&self, text: &str) -> String {
        self.wallet.sign(text, SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000))
    }

    fn signed_fetch(&self, now: Instant) -> SignedFetch {
        let timestamp = NOW + self.elapsed(now).as_millis() as u64;
        let (timestamp, metadata) = (timestamp, r#"{"server":"test"}"#.to_owned());
        let text = atoll_client::signed_fetch_text("connect", "/atoll", timestamp, &metadata);
        SignedFetch { auth_chain_json: self.sign(&text), timestamp, metadata }
    }

    pub(super) fn welcomed(&mut self, now: Instant, welcome: Welcome) {
        self.phase = Phase::On { live: true };
        self.next_heartbeat = now;
        if let (Some(received), Some(session)) = (&welcome.resumed, &mut self.session) {
            session.rewind(received);
            session.token = welcome.resume_token;
            session.wire = self.opened;
            let life = session.life;
            self.judge.lock().tally.resumed += 1;
            self.judge.note(&format!("client {} goes on as {life:?}", self.index));
        } else {
            if self.session.is_some() {
                self.refused(now);
            }
            self.forget();
            self.sessions += 1;
            let life = (self.index, self.sessions);
            self.session = Some(Session::new(life, welcome.resume_token, self.opened, self.judge.clone()));
            self.judge.note(&format!("client {} begins {life:?}", self.index));
        }
        for early in self.decoders.take_early() {
            self.hear(now, early);
        }
    }

    /// A token was refused: was that right?
    pub(super) fn refused(&mut self, now: Instant) {
        self.judge.lock().tally.refused += 1;
        self.note("may not resume");
        let Some(session) = &self.session else { return };
        let wire = self.wires.iter().find(|wire| wire.number == session.wire);
        let in_time = wire.is_some_and(|wire| wire.gone_at.is_none_or(|at| now < at + WINDOW));
        if in_time {
            self.judge.fail(format!("{:?} could not resume in time", session.life));
        }
    }
}
