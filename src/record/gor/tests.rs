//! .gor files written by hand, byte for byte as GoReplay writes them, and what may happen to them.

use super::*;
use crate::model::testing::{Random, seeds};

const FIRST: &str = "8e091765ae902fef8a2b7d9d";
const SECOND: &str = "8e091765ae902fef8a2b7d9e";
/// As before GoReplay 1.2.
const OLD: &str = "932079936fa4306fc308d67588178d17d823647c";
const SEP: &str = "\n🐵🙈🙉\n";

/// A record.
fn record(header: &str, payload: &str) -> String {
    format!("{header}\n{payload}{SEP}")
}

fn post(id: &str, body: &str) -> String {
    let len = body.len();
    record(
        &format!("1 {id} 7 9"),
        &format!("POST / HTTP/1.1\r\nContent-Length: {len}\r\n\r\n{body}"),
    )
}

fn get(id: &str, target: &str) -> String {
    record(&format!("1 {id} 7 9"), &format!("GET {target} HTTP/1.1\r\nHost: v1\r\n\r\n"))
}

/// In place of HTTP, for heads as those above: Content-Length, `chunked` until a last chunk, or neither.
fn extent_of(_: Kind, bytes: &[u8]) -> Extent {
    let text = String::from_utf8_lossy(bytes);
    let Some(head) = text.find("\r\n\r\n").map(|at| at + 4) else { return Extent::Unknown };
    if text.contains("chunked") {
        return match text[head..].find("0\r\n\r\n") {
            Some(at) => Extent::Bytes((head + at + 5) as u64),
            None => Extent::Beyond,
        };
    }
    let length = text[..head].split("Content-Length: ").nth(1);
    let length = length.map_or("0", |rest| rest.split('\r').next().unwrap_or_default());
    Extent::Bytes(head as u64 + length.parse::<u64>().expect("a number"))
}

/// All that a file gives, and the reader.
fn read(file: impl AsRef<[u8]>) -> (Vec<Item>, GorReader<io::Cursor<Vec<u8>>>) {
    let file = io::Cursor::new(file.as_ref().to_vec());
    let limits = Limits { max_block_bytes: 10_000 };
    let mut reader = GorReader::new(file, limits, extent_of, Exchanges::default()).expect("memory");
    let mut items = Vec::new();
    while let Some(item) = reader.read_item().expect("memory does not fail") {
        items.push(item);
    }
    (items, reader)
}

/// What came out: payloads as text, damages as kind, offset and length.
fn shown(file: impl AsRef<[u8]>) -> Vec<String> {
    let show = |item: &Item| match item {
        Item::Message(message) => String::from_utf8_lossy(&message.raw).into_owned(),
        Item::Damage(Damage { kind, offset, len }) => format!("{kind:?} {offset}+{len}"),
    };
    read(file).0.iter().map(show).collect()
}

/// The payload of a record made above.
fn payload(record: &str) -> String {
    let (_, rest) = record.split_once('\n').expect("a header");
    rest.strip_suffix(SEP).expect("a separator").to_owned()
}

#[test]
fn requests_and_responses_come_out_as_they_were() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";
    let file = [
        record(&format!("1 {FIRST} 1388534400000000001 250"), "GET /a HTTP/1.1\r\n\r\n"),
        record(&format!("1 {OLD} 1388534400000000002"), "GET /old HTTP/1.1\r\n\r\n"),
        record(&format!("2 {FIRST} 1388534400000000005 3"), &format!("{head}hi")),
        record(&format!("2 {SECOND} 1388534400000000006 -1"), &format!("{head}lo")),
        record(&format!("3 {FIRST} 1388534400000000007 3"), &format!("{head}no")),
        record(&format!("1 {SECOND} 8 3"), ""),
        format!("1 {SECOND} 8 3{SEP}"),
        record(&format!("1 {FIRST} 9 1"), "GET /same-id HTTP/1.1\r\n\r\n"),
    ];
    let (items, reader) = read(file.concat());
    let messages: Vec<&RecordedMessage> = items
        .iter()
        .map(|item| match item {
            Item::Message(message) => message,
            Item::Damage(damage) => panic!("{damage}"),
        })
        .collect();
    let brief = |m: &&RecordedMessage| (m.kind, m.conn, m.request, m.first_byte.as_nanos());
    assert_eq!(
        messages.iter().map(brief).collect::<Vec<_>>(),
        [
            (Kind::Request, 0, None, 1_388_534_400_000_000_001),
            (Kind::Request, 1, None, 1_388_534_400_000_000_002),
            (Kind::Response, 0, Some(0), 1_388_534_400_000_000_005),
            (Kind::Response, 2, None, 1_388_534_400_000_000_006),
            (Kind::Request, 3, None, 9),
        ]
    );
    let whole: Vec<_> = [0, 1, 2, 3, 7].map(|n: usize| payload(&file[n])).into();
    assert_eq!(
        messages.iter().map(|m| m.raw.as_ref()).collect::<Vec<_>>(),
        whole.iter().map(String::as_bytes).collect::<Vec<_>>()
    );
    assert_eq!(messages[0].last_byte.as_nanos(), 1_388_534_400_000_000_251);
    assert_eq!(messages[2].offset, (file[0].len() + file[1].len()) as u64);
    assert_eq!(reader.counts(), GorCounts { replayed: 1, empty: 2 });
    assert!(!reader.lacks_separator());
}

#[test]
fn a_body_may_hold_separators_and_whole_records() {
    let inner = get(SECOND, "/inner");
    for body in [
        SEP.to_owned(),
        format!("a{SEP}b"),
        format!("{inner}{inner}"),
        format!("{SEP}{inner}"),
        format!("{SEP}{SEP}"),
    ] {
        let chunked = format!("PUT / HTTP/1.1\r\nchunked\r\n\r\n{body}0\r\n\r\n");
        let chunked = record(&format!("1 {OLD} 8"), &chunked);
        let file = [post(FIRST, &body), chunked, get(OLD, "/behind")];
        assert_eq!(shown(file.concat()), file.each_ref().map(|r| payload(r)), "{body:?}");
    }
    // Without the help of the message: a separator that no header follows is payload.
    let opaque = record(&format!("2 {FIRST} 8"), &format!("no HTTP{SEP}at all"));
    let file = [opaque, get(FIRST, "/")];
    assert_eq!(shown(file.concat()), file.each_ref().map(|r| payload(r)));
}

#[test]
fn a_body_cut_by_goreplay_costs_its_own_record_only() {
    let length = "POST / HTTP/1.1\r\nContent-Length: 500\r\n\r\ncut";
    let chunked = "POST / HTTP/1.1\r\nchunked\r\n\r\ncut";
    for cut in [length, chunked] {
        for behind in [1, 40] {
            let mut file = vec![record(&format!("1 {FIRST} 8"), cut)];
            file.extend((0..behind).map(|n| get(SECOND, &format!("/{n}"))));
            let want: Vec<String> = file.iter().map(|r| payload(r)).collect();
            assert_eq!(shown(file.concat()), want, "{behind} behind {cut:?}");
        }
    }
}

#[test]
fn a_last_record_without_separator_is_read_if_it_is_whole() {
    for last in [get(SECOND, "/last"), post(SECOND, "body"), post(SECOND, SEP)] {
        let first = get(FIRST, "/");
        let whole = last.len() - SEP.len();
        for len in 0..last.len() {
            let file = [first.as_bytes(), &last.as_bytes()[..len]].concat();
            let (items, reader) = read(&file);
            assert_eq!(reader.lacks_separator(), len >= whole, "{len} of {last:?}");
            match items.get(1) {
                None => assert_eq!(len, 0),
                Some(Item::Message(message)) => {
                    assert!(len >= whole, "{len} of {last:?}");
                    assert_eq!(message.raw, payload(&last));
                }
                Some(Item::Damage(damage)) => {
                    let want = (DamageKind::Cut, first.len() as u64, len as u64);
                    assert!((1..whole).contains(&len), "{len} of {last:?}");
                    assert_eq!((damage.kind, damage.offset, damage.len), want);
                }
            }
        }
    }
}

#[test]
fn reading_goes_on_behind_a_damage() {
    let (one, two, three) = (get(FIRST, "/1"), post(SECOND, "22"), get(OLD, "/3"));
    let broken_header = two.replacen("1 8e", "1 xx", 1);
    let place = |kind: &str, len: usize| format!("{kind} {}+{len}", one.len());
    assert_eq!(
        shown(format!("{one}{broken_header}{three}")),
        [payload(&one), place("NotARecord", two.len()), payload(&three)]
    );
    let large = post(SECOND, &"x".repeat(20_000));
    assert_eq!(
        shown(format!("{one}{large}{three}")),
        [payload(&one), place("TooLarge", large.len()), payload(&three)]
    );
    // A separator that was hit: the two records are one, which its own length gives away.
    let joined = one.replacen("🙈", "xxxx", 1);
    assert_eq!(shown(format!("{joined}{three}")).len(), 1, "the message that follows says so");
    let noise = "noise\n".repeat(1000);
    assert_eq!(shown(format!("{one}{noise}")), [payload(&one), place("Cut", noise.len())]);
}

#[test]
fn compressed_files_are_read_and_a_broken_one_as_far_as_it_goes() {
    let file = [get(FIRST, "/1"), get(SECOND, "/2")].concat();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    io::Write::write_all(&mut gzip, file.as_bytes()).expect("memory");
    let whole = gzip.finish().expect("memory");
    assert_eq!(shown(&whole).len(), 2);
    let broken = shown(&whole[..whole.len() - 6]);
    assert!(broken.last().is_some_and(|last| last.starts_with("Compression")), "{broken:?}");
}

#[test]
fn random_files_keep_the_invariants() {
    let parts = [
        format!("1 {FIRST} 7 9\n"),
        format!("2 {OLD} 7\n"),
        format!("3 {SECOND} 7 9\n"),
        SEP.to_owned(),
        "\n".into(),
        "🐵🙈🙉\n".into(),
        "5".into(),
        "0".into(),
        "+".into(),
        "!".into(),
        "payload".into(),
        "0123456789".repeat(5),
        "x".repeat(250),
    ];
    for seed in seeds(500) {
        let mut random = Random::new(seed);
        let mut data = Vec::new();
        for _ in 0..random.below(30) {
            data.extend_from_slice(random.pick(&parts).as_bytes());
            if random.one_in(15) {
                let at = random.below(data.len());
                data[at] = random.u64() as u8;
            }
        }
        fuzz_gor(&data);
    }
}
