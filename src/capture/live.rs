//! Live capture from one or more interfaces through libpcap.
//!
//! In: names of interfaces (or `any`), ports, sizes. Out: frames with nanosecond packet time and link
//! type, and what the kernel and the interfaces dropped.
//!
//! Guarantees: [`LiveCapture::poll`] returns within its timeout although no frame ever arrives, at
//! once when the wake-up descriptor is readable, and after one bounded batch per interface at most.
//! Nothing is written to an interface. Once open, no right is needed any more. An interface that
//! fails is named in an error; the others go on. TPACKET_V3 with a read timeout of 1 ms, never
//! libpcap's immediate mode, which would mean TPACKET_V2 with one snap length per frame.
//!
//! Left to others: rights (`rights`), the filter program (`bpf`), everything inside a frame.

use std::collections::VecDeque;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use pcap::{Active, Capture, Linktype, Precision};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{SockFilter, SockRef};

use super::bpf::{self, Insn, Layer, WHOLE_LEN, Wanted};
use super::drops::{Counter, Drops};
use super::fault::{CaptureError, OpenError};
use super::interfaces;
use super::rights::Rights;
use crate::model::{Frame, LinkType, Timestamp};

/// Frames handled per interface and call of [`LiveCapture::poll`].
const BATCH: usize = 512;

/// After this long without a frame the ring is taken to be empty: the kernel hands over a block that
/// is not full within the read timeout, rounded up to its timer tick (10 ms at most).
const QUIET: Duration = Duration::from_millis(12);

/// A ring smaller than this holds too few of libpcap's 256 KiB blocks to be read while it is filled.
const MIN_RING_BYTES: usize = 2 << 20;

const SLL: Linktype = Linktype(113);
const SLL2: Linktype = Linktype(276);

/// What to capture.
#[derive(Clone, Debug)]
pub struct LiveConfig {
    /// Interfaces by name; `any` is all of them. A frame that passes several (a VLAN and its parent)
    /// is seen on each.
    pub interfaces: Vec<String>,
    /// Size of the kernel's ring in bytes, for each interface. Slow traffic takes a block of 256 KiB
    /// per timer tick, so the ring is also a time: 64 MiB outlast a stall of at least 256 ms. A smaller
    /// block cannot be had: libpcap makes each as large as its largest snap length, whatever was asked for.
    pub ring_bytes: usize,
    /// Server ports; empty means all TCP.
    pub ports: Vec<u16>,
    /// Whether segments from the ports are captured whole, not only their headers.
    pub responses: bool,
    /// A further condition in libpcap's language, applied to what the ports let through.
    pub extra_filter: Option<String>,
}

/// An open capture. Belongs to one thread; may be moved to it.
pub struct LiveCapture {
    taps: Vec<Tap>,
    wake: Option<OwnedFd>,
    faults: VecDeque<CaptureError>,
    drops: Drops,
    excluded: u64,
}

/// One open interface.
struct Tap {
    name: String,
    capture: Capture<Active>,
    link: LinkType,
    extra_filter: Option<pcap::BpfProgram>,
    counter: Counter,
    /// The last batch was full: there may be more although the descriptor does not say so.
    more: bool,
    /// Known to be down, and said so.
    down: bool,
}

impl LiveCapture {
    /// Opens every interface of the configuration, or none.
    pub fn open(config: &LiveConfig) -> Result<Self, OpenError> {
        if config.interfaces.is_empty() {
            return Err(OpenError::NoneNamed);
        }
        let mut names = config.interfaces.clone();
        names.sort();
        names.dedup();
        let taps = names.iter().map(|name| Tap::open(name, config)).collect::<Result<_, _>>()?;
        Ok(Self { taps, wake: None, faults: VecDeque::new(), drops: Drops::default(), excluded: 0 })
    }

    /// From now on [`Self::poll`] returns at once while this descriptor is readable. It is never
    /// read here, so one byte written to a pipe wakes every poll from then on.
    pub fn wake_on(&mut self, descriptor: OwnedFd) {
        self.wake = Some(descriptor);
    }

    /// From now on the wake-up descriptor is not looked at any more.
    pub fn sleep_on(&mut self) {
        self.wake = None;
    }

    /// Waits for frames and hands over those that are there; how many.
    ///
    /// 0 means that the timeout passed, the wake-up descriptor is readable, or a signal came. An
    /// error names the interface it is about; call again, the others go on. Only
    /// [`CaptureError::NoneLeft`] is final.
    pub fn poll(
        &mut self,
        timeout: Duration,
        each: &mut dyn FnMut(&Frame<'_>),
    ) -> Result<usize, CaptureError> {
        if let Some(fault) = self.faults.pop_front() {
            return Err(fault);
        }
        if self.taps.is_empty() {
            return Err(CaptureError::NoneLeft);
        }
        let ready = self.wait(timeout)?;
        let mut handled = 0;
        let mut kept = Vec::with_capacity(self.taps.len());
        for (mut tap, events) in self.taps.drain(..).zip(ready) {
            if events.is_empty() && !tap.more {
                kept.push(tap);
                continue;
            }
            match tap.read(events, &mut self.excluded, each) {
                Ok((frames, fault)) => {
                    handled += frames;
                    self.faults.extend(fault);
                    kept.push(tap);
                }
                Err(fault) => {
                    tap.counter.update(&mut tap.capture, &mut self.drops);
                    self.faults.push_back(fault);
                }
            }
        }
        self.taps = kept;
        match self.faults.pop_front() {
            Some(fault) if handled == 0 => Err(fault),
            later => {
                self.faults.extend(later);
                Ok(handled)
            }
        }
    }

    /// What the kernel and the interfaces dropped since the capture was opened. Costs some system
    /// calls (20 to 90 us), so ask a few times a second, not for every batch.
    pub fn drops(&mut self) -> Drops {
        for tap in &mut self.taps {
            tap.counter.update(&mut tap.capture, &mut self.drops);
        }
        self.drops
    }

    /// Frames that the ports let through and the extra filter did not.
    pub fn excluded(&self) -> u64 {
        self.excluded
    }

    /// The interfaces still watched, each with its link type.
    pub fn interfaces(&self) -> impl Iterator<Item = (&str, LinkType)> {
        self.taps.iter().map(|tap| (tap.name.as_str(), tap.link))
    }

    /// What each interface has to say, in the order of `taps`.
    fn wait(&self, timeout: Duration) -> Result<Vec<PollFlags>, CaptureError> {
        let more = self.taps.iter().any(|tap| tap.more);
        let timeout = if more { Duration::ZERO } else { timeout };
        let mut fds: Vec<PollFd<'_>> =
            self.taps.iter().map(|tap| PollFd::new(&tap.capture, PollFlags::IN)).collect();
        fds.extend(self.wake.iter().map(|fd| PollFd::new(fd, PollFlags::IN)));
        poll_once(&mut fds, timeout).map_err(|e| CaptureError::Wait(e.kind()))?;
        Ok(fds.iter().take(self.taps.len()).map(PollFd::revents).collect())
    }
}

/// poll(2); a signal counts as the end of the wait.
fn poll_once(fds: &mut [PollFd<'_>], timeout: Duration) -> Result<usize, std::io::Error> {
    let longest = Timespec { tv_sec: 3600, tv_nsec: 0 };
    match poll(fds, Some(&Timespec::try_from(timeout).unwrap_or(longest))) {
        Err(rustix::io::Errno::INTR) => Ok(0),
        done => Ok(done?),
    }
}

impl Tap {
    fn open(name: &str, config: &LiveConfig) -> Result<Self, OpenError> {
        if !interfaces::exists(name) {
            let existing = interfaces::list();
            return Err(OpenError::NoSuchInterface { name: name.into(), existing });
        }
        let other = |e: pcap::Error| OpenError::Other { interface: name.into(), detail: words(e) };
        let ring = config.ring_bytes.max(MIN_RING_BYTES);
        let mut capture = Capture::from_device(name)
            .map_err(other)?
            .snaplen(WHOLE_LEN.cast_signed())
            .promisc(false)
            .immediate_mode(false)
            .timeout(1)
            .precision(Precision::Nano)
            .buffer_size(i32::try_from(ring).unwrap_or(i32::MAX))
            .open()
            .map_err(|e| explain(name, e))?;
        // What arrives between opening and attaching would come unfiltered.
        attach(name, &capture, &bpf::reject_all())?;
        if capture.get_datalink() == SLL {
            // Version 2 has the interface's index. Older versions of libpcap have only version 1.
            let _ = capture.set_datalink(SLL2);
        }
        let extra_filter = compile(name, &capture, config.extra_filter.as_deref())?;
        let mut capture = capture.setnonblock().map_err(other)?;
        drain(&mut capture).map_err(other)?;
        let link = link_type(capture.get_datalink());
        if let Some(layer) = Layer::of(link) {
            let loopback = interfaces::index_of("lo");
            if loopback.is_some() && loopback == interfaces::index_of(name) {
                ignore_departing(&capture);
            }
            let wanted = Wanted {
                ports: config.ports.clone(),
                both_directions_whole: config.responses,
                loopback,
            };
            attach(name, &capture, &bpf::program(&wanted, layer))?;
        } else {
            // No program for this link type: everything passes, and `decode` sorts it out.
            detach(name, &capture)?;
        }
        let counter = Counter::start(name, &mut capture);
        Ok(Self {
            name: name.into(),
            capture,
            link,
            extra_filter,
            counter,
            more: false,
            down: false,
        })
    }

    /// Hands over one batch. A fault beside the count leaves the interface open; an error ends it.
    fn read(
        &mut self,
        events: PollFlags,
        excluded: &mut u64,
        each: &mut dyn FnMut(&Frame<'_>),
    ) -> Result<(usize, Option<CaptureError>), CaptureError> {
        let (link, filter) = (self.link, &self.extra_filter);
        let mut handed = 0;
        let read = self.capture.dispatch(Some(BATCH), |packet| {
            if filter.as_ref().is_some_and(|f| !f.filter(packet.data)) {
                *excluded += 1;
                return;
            }
            handed += 1;
            each(&frame(link, &packet));
        });
        let count = read.map_err(|e| self.fault(e))?;
        self.more = count == BATCH;
        if count > 0 {
            self.down = false;
        }
        let failed = events.intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL);
        if failed && !interfaces::exists(&self.name) {
            return Err(CaptureError::Gone(self.name.clone()));
        }
        let newly_down = failed && !self.down;
        self.down |= failed;
        Ok((handed, newly_down.then(|| CaptureError::Down(self.name.clone()))))
    }

    /// The fault behind an error of libpcap.
    fn fault(&self, error: pcap::Error) -> CaptureError {
        if interfaces::exists(&self.name) {
            CaptureError::Read { interface: self.name.clone(), detail: words(error) }
        } else {
            CaptureError::Gone(self.name.clone())
        }
    }
}

/// The frame in libpcap's buffer, with nanosecond precision: `tv_usec` holds nanoseconds.
fn frame<'a>(link: LinkType, packet: &pcap::Packet<'a>) -> Frame<'a> {
    let ts = packet.header.ts;
    let secs = u64::try_from(ts.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(ts.tv_usec).unwrap_or(0);
    Frame {
        time: Timestamp::from_parts(secs, nanos),
        link,
        bytes: packet.data,
        wire_len: packet.header.len,
    }
}

/// libpcap's DLT_RAW is 12 on Linux; in files, and so in `model`, it is LINKTYPE_RAW, 101.
fn link_type(datalink: Linktype) -> LinkType {
    match datalink.0 {
        12 => LinkType(101),
        other => LinkType(other.cast_unsigned()),
    }
}

/// Attaches a program to the capture's socket. Not through `pcap_setfilter`, which replaces every
/// length returned by the snap length.
fn attach(name: &str, capture: &Capture<Active>, program: &[Insn]) -> Result<(), OpenError> {
    let filters: Vec<SockFilter> =
        program.iter().map(|i| SockFilter::new(i.code, i.jt, i.jf, i.k)).collect();
    SockRef::from(&capture.as_fd())
        .attach_filter(&filters)
        .map_err(|detail| OpenError::Attach { interface: name.into(), detail })
}

/// Spares the kernel a copy of each departing frame, which on loopback the program refuses anyhow: each frame
/// arrives there too. Kernels before 4.20 cannot; then the program alone does it.
fn ignore_departing(capture: &Capture<Active>) {
    let (fd, on): (_, libc::c_int) = (capture.as_fd(), 1);
    let (level, option) = (libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING);
    let len = size_of_val(&on) as libc::socklen_t;
    // SAFETY: the kernel reads `len` bytes of `on`, which lives until the call returns.
    #[allow(unsafe_code)]
    let result = unsafe {
        libc::setsockopt(fd.as_raw_fd(), level, option, std::ptr::from_ref(&on).cast(), len)
    };
    if result != 0 {
        tracing::debug!(error = %std::io::Error::last_os_error(), "departing frames are refused by the program");
    }
}

fn detach(name: &str, capture: &Capture<Active>) -> Result<(), OpenError> {
    SockRef::from(&capture.as_fd())
        .detach_filter()
        .map_err(|detail| OpenError::Attach { interface: name.into(), detail })
}

/// Throws away what is in the ring. Ends because the kernel refuses everything new.
fn drain(capture: &mut Capture<Active>) -> Result<(), pcap::Error> {
    loop {
        let mut fds = [PollFd::new(&*capture, PollFlags::IN)];
        match poll_once(&mut fds, QUIET) {
            Ok(0) | Err(_) => return Ok(()),
            Ok(_) => capture.dispatch(None, |_| {})?,
        };
    }
}

/// Compiles the user's filter for this interface's link type. It runs here and not in the kernel:
/// there it would have to be joined with ours, whose result is a length.
fn compile(
    name: &str,
    capture: &Capture<Active>,
    expression: Option<&str>,
) -> Result<Option<pcap::BpfProgram>, OpenError> {
    let Some(expression) = expression else { return Ok(None) };
    // On a live handle libpcap would make a program for the kernel, which reads tags and cooked
    // headers from metadata. A dead handle gives one for the frame as it is delivered.
    let compiled = Capture::dead(capture.get_datalink()).and_then(|c| c.compile(expression, true));
    compiled.map(Some).map_err(|e| OpenError::Filter {
        expression: expression.into(),
        interface: name.into(),
        detail: words(e),
    })
}

/// Why opening failed, told apart by what can be found out: libpcap gives words, not numbers.
fn explain(name: &str, error: pcap::Error) -> OpenError {
    let detail = words(error);
    let lower = detail.to_lowercase();
    let refused = ["permi", "cap_net_raw"].iter().any(|word| lower.contains(word));
    if refused || !Rights::now().effective {
        return OpenError::NoPermission { interface: name.into(), detail };
    }
    let is_down = interfaces::list().iter().any(|i| i.name == name && !i.up);
    if is_down {
        return OpenError::Down(name.into());
    }
    OpenError::Other { interface: name.into(), detail }
}

/// libpcap's own words, without the crate's prefix.
fn words(error: pcap::Error) -> String {
    match error {
        pcap::Error::PcapError(text) => text,
        other => other.to_string(),
    }
}
