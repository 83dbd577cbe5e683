//! The commented sample.

use super::{Config, KEYS, Key};

const HEAD: &str = "\
# Atoll's configuration. Every key stands here with its default; keys without one are commented out.
# `atoll serve --config FILE` or ATOLL_CONFIG names the file; `atoll serve --check` says what is wrong with it.
# A flag goes before a variable, a variable before this file.
";

/// A configuration file that names every key, says what it is for, and decides nothing: it reads as [`Config::default`].
pub fn sample() -> String {
    let defaults = Config::default();
    let mut sample = HEAD.to_owned();
    let mut section = "";
    for key in KEYS {
        let (prefix, name) = key.name.rsplit_once('.').unwrap_or(("", key.name));
        if prefix != section {
            sample.push_str(&format!("\n[{prefix}]\n"));
        } else {
            sample.push('\n');
        }
        section = prefix;
        sample.push_str(&entry(key, name, &defaults));
    }
    sample
}

fn entry(key: &Key, name: &str, defaults: &Config) -> String {
    let assignment = match (key.written)(defaults) {
        Some(value) => format!("{name} = {value}"),
        None => format!("#{name} = {}", key.example),
    };
    let flag = key.flag.map(|flag| format!("--{flag}, ")).unwrap_or_default();
    let variables = key.variables().collect::<Vec<_>>().join(" or ");
    format!("# {}.\n# Value: {}.\n# ({flag}{variables})\n{assignment}\n", key.help, key.rule)
}
