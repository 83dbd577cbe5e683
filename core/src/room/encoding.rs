//! Bytes that many links share: made by the first that asks, in each way once.

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::sync::OnceLock;

/// A way to write a [`Batch`](super::Batch) or an [`Ordered`](super::Ordered) packet. The type names the way; it has no
/// values.
pub trait Encoding<Source>: 'static {
    /// What is written, shared by all who ask.
    type Output: Send + Sync + 'static;

    /// Writes it. Called once for each source, by whoever asks first; others who ask at that moment wait for it.
    fn encode(source: &Source) -> Self::Output;
}

/// What has been written so far: a chain with one link for each way, of which there are a few in a program.
#[derive(Default)]
pub(super) struct Encodings(OnceLock<Box<dyn Written>>);

trait Written: Any + Send + Sync {
    fn rest(&self) -> &Encodings;
}

/// The place of one way in the chain. It is taken before the output is written, so that different ways do not wait for each
/// other.
struct Place<Way, Output> {
    output: OnceLock<Output>,
    rest: Encodings,
    way: PhantomData<fn() -> Way>,
}

impl Encodings {
    pub(super) fn of<Source, Way: Encoding<Source>>(&self, source: &Source) -> &Way::Output {
        let mut chain = self;
        loop {
            let place = chain.0.get_or_init(|| Box::new(Place::<Way, Way::Output>::new())).as_ref();
            let any: &dyn Any = place;
            if let Some(place) = any.downcast_ref::<Place<Way, Way::Output>>() {
                return place.output.get_or_init(|| Way::encode(source));
            }
            chain = place.rest();
        }
    }
}

impl<Way, Output> Place<Way, Output> {
    fn new() -> Self {
        Self { output: OnceLock::new(), rest: Encodings::default(), way: PhantomData }
    }
}

impl<Way: 'static, Output: Send + Sync + 'static> Written for Place<Way, Output> {
    fn rest(&self) -> &Encodings {
        &self.rest
    }
}

impl fmt::Debug for Encodings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encodings").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    struct Source(&'static str, AtomicUsize);
    struct Upper;
    struct Lower;
    struct Length;

    impl Encoding<Source> for Upper {
        type Output = String;

        fn encode(source: &Source) -> String {
            source.1.fetch_add(1, Ordering::Relaxed);
            source.0.to_uppercase()
        }
    }

    impl Encoding<Source> for Lower {
        type Output = String;

        fn encode(source: &Source) -> String {
            source.1.fetch_add(1, Ordering::Relaxed);
            source.0.to_lowercase()
        }
    }

    impl Encoding<Source> for Length {
        type Output = usize;

        fn encode(source: &Source) -> usize {
            source.1.fetch_add(1, Ordering::Relaxed);
            source.0.len()
        }
    }

    #[test]
    fn each_way_is_written_once_and_apart_from_others() {
        let (encodings, source) = (Encodings::default(), Source("Word", AtomicUsize::new(0)));
        let first = encodings.of::<_, Upper>(&source).as_ptr();
        for _ in 0..3 {
            assert_eq!(encodings.of::<_, Upper>(&source), "WORD");
            assert_eq!(encodings.of::<_, Lower>(&source), "word", "another way with the same kind of output");
            assert_eq!(encodings.of::<_, Length>(&source), &4);
        }
        assert_eq!(encodings.of::<_, Upper>(&source).as_ptr(), first);
        assert_eq!(source.1.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn who_asks_at_the_same_time_gets_the_same() {
        let (encodings, source) = (Encodings::default(), Source("Word", AtomicUsize::new(0)));
        let ask = || {
            let (upper, lower) = (encodings.of::<_, Upper>(&source), encodings.of::<_, Lower>(&source));
            (upper.as_ptr() as usize, lower.as_ptr() as usize)
        };
        let asked = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        assert!(asked.iter().all(|pointers| *pointers == asked[0]));
        assert_eq!(source.1.load(Ordering::Relaxed), 2);
    }
}
