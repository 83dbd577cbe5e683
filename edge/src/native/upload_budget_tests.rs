use super::*;
use tokio::task::JoinSet;

const MESSAGE: usize = MAX_LARGE;

fn budget(messages: usize) -> Arc<UploadBudget> {
    Arc::new(UploadBudget::new((messages + 1) * MESSAGE))
}

fn seconds(since: Instant) -> u64 {
    since.elapsed().as_secs()
}

/// Reads a message of `length` bytes at so many a second, in slices; `until` of them come.
async fn come(upload: &Upload, until: usize, rate: usize) -> Result<(), GaveWay> {
    let coming = async {
        let mut come = 0;
        while come < until {
            let slice = (until - come).min(16 * 1024);
            tokio::time::sleep(time_for(slice, rate)).await;
            upload.pay(slice).await;
            come += slice;
        }
    };
    tokio::select! {
        biased;
        fault = upload.gives_way() => Err(fault),
        () = coming => Ok(()),
    }
}

const AT_ONCE: usize = 1 << 40;

/// Messages that are there and were not passed on yet.
async fn two_whole_ones(budget: &Arc<UploadBudget>) -> [Upload; 2] {
    let whole = [budget.begin(MESSAGE), budget.begin(MESSAGE)];
    for upload in &whole {
        assert_eq!(come(upload, MESSAGE, AT_ONCE).await, Ok(()));
    }
    whole
}

#[tokio::test(start_paused = true)]
async fn announcements_hold_nothing() {
    let budget = budget(1);
    let announced: Vec<_> = (0..1000).map(|_| budget.begin(MESSAGE)).collect();
    assert_eq!(budget.held(), 0);
    let started = Instant::now();
    let newcomer = budget.begin(MESSAGE);
    assert_eq!(come(&newcomer, MESSAGE, AT_ONCE).await, Ok(()));
    assert!(started.elapsed() < Duration::from_millis(100), "{:?}", started.elapsed());
    assert_eq!(budget.held(), MESSAGE);
    drop((announced, newcomer));
    assert_eq!(budget.held(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_stands_still_gives_way_however_fast_it_came() {
    let budget = budget(3);
    let mut still = Vec::new();
    for missing in [1000, 1, 2000] {
        let upload = budget.begin(MESSAGE);
        assert_eq!(come(&upload, MESSAGE - missing, AT_ONCE).await, Ok(()));
        still.push(upload);
    }
    let mut asked = JoinSet::new();
    for (index, upload) in still.into_iter().enumerate() {
        // Dropped with the task.
        asked.spawn(async move { (index, upload.gives_way().await) });
    }
    let started = Instant::now();
    let newcomer = budget.begin(MESSAGE);
    assert_eq!(come(&newcomer, MESSAGE, AT_ONCE).await, Ok(()));
    assert_eq!(seconds(started), 2);
    // One was enough: that which held most for longest.
    assert_eq!(asked.join_next().await.unwrap().unwrap(), (1, GaveWay::Still));
    assert_eq!(budget.held(), 3 * MESSAGE - 3000);
    // The others merely come too late.
    assert_eq!(asked.join_next().await.unwrap().unwrap().1, GaveWay::Slow);
    assert_eq!(seconds(started), 74);
}

#[tokio::test(start_paused = true)]
async fn who_goes_on_is_waited_for() {
    let budget = budget(3);
    let mut honest = JoinSet::new();
    for _ in 0..3 {
        let upload = budget.begin(MESSAGE);
        assert_eq!(come(&upload, MESSAGE - 100_000, AT_ONCE).await, Ok(()));
        honest.spawn(async move { come(&upload, 100_000, GOOD_RATE).await });
    }
    let newcomer = budget.begin(MESSAGE);
    let started = Instant::now();
    assert_eq!(come(&newcomer, MESSAGE, AT_ONCE).await, Ok(()));
    assert_eq!(seconds(started), 3);
    while let Some(ended) = honest.join_next().await {
        assert_eq!(ended.unwrap(), Ok(()));
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_too_long_gives_way() {
    let budget = budget(1);
    let _whole = two_whole_ones(&budget).await;
    let newcomer = budget.begin(MESSAGE);
    let started = Instant::now();
    assert_eq!(come(&newcomer, 1, AT_ONCE).await, Err(GaveWay::NoRoom));
    assert_eq!(seconds(started), 30);
}

#[tokio::test(start_paused = true)]
async fn those_who_all_hold_a_part_do_not_wait_for_each_other() {
    let budget = budget(4);
    let mut all = JoinSet::new();
    for _ in 0..40 {
        let upload = budget.begin(MESSAGE);
        all.spawn(async move { come(&upload, MESSAGE, 1 << 20).await });
    }
    let mut whole = 0;
    while let Some(ended) = all.join_next().await {
        assert_eq!(ended.unwrap(), Ok(()));
        whole += 1;
    }
    assert_eq!((whole, budget.held()), (40, 0));
}

#[tokio::test(start_paused = true)]
async fn a_slow_one_has_the_time_that_its_length_needs() {
    let budget = budget(1);
    let slow = budget.begin(MESSAGE);
    assert_eq!(come(&slow, MESSAGE, SLOWEST).await, Ok(()));
    drop(slow);
    let started = Instant::now();
    let too_slow = budget.begin(MESSAGE);
    assert_eq!(come(&too_slow, MESSAGE, SLOWEST / 2).await, Err(GaveWay::Slow));
    assert_eq!(seconds(started), 74);
}

#[tokio::test(start_paused = true)]
async fn while_it_waits_for_memory_its_clock_stands_still() {
    let budget = budget(1);
    let whole = two_whole_ones(&budget).await;
    let waiting = budget.begin(1000);
    let started = Instant::now();
    let passed_on = async {
        tokio::time::sleep(Duration::from_secs(20)).await;
        drop(whole);
    };
    let (come_first, ()) = tokio::join!(come(&waiting, 500, AT_ONCE), passed_on);
    assert_eq!((come_first, seconds(started)), (Ok(()), 20));
    // 10 s for a short message, and the 20 it has waited.
    assert_eq!(waiting.gives_way().await, GaveWay::Slow);
    assert_eq!(seconds(started), 30);
}
