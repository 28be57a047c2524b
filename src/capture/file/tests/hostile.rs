//! Files changed at random and replayed fuzz seeds.

use super::*;

#[test]
#[allow(clippy::print_stdout, reason = "the test harness shows it only on failure")]
fn files_changed_at_random_never_break_an_invariant() {
    let seed = std::env::var("SHADOWTAP_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let mut state: u64 = seed.unwrap_or(0x5eed);
    println!("SHADOWTAP_TEST_SEED={state}");
    let mut below = |end: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as usize % end.max(1)
    };
    let samples = samples();
    for _ in 0..4000 {
        let mut bytes = samples[below(samples.len())].clone();
        for _ in 0..=below(4) {
            let at = below(bytes.len());
            // Small numbers make plausible lengths.
            bytes[at] = if below(2) == 0 { below(16) as u8 } else { below(256) as u8 };
        }
        bytes.truncate(below(bytes.len() * 4).max(1));
        fuzz_capture_file(&bytes);
    }
}

#[test]
fn fuzz_seeds_are_replayed() {
    for sample in samples() {
        for len in 0..=sample.len() {
            fuzz_capture_file(&sample[..len]);
        }
        let compressed = zstd::encode_all(&sample[..], 1).expect("memory");
        for len in 0..=compressed.len() {
            fuzz_capture_file(&compressed[..len]);
        }
        // Two files in one, and noise behind.
        fuzz_capture_file(&[&sample[..], &sample, b"noise noise noise"].concat());
    }
}
