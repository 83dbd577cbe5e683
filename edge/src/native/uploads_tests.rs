use super::*;
use atoll_core::Host;
use atoll_proto::atoll::Gap;
use atoll_proto::framing::put_frame;
use std::time::Duration;
use tokio::time::Instant;

/// Streams of a client, its session, and how much the edge can hold.
struct Scene {
    uploads: Uploads,
    budget: Arc<UploadBudget>,
}

/// Tokio's clock.
struct Clock(Instant);

impl Host for Clock {
    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }

    fn unix_millis(&self) -> u64 {
        0
    }

    fn random(&self, _: &mut [u8]) {}
}

impl Scene {
    fn new(budget: usize) -> Self {
        Self::beside(&Arc::new(UploadBudget::new(budget)))
    }

    /// Another client.
    fn beside(budget: &Arc<UploadBudget>) -> Self {
        Self {
            uploads: Uploads::new(Pace::new(Arc::new(Clock(Instant::now()))), Arc::clone(budget)),
            budget: Arc::clone(budget),
        }
    }

    /// A stream with its type byte; what is sent there arrives.
    fn open(&mut self) -> mpsc::Sender<Bytes> {
        let (sender, receiver) = mpsc::channel(1024);
        self.uploads.read(IncomingStream::Typed(ByteSource::Queue(receiver)));
        sender
    }

    async fn number(&mut self) -> u64 {
        match self.uploads.next().await.unwrap().news {
            News::Message { number, .. } => number,
            News::Gap { first, last } => panic!("a gap from {first} to {last}"),
        }
    }

    async fn code(&mut self) -> CloseCode {
        self.uploads.next().await.unwrap_err().code
    }

    /// Whether nothing comes for so long.
    async fn is_quiet(&mut self, time: Duration) -> bool {
        tokio::time::timeout(time, self.uploads.next()).await.is_err()
    }
}

fn ordered(number: u64, payload: usize) -> Bytes {
    let ordered = Ordered { tag: 1, number, sender: None, payload: vec![7; payload] };
    let mut frame = BytesMut::new();
    put_frame(&OrderedMessage { message: Some(ordered_message::Message::Ordered(ordered)) }, &mut frame);
    frame.freeze()
}

fn large(number: u64, length: u32) -> Bytes {
    let large = Large { tag: 1, number, sender: None, length };
    let mut frame = BytesMut::from(&[LARGE_STREAM][..]);
    put_frame(&LargeHeader { message: Some(large_header::Message::Large(large)) }, &mut frame);
    frame.freeze()
}

#[tokio::test(start_paused = true)]
async fn after_a_burst_a_client_is_read_at_its_pace() {
    let mut scene = Scene::new(0);
    let stream = scene.open();
    stream.send(Bytes::from_static(&[ORDERED_STREAM])).await.unwrap();
    let started = Instant::now();
    for number in 1..=96 {
        stream.send(ordered(number, MAX_ORDERED)).await.unwrap();
    }
    for number in 1..=96 {
        assert_eq!(scene.number().await, number);
    }
    // 6 MiB, of which 2 MiB at once.
    let taken = started.elapsed();
    assert!((32..34).contains(&taken.as_secs()), "{taken:?}");
}

#[tokio::test(start_paused = true)]
async fn empty_messages_are_paced_too() {
    let mut scene = Scene::new(0);
    let stream = scene.open();
    stream.send(Bytes::from_static(&[ORDERED_STREAM])).await.unwrap();
    let feed = tokio::spawn(async move {
        // Frames of no byte: skipped, but not for nothing.
        for _ in 0..100 {
            stream.send(Bytes::from(vec![0; 1024])).await.unwrap();
        }
        stream.send(ordered(1, 0)).await.unwrap();
        stream
    });
    let started = Instant::now();
    assert_eq!(scene.number().await, 1);
    assert!(started.elapsed() > Duration::from_secs(30), "{:?}", started.elapsed());
    drop(feed.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn four_large_messages_are_read_at_a_time_and_those_that_stall_end_the_connection() {
    let mut scene = Scene::new(UPLOADS);
    let started: Vec<_> = (0..5).map(|_| scene.open()).collect();
    for (number, stream) in (1..).zip(&started) {
        stream.send(large(number, 1000)).await.unwrap();
    }
    // The fifth is whole, but its turn comes when one of the others is.
    started[4].send(vec![0; 1000].into()).await.unwrap();
    assert!(scene.is_quiet(Duration::from_secs(5)).await);
    started[2].send(vec![0; 1000].into()).await.unwrap();
    // Its turn is over when it has been passed on.
    let third = scene.uploads.next().await.unwrap();
    assert!(scene.is_quiet(Duration::from_secs(1)).await);
    drop(third);
    assert_eq!(scene.number().await, 5);
    let asked = Instant::now();
    assert_eq!(scene.code().await, CloseCode::TooSlow);
    assert_eq!(asked.elapsed().as_secs(), 4);
}

/// As many bytes as a test needs.
const UPLOADS: usize = 4 << 20;

#[tokio::test(start_paused = true)]
async fn who_announces_or_stalls_does_not_hold_others_up() {
    let budget = Arc::new(UploadBudget::new(UPLOADS));
    let mut stalling = Vec::new();
    for sent in [0, 0, MAX_LARGE - 1, MAX_LARGE - 1, MAX_LARGE - 1] {
        let mut scene = Scene::beside(&budget);
        let stream = scene.open();
        stream.send(large(1, MAX_LARGE as u32)).await.unwrap();
        stream.send(vec![0; sent].into()).await.unwrap();
        stalling.push((scene, stream));
    }
    let mut honest = Scene::beside(&budget);
    let stream = honest.open();
    stream.send(large(1, MAX_LARGE as u32)).await.unwrap();
    stream.send(vec![0; MAX_LARGE].into()).await.unwrap();
    let started = Instant::now();
    assert_eq!(honest.number().await, 1);
    assert_eq!(started.elapsed().as_secs(), 2);
    // The connection ends, not the session.
    let mut ended = 0;
    for (scene, _) in &mut stalling {
        if !scene.is_quiet(Duration::from_millis(1)).await {
            ended += 1;
        }
    }
    assert_eq!(ended, 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_held_is_bounded_over_all_clients() {
    let mut scene = Scene::new(2 * MAX_LARGE);
    let (first, second) = (scene.open(), scene.open());
    first.send(large(1, MAX_LARGE as u32)).await.unwrap();
    first.send(vec![0; MAX_LARGE].into()).await.unwrap();
    // Held until the session has passed it on.
    let arrived = scene.uploads.next().await.unwrap();
    assert_eq!(scene.budget.held(), MAX_LARGE);
    let mut other = Scene::beside(&scene.budget);
    let third = other.open();
    for (stream, number) in [(&second, 2), (&third, 1)] {
        stream.send(large(number, 1000)).await.unwrap();
        stream.send(vec![0; 1000].into()).await.unwrap();
    }
    // One may use the reserve.
    assert_eq!(scene.number().await, 2);
    assert_eq!(other.number().await, 1);
    assert_eq!(scene.budget.held(), MAX_LARGE);
    drop(arrived);
    assert_eq!(scene.budget.held(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_slow_uplink_is_read_to_the_end() {
    let mut scene = Scene::new(UPLOADS);
    let stream = scene.open();
    stream.send(large(1, MAX_LARGE as u32)).await.unwrap();
    let feed = tokio::spawn(async move {
        for _ in 0..64 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            stream.send(vec![0; MAX_LARGE / 64].into()).await.unwrap();
        }
    });
    assert_eq!(scene.number().await, 1);
    feed.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_breaks_the_rules_ends_the_session() {
    let wrong: [&[u8]; 3] = [
        // A frame above the limit, one that is no message, a header of an unknown kind.
        &[ORDERED_STREAM, 0xff, 0xff, 0x7f],
        &[ORDERED_STREAM, 3, 0xff, 0xff, 0xff],
        &[LARGE_STREAM, 2, 0x18, 1],
    ];
    for bytes in wrong {
        let mut scene = Scene::new(UPLOADS);
        scene.open().send(bytes.to_vec().into()).await.unwrap();
        assert_eq!(scene.code().await, CloseCode::Malformed, "{bytes:?}");
    }
    let mut scene = Scene::new(UPLOADS);
    scene.open().send(large(1, MAX_LARGE as u32 + 1)).await.unwrap();
    assert_eq!(scene.code().await, CloseCode::Malformed);
    let mut scene = Scene::new(UPLOADS);
    let streams = [scene.open(), scene.open()];
    for stream in &streams {
        stream.send(Bytes::from_static(&[ORDERED_STREAM])).await.unwrap();
    }
    assert_eq!(scene.code().await, CloseCode::Malformed);
}

#[tokio::test(start_paused = true)]
async fn streams_of_other_types_are_stopped_and_those_that_break_off_are_no_fault() {
    let mut scene = Scene::new(UPLOADS);
    let other = scene.open();
    other.send(Bytes::from_static(&[9, 1, 2, 3])).await.unwrap();
    other.closed().await;
    let half = scene.open();
    half.send(large(1, 1000).slice(..4)).await.unwrap();
    drop(half);
    let stream = scene.open();
    let gap = OrderedMessage { message: Some(ordered_message::Message::Gap(Gap { first: 1, last: 4 })) };
    let mut frame = BytesMut::from(&[ORDERED_STREAM][..]);
    put_frame(&gap, &mut frame);
    stream.send(frame.freeze()).await.unwrap();
    let arrived = scene.uploads.next().await.unwrap();
    assert!(matches!(arrived.news, News::Gap { first: 1, last: 4 }) && arrived.lane == Lane::Ordered);
}

#[tokio::test(start_paused = true)]
async fn a_large_stream_is_not_stopped_before_its_client_ends_it() {
    let mut scene = Scene::new(MAX_LARGE);
    let (whole, surplus, silent) = (scene.open(), scene.open(), scene.open());
    for (stream, number) in [(&whole, 1), (&surplus, 2), (&silent, 3)] {
        stream.send(large(number, 3)).await.unwrap();
        stream.send(Bytes::from_static(b"abc")).await.unwrap();
        assert_eq!(scene.number().await, number);
    }
    let came = Instant::now();
    assert!(scene.is_quiet(LAST_WORD / 2).await);
    assert!([&whole, &surplus, &silent].iter().all(|stream| !stream.is_closed()));
    // More than was announced is not read.
    surplus.send(Bytes::from_static(b"d")).await.unwrap();
    surplus.closed().await;
    assert!(!whole.is_closed());
    drop(whole);
    // Nor is a stream kept for good that never ends.
    silent.closed().await;
    assert!((LAST_WORD..=LAST_WORD + Duration::from_millis(10)).contains(&came.elapsed()), "{:?}", came.elapsed());
    assert!(scene.is_quiet(LAST_WORD).await);
}
