//! pcapng: sections, interfaces, clocks, block types, lengths that lie.

use super::*;

/// A section with one Ethernet interface and these blocks.
fn file(w: Writer, blocks: &[Vec<u8>]) -> Vec<u8> {
    [w.section(), w.interface(1, 0, &[]), blocks.concat()].concat()
}

#[test]
fn enhanced_packets_in_both_byte_orders() {
    for w in [LITTLE, BIG] {
        let time = 1_700_000_000_123_456u64;
        let seen = frames(&file(w, &[w.enhanced(0, time, b"abcde", 60)]));
        assert_eq!(seen, [(time * 1000, 1, b"abcde".to_vec(), 60)]);
    }
}

#[test]
fn interfaces_of_different_link_types_and_clocks() {
    let w = LITTLE;
    let blocks = [
        w.interface(276, 0, &[(2, b"any"), (9, &[9])]),
        w.interface(101, 0, &[(9, &[0x80 | 10]), (14, &w.u64(100)), (0, &[])]),
        w.enhanced(2, 1024 + 512, b"c", 1),
        w.enhanced(1, 1_000_000_001, b"b", 1),
        w.enhanced(0, 1_000_001, b"a", 1),
    ];
    let seen = frames(&file(w, &blocks));
    assert_eq!(seen[0], (101_500_000_000, 101, b"c".to_vec(), 1));
    assert_eq!(seen[1], (1_000_000_001, 276, b"b".to_vec(), 1));
    assert_eq!(seen[2], (1_000_001_000, 1, b"a".to_vec(), 1));
}

#[test]
fn every_time_resolution() {
    let second = 1_000_000_000u64;
    for (byte, ticks, nanos) in [
        (0, 7, 7 * second),
        (3, 7, 7_000_000),
        (6, 7, 7000),
        (9, 7, 7),
        (10, 79, 7),
        (12, 7_999, 7),
        (38, u64::MAX, 0),
        (127, u64::MAX, 0),
        (0x80, 7, 7 * second),
        (0x80 | 1, 7, 3 * second + second / 2),
        (0x80 | 32, 3 << 31, second + second / 2),
        (0x80 | 63, u64::MAX, 2 * second - 1),
        (0xff, u64::MAX, 0),
        (0, u64::MAX, u64::MAX),
        (0x80, u64::MAX, u64::MAX),
    ] {
        for w in [LITTLE, BIG] {
            let interface = w.interface(1, 0, &[(9, &[byte])]);
            let file = [w.section(), interface, w.enhanced(0, ticks, b"", 0)].concat();
            assert_eq!(frames(&file)[0].0, nanos, "if_tsresol {byte:#x}");
        }
    }
}

#[test]
fn time_offsets_in_both_directions() {
    let w = BIG;
    for (offset, nanos) in [(5i64, 6_000_000_000), (-1, 0), (i64::MIN, 0), (i64::MAX, u64::MAX)] {
        let interface = w.interface(1, 0, &[(14, &w.u64(offset.cast_unsigned()))]);
        let file = [w.section(), interface, w.enhanced(0, 1_000_000, b"", 0)].concat();
        assert_eq!(frames(&file)[0].0, nanos, "if_tsoffset {offset}");
    }
}

#[test]
fn broken_options_are_not_believed() {
    let w = LITTLE;
    for options in [&[9, 0, 200, 0, 9][..], &[9, 0][..], &[9, 0, 2, 0, 9, 9, 0, 0][..]] {
        let content = [&w.u16(1)[..], &[0; 6], options].concat();
        let file = [w.section(), w.block(1, &content), w.enhanced(0, 1, b"", 0)].concat();
        assert_eq!(frames(&file)[0].0, 1000, "the default clock");
    }
}

#[test]
fn simple_packets_have_no_time_and_an_implied_length() {
    let w = LITTLE;
    let simple = |wire_len: u32, bytes: &[u8]| w.block(3, &[&w.u32(wire_len)[..], bytes].concat());
    let snapped = w.interface(1, 4, &[]);
    let file = [w.section(), snapped, simple(9, b"abcd"), simple(3, b"abc"), simple(99, b"ab")];
    let seen = frames(&file.concat());
    assert_eq!(seen[0], (0, 1, b"abcd".to_vec(), 9));
    assert_eq!(seen[1], (0, 1, b"abc".to_vec(), 3));
    assert_eq!(seen[2].2.len(), 4, "never more than the block has");
}

#[test]
fn obsolete_packet_blocks() {
    for w in [LITTLE, BIG] {
        let numbers = [0, 2_000_000, 3, 60].map(|n| w.u32(n)).concat();
        let content = [&w.u16(0)[..], &w.u16(7), &numbers, b"abc"].concat();
        let seen = frames(&file(w, &[w.block(2, &content)]));
        assert_eq!(seen, [(2_000_000_000, 1, b"abc".to_vec(), 60)]);
    }
}

#[test]
fn other_blocks_are_skipped_however_large() {
    let w = LITTLE;
    let blocks = [
        w.block(4, &[1; 40]),
        w.block(5, &[]),
        w.block(0x0bad, &vec![1; 40 << 20]),
        w.block(0x8000_0001, &[1; 7]),
        w.enhanced(0, 1, b"a", 1),
        w.block(10, &[2; 300]),
    ];
    assert_eq!(frames(&file(w, &blocks)).len(), 1);
}

#[test]
fn sections_of_different_byte_orders_with_interfaces_of_their_own() {
    let first = file(LITTLE, &[LITTLE.enhanced(0, 1, b"a", 1)]);
    let interface = BIG.interface(101, 0, &[(9, &[9])]);
    let second = [BIG.section(), interface, BIG.enhanced(0, 1, b"b", 1)].concat();
    let third = file(LITTLE, &[LITTLE.enhanced(0, 1, b"c", 1)]);
    let seen = frames(&[first, second, third].concat());
    let expected = [(1000, 1, "a"), (1, 101, "b"), (1000, 1, "c")];
    for (seen, (time, link, bytes)) in seen.iter().zip(expected) {
        assert_eq!((seen.0, seen.1, seen.2.as_slice()), (time, link, bytes.as_bytes()));
    }
}

/// The error and the number of frames before it.
fn corrupt(w: Writer, bad: Vec<u8>) -> (usize, String) {
    let good = w.enhanced(0, 1, b"a", 1);
    let bytes = file(w, &[good.clone(), bad, good]);
    let (frames, cut, error) = read(Cursor::new(bytes));
    assert_eq!(cut, None);
    (frames.len(), error)
}

#[test]
fn every_lie_is_an_error_that_names_the_byte() {
    let w = LITTLE;
    // The section (28), the interface (20) and the good frame (48) are before it.
    let offset = 28 + 20 + w.enhanced(0, 1, b"a", 1).len();
    let with = |at: usize, number: u32| {
        let mut block = w.enhanced(0, 1, b"abcd", 4);
        block.splice(at..at + 4, w.u32(number));
        block
    };
    let trailer = with(0, 6).len() - 4;
    let section = |magic: u32, version: u16| {
        w.block(0x0a0d_0d0a, &[&w.u32(magic)[..], &w.u16(version), &[0; 10]].concat())
    };
    for (bad, what) in [
        (with(4, 3), "a block of type 0x6 claims a length of 3"),
        (with(4, 0), "a block of type 0x6 claims a length of 0"),
        (with(4, 49), "a block of type 0x6 claims a length of 49"),
        (with(4, 0x7fff_fff0), "a block of 2147483632 bytes is announced, more than 17825792"),
        (with(trailer, 8), "a block begins with the length 48 and ends with 8"),
        (with(20, 9999), "a frame of 9999 bytes in a block with room for 16"),
        (with(8, 1), "a frame of interface 1, but only 1 were described"),
        (section(0x1234_5678, 1), "a section header without a byte order magic"),
        (section(0x1a2b_3c4d, 2), "a section of the unknown version 2"),
    ] {
        let (before, error) = corrupt(w, bad);
        let expected =
            format!("test.pcap is corrupt at byte {offset}: {what}; everything before it was read");
        assert_eq!((before, error), (1, expected));
    }
    let mut skipped = w.block(5, &[0; 8]);
    skipped[16] = 99;
    let (before, error) = corrupt(w, skipped);
    assert_eq!(before, 1);
    assert!(error.contains(&format!("at byte {offset}: a block begins with the length 20")));
}

#[test]
fn frames_without_an_interface_are_an_error() {
    for block in [LITTLE.enhanced(0, 1, b"a", 1), LITTLE.block(3, &[0; 8])] {
        let (frames, _, error) = read(Cursor::new([LITTLE.section(), block].concat()));
        assert!(frames.is_empty() && error.contains("at byte 28"), "{error}");
    }
}

#[test]
fn too_many_interfaces_are_refused() {
    let w = LITTLE;
    let fill = |count: usize| [w.section(), w.interface(1, 0, &[]).repeat(count)].concat();
    assert_eq!(frames(&fill(65_536)), []);
    let (_, _, error) = read(Cursor::new(fill(65_537)));
    assert!(error.contains("more than 65536 interfaces"), "{error}");
}

#[test]
fn a_file_cut_at_any_byte_gives_what_is_before_and_says_so() {
    for w in [LITTLE, BIG] {
        let parts = [
            w.section(),
            w.interface(1, 0, &[]),
            w.enhanced(0, 1, b"abc", 3),
            w.block(5, &[7; 20]),
            w.enhanced(0, 2, b"de", 2),
        ];
        let mut ends = vec![0];
        for part in &parts {
            ends.push(ends[ends.len() - 1] + part.len());
        }
        let bytes = parts.concat();
        for len in 4..bytes.len() {
            let (frames, cut, error) = read(Cursor::new(bytes[..len].to_vec()));
            assert_eq!(error, "", "length {len}");
            assert_eq!(frames.len(), usize::from(len >= ends[3]), "length {len}");
            let is_clean = ends.contains(&len);
            assert_eq!(cut.is_none(), is_clean, "length {len}");
        }
    }
}
