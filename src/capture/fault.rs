//! What can go wrong with a live capture, in words that say what to do about it.

use std::fmt::Write as _;

use super::interfaces::{self, Interface};

/// Why a capture could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No interface was named.
    #[error("no interface to capture from; name one with -i, or `any` for all")]
    NoneNamed,
    /// There is no such interface.
    #[error("there is no interface {name:?}; {}", those(.existing))]
    NoSuchInterface {
        /// The name asked for.
        name: String,
        /// Those that exist.
        existing: Vec<Interface>,
    },
    /// The interface is down.
    #[error("interface {0} is down; bring it up with `ip link set {0} up`, or capture from `any`")]
    Down(String),
    /// CAP_NET_RAW is missing.
    #[error("no permission to capture from {interface} ({detail})\n{}", permission_advice())]
    NoPermission {
        /// The interface.
        interface: String,
        /// libpcap's words.
        detail: String,
    },
    /// The expression of `--filter` is not one.
    #[error("--filter {expression:?} is not a valid filter for {interface}: {detail}")]
    Filter {
        /// The expression.
        expression: String,
        /// The interface, whose link type decides what is valid.
        interface: String,
        /// libpcap's words.
        detail: String,
    },
    /// The kernel refused our own filter.
    #[error("the kernel refused the packet filter for {interface}: {detail}")]
    Attach {
        /// The interface.
        interface: String,
        /// The kernel's answer.
        detail: std::io::Error,
    },
    /// Anything else.
    #[error("cannot capture from {interface}: {detail}")]
    Other {
        /// The interface.
        interface: String,
        /// libpcap's words.
        detail: String,
    },
}

/// What happened to a capture that was open. The other interfaces go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CaptureError {
    /// The interface was taken down. It is still watched, and capture resumes when it is up again.
    #[error(
        "interface {0} went down: nothing is seen of it until it is up again (`ip link set {0} up`)"
    )]
    Down(String),
    /// The interface does not exist any more; it is no longer watched.
    #[error(
        "interface {0} is gone and no longer watched: restart when it exists again, or capture \
         from `any`, which survives that"
    )]
    Gone(String),
    /// Reading failed; the interface is no longer watched.
    #[error("reading from {interface} failed, it is no longer watched: {detail}")]
    Read {
        /// The interface.
        interface: String,
        /// libpcap's words.
        detail: String,
    },
    /// Waiting for frames failed.
    #[error("waiting for frames failed: {0}")]
    Wait(std::io::ErrorKind),
    /// None is left.
    #[error("no interface is left to capture from")]
    NoneLeft,
}

/// How to give this program the right to capture, for each way of running it.
pub fn permission_advice() -> String {
    let binary = std::env::current_exe()
        .map_or_else(|_| "/path/to/shadowtap".into(), |path| path.display().to_string());
    format!(
        "capturing needs CAP_NET_RAW, and nothing else:\n  \
         on a host:      sudo setcap cap_net_raw+p {binary}\n  \
         with Docker:    docker run --cap-add NET_RAW ...\n  \
         in Kubernetes:  securityContext: {{capabilities: {{add: [\"NET_RAW\"]}}}}"
    )
}

/// `these exist: any (all of them), lo 127.0.0.1 ::1, eth0 10.0.0.5`.
fn those(list: &[Interface]) -> String {
    let mut text = format!("these exist: {} (all of them)", interfaces::ANY);
    for interface in list {
        // Writing to a String cannot fail.
        let _ = write!(text, ", {interface}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_name_is_answered_with_the_right_ones() {
        let error = OpenError::NoSuchInterface {
            name: "eht0".into(),
            existing: vec![Interface {
                name: "eth0".into(),
                addresses: vec![[10, 0, 0, 5].into()],
                up: true,
                loopback: false,
            }],
        };
        assert_eq!(
            error.to_string(),
            "there is no interface \"eht0\"; these exist: any (all of them), eth0 10.0.0.5"
        );
    }

    #[test]
    fn a_missing_right_names_all_three_ways_to_give_it() {
        let error = OpenError::NoPermission { interface: "any".into(), detail: "EPERM".into() };
        let text = error.to_string();
        let binary = std::env::current_exe().expect("path");
        assert!(
            text.contains(&format!("sudo setcap cap_net_raw+p {}", binary.display())),
            "{text}"
        );
        assert!(text.contains("docker run --cap-add NET_RAW"), "{text}");
        assert!(text.contains("securityContext: {capabilities: {add: [\"NET_RAW\"]}}"), "{text}");
    }
}
