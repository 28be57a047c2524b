//! pcap: byte orders, clocks, old and modified records.

use super::*;

#[test]
fn both_byte_orders_and_both_clocks() {
    for w in [LITTLE, BIG] {
        let records = [w.record(3, 999_999, b"abc", 3), w.record(4, 5, b"", 60)].concat();
        let micro = [w.pcap(0xa1b2_c3d4, 1), records.clone()].concat();
        let first = (3_999_999_000, 1, b"abc".to_vec(), 3);
        assert_eq!(frames(&micro), [first, (4_000_005_000, 1, vec![], 60)]);
        let nano = [w.pcap(0xa1b2_3c4d, 113), records].concat();
        let first = (3_000_999_999, 113, b"abc".to_vec(), 3);
        assert_eq!(frames(&nano), [first, (4_000_000_005, 113, vec![], 60)]);
    }
}

#[test]
fn modified_records_have_eight_more_bytes() {
    for w in [LITTLE, BIG] {
        let mut record = w.record(1, 2, b"abc", 3);
        record.splice(16..16, [0, 0, 0, 1, 8, 0, 4, 0]);
        let file = [w.pcap(0xa1b2_cd34, 1), record.clone(), record].concat();
        let frame = (1_000_002_000, 1, b"abc".to_vec(), 3);
        assert_eq!(frames(&file), [frame.clone(), frame]);
    }
}

#[test]
fn the_fcs_length_above_the_link_type_is_no_part_of_it() {
    let file = [LITTLE.pcap(0xa1b2_c3d4, 0x2400_0001), LITTLE.record(1, 0, b"a", 1)].concat();
    assert_eq!(frames(&file)[0].1, 1);
    let file = [LITTLE.pcap(0xa1b2_c3d4, 276), LITTLE.record(1, 0, b"a", 1)].concat();
    assert_eq!(frames(&file)[0].1, 276);
}

#[test]
fn old_versions_have_their_lengths_swapped() {
    for (version, stored, expected) in [
        ([2, 2], (9, 3), (3, 9)),
        ([2, 3], (9, 3), (3, 9)),
        ([2, 3], (3, 9), (3, 9)),
        ([543, 0], (9, 3), (3, 9)),
        ([2, 4], (3, 9), (3, 9)),
    ] {
        let w = BIG;
        let mut file = w.pcap(0xa1b2_c3d4, 1);
        file[4..8].copy_from_slice(&version.map(|n| w.u16(n)).concat());
        file.extend([1, 0, stored.0, stored.1].map(|n| w.u32(n)).concat());
        file.extend(b"abc");
        let seen = frames(&file);
        assert_eq!((seen[0].2.len() as u32, seen[0].3), expected, "{version:?}");
    }
}

#[test]
fn a_file_without_frames_is_empty_not_wrong() {
    assert_eq!(frames(&LITTLE.pcap(0xa1b2_c3d4, 1)), []);
}

#[test]
fn a_file_cut_at_any_byte_gives_what_is_before_and_says_so() {
    for w in [LITTLE, BIG] {
        let header = w.pcap(0xa1b2_c3d4, 1);
        let file = [header, w.record(1, 0, b"abc", 3), w.record(2, 0, b"defg", 4)].concat();
        let ends = [24, 24 + 19, 24 + 19 + 20];
        for len in 4..file.len() {
            let (frames, cut, error) = read(Cursor::new(file[..len].to_vec()));
            assert_eq!(error, "", "length {len}");
            let whole = ends.iter().filter(|end| **end <= len).count();
            assert_eq!(frames.len(), whole.saturating_sub(1), "length {len}");
            let begin = if whole == 0 { 0 } else { ends[whole - 1] };
            let expected = Cut { offset: begin as u64, bytes: (len - begin) as u64 };
            assert_eq!(cut, (len != begin).then_some(expected), "length {len}");
        }
    }
}

#[test]
fn an_absurd_length_is_refused_where_it_stands() {
    let w = LITTLE;
    let mut file = [w.pcap(0xa1b2_c3d4, 1), w.record(1, 0, b"abc", 3)].concat();
    file.extend([2, 0, MAX_FRAME as u32 + 1, 60].map(|n| w.u32(n)).concat());
    file.extend([0; 100]);
    let (frames, cut, error) = read(Cursor::new(file));
    assert_eq!((frames.len(), cut), (1, None));
    assert_eq!(
        error,
        "test.pcap is corrupt at byte 43: a frame of 16777217 bytes is announced, more than \
         16777216; everything before it was read"
    );
}

#[test]
fn the_largest_frame_is_read() {
    let w = LITTLE;
    let big = vec![7; MAX_FRAME];
    let wire_len = big.len() as u32;
    let file = [w.pcap(0xa1b2_c3d4, 1), w.record(1, 0, &big, wire_len), w.record(2, 0, b"a", 1)];
    let seen = frames(&file.concat());
    assert_eq!((seen[0].2.len(), seen[1].2.as_slice()), (MAX_FRAME, b"a".as_slice()));
}

#[test]
fn many_frames_across_the_buffer_come_out_in_order() {
    let w = LITTLE;
    let mut file = w.pcap(0xa1b2_c3d4, 1);
    for n in 0..3000u32 {
        file.extend(w.record(n, 0, &n.to_be_bytes().repeat(n as usize % 400), n));
    }
    let seen = frames(&file);
    assert_eq!(seen.len(), 3000);
    for (n, (time, _, bytes, wire_len)) in (0..3000u32).zip(seen) {
        assert_eq!((time, wire_len), (u64::from(n) * 1_000_000_000, n));
        assert_eq!(bytes, n.to_be_bytes().repeat(n as usize % 400));
    }
}
