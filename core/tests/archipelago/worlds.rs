//! Random worlds, by every rule set: the engine does what its oracle does, step by step.

use atoll_core::archipelago::{DesiredRoom, Engine, Position, Receipt, Rules, Settings, Transport};

use crate::oracle::Oracle;
use crate::random::Random;
use crate::subject::Subject;

const WORLDS: u64 = 250;
const FLUSHES: usize = 25;

/// What happens to both.
#[derive(Debug)]
enum Event {
    Heartbeat(usize, Position, Wish),
    Gone(usize),
    Refuse(Vec<usize>),
    Transport(Transport),
    TransportGone(u32),
    TransportFails(u32, bool),
    Report,
}

#[derive(Clone, Debug)]
enum Wish {
    Keep,
    Clear,
    Set(String),
}

/// A world and its weather.
struct World {
    random: Random,
    rules: Rules,
    area: f64,
    step: f64,
    places: Vec<Position>,
    /// In per cent, for each peer and flush.
    move_chance: usize,
    gone_chance: usize,
    teleport_chance: usize,
    wild_chance: usize,
    wish_chance: usize,
    /// In per cent, for each flush.
    trouble_chance: usize,
}

#[test]
fn engine_and_oracle_agree_by_product_rules() {
    compare(Rules::Product);
}

#[test]
fn engine_and_oracle_agree_by_final_rules() {
    compare(Rules::Final);
}

#[test]
fn engine_and_oracle_agree_by_2023_02_rules() {
    compare(Rules::V2023_02);
}

#[test]
fn engine_and_oracle_agree_by_2022_09_rules() {
    compare(Rules::V2022_09);
}

fn compare(rules: Rules) {
    for seed in 0..WORLDS {
        // Small crowds with tiny islands find most.
        let (mut world, settings) = if seed % 3 == 0 { World::crowd(seed, rules) } else { World::random(seed, rules) };
        let mut engine = <Engine as Subject>::new(settings.clone());
        let mut oracle = <Oracle as Subject>::new(settings.clone());
        for flush in 0..FLUSHES {
            let at = || format!("{rules:?}, seed {seed}, flush {flush}, {settings:?}");
            for event in world.events(&oracle) {
                let (ours, theirs) = (event.happen(&mut engine), event.happen(&mut oracle));
                assert_eq!(ours, theirs, "{event:?}, {}", at());
            }
            let (ours, theirs) = (Subject::flush(&mut engine), Subject::flush(&mut oracle));
            assert_eq!(ours, theirs, "{}", at());
            // As text: there a NaN equals itself.
            let (ours, theirs) = (format!("{:?}", engine.seen()), format!("{:?}", oracle.seen()));
            assert_eq!(ours, theirs, "{}", at());
        }
    }
}

impl World {
    /// Twenty peers in 60 m, two to an island.
    fn crowd(seed: u64, rules: Rules) -> (Self, Settings) {
        let (mut world, mut settings) = Self::random(seed, rules);
        world.places.truncate(20);
        world.area = 60.0;
        settings.max_peers = 2;
        settings.join_distance = 20.0;
        settings.leave_distance = 25.0;
        (world, settings)
    }

    fn random(seed: u64, rules: Rules) -> (Self, Settings) {
        let mut random = Random::new(seed);
        let (join_distance, leave_distance) = random.one_of(&[
            (64.0, 80.0),
            (64.0, 80.0),
            (64.0, 80.0),
            (10.0, 20.0),
            (80.0, 40.0),
            (0.0, 0.0),
            (50.0, 50.0),
        ]);
        let settings = Settings {
            join_distance,
            leave_distance,
            max_peers: random.one_of(&[1, 2, 3, 4, 7, 10, 20, 100]),
            rules,
            grid_key: random.bits(),
            ..Settings::default()
        };
        let peers = random.one_of(&[3, 10, 20, 40, 80]);
        let area = random.one_of(&[60.0, 150.0, 400.0, 1000.0]);
        let world = Self {
            rules,
            area,
            step: random.one_of(&[0.5, 5.0, 40.0]),
            places: (0..peers).map(|_| place(&mut random, area)).collect(),
            move_chance: random.one_of(&[10, 50, 100]),
            gone_chance: random.one_of(&[0, 3, 20]),
            teleport_chance: random.one_of(&[0, 3]),
            wild_chance: random.one_of(&[0, 0, 3]),
            wish_chance: random.one_of(&[0, 0, 10, 50]),
            trouble_chance: random.one_of(&[0, 0, 20]),
            random,
        };
        (world, settings)
    }

    /// What happens until the next flush. Wishes name islands there are.
    fn events(&mut self, oracle: &Oracle) -> Vec<Event> {
        let islands: Vec<String> = oracle.seen().iter().map(|island| island.id.to_string()).collect();
        let mut events = Vec::new();
        for peer in 0..self.places.len() {
            if self.random.chance(self.gone_chance) {
                events.push(Event::Gone(peer));
            }
            if !self.random.chance(self.move_chance) {
                continue;
            }
            let position = self.walk(peer);
            let wish = self.wish(&islands);
            events.push(Event::Heartbeat(peer, position, wish));
            if self.random.chance(self.gone_chance / 2) {
                events.push(Event::Gone(peer));
            }
        }
        self.trouble(&mut events);
        // Not in the order of the peers.
        for index in (1..events.len()).rev() {
            events.swap(index, self.random.below(index + 1));
        }
        events
    }

    fn walk(&mut self, peer: usize) -> Position {
        if self.random.chance(self.wild_chance) {
            let wild = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, -1e300, 1e17, 1e12];
            let (x, z) = (self.random.one_of(&wild), self.random.one_of(&[0.0, 1e300, f64::NAN]));
            return Position { x, y: 0.0, z };
        }
        if self.random.chance(self.teleport_chance) {
            self.places[peer] = place(&mut self.random, self.area);
        }
        let step = self.step;
        let place = &mut self.places[peer];
        place.x += self.random.between(-step, step);
        place.z += self.random.between(-step, step);
        // Whole metres: distances that are exactly the limit.
        if self.random.chance(30) {
            (place.x, place.z) = (place.x.round(), place.z.round());
        }
        *place
    }

    fn wish(&mut self, islands: &[String]) -> Wish {
        if !self.random.chance(self.wish_chance) || islands.is_empty() {
            return Wish::Keep;
        }
        match self.random.below(10) {
            0 => Wish::Clear,
            1 => Wish::Set(String::new()),
            2 => Wish::Set("no such island".to_owned()),
            _ => Wish::Set(islands[self.random.below(islands.len().min(3))].clone()),
        }
    }

    fn trouble(&mut self, events: &mut Vec<Event>) {
        let old = matches!(self.rules, Rules::V2023_02 | Rules::V2022_09);
        // The oracle stops half-way when transport 0 of 2022-09 fails; the engine does not.
        let first = u32::from(self.rules == Rules::V2022_09);
        if old && self.random.chance(30) {
            events.push(Event::Transport(Transport {
                id: first + self.random.below(3) as u32,
                available_seats: self.random.one_of(&[-1, 0, 3, 10, 100]),
                max_peers: self.random.one_of(&[1, 2, 5, 30]),
            }));
        }
        if !self.random.chance(self.trouble_chance) {
            return;
        }
        let id = if old { first + self.random.below(3) as u32 } else { 0 };
        events.push(match self.random.below(5) {
            0 => Event::Report,
            1 | 2 => Event::TransportFails(id, self.random.chance(40)),
            3 if old => Event::TransportGone(id),
            _ => Event::Refuse((0..self.places.len()).filter(|_| self.random.chance(10)).collect()),
        });
    }
}

impl Event {
    fn happen<S: Subject>(&self, subject: &mut S) -> Receipt {
        match self {
            Self::Heartbeat(peer, position, wish) => {
                let desired_room = match wish {
                    Wish::Keep => DesiredRoom::Keep,
                    Wish::Clear => DesiredRoom::Clear,
                    Wish::Set(room) => DesiredRoom::Set(room),
                };
                return subject.heartbeat(&name(*peer), *position, desired_room);
            }
            Self::Gone(peer) => return subject.disconnect(&name(*peer)),
            Self::Refuse(peers) => {
                let names: Vec<String> = peers.iter().map(|&peer| name(peer)).collect();
                subject.refuse(&names.iter().map(String::as_str).collect::<Vec<_>>());
            }
            Self::Transport(transport) => subject.transport(*transport),
            Self::TransportGone(id) => subject.transport_gone(*id),
            Self::TransportFails(id, fails) => subject.transport_fails(*id, *fails),
            Self::Report => subject.report(),
        }
        Receipt::Accepted
    }
}

fn name(peer: usize) -> String {
    format!("p{peer}")
}

fn place(random: &mut Random, area: f64) -> Position {
    Position { x: random.between(0.0, area), y: random.between(0.0, 20.0), z: random.between(0.0, area) }
}
