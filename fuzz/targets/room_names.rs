//! Names of rooms, the rules for them, and the connection strings by which native clients ask for them.
#![no_main]

use atoll_core::region::{MAX_ROOM_NAME, NamedRooms, RoomAccess, RoomRule};
use atoll_fuzz::Input;
use libfuzzer_sys::fuzz_target;
use room_string::RoomString;

#[path = "../../edge/src/native/room_string.rs"]
mod room_string;

/// Whether a name fits a pattern, as plainly as possible: which beginnings of the pattern fit the name so far.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    // Stars stand for nothing, too.
    let through_stars = |fitting: &mut Vec<bool>| {
        for at in 0..pattern.len() {
            if fitting[at] && pattern[at] == b'*' {
                fitting[at + 1] = true;
            }
        }
    };
    let mut fitting = vec![false; pattern.len() + 1];
    fitting[0] = true;
    through_stars(&mut fitting);
    for byte in name {
        let mut next = vec![false; pattern.len() + 1];
        for at in (0..pattern.len()).filter(|at| fitting[*at]) {
            match pattern[at] {
                b'*' => next[at] = true,
                same if same == *byte => next[at + 1] = true,
                _ => {}
            }
        }
        through_stars(&mut next);
        fitting = next;
    }
    fitting[pattern.len()]
}

fn is_name(name: &str) -> bool {
    (1..=MAX_ROOM_NAME).contains(&name.len())
        && name.bytes().all(|byte| (0x21..=0x7e).contains(&byte) && !b"/?#%".contains(&byte))
        // Paths that mean something else.
        && ![".", "..", "status"].contains(&name)
}

fn rule(text: &str, name: &str) {
    let Ok(rule) = text.parse::<RoomRule>() else { return };
    let written = rule.to_string();
    assert_eq!(written.parse(), Ok(rule.clone()), "a rule is written as it is read");
    let pattern = text.split_ascii_whitespace().next().expect("a rule has a pattern");
    assert_eq!(rule.pattern.fits(name), fits(pattern.as_bytes(), name.as_bytes()), "{pattern} and {name}");
    let rooms = NamedRooms(vec![rule.clone(), "* token".parse().expect("a rule")]);
    let expected = match (is_name(name), rule.pattern.fits(name)) {
        (false, _) => None,
        (true, true) => Some(&rule.access),
        (true, false) => Some(&RoomAccess::Token),
    };
    assert_eq!(rooms.access(name), expected);
}

fn string(text: &str) {
    let Some(RoomString { room, token }) = RoomString::parse(text) else { return };
    assert!((1..=MAX_ROOM_NAME).contains(&room.len()) && !room.contains('?'));
    assert!(token.is_none_or(|token| !token.contains('&')));
    // The name alone says the same, and so does the whole.
    let plain = match token {
        Some(token) => format!("quic:{room}?access_token={token}"),
        None => format!("quic:{room}"),
    };
    assert_eq!(RoomString::parse(&plain), Some(RoomString { room, token }));
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let length = usize::from(input.byte());
    let name = input.bytes(length);
    let (Ok(name), Ok(text)) = (std::str::from_utf8(name), std::str::from_utf8(input.rest())) else {
        return;
    };
    rule(text, name);
    string(text);
});
