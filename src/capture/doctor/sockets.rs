//! Who listens: `/proc/net/tcp` and `tcp6`, read for the calling thread's network namespace.
//!
//! In: a port. Out: the addresses of its listeners, wildcards as `0.0.0.0` and `::`.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The state `LISTEN`, from the kernel's `tcp_states.h`.
const LISTEN: &str = "0A";

/// The addresses on which someone listens at this port, in the order of the kernel's tables.
pub fn listeners(port: u16) -> io::Result<Vec<IpAddr>> {
    let mut found = parse(&std::fs::read_to_string("/proc/thread-self/net/tcp")?, port);
    // Absent where IPv6 is switched off.
    if let Ok(v6) = std::fs::read_to_string("/proc/thread-self/net/tcp6") {
        found.extend(parse(&v6, port));
    }
    found.dedup();
    Ok(found)
}

/// The listeners in one such table.
pub fn parse(table: &str, port: u16) -> Vec<IpAddr> {
    table.lines().filter_map(|line| listener(line, port)).collect()
}

/// `   0: 0100007F:1F90 00000000:0000 0A ...`: the third column is the state.
fn listener(line: &str, wanted: u16) -> Option<IpAddr> {
    let mut columns = line.split_whitespace().skip(1);
    let (address, port) = columns.next()?.split_once(':')?;
    let state = columns.nth(1)?;
    let port = u16::from_str_radix(port, 16).ok()?;
    (state == LISTEN && port == wanted).then(|| ip(address))?
}

/// Each 32-bit word is printed in host order of what is in memory in network order.
fn ip(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| -> Option<[u8; 4]> {
        let value = u32::from_str_radix(hex.get(at * 8..at * 8 + 8)?, 16).ok()?;
        Some(value.to_ne_bytes())
    };
    match hex.len() {
        8 => Some(IpAddr::V4(Ipv4Addr::from(word(0)?))),
        32 => {
            let bytes: Vec<u8> = [word(0)?, word(1)?, word(2)?, word(3)?].concat();
            let bytes: [u8; 16] = bytes.try_into().ok()?;
            Some(IpAddr::V6(Ipv6Addr::from(bytes)))
        }
        _ => None,
    }
}

#[cfg(test)]
#[cfg(target_endian = "little")]
mod tests {
    use super::*;

    #[test]
    fn listeners_are_told_from_connections_and_other_ports() {
        let table = "\
  sl  local_address rem_address   st tx_queue rx_queue
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000
   1: 0100007F:1F90 0100007F:C001 01 00000000:00000000 00:00000000
   2: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000
   3: 00000000:1F91 00000000:0000 0A 00000000:00000000 00:00000000
   nonsense
   4: 0100007F 00000000:0000 0A";
        let found = parse(table, 8080);
        assert_eq!(found, [IpAddr::from([127, 0, 0, 1]), IpAddr::from([0, 0, 0, 0])]);
    }

    #[test]
    fn ipv6_addresses_are_four_words() {
        let table = "   0: B80D0120000000000000000001000000:0050 0:0 0A";
        assert_eq!(parse(table, 80), ["2001:db8::1".parse::<IpAddr>().expect("ip")]);
        assert_eq!(parse("   0: B80D01200000:0050 0:0 0A", 80), [] as [IpAddr; 0]);
    }
}
