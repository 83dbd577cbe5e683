//! Who comes into a session's island, and who leaves it, as archipelago tells it on the bus.

use atoll_core::Address;
use atoll_core::region::{Scope, Session, TopicMessage, TopicSubscription, Topics};
use atoll_proto::archipelago::server_packet::Message as ToClient;
use atoll_proto::archipelago::{JoinIslandMessage, LeftIslandMessage};

/// The others of one session.
pub(super) struct Neighbours {
    own: Address,
    topics: Topics,
    /// Of the present island.
    news: Option<TopicSubscription>,
}

impl Neighbours {
    pub(super) fn new(session: &Session) -> Self {
        Self { own: session.address(), topics: session.topics(), news: None }
    }

    /// Hears of another island from now on. An island whose name is no topic has no news.
    pub(super) fn move_to(&mut self, island: &str) {
        self.news = None;
        self.news = self.topics.subscribe(Scope::System, &format!("island.{island}.*")).ok();
    }

    /// What happened next. Cancel-safe.
    pub(super) async fn next(&mut self) -> ToClient {
        loop {
            let message = match &mut self.news {
                Some(news) => news.next().await,
                None => std::future::pending().await,
            };
            match message {
                Some(message) => {
                    if let Some(news) = self.read(&message) {
                        return news;
                    }
                }
                None => self.news = None,
            }
        }
    }

    /// Its own coming is no news to a peer: it has its island change.
    fn read(&self, TopicMessage { topic, payload, .. }: &TopicMessage) -> Option<ToClient> {
        let of_another = |peer_id: &str| peer_id != self.own.to_string();
        match topic.rsplit('.').next()? {
            "peer_join" => {
                let joined: JoinIslandMessage = atoll_proto::decode(payload).ok()?;
                of_another(&joined.peer_id).then_some(ToClient::JoinIsland(joined))
            }
            "peer_left" => {
                let left: LeftIslandMessage = atoll_proto::decode(payload).ok()?;
                of_another(&left.peer_id).then_some(ToClient::LeftIsland(left))
            }
            _ => None,
        }
    }
}
