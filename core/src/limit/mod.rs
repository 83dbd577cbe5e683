//! How often something may happen, and who may be inside.

mod bucket;
mod crowd;

pub use bucket::Bucket;
pub use crowd::{AmongEquals, Crowd, Spot};
