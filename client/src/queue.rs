//! What was heard and not taken yet: bounded, in order, old packets and topic messages first to go.

use crate::closed::Closed;
use crate::event::{Event, Packet, TopicMessage};
use std::collections::VecDeque;

/// Most control events that wait. They are never dropped: when one more comes, the session ends.
const MAX_CONTROL: usize = 1024;

/// Bytes of ordered and large messages that may wait before no more are read. The edge keeps the rest.
const MESSAGE_BYTES: usize = 2 * 1024 * 1024;

/// Ordered and large messages that may wait before no more are read.
const MESSAGES: usize = 1024;

/// Events in the order they were learnt.
///
/// What may go and what must not is kept apart, each with its number in the common order, so that the oldest that may go
/// is found at once.
#[derive(Debug)]
pub(crate) struct EventQueue {
    loose: VecDeque<(u64, Loose)>,
    control: VecDeque<(u64, Event)>,
    /// How many of `control` are ordered or large messages, and the bytes of their payloads.
    messages: usize,
    message_bytes: usize,
    closed: Option<Closed>,
    next: u64,
    capacity: usize,
}

/// What may go when too much waits.
#[derive(Debug)]
pub(crate) enum Loose {
    Packet(Packet),
    Topic(TopicMessage),
}

/// A control event found no room.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl EventQueue {
    /// An empty queue for at most `capacity` packets and topic messages, at least one.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            loose: VecDeque::new(),
            control: VecDeque::new(),
            messages: 0,
            message_bytes: 0,
            closed: None,
            next: 0,
            capacity: capacity.max(1),
        }
    }

    /// Adds what may go, and returns the oldest if that had to go for it.
    pub(crate) fn push_loose(&mut self, loose: Loose) -> Option<Loose> {
        let full = self.loose.len() >= self.capacity;
        let oldest = if full { self.loose.pop_front() } else { None };
        let number = self.number();
        self.loose.push_back((number, loose));
        oldest.map(|(_, loose)| loose)
    }

    /// Adds an event that must not be lost.
    pub(crate) fn push_control(&mut self, event: Event) -> Result<(), Full> {
        if let Event::Ordered(message) | Event::Large(message) = &event {
            self.messages += 1;
            self.message_bytes += message.payload.len();
        } else if self.control.len() - self.messages >= MAX_CONTROL {
            return Err(Full);
        }
        let number = self.number();
        self.control.push_back((number, event));
        Ok(())
    }

    /// Adds the news that there is no connection. It takes the place of the same news before: there may be many.
    pub(crate) fn push_disconnected(&mut self, event: Event) -> Result<(), Full> {
        if matches!(self.control.back(), Some((_, Event::Disconnected { .. }))) {
            self.control.pop_back();
        }
        self.push_control(event)
    }

    /// Whether a further ordered or large message should be read. One that was read already is still taken.
    pub(crate) fn has_room(&self) -> bool {
        self.messages < MESSAGES && self.message_bytes < MESSAGE_BYTES
    }

    /// Ends the queue: `why` comes after everything else, and again for ever. The first reason stays.
    pub(crate) fn close(&mut self, why: Closed) {
        self.closed.get_or_insert(why);
    }

    /// Why the queue ended, if it did.
    pub(crate) fn closed(&self) -> Option<&Closed> {
        self.closed.as_ref()
    }

    /// The oldest event.
    pub(crate) fn pop(&mut self) -> Option<Event> {
        let control = self.control.front().map_or(u64::MAX, |(number, _)| *number);
        let loose = self.loose.front().map_or(u64::MAX, |(number, _)| *number);
        if control < loose {
            let (_, event) = self.control.pop_front()?;
            if let Event::Ordered(message) | Event::Large(message) = &event {
                self.messages -= 1;
                self.message_bytes -= message.payload.len();
            }
            return Some(event);
        }
        match self.loose.pop_front() {
            Some((_, Loose::Packet(packet))) => return Some(Event::Packet(packet)),
            Some((_, Loose::Topic(message))) => return Some(Event::Topic(message)),
            None => {}
        }
        self.closed.clone().map(Event::Closed)
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Member, Message};
    use atoll_proto::datagram::{Alias, Kind, Sequence, Tag};
    use bytes::Bytes;

    fn push(queue: &mut EventQueue, sequence: u16) -> bool {
        queue.push_loose(Loose::Packet(packet(sequence))).is_some()
    }

    fn packet(sequence: u16) -> Packet {
        let (kind, payload) = (Kind::Event, Bytes::new());
        Packet { alias: Alias(1), name: None, kind, sequence: Sequence(sequence), payload }
    }

    fn nobody_moved() -> Event {
        Event::MembersChanged { joined: Vec::new(), left: Vec::new() }
    }

    #[test]
    fn the_oldest_packets_make_room_and_control_events_keep_their_place() {
        let mut queue = EventQueue::new(3);
        assert!(!push(&mut queue, 1));
        queue.push_control(nobody_moved()).unwrap();
        let dropped: Vec<_> = (2..=5).map(|sequence| push(&mut queue, sequence)).collect();
        assert_eq!(dropped, [false, false, true, true]);
        queue.push_control(nobody_moved()).unwrap();
        assert_eq!(queue.pop(), Some(nobody_moved()));
        for sequence in 3..=5 {
            assert_eq!(queue.pop(), Some(Event::Packet(packet(sequence))));
        }
        assert_eq!(queue.pop(), Some(nobody_moved()));
        assert_eq!(queue.pop(), None);
    }

    #[test]
    fn control_events_are_refused_rather_than_dropped() {
        let mut queue = EventQueue::new(1);
        for _ in 0..MAX_CONTROL {
            queue.push_control(nobody_moved()).unwrap();
        }
        assert_eq!(queue.push_control(nobody_moved()), Err(Full));
        push(&mut queue, 1);
        queue.close(Closed::Lagged);
        let kept = std::iter::from_fn(|| queue.pop().filter(|event| *event == nobody_moved())).count();
        assert_eq!(kept, MAX_CONTROL);
    }

    #[test]
    fn messages_are_kept_but_ask_for_a_pause() {
        let sender = Member { alias: Alias(1), name: "0xaa".into() };
        let large = |number| {
            let payload = Bytes::from(vec![0; MESSAGE_BYTES / 2]);
            Event::Large(Message { tag: Tag(1), number, sender: sender.clone(), payload })
        };
        let mut queue = EventQueue::new(1);
        for (number, room) in [(1, true), (2, false), (3, false)] {
            queue.push_control(large(number)).unwrap();
            assert_eq!(queue.has_room(), room);
        }
        for (number, room) in [(1, false), (2, true), (3, true)] {
            assert_eq!(queue.pop(), Some(large(number)));
            assert_eq!(queue.has_room(), room);
        }
        assert_eq!((queue.messages, queue.message_bytes), (0, 0));
    }

    #[test]
    fn the_end_comes_last_and_stays() {
        let mut queue = EventQueue::new(4);
        push(&mut queue, 1);
        queue.close(Closed::TimedOut);
        queue.close(Closed::Local);
        assert_eq!(queue.pop(), Some(Event::Packet(packet(1))));
        for _ in 0..2 {
            assert_eq!(queue.pop(), Some(Event::Closed(Closed::TimedOut)));
        }
    }
}
