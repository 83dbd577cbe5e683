//! One client: into its room, and what it says and hears there.

use super::link::{KICKED, RoomLink, kicked};
use super::login::{log_in, send_away};
use super::outgoing::Outgoing;
use super::{Generation, MAX_RFC5_FRAME, Seats, incoming};
use crate::counters::RoomCounters;
use crate::doorway::Arrival;
use crate::ended::Ended;
use crate::socket::Socket;
use atoll_core::limit::Pace;
use atoll_core::region::{Grant, JoinFailed, Over, Seat};
use atoll_core::room::{Delivery, MAX_ORDERED_PAYLOAD, Sender};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Largest message of RFC-5, in bytes.
const RFC5: u64 = MAX_RFC5_FRAME as u64;

/// Largest message of the first generation: the largest packet, and what is around it. The originals had no limit.
const FIRST: u64 = MAX_ORDERED_PAYLOAD as u64 + 256;

/// Most seats of one address by this door: its sessions have two at most, and it may be in some rooms beside the islands'.
const SEATS_OF_ADDRESS: usize = 16;

/// How long the last words may take, in either direction.
const FAREWELL: Duration = Duration::from_secs(1);

/// After how long a silence a client has said its last words, whose session is over or speaks elsewhere: what it said here
/// before may be read after that.
const SILENCE: Duration = Duration::from_millis(50);

/// What a client is told when its room is full: the originals' words, which users know.
const FULL: &str = "This world is full. Try again later.";

/// Serves a client of RFC-5; one without a grant has to sign a challenge.
pub(super) async fn serve_rfc5(mut socket: Socket, arrival: Arrival, seats: Seats, room: String, grant: Option<Grant>) {
    let ended = match rfc5(&mut socket, arrival, &seats, &room, grant).await {
        Ok(never) => match never {},
        Err(ended) => ended,
    };
    tracing::debug!(room, "a connection to a room ended: {ended}");
    socket.close(&ended).await;
}

/// Serves a client of the first generation. One without a grant is closed.
pub(super) async fn serve_first(mut socket: Socket, arrival: Arrival, seats: Seats, grant: Option<Grant>) {
    let ended = match grant {
        Some(grant) => match converse(&mut socket, arrival, &seats, grant, Generation::First).await {
            Ok(never) => match never {},
            Err(ended) => ended,
        },
        None => Ended::Refused,
    };
    tracing::debug!("a connection to a room ended: {ended}");
    socket.close(&ended).await;
}

async fn rfc5(
    socket: &mut Socket,
    arrival: Arrival,
    seats: &Seats,
    room: &str,
    grant: Option<Grant>,
) -> Result<Infallible, Ended> {
    let grant = match grant {
        Some(grant) => grant,
        None => tokio::select! {
            grant = log_in(socket, &arrival, seats, room) => grant?,
            () = arrival.waiting.evicted() => return Err(Ended::Evicted),
        },
    };
    match converse(socket, arrival, seats, grant, Generation::Rfc5).await {
        Err(Ended::RoomFull) => {
            send_away(socket, FULL).await?;
            Err(Ended::RoomFull)
        }
        other => other,
    }
}

async fn converse(
    socket: &mut Socket,
    arrival: Arrival,
    seats: &Seats,
    grant: Grant,
    generation: Generation,
) -> Result<Infallible, Ended> {
    let Sender::Peer(address) = *grant.sender() else { return Err(Ended::NoRoom) };
    if seats.occupancy.seats(address) >= SEATS_OF_ADDRESS {
        return Err(Ended::Evicted);
    }
    let spot = seats.crowd.enter(arrival.from).ok_or(Ended::Evicted)?;
    let counters = Arc::clone(&arrival.doorway.counters().rooms);
    let outgoing = Arc::new(Outgoing::new(Arc::clone(&seats.waiting), Arc::clone(&counters)));
    let link = RoomLink::new(generation, Arc::clone(&outgoing), Arc::clone(&counters));
    let room = grant.room().clone();
    let mut seat = arrival.doorway.region.join(grant, Box::new(link)).await.map_err(|failed| match failed {
        JoinFailed::Stale => Ended::SessionOver,
        JoinFailed::Full => Ended::RoomFull,
        JoinFailed::Ending => Ended::Ending,
    })?;
    let _occupied = seats.occupancy.enter(room, address);
    arrival.counters.logins.add(1);
    let former = Some(seat.former_ended().boxed());
    let client = Client { seat, former, generation, pace: arrival.doorway.region.pace(), counters: &counters };
    // From here on the seat counts, and not the wait for it.
    drop(arrival);
    socket.allow(match generation {
        Generation::First => FIRST,
        Generation::Rfc5 => RFC5,
    });
    socket.allow_silence();
    tokio::select! {
        biased;
        () = spot.evicted() => Err(Ended::Evicted),
        ended = attend(socket, client, &outgoing) => ended,
    }
}

async fn attend(socket: &mut Socket, mut client: Client<'_>, outgoing: &Outgoing) -> Result<Infallible, Ended> {
    let mut over = pin!(client.seat.over());
    // Who is replaced and does not take the last words goes without them.
    let mut overdue = pin!(async {
        outgoing.ended().await;
        tokio::time::sleep(FAREWELL).await;
    });
    loop {
        let message = tokio::select! {
            biased;
            over = &mut over => {
                hear_out(socket, &mut client).await;
                if over == Over::Kicked && client.generation == Generation::Rfc5 {
                    outgoing.push(kicked(KICKED));
                }
                drop(client);
                let ended = if over == Over::Kicked { Ended::Replaced } else { Ended::SessionOver };
                outgoing.end(ended.clone());
                return timeout(FAREWELL, drain(socket, outgoing)).await.unwrap_or(Err(ended));
            }
            () = &mut overdue => return Err(Ended::Clogged),
            message = socket.receive_sending(outgoing) => message,
        };
        match message {
            Ok(message) => client.says(&message).await?,
            Err(ended) => {
                // Its client speaks elsewhere now, where it is not heard before it was heard out here.
                if matches!(ended, Ended::Reseated | Ended::Replaced) {
                    hear_out(socket, &mut client).await;
                }
                return Err(ended);
            }
        }
    }
}

/// Who speaks.
struct Client<'a> {
    seat: Seat,
    /// The end of its former connection, which may still have to pass on what it said there.
    former: Option<BoxFuture<'static, ()>>,
    generation: Generation,
    pace: Pace,
    counters: &'a RoomCounters,
}

impl Client<'_> {
    /// Passes on what it says. One that says more than it may waits.
    async fn says(&mut self, message: &Bytes) -> Result<(), Ended> {
        let Some(said) = incoming::read(self.generation, message) else {
            if !incoming::is_identification(self.generation, message) {
                self.counters.unread.add(1);
            }
            return Ok(());
        };
        if let Some(former) = self.former.take() {
            let _ = timeout(FAREWELL, former).await;
        }
        if said.delivery == Delivery::Ordered {
            self.pace.wait_for_message(message.len()).await;
        }
        incoming::say(&self.seat, said, self.counters).await
    }
}

/// Passes on what the client still says, until it is silent. Whether it goes on does not matter any more.
async fn hear_out(socket: &mut Socket, client: &mut Client<'_>) {
    let hearing = async {
        while let Ok(Ok(message)) = timeout(SILENCE, socket.receive()).await {
            if client.says(&message).await.is_err() {
                return;
            }
        }
    };
    // One that goes on talking is heard no longer than this.
    let _ = timeout(FAREWELL, hearing).await;
}

/// Sends what is left to be said, whatever the client still says.
async fn drain(socket: &mut Socket, outgoing: &Outgoing) -> Result<Infallible, Ended> {
    loop {
        socket.receive_sending(outgoing).await?;
    }
}
