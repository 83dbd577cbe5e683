//! Measures the doors from outside: one table of Markdown for each figure. `bench/run` runs them all.
//!
//! The server runs in a process of its own on core 0. Run this on another one: `taskset -c 1 measure fanout`.

mod archipelago;
mod fanout;
mod kernels;
mod latency;
mod livekit;
mod logins;
mod memory;
mod rooms;
mod servers;
mod slow_receiver;

use clap::Parser;

#[derive(Parser)]
#[command(about = "Measures the native door; one table of Markdown for each figure")]
enum Command {
    /// What one core delivers in one island, against the same edge on arrival, a plain WebSocket room and bare UDP
    Fanout(fanout::Arguments),
    /// What one core delivers in a WebSocket room, plain, with TLS and beside WebTransport
    Rooms(rooms::Arguments),
    /// What one core delivers to LiveKit's clients, and what they cost, beside native ones
    Livekit(livekit::Arguments),
    /// What a login costs the server, and which part of that is what
    Logins(logins::Arguments),
    /// What a session keeps in the server's memory
    Memory(memory::Arguments),
    /// What logins, idle sessions and topics cost at the kernels' door
    Kernels(kernels::Arguments),
    /// What archipelago takes and how soon it places newcomers, embedded and over NATS
    Archipelago(archipelago::Arguments),
    /// From sending an update to hearing it
    Latency(latency::Arguments),
    /// How old what a slow receiver hears is, and what its neighbours notice
    SlowReceiver(slow_receiver::Arguments),
    /// Serves the plain WebSocket room to compare with
    PlainRoom(servers::PlainRoomArguments),
    /// Sends bare UDP to compare with
    GsoSender(servers::GsoSenderArguments),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    match Command::parse() {
        Command::Fanout(arguments) => arguments.run().await,
        Command::Rooms(arguments) => arguments.run().await,
        Command::Livekit(arguments) => arguments.run().await,
        Command::Logins(arguments) => arguments.run().await,
        Command::Memory(arguments) => arguments.run().await,
        Command::Kernels(arguments) => arguments.run().await,
        Command::Archipelago(arguments) => arguments.run().await,
        Command::Latency(arguments) => arguments.run().await,
        Command::SlowReceiver(arguments) => arguments.run().await,
        Command::PlainRoom(arguments) => arguments.run().await,
        Command::GsoSender(arguments) => arguments.run().await,
    }
}
