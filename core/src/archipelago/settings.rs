//! What an engine is told once: distances, sizes, and whose rules it follows.

/// How islands are made. Every distance is in metres.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Islands merge when a member of one is this close (or closer) to a member of the other.
    pub join_distance: f64,
    /// An island splits where its members are further apart than this. Under [`Rules::Product`] never less than
    /// `join_distance`: a smaller value would merge and split the same peers for ever.
    pub leave_distance: f64,
    /// Members an island may have. The two older rule sets take it from [`Transport::max_peers`] instead.
    pub max_peers: usize,
    /// What island ids begin with; a counter in base 36 follows. Ids start over with the process, so a prefix that is
    /// fresh at every start keeps old and new islands apart.
    pub room_prefix: String,
    /// Whose rules.
    pub rules: Rules,
    /// Keys the table of who is near whom: a random number, so that nobody can place peers to make it slow. It has no
    /// influence on the islands.
    pub grid_key: u64,
}

impl Default for Settings {
    /// The originals' defaults with the product's rules: 64 m, 80 m, 100 members, prefix `I`.
    fn default() -> Self {
        Self {
            join_distance: 64.0,
            leave_distance: 80.0,
            max_peers: 100,
            room_prefix: "I".to_owned(),
            rules: Rules::Product,
            grid_key: 0,
        }
    }
}

/// Whose rules an engine follows. The recorded generations are kept so that what was seen of them can be replayed exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Rules {
    /// Atoll's own. They are those of [`Rules::Final`] with these differences:
    ///
    /// - only islands that touch each other merge, never two strangers by way of a third one that is full; merging goes on within
    ///   the flush until nothing more fits;
    /// - a change names the last *announced* island as `from`, and there is none for a peer that ends where it was;
    /// - refused peers leave their island at once, with a [`Change::Left`](super::Change::Left);
    /// - while the transport fails nobody is dropped or moved: everything waits, only departures are announced;
    /// - absurd positions are refused.
    #[default]
    Product,
    /// `archipelago-workers` of 2026, one transport. Without it, newcomers are forgotten until their next heartbeat.
    Final,
    /// `archipelago-service` of February 2023: the first transport with seats; a group without one is in no island for good.
    V2023_02,
    /// `archipelago-service` of September 2022: a built-in transport 0, others preferred while they have seats to spare.
    /// Where the original's flush stopped half-way for want of transport 0, leaving peers in two islands, this one goes on
    /// as [`Rules::V2023_02`] does.
    V2022_09,
}

impl Rules {
    /// Whether a peer that leaves before its first flush is forgotten. If not, it appears as a ghost.
    pub(crate) fn forgets_pending(self) -> bool {
        matches!(self, Self::Product | Self::Final)
    }

    /// Whether islands live on registered transports, with their limits, instead of on the one from the settings.
    pub(crate) fn has_transports(self) -> bool {
        matches!(self, Self::V2023_02 | Self::V2022_09)
    }
}

/// A transport of the two older rule sets, as its heartbeat described it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transport {
    /// Its number. Number 0 is built into [`Rules::V2022_09`]: it takes what no other transport takes.
    pub id: u32,
    /// Free seats; -1 stands for no limit (since 2023-02).
    pub available_seats: i64,
    /// Members of an island made on it from now on.
    pub max_peers: usize,
}
