//! What LiveKit's clients say in signals and data: any bytes as a request, any text as a session description, any query as that of
//! a client that joins. What is read of a description is bounded, and one that was rewritten stays as it is when it is rewritten
//! again.
#![no_main]

use atoll_compat::livekit::inside::{reads_data, reads_join_request, rewritten};
use atoll_fuzz::Input;
use data_encoding::BASE64URL;
use libfuzzer_sys::fuzz_target;
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::{SignalRequest, WrappedJoinRequest};
use prost::Message as _;

fn described(text: &str) {
    let Some(once) = rewritten(text) else { return };
    let twice = rewritten(&once);
    assert!(twice.is_none_or(|twice| twice == once), "{once:?}");
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let choice = input.byte();
    let rest = input.rest();
    match choice % 4 {
        0 => {
            let request = SignalRequest::decode(rest).ok().and_then(|request| request.message);
            if let Some(Request::Offer(said) | Request::Answer(said)) = request {
                described(&said.sdp);
            }
        }
        1 => {
            if let Ok(text) = std::str::from_utf8(rest) {
                described(text);
            }
        }
        2 => {
            // As it is, and behind base64, plain and packed.
            let compression = i32::from(choice >> 2) % 3;
            let wrapped = WrappedJoinRequest { compression, join_request: rest.to_vec() }.encode_to_vec();
            for query in [BASE64URL.encode(&wrapped), BASE64URL.encode(rest)] {
                if let Ok(uri) = format!("/rtc/v1?join_request={query}").parse() {
                    reads_join_request(&uri);
                }
            }
        }
        _ => {
            reads_data(rest);
        }
    }
});
