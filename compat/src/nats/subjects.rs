//! The names: which subject of either family is which of this process's own.
//!
//! Inside the process every fact has one subject, that of the `client-proto` family. What other spellings say is renamed
//! on its way in, and said in the other spellings, too, on its way out.

/// What a payload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// Where a peer stands.
    Heartbeat,
    /// Which island a peer is in.
    IslandChanged,
    /// All islands.
    Islands,
    /// That a service is there, as protobuf.
    Discovery,
    /// Anything else. It is passed on as it is.
    Other,
}

/// A message to publish beside the one on the process's own subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Copy {
    pub(super) subject: String,
    /// Whether it is of the `engine` family, which has its own way to write coordinates.
    pub(super) is_engine: bool,
}

/// Which copies are published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spellings {
    /// `peer.<id>.heartbeat`, `engine.peer.<id>.island_changed`, `engine.islands` and `engine.discovery`.
    pub engine: bool,
    /// `client-proto.peer.<id>.island_changed` and `client.peer.<id>.<topic>`, as the documents have them.
    pub documented: bool,
    /// `client-proto.peer.<id>.hearbeat`, as the documents have it.
    pub documented_heartbeats: bool,
}

/// What is listened to, whoever is interested. Nothing is in two of these, so that each message comes once.
pub(super) const SAID: [&str; 8] = [
    "client-proto.>",
    "client.peer.>",
    "peer.*.connect",
    "peer.*.heartbeat",
    "engine.peer.>",
    "engine.discovery",
    "service.discovery",
    "atoll.>",
];

/// And what must not overtake any of it.
pub(super) const CONCLUSIONS: [&str; 3] = ["peer.*.disconnect", "archipelago.islands", "engine.islands"];

/// The subject that this process knows a foreign one by, and what its payload is.
pub(super) fn own(subject: &str) -> (String, Kind) {
    let levels: Vec<&str> = subject.split('.').collect();
    match levels[..] {
        ["client-proto" | "client", "peer", peer, "heartbeat" | "hearbeat"] | ["peer", peer, "heartbeat"] => {
            (heartbeat(peer), Kind::Heartbeat)
        }
        ["client-proto" | "client" | "engine", "peer", peer, "island_changed"]
        | ["client-proto", peer, "island_changed"] => (island_changed(peer), Kind::IslandChanged),
        ["client", "peer", ..] => (format!("client-proto.{}", levels[1..].join(".")), Kind::Other),
        ["engine", "islands"] | ["archipelago", "islands"] => (ISLANDS.to_owned(), Kind::Islands),
        ["engine", "discovery"] => (DISCOVERY.to_owned(), Kind::Discovery),
        _ => (subject.to_owned(), Kind::Other),
    }
}

/// What the payload of one of the process's own subjects is, and where else it is published.
pub(super) fn copies(subject: &str, spellings: Spellings) -> (Kind, Vec<Copy>) {
    let mut copies = Vec::new();
    let mut engine = |subject: String| {
        if spellings.engine {
            copies.push(Copy { subject, is_engine: true });
        }
    };
    let levels: Vec<&str> = subject.split('.').collect();
    let (kind, documented) = match levels[..] {
        ["client-proto", "peer", peer, "heartbeat"] => {
            engine(format!("peer.{peer}.heartbeat"));
            let documented = spellings.documented_heartbeats.then(|| format!("client-proto.peer.{peer}.hearbeat"));
            (Kind::Heartbeat, documented)
        }
        ["client-proto", peer, "island_changed"] => {
            engine(format!("engine.peer.{peer}.island_changed"));
            let documented = spellings.documented.then(|| format!("client-proto.peer.{peer}.island_changed"));
            (Kind::IslandChanged, documented)
        }
        ["client-proto", "peer", _, ..] => {
            (Kind::Other, spellings.documented.then(|| format!("client.{}", levels[1..].join("."))))
        }
        ["archipelago", "islands"] => {
            engine("engine.islands".to_owned());
            (Kind::Islands, None)
        }
        ["service", "discovery"] => {
            engine("engine.discovery".to_owned());
            (Kind::Discovery, None)
        }
        _ => (Kind::Other, None),
    };
    copies.extend(documented.map(|subject| Copy { subject, is_engine: false }));
    (kind, copies)
}

const ISLANDS: &str = "archipelago.islands";
const DISCOVERY: &str = "service.discovery";

fn heartbeat(peer: &str) -> String {
    format!("client-proto.peer.{peer}.heartbeat")
}

pub(super) fn island_changed(peer: &str) -> String {
    format!("client-proto.{peer}.island_changed")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Spellings = Spellings { engine: true, documented: true, documented_heartbeats: true };

    #[test]
    fn every_spelling_is_known_by_one_name() {
        let cases = [
            ("client-proto.peer.0xa.heartbeat", "client-proto.peer.0xa.heartbeat", Kind::Heartbeat),
            ("client-proto.peer.0xa.hearbeat", "client-proto.peer.0xa.heartbeat", Kind::Heartbeat),
            ("peer.0xa.heartbeat", "client-proto.peer.0xa.heartbeat", Kind::Heartbeat),
            ("client.peer.0xa.hearbeat", "client-proto.peer.0xa.heartbeat", Kind::Heartbeat),
            ("client-proto.0xa.island_changed", "client-proto.0xa.island_changed", Kind::IslandChanged),
            ("client-proto.peer.0xa.island_changed", "client-proto.0xa.island_changed", Kind::IslandChanged),
            ("engine.peer.0xa.island_changed", "client-proto.0xa.island_changed", Kind::IslandChanged),
            ("client.peer.0xa.scene.1", "client-proto.peer.0xa.scene.1", Kind::Other),
            ("client-proto.peer.0xa.scene.1", "client-proto.peer.0xa.scene.1", Kind::Other),
            ("client-proto.island.I1.peer_join", "client-proto.island.I1.peer_join", Kind::Other),
            ("peer.0xa.connect", "peer.0xa.connect", Kind::Other),
            ("engine.islands", "archipelago.islands", Kind::Islands),
            ("engine.discovery", "service.discovery", Kind::Discovery),
            ("service.discovery", "service.discovery", Kind::Other),
            // The island of a peer is one level below the family: this is the topic of one.
            ("client-proto.peer.island_changed", "client-proto.peer.island_changed", Kind::IslandChanged),
        ];
        for (subject, name, kind) in cases {
            assert_eq!(own(subject), (name.to_owned(), kind), "{subject}");
        }
    }

    #[test]
    fn what_goes_out_in_other_spellings_comes_back_by_the_same_name() {
        for subject in [
            "client-proto.peer.0xa.heartbeat",
            "client-proto.0xa.island_changed",
            "client-proto.peer.0xa.scene.1",
            "archipelago.islands",
            "service.discovery",
        ] {
            let (_, copies) = copies(subject, ALL);
            assert!(!copies.is_empty(), "{subject}");
            for copy in copies {
                assert_eq!(own(&copy.subject).0, subject);
                assert_eq!(copy.is_engine, !copy.subject.starts_with("client"), "{}", copy.subject);
            }
        }
        let none = Spellings { engine: false, documented: false, documented_heartbeats: false };
        for subject in ["client-proto.peer.0xa.heartbeat", "client-proto.0xa.island_changed", "peer.0xa.connect"] {
            assert!(copies(subject, none).1.is_empty());
        }
    }
}
