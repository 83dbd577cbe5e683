//! Streams of arguments, which the BFF does not use: a server that echoes and sums what comes, told any frames.
#![no_main]

use atoll_compat::rpc::{Answer, Arguments, Call, CallError, Connection, Module, Output, PortId, PortIds, Service};
use atoll_fuzz::Input;
use atoll_proto::rpc::{CreatePort, Request, RequestModule, RpcMessageHeader, StreamMessage};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use futures_util::{FutureExt, future};
use libfuzzer_sys::fuzz_target;
use prost::Message as _;

static MODULE: Module = Module { name: "Streams", procedures: &["Sum", "Echo", "Ignore", "Never", "Both"] };

struct Streams;

impl Service for Streams {
    fn create_port(&mut self, _: PortId, _: &str) -> Result<(), CallError> {
        Ok(())
    }

    fn module(&mut self, _: PortId, name: &str) -> Option<&'static Module> {
        (name == MODULE.name).then_some(&MODULE)
    }

    fn call(
        &mut self,
        _: PortId,
        _: &'static Module,
        procedure: &'static str,
        payload: Bytes,
        mut arguments: Arguments,
    ) -> Call {
        match procedure {
            "Sum" => Call::Unary(
                async move {
                    let mut sum = payload.len();
                    while let Some(argument) = arguments.next().await {
                        sum += argument.len();
                    }
                    Ok(Answer::from(Bytes::copy_from_slice(&sum.to_be_bytes())))
                }
                .boxed(),
            ),
            "Echo" => Call::Stream(
                stream::unfold(arguments, |mut arguments| async { Some((Ok(arguments.next().await?), arguments)) })
                    .boxed(),
            ),
            "Ignore" => Call::Unary(future::ready(Err(CallError(String::new()))).boxed()),
            "Never" => Call::Unary(
                async move {
                    let _arguments = arguments;
                    future::pending().await
                }
                .boxed(),
            ),
            _ => Call::Stream(stream::repeat(Ok(payload)).boxed()),
        }
    }

    fn port_closed(&mut self, _: PortId) {}
}

fn frames(connection: &mut Connection<Streams>) -> usize {
    let mut count = 0;
    while let Some(output) = connection.next_output().now_or_never() {
        if let Output::Frame(frame) = output {
            RpcMessageHeader::decode(&frame[..]).expect("a header");
            count += 1;
        }
    }
    count
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(&data[..data.len().min(4096)]);
    let mut connection = Connection::new(Streams, PortIds::default());
    let create = CreatePort { message_identifier: 5 << 27 | 1, port_name: String::new() };
    connection.receive(&create.encode_to_vec()).expect("a client's frame");
    let load = RequestModule { message_identifier: 7 << 27 | 2, port_id: 1, module_name: "Streams".to_owned() };
    connection.receive(&load.encode_to_vec()).expect("a client's frame");
    assert_eq!(frames(&mut connection), 3);
    let mut calls = 0;
    while !input.is_empty() {
        let (choice, number) = (input.byte() % 8, u32::from(input.byte() % 32));
        let frame = match choice {
            0..3 => {
                calls += 1;
                let (procedure_id, client_stream) = (u32::from(input.byte() % 7), u32::from(input.byte() % 32));
                let payload = input.bytes(usize::from(choice)).to_vec();
                Request { message_identifier: 1 << 27 | number, port_id: 1, procedure_id, client_stream, payload }
                    .encode_to_vec()
            }
            3..7 => {
                let bits = input.byte();
                let message_identifier = u32::from(3 + bits % 2) << 27 | number;
                let (closed, ack) = (bits & 0x0e == 0x0e, bits % 2 == 1);
                let sequence_id = u32::from(input.byte() % 8);
                let payload = input.bytes(usize::from(bits >> 5)).to_vec();
                StreamMessage { message_identifier, port_id: 1, sequence_id, payload, closed, ack }.encode_to_vec()
            }
            _ => input.bytes(number as usize).to_vec(),
        };
        if connection.receive(&frame).is_err() {
            return;
        }
        // Each call may say one thing, and each end of one two more.
        assert!(frames(&mut connection) <= 3 * (calls + 1));
    }
});
