//! Which numbered messages of a client have arrived, and when it is told so.

use super::ending::Ending;
use super::streams::Lane;
use super::uploads::News;
use atoll_proto::atoll::Received;
use atoll_proto::close::CloseCode;
use atoll_proto::datagram::Tag;
use atoll_proto::lanes::{ACKNOWLEDGE_WITHIN, Incoming, NumberError, Verdict};
use bytes::Bytes;
use tokio::time::Instant;

/// The receiving side of both lanes of a session, whatever connections it has.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    incoming: Incoming,
    /// When the client has to be told at the latest.
    due: Option<Instant>,
}

impl Inbox {
    /// Notes what arrived, and gives the message if it is new.
    pub(super) fn accept(&mut self, lane: Lane, news: News) -> Result<Option<(Tag, Bytes)>, Ending> {
        let message = self.note(lane, news).map_err(|error| Ending::new(CloseCode::Malformed, error))?;
        if self.due.is_none() && self.incoming.unacknowledged() > 0 {
            self.due = Some(Instant::now() + ACKNOWLEDGE_WITHIN);
        }
        if self.incoming.is_due() {
            self.due = Some(Instant::now());
        }
        Ok(message)
    }

    fn note(&mut self, lane: Lane, news: News) -> Result<Option<(Tag, Bytes)>, NumberError> {
        let Incoming { ordered, large } = &mut self.incoming;
        match news {
            News::Message { tag, number, payload } => {
                let verdict = match lane {
                    Lane::Ordered => ordered.accept(number)?,
                    Lane::Large => large.accept(number)?,
                };
                Ok((verdict == Verdict::New).then_some((tag, payload)))
            }
            News::Gap { first, last } => {
                match lane {
                    Lane::Ordered => drop(ordered.gap(first, last)?),
                    Lane::Large => drop(large.gap(first, last)?),
                }
                Ok(None)
            }
        }
    }

    /// When [`Inbox::acknowledge`] is to be called at the latest.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// What to tell the client, if there is news.
    pub(super) fn acknowledge(&mut self) -> Option<Received> {
        self.due = None;
        self.incoming.acknowledge()
    }

    /// All that has arrived, for a client that resumes.
    pub(super) fn received(&mut self) -> Received {
        self.due = None;
        self.incoming.acknowledge().unwrap_or_else(|| self.incoming.received())
    }
}
