//! Frames of remote procedure calls, from clients: what is read says what prost reads, whatever type it claims to be.
#![no_main]

use atoll_proto::call::{FrameError, FromClient};
use atoll_proto::decode;
use atoll_proto::rpc::{CreatePort, DestroyPort, Request, RequestModule, RpcMessageHeader, StreamMessage};
use libfuzzer_sys::fuzz_target;

const NUMBER: u32 = (1 << 27) - 1;

fuzz_target!(|data: &[u8]| {
    let header = decode::<RpcMessageHeader>(data);
    let read = FromClient::decode(data);
    let Ok(RpcMessageHeader { message_identifier: identifier }) = header else {
        assert!(matches!(read, Err(FrameError::Undecodable(_))));
        return;
    };
    let (kind, own) = (identifier >> 27 & 0xf, identifier & NUMBER);
    match read {
        Ok(FromClient::CreatePort { number, name }) => {
            assert_eq!((kind, number.0), (5, own));
            assert_eq!(name, decode::<CreatePort>(data).expect("read already").port_name);
        }
        Ok(FromClient::RequestModule { number, port, name }) => {
            assert_eq!((kind, number.0), (7, own));
            let again = decode::<RequestModule>(data).expect("read already");
            assert_eq!((port, name), (again.port_id, again.module_name));
        }
        Ok(FromClient::Request { number, port, procedure, arguments, payload }) => {
            assert_eq!((kind, number.0), (1, own));
            let again = decode::<Request>(data).expect("read already");
            assert_eq!((port, procedure, payload.to_vec()), (again.port_id, again.procedure_id, again.payload));
            assert_eq!(arguments.map_or(0, |stream| stream.0), again.client_stream);
        }
        Ok(FromClient::Stream { number, item }) => {
            assert!(kind == 3 || kind == 4);
            assert_eq!(number.0, own);
            let again = decode::<StreamMessage>(data).expect("read already");
            assert_eq!((item.sequence, item.payload.to_vec()), (again.sequence_id, again.payload));
            assert_eq!((item.closed, item.ack), (again.closed, again.ack));
        }
        Ok(FromClient::DestroyPort { port }) => {
            assert_eq!(kind, 10);
            assert_eq!(port, decode::<DestroyPort>(data).expect("read already").port_id);
        }
        Err(FrameError::Type(other)) => {
            assert_eq!(other, kind);
            assert!(![1, 3, 4, 5, 7, 10].contains(&kind));
        }
        Err(FrameError::Undecodable(_)) => assert!([1, 3, 4, 5, 7, 10].contains(&kind)),
    }
});
