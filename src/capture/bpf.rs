//! The kernel filter: a small assembler for classic BPF, and the program made from the ports.
//!
//! In: the watched ports, whether responses are wanted whole, and how frames of the interface
//! begin. Out: instructions for `SO_ATTACH_FILTER`, whose return value is the number of bytes of
//! the frame to keep.
//!
//! Guarantees: whatever could belong to a watched connection passes. Segments toward a watched port
//! come whole; those from one with [`HEADERS_LEN`] bytes, or whole when responses are wanted; IP
//! fragments and IPv6 packets with extension headers whole, since their ports may be anywhere. Tagged
//! frames pass whether the kernel has the outer tag in its metadata or in the packet. Loads use
//! offsets into the packet, never `SKF_NET_OFF`: those read only the linear part of a socket buffer.
//!
//! No tunnel passes (VXLAN, Geneve, GRE with what is in it, GTP-U, L2TP): what is in one is seen on
//! the interface behind it, or in a file. Where a link type has no program (802.11), everything passes.
//!
//! Left to others: attaching (`live`), and the exact decision (`decode`, `model::Watch`).

use crate::model::LinkType;

/// Keeps a frame whole: libpcap's largest snap length, larger than any GRO super-frame but BIG TCP's.
pub const WHOLE_LEN: u32 = 262_144;

/// Keeps the headers: Ethernet 14, three VLAN tags 12, IPv6 40, TCP with all its options 60 make 126.
pub const HEADERS_LEN: u32 = 128;

/// With more ports than this all TCP passes, whole: the kernel limits a program's memory
/// (`net.core.optmem_max`, 20 KiB before Linux 6.8).
pub const MAX_PORTS: usize = 128;

/// VLAN tags looked through within the packet; one more may be in the kernel's metadata.
const MAX_TAGS: usize = 3;

/// One instruction, as `struct sock_filter` of the kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Insn {
    /// Operation.
    pub code: u16,
    /// Instructions to skip when the condition holds.
    pub jt: u8,
    /// Instructions to skip when it does not.
    pub jf: u8,
    /// Operand.
    pub k: u32,
}

/// How the frames of an interface begin, as the socket's filter sees them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Layer {
    /// An Ethernet header; also loopback on Linux.
    Ethernet,
    /// libpcap's cooked mode (`any`): the filter runs before the cooked header is made, on a packet
    /// that begins at its network header.
    Cooked,
    /// An IP header: tun devices.
    RawIp,
}

impl Layer {
    /// The layer of a link type, where a program can be made for it.
    pub fn of(link: LinkType) -> Option<Self> {
        match link.0 {
            1 => Some(Self::Ethernet),
            113 | 276 => Some(Self::Cooked),
            12 | 101 | 228 | 229 => Some(Self::RawIp),
            _ => None,
        }
    }
}

/// What the program lets through.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Server ports; empty means all TCP.
    pub ports: Vec<u16>,
    /// Whether segments from these ports are kept whole too.
    pub both_directions_whole: bool,
    /// Interface index of loopback, whose frames would be seen twice: once as they leave and once
    /// as they arrive. The departing sight is refused; libpcap would discard it later, in the ring.
    pub loopback: Option<u32>,
}

// The operations used, from <linux/bpf_common.h> and <linux/filter.h>.
const LD_W_ABS: u16 = 0x20;
const LD_H_ABS: u16 = 0x28;
const LD_B_ABS: u16 = 0x30;
const LD_H_IND: u16 = 0x48;
const LD_B_IND: u16 = 0x50;
const LD_MEM: u16 = 0x60;
const LDX_IMM: u16 = 0x01;
const ST: u16 = 0x02;
const ADD_K: u16 = 0x04;
const ADD_X: u16 = 0x0c;
const AND_K: u16 = 0x54;
const LSH_K: u16 = 0x64;
const JA: u16 = 0x05;
const JEQ_K: u16 = 0x15;
const RET_K: u16 = 0x06;
const TAX: u16 = 0x07;
const TXA: u16 = 0x87;

/// `SKF_AD_OFF`: loads from here on read the kernel's metadata instead of the packet.
const METADATA: u32 = (-0x1000_i32).cast_unsigned();
const AD_PROTOCOL: u32 = METADATA;
const AD_PKTTYPE: u32 = METADATA + 4;
const AD_IFINDEX: u32 = METADATA + 8;
const PACKET_OUTGOING: u32 = 4;

const IPV4: u32 = 0x0800;
const IPV6: u32 = 0x86dd;
/// 802.1Q, 802.1ad, and the older number for the outer tag of QinQ.
const TAGS: [u32; 3] = [0x8100, 0x88a8, 0x9100];
const TCP: u32 = 6;
/// IPv6 next headers behind which a TCP header may stand: hop-by-hop, routing, fragment,
/// authentication, destination options, mobility, HIP, shim6 (RFC 7045 section 4).
const EXTENSIONS: [u32; 8] = [0, 43, 44, 51, 60, 135, 139, 140];

/// The program that refuses everything: attached first, until the ring is empty.
pub fn reject_all() -> Vec<Insn> {
    vec![Insn { code: RET_K, jt: 0, jf: 0, k: 0 }]
}

/// The program for what is wanted, on an interface whose frames begin as `layer`.
pub fn program(wanted: &Wanted, layer: Layer) -> Vec<Insn> {
    let mut ports = wanted.ports.clone();
    ports.sort_unstable();
    ports.dedup();
    if ports.len() > MAX_PORTS {
        ports.clear();
    }
    let mut asm = Assembler::default();
    if let Some(index) = wanted.loopback {
        refuse_departing(&mut asm, index);
    }
    match layer {
        Layer::Ethernet => {
            asm.op(LDX_IMM, 14);
            asm.op(LD_H_ABS, 12);
            walk_tags(&mut asm, Label::Reject);
        }
        Layer::Cooked => {
            asm.op(LDX_IMM, 0);
            asm.op(LD_W_ABS, AD_PROTOCOL);
            walk_tags(&mut asm, Label::Untagged);
        }
        Layer::RawIp => {
            asm.op(LDX_IMM, 0);
            asm.op(LD_B_ABS, 0);
            asm.op(AND_K, 0xf0);
            asm.go_if(0x40, Label::V4);
            asm.go_if(0x60, Label::V6);
            asm.go(Label::Reject);
        }
    }
    match_ip(&mut asm, layer, ports.is_empty());
    match_ports(&mut asm, &ports, wanted.both_directions_whole);
    if layer == Layer::Cooked {
        match_untagged(&mut asm);
    }
    asm.at(Label::Reject);
    asm.op(RET_K, 0);
    asm.at(Label::Whole);
    asm.op(RET_K, WHOLE_LEN);
    asm.finish()
}

/// Refuses what leaves through loopback; it arrives there too.
fn refuse_departing(asm: &mut Assembler, loopback: u32) {
    asm.op(LD_W_ABS, AD_PKTTYPE);
    asm.go_unless(PACKET_OUTGOING, Label::Start);
    asm.op(LD_W_ABS, AD_IFINDEX);
    asm.go_if(loopback, Label::Reject);
    asm.at(Label::Start);
}

/// With the EtherType in A and X where its payload begins: steps over tags until IP is found.
fn walk_tags(asm: &mut Assembler, otherwise: Label) {
    for step in 0..=MAX_TAGS {
        asm.go_if(IPV4, Label::V4);
        asm.go_if(IPV6, Label::V6);
        if step == MAX_TAGS {
            break;
        }
        for tag in TAGS {
            asm.go_if(tag, Label::Tag(step));
        }
        asm.go(if step == 0 { Label::Reject } else { otherwise });
        asm.at(Label::Tag(step));
        asm.op(LD_H_IND, 2);
        asm.op(ST, 0);
        asm.op(TXA, 0);
        asm.op(ADD_K, 4);
        asm.op(TAX, 0);
        asm.op(LD_MEM, 0);
    }
    asm.go(otherwise);
}

/// With X at the IP header: leaves X at the TCP header, or decides.
fn match_ip(asm: &mut Assembler, layer: Layer, all_ports: bool) {
    let no_ip = if layer == Layer::Cooked { Label::Untagged } else { Label::Reject };
    let found = if all_ports { Label::Whole } else { Label::Ports };
    asm.at(Label::V4);
    asm.op(LD_B_IND, 0);
    asm.op(AND_K, 0xf0);
    asm.go_unless(0x40, no_ip);
    asm.op(LD_B_IND, 9);
    asm.go_unless(TCP, Label::Reject);
    // A fragment: the offset is not 0 or more follow. The first has the ports, but it must come
    // whole as well, or the datagram could never be put together.
    asm.op(LD_H_IND, 6);
    asm.op(AND_K, 0x3fff);
    asm.go_unless(0, Label::Whole);
    asm.op(LD_B_IND, 0);
    asm.op(AND_K, 0x0f);
    asm.op(LSH_K, 2);
    asm.op(ADD_X, 0);
    asm.op(TAX, 0);
    asm.go(found);

    asm.at(Label::V6);
    asm.op(LD_B_IND, 0);
    asm.op(AND_K, 0xf0);
    asm.go_unless(0x60, no_ip);
    asm.op(LD_B_IND, 6);
    for extension in EXTENSIONS {
        asm.go_if(extension, Label::Whole);
    }
    asm.go_unless(TCP, Label::Reject);
    asm.op(TXA, 0);
    asm.op(ADD_K, 40);
    asm.op(TAX, 0);
    asm.go(found);
}

/// With X at the TCP header: the destination port first, then the source port.
fn match_ports(asm: &mut Assembler, ports: &[u16], both_whole: bool) {
    asm.at(Label::Ports);
    let from = if both_whole { WHOLE_LEN } else { HEADERS_LEN };
    for (offset, len) in [(2, WHOLE_LEN), (0, from)] {
        asm.op(LD_H_IND, offset);
        for &port in ports {
            asm.ret_if(u32::from(port), len);
        }
    }
    asm.go(Label::Reject);
}

/// Cooked, the protocol says VLAN, but no tag was found where the packet begins: on its way out, a
/// tag in the packet lies before the network header, and the packet begins with IP after all. TCP
/// passes whole. (Such a packet is mistaken for a tagged one only if its total length equals one of
/// the EtherTypes and its identification begins like an IP version.)
fn match_untagged(asm: &mut Assembler) {
    asm.at(Label::Untagged);
    asm.op(LD_B_ABS, 0);
    asm.op(AND_K, 0xf0);
    asm.go_if(0x40, Label::UntaggedV4);
    asm.go_unless(0x60, Label::Reject);
    asm.op(LD_B_ABS, 6);
    for header in EXTENSIONS {
        asm.go_if(header, Label::Whole);
    }
    asm.go_if(TCP, Label::Whole);
    asm.go(Label::Reject);
    asm.at(Label::UntaggedV4);
    asm.op(LD_B_ABS, 9);
    asm.go_if(TCP, Label::Whole);
}

/// A place in the program that is jumped to. Classic BPF jumps forward only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Label {
    Start,
    Tag(usize),
    V4,
    V6,
    Ports,
    Untagged,
    UntaggedV4,
    Reject,
    Whole,
}

/// Collects instructions; far jumps are `ja`, whose distance has 32 bits, where a condition's has 8.
#[derive(Default)]
struct Assembler {
    insns: Vec<Insn>,
    /// Instructions (`ja`) whose distance is still to be filled in.
    jumps: Vec<(usize, Label)>,
    labels: Vec<(Label, usize)>,
}

impl Assembler {
    fn op(&mut self, code: u16, k: u32) {
        self.insns.push(Insn { code, jt: 0, jf: 0, k });
    }

    fn at(&mut self, label: Label) {
        self.labels.push((label, self.insns.len()));
    }

    fn go(&mut self, label: Label) {
        self.jumps.push((self.insns.len(), label));
        self.op(JA, 0);
    }

    /// Goes to the label if A equals `k`.
    fn go_if(&mut self, k: u32, label: Label) {
        self.insns.push(Insn { code: JEQ_K, jt: 0, jf: 1, k });
        self.go(label);
    }

    /// Goes to the label unless A equals `k`.
    fn go_unless(&mut self, k: u32, label: Label) {
        self.insns.push(Insn { code: JEQ_K, jt: 1, jf: 0, k });
        self.go(label);
    }

    /// Returns `len` if A equals `k`.
    fn ret_if(&mut self, k: u32, len: u32) {
        self.insns.push(Insn { code: JEQ_K, jt: 0, jf: 1, k });
        self.op(RET_K, len);
    }

    /// Fills in the distances.
    fn finish(mut self) -> Vec<Insn> {
        for (from, label) in self.jumps {
            let to = self.labels.iter().find(|(l, _)| *l == label).map_or(from + 1, |(_, at)| *at);
            debug_assert!(to > from, "{label:?} is behind its jump or nowhere");
            if let Some(insn) = self.insns.get_mut(from) {
                insn.k = u32::try_from(to.saturating_sub(from + 1)).unwrap_or(0);
            }
        }
        self.insns
    }
}

#[cfg(test)]
mod tests;
