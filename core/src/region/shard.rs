//! The tasks that own the rooms. A room lives on exactly one, so packets meet no lock.

use super::Settings;
use super::grant::{Grant, JoinFailed};
use super::line::{Admitted, Control, Dismissed, Line, LineEnd, Placed, Queued, Queues, SendFailed, Ways};
use super::seat::{Bridge, Seat};
use super::status::Counters;
use super::supervise::Failures;
use super::visits::RoomWatch;
use crate::Host;
use crate::room::{
    self, CloseReason, Delivery, JoinError, Joined, Link, LinkId, Newcomer, Outgoing, Packet, Room, RoomId, SendError,
    Sender,
};
use atoll_proto::datagram::{Alias, Tag};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::oneshot;

/// Packets taken at a time, before rooms that are due get their tick.
const PACKETS_AT_ONCE: usize = 1024;

/// Commands taken at a time, ordered packets among them. Each may be told to a whole room.
const COMMANDS_AT_ONCE: usize = 64;

/// The way to one of the tasks.
pub(super) struct Shard {
    ways: Ways,
}

/// Starts the tasks. They end when the last way to them is gone.
pub(super) fn start(
    settings: &Settings,
    host: &Arc<dyn Host>,
    counters: &Arc<Counters>,
    failures: &Failures,
) -> Vec<Shard> {
    let shards = settings.shards.max(1);
    // A start at random keeps tags of an edge that restarts apart from those its clients still know.
    let mut random = [0; 4];
    host.random(&mut random);
    let first_tag = u32::from_be_bytes(random);
    (0..shards)
        .map(|index| {
            let (ways, queues) = Ways::new();
            let task = Task {
                host: Arc::clone(host),
                counters: Arc::clone(counters),
                settings: room::Settings { max_members: settings.max_room_members, tick: settings.tick },
                next_tag: first_tag.wrapping_add(index as u32),
                tag_step: shards as u32,
                rooms: HashMap::new(),
                tags: HashMap::new(),
                due: BinaryHeap::new(),
                scheduled: HashSet::new(),
                counted: HashMap::new(),
                ends: HashMap::new(),
                watch: None,
            };
            failures.spawn(format!("the task of rooms {index}"), task.run(queues));
            Shard { ways }
        })
        .collect()
}

/// The shard that owns the room of this name.
pub(super) fn pick<'a>(shards: &'a [Shard], room: &RoomId) -> &'a Shard {
    let mut hasher = DefaultHasher::new();
    room.hash(&mut hasher);
    &shards[hasher.finish() as usize % shards.len()]
}

impl Shard {
    pub(super) async fn join(&self, grant: Grant, link: Box<dyn Link>) -> Result<Seat, JoinFailed> {
        let (reply, answer) = oneshot::channel();
        let sent = self.ways.control.send(Control::Join { grant, link, ways: self.ways.clone(), reply });
        sent.map_err(|_| JoinFailed::Ending)?;
        answer.await.map_err(|_| JoinFailed::Ending)?.map(Seat::new)
    }

    pub(super) async fn open_link(&self, room: RoomId, link: Box<dyn Link>) -> Result<Bridge, JoinFailed> {
        let (reply, answer) = oneshot::channel();
        let sent = self.ways.control.send(Control::Open { room, link, ways: self.ways.clone(), reply });
        sent.map_err(|_| JoinFailed::Ending)?;
        answer.await.map(Bridge::new).map_err(|_| JoinFailed::Ending)
    }

    /// Takes seats away, and tells whose they were.
    pub(super) async fn dismiss(&self, tag: Tag, members: Option<Vec<Alias>>, reason: CloseReason) -> Vec<Dismissed> {
        let (reply, answer) = oneshot::channel();
        // Fails only when the region has ended, and the room with it.
        let _ = self.ways.control.send(Control::Dismiss { tag, members, reason, reply });
        answer.await.unwrap_or_default()
    }

    pub(super) async fn announce(
        &self,
        tag: Tag,
        sender: Sender,
        delivery: Delivery,
        said: Outgoing,
    ) -> Result<(), SendFailed> {
        self.ways.announce(tag, sender, delivery, said).await
    }

    pub(super) fn watch(&self, watch: Arc<dyn RoomWatch>) {
        let _ = self.ways.control.send(Control::Watch(watch));
    }
}

struct Task {
    host: Arc<dyn Host>,
    counters: Arc<Counters>,
    settings: room::Settings,
    next_tag: u32,
    tag_step: u32,
    rooms: HashMap<Tag, Room>,
    tags: HashMap<RoomId, Tag>,
    /// When which room's tick is due; a room stands here at most once.
    due: BinaryHeap<Reverse<(Duration, Tag)>>,
    scheduled: HashSet<Tag>,
    /// Members of each room as the counters have them.
    counted: HashMap<Tag, usize>,
    /// Where another connection may wait for the end of the line it takes a seat over from.
    ends: HashMap<(Tag, LinkId), LineEnd>,
    /// Who hears who comes and goes.
    watch: Option<Arc<dyn RoomWatch>>,
}

impl Task {
    async fn run(mut self, queues: Queues) {
        let Queues { mut packets, mut control } = queues;
        let mut commands = Vec::with_capacity(COMMANDS_AT_ONCE);
        let mut taken = Vec::with_capacity(PACKETS_AT_ONCE);
        loop {
            let now = self.host.monotonic();
            let next = self.due.peek().map(|Reverse((due, _))| due.saturating_sub(now));
            tokio::select! {
                biased;
                came = control.recv_many(&mut commands, COMMANDS_AT_ONCE) => if came == 0 {
                    return;
                },
                () = tokio::time::sleep(next.unwrap_or_default()), if next.is_some() => {}
                _ = packets.recv_many(&mut taken, PACKETS_AT_ONCE) => {}
            }
            for command in commands.drain(..) {
                self.apply(command);
                self.tick_due();
            }
            // No flood of commands keeps packets waiting.
            while taken.len() < PACKETS_AT_ONCE
                && let Ok(packet) = packets.try_recv()
            {
                taken.push(packet);
            }
            taken.drain(..).for_each(|queued| self.take(queued));
            self.tick_due();
        }
    }

    fn apply(&mut self, command: Control) {
        match command {
            Control::Join { grant, link, ways, reply } => {
                let Grant { room, sender, session, hidden, .. } = grant;
                let tag = self.room_named(room);
                let newcomer = Newcomer { sender, session, hidden };
                let joined = self.rooms.get_mut(&tag).map(|room| room.join(newcomer, link));
                let answer = match joined {
                    Some(Ok(joined)) => Ok(self.placed(tag, joined, ways)),
                    Some(Err(JoinError::Superseded)) => Err(JoinFailed::Stale),
                    Some(Err(JoinError::Full)) | None => Err(JoinFailed::Full),
                };
                self.tell_visits(tag);
                // An answer nobody takes is dropped, and gives the seat up.
                let _ = reply.send(answer);
                self.settle(tag);
            }
            Control::Open { room, link, ways, reply } => {
                let tag = self.room_named(room);
                let Some(link) = self.rooms.get_mut(&tag).map(|room| room.open_link(link)) else { return };
                let _ = reply.send(Line::of_bridge(tag, link, ways));
                self.settle(tag);
            }
            Control::Add { tag, link, sender, ways, reply } => {
                let added = self.rooms.get_mut(&tag).and_then(|room| room.add(link, sender).ok());
                let admitted = added.map(|member| Admitted::new(tag, link, member, ways));
                let _ = reply.send(admitted.ok_or(JoinFailed::Full));
                self.settle(tag);
            }
            Control::Remove { tag, link, member } => {
                if let Some(room) = self.rooms.get_mut(&tag) {
                    room.remove(link, member);
                }
                self.settle(tag);
            }
            Control::Ordered { tag, link, packet, place } => {
                self.send(tag, link, packet);
                drop(place);
            }
            Control::Close { tag, link } => {
                self.ends.remove(&(tag, link));
                self.close(tag, link);
                self.settle(tag);
            }
            Control::Dismiss { tag, members, reason, reply } => {
                let dismissed = self.rooms.get_mut(&tag).map(|room| match members {
                    Some(members) => members.into_iter().filter_map(|alias| room.dismiss(alias, reason)).collect(),
                    None => room.dismiss_all(reason),
                });
                self.settle(tag);
                // Who asked may have gone.
                let _ = reply.send(dismissed.unwrap_or_default());
            }
            Control::Announce { tag, sender, delivery, said, place } => {
                let said = self.rooms.get_mut(&tag).map(|room| room.announce(&sender, delivery, said));
                self.sent(tag, said.unwrap_or(Err(SendError::NoSeat)));
                drop(place);
            }
            Control::Watch(watch) => {
                self.watch = Some(watch);
                let tags: Vec<Tag> = self.rooms.keys().copied().collect();
                for tag in tags {
                    if let Some(room) = self.rooms.get_mut(&tag) {
                        room.note_visits();
                    }
                    self.tell_visits(tag);
                }
            }
        }
    }

    /// Tells whoever watches who came and went.
    fn tell_visits(&mut self, tag: Tag) {
        let Some((watch, room)) = self.watch.as_ref().zip(self.rooms.get_mut(&tag)) else { return };
        let visits = room.take_visits();
        if !visits.is_empty() {
            watch.visits(room.id(), tag, &visits);
        }
    }

    fn placed(&mut self, tag: Tag, Joined { alias, link, former }: Joined, ways: Ways) -> Placed {
        let (line, end) = Line::of_seat(tag, link, ways);
        self.ends.insert((tag, link), end);
        let former = former.and_then(|link| self.ends.remove(&(tag, link)));
        Placed { line, alias, former }
    }

    fn take(&mut self, queued: Queued) {
        queued.waiting.fetch_sub(1, Ordering::Relaxed);
        self.send(queued.tag, queued.link, queued.packet);
    }

    fn send(&mut self, tag: Tag, link: LinkId, packet: Packet) {
        let now = self.host.monotonic();
        let sent = match self.rooms.get_mut(&tag) {
            Some(room) => room.send(now, link, packet),
            None => Err(SendError::NoSeat),
        };
        self.sent(tag, sent);
    }

    /// Counts what became of a packet, and follows it.
    fn sent(&mut self, tag: Tag, sent: Result<room::Report, SendError>) {
        let gone = match sent {
            Ok(report) => {
                self.counters.packets_in.add(1);
                self.counters.pushed(report);
                report.gone
            }
            Err(error) => {
                self.counters.refused(error);
                0
            }
        };
        if gone > 0 {
            self.settle(tag);
        }
        self.schedule(tag);
    }

    fn close(&mut self, tag: Tag, link: LinkId) {
        if let Some(room) = self.rooms.get_mut(&tag) {
            room.close_link(link);
        }
    }

    /// After members may have changed: forgets an empty room, else sees to its next tick, and counts.
    fn settle(&mut self, tag: Tag) {
        self.tell_visits(tag);
        if let Some(room) = self.rooms.get(&tag).filter(|room| room.is_empty()) {
            self.tags.remove(room.id());
            self.rooms.remove(&tag);
        }
        self.schedule(tag);
        self.count(tag);
    }

    fn schedule(&mut self, tag: Tag) {
        let now = self.host.monotonic();
        let due = self.rooms.get(&tag).and_then(|room| room.next_tick(now));
        let Some(due) = due else { return };
        if self.scheduled.insert(tag) {
            self.due.push(Reverse((due, tag)));
        }
    }

    fn tick_due(&mut self) {
        let now = self.host.monotonic();
        while let Some(&Reverse((due, tag))) = self.due.peek() {
            if due > now {
                return;
            }
            self.due.pop();
            self.scheduled.remove(&tag);
            let Some(room) = self.rooms.get_mut(&tag) else { continue };
            let report = room.tick(now);
            self.counters.ticked(report);
            if report.gone > 0 {
                self.settle(tag);
            }
        }
    }

    fn room_named(&mut self, id: RoomId) -> Tag {
        if let Some(tag) = self.tags.get(&id) {
            return *tag;
        }
        // Counting up keeps a tag from returning for as long as four thousand million rooms of this shard take.
        let tag = Tag(self.next_tag);
        self.next_tag = self.next_tag.wrapping_add(self.tag_step);
        self.tags.insert(id.clone(), tag);
        let mut room = Room::new(id, tag, self.settings);
        if self.watch.is_some() {
            room.note_visits();
        }
        self.rooms.insert(tag, room);
        tag
    }

    /// Follows the sizes of rooms in the counters.
    fn count(&mut self, tag: Tag) {
        let members = self.rooms.get(&tag).map(Room::members);
        let counted = match members {
            Some(members) => self.counted.insert(tag, members),
            None => self.counted.remove(&tag),
        };
        let (rooms, seats) = (&self.counters.rooms, &self.counters.seats);
        rooms.add(u64::from(members.is_some()));
        rooms.subtract(u64::from(counted.is_some()));
        seats.add(members.unwrap_or(0) as u64);
        seats.subtract(counted.unwrap_or(0) as u64);
    }
}
