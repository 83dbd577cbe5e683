//! Datagrams in both directions.

use super::{case, hex};
use atoll_proto::datagram::{Alias, Entry, Kind, Sequence, Tag, Up, decode_chunk, encode_chunks};
use bytes::{Bytes, BytesMut};
use serde_json::{Value, json};

pub(crate) fn up() -> Vec<Value> {
    let cases = [
        ("an update", Kind::Update, 0x0102_0304, 5, &[0x0a, 0x00][..]),
        ("an event, sequence at its end", Kind::Event, 0xffff_ffff, 65_535, b"gm"),
        ("no payload", Kind::Event, 0, 0, b""),
    ];
    let encode = |(note, kind, tag, sequence, payload): (&str, Kind, u32, u16, &'static [u8])| {
        let up = Up { kind, tag: Tag(tag), sequence: Sequence(sequence), payload: Bytes::from_static(payload) };
        let mut bytes = BytesMut::new();
        up.encode(&mut bytes);
        assert_eq!(Up::decode(bytes.clone().freeze()).unwrap(), up);
        case(note, &bytes, json!({"kind": kind as u8, "tag": tag, "sequence": sequence, "payload": hex(payload)}))
    };
    cases.into_iter().map(encode).collect()
}

pub(crate) fn down() -> Vec<Value> {
    let entry = |alias, kind, sequence, payload: &[u8]| Entry {
        alias: Alias(alias),
        kind,
        sequence: Sequence(sequence),
        payload: Bytes::copy_from_slice(payload),
    };
    let cases = [
        ("one entry", vec![entry(1, Kind::Update, 5, &[0x0a, 0x00])]),
        ("two senders", vec![entry(0, Kind::Event, 1, b"hi"), entry(300, Kind::Update, 65_535, &[0xff; 3])]),
        ("a payload of 200 bytes: its length takes two", vec![entry(2, Kind::Event, 9, &[7; 200])]),
        ("an empty payload", vec![entry(127, Kind::Event, 0, b"")]),
    ];
    let encode = |(note, entries): (&str, Vec<Entry>)| {
        let chunks = encode_chunks(&[], Tag(0x0102_0304), &entries);
        assert_eq!(chunks.len(), 1);
        let (tag, decoded) = decode_chunk(chunks[0].clone()).unwrap();
        assert_eq!(decoded.collect::<Result<Vec<_>, _>>().unwrap(), entries);
        let values: Vec<Value> = entries
            .iter()
            .map(|entry| {
                json!({"alias": entry.alias.0, "kind": entry.kind as u8, "sequence": entry.sequence.0,
                       "payload": hex(&entry.payload)})
            })
            .collect();
        case(note, &chunks[0], json!({"tag": tag.0, "entries": values}))
    };
    cases.into_iter().map(encode).collect()
}
