//! Rights: CAP_NET_RAW alone is enough, without it the program says what to do, and after the start
//! it has none.

/// Needs root: runs the program as another user, and captures live.
mod privileged {
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    use crate::support::PATIENCE;
    use crate::support::load::Load;
    use crate::support::netns::Pod;
    use crate::support::request::exact;
    use crate::support::shadowtap::{Run, Shadowtap, User};
    use crate::support::stage::{Stage, assert_all_answered, capturing};

    /// The permitted and effective capabilities of every thread, as numbers, and the real user ids.
    #[track_caller]
    fn capabilities(shadowtap: &Shadowtap) -> Vec<(String, u64)> {
        let pid = shadowtap.process.pid().as_raw_nonzero();
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("it runs");
        let mut all = Vec::new();
        for task in tasks {
            let path = task.expect("a thread").path().join("status");
            let status = std::fs::read_to_string(path).expect("a thread's status");
            let value = |key: &str| {
                let line = status.lines().find_map(|line| line.strip_prefix(key));
                line.unwrap_or_else(|| panic!("no {key} in {status}")).trim().to_owned()
            };
            let set = |key| u64::from_str_radix(&value(key), 16).expect("hexadecimal");
            all.push((value("Name:"), set("CapPrm:") | set("CapEff:") | set("CapAmb:")));
        }
        all
    }

    #[track_caller]
    fn assert_has_no_rights(shadowtap: &Shadowtap) {
        let capabilities = capabilities(shadowtap);
        for thread in ["capture", "replay", "signals"] {
            assert!(capabilities.iter().any(|(name, _)| name == thread), "{capabilities:?}");
        }
        assert!(capabilities.iter().all(|(_, set)| *set == 0), "{capabilities:x?}");
    }

    fn status_line(shadowtap: &Shadowtap, key: &str) -> String {
        let status = shadowtap.process.proc("status");
        let line = status.lines().find(|line| line.starts_with(key)).unwrap_or_default();
        line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn as_nobody_with_only_net_raw_it_works_and_keeps_nothing() {
        let stage = Stage::veth();
        let run = stage.mirror().args(["--methods", "all"]).user(User::NetRaw);
        let mirror = capturing(run.start());
        assert_eq!(status_line(&mirror, "Uid:"), "65532 65532 65532 65532");
        assert_eq!(status_line(&mirror, "CapBnd:"), "0000000000002000");
        let sent = Load { count: 300, ..stage.load() }.run().expect_no_errors();
        stage.v2.wait_for(300, PATIENCE);
        assert_has_no_rights(&mirror);
        let ledger = mirror.terminate(PATIENCE).expect_code(0).ledger();
        exact(&sent.requests, &stage.v2.requests());
        assert_all_answered(&ledger, 300);
    }

    #[test]
    fn root_keeps_nothing_either() {
        let stage = Stage::loopback();
        let mirror = capturing(stage.mirror().args(["--methods", "all"]).start());
        Load { count: 20, ..stage.load() }.run().expect_no_errors();
        stage.v2.wait_for(20, PATIENCE);
        assert_has_no_rights(&mirror);
        mirror.terminate(PATIENCE).expect_code(0);
    }

    #[test]
    fn without_the_right_it_exits_2_and_says_what_to_do() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o777))
            .expect("own directory");
        let file = dir.path().join("a.warc");
        let mirror = ["mirror", "-p", "80", "--to", "http://127.0.0.1:9"];
        let record = ["record", "-p", "80", "-o", file.to_str().expect("UTF-8")];
        let pod = Pod::new();
        for args in [&mirror[..], &record[..]] {
            let run = Run::new(args).place(&pod.pod.place).user(User::NoRights);
            let finished = run.finish(PATIENCE).expect_code(2);
            let text = &finished.stderr;
            assert_eq!(finished.text(), "", "{args:?}");
            assert!(text.contains("sudo setcap cap_net_raw+p /"), "{text}");
            assert!(text.contains("/shadowtap\n"), "the setcap line names the program: {text}");
            assert!(text.contains("docker run --cap-add NET_RAW"), "{text}");
            let context = "securityContext: {capabilities: {add: [\"NET_RAW\"]}}";
            assert!(text.contains(context), "{text}");
            assert!(finished.took < Duration::from_secs(5), "{:?}", finished.took);
        }
        assert!(!file.exists(), "a file was left behind");
    }

    #[test]
    fn doctor_says_whether_the_right_is_there() {
        let pod = Pod::new();
        for (user, code, want) in
            [(User::NetRaw, 0, "\"state\":\"ok\""), (User::NoRights, 2, "setcap cap_net_raw+p /")]
        {
            let run = Run::new(["doctor", "--json"]).place(&pod.pod.place).user(user);
            let text = run.finish(PATIENCE).expect_code(code).text();
            assert!(text.contains(want), "{user:?}: {text}");
        }
    }

    #[test]
    fn a_wrong_interface_is_answered_with_the_right_ones() {
        let pod = Pod::new();
        let args = ["mirror", "-i", "eht0", "-p", "80", "--to", "http://127.0.0.1:9"];
        let finished = Run::new(args).place(&pod.pod.place).finish(PATIENCE).expect_code(2);
        let text = &finished.stderr;
        assert!(text.contains("there is no interface \"eht0\""), "{text}");
        for existing in ["any", "lo 127.0.0.1", &format!("eth0 {}", pod.pod.ip)] {
            assert!(text.contains(existing), "no {existing} in {text}");
        }
    }

    #[test]
    fn a_filter_that_is_none_is_answered_by_its_flag() {
        let args = ["mirror", "-i", "lo", "-p", "80", "--to", "http://127.0.0.1:9"];
        let run = Run::new(args).args(["--filter", "tcp prot 80"]);
        let finished = run.finish(PATIENCE).expect_code(2);
        assert!(finished.stderr.contains("--filter \"tcp prot 80\""), "{}", finished.stderr);
    }

    #[test]
    fn nobody_records_to_a_file_that_only_it_can_read() {
        let stage = Stage::veth();
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o777))
            .expect("own directory");
        let file = dir.path().join("a.warc");
        let port = stage.v1.port().to_string();
        let run = Run::new(["record", "-i", "eth0", "-p", &port, "--json", "-o"]).args([&file]);
        let recorder = capturing(run.place(&stage.here).user(User::NetRaw).start());
        Load { count: 50, ..stage.load() }.run().expect_no_errors();
        let ledger = recorder.terminate(PATIENCE).expect_code(0).ledger();
        ledger.assert_balanced();
        assert_eq!(ledger.count("/recording/requests"), 50, "{:#}", ledger.0);
        let mode = file.metadata().expect("the recording").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
