//! Rights: as nobody, with CAP_NET_RAW and nothing else capture works; with nothing it says what to
//! do. The test binary runs itself again under other rights, and reads what that prints.
#![allow(clippy::print_stdout)]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use shadowtap::capture::live::LiveCapture;
use shadowtap::capture::rights;

use super::lab::{Lab, collect, config, within};

/// Set in the process that is run with other rights.
const CHILD: &str = "SHADOWTAP_TEST_RIGHTS_CHILD";

/// What the process does under its rights: raise, open, drop, capture.
fn child() {
    let had = rights::raise();
    println!("permitted={} effective={}", had.permitted, had.effective);
    let mut capture = match LiveCapture::open(&config(&["any"], &[80])) {
        Ok(capture) => capture,
        Err(error) => return println!("error: {error}"),
    };
    rights::drop_all(false).expect("drop");
    let left = rights::raise();
    println!("left: permitted={} effective={}", left.permitted, left.effective);
    let refused = LiveCapture::open(&config(&["any"], &[80])).is_err();
    println!("a second capture is refused: {refused}");
    let _ = std::net::TcpStream::connect("127.0.0.1:80");
    let frames = collect_some(&mut capture);
    println!("frames: {frames}");
}

/// Frames of the refused connection: a SYN and its RST.
fn collect_some(capture: &mut LiveCapture) -> usize {
    let start = std::time::Instant::now();
    let mut seen = Vec::new();
    while seen.len() < 2 && start.elapsed() < super::lab::DEADLINE {
        super::lab::step(capture, &mut seen);
    }
    seen.len()
}

/// A copy of this binary that nobody may read and run, with file capabilities if asked for.
fn copy_of_self(dir: &Path, file_capability: Option<&str>) -> PathBuf {
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755)).expect("chmod");
    let copy = dir.join("child");
    std::fs::copy(std::env::current_exe().expect("path"), &copy).expect("copy");
    std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o755)).expect("chmod");
    if let Some(capability) = file_capability {
        let done = Command::new("setcap").arg(capability).arg(&copy).status().expect("setcap");
        assert!(done.success());
    }
    copy
}

/// Runs the test `name` of this binary as nobody in the pod, with these arguments to setpriv; its
/// output.
fn run_as_nobody(lab: &Lab, name: &str, file_capability: Option<&str>, rights: &[&str]) -> String {
    let dir = tempfile::tempdir().expect("directory");
    let binary = copy_of_self(dir.path(), file_capability);
    let output = within(&lab.pod, || {
        Command::new("setpriv")
            .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
            .args(rights)
            .arg(&binary)
            .args(["--exact", "--nocapture", name])
            .current_dir("/")
            .env(CHILD, "1")
            .output()
            .expect("setpriv")
    });
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

#[track_caller]
fn assert_captured(text: &str) {
    assert!(text.contains("permitted=true effective=true"), "{text}");
    assert!(text.contains("left: permitted=false effective=false"), "{text}");
    assert!(text.contains("a second capture is refused: true"), "{text}");
    assert!(text.contains("frames: 2"), "{text}");
}

#[test]
fn nobody_with_an_ambient_net_raw_captures_and_gives_it_up() {
    if is_child() {
        return child();
    }
    let Some(lab) = Lab::new() else { return };
    let name = "live_capture::rights::nobody_with_an_ambient_net_raw_captures_and_gives_it_up";
    let only = [
        "--bounding-set=-all,+net_raw",
        "--inh-caps=-all,+net_raw",
        "--ambient-caps=-all,+net_raw",
    ];
    assert_captured(&run_as_nobody(&lab, name, None, &only));
}

#[test]
fn nobody_with_the_file_capability_in_permitted_only_raises_it() {
    if is_child() {
        return child();
    }
    let Some(lab) = Lab::new() else { return };
    let name = "live_capture::rights::nobody_with_the_file_capability_in_permitted_only_raises_it";
    let rights = ["--bounding-set=-all,+net_raw", "--inh-caps=-all"];
    assert_captured(&run_as_nobody(&lab, name, Some("cap_net_raw+p"), &rights));
}

#[test]
fn nobody_with_nothing_is_told_what_to_do() {
    if is_child() {
        return child();
    }
    let Some(lab) = Lab::new() else { return };
    let name = "live_capture::rights::nobody_with_nothing_is_told_what_to_do";
    // The file capability is there but nothing is granted: `+p` starts all the same.
    let rights = ["--bounding-set=-all", "--inh-caps=-all"];
    for capability in [None, Some("cap_net_raw+p")] {
        let text = run_as_nobody(&lab, name, capability, &rights);
        assert!(text.contains("permitted=false effective=false"), "{text}");
        assert!(text.contains("error: no permission to capture from any"), "{text}");
        assert!(text.contains("sudo setcap cap_net_raw+p /"), "{text}");
        assert!(text.contains("docker run --cap-add NET_RAW"), "{text}");
        assert!(text.contains("securityContext: {capabilities: {add: [\"NET_RAW\"]}}"), "{text}");
    }
}

#[test]
fn root_drops_everything_and_still_captures() {
    let Some(lab) = Lab::new() else { return };
    within(&lab.pod, || {
        rights::raise();
        let mut capture = LiveCapture::open(&config(&["lo"], &[80])).expect("open");
        let others = rights::drop_all(false).expect("drop");
        assert!(others > 0, "the other threads of the test still hold theirs");
        assert!(!rights::raise().effective);
        let _ = std::net::TcpStream::connect("127.0.0.1:80");
        assert_eq!(collect_some(&mut capture), 2);
        assert!(LiveCapture::open(&config(&["lo"], &[80])).is_err());
    });
    // Only that thread has given up its rights.
    let mut capture = super::lab::open(&lab, &config(&["lo"], &[80]));
    super::lab::exchange(&lab, &lab.pod, [127, 0, 0, 1], 80, "GET /later");
    assert!(!collect(&mut capture, "GET /later").is_empty());
}
