//! What goes wrong: wrong names, wrong filters, interfaces that go down or away, a ring too small.

use std::time::{Duration, Instant};

use shadowtap::capture::fault::{CaptureError, OpenError};
use shadowtap::capture::live::{LiveCapture, LiveConfig};

use super::lab::{DEADLINE, Lab, POD, collect, config, exchange, ip, open, within};

/// Polls until there is a fault.
#[track_caller]
fn fault(capture: &mut LiveCapture) -> CaptureError {
    let start = Instant::now();
    loop {
        assert!(start.elapsed() < DEADLINE, "no fault");
        if let Err(fault) = capture.poll(Duration::from_millis(50), &mut |_| {}) {
            return fault;
        }
    }
}

#[test]
fn a_wrong_name_is_answered_with_those_that_exist() {
    let Some(lab) = Lab::new() else { return };
    let error = within(&lab.pod, || LiveCapture::open(&config(&["eth0", "nosuch0"], &[80])));
    let text = error.err().expect("must fail").to_string();
    assert!(text.starts_with("there is no interface \"nosuch0\"; these exist: any"), "{text}");
    assert!(text.contains("eth0 10.77.0.1") && text.contains("lo 127.0.0.1"), "{text}");
}

#[test]
fn a_wrong_filter_is_answered_in_libpcaps_words() {
    let Some(lab) = Lab::new() else { return };
    let config =
        LiveConfig { extra_filter: Some("hst 10.0.0.1".into()), ..config(&["eth0"], &[80]) };
    let error = within(&lab.pod, || LiveCapture::open(&config)).err().expect("must fail");
    assert!(matches!(error, OpenError::Filter { .. }));
    assert!(error.to_string().contains("syntax error"), "{error}");
}

#[test]
fn an_interface_that_is_down_is_named_when_opened() {
    let Some(lab) = Lab::new() else { return };
    ip(&format!("-n {} link set eth0 down", lab.pod));
    let error = within(&lab.pod, || LiveCapture::open(&config(&["eth0"], &[80])));
    assert!(matches!(error, Err(OpenError::Down(name)) if name == "eth0"));
}

#[test]
fn an_interface_that_goes_down_is_named_once_and_comes_back() {
    let Some(lab) = Lab::new() else { return };
    let mut capture = open(&lab, &config(&["eth0", "lo"], &[80]));
    ip(&format!("-n {} link set eth0 down", lab.pod));
    within(&lab.pod, || assert_eq!(fault(&mut capture), CaptureError::Down("eth0".into())));
    within(&lab.pod, || {
        let start = Instant::now();
        for _ in 0..5 {
            let again = capture.poll(Duration::from_millis(20), &mut |_| {});
            assert_eq!(again, Ok(0));
        }
        assert!(start.elapsed() > Duration::from_millis(90), "the poll spins");
    });
    exchange(&lab, &lab.pod, [127, 0, 0, 1], 80, "GET /meanwhile");
    assert!(!collect(&mut capture, "GET /meanwhile").is_empty());
    ip(&format!("-n {} link set eth0 up", lab.pod));
    exchange(&lab, &lab.peer, POD, 80, "GET /again");
    assert!(!collect(&mut capture, "GET /again").is_empty());
}

#[test]
fn an_interface_that_disappears_is_named_and_the_others_go_on_until_none_is_left() {
    let Some(lab) = Lab::new() else { return };
    let mut capture = open(&lab, &config(&["eth0", "lo"], &[80]));
    ip(&format!("-n {} link del eth0", lab.pod));
    within(&lab.pod, || {
        let mut last = fault(&mut capture);
        if last == CaptureError::Down("eth0".into()) {
            last = fault(&mut capture);
        }
        assert_eq!(last, CaptureError::Gone("eth0".into()));
    });
    exchange(&lab, &lab.pod, [127, 0, 0, 1], 80, "GET /lo");
    assert!(!collect(&mut capture, "GET /lo").is_empty());
    assert_eq!(capture.interfaces().map(|(name, _)| name).collect::<Vec<_>>(), ["lo"]);

    let mut only = {
        ip(&format!("-n {} link add br0 type bridge", lab.pod));
        ip(&format!("-n {} link set br0 up", lab.pod));
        open(&lab, &config(&["br0"], &[80]))
    };
    ip(&format!("-n {} link del br0", lab.pod));
    within(&lab.pod, || {
        while fault(&mut only) != CaptureError::Gone("br0".into()) {}
        assert_eq!(fault(&mut only), CaptureError::NoneLeft);
    });
}

#[test]
fn what_the_ring_has_no_room_for_is_counted() {
    let Some(lab) = Lab::new() else { return };
    let config = LiveConfig { ring_bytes: 0, responses: true, ..config(&["lo"], &[80]) };
    let mut capture = open(&lab, &config);
    assert_eq!(capture.drops().kernel, 0);
    // Nobody reads, so 2 MiB are full after some hundred exchanges of 4 KiB in several blocks.
    let start = Instant::now();
    while capture.drops().kernel < 10 {
        assert!(start.elapsed() < DEADLINE, "nothing was dropped");
        exchange(&lab, &lab.pod, [127, 0, 0, 1], 80, "GET /too-much");
    }
    let before = capture.drops();
    assert_eq!(capture.drops(), before, "counted twice");
    assert_eq!(before.interface, 0);
}
