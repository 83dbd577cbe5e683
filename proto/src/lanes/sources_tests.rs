use super::*;

const NOW: Duration = Duration::from_secs(100);

/// A lane with room for ten messages of a hundred bytes together, and what is in it by its source.
struct Lane(Outgoing<&'static str, &'static str>);

impl Lane {
    fn new() -> Self {
        Self(Outgoing::new(Bounds { bytes: 100, entries: 10, age: Duration::from_secs(60), ahead: u64::MAX }))
    }

    fn push(&mut self, source: &'static str, size: usize) -> u64 {
        self.0.push_from(source, NOW, size, source)
    }

    /// What comes next on this connection: sources, and gaps as how many are missing.
    fn next(&mut self) -> Vec<String> {
        let mut items = Vec::new();
        while let Some(item) = self.0.next(NOW) {
            items.push(match item {
                Item::Message { number, message } => format!("{number} {message}"),
                Item::Gap { first, last } => format!("{first}-{last} lost"),
            });
        }
        items
    }
}

#[test]
fn who_has_most_loses_its_oldest_whoever_pushes() {
    let mut lane = Lane::new();
    lane.push("honest", 10);
    for _ in 0..3 {
        lane.push("loud", 30);
    }
    assert_eq!(lane.push("honest", 10), 5);
    assert_eq!(lane.push("loud", 30), 6);
    assert_eq!(lane.next(), ["1 honest", "2-3 lost", "4 loud", "5 honest", "6 loud"]);
}

#[test]
fn many_that_are_loud_do_not_push_out_one_that_is_not() {
    let mut lane = Lane::new();
    lane.push("honest", 10);
    for source in ["a", "b", "c", "d", "e", "f", "g", "h"].repeat(20) {
        lane.push(source, 40);
    }
    lane.push("honest", 10);
    assert_eq!(lane.next(), ["1 honest", "2-159 lost", "160 g", "161 h", "162 honest"]);
}

#[test]
fn messages_without_bytes_weigh_something_too() {
    let mut lane = Lane::new();
    lane.push("honest", 20);
    for _ in 0..50 {
        lane.push("loud", 0);
    }
    assert_eq!(lane.next().first().map(String::as_str), Some("1 honest"));
    assert_eq!(lane.0.len(), 10);
}

#[test]
fn who_has_nothing_yet_gets_its_message_in() {
    let mut lane = Lane::new();
    lane.push("a", 50);
    lane.push("b", 50);
    lane.push("c", 90);
    assert_eq!(lane.next(), ["1-2 lost", "3 c"]);
}

#[test]
fn of_equals_the_older_message_goes() {
    let mut lane = Lane::new();
    for (source, size) in [("a", 50), ("b", 10), ("c", 20), ("b", 30)] {
        lane.push(source, size);
    }
    assert_eq!(lane.next(), ["1-1 lost", "2 b", "3 c", "4 b"]);
    let mut lane = Lane::new();
    for (source, size) in [("b", 10), ("a", 50), ("c", 20), ("b", 30)] {
        lane.push(source, size);
    }
    assert_eq!(lane.next(), ["1-1 lost", "2 a", "3 c", "4 b"]);
}

#[test]
fn what_was_sent_and_then_dropped_is_no_gap_for_who_has_it() {
    let mut lane = Lane::new();
    for source in ["honest", "loud", "loud", "loud"] {
        lane.push(source, 25);
    }
    assert_eq!(lane.next().len(), 4);
    // 2 and 3 are dropped, sent as they are.
    lane.push("loud", 25);
    lane.push("loud", 25);
    assert_eq!((lane.0.len(), lane.next()), (4, vec!["5 loud".to_owned(), "6 loud".to_owned()]));
    let mut lost = lane.0.clone();
    lost.rewind(NOW, 0, &[]).unwrap();
    assert_eq!(Lane(lost).next(), ["1 honest", "2-3 lost", "4 loud", "5 loud", "6 loud"]);
    let mut lost = lane.0.clone();
    lost.rewind(NOW, 2, &[]).unwrap();
    assert_eq!(Lane(lost).next(), ["3-3 lost", "4 loud", "5 loud", "6 loud"]);
    lane.0.acknowledge(6, &[]).unwrap();
    assert_eq!((lane.0.len(), lane.0.bytes(), lane.next().len()), (0, 0, 0));
    assert_eq!(lane.push("loud", 100), 7);
    assert_eq!(lane.next(), ["7 loud"]);
}

#[test]
fn a_gap_in_the_middle_grows_to_both_sides_and_is_announced_once() {
    let mut lane = Lane::new();
    lane.push("honest", 10);
    lane.push("loud", 60);
    lane.push("other", 20);
    lane.push("loud", 60);
    assert_eq!(lane.0.next(NOW), Some(Item::Message { number: 1, message: &"honest" }));
    assert_eq!(lane.0.next(NOW), Some(Item::Gap { first: 2, last: 2 }));
    lane.push("new", 70);
    assert_eq!(lane.next(), ["3 other", "4-4 lost", "5 new"]);
    lane.0.rewind(NOW, 1, &[]).unwrap();
    lane.push("honest", 80);
    assert_eq!(lane.next(), ["2-2 lost", "3 other", "4-5 lost", "6 honest"]);
}

#[test]
fn shedding_takes_from_who_has_most_until_nothing_is_left() {
    let mut lane = Lane::new();
    for (source, size) in [("honest", 10), ("loud", 30), ("loud", 40), ("honest", 15)] {
        lane.push(source, size);
    }
    assert!(lane.0.shed() && lane.0.shed());
    assert_eq!(lane.0.clone().len(), 2);
    assert_eq!(lane.next(), ["1 honest", "2-3 lost", "4 honest"]);
    assert!(lane.0.shed() && lane.0.shed() && !lane.0.shed());
    assert_eq!((lane.0.len(), lane.0.bytes()), (0, 0));
}
