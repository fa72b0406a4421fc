//! Numbers that divide others.

use alloc::vec::Vec;

/// The primes that divide a number, the smallest first.
pub(super) fn primes(mut number: u64) -> Vec<u64> {
    let mut primes = Vec::new();
    let mut prime = 2;
    while prime * prime <= number {
        if number.is_multiple_of(prime) {
            primes.push(prime);
            while number.is_multiple_of(prime) {
                number /= prime;
            }
        }
        prime += 1;
    }
    if number > 1 {
        primes.push(number);
    }
    primes
}

/// The numbers that divide another, the largest first.
pub(super) fn divisors_from_largest(number: u64) -> Vec<u64> {
    let mut all = divisors(number);
    all.sort_unstable_by_key(|divisor| u64::MAX - divisor);
    all.dedup();
    all
}

/// The numbers that divide another.
pub(super) fn divisors(number: u64) -> Vec<u64> {
    let small = (1..).take_while(|n| n * n <= number).filter(|n| number.is_multiple_of(*n));
    let small: Vec<u64> = small.collect();
    small.iter().copied().chain(small.iter().map(|n| number / n)).collect()
}
