//! How often something may happen or be said, and who may be inside.

mod bucket;
mod budget;
mod crowd;
mod pace;
mod seldom;
mod throttle;

pub use bucket::Bucket;
pub use budget::{Budget, Share, Taken};
pub use crowd::{AmongEquals, Crowd, Spot};
pub use pace::Pace;
pub use seldom::Seldom;
pub use throttle::Throttle;
