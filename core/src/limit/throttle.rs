//! How often somebody from one place may do something.

use super::Bucket;
use super::crowd::Origin;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

/// IPv6 networks of 48 bits hold 65,536 places. All of them together may do so many times what one may.
const PLACES_OF_NETWORK: u32 = 4;

/// Least time between two looks for places that have been paid for.
const SWEEP: Duration = Duration::from_secs(1);

/// A bucket for each place: an IPv4 address, or an IPv6 network of 64 bits, and over those a larger one for the network of
/// 48 bits that they are in, which one customer of a provider may have. It has no clock; times are durations since any fixed
/// moment.
///
/// It knows a place only until its bucket is full again, and so many at a time. Newcomers beyond share one bucket.
#[derive(Debug)]
pub struct Throttle {
    places: Table,
    networks: Table,
}

impl Throttle {
    /// So many tokens a second for each place, `burst` at once after a pause, and at most `most_places` to know of.
    pub fn new(rate_per_second: u32, burst: u32, most_places: usize) -> Self {
        let of_network = |tokens: u32| tokens.saturating_mul(PLACES_OF_NETWORK);
        Self {
            places: Table::new(Bucket::new(rate_per_second, burst), most_places),
            networks: Table::new(Bucket::new(of_network(rate_per_second), of_network(burst)), most_places),
        }
    }

    /// Takes `amount` tokens of the place of `from` at the time `now`, or none.
    ///
    /// # Errors
    /// How long it will be until there are enough, as [`Bucket::take`] says it.
    pub fn take(&mut self, from: IpAddr, now: Duration, amount: u32) -> Result<(), Duration> {
        let Origin { place, network } = Origin::of(from);
        let own = self.places.bucket(place, now);
        if place == network {
            return own.take(now, amount);
        }
        let mut paid = own.clone();
        paid.take(now, amount)?;
        self.networks.bucket(network, now).take(now, amount)?;
        *own = paid;
        Ok(())
    }
}

#[derive(Debug)]
struct Table {
    full: Bucket,
    most: usize,
    buckets: HashMap<IpAddr, Bucket>,
    /// Of all those for whom there is no room.
    newcomers: Bucket,
    swept: Duration,
}

impl Table {
    fn new(full: Bucket, most: usize) -> Self {
        Self { newcomers: full.clone(), full, most, buckets: HashMap::new(), swept: Duration::ZERO }
    }

    fn bucket(&mut self, place: IpAddr, now: Duration) -> &mut Bucket {
        let has_room = self.buckets.len() < self.most || self.buckets.contains_key(&place);
        if !has_room && !self.sweep(now) {
            return &mut self.newcomers;
        }
        self.buckets.entry(place).or_insert_with(|| self.full.clone())
    }

    /// Forgets the places whose buckets are full, as an unknown one's is. Tells whether there is room then.
    fn sweep(&mut self, now: Duration) -> bool {
        if now.saturating_sub(self.swept) >= SWEEP {
            self.buckets.retain(|_, bucket| !bucket.is_full(now));
            self.swept = now;
        }
        self.buckets.len() < self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1000);

    fn taken(throttle: &mut Throttle, from: &str, now: Duration) -> usize {
        (0..1000).filter(|_| throttle.take(from.parse().unwrap(), now, 1).is_ok()).count()
    }

    #[test]
    fn each_place_has_its_own_and_no_more() {
        let mut throttle = Throttle::new(3, 5, 100);
        assert_eq!(taken(&mut throttle, "192.0.2.1", NOW), 5);
        assert_eq!(taken(&mut throttle, "::ffff:192.0.2.1", NOW), 0, "the same address");
        assert_eq!(taken(&mut throttle, "192.0.2.2", NOW), 5);
        assert_eq!(taken(&mut throttle, "192.0.2.1", NOW + Duration::from_secs(1)), 3);
        let wait = throttle.take("192.0.2.2".parse().unwrap(), NOW, 2).unwrap_err();
        assert!(wait > Duration::from_millis(600) && wait < Duration::from_millis(700), "{wait:?}");
    }

    #[test]
    fn networks_of_ipv6_are_places_and_their_networks_have_four_times_as_much() {
        let mut throttle = Throttle::new(1, 5, 100);
        assert_eq!(taken(&mut throttle, "2001:db8:1:1::1", NOW), 5);
        assert_eq!(taken(&mut throttle, "2001:db8:1:1:ffff::1", NOW), 0, "the same 64 bits");
        let others: usize = (2..100).map(|net| taken(&mut throttle, &format!("2001:db8:1:{net:x}::1"), NOW)).sum();
        assert_eq!(others, 15, "the rest of the network's 20");
        assert_eq!(taken(&mut throttle, "2001:db8:2:1::1", NOW), 5);
        // What the network refused was not taken from the place.
        assert_eq!(taken(&mut throttle, "2001:db8:1:63::1", NOW + Duration::from_secs(60)), 5);
    }

    #[test]
    fn places_are_forgotten_when_they_are_as_good_as_new() {
        let mut throttle = Throttle::new(1, 2, 3);
        for host in 1..=3 {
            assert_eq!(taken(&mut throttle, &format!("192.0.2.{host}"), NOW), 2);
        }
        assert_eq!(taken(&mut throttle, "192.0.2.4", NOW), 2, "the newcomers' own");
        assert_eq!(taken(&mut throttle, "192.0.2.5", NOW), 0, "which they share");
        assert_eq!(taken(&mut throttle, "192.0.2.1", NOW), 0, "who is known stays known");
        let later = NOW + Duration::from_secs(2);
        assert_eq!(taken(&mut throttle, "192.0.2.5", later), 2);
        assert_eq!(throttle.places.buckets.len(), 1);
    }

    #[test]
    fn more_than_a_burst_never_comes() {
        let mut throttle = Throttle::new(1, 2, 3);
        for from in ["192.0.2.1", "2001:db8::1"] {
            assert_eq!(throttle.take(from.parse().unwrap(), NOW, 3), Err(Duration::MAX));
        }
    }
}
