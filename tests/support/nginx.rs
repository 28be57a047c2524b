//! nginx as v1, its access log as the truth about what v1 was asked.
//!
//! `/` answers at once, before it has read the body, as nginx does; `/upload/` reads the body to its
//! end first, as an application behind nginx does; `/static/` serves a file of 20,000 bytes; `/broken/` answers 503. One
//! process, its whole life within a directory of its own.

use std::fmt::Write as _;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use super::netns::Place;
use super::process::Process;
use super::{PATIENCE, wait_until};

/// A running nginx.
pub struct Nginx {
    /// The addresses it listens on, all with the same port.
    pub addrs: Vec<SocketAddr>,
    process: Option<Process>,
    dir: TempDir,
}

/// A line of the access log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// nginx's number of the connection.
    pub connection: u64,
    /// Which request of its connection this was, from 1.
    pub connection_requests: u64,
    /// The method.
    pub method: String,
    /// The request target as it came.
    pub target: String,
    /// The status it was answered with.
    pub status: u16,
    /// Bytes of the request, head and body.
    pub request_length: u64,
    /// The Content-Length field, where there was one.
    pub content_length: Option<u64>,
}

impl Nginx {
    /// Starts it in this place, on a free port of these addresses, and waits until it accepts.
    #[track_caller]
    pub fn start(place: &Place, ips: &[IpAddr]) -> Self {
        let first = *ips.first().expect("an address to listen on");
        let port = place.free_port(first);
        Self::start_on(place, ips, port)
    }

    /// The same on a given port.
    #[track_caller]
    pub fn start_on(place: &Place, ips: &[IpAddr], port: u16) -> Self {
        let dir = tempfile::Builder::new().prefix("shadowtap-nginx-").tempdir().expect("temp dir");
        let addrs: Vec<_> = ips.iter().map(|&ip| SocketAddr::new(ip, port)).collect();
        fs::create_dir(dir.path().join("static")).expect("own directory");
        fs::write(dir.path().join("static/page"), vec![b'x'; 20_000]).expect("own directory");
        fs::write(dir.path().join("nginx.conf"), config(dir.path(), &addrs))
            .expect("own directory");
        let mut command = place.command("nginx");
        command.arg("-p").arg(dir.path()).args(["-c", "nginx.conf", "-e", "error.log"]);
        let process = Process::start(command);
        let nginx = Self { addrs, process: Some(process), dir };
        for &addr in &nginx.addrs {
            wait_until("nginx accepts", PATIENCE, || place.connects(addr));
        }
        nginx
    }

    /// The first address.
    pub fn addr(&self) -> SocketAddr {
        self.addrs[0]
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.addr().port()
    }

    /// The access log so far.
    #[track_caller]
    pub fn log(&self) -> Vec<Logged> {
        let text = fs::read_to_string(self.dir.path().join("access.log")).expect("access log");
        text.lines().map(Logged::parse).collect()
    }

    /// Waits until that many requests are logged (a line comes after its answer), and takes the log.
    #[track_caller]
    pub fn log_of(&self, count: usize, patience: Duration) -> Vec<Logged> {
        let path = self.dir.path().join("access.log");
        wait_until(&format!("{count} lines in nginx's log"), patience, || {
            let bytes = fs::read(&path).unwrap_or_default();
            memchr::memchr_iter(b'\n', &bytes).count() >= count
        });
        self.log()
    }

    /// Errors it logged (level `error` and above); empty when all was well.
    pub fn errors(&self) -> String {
        fs::read_to_string(self.dir.path().join("error.log")).unwrap_or_default()
    }

    /// Ends it gracefully and takes the whole log.
    #[track_caller]
    pub fn stop(mut self) -> Vec<Logged> {
        if let Some(process) = self.process.take() {
            process.signal(Signal::TERM);
            process.finish(PATIENCE).expect_code(0);
        }
        self.log()
    }
}

impl Logged {
    #[track_caller]
    fn parse(line: &str) -> Self {
        let fields: Vec<&str> = line.split('\t').collect();
        let [connection, requests, method, target, status, length, content_length] = fields[..]
        else {
            panic!("not a line of our access log: {line}");
        };
        let number = |text: &str| text.parse().unwrap_or_else(|_| panic!("no number in: {line}"));
        Self {
            connection: number(connection),
            connection_requests: number(requests),
            method: method.into(),
            target: target.into(),
            status: status.parse().expect("a status"),
            request_length: number(length),
            content_length: content_length.parse().ok(),
        }
    }
}

/// One process (`master_process off`), so that ending it by its pid ends all of it.
fn config(dir: &Path, addrs: &[SocketAddr]) -> String {
    let mut listen = String::new();
    for addr in addrs {
        let v6only = if addr.is_ipv6() { " ipv6only=on" } else { "" };
        writeln!(listen, "    listen {addr} backlog=1024{v6only};").expect("into a string");
    }
    format!(
        r#"daemon off;
master_process off;
pid nginx.pid;
error_log error.log error;
events {{ worker_connections 2048; }}
http {{
  log_format truth escape=none '$connection\t$connection_requests\t$request_method\t$request_uri\t$status\t$request_length\t$http_content_length';
  access_log access.log truth;
  client_body_temp_path tmp-body; proxy_temp_path tmp-proxy; fastcgi_temp_path tmp-fastcgi;
  uwsgi_temp_path tmp-uwsgi; scgi_temp_path tmp-scgi;
  client_max_body_size 0;
  client_body_buffer_size 1m;
  keepalive_requests 10000000;
  keepalive_timeout 600s;
  server {{
{listen}    location / {{ return 200 "an answer of some two hundred bytes {padding}\n"; }}
    location /broken/ {{ return 503 "broken\n"; }}
    location /static/ {{ root .; try_files /static/page =404; }}
    location /upload/ {{
      proxy_pass http://unix:{dir}/inner.sock:/;
      proxy_pass_request_body off;
      proxy_pass_request_headers off;
      proxy_set_header Content-Length "";
    }}
  }}
  server {{
    listen unix:{dir}/inner.sock;
    access_log off;
    return 200 "read to the end\n";
  }}
}}
"#,
        dir = dir.display(),
        padding = "x".repeat(160)
    )
}
