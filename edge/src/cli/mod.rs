//! The command line: `atoll serve` (also without a command) and `atoll bots`.

mod archipelago;
mod bots;
mod serve;

pub use archipelago::ArchipelagoOptions;
pub use bots::BotsOptions;
pub use serve::ServeOptions;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

/// One binary that runs a region's communications for Decentraland-style worlds.
#[derive(Debug, Parser)]
#[command(name = "atoll", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeOptions,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run an edge. This is what happens without a command, too
    Serve(ServeOptions),
    /// Send walkers to an edge and report what they heard
    Bots(BotsOptions),
}

impl Cli {
    /// Does what the command line says.
    ///
    /// # Errors
    /// Whatever stopped it, for a person to read.
    pub async fn run(self) -> anyhow::Result<()> {
        // The WebTransport library warns of every client that closes first.
        let usual = || EnvFilter::new("warn,web_transport_quinn=error");
        let filter = EnvFilter::try_from_env("ATOLL_LOG").unwrap_or_else(|_| usual());
        // Standard output is for what was asked for.
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
        match self.command {
            None => self.serve.run().await,
            Some(Command::Serve(options)) => options.run().await,
            Some(Command::Bots(options)) => options.run().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn serving_needs_no_command() {
        for line in [&["atoll", "--http", "127.0.0.1:0"][..], &["atoll", "serve", "--http", "127.0.0.1:0"]] {
            let cli = Cli::parse_from(line);
            let options = match cli.command {
                Some(Command::Serve(options)) => options,
                _ => cli.serve,
            };
            assert_eq!(options.http.port(), 0, "{line:?}");
        }
    }
}
