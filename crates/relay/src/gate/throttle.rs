//! How fast an address may guess: refused log-ins beyond a burst are answered late. Good tokens are not held back, so
//! that a broken client does not lock out its neighbours behind the same address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use entrant_types::Timestamp;

/// One refusal in this time for each address in the long run. A program that retries without a pause asks thousands
/// of times a second, and each costs the gate a log line and up to one RSA verification.
const INTERVAL: Duration = Duration::from_millis(100);
/// Refusals that are answered at once: a pool of connections whose policy is missing.
const BURST: Duration = Duration::from_secs(10);
/// Longest wait that is kept in mind; the time limit for AUTH closes the connection before.
const LONGEST: Duration = Duration::from_secs(30);
/// Addresses in mind at most: some 200 KiB.
const MOST: usize = 4096;

/// Refusals by address.
#[derive(Debug, Default)]
pub(super) struct Throttle(Mutex<HashMap<IpAddr, Timestamp>>);

impl Throttle {
    /// Counts a refusal; the moment before which it is not answered, if that is to come.
    pub(super) fn refuse(&self, peer: IpAddr, now: Timestamp) -> Option<Timestamp> {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let network = network(peer);
        if table.len() >= MOST && !table.contains_key(&network) {
            make_room(&mut table, now);
        }
        // The moment at which the address has worked off all its refusals; the generic cell rate algorithm.
        let even = table.entry(network).or_insert(now);
        let wait = (*even).max(now) - BURST;
        *even = ((*even).max(now) + INTERVAL).min(now + BURST + LONGEST);
        (wait > now).then_some(wait)
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// Forgets who has nothing to work off; else who has the least.
fn make_room(table: &mut HashMap<IpAddr, Timestamp>, now: Timestamp) {
    table.retain(|_, even| *even > now);
    if table.len() >= MOST
        && let Some(least) = table.iter().min_by_key(|(_, even)| **even).map(|(network, _)| *network)
    {
        table.remove(&least);
    }
}

/// An IPv6 host has a whole /64 to choose addresses from.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_767_225_600);

    #[test]
    fn a_burst_is_answered_at_once_and_then_one_refusal_an_interval() {
        let (throttle, peer) = (Throttle::default(), IpAddr::from([192, 0, 2, 1]));
        for number in 0..=100 {
            assert_eq!(throttle.refuse(peer, NOW), None, "{number}");
        }
        assert_eq!(throttle.refuse(peer, NOW), Some(NOW + INTERVAL));
        assert_eq!(throttle.refuse(peer, NOW), Some(NOW + INTERVAL * 2));
        assert_eq!(throttle.refuse(IpAddr::from([192, 0, 2, 2]), NOW), None, "another address");
        assert_eq!(throttle.refuse(peer, NOW + BURST * 2), None, "after a rest");
    }

    #[test]
    fn the_longest_wait_and_the_table_are_bounded() {
        let (throttle, peer) = (Throttle::default(), IpAddr::from([192, 0, 2, 1]));
        let last = (0..10_000).filter_map(|_| throttle.refuse(peer, NOW)).last();
        assert!(last.is_some_and(|moment| moment <= NOW + LONGEST), "{last:?}");
        for number in 0..20_000_u32 {
            throttle.refuse(IpAddr::V4(number.into()), NOW);
            assert!(throttle.len() <= MOST);
        }
        assert!(throttle.refuse(peer, NOW).is_some(), "who has most to work off is not forgotten");
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_count_together() {
        let throttle = Throttle::default();
        for number in 0..=100_u128 {
            let peer = IpAddr::V6((0x2001_0db8_u128 << 96 | number).into());
            assert_eq!(throttle.refuse(peer, NOW), None);
        }
        assert!(throttle.refuse("2001:db8::ffff:1".parse().unwrap(), NOW).is_some());
        assert_eq!(throttle.refuse("2001:db8:0:1::1".parse().unwrap(), NOW), None);
    }
}
