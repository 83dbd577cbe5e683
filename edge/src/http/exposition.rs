//! The text format of Prometheus.

use std::fmt::Write;

/// Metrics in the text format, one line after another.
#[derive(Default)]
pub(super) struct Page(String);

impl Page {
    /// What was written.
    pub(super) fn finish(self) -> String {
        self.0
    }

    pub(super) fn value(&mut self, name: &str, help: &str, value: u64) {
        self.gauge(name, help);
        self.line(format_args!("{name} {value}"));
    }

    pub(super) fn total(&mut self, name: &str, help: &str, value: u64) {
        self.counter(name, help);
        self.line(format_args!("{name} {value}"));
    }

    pub(super) fn gauge(&mut self, name: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} gauge"));
    }

    pub(super) fn counter(&mut self, name: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} counter"));
    }

    /// Label values are names from the code, so none needs escaping.
    pub(super) fn labelled(&mut self, name: &str, label: &str, value: &str, count: u64) {
        self.line(format_args!("{name}{{{label}=\"{value}\"}} {count}"));
    }

    pub(super) fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a String does not fail.
        let _ = writeln!(self.0, "{line}");
    }
}
