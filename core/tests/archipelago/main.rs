//! The island engine, seen from outside.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod oracle;
mod product;
mod properties;
mod random;
mod subject;
mod vectors;
mod worlds;
