//! The flags of keys.

use crate::config::{KEYS, Key};
use clap::{Arg, ArgMatches, Args, Command, Error, FromArgMatches};

/// The keys that flags were given for, with the text of each. What a text means is the configuration's affair.
#[derive(Debug, Clone, Default)]
pub struct Flags(Vec<(&'static Key, String)>);

impl Flags {
    /// Keys and texts.
    pub fn into_values(self) -> Vec<(&'static Key, String)> {
        self.0
    }
}

impl Args for Flags {
    fn augment_args(command: Command) -> Command {
        command.args(flags().map(|(key, flag)| {
            let default = key.default_value().map(|value| format!(" [default: {}]", value.trim_matches('"')));
            let variables = key.variables().collect::<Vec<_>>().join(" or ");
            let help = format!("{}{} [env: {variables}]", key.help, default.unwrap_or_default());
            // Also where a negative number stands: the configuration says what is wrong with it.
            Arg::new(key.name).long(flag).value_name(key.placeholder).help(help).allow_negative_numbers(true)
        }))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let given = |(key, _): (&'static Key, _)| Some((key, matches.get_one::<String>(key.name)?.clone()));
        Ok(Self(flags().filter_map(given).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn flags() -> impl Iterator<Item = (&'static Key, &'static str)> {
    KEYS.iter().filter_map(|key| Some((key, key.flag?)))
}
