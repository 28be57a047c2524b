//! All of it together: requests, v1's answers and v2's go in; requests with v2's values come out.
//!
//! In and out as the module says. Guaranteed: a request waits only for one with a lower number that is not over, so nobody
//! waits in a circle. One carrier serves one target.
//!
//! A value that no answer of v1's gave, as far as it was seen, is replaced by what v2 gave last on the same captured connection, if
//! v1's answer to that request was not seen; and so is one that stands in a recording for a secret, which may be the hash
//! of what stands in a body in plain.

use super::edit::{Edit, edited};
use super::exchanges::{Early, Exchange, Exchanges, Gave};
use super::rule::{Rule, Rules, Sink};
use super::sink::{Part, Place, places, without};
use super::source::{Answer, gifts};
use super::table::{Found, Gift, Giver, Key, Table};
use crate::model::{Completion, KeptAnswer, Message, is_replaced_secret};

/// Bytes of an answer's body that are looked at, where a rule looks there.
const MAX_BODY: usize = 1 << 20;

/// What was done so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Carried {
    /// Requests in which at least one value was replaced.
    pub carried: u64,
    /// Requests with a value for which v2 has given none.
    pub missing: u64,
    /// Answers, of v1 or v2, whose body could not be looked at, or not all of it.
    pub unread: u64,
    /// Values given up for want of room.
    pub evicted: u64,
}

/// See the module's description.
pub struct Carrier {
    rules: Rules,
    table: Table,
    exchanges: Exchanges,
    early: Early,
    carried: Carried,
}

impl Carrier {
    /// Nothing is known yet.
    pub fn new(rules: Rules) -> Self {
        let (table, exchanges) = (Table::new(), Exchanges::default());
        let early = Early::default();
        Self { rules, table, exchanges, early, carried: Carried::default() }
    }

    /// Bytes of an answer's body that are needed at most.
    pub fn keeps(&self) -> usize {
        if self.rules.read_bodies() { MAX_BODY } else { 0 }
    }

    /// What was done so far.
    pub fn counts(&self) -> Carried {
        Carried { evicted: self.table.evicted, ..self.carried }
    }

    /// A request was taken over, as the `n`th, from 1.
    pub fn taken(&mut self, request: &Message, n: u64) {
        let cookies = match self.rules.0.iter().any(Rule::is_of_cookies) {
            true => places(&self.rules, request),
            false => Vec::new(),
        };
        let is_of_cookies =
            |place: &Place| self.rules.0.get(place.rule).is_some_and(Rule::is_of_cookies);
        let cookies = cookies.into_iter().filter(is_of_cookies);
        let cookies = cookies.map(|place| (place.rule, place.scope, place.value)).collect();
        let (conn, index, client) = (request.conn, request.index, request.client.ip);
        let at = request.last_byte;
        let exchange = Exchange { conn, index, client, at, cookies, v1: None, v2: None };
        self.exchanges.add(n, exchange);
        if let Some(gave) = self.early.take(&(conn, index)) {
            self.v1_gave(index, gave);
        }
    }

    /// v1's answer to a request that was taken over, or to one that is not sent.
    pub fn v1_answered(&mut self, response: &Message) {
        let Some(index) = response.answers().filter(|_| response.status() >= Some(200)) else {
            return;
        };
        let answer = Answer {
            fields: response.headers().collect(),
            body: &response.body,
            is_whole: response.completion == Completion::Complete,
        };
        let gifts = gifts(&self.rules, &answer);
        self.carried.unread += u64::from(gifts.is_unread);
        let gave = Gave {
            conn: response.conn,
            client: response.client.ip,
            at: response.first_byte,
            given: gifts.given,
        };
        if self.exchanges.number(gave.conn, index).is_none() {
            // It may still come: one that waits for this answer's status is taken over behind it.
            self.early.add((gave.conn, index), gave.clone());
        }
        self.v1_gave(index, gave);
    }

    fn v1_gave(&mut self, index: u32, gave: Gave) {
        let n = self.exchanges.number(gave.conn, index);
        let mut keys = Vec::new();
        for given in gave.given {
            let Some(rule) = self.rules.0.get(given.rule) else { continue };
            let Some(value) = given.value.filter(|value| !value.is_empty()) else { continue };
            let gift = match n.map(|n| self.exchanges.get(n)) {
                Some(Some(exchange)) => exchange.gift(given.rule, &given.slot),
                // It is not sent to v2, or was given up.
                _ => Gift::Nothing,
            };
            let giver = Giver {
                n: n.unwrap_or_default(),
                slot: given.slot.as_slice().into(),
                client: gave.client,
                at: gave.at,
                gift,
                is_seen: true,
                is_local: false,
            };
            let key = Key::value(given.rule, rule, &given.slot, &value);
            self.table.add(&key, giver.clone());
            keys.push((key, given.rule, given.slot.clone()));
            // A cookie's hash is the same in either field.
            if rule.is_of_cookies() {
                continue;
            }
            let key = Key::connection(given.rule, rule, &given.slot, gave.conn);
            self.table.add(&key, giver);
            keys.push((key, given.rule, given.slot));
        }
        let Some(n) = n else { return };
        let Some(exchange) = self.exchanges.get(n) else { return };
        match &exchange.v2 {
            None => exchange.v1 = Some(keys),
            Some(given) => {
                // What it gave on its connection was not known to have a value of v1's beside it.
                for given in given {
                    if let Some(rule) = self.rules.0.get(given.rule) {
                        let key = Key::connection(given.rule, rule, &given.slot, gave.conn);
                        self.table.see(&key, n);
                    }
                }
                self.exchanges.remove(n);
            }
        }
    }

    /// The request whose answer must come first, if there is one.
    pub fn waits_for(&mut self, request: &Message, n: u64) -> Option<u64> {
        let places = places(&self.rules, request);
        places.into_iter().find_map(|place| match self.find(&place, request, n) {
            Found::Waits(first) => Some(first),
            _ => None,
        })
    }

    /// The request as it leaves.
    pub fn change(&mut self, request: Message, n: u64) -> Message {
        let (mut head, mut body, mut is_missing) = (Vec::new(), Vec::new(), false);
        let mut deleted = Vec::new();
        for place in places(&self.rules, &request) {
            let gift = match self.find(&place, &request, n) {
                Found::Gift(gift) => gift,
                Found::Nothing => {
                    is_missing = true;
                    continue;
                }
                Found::Unknown | Found::Waits(_) => {
                    is_missing |= place.is_named;
                    continue;
                }
            };
            match (gift, &place.whole) {
                (None, Some(cookie)) => deleted.push(cookie.clone()),
                (None, None) => is_missing = true,
                (Some(value), _) if *value == *place.value => {}
                (Some(value), _) => match place.written(&value) {
                    None => is_missing = true,
                    Some(with) => {
                        let edit = Edit { place: place.range, with };
                        let edits = if place.part == Part::Head { &mut head } else { &mut body };
                        edits.push(edit);
                    }
                },
            }
        }
        let deleted = without(&deleted).into_iter();
        head.extend(deleted.map(|place| Edit { place, with: Vec::new() }));
        self.carried.missing += u64::from(is_missing);
        if head.is_empty() && body.is_empty() {
            return request;
        }
        self.carried.carried += 1;
        edited(request, head, body)
    }

    /// A request is over: with an answer of v2, or without.
    pub fn over(&mut self, n: u64, answer: Option<&KeptAnswer>) {
        let given = match answer {
            None => Vec::new(),
            Some(answer) => {
                let fields = answer.fields.iter();
                let fields = fields.map(|(name, value)| (name.as_slice(), value.as_slice()));
                let answer = Answer {
                    fields: fields.collect(),
                    body: &answer.body,
                    is_whole: !answer.is_cut(),
                };
                let gifts = gifts(&self.rules, &answer);
                self.carried.unread += u64::from(gifts.is_unread);
                gifts.given
            }
        };
        let Some(exchange) = self.exchanges.get(n) else { return };
        exchange.v2 = Some(given);
        let is_seen = exchange.v1.is_some();
        self.renew_cookies(n);
        if !is_seen {
            self.add_unseen(n);
            return self.exchanges.wait(n);
        }
        let Some(exchange) = self.exchanges.remove(n) else { return };
        for (key, rule, slot) in exchange.v1.iter().flatten() {
            self.table.settle(key, n, slot, &exchange.gift(*rule, slot));
        }
    }

    /// v2 gave a cookie anew that the request carried: whoever goes on with v1's gets that.
    fn renew_cookies(&mut self, n: u64) {
        let Some(exchange) = self.exchanges.get(n) else { return };
        let cookies = std::mem::take(&mut exchange.cookies);
        for (number, name, value) in cookies {
            let gift = match exchange.gift(number, &name) {
                Gift::Pending | Gift::Nothing => continue,
                gift => gift,
            };
            let Some(rule) = self.rules.0.get(number) else { continue };
            let giver = Giver {
                n,
                slot: name.as_slice().into(),
                client: exchange.client,
                at: exchange.at,
                gift,
                is_seen: true,
                is_local: true,
            };
            self.table.add(&Key::value(number, rule, &name, &value), giver);
        }
    }

    /// What v2 gave without an answer of v1's beside it, for its connection.
    fn add_unseen(&mut self, n: u64) {
        let Some(exchange) = self.exchanges.get(n) else { return };
        for given in exchange.v2.iter().flatten() {
            let Some(rule) = self.rules.0.get(given.rule) else { continue };
            let giver = Giver {
                n,
                slot: given.slot.as_slice().into(),
                client: exchange.client,
                at: exchange.at,
                gift: exchange.gift(given.rule, &given.slot),
                is_seen: false,
                is_local: false,
            };
            let key = Key::connection(given.rule, rule, &given.slot, exchange.conn);
            self.table.add(&key, giver);
        }
    }

    /// What goes to a place of the request with this number.
    fn find(&mut self, place: &Place, request: &Message, n: u64) -> Found {
        let Some(rule) = self.rules.0.get(place.rule) else { return Found::Unknown };
        let key = Key::value(place.rule, rule, &place.scope, &place.value);
        let mut found = self.table.find(&key, request, n, false);
        if found == Found::Unknown && !matches!(rule.sink, Sink::Path) {
            let key = Key::connection(place.rule, rule, &place.scope, request.conn);
            let is_hash = is_replaced_secret(&place.value);
            found = match self.table.find(&key, request, n, !is_hash) {
                Found::Nothing => Found::Unknown,
                found => found,
            };
        }
        match found {
            // None that is over is ever waited for.
            Found::Waits(first) if first >= n || !self.exchanges.is_open(first) => Found::Nothing,
            found => found,
        }
    }
}
