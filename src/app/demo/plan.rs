//! What the client sends, and when: orders are looked up, paid, and looked up again.
//!
//! In: how many requests. Out: for each connection its steps in order. The same number gives the same
//! plan. Every fifth payment is chunked; the lookups after every fifth one come as a pipelined pair,
//! two requests in one write. All requests of one order use one connection: copies keep the order
//! within a connection, so v2 can answer as v1 does.

use std::net::SocketAddr;
use std::time::Duration;

/// Keep-alive connections of the client.
pub const CONNECTIONS: usize = 4;

/// Requests a second, over all connections.
pub const RATE: u32 = 250;

/// The first order's number.
const FIRST_ORDER: u32 = 1001;

/// What is sent at one moment on one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// When, from the start.
    pub at: Duration,
    /// The bytes, in pieces that are written one by one.
    pub pieces: Vec<String>,
    /// How many answers there will be.
    pub requests: u32,
}

/// The steps of each connection, `requests` requests in all.
pub fn plan(requests: u32, v1: SocketAddr) -> [Vec<Step>; CONNECTIONS] {
    let mut steps: [Vec<Step>; CONNECTIONS] = Default::default();
    let mut planned = 0;
    for nth in 0.. {
        let order = Order { nth, number: FIRST_ORDER + nth, host: v1 };
        for mut together in order.steps() {
            together.truncate((requests - planned) as usize);
            let at = Duration::from_secs(1) * planned / RATE;
            let count = together.len() as u32;
            let pieces = match count {
                0 => return steps,
                1 => together.concat(),
                _ => vec![together.concat().concat()],
            };
            steps[nth as usize % CONNECTIONS].push(Step { at, pieces, requests: count });
            planned += count;
        }
    }
    steps
}

/// One request, in pieces.
type Pieces = Vec<String>;

struct Order {
    nth: u32,
    number: u32,
    host: SocketAddr,
}

impl Order {
    /// The requests that are sent together, step by step.
    fn steps(&self) -> Vec<Vec<Pieces>> {
        let look_up = |query: &str, letter: &str| {
            let target = format!("/orders/{}{query}", self.number);
            vec![self.head("GET", &target, letter) + "\r\n"]
        };
        let mut after = vec![look_up("", "c")];
        if self.nth % 5 == 2 {
            after.push(look_up("?with=fee", "d"));
        }
        vec![vec![look_up("", "a")], vec![self.payment()], after]
    }

    fn payment(&self) -> Pieces {
        let number = self.number;
        // Prices between 5 and 95 that have nothing to do with each other.
        let cents = 500 + u64::from(number) * 7919 % 9000;
        let body = format!(r#"{{"order":{number},"cents":{cents},"card":"c-{number}"}}"#);
        let head = self.head("POST", "/pay", "b") + "Content-Type: application/json\r\n";
        if self.nth % 5 != 4 {
            return vec![format!("{head}Content-Length: {}\r\n\r\n{body}", body.len())];
        }
        let (first, second) = body.split_at(12);
        let chunk = |part: &str| format!("{:x}\r\n{part}\r\n", part.len());
        vec![
            format!("{head}Transfer-Encoding: chunked\r\n\r\n"),
            chunk(first),
            chunk(second) + "0\r\n\r\n",
        ]
    }

    /// Request line and fields that all have. The letter makes the id unique within the order.
    fn head(&self, method: &str, target: &str, letter: &str) -> String {
        format!(
            "{method} {target} HTTP/1.1\r\nHost: {}\r\nUser-Agent: shop/1.0\r\nAccept: \
             application/json\r\nX-Request-Id: {}-{letter}\r\n",
            self.host, self.number
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v1() -> SocketAddr {
        ([127, 0, 0, 1], 80).into()
    }

    #[test]
    fn as_many_requests_as_asked_for() {
        for requests in 1..200 {
            let planned: u32 = plan(requests, v1()).iter().flatten().map(|s| s.requests).sum();
            assert_eq!(planned, requests);
        }
    }

    #[test]
    fn every_kind_is_there_and_each_connection_in_order_of_time() {
        let plan = plan(100, v1());
        let all: Vec<&Step> = plan.iter().flatten().collect();
        let has = |text: &str| all.iter().any(|s| s.pieces.concat().contains(text));
        assert!(has("POST /pay") && has("GET /orders/1001 ") && has("Content-Length: 4"));
        assert!(has("Transfer-Encoding: chunked") && all.iter().any(|s| s.requests == 2));
        for steps in &plan {
            assert!(steps.len() > 10 && steps.is_sorted_by_key(|step| step.at));
        }
        assert!(all.iter().all(|step| step.at < Duration::from_secs(1) * 100 / RATE));
    }

    #[test]
    fn chunks_have_the_length_they_announce() {
        let order = Order { nth: 4, number: 1005, host: v1() };
        let pieces = order.payment();
        let body: String = pieces[1..].concat();
        let (mut rest, mut data) = (body.as_str(), String::new());
        while let Some((size, after)) = rest.split_once("\r\n") {
            let size = usize::from_str_radix(size, 16).expect("a size");
            data.push_str(&after[..size]);
            rest = &after[size + 2..];
        }
        assert!(data.starts_with(r#"{"order":1005,"#) && data.ends_with(r#""c-1005"}"#), "{data}");
    }
}
