//! `log`.

use std::fmt;
use std::str::FromStr;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{LevelFilter, ParseError};

/// Libraries that warn of what a client sent, so that any client could fill the log: WebRTC's. Only their errors are logged, unless
/// the filter names them.
const OF_CLIENTS: &str = "str0m=error,is=error";

/// What is logged: directives of `tracing-subscriber`'s `EnvFilter`, such as `warn,atoll=debug`. Of the libraries that warn of
/// whatever a client sends it lets errors through, unless it names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFilter(String);

impl LogFilter {
    /// The filter for a subscriber.
    pub fn filter(&self) -> EnvFilter {
        // Where no level is said for everything, nothing of theirs is logged that the filter does not name.
        let mut levels = self.0.split(',').filter_map(|directive| directive.trim().parse::<LevelFilter>().ok());
        match levels.next_back() {
            // What is said later of the same library counts.
            Some(level) if level > LevelFilter::ERROR => EnvFilter::new(format!("{OF_CLIENTS},{}", self.0)),
            _ => EnvFilter::new(&self.0),
        }
    }
}

impl Default for LogFilter {
    /// Warnings, except that the WebTransport library warns of every client that closes first.
    fn default() -> Self {
        Self("warn,web_transport_quinn=error".to_owned())
    }
}

impl FromStr for LogFilter {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        EnvFilter::try_new(text)?;
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for LogFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::sync::{Arc, Mutex};
    use tracing_subscriber::fmt::MakeWriter;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Kept {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    /// What of some things that happen is logged.
    fn logged(filter: &LogFilter) -> Vec<String> {
        let kept = Kept::default();
        let subscriber =
            tracing_subscriber::fmt().with_env_filter(filter.filter()).with_writer(kept.clone()).with_ansi(false);
        let subscriber = subscriber.without_time().with_level(false).with_target(false).finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(target: "str0m::change::sdp", "description");
            tracing::warn!(target: "str0m", "library");
            tracing::warn!(target: "is::agent", "way");
            tracing::error!(target: "str0m::session", "failure");
            tracing::debug!(target: "str0m::session", "detail");
            tracing::warn!(target: "atoll::edge", "edge");
            tracing::debug!(target: "atoll::edge", "step");
        });
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| line.trim().to_owned()).collect()
    }

    #[test]
    fn what_a_client_sends_does_not_fill_the_log_unless_that_is_asked_for() {
        let filter = |text: &str| text.parse::<LogFilter>().unwrap();
        assert_eq!(logged(&LogFilter::default()), ["failure", "edge"]);
        assert_eq!(logged(&filter("warn")), ["failure", "edge"]);
        assert_eq!(logged(&filter("atoll=debug, WARN")), ["failure", "edge", "step"]);
        assert_eq!(logged(&filter("debug")), ["failure", "edge", "step"]);
        assert_eq!(logged(&filter("warn,str0m=warn")), ["description", "library", "failure", "edge"]);
        assert_eq!(logged(&filter("str0m::change=debug,warn")), ["description", "failure", "edge"]);
        assert_eq!(logged(&filter("warn,is=info,str0m=off")), ["way", "edge"]);
        assert_eq!(logged(&filter("error")), ["failure"]);
        assert_eq!(logged(&filter("off")), [""; 0]);
        assert_eq!(logged(&filter("atoll=warn")), ["edge"]);
    }
}
