//! What holds whatever happens to a room, in whatever order.

use super::*;
use proptest::prelude::*;

const MEMBERS: usize = 8;

/// Something that happens to a room. Numbers beyond what there is wrap around.
#[derive(Debug, Clone)]
enum Step {
    /// Peer and session: a newcomer, a reseat, a kick, or a login overtaken by a later one.
    Join(u8, u64),
    /// A door drops one of the lines of a seat, the current or a former one.
    Drop(usize, usize),
    Add(u8),
    Remove(usize),
    /// Through one of the lines of a seat.
    Send(usize, usize, Delivery),
    SendFromBridge(usize, Delivery),
    Answer(usize, Option<Pressure>),
    Tick,
}

fn deliveries() -> impl Strategy<Value = Delivery> {
    prop_oneof![3 => Just(Delivery::Ordered), 1 => Just(Delivery::Voice), 1 => Just(Delivery::Event)]
}

fn answers() -> impl Strategy<Value = Option<Pressure>> {
    prop_oneof![2 => Just(None), 2 => Just(Some(Pressure::Behind)), 1 => Just(Some(Pressure::Gone))]
}

fn steps() -> impl Strategy<Value = Step> {
    let at = any::<usize>;
    prop_oneof![
        4 => (0..6u8, 0..3u64).prop_map(|(number, session)| Step::Join(number, session)),
        2 => (at(), at()).prop_map(|(seat, line)| Step::Drop(seat, line)),
        1 => (0..12u8).prop_map(Step::Add),
        1 => at().prop_map(Step::Remove),
        8 => (at(), at(), deliveries()).prop_map(|(seat, line, delivery)| Step::Send(seat, line, delivery)),
        2 => (at(), deliveries()).prop_map(|(member, delivery)| Step::SendFromBridge(member, delivery)),
        1 => (at(), answers()).prop_map(|(seat, answer)| Step::Answer(seat, answer)),
        2 => Just(Step::Tick),
    ]
}

/// A seat as its door sees it.
struct Seat {
    number: u8,
    alias: Alias,
    /// Lines not dropped yet, the current one last while the seat is alive.
    lines: Vec<LinkId>,
    /// The ears of its connections, one after the other.
    ears: Vec<Ear>,
    /// How many ordered packets had been taken when it heard its first snapshot, and when it was ended.
    since: Option<usize>,
    until: Option<usize>,
    /// Its link says that it has gone: the room ends the seat when it notices.
    gone: bool,
}

/// A room, and what should be true of it.
struct World {
    room: Room,
    bridge: Ear,
    mesh: LinkId,
    mesh_since: Option<usize>,
    behind: Vec<Alias>,
    seats: Vec<Seat>,
    /// Every ordered packet taken: who sent it, and whether from behind the bridge. Its payload is its place here.
    taken: Vec<(Alias, bool)>,
}

impl World {
    fn new() -> Self {
        let mut room = room_of(MEMBERS);
        let bridge = Ear::default();
        let mesh = room.open_link(Box::new(bridge.clone()));
        Self { room, bridge, mesh, mesh_since: None, behind: Vec::new(), seats: Vec::new(), taken: Vec::new() }
    }

    fn apply(&mut self, step: Step) {
        let before = self.taken.len();
        self.happen(step);
        let informed = |ear: &Ear| ear.heard().lists > 0;
        if informed(&self.bridge) {
            self.mesh_since.get_or_insert(before);
        }
        for seat in self.seats.iter_mut().filter(|seat| seat.ears.iter().any(informed)) {
            seat.since.get_or_insert(before);
        }
    }

    fn happen(&mut self, step: Step) {
        match step {
            Step::Join(number, session) => self.join(number, session),
            Step::Drop(seat, line) => self.drop_line(seat, line),
            Step::Add(number) => {
                self.behind.extend(self.room.add(self.mesh, peer(number)).ok());
                self.end_seats_of(number);
            }
            Step::Remove(at) if !self.behind.is_empty() => {
                let member = self.behind.swap_remove(at % self.behind.len());
                self.room.remove(self.mesh, member);
            }
            Step::Send(seat, line, delivery) => self.send(seat, line, delivery),
            Step::SendFromBridge(at, delivery) if !self.behind.is_empty() => {
                let member = self.behind[at % self.behind.len()];
                self.send_through(self.mesh, member, delivery, true);
            }
            Step::Answer(at, answer) if !self.seats.is_empty() => {
                let at = at % self.seats.len();
                let seat = &mut self.seats[at];
                seat.gone |= answer == Some(Pressure::Gone);
                if let Some(ear) = seat.ears.last() {
                    ear.heard().answer = answer;
                }
            }
            Step::Tick => drop(self.room.tick(NOW)),
            Step::Remove(_) | Step::SendFromBridge(..) | Step::Answer(..) => {}
        }
    }

    fn join(&mut self, number: u8, session: u64) {
        let Ok((joined, ear)) = join_as(&mut self.room, number, session) else { return };
        let alive = self.seats.iter_mut().find(|seat| seat.alias == joined.alias);
        if let Some(seat) = alive {
            seat.lines.push(joined.link);
            seat.ears.push(ear);
            return;
        }
        self.end_seats_of(number);
        let Joined { alias, link, .. } = joined;
        self.seats.push(Seat {
            number,
            alias,
            lines: vec![link],
            ears: vec![ear],
            since: None,
            until: None,
            gone: false,
        });
    }

    fn end_seats_of(&mut self, number: u8) {
        let room = &self.room;
        let ended = |seat: &&mut Seat| seat.number == number && room.members.one(seat.alias).is_none();
        self.seats.iter_mut().filter(ended).for_each(|seat| {
            seat.until.get_or_insert(self.taken.len());
        });
    }

    fn drop_line(&mut self, seat: usize, line: usize) {
        let Some(at) = seat.checked_rem(self.seats.len()) else { return };
        let seat = &mut self.seats[at];
        let Some(line) = line.checked_rem(seat.lines.len()) else { return };
        let current = seat.until.is_none() && line + 1 == seat.lines.len();
        self.room.close_link(seat.lines.remove(line));
        if current {
            seat.until.get_or_insert(self.taken.len());
        }
    }

    fn send(&mut self, seat: usize, line: usize, delivery: Delivery) {
        let Some(at) = seat.checked_rem(self.seats.len()) else { return };
        let seat = &self.seats[at];
        let Some(line) = line.checked_rem(seat.lines.len()) else { return };
        let (line, alias, alive, gone) = (seat.lines[line], seat.alias, seat.until.is_none(), seat.gone);
        let taken = self.send_through(line, alias, delivery, false);
        if delivery == Delivery::Ordered && !gone {
            assert_eq!(taken, alive, "what comes through a line of a seat that lives is taken");
        }
    }

    fn send_through(&mut self, line: LinkId, from: Alias, delivery: Delivery, bridged: bool) -> bool {
        let payload = Bytes::copy_from_slice(&self.taken.len().to_be_bytes());
        let taken = self.room.send(NOW, line, packet(from, delivery, None, payload)).is_ok();
        if taken && delivery == Delivery::Ordered {
            self.taken.push((from, bridged));
        }
        taken
    }

    /// The ordered packets taken from one moment on that a link should hear.
    fn expected(&self, since: Option<usize>, heard_by: impl Fn(&(Alias, bool)) -> bool) -> Vec<usize> {
        let since = since.unwrap_or(self.taken.len());
        (since..self.taken.len()).filter(|at| heard_by(&self.taken[*at])).collect()
    }
}

fn places(ears: &[Ear]) -> Vec<usize> {
    let heard = ears.iter().flat_map(|ear| ear.heard().ordered_payloads());
    heard.map(|payload| usize::from_be_bytes(payload[..].try_into().unwrap())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// No ordered packet is lost, doubled or out of order between seats that live, whatever connections they are heard
    /// through; nobody hears anything once told that it is closed, which the ears assert; and in the end everybody knows
    /// who is here.
    #[test]
    fn nothing_is_lost_and_everybody_agrees(steps in prop::collection::vec(steps(), 0..150)) {
        let mut world = World::new();
        for step in steps {
            world.apply(step);
            prop_assert!(world.room.members() <= MEMBERS);
        }
        // Somebody comes, so that links that have gone are found out: one tick to drop them, one to tell.
        let _ = world.room.join(Newcomer { sender: Sender::Server("last".into()), session: None, hidden: false }, Box::new(Ear::default()));
        world.room.tick(NOW);
        world.room.tick(NOW);
        prop_assert_eq!(world.room.next_tick(NOW), None);

        let everybody = world.bridge.heard().members.clone();
        prop_assert_eq!(everybody.len(), world.room.members());
        let bridged = world.expected(world.mesh_since, |(_, bridged)| !bridged);
        prop_assert_eq!(places(std::slice::from_ref(&world.bridge)), bridged);
        for seat in &world.seats {
            let heard = places(&seat.ears);
            let mut expected = world.expected(seat.since, |(from, _)| *from != seat.alias);
            if seat.gone {
                prop_assert_eq!(&heard[..], &expected[..heard.len()], "up to its end");
                continue;
            }
            expected.retain(|at| seat.until.is_none_or(|until| *at < until));
            prop_assert_eq!(&heard, &expected);
            let (current, former) = seat.ears.split_last().unwrap();
            for ear in former {
                prop_assert_eq!(ear.heard().closed, Some(CloseReason::Reseated));
                prop_assert_eq!(Arc::strong_count(&ear.0), 1, "the room keeps no former link");
            }
            if seat.until.is_none() {
                prop_assert_eq!(&current.heard().members, &everybody);
                prop_assert_eq!(current.heard().closed, None);
            }
        }
        // When every door has dropped its lines, nothing is left of them.
        let lines: Vec<LinkId> = world.seats.iter().flat_map(|seat| seat.lines.iter().copied()).collect();
        lines.into_iter().for_each(|line| world.room.close_link(line));
        prop_assert!(world.room.members() <= world.behind.len() + 1);
        prop_assert!(world.room.members.is_without_former_lines());
    }
}
