//! Messages of the control stream and the lanes. What is read is read the same when it is written again, by us and by
//! prost; and what prost would have written is read with prost's meaning.
#![no_main]

use atoll_proto::atoll::{ClientMessage, LargeHeader, OrderedMessage, ServerMessage, server_message};
use atoll_proto::{Decode, DecodeError, decode};
use libfuzzer_sys::fuzz_target;
use std::collections::HashSet;

/// `means_the_same`: whether the two readers, which differ on purpose, agree on this message.
fn check<M: Decode>(data: &[u8], means_the_same: fn(&M) -> bool) {
    let ours = decode::<M>(data).map(|message| message.encode_to_vec());
    if let Ok(written) = &ours {
        let again: M = decode(written).expect("our own message");
        assert_eq!(&again.encode_to_vec(), written);
        let again = M::decode(&written[..]).expect("prost reads our own message");
        assert_eq!(&again.encode_to_vec(), written);
    }
    // Two readings of other encodings may differ: prost merges what comes again, originals replace it.
    let theirs = M::decode(data).ok().filter(|message| means_the_same(message) && message.encode_to_vec() == data);
    if theirs.is_some() {
        match ours {
            Ok(written) => assert_eq!(written, data),
            Err(error) => assert_eq!(error, DecodeError::NumberTooLarge, "prost reads what we refuse"),
        }
    }
}

/// A map whose keys come twice, or without a value, is another one for the original implementations.
fn has_a_plain_map(message: &ServerMessage) -> bool {
    let Some(server_message::Message::IslandChanged(changed)) = &message.message else {
        return true;
    };
    let mut keys = HashSet::new();
    let peers = changed.island.iter().flat_map(|island| &island.peers);
    peers.into_iter().all(|peer| peer.value.is_some() && keys.insert(&peer.key))
}

fuzz_target!(|data: &[u8]| {
    check::<ClientMessage>(data, |_| true);
    check::<ServerMessage>(data, has_a_plain_map);
    check::<OrderedMessage>(data, |_| true);
    check::<LargeHeader>(data, |_| true);
});
