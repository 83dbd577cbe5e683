use super::*;
use crate::native::counters::KEPT_ALWAYS;
use crate::native::{Mover, queues};
use atoll_core::Address;
use atoll_core::limit::Budget;
use atoll_proto::framing::take_frame;
use atoll_proto::lanes::{MAX_LARGE_HEADER, MAX_ORDERED_FRAME};

/// A client's end of one connection, and the writers of its edge.
struct Client {
    mover: Mover,
    carrier: Carrier,
    writers: JoinSet<()>,
    buffer: BytesMut,
}

impl Client {
    fn new() -> Self {
        let (queues, _, _, mover) = queues([127, 0, 0, 1].into());
        let carrier = Carrier::Queues(queues);
        Self { mover, carrier, writers: JoinSet::new(), buffer: BytesMut::new() }
    }

    /// The next on the ordered lane: a number with its payload, or a gap.
    async fn ordered(&mut self, outbox: &Arc<Outbox>) -> ordered_message::Message {
        loop {
            if let Some(frame) = take_frame(&mut self.buffer, MAX_ORDERED_FRAME).unwrap() {
                let message: OrderedMessage = atoll_proto::decode(&frame).unwrap();
                return message.message.unwrap();
            }
            tokio::select! {
                () = outbox.wanted() => outbox.serve(&self.carrier, &mut self.writers),
                bytes = self.mover.ordered.recv() => self.buffer.extend_from_slice(&bytes.unwrap()),
            }
        }
    }

    /// The next large message: its number, its payload.
    async fn large(&mut self, outbox: &Arc<Outbox>) -> (u64, Bytes) {
        let mut header = None;
        loop {
            if header.is_none()
                && let Some(frame) = take_frame(&mut self.buffer, MAX_LARGE_HEADER).unwrap()
            {
                let read: LargeHeader = atoll_proto::decode(&frame).unwrap();
                let Some(large_header::Message::Large(large)) = read.message else { panic!("{read:?}") };
                header = Some(large);
            }
            if let Some(large) = header.as_ref().filter(|large| self.buffer.len() >= large.length as usize) {
                return (large.number, self.buffer.split_to(large.length as usize).freeze());
            }
            tokio::select! {
                () = outbox.wanted() => outbox.serve(&self.carrier, &mut self.writers),
                bytes = self.mover.large.recv() => {
                    let bytes = bytes.unwrap();
                    assert!(bytes.len() <= LARGE_SLICE, "{}", bytes.len());
                    self.buffer.extend_from_slice(&bytes);
                }
            }
        }
    }
}

fn outbox() -> Arc<Outbox> {
    Arc::new(Outbox::new(Arc::default()))
}

/// Counters of a process that keeps so many bytes.
fn counters(most: usize) -> Arc<Counters> {
    let mut counters = Counters::default();
    counters.lanes.budget = Arc::new(Budget::new(most, KEPT_ALWAYS));
    Arc::new(counters)
}

fn message(payload: impl Into<Bytes>) -> Down {
    message_of(1, payload)
}

fn message_of(sender: u8, payload: impl Into<Bytes>) -> Down {
    Down { tag: Tag(7), from: Alias(3), sender: Sender::Peer(Address([sender; 20])), payload: payload.into() }
}

fn number_of(message: ordered_message::Message) -> u64 {
    let ordered_message::Message::Ordered(ordered) = message else { panic!("{message:?}") };
    assert_eq!((ordered.tag, ordered.sender.unwrap().name), (7, Address([1; 20]).to_string()));
    assert_eq!(ordered.payload, ordered.number.to_be_bytes());
    ordered.number
}

fn push(outbox: &Outbox, number: u64) {
    outbox.push(message(number.to_be_bytes().to_vec()));
}

fn received(ordered: u64, large: u64) -> Received {
    Received { ordered, large, large_beyond: Vec::new() }
}

#[tokio::test(start_paused = true)]
async fn a_new_connection_gets_what_the_former_client_had_not() {
    let outbox = outbox();
    let mut first = Client::new();
    for number in 1..=5 {
        push(&outbox, number);
        assert_eq!(number_of(first.ordered(&outbox).await), number);
    }
    outbox.acknowledge(&received(2, 0)).unwrap();
    // While nobody is there.
    push(&outbox, 6);
    outbox.rewind(&received(3, 0)).unwrap();
    let mut second = Client::new();
    for number in 4..=6 {
        assert_eq!(number_of(second.ordered(&outbox).await), number);
    }
    // The writer of the first connection, though never stopped, takes nothing away.
    for number in 7..=20 {
        push(&outbox, number);
        assert_eq!(number_of(second.ordered(&outbox).await), number);
    }
    assert!(first.mover.ordered.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn what_was_kept_too_long_is_a_gap() {
    let outbox = outbox();
    push(&outbox, 1);
    push(&outbox, 2);
    tokio::time::advance(ORDERED_BOUNDS.age + Duration::from_secs(1)).await;
    push(&outbox, 3);
    let mut client = Client::new();
    assert_eq!(client.ordered(&outbox).await, ordered_message::Message::Gap(Gap { first: 1, last: 2 }));
    assert_eq!(number_of(client.ordered(&outbox).await), 3);
    assert_eq!(outbox.counters.lanes.lost_out.value(), 2);
}

#[tokio::test(start_paused = true)]
async fn large_messages_go_sliced_one_after_the_other_and_wait_for_acknowledgements() {
    let outbox = outbox();
    let payload = |number: u64| Bytes::from(vec![number as u8; MAX_ORDERED + number as usize]);
    for number in 1..=20 {
        outbox.push(message(payload(number)));
    }
    let mut client = Client::new();
    for number in 1..=16 {
        assert_eq!(client.large(&outbox).await, (number, payload(number)));
    }
    // Sixteen may be on their way.
    assert!(tokio::time::timeout(Duration::from_secs(5), client.large(&outbox)).await.is_err());
    outbox.acknowledge(&received(0, 16)).unwrap();
    for number in 17..=20 {
        assert_eq!(client.large(&outbox).await, (number, payload(number)));
    }
}

#[test]
fn nobody_can_acknowledge_what_was_never_sent() {
    let outbox = outbox();
    push(&outbox, 1);
    assert!(outbox.acknowledge(&received(1, 0)).is_err());
    assert!(outbox.rewind(&received(1, 0)).is_err());
    assert!(outbox.acknowledge(&received(0, 1)).is_err());
}

#[test]
fn what_is_kept_is_counted_until_it_is_not() {
    let counters = counters(usize::MAX);
    let kept = || counters.lanes.budget.kept();
    let (one, other) = (Outbox::new(counters.clone()), Arc::new(Outbox::new(counters.clone())));
    one.push(message(vec![0; 1000]));
    one.push(message(vec![0; 100_000]));
    assert_eq!(kept(), 101_000 + 2 * OVERHEAD);
    other.push(message(Bytes::new()));
    other.push(message(Bytes::new()));
    assert_eq!(kept(), 101_000 + 4 * OVERHEAD);
    assert!(other.next_ordered(0).is_some_and(|frames| !frames.is_empty()));
    other.acknowledge(&received(1, 0)).unwrap();
    assert_eq!(kept(), 101_000 + 3 * OVERHEAD);
    other.rewind(&received(2, 0)).unwrap();
    assert_eq!(kept(), 101_000 + 2 * OVERHEAD);
    drop(one);
    assert_eq!(kept(), 0);
    assert_eq!(counters.lanes.shed.value(), 0);
}

#[test]
fn who_hoards_pays_when_too_much_is_kept_for_all() {
    const MOST: usize = 4 << 20;
    let counters = counters(MOST);
    let hoarders: Vec<_> = (0..20).map(|_| Outbox::new(counters.clone())).collect();
    for _ in 0..100 {
        for hoarder in &hoarders {
            hoarder.push(message(vec![0; 4000]));
            hoarder.push(message(vec![0; MAX_ORDERED + 1]));
        }
    }
    assert!(counters.lanes.budget.kept() <= MOST, "{}", counters.lanes.budget.kept());
    assert!(counters.lanes.budget.kept() > MOST / 2);
    let shed = counters.lanes.shed.value();
    assert!(shed > 1000, "{shed}");
    // Others keep what they have, up to one ordered message of any size or many small ones.
    let modest = Outbox::new(counters.clone());
    for number in 1..=100 {
        push(&modest, number);
        for hoarder in &hoarders {
            hoarder.push(message(vec![0; 4000]));
        }
    }
    let largest = Outbox::new(counters.clone());
    largest.push(message(vec![0; MAX_ORDERED]));
    // About as much as each of those that hoard has is left.
    let large = Outbox::new(counters.clone());
    large.push(message(vec![0; MAX_ORDERED + 1]));
    let left = [&modest, &largest].map(|outbox| outbox.lock().ordered.len());
    assert_eq!((left, large.lock().large.len()), ([100, 1], 1));
    assert!(counters.lanes.shed.value() > shed);
    drop((hoarders, modest, largest, large));
    assert_eq!(counters.lanes.budget.kept(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_was_dropped_for_all_is_announced_to_its_client() {
    let outbox = Arc::new(Outbox::new(counters(0)));
    for sender in [1, 2] {
        outbox.push(message_of(sender, vec![sender; 60_000]));
    }
    let mut client = Client::new();
    assert_eq!(client.ordered(&outbox).await, ordered_message::Message::Gap(Gap { first: 1, last: 1 }));
    let ordered_message::Message::Ordered(second) = client.ordered(&outbox).await else { panic!("another gap") };
    assert_eq!((second.number, second.payload.len()), (2, 60_000));
    assert_eq!((outbox.counters.lanes.shed.value(), outbox.counters.lanes.lost_out.value()), (1, 1));
}

/// Each sends as fast as the edge reads: what may come at once, then its pace.
#[tokio::test(start_paused = true)]
async fn eight_senders_at_full_speed_push_out_nothing_of_a_quiet_one() {
    const BURST: usize = 2 << 20;
    const STEP: Duration = Duration::from_millis(100);
    for size in [0, 100, 1000, MAX_ORDERED] {
        let outbox = outbox();
        let mut said = 0;
        // Nobody reads for two seconds.
        for tenth in 0..20 {
            let bytes = if tenth == 0 { BURST } else { 128 * 1024 / 10 };
            let loud = |count| (0..count).for_each(|n| outbox.push(message_of(2 + (n % 8) as u8, vec![0; size])));
            let count = 8 * bytes / (size + 64);
            loud(count / 2);
            said += 1;
            outbox.push(message(vec![1; 200]));
            loud(count / 2);
            tokio::time::sleep(STEP).await;
        }
        let mut client = Client::new();
        let (mut heard, mut last) = (0, 0);
        while heard < said {
            match client.ordered(&outbox).await {
                ordered_message::Message::Ordered(ordered) => {
                    assert_eq!(ordered.number, last + 1);
                    last = ordered.number;
                    heard += u32::from(ordered.sender.unwrap().name == Address([1; 20]).to_string());
                }
                ordered_message::Message::Gap(gap) => {
                    assert_eq!(gap.first, last + 1);
                    last = gap.last;
                }
            }
            assert!(last < outbox.lock().ordered.last() || heard == said, "{size}: {heard} of {said}");
        }
    }
}
