//! How often something may happen, and who may be inside.

mod bucket;
mod budget;
mod crowd;
mod throttle;

pub use bucket::Bucket;
pub use budget::{Budget, Share, Taken};
pub use crowd::{AmongEquals, Crowd, Spot};
pub use throttle::Throttle;
