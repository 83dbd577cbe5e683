//! Places in a room, from outside: what a door holds.

use super::attendance::Present;
use super::grant::JoinFailed;
use super::life::{Life, Over};
use super::line::{Busy, Control, Line, LineEnd, Placed, SendFailed};
use crate::room::{Delivery, Outgoing, Packet, Sender};
use atoll_proto::datagram::{Alias, Sequence, Tag};
use tokio::sync::oneshot;

/// One address's place in one room. Dropping it gives the place up, unless the same session has joined again: then another
/// seat stands for the place, and this one only for what was sent through it and is still to be sent.
#[derive(Debug)]
pub struct Seat {
    line: Line,
    alias: Alias,
    /// The end of the connection it was taken over from, until somebody waits for that.
    former: Option<LineEnd>,
    /// What ends it, if it is a session's.
    life: Option<Life>,
    /// Counts it among those of its session.
    _present: Option<Present>,
}

impl Seat {
    pub(super) fn new(Placed { line, alias, former }: Placed) -> Self {
        Self { line, alias, former, life: None, _present: None }
    }

    /// It, of a session that lives.
    pub(super) fn living(mut self, life: Option<Life>, present: Option<Present>) -> Self {
        self.life = life;
        self._present = present;
        self
    }

    /// Waits until the seat is over with its session, for a door that does not hold that: the door drops it then. A seat
    /// without a session is over when its door says so.
    pub fn over(&self) -> impl Future<Output = Over> + Send + 'static {
        let life = self.life.clone();
        async move {
            match life {
                Some(life) => life.over().await,
                None => std::future::pending().await,
            }
        }
    }

    /// Waits until the connection that this one took the seat over from has passed on what its client said there: its
    /// [`Seat`] is dropped. A client that speaks through both is heard in order if its door waits for this first. Done at
    /// once where there was none, and when it was waited for already.
    pub fn former_ended(&mut self) -> impl Future<Output = ()> + Send + 'static {
        let former = self.former.take();
        async move {
            if let Some(former) = former {
                let _ = former.await;
            }
        }
    }

    /// The tag of the room's incarnation.
    pub fn tag(&self) -> Tag {
        self.line.tag()
    }

    /// The alias by which the room's members know this one.
    pub fn alias(&self) -> Alias {
        self.alias
    }

    /// Sends a packet. Never waits; what the room refuses comes back through the link. Without a `sequence` the room
    /// numbers it; an ordered packet has none. For [`Delivery::Ordered`] see [`Seat::send_ordered`], too. A packet is for
    /// everybody, unless an [`Outgoing`] says otherwise; updates for some, or about something, are events.
    ///
    /// # Errors
    /// [`Busy`]: the packet was dropped.
    pub fn send(&self, delivery: Delivery, sequence: Option<Sequence>, said: impl Into<Outgoing>) -> Result<(), Busy> {
        self.line.send(Packet { from: self.alias, delivery, sequence, said: said.into() })
    }

    /// Sends an ordered packet, at most [`MAX_ORDERED_PAYLOAD`](crate::room::MAX_ORDERED_PAYLOAD) bytes. Waits until there
    /// is place for it, so await each before the next. Given up before it returns, nothing was sent. Once it has returned,
    /// the packet comes before whatever happens to the seat afterwards: its end, or another connection.
    ///
    /// # Errors
    /// [`SendFailed`]: the packet was not taken.
    pub async fn send_ordered(&self, said: impl Into<Outgoing>) -> Result<(), SendFailed> {
        self.line.send_ordered(self.alias, said.into()).await
    }
}

/// A link that stands for many members. Dropping it takes them all out.
#[derive(Debug)]
pub struct Bridge {
    line: Line,
}

impl Bridge {
    pub(super) fn new(line: Line) -> Self {
        Self { line }
    }

    /// The tag of the room's incarnation.
    pub fn tag(&self) -> Tag {
        self.line.tag()
    }

    /// Seats a member behind this bridge; another seat of the same sender in this room is kicked.
    ///
    /// # Errors
    /// [`JoinFailed::Full`], also when the room has dropped the link; [`JoinFailed::Ending`].
    pub async fn add(&self, sender: Sender) -> Result<Alias, JoinFailed> {
        let (reply, answer) = oneshot::channel();
        let ways = self.line.ways().clone();
        self.line.control(|tag, link| Control::Add { tag, link, sender, ways, reply });
        let admitted = answer.await.map_err(|_| JoinFailed::Ending)??;
        admitted.keep().ok_or(JoinFailed::Ending)
    }

    /// Takes a member's seat away.
    pub fn remove(&self, member: Alias) {
        self.line.control(|tag, link| Control::Remove { tag, link, member });
    }

    /// Sends a packet of a member of this bridge, as [`Seat::send`] does.
    ///
    /// # Errors
    /// [`Busy`]: the packet was dropped.
    pub fn send(
        &self,
        from: Alias,
        delivery: Delivery,
        sequence: Option<Sequence>,
        said: impl Into<Outgoing>,
    ) -> Result<(), Busy> {
        self.line.send(Packet { from, delivery, sequence, said: said.into() })
    }

    /// Sends an ordered packet of a member of this bridge, as [`Seat::send_ordered`] does.
    ///
    /// # Errors
    /// [`SendFailed`]: the packet was not taken.
    pub async fn send_ordered(&self, from: Alias, said: impl Into<Outgoing>) -> Result<(), SendFailed> {
        self.line.send_ordered(from, said.into()).await
    }
}
