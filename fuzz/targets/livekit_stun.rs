//! Whom a datagram at LiveKit's port is for: any bytes, and requests with any attributes. A name is a part of the datagram, and a
//! request that was made by the rules names whom it was made for.
#![no_main]

use atoll_compat::livekit::inside::addressee;
use atoll_fuzz::Input;
use libfuzzer_sys::fuzz_target;

/// A binding request with these attributes.
fn request(input: &mut Input<'_>) -> (Vec<u8>, Option<String>) {
    let mut message = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    message.extend([7; 12]);
    let mut name = None;
    for _ in 0..input.byte() % 8 {
        let kind = u16::from(input.byte() % 16);
        let length = usize::from(input.byte());
        let value = input.bytes(length);
        message.extend(kind.to_be_bytes());
        message.extend((value.len() as u16).to_be_bytes());
        message.extend_from_slice(value);
        message.resize(message.len().next_multiple_of(4), 0);
        if kind == 6 && name.is_none() {
            let ours = std::str::from_utf8(value).ok().and_then(|text| text.split_once(':'));
            name = Some(ours.map(|(ours, _)| ours.to_owned()));
        }
    }
    (message, name.flatten())
}

fuzz_target!(|data: &[u8]| {
    if let Some(name) = addressee(data) {
        assert!(data.len() >= 20 && !name.contains(':'));
        assert!(data.windows(name.len() + 1).any(|part| part == [name.as_bytes(), b":"].concat()));
    }
    let (message, name) = request(&mut Input::new(data));
    assert_eq!(addressee(&message), name.as_deref());
});
