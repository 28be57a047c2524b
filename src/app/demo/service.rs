//! The payment service, in two versions: what it answers to a request.
//!
//! In: method, path, body. Out: status and JSON. No socket and no clock. v2 differs from v1 in one
//! field: it cuts the fee off where v1 rounds it.

use std::collections::HashMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

/// Orders that are remembered at most; payments of further ones are refused.
const MAX_ORDERS: usize = 200_000;

/// Which of the two services.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Release {
    /// The one in production.
    V1,
    /// The one that shall replace it.
    V2,
}

impl Release {
    /// What stands in the `Server` field of its answers.
    pub fn signature(self) -> &'static str {
        match self {
            Self::V1 => "payments/1",
            Self::V2 => "payments/2",
        }
    }

    /// How long its database takes.
    pub fn delay(self) -> Duration {
        match self {
            Self::V1 => Duration::from_millis(1),
            Self::V2 => Duration::from_millis(4),
        }
    }

    /// 1.4 % and 25 cents: v1 rounds to the cent, v2 forgets to.
    fn fee(self, cents: u64) -> u64 {
        let thousandths = cents.saturating_mul(14);
        let rounding = if self == Self::V1 { 500 } else { 0 };
        thousandths.saturating_add(rounding) / 1000 + 25
    }
}

/// Status and body of an answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// One JSON object.
    pub body: String,
}

/// The body of `POST /pay`.
#[derive(Deserialize)]
struct Payment {
    order: u32,
    cents: u64,
}

/// The service and its memory.
pub struct Payments {
    release: Release,
    /// Amount paid in cents, by order.
    paid: HashMap<u32, u64>,
}

impl Payments {
    /// Nothing is paid yet.
    pub fn new(release: Release) -> Self {
        Self { release, paid: HashMap::new() }
    }

    /// Which of the two it is.
    pub fn release(&self) -> Release {
        self.release
    }

    /// Answers one request. The path is without its query.
    pub fn answer(&mut self, method: &str, path: &str, body: &[u8]) -> Answer {
        match (method, path, path.strip_prefix("/orders/")) {
            ("POST", "/pay", _) => self.pay(body),
            ("GET", _, Some(order)) => self.order(order),
            (_, "/pay", _) | (_, _, Some(_)) => refuse(405, "this method is not for this path"),
            _ => refuse(404, "no such path"),
        }
    }

    fn pay(&mut self, body: &[u8]) -> Answer {
        let Ok(Payment { order, cents }) = serde_json::from_slice(body) else {
            return refuse(400, "a payment has an order and an amount in cents");
        };
        if self.paid.len() >= MAX_ORDERS {
            return refuse(503, "too many orders");
        }
        self.paid.insert(order, cents);
        self.paid_order(order, cents)
    }

    fn order(&self, order: &str) -> Answer {
        let Ok(order) = order.parse() else { return refuse(404, "no such order") };
        match self.paid.get(&order) {
            Some(&cents) => self.paid_order(order, cents),
            None => accept(&json!({"order": order, "status": "open"})),
        }
    }

    fn paid_order(&self, order: u32, cents: u64) -> Answer {
        let fee = self.release.fee(cents);
        accept(&json!({"order": order, "status": "paid", "cents": cents, "fee": fee}))
    }
}

fn accept(body: &serde_json::Value) -> Answer {
    Answer { status: 200, body: body.to_string() }
}

fn refuse(status: u16, error: &str) -> Answer {
    Answer { status, body: json!({"error": error}).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(answer: &Answer, name: &str) -> serde_json::Value {
        let body: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
        body[name].clone()
    }

    #[test]
    fn an_order_is_open_until_it_is_paid() {
        let mut payments = Payments::new(Release::V1);
        assert_eq!(field(&payments.answer("GET", "/orders/7", b""), "status"), "open");
        let paid = payments.answer("POST", "/pay", br#"{"order":7,"cents":4490,"card":"c"}"#);
        assert_eq!((paid.status, field(&paid, "fee")), (200, 88.into()));
        assert_eq!(payments.answer("GET", "/orders/7", b""), paid);
    }

    #[test]
    fn v2_is_wrong_in_the_fee_alone() {
        let pay = br#"{"order":7,"cents":4490}"#;
        let [one, two] =
            [Release::V1, Release::V2].map(|r| Payments::new(r).answer("POST", "/pay", pay));
        assert_eq!((field(&one, "fee"), field(&two, "fee")), (88.into(), 87.into()));
        for same in ["order", "status", "cents"] {
            assert_eq!(field(&one, same), field(&two, same), "{same}");
        }
        // Where nothing is to be rounded both are right.
        assert_eq!(Release::V1.fee(1000), Release::V2.fee(1000));
        assert!(Release::V1.delay() < Release::V2.delay());
    }

    #[test]
    fn what_it_does_not_know_it_refuses() {
        let mut payments = Payments::new(Release::V2);
        let status = |p: &mut Payments, method, path, body| p.answer(method, path, body).status;
        assert_eq!(status(&mut payments, "POST", "/pay", b"no JSON"), 400);
        assert_eq!(status(&mut payments, "GET", "/orders/none", b""), 404);
        assert_eq!(status(&mut payments, "GET", "/", b""), 404);
        assert_eq!(status(&mut payments, "DELETE", "/orders/7", b""), 405);
        assert_eq!(status(&mut payments, "GET", "/pay", b""), 405);
        let most = br#"{"order":7,"cents":18446744073709551615}"#;
        assert_eq!(status(&mut payments, "POST", "/pay", most), 200, "no overflow");
    }
}
