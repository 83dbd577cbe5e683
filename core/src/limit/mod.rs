//! How often something may happen, and who may be inside.

mod bucket;
mod budget;
mod crowd;

pub use bucket::Bucket;
pub use budget::{Budget, Share, Taken};
pub use crowd::{AmongEquals, Crowd, Spot};
