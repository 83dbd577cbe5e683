//! A datagram that is read is written again as it was; the entries of a chunk survive packing.
#![no_main]

use atoll_proto::datagram::{Entry, MAX_CHUNK, MAX_PAYLOAD, Up, decode_chunk, encode_chunks};
use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;

fn up(datagram: &Bytes) {
    let Ok(up) = Up::decode(datagram.clone()) else {
        return;
    };
    assert!(up.payload.len() <= MAX_PAYLOAD);
    let mut written = BytesMut::new();
    up.encode(&mut written);
    assert_eq!(&written, datagram);
}

fn down(chunk: Bytes) {
    let Ok((tag, entries)) = decode_chunk(chunk) else {
        return;
    };
    let read: Vec<_> = entries.collect();
    let faults = read.iter().filter(|entry| entry.is_err()).count();
    assert!(faults == 0 || faults == 1 && read.last().is_some_and(Result::is_err), "a fault is the end");
    let good: Vec<Entry> = read.into_iter().flatten().collect();

    let mut again = Vec::new();
    for chunk in encode_chunks(&[], tag, &good) {
        assert!(chunk.len() <= MAX_CHUNK);
        let (same, entries) = decode_chunk(chunk).expect("our own chunk");
        assert_eq!(same, tag);
        again.extend(entries.map(|entry| entry.expect("our own entry")));
    }
    assert_eq!(again, good);
}

fuzz_target!(|data: &[u8]| {
    let bytes = Bytes::copy_from_slice(data);
    up(&bytes);
    down(bytes);
});
