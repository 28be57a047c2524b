//! Where the bytes come from: compression, pipes, faults, and what is no capture at all.

use std::fs;
use std::io::{self, BufRead, Write, pipe};
use std::thread;

use flate2::write::GzEncoder;

use super::*;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).expect("memory")
}

/// A pcap whose frames do not compress away.
fn noisy() -> Vec<u8> {
    let mut file = LITTLE.pcap(0xa1b2_c3d4, 1);
    let mut state = 1u32;
    for n in 0..200 {
        let bytes: Vec<u8> = (0..1000)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .collect();
        file.extend(LITTLE.record(n, 0, &bytes, 1000));
    }
    file
}

#[test]
fn compressed_files_are_known_by_content() {
    for sample in samples() {
        let expected = frames(&sample);
        assert_eq!(expected.len(), 3);
        assert_eq!(frames(&gzip(&sample)), expected);
        assert_eq!(frames(&zstd(&sample)), expected);
    }
    let input = Input::from_reader("x", Cursor::new(gzip(&samples()[0]))).expect("opens");
    assert_eq!((input.kind(), input.compression()), (Kind::Pcap, Some(Compression::Gzip)));
}

#[test]
fn several_gzip_members_and_zstd_frames_are_one_file() {
    let file = noisy();
    let (a, b) = file.split_at(24 + 68 * 1016);
    let expected = frames(&file);
    assert_eq!(frames(&[gzip(a), gzip(b"")].concat()).len(), 68);
    assert_eq!(frames(&[gzip(a), gzip(b)].concat()), expected);
    assert_eq!(frames(&[zstd(a), zstd(b)].concat()), expected);
    let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4][..], &zstd(&file)].concat();
    assert_eq!(frames(&skippable), expected);
}

#[test]
fn a_compressed_file_that_was_cut_gives_what_is_there() {
    let file = noisy();
    for compressed in [gzip(&file), zstd(&file)] {
        let (frames, cut, error) =
            read(Cursor::new(compressed[..compressed.len() * 3 / 4].to_vec()));
        assert_eq!(error, "");
        assert!((100..=160).contains(&frames.len()), "{} frames", frames.len());
        assert!(cut.is_some());
    }
}

#[test]
fn a_compressed_file_that_is_damaged_is_an_error_with_its_place() {
    let mut compressed = gzip(&noisy());
    let end = compressed.len();
    compressed[end - 8] ^= 1;
    let (frames, _, error) = read(Cursor::new(compressed));
    assert_eq!(frames.len(), 200, "the checksum stands behind everything");
    assert!(error.starts_with("cannot read test.pcap at byte 203224: "), "{error}");
}

#[test]
fn damage_in_a_gzip_file_costs_little_of_what_is_before_it() {
    let file: Vec<u8> = (0..300_000u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
    let mut compressed = gzip(&file);
    let middle = compressed.len() / 2;
    compressed[middle..middle + 64].fill(0xff);
    let mut input = Input::from_reader("x", Cursor::new(compressed.clone())).expect("opens");
    let mut given = Vec::new();
    input.read_to_end(&mut given).expect_err("damaged");
    // Asked for one byte at a time, a decompressor has given all it could.
    let mut slow = flate2::read::MultiGzDecoder::new(&compressed[..]);
    let (mut byte, mut all) = ([0], 0);
    while slow.read_exact(&mut byte).is_ok() {
        all += 1;
    }
    assert!(all > 100_000 && given.len() + 4096 >= all, "{} of {all}", given.len());
    assert!(file.starts_with(&given[..100_000]), "what is before the damage is sound");
}

#[test]
fn a_pipe_gives_each_frame_as_soon_as_it_is_there() {
    let (receiver, mut sender) = pipe().expect("a pipe");
    sender.write_all(&LITTLE.pcap(0xa1b2_c3d4, 1)).expect("room");
    let mut file = open(receiver).expect("opens");
    for n in 0..10u8 {
        // Written only when the reader has asked for it, so it cannot have waited for more.
        sender.write_all(&LITTLE.record(0, 0, &[n; 3], 3)).expect("room");
        let frame = file.next_frame().expect("sound").expect("a frame");
        assert_eq!(frame.bytes, [n; 3]);
    }
    drop(sender);
    assert!(file.next_frame().expect("sound").is_none());
    assert_eq!(file.cut(), None);
}

#[test]
fn a_slow_writer_makes_no_difference() {
    let (receiver, mut sender) = pipe().expect("a pipe");
    let writer =
        thread::spawn(move || noisy().chunks(777).try_for_each(|chunk| sender.write_all(chunk)));
    let (frames, cut, error) = read(receiver);
    assert_eq!((frames.len(), cut, error.as_str()), (200, None, ""));
    writer.join().expect("no panic").expect("all written");
}

/// A reader that fails after its bytes.
struct Failing(Cursor<Vec<u8>>);

impl Read for Failing {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buf)? {
            0 => Err(io::Error::other("the disk is on fire")),
            len => Ok(len),
        }
    }
}

#[test]
fn a_read_error_comes_after_everything_before_it() {
    let file = noisy();
    let (frames, cut, error) = read(Failing(Cursor::new(file[..150_000].to_vec())));
    assert_eq!((frames.len(), cut), (147, None));
    assert_eq!(error, "cannot read test.pcap at byte 150000: the disk is on fire");
}

#[test]
fn what_is_no_capture_is_said_with_its_first_bytes() {
    for (bytes, expected) in [
        (&b""[..], "it is empty"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n", "it begins with 47 45 54 20"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n", "which looks like text"),
        (b"{\"log\":{}}", "which looks like JSON"),
        (b"WARC/1.1\r\n", "which looks like a WARC recording"),
        (b"PK\x03\x04 .....", "which looks like a zip archive"),
        (b"\xfd7zXZ\0....", "compressed with xz"),
        (b"snoop\0\0\0\0\0\0\x02", "a Solaris snoop capture"),
        (b"\x01\x02", "it begins with 01 02 (\"\\u{1}\\u{2}\");"),
    ] {
        let (_, _, error) = read(Cursor::new(bytes.to_vec()));
        assert!(error.starts_with("test.pcap is not a capture: "), "{error}");
        assert!(error.contains(expected), "{error}");
        assert!(error.ends_with("plain or compressed with gzip or zstd"));
    }
    let (_, _, error) = read(Cursor::new(gzip(&gzip(&samples()[0]))));
    assert!(error.contains("compressed with gzip twice"), "{error}");
}

#[test]
fn files_are_opened_by_path_and_missing_ones_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("misnamed.txt");
    fs::write(&path, gzip(&samples()[0])).expect("written");
    let path = path.to_str().expect("UTF-8");
    let mut file = CaptureFile::open(path).expect("opens");
    assert_eq!(file.name(), path);
    assert!(file.next_frame().expect("sound").is_some());
    let missing = CaptureFile::open("/nonexistent/a.pcap").expect_err("missing").to_string();
    assert!(missing.starts_with("cannot open /nonexistent/a.pcap: No such file"), "{missing}");
    let directory = dir.path().to_str().expect("UTF-8");
    let error = CaptureFile::open(directory).expect_err("a directory").to_string();
    assert!(error.contains("at byte 0: Is a directory"), "{error}");
}

#[test]
fn sniffing_tells_the_formats_apart() {
    for w in [LITTLE, BIG] {
        for magic in [0xa1b2_c3d4, 0xa1b2_3c4d, 0xa1b2_cd34] {
            assert_eq!(sniff(&w.pcap(magic, 1)), Kind::Pcap);
        }
        assert_eq!(sniff(&w.section()), Kind::PcapNg);
    }
    assert_eq!(sniff(&gzip(b"a")), Kind::Gzip);
    assert_eq!(sniff(&zstd(b"a")), Kind::Zstd);
    assert_eq!(sniff(b"WARC/1.1\r\n"), Kind::Warc);
    assert_eq!(sniff(b""), Kind::Empty);
    assert_eq!(sniff(b"\xa1\xb2\xc3"), Kind::Unknown);
    assert_eq!(sniff(b"GET / HTTP/1.1\r\n"), Kind::Unknown);
}

#[test]
fn an_input_serves_readers_of_other_formats() {
    let text = b"WARC/1.1\r\nWARC-Type: request\r\n\r\n".repeat(40_000);
    let mut input = Input::from_reader("x", Cursor::new(gzip(&text))).expect("opens");
    assert_eq!(input.kind(), Kind::Warc);
    let mut line = String::new();
    input.read_line(&mut line).expect("a line");
    assert_eq!((line.as_str(), input.offset()), ("WARC/1.1\r\n", 10));
    let mut rest = Vec::new();
    input.read_to_end(&mut rest).expect("the rest");
    assert_eq!(rest, text[10..]);
}
