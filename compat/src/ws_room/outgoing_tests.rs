use super::*;
use crate::late::{EVENTS, UPDATE_BYTES};
use atoll_proto::PacketKind;
use atoll_proto::room_frames::{FramesWriter, put_system_message};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

struct Ready(Frames);

impl Batched for Ready {
    fn frames(&self) -> &Frames {
        &self.0
    }
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

struct Client {
    outgoing: Outgoing,
    counters: Arc<RoomCounters>,
    woken: Arc<Woken>,
}

impl Client {
    fn new() -> Self {
        Self::with(budget())
    }

    fn with(budget: Arc<Budget>) -> Self {
        let counters = Arc::<RoomCounters>::default();
        Self { outgoing: Outgoing::new(budget, Arc::clone(&counters)), counters, woken: Arc::default() }
    }

    fn poll(&self) -> Poll<Result<Bytes, Ended>> {
        let waker = Arc::clone(&self.woken).into();
        self.outgoing.poll_next(&mut Context::from_waker(&waker))
    }

    fn is_cut(&self) -> bool {
        let waker = Arc::clone(&self.woken).into();
        self.outgoing.poll_cut(&mut Context::from_waker(&waker)).is_ready()
    }

    /// Everything that is to be sent now.
    fn all(&self) -> Vec<u8> {
        let mut all = Vec::new();
        while let Poll::Ready(Ok(chunk)) = self.poll() {
            all.extend_from_slice(&chunk);
        }
        all
    }

    fn batch(&self, frames: &[(u32, Option<PacketKind>, &[u8])]) {
        let mut writer = FramesWriter::default();
        for (from, update, body) in frames {
            writer.add(Alias(*from), *update, |out| put_system_message(Alias(*from), body, out));
        }
        self.outgoing.push_batch(Box::new(Ready(writer.finish())), Some(Alias(0)));
    }
}

const POSITION: Option<PacketKind> = Some(PacketKind::Position);

fn system(from: u32, body: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    put_system_message(Alias(from), body, &mut out);
    out.to_vec()
}

#[test]
fn what_may_not_be_lost_goes_before_news_and_nobody_hears_its_own() {
    let client = Client::new();
    assert!(client.poll().is_pending());
    client.batch(&[(1, POSITION, b"a"), (0, POSITION, b"own"), (2, None, b"b")]);
    assert!(client.outgoing.push(Bytes::from_static(b"ordered")));
    assert_eq!(client.woken.0.load(Ordering::Relaxed), 1, "woken once for both");
    assert_eq!(client.all(), [&b"ordered"[..], &system(1, b"a"), &system(2, b"b")].concat());
    assert!(client.poll().is_pending());
}

#[test]
fn a_client_that_is_behind_gets_the_newest_updates_once_and_the_last_events() {
    let client = Client::new();
    for tick in 0..100_u8 {
        client.batch(&[
            (1, POSITION, &[tick]),
            (2, POSITION, &[tick]),
            (1, Some(PacketKind::Movement), &[tick]),
            (2, None, &[tick]),
        ]);
    }
    // By turns, as long as there are both.
    let updates =
        [system(1, &[99]), system(1, &[99]), system(2, &[99])].into_iter().chain(std::iter::repeat(Vec::new()));
    let expected: Vec<u8> =
        (0..100).zip(updates).flat_map(|(tick, update)| [update, system(2, &[tick])].concat()).collect();
    assert_eq!(client.all(), expected);
    assert_eq!(client.counters.replaced.value(), 99 * 3);
    for number in 0..=u16::MAX {
        client.batch(&[(3, None, &number.to_be_bytes())]);
    }
    let sent = client.all();
    assert_eq!(sent.len(), EVENTS * system(3, &[0, 0]).len());
    assert!(sent.ends_with(&system(3, &u16::MAX.to_be_bytes())));
    assert_eq!(client.counters.dropped.value(), u64::from(u16::MAX) + 1 - EVENTS as u64);
}

#[test]
fn everybody_is_heard_by_who_stays_behind() {
    const MEMBERS: u32 = 200;
    let client = Client::new();
    let mut heard = std::collections::BTreeSet::new();
    for _ in 0..BATCHES {
        client.batch(&[(1, POSITION, b"first")]);
    }
    // Each round all say something new, and the client takes one chunk.
    for _ in 0..20 {
        let bodies: Vec<Vec<u8>> = (0..MEMBERS).map(|from| vec![from as u8; 600]).collect();
        let frames: Vec<_> = (0..MEMBERS).zip(&bodies).map(|(from, body)| (from, POSITION, &body[..])).collect();
        client.batch(&frames);
        let Poll::Ready(Ok(chunk)) = client.poll() else { panic!("nothing to send") };
        heard.extend(
            chunk.windows(500).filter(|window| window.iter().all(|byte| *byte == window[0])).map(|same| same[0]),
        );
    }
    // The first is the client itself.
    assert_eq!(heard.len(), MEMBERS as usize - 1);
    assert_eq!(client.counters.dropped.value(), 0);
}

#[test]
fn updates_that_wait_are_bounded() {
    let client = Client::new();
    for round in 0..10_u8 {
        let body = [round; 1000];
        let frames: Vec<_> = (1..1000).map(|from| (from, POSITION, &body[..])).collect();
        client.batch(&frames);
    }
    assert!(client.counters.dropped.value() > 0);
    assert!(client.all().len() <= UPDATE_BYTES);
}

#[test]
fn up_to_some_batches_go_out_as_they_are() {
    let client = Client::new();
    for tick in 0..BATCHES as u8 {
        client.batch(&[(1, POSITION, &[tick])]);
    }
    let expected: Vec<u8> = (0..BATCHES as u8).flat_map(|tick| system(1, &[tick])).collect();
    assert_eq!(client.all(), expected);
}

#[test]
fn nothing_of_who_has_left_follows_the_word_of_it() {
    let client = Client::new();
    client.batch(&[(1, POSITION, b"a"), (2, POSITION, b"b")]);
    client.batch(&[(1, None, b"a"), (2, None, b"b")]);
    client.outgoing.forget(&[Alias(1)]);
    assert!(client.outgoing.push(Bytes::from_static(b"left")));
    client.batch(&[(3, POSITION, b"c")]);
    let expected = [&b"left"[..], &system(2, b"b"), &system(2, b"b"), &system(3, b"c")].concat();
    assert_eq!(client.all(), expected);
}

#[test]
fn too_much_that_may_not_be_lost_is_the_end() {
    let client = Client::new();
    assert!(!client.is_cut());
    let message = Bytes::from(vec![7; 64 * 1024]);
    let taken = (0..1000).take_while(|_| client.outgoing.push(message.clone())).count();
    assert!((32..MAX_WAITING / message.len() + 1).contains(&taken), "{taken}");
    assert!(client.is_cut());
    assert_eq!(client.woken.0.load(Ordering::Relaxed), 1, "also who waits for its client is told");
    assert_eq!(client.poll(), Poll::Ready(Err(Ended::TooSlow)));
    assert!(!client.outgoing.push(message));
}

#[test]
fn all_together_have_a_budget_and_each_has_something() {
    let budget = Arc::new(Budget::new(1 << 20, ALWAYS));
    let clients: Vec<_> = (0..40).map(|_| Client::with(Arc::clone(&budget))).collect();
    let message = Bytes::from(vec![7; 16 * 1024]);
    for _ in 0..200 {
        for client in &clients {
            client.outgoing.push(message.clone());
        }
    }
    assert!(clients.iter().all(Client::is_cut));
    assert_eq!(budget.kept(), 0);
    let last = Client::with(budget);
    assert!((0..10).all(|_| last.outgoing.push(message.clone())));
}

#[test]
fn the_end_waits_for_what_may_not_be_lost() {
    let client = Client::new();
    client.batch(&[(1, POSITION, b"a")]);
    assert!(client.outgoing.push(Bytes::from_static(b"kicked")));
    client.outgoing.end(Ended::Replaced);
    assert!(!client.is_cut());
    assert_eq!(client.poll(), Poll::Ready(Ok(Bytes::from_static(b"kicked"))));
    assert_eq!(client.poll(), Poll::Ready(Err(Ended::Replaced)));
    client.outgoing.end(Ended::Reseated);
    assert_eq!(client.poll(), Poll::Ready(Err(Ended::Replaced)), "the first word counts");
}

#[test]
fn chunks_are_of_bounded_size() {
    let client = Client::new();
    for _ in 0..100 {
        assert!(client.outgoing.push(Bytes::from(vec![1; 1000])));
    }
    let Poll::Ready(Ok(chunk)) = client.poll() else { panic!("nothing to send") };
    assert!((CHUNK..CHUNK + 1000).contains(&chunk.len()));
    assert_eq!(client.all().len(), 100_000 - chunk.len());
}
