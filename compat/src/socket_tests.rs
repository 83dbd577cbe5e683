use super::*;

#[tokio::test(start_paused = true)]
async fn a_client_that_answers_no_ping_is_gone_after_the_third() {
    let (began, mut pings, mut sent) = (Instant::now(), Pings::new(), 0);
    pings.may_miss = 1;
    // Nothing else wakes the task.
    let silent = poll_fn(|cx| match pings.poll_due(cx) {
        Ok(is_due) => {
            sent += u32::from(is_due);
            Poll::Pending
        }
        Err(ended) => Poll::Ready(ended),
    });
    assert_eq!(timeout(10 * PING, silent).await, Ok(Ended::Silent));
    assert_eq!((sent, began.elapsed().as_secs()), (2, 90));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_heard_of_stays() {
    let mut pings = Pings::new();
    let stays = poll_fn(|cx| {
        if pings.poll_due(cx)? {
            pings.heard();
        }
        Poll::<Result<(), Ended>>::Pending
    });
    assert!(timeout(10 * PING, stays).await.is_err());
}
