//! Hostile and broken frames: cut at every byte, changed at random, replayed fuzz seeds.

use crate::decode::{FragmentLimits, fuzz};

use super::*;

/// One frame of every kind that the other files build, with its link type.
fn samples() -> Vec<(u32, Vec<u8>)> {
    let body = b"GET / HTTP/1.1\r\n\r\n";
    let (v4, v6) = (ipv4(6, &tcp(body)), ipv6(6, &tcp(body)));
    let gre =
        |kind: u16, inner: &[u8]| join(&[&[0x20, 0], &kind.to_be_bytes(), &[0, 0, 0, 1], inner]);
    let vxlan = udp(4789, &join(&[&[8, 0, 0, 0, 0, 0, 1, 0], &plain(body)]));
    let geneve = udp(6081, &join(&[&[1, 0, 0x65, 0x58, 0, 0, 1, 0, 0, 0, 0, 0], &plain(body)]));
    let options = join(&[&[44, 0, 1, 4, 0, 0, 0, 0], &[6, 0, 0, 0, 0, 0, 0, 9], &tcp(body)]);
    let data = [8u8, 1].into_iter().chain([0; 22]).collect::<Vec<_>>();
    let llc = join(&[&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &v4]);
    let erspan = |kind: u16, head: &[u8]| {
        join(&[&[0x10, 0], &kind.to_be_bytes(), &[0, 0, 0, 7], head, &plain(body)])
    };
    let extension = [0, 0, 0, 0x85, 1, 0, 9, 0];
    let mut fragment = v4.clone();
    fragment[7] = 5;
    vec![
        (1, plain(body)),
        (1, ether(0x86dd, &v6)),
        (1, ether(0x88a8, &vlan(9, 0x8100, &vlan(5, 0x0800, &v4)))),
        (1, ether(0x8847, &join(&[&[0, 1, 1, 64], &v4]))),
        (1, ether(0x8864, &join(&[&[0x11, 0, 0, 1, 0, 60, 0, 0x21], &v4]))),
        (1, ether(66, &join(&[&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &v4]))),
        (113, join(&[&[0; 14], &[8, 0], &v4])),
        (276, join(&[&[0x86, 0xdd], &[0; 18], &v6])),
        (0, join(&[&[2, 0, 0, 0], &v4])),
        (108, join(&[&[0, 0, 0, 30], &v6])),
        (9, join(&[&[0xff, 3, 0, 0x21], &v4])),
        (101, ipv6(0, &options)),
        (101, ipv4(47, &gre(0x6558, &plain(body)))),
        (101, ipv4(47, &gre(0x0800, &v4))),
        (101, ipv6(4, &v4)),
        (101, ipv4(17, &vxlan)),
        (101, ipv4(17, &geneve)),
        (105, join(&[&data[..], &llc])),
        (127, join(&[&[0, 0, 9, 0, 2, 0, 0, 0, 0x10], &data[..], &llc])),
        (104, join(&[&[0x0f, 0, 8, 0], &v4])),
        (50, join(&[&[0x8f, 0, 8, 0], &v4])),
        (239, join(&[&[2, 0, 0, 5, 8, 0, 1, 0, 8, 0, 1, 0, v4.len() as u8 + 4, 0, 9, 0], &v4])),
        (109, join(&[&[0; 12], &v4])),
        (117, join(&[&[61, 2], &[0; 62], &v4])),
        (166, join(&[&[0, 3, 0, 0x21], &v4])),
        (101, ipv4(47, &erspan(0x88be, &[0x10, 5, 0, 1, 0, 0, 0, 1]))),
        (101, ipv4(47, &erspan(0x22eb, &[0x20, 5, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]))),
        (101, ipv4(17, &udp(2152, &join(&[&[0x34, 255, 0, 0, 0, 0, 0, 9], &extension, &v4])))),
        (101, ipv4(17, &udp(1701, &join(&[&[0, 2, 0, 1, 0, 1, 0, 0x21], &v4])))),
        (101, ipv4(115, &join(&[&[0, 0, 0, 7, 0x40, 0, 0, 0], &plain(body)]))),
        (101, ipv4(17, &udp(3544, &v6))),
        (101, ipv4(47, &join(&[&[0, 0, 0x82, 0], &data[..], &llc]))),
        (1, ether(0x88e7, &join(&[&[0, 0, 0, 1], &plain(body)]))),
        (1, ether(0x8926, &join(&[&[0, 1, 0, 2, 8, 0], &v4]))),
        (101, fragment),
    ]
}

fn decoders() -> (Decoder, Decoder) {
    let limits = FragmentLimits {
        max_bytes: 1 << 16,
        max_datagrams: 8,
        max_age: std::time::Duration::from_secs(1),
    };
    (Decoder::new(limits), Decoder::new(limits))
}

#[test]
fn every_sample_but_the_fragment_gives_its_payload() {
    let samples = samples();
    let (fragment, frames) = samples.split_last().expect("there are samples");
    for (link, bytes) in frames {
        assert_payload(decode(*link, bytes), b"GET / HTTP/1.1\r\n\r\n");
    }
    assert_eq!(decode(fragment.0, &fragment.1), Err(Ignored::Fragment));
}

#[test]
fn every_sample_snapped_at_every_byte_claims_only_what_it_has() {
    for (link, bytes) in samples() {
        let whole = decode(link, &bytes).map_or(18, |seen| seen.payload.len());
        for captured in 0..bytes.len() {
            match decode_snapped(link, &bytes, captured) {
                Ok(seen) => {
                    assert!(seen.payload.len() <= captured);
                    assert_eq!(seen.payload.len() + seen.cut as usize, whole);
                }
                Err(why) => assert!(
                    matches!(why, Ignored::Truncated | Ignored::FragmentDropped | Ignored::NotIp),
                    "link {link} captured {captured}: {why:?}"
                ),
            }
            // The same bytes as a short frame that was captured whole.
            let (mut decoder, mut twin) = decoders();
            let (bytes, wire_len) = (&bytes[..captured], captured as u32);
            let frame = Frame { time: Timestamp::ZERO, link: LinkType(link), bytes, wire_len };
            fuzz::check(&mut decoder, &mut twin, &frame);
        }
    }
}

#[test]
#[allow(clippy::print_stdout, reason = "the test harness shows it only on failure")]
fn samples_changed_at_random_never_break_an_invariant() {
    let seed = std::env::var("SHADOWTAP_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or(0x5eed);
    println!("SHADOWTAP_TEST_SEED={seed}");
    let mut random = Random(seed);
    let samples = samples();
    let (mut decoder, mut twin) = decoders();
    for round in 0..200_000u64 {
        let (link, mut bytes) = samples[random.below(samples.len())].clone();
        for _ in 0..=random.below(4) {
            let at = random.below(bytes.len());
            bytes[at] = random.next() as u8;
        }
        bytes.truncate(random.below(bytes.len() * 3).max(1));
        let wire_len = (bytes.len() + random.below(3) * random.below(100)) as u32;
        let time = Timestamp::from_nanos(round * 1_000_000);
        let frame = Frame { time, link: LinkType(link), bytes: &bytes, wire_len };
        fuzz::check(&mut decoder, &mut twin, &frame);
    }
}

#[test]
fn fuzz_seeds_are_replayed() {
    let mut stream = Vec::new();
    for (nth, (_, bytes)) in samples().iter().enumerate() {
        let [hi, lo] = (bytes.len() as u16).to_be_bytes();
        stream.extend([&[hi, lo, nth as u8, 1], bytes.as_slice()].concat());
    }
    for link in 0..=255u8 {
        fuzz::fuzz_frame(&join(&[&[link], &stream]));
    }
    let mut random = Random(1);
    for _ in 0..2000 {
        let noise: Vec<u8> = (0..random.below(400)).map(|_| random.next() as u8).collect();
        fuzz::fuzz_frame(&noise);
    }
    fuzz::fuzz_frame(&[]);
}
