//! The command line: `atoll serve` (also without a command), `atoll config` and `atoll bots`.

mod bots;
mod flags;
mod serve;
mod table;

pub use bots::BotsOptions;
pub use flags::Flags;
pub use serve::ServeOptions;

use crate::config::{self, LogFilter};
use clap::{Parser, Subcommand};
use std::io::IsTerminal;

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
    /// Print a configuration file with every key, what it is for, and its default
    Config,
    /// Send walkers to an edge and report what they heard
    Bots(BotsOptions),
}

impl Cli {
    /// Does what the command line says.
    ///
    /// # Errors
    /// Whatever stopped it, for a person to read.
    pub async fn run(self) -> anyhow::Result<()> {
        match self.command {
            None => self.serve.run().await,
            Some(Command::Serve(options)) => options.run().await,
            Some(Command::Config) => {
                print!("{}", config::sample());
                Ok(())
            }
            Some(Command::Bots(options)) => options.run().await,
        }
    }
}

/// Starts logging. Standard output is for what was asked for. Colours are for terminals, unless `NO_COLOR` is set.
fn log(filter: &LogFilter) {
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty());
    let colours = wanted && std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter.filter()).with_ansi(colours).with_writer(std::io::stderr).init();
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
            let given = options.flags.into_values();
            let given: Vec<_> = given.iter().map(|(key, text)| (key.name, text.as_str())).collect();
            assert_eq!(given, [("http.listen", "127.0.0.1:0")], "{line:?}");
        }
    }
}
