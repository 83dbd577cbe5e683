//! The room that the program asked for, over losses of the connection.

use super::NotTaken;
use atoll_proto::atoll::{ErrorCode, JoinRoom, client_message};

/// Longest connection string that an edge reads, in bytes.
const MAX_CONNECTION_STRING: usize = 8 * 1024;

/// Where the client wants to sit: in the room of a connection string, or by its island for an empty one.
#[derive(Debug, Default)]
pub(super) struct Wish {
    connection_string: String,
    /// The edge is to be told.
    is_due: bool,
    /// The edge was told and has not answered.
    is_open: bool,
}

impl Wish {
    /// Asks for a room, or to go back to the island.
    pub(super) fn ask(&mut self, connection_string: &str) -> Result<(), NotTaken> {
        let surplus = connection_string.len().saturating_sub(MAX_CONNECTION_STRING);
        if surplus > 0 {
            return Err(NotTaken::TooLarge(surplus));
        }
        self.connection_string = connection_string.to_owned();
        self.is_due = true;
        Ok(())
    }

    /// What the control stream carries next.
    pub(super) fn next(&mut self) -> Option<client_message::Message> {
        if !std::mem::take(&mut self.is_due) {
            return None;
        }
        self.is_open = true;
        Some(client_message::Message::JoinRoom(JoinRoom { connection_string: self.connection_string.clone() }))
    }

    /// The client sits in a room that it asked for, or in that of its island.
    pub(super) fn seated(&mut self, is_asked_for: bool) {
        // Its island's may have been on its way before the answer.
        self.is_open &= is_asked_for == self.connection_string.is_empty();
    }

    /// The edge refused something.
    pub(super) fn refused(&mut self, code: ErrorCode) {
        let is_answer = match code {
            ErrorCode::InvalidConnectionString | ErrorCode::RoomRefused => true,
            // It may also be about something else.
            ErrorCode::RoomFull | ErrorCode::TooFast => self.is_open,
            ErrorCode::RoomLost => !self.is_open,
            _ => false,
        };
        if is_answer && !self.is_due {
            *self = Self::default();
        }
    }

    /// Goes on over another connection. A session that goes on sits where it sat; a new one sits nowhere.
    pub(super) fn go_on(&mut self, is_new: bool) {
        self.is_due = match is_new {
            true => !self.connection_string.is_empty(),
            false => self.is_due || self.is_open,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(wish: &mut Wish) -> Option<String> {
        match wish.next()? {
            client_message::Message::JoinRoom(join) => Some(join.connection_string),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_wish_is_told_once_and_again_where_it_may_be_lost() {
        let mut wish = Wish::default();
        assert_eq!(asked(&mut wish), None);
        wish.ask("quic:w").unwrap();
        assert_eq!((asked(&mut wish), asked(&mut wish)), (Some("quic:w".to_owned()), None));
        wish.go_on(false);
        assert_eq!(asked(&mut wish).as_deref(), Some("quic:w"), "nobody knows whether it was heard");
        wish.seated(false);
        wish.go_on(false);
        assert_eq!(asked(&mut wish).as_deref(), Some("quic:w"), "an island's is no answer");
        wish.seated(true);
        wish.go_on(false);
        assert_eq!(asked(&mut wish), None);
        wish.go_on(true);
        assert_eq!(asked(&mut wish).as_deref(), Some("quic:w"), "a new session sits nowhere");
        wish.ask("").unwrap();
        assert_eq!(asked(&mut wish).as_deref(), Some(""));
        wish.go_on(true);
        assert_eq!(asked(&mut wish), None, "and goes by its island");
    }

    #[test]
    fn what_was_refused_is_not_asked_for_again() {
        for code in [ErrorCode::RoomRefused, ErrorCode::InvalidConnectionString, ErrorCode::RoomFull] {
            let mut wish = Wish::default();
            wish.ask("quic:w").unwrap();
            asked(&mut wish);
            wish.refused(code);
            wish.go_on(true);
            assert_eq!(asked(&mut wish), None, "{code:?}");
        }
        let mut wish = Wish::default();
        wish.ask("quic:w").unwrap();
        asked(&mut wish);
        wish.seated(true);
        wish.refused(ErrorCode::TooFast);
        wish.go_on(true);
        assert_eq!(asked(&mut wish).as_deref(), Some("quic:w"), "that was something else");
        wish.seated(true);
        wish.refused(ErrorCode::RoomLost);
        wish.go_on(true);
        assert_eq!(asked(&mut wish), None, "somebody else has it");
    }
}
