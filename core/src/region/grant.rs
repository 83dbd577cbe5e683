//! The right to a seat.

use super::named::is_room_name;
use super::{Capabilities, LoginError, Proof, Region, Session};
use crate::auth::{RoomToken, RoomTokenError};
use crate::room::{RoomId, Sender, SessionId};
use atoll_proto::Address;

/// A verified right to one seat.
#[derive(Debug, Clone)]
pub struct Grant {
    pub(super) room: RoomId,
    pub(super) sender: Sender,
    /// Whose end is the seat's.
    pub(super) session: Option<SessionId>,
    /// Where the room is that of the session's island: since which of its moves. The grant ends with the next.
    pub(super) generation: Option<u64>,
    pub(super) hidden: bool,
}

/// What somebody has who wants a seat in a room of some name.
#[non_exhaustive]
pub enum Right<'a> {
    /// A session here.
    Session(&'a Session),
    /// A session here, and a token for the room that was made for its address.
    SessionWithToken(&'a Session, &'a str),
    /// A token for the room.
    Token(&'a str),
    /// A token of another kind, that a door has checked.
    Verified(VerifiedToken),
    /// A proof of an address.
    Proof(Proof),
}

/// What a token says that holds, and that is for the room in question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifiedToken {
    /// Whom it is for.
    pub address: Address,
    /// The session it was made for, if for one.
    pub session: Option<SessionId>,
    /// Whether it is to be in no list of members.
    pub hidden: bool,
}

/// Why there is no grant.
#[derive(Debug, thiserror::Error)]
pub enum GrantError {
    /// The token does not hold.
    #[error(transparent)]
    Token(#[from] RoomTokenError),
    /// The proof does not hold.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// The session that the token is of has been put elsewhere since, or has ended.
    #[error("the session stands elsewhere, or has ended")]
    Stale,
    /// There is no room of this name, or not for this address.
    #[error("no room of this name for this address")]
    NoSuchRoom,
}

/// Why a seat was not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JoinFailed {
    /// The session has been put elsewhere since the grant, or has ended.
    #[error("the grant is out of date")]
    Stale,
    /// The room has as many members as it may.
    #[error("the room is full")]
    Full,
    /// The region is ending.
    #[error("the region is ending")]
    Ending,
}

impl Grant {
    /// The room it is for.
    pub fn room(&self) -> &RoomId {
        &self.room
    }

    /// Whether the room is that of the session's island.
    pub fn is_of_island(&self) -> bool {
        self.generation.is_some()
    }

    /// Who sits down with it.
    pub fn sender(&self) -> &Sender {
        &self.sender
    }

    /// Whether nobody is told of the seat but its own link. What is sent from it reaches the others.
    pub fn is_hidden(&self) -> bool {
        self.hidden
    }
}

impl Region {
    /// What the client of a grant's session can use; nothing is known of one that has none.
    pub fn capabilities(&self, grant: &Grant) -> Capabilities {
        let (Sender::Peer(address), Some(session)) = (&grant.sender, grant.session) else { return Capabilities::NONE };
        self.inner.registry.capabilities(*address, session).unwrap_or_default()
    }

    /// The right to a seat in the room of this name: for those whose session stands in this island, those with a token, and
    /// those whom a rule of [`Settings::rooms`](super::Settings::rooms) lets in.
    ///
    /// A native client's session has the one seat of its address in the island: neither a proof nor a token takes it over.
    ///
    /// The seat is the session's where one stands in the island of this name: another connection of it takes the seat over,
    /// and the end of the session is the seat's. Elsewhere each proof, and each token that names no session, is somebody
    /// anew: who comes later kicks who came before.
    ///
    /// [`Right::Verified`] is good for what [`Right::Token`] is.
    ///
    /// # Errors
    /// [`GrantError`]. A proof that held is used up.
    pub async fn grant_in(&self, room: &str, right: Right<'_>) -> Result<Grant, GrantError> {
        if !is_room_name(room) {
            return Err(GrantError::NoSuchRoom);
        }
        match right {
            Right::Session(session) => {
                let (address, id) = (session.address(), session.id());
                match self.by_island(room, address, Some(id)) {
                    Some(grant) => Ok(grant),
                    None => self.by_rule(room, address, Some(id)),
                }
            }
            Right::SessionWithToken(session, token) => {
                let (address, id) = (session.address(), session.id());
                let token = self.room_token(room, token)?;
                if token.address != address || token.session.is_some_and(|of| of != id) {
                    return Err(GrantError::NoSuchRoom);
                }
                Ok(self.by_island(room, address, Some(id)).unwrap_or_else(|| self.by_name(room, address, Some(id))))
            }
            Right::Token(token) => {
                let RoomToken { address, session } = self.room_token(room, token)?;
                self.by_token(room, VerifiedToken { address, session, hidden: false })
            }
            Right::Verified(token) => self.by_token(room, token),
            Right::Proof(proof) => {
                let address = self.inner.verifier.verify(proof).await?;
                match self.by_island(room, address, None) {
                    Some(_) if self.inner.registry.is_native(address) => Err(GrantError::NoSuchRoom),
                    Some(grant) => Ok(grant),
                    None => self.by_rule(room, address, None),
                }
            }
        }
    }

    /// A token for the room of this name, for an address that a rule of [`Settings::rooms`](super::Settings::rooms) lets in; `url`
    /// is where the room is reached, and ends in `rooms/<room>`.
    ///
    /// # Errors
    /// [`GrantError::NoSuchRoom`], also where there are no keys; [`GrantError::Token`] for a URL that is none.
    pub fn mint(&self, room: &str, address: Address, url: &str) -> Result<String, GrantError> {
        if !is_room_name(room) {
            return Err(GrantError::NoSuchRoom);
        }
        self.by_rule(room, address, None)?;
        let keys = self.settings().room_keys.as_ref().ok_or(GrantError::NoSuchRoom)?;
        Ok(keys.mint(url, address, None, self.inner.host.unix_millis() / 1000)?)
    }

    /// What a token that holds is good for. One of a session is for the island where that stands, and for no other room: not for
    /// the one it has left, even if a rule has its name.
    fn by_token(&self, room: &str, token: VerifiedToken) -> Result<Grant, GrantError> {
        let VerifiedToken { address, session, hidden } = token;
        let grant = match (self.by_island(room, address, session), session) {
            // It has its own seat there, which nobody should find to be gone.
            (Some(_), None) if self.inner.registry.is_native(address) => return Err(GrantError::NoSuchRoom),
            (Some(grant), _) => grant,
            (None, Some(_)) => return Err(GrantError::Stale),
            (None, None) => self.by_name(room, address, None),
        };
        Ok(Grant { hidden, ..grant })
    }

    fn room_token(&self, room: &str, token: &str) -> Result<RoomToken, GrantError> {
        let keys = self.settings().room_keys.as_ref().ok_or(GrantError::NoSuchRoom)?;
        Ok(keys.verify(token, room, self.inner.host.unix_millis() / 1000)?)
    }

    /// The grant of the address's session, which has to be `id` if that is given, to the island it stands in.
    fn by_island(&self, room: &str, address: Address, id: Option<SessionId>) -> Option<Grant> {
        let id = id.or_else(|| self.inner.registry.current(address))?;
        let (island, generation) = self.inner.registry.island(address, id)?;
        let (sender, session, generation) = (Sender::Peer(address), Some(id), Some(generation));
        let grant = Grant { room: island, sender, session, generation, hidden: false };
        Some(grant).filter(|grant| grant.room.as_str() == room)
    }

    fn by_rule(&self, room: &str, address: Address, session: Option<SessionId>) -> Result<Grant, GrantError> {
        let access = self.settings().rooms.access(room);
        let admits = access.is_some_and(|access| access.admits(address));
        if admits { Ok(self.by_name(room, address, session)) } else { Err(GrantError::NoSuchRoom) }
    }

    /// A seat in the room of this name without regard to where the address stands. A rule's rooms are never an island's, even of
    /// the same name; without a rule it is an island's whose peers have their sessions elsewhere.
    fn by_name(&self, name: &str, address: Address, session: Option<SessionId>) -> Grant {
        let is_named = self.settings().rooms.access(name).is_some();
        let room = if is_named { RoomId::named(name) } else { RoomId::new(name) };
        Grant { room, sender: Sender::Peer(address), session, generation: None, hidden: false }
    }
}
