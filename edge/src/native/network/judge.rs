//! What happened, and what may not have.

use atoll_core::Address;
use atoll_core::room::{Frame, Link, MemberList, Pressure, Sender};
use atoll_proto::datagram::{Alias, Tag};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::time::Instant;

/// How long after a move the former seat may still be there: two seconds, and what it takes to notice.
const LEFT_WITHIN: Duration = Duration::from_millis(2200);

/// How soon archipelago acts on what it hears: two flushes, and the time in between.
const ACTED_ON: Duration = Duration::from_millis(1500);

/// The longest time between two ticks of a room.
const TICK: Duration = Duration::from_millis(50);

/// One session of one client, as the client counts them.
pub(super) type Life = (u32, u32);

/// A numbered message: whose, and its place among all that its sender pushed on that lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Id {
    pub(super) life: Life,
    pub(super) large: bool,
    pub(super) serial: u32,
}

impl Id {
    pub(super) fn payload(self, size: usize) -> Bytes {
        let mut bytes = BytesMut::new();
        bytes.put_u32(self.life.0);
        bytes.put_u32(self.life.1);
        bytes.put_u32(u32::from(self.large));
        bytes.put_u32(self.serial);
        bytes.resize(size.max(16), 0);
        bytes.freeze()
    }

    pub(super) fn of(mut payload: Bytes) -> Self {
        Self { life: (payload.get_u32(), payload.get_u32()), large: payload.get_u32() == 1, serial: payload.get_u32() }
    }
}

/// What a room did, in its order.
#[derive(Debug, Clone, Copy)]
enum Entry {
    Joined(Alias, Address),
    Left(Alias),
    Numbered(Alias, Id),
}

impl Entry {
    fn left(&self) -> Option<Alias> {
        match self {
            Self::Left(alias) => Some(*alias),
            Self::Joined(..) | Self::Numbered(..) => None,
        }
    }
}

/// What became of one session, by its client.
#[derive(Default)]
pub(super) struct Account {
    pub(super) heard: Vec<Id>,
    /// Messages of others that were announced as lost, by lane.
    pub(super) lost: [u64; 2],
    /// Own messages, in the order pushed, with the room they were for.
    pub(super) pushed: Vec<(Id, Tag)>,
    /// Own messages that were announced as lost, by lane.
    pub(super) dropped: [u64; 2],
    /// It was told these seats.
    seats: BTreeSet<(Tag, Alias)>,
    ended: bool,
}

/// Where a client stands at the end.
pub(super) struct Standing {
    pub(super) life: Life,
    pub(super) tag: Tag,
    pub(super) members: BTreeMap<u32, String>,
    /// Of each alias, the last update that counted.
    pub(super) updates: BTreeMap<u32, f32>,
    pub(super) own: u32,
    pub(super) name: String,
    pub(super) update: f32,
}

#[derive(Default)]
pub(super) struct Judge {
    faults: Vec<String>,
    trace: Option<Instant>,
    log: BTreeMap<Tag, Vec<(Instant, Entry)>>,
    islands: BTreeMap<Tag, String>,
    moves: BTreeMap<Address, Vec<(Instant, String)>>,
    /// When somebody last came, went or walked, as archipelago heard it.
    stirred: Option<Instant>,
    accounts: BTreeMap<Life, Account>,
    pub(super) standings: Vec<Standing>,
    pub(super) tally: Tally,
}

/// What a run came to, so that a test can tell that something was tried.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) heard: u64,
    pub(super) lost: u64,
    pub(super) resumed: u64,
    pub(super) refused: u64,
    pub(super) moves: u64,
    pub(super) updates: u64,
    /// Of everything that was traced, in its order.
    pub(super) digest: u64,
}

/// The judge of one run.
#[derive(Clone, Default)]
pub(super) struct Shared(Arc<Mutex<Judge>>);

impl Shared {
    pub(super) fn new(print: bool) -> Self {
        let judge = Judge { trace: print.then(Instant::now), ..Judge::default() };
        Self(Arc::new(Mutex::new(judge)))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Judge> {
        self.0.lock().unwrap()
    }

    pub(super) fn fail(&self, fault: String) {
        self.note(&format!("FAULT {fault}"));
        self.lock().faults.push(fault);
    }

    /// Notes a step, for people and for the digest.
    pub(super) fn note(&self, step: &str) {
        let mut judge = self.lock();
        if let Some(start) = judge.trace {
            println!("{:>9.3} {step}", start.elapsed().as_secs_f64());
        }
        for byte in step.bytes() {
            judge.tally.digest = (judge.tally.digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    pub(super) fn account(&self, life: Life, change: impl FnOnce(&mut Account)) {
        change(self.lock().accounts.entry(life).or_default());
    }

    pub(super) fn ended(&self, life: Life) {
        self.account(life, |account| account.ended = true);
    }

    pub(super) fn seated(&self, life: Life, tag: Tag, alias: Alias) {
        self.account(life, |account| account.seats.extend([(tag, alias)]));
    }

    pub(super) fn moved(&self, who: Address, island: &str) {
        self.note(&format!("{who} is put into {island}"));
        let mut judge = self.lock();
        judge.tally.moves += 1;
        judge.moves.entry(who).or_default().push((Instant::now(), island.to_owned()));
    }

    /// Somebody came, went or walked.
    pub(super) fn stirred(&self) {
        self.lock().stirred = Some(Instant::now());
    }

    /// Somebody is out of an island. Without a stir it was for silence, which a parked session must not be taken for.
    pub(super) fn parted(&self, island: &str) {
        let stirred = self.lock().stirred;
        if stirred.is_none_or(|at| at.elapsed() > ACTED_ON) {
            self.fail(format!("somebody was taken out of {island} while nobody stirred"));
        }
    }

    /// A link that hears all of a room and writes it down.
    pub(super) fn observer(&self, island: &str) -> Box<dyn Link> {
        Box::new(Observer { judge: self.clone(), island: island.to_owned() })
    }

    /// All that was wrong.
    pub(super) fn verdict(&self) -> Vec<String> {
        let mut judge = self.lock();
        let mut faults = std::mem::take(&mut judge.faults);
        judge.orders(&mut faults);
        judge.obligations(&mut faults);
        judge.departures(&mut faults);
        judge.ends(&mut faults);
        faults
    }
}

impl Judge {
    /// Nothing comes twice or out of order, neither to a room nor to a client.
    fn orders(&self, faults: &mut Vec<String>) {
        let rooms = self.log.iter().map(|(tag, log)| {
            let ids = log.iter().filter_map(|(_, entry)| match entry {
                Entry::Numbered(_, id) => Some(*id),
                _ => None,
            });
            (format!("{tag:?}"), ids.collect::<Vec<_>>())
        });
        let clients = self.accounts.iter().map(|(life, account)| (format!("{life:?}"), account.heard.clone()));
        for (who, ids) in rooms.chain(clients) {
            let (mut seen, mut last) = (BTreeSet::new(), BTreeMap::new());
            for id in ids {
                if !seen.insert(id) {
                    faults.push(format!("{who} heard {id:?} twice"));
                }
                // No order is promised on the large lane.
                let before = if id.large { None } else { last.insert(id.life, id.serial) };
                if before.is_some_and(|before| before > id.serial) {
                    faults.push(format!("{who} heard {id:?} after {before:?}"));
                }
            }
        }
    }

    /// What a room took reaches every member, or was announced as lost; what a client sent reaches its room.
    fn obligations(&self, faults: &mut Vec<String>) {
        let mut owed: BTreeMap<Life, Vec<Id>> = BTreeMap::new();
        let mut taken = BTreeSet::new();
        for (tag, log) in &self.log {
            let mut members = BTreeMap::new();
            for (at, (time, entry)) in log.iter().enumerate() {
                match entry {
                    Entry::Joined(alias, address) => drop(members.insert(*alias, *address)),
                    Entry::Left(alias) => drop(members.remove(alias)),
                    Entry::Numbered(from, id) => {
                        taken.insert(*id);
                        // A seat is given up at once, and that is told with the next tick.
                        let told = log[at..].iter().take_while(|(told, _)| *told <= *time + TICK);
                        let leaving: BTreeSet<_> = told.filter_map(|(_, entry)| entry.left()).collect();
                        for alias in members.keys().filter(|alias| *alias != from && !leaving.contains(alias)) {
                            let life =
                                self.accounts.iter().find(|(_, account)| account.seats.contains(&(*tag, *alias)));
                            if let Some((life, _)) = life.filter(|(_, account)| !account.ended) {
                                owed.entry(*life).or_default().push(*id);
                            }
                        }
                    }
                }
            }
        }
        for (life, account) in self.accounts.iter().filter(|(_, account)| !account.ended) {
            let heard: BTreeSet<Id> = account.heard.iter().copied().collect();
            for large in [false, true] {
                let owed = owed.get(life).into_iter().flatten().filter(|id| id.large == large);
                let missing: Vec<_> = owed.filter(|id| !heard.contains(id)).collect();
                let lost = account.lost[usize::from(large)];
                if missing.len() as u64 > lost {
                    faults.push(format!("{life:?} was told of {lost} lost messages, but lacks {missing:?}"));
                }
                let pushed = account.pushed.iter().filter(|(id, _)| id.large == large);
                let missing = pushed.filter(|(id, tag)| !taken.contains(id) && !self.left(*life, *tag));
                let missing: Vec<_> = missing.collect();
                let dropped = account.dropped[usize::from(large)];
                if missing.len() as u64 > dropped {
                    faults.push(format!("{life:?} dropped {dropped} of its messages, but {missing:?} never came"));
                }
            }
        }
    }

    /// Whether a client was ever put elsewhere after its seat in the room.
    fn left(&self, life: Life, tag: Tag) -> bool {
        let Some(island) = self.islands.get(&tag) else { return true };
        let Some(address) = self.address(life, tag) else { return true };
        let moves = self.moves.get(&address).into_iter().flatten();
        moves.skip_while(|(_, to)| to != island).any(|(_, to)| to != island)
    }

    fn address(&self, life: Life, tag: Tag) -> Option<Address> {
        let seats = &self.accounts.get(&life)?.seats;
        self.log.get(&tag)?.iter().find_map(|(_, entry)| match entry {
            Entry::Joined(alias, address) if seats.contains(&(tag, *alias)) => Some(*address),
            _ => None,
        })
    }

    /// Two seconds after a move, the former seat is gone.
    fn departures(&self, faults: &mut Vec<String>) {
        for (tag, log) in &self.log {
            let Some(island) = self.islands.get(tag) else { continue };
            for (at, entry) in log {
                let Entry::Joined(alias, address) = entry else { continue };
                let left = log.iter().find(|(_, entry)| matches!(entry, Entry::Left(left) if left == alias));
                let moves = self.moves.get(address).into_iter().flatten();
                let mut after = moves.skip_while(|(time, _)| time < at).skip_while(|(_, to)| to == island);
                let Some((moved, _)) = after.next() else { continue };
                let back = after.any(|(time, to)| to == island && *time < *moved + LEFT_WITHIN);
                let latest = *moved + LEFT_WITHIN;
                let ended = log.iter().map(|(time, _)| *time).max().is_none_or(|last| last < latest);
                if !back && !ended && left.is_none_or(|(time, _)| *time > latest) {
                    faults.push(format!("{address} was put elsewhere than {island} but kept its seat {alias:?}"));
                }
            }
        }
    }

    /// In the end everybody knows who is there and where.
    fn ends(&self, faults: &mut Vec<String>) {
        for one in &self.standings {
            let there = self.standings.iter().filter(|other| other.tag == one.tag);
            let members: BTreeMap<u32, String> = there.clone().map(|other| (other.own, other.name.clone())).collect();
            if members != one.members {
                faults.push(format!("{:?} in {:?} sees {:?}, not {members:?}", one.life, one.tag, one.members));
            }
            for other in there.filter(|other| other.life != one.life) {
                let seen = one.updates.get(&other.own);
                if seen != Some(&other.update) {
                    let (one, life, last) = (one.life, other.life, other.update);
                    faults.push(format!("{one:?} saw {seen:?} of {life:?} last, not {last}"));
                }
            }
        }
    }
}

struct Observer {
    judge: Shared,
    island: String,
}

impl Link for Observer {
    fn push(&mut self, tag: Tag, frame: Frame) -> Pressure {
        let entries: Vec<Entry> = match frame {
            Frame::Members(MemberList::Snapshot { members, .. }) => joined(&members),
            Frame::Members(MemberList::Change { joined: come, left }) => {
                left.iter().map(|alias| Entry::Left(*alias)).chain(joined(&come)).collect()
            }
            Frame::Ordered(ordered) => ordered
                .payload()
                .map(|payload| Entry::Numbered(ordered.from, Id::of(payload.clone())))
                .into_iter()
                .collect(),
            _ => return Pressure::Flowing,
        };
        self.judge.note(&format!("room {} {tag:?}: {entries:?}", self.island));
        let now = Instant::now();
        let mut judge = self.judge.lock();
        judge.islands.insert(tag, self.island.clone());
        judge.log.entry(tag).or_default().extend(entries.into_iter().map(|entry| (now, entry)));
        Pressure::Flowing
    }
}

fn joined(members: &[(Alias, Sender)]) -> Vec<Entry> {
    let peers = members.iter().filter_map(|(alias, sender)| match sender {
        Sender::Peer(address) => Some(Entry::Joined(*alias, *address)),
        Sender::Server(_) => None,
    });
    peers.collect()
}
