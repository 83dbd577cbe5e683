//! What a session learns from the edge.

use super::Session;
use crate::closed::Closed;
use crate::event::{Event, Island, Lane, Member, Message, Room, Subscription};
use crate::queue::Loose;
use crate::seat::{Changes, Seat};
use atoll_proto::atoll::{
    self, Error, ErrorCode, IslandChanged, LargeHeader, OrderedMessage, ServerMessage, Subscribed, TopicMessage,
    large_header, ordered_message, server_message,
};
use atoll_proto::datagram::{Alias, Tag};
use atoll_proto::lanes::Verdict;
use bytes::Bytes;
use std::time::Duration;

impl Session {
    /// Takes a datagram.
    pub(crate) fn datagram(&mut self, datagram: Bytes) {
        let Self { seat, stats, queue, topics, .. } = self;
        let Some(seat) = seat else {
            stats.unknown_tag += 1;
            return;
        };
        let (mut dropped, mut missed) = (0, 0);
        seat.receive(datagram, stats, |packet| match queue.push_loose(Loose::Packet(packet)) {
            None => {}
            Some(Loose::Packet(_)) => dropped += 1,
            Some(Loose::Topic(message)) => {
                topics.dropped(&message);
                missed += 1;
            }
        });
        stats.topics_missed += missed;
        stats.queue_dropped += dropped;
    }

    /// Takes a frame of the control stream.
    ///
    /// # Errors
    /// Why the connection cannot go on.
    pub(crate) fn control(&mut self, frame: &[u8]) -> Result<(), Closed> {
        use server_message::Message;
        let message: ServerMessage = atoll_proto::decode(frame).map_err(lost)?;
        let Some(message) = message.message else {
            return Ok(());
        };
        match message {
            Message::IslandChanged(changed) => self.island_changed(changed),
            Message::MembersChanged(changed) => {
                let Some(seat) = &mut self.seat else {
                    return Ok(());
                };
                match seat.members_changed(changed).map_err(lost)? {
                    Some(changes) => self.hear(changes.into()),
                    None => Ok(()),
                }
            }
            Message::Error(error) => {
                self.wish.refused(error.code());
                self.hear(refused(error))
            }
            Message::Draining(draining) => {
                self.hear(Event::Draining { closes_in: Duration::from_millis(draining.close_in_ms.into()) })
            }
            Message::Received(received) => self.lanes.acknowledged(&received).map_err(lost),
            Message::Subscribed(answer) => self.subscribed(answer),
            Message::TopicMessage(message) => {
                self.topic_message(message);
                Ok(())
            }
            Message::Kicked(_) => {
                self.kicked = true;
                Ok(())
            }
            // Answers to a login that is over. They change nothing.
            Message::ChallengeResponse(_) | Message::Welcome(_) => Ok(()),
        }
    }

    /// Takes a frame of the ordered stream.
    ///
    /// # Errors
    /// Why the connection cannot go on: the frame cannot be read, or leaves out a number.
    pub(crate) fn ordered(&mut self, now: Duration, frame: &[u8]) -> Result<(), Closed> {
        let message: OrderedMessage = atoll_proto::decode(frame).map_err(lost)?;
        match message.message {
            Some(ordered_message::Message::Ordered(ordered)) => {
                if self.lanes.accept(now, Lane::Ordered, ordered.number).map_err(lost)? == Verdict::Duplicate {
                    return Ok(());
                }
                let sender = member(ordered.sender);
                let (tag, number, payload) = (Tag(ordered.tag), ordered.number, ordered.payload.into());
                self.message(Event::Ordered(Message { tag, number, sender, payload }))
            }
            Some(ordered_message::Message::Gap(gap)) => self.gap(now, Lane::Ordered, &gap),
            None => Ok(()),
        }
    }

    /// Takes a large message, or the gap that stands in its place.
    ///
    /// # Errors
    /// Why the connection cannot go on.
    pub(crate) fn large(&mut self, now: Duration, header: LargeHeader, payload: Bytes) -> Result<(), Closed> {
        match header.message {
            Some(large_header::Message::Large(large)) => {
                if self.lanes.accept(now, Lane::Large, large.number).map_err(lost)? == Verdict::Duplicate {
                    return Ok(());
                }
                let sender = member(large.sender);
                self.message(Event::Large(Message { tag: Tag(large.tag), number: large.number, sender, payload }))
            }
            Some(large_header::Message::Gap(gap)) => self.gap(now, Lane::Large, &gap),
            None => Ok(()),
        }
    }

    fn subscribed(&mut self, answer: Subscribed) -> Result<(), Closed> {
        let subscription = Subscription(answer.subscription);
        if answer.error == i32::from(ErrorCode::Unspecified) {
            return self.hear(Event::Subscribed(subscription));
        }
        self.topics.refused(subscription);
        self.hear(Event::SubscriptionRefused { subscription, code: answer.error(), reason: answer.reason })
    }

    fn topic_message(&mut self, message: TopicMessage) {
        let Some(message) = self.topics.heard(message) else { return };
        self.stats.topics_missed += message.missed;
        self.stats.topics_received += 1;
        match self.queue.push_loose(Loose::Topic(message)) {
            None => {}
            Some(Loose::Packet(_)) => self.stats.queue_dropped += 1,
            Some(Loose::Topic(dropped)) => {
                self.topics.dropped(&dropped);
                self.stats.topics_missed += 1;
            }
        }
    }

    fn message(&mut self, event: Event) -> Result<(), Closed> {
        self.stats.messages_received += 1;
        self.hear(event)
    }

    fn gap(&mut self, now: Duration, lane: Lane, gap: &atoll::Gap) -> Result<(), Closed> {
        for (first, last) in self.lanes.gap(now, lane, gap).map_err(lost)? {
            self.hear(Event::Gap { lane, first, last })?;
        }
        Ok(())
    }

    fn island_changed(&mut self, mut changed: IslandChanged) -> Result<(), Closed> {
        let name = std::mem::take(&mut changed.room);
        let is_told_first = changed.island.is_some() || !name.is_empty();
        if is_told_first {
            self.wish.seated(!name.is_empty());
        }
        if let Some(seat) = self.seat.as_mut().filter(|seat| seat.is_in(&changed)) {
            let changes = seat.refresh(changed.members).map_err(lost)?;
            if changes.joined.is_empty() && changes.left.is_empty() {
                return Ok(());
            }
            return self.hear(changes.into());
        }
        let (seat, island) = Seat::new(changed).map_err(lost)?;
        self.seat = Some(seat);
        if !name.is_empty() {
            let Island { tag, alias, members, .. } = island;
            return self.hear(Event::RoomJoined(Room { name, tag, alias, members }));
        }
        self.stats.islands += 1;
        self.hear(Event::IslandChanged(island))
    }

    fn hear(&mut self, event: Event) -> Result<(), Closed> {
        if self.lagged {
            return Err(Closed::Lagged);
        }
        self.queue.push_control(event).map_err(|_| Closed::Lagged)
    }
}

impl From<Changes> for Event {
    fn from(Changes { joined, left }: Changes) -> Self {
        Self::MembersChanged { joined, left }
    }
}

fn member(sender: Option<atoll::Member>) -> Member {
    let sender = sender.unwrap_or_default();
    Member { alias: Alias(sender.alias), name: sender.name.into() }
}

fn refused(error: Error) -> Event {
    Event::Refused { code: error.code(), reason: error.reason, count: error.count }
}

/// An edge that breaks the protocol is as good as lost.
fn lost(error: impl ToString) -> Closed {
    Closed::Lost(error.to_string())
}
