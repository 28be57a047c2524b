//! All of it together: requests, v1's answers and v2's go in; requests with v2's values come out.
//!
//! In and out as the module says. Guaranteed: a request waits only for one with a lower number that is not over, so nobody
//! waits in a circle. One carrier serves one target.
//!
//! A value that no answer of v1's gave, as far as it was seen, is replaced by what v2 gave last on the same captured connection, if
//! v1's answer to that request was not seen; and so is one that stands in a recording for a secret, which may be the hash
//! of what stands in a body in plain.

use super::edit::{Edit, edited};
use super::exchanges::{Early, Exchange, Exchanges, Gave, Named, Remembered};
use super::key::Key;
use super::rule::{Rule, Rules, Sink};
use super::sink::{Part, Place, places, without};
use super::source::{Answer, gifts};
use super::table::{Found, Gift, Giver, Table};
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
        Carried { evicted: self.carried.evicted + self.table.evicted, ..self.carried }
    }

    /// A request was taken over, as the `n`th, from 1.
    pub fn taken(&mut self, request: &Message, n: u64) {
        let cookies = match self.rules.0.iter().any(Rule::is_of_cookies) {
            true => places(&self.rules, request),
            false => Vec::new(),
        };
        let cookies = cookies.iter().filter_map(|place| {
            let rule = self.rules.0.get(place.rule).filter(|rule| rule.is_of_cookies())?;
            Some(Named { rule: place.rule, slot: place.slot(), key: place.key(rule) })
        });
        let cookies = cookies.collect();
        let (conn, index, client) = (request.conn, request.index, request.client.ip);
        let at = request.last_byte;
        let exchange = Exchange { conn, index, client, at, cookies, v1: None, v2: None };
        self.exchanges.add(n, exchange);
        match self.early.take(&(conn, index)) {
            Some(gave) => self.v1_gave(index, gave),
            None => self.give_up_too_much(),
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
        let given = gifts.given.into_iter().filter_map(|given| {
            let value = given.value.filter(|value| !value.is_empty())?;
            let rule = self.rules.0.get(given.rule)?;
            let key = Key::value(given.rule, rule, given.slot, &value);
            Some(Named { rule: given.rule, slot: given.slot, key })
        });
        let gave = Gave {
            conn: response.conn,
            client: response.client.ip,
            at: response.first_byte,
            given: given.collect(),
        };
        if self.exchanges.number(gave.conn, index).is_none() {
            // It may still come: one that waits for this answer's status is taken over behind it.
            self.early.add((gave.conn, index), gave.clone());
        }
        self.v1_gave(index, gave);
    }

    fn v1_gave(&mut self, index: u32, gave: Gave) {
        let n = self.exchanges.number(gave.conn, index);
        for named in &gave.given {
            let gift = match n.map(|n| self.exchanges.get(n)) {
                Some(Some(exchange)) => exchange.gift(named.rule, named.slot),
                // It is not sent to v2, or was given up.
                _ => Gift::Nothing,
            };
            let giver = Giver {
                n: n.unwrap_or_default(),
                slot: named.slot,
                client: gave.client,
                at: gave.at,
                gift,
                is_seen: true,
                is_local: false,
            };
            for key in self.keys(named, gave.conn) {
                self.table.add(&key, giver.clone());
            }
        }
        let Some(n) = n else { return };
        let Some(exchange) = self.exchanges.get(n) else { return };
        match &exchange.v2 {
            None => {
                self.exchanges.v1_gave(n, gave.given);
                self.give_up_too_much();
            }
            Some(given) => {
                // What it gave on its connection was not known to have a value of v1's beside it.
                for given in given {
                    if let Some(rule) = self.rules.0.get(given.rule) {
                        let key = Key::connection(given.rule, rule, given.slot, gave.conn);
                        self.table.see(&key, n);
                    }
                }
                self.exchanges.remove(n);
            }
        }
    }

    /// Under which keys a value of v1's is in the table: its own, and but for cookies, whose hash is the same in either
    /// field, that of its connection.
    fn keys(&self, named: &Named, conn: u64) -> impl Iterator<Item = Key> + use<> {
        let rule = self.rules.0.get(named.rule).filter(|rule| !rule.is_of_cookies());
        let of_conn = rule.map(|rule| Key::connection(named.rule, rule, named.slot, conn));
        [Some(named.key), of_conn].into_iter().flatten()
    }

    /// Of the first of those that v2 has not answered it will be as if it had given nothing.
    fn give_up_too_much(&mut self) {
        while let Some((n, Remembered { conn, cookies, v1 })) = self.exchanges.take_too_much() {
            let v1 = v1.unwrap_or_default();
            self.carried.evicted += (cookies.len() + v1.len()) as u64;
            for named in &v1 {
                for key in self.keys(named, conn) {
                    self.table.settle(&key, n, named.slot, &Gift::Nothing);
                }
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
        let Some(Remembered { conn, cookies, v1 }) = self.exchanges.forget(n) else { return };
        let Some(exchange) = self.exchanges.get(n) else { return };
        exchange.v2 = Some(given);
        self.renew_cookies(n, &cookies);
        let Some(v1) = v1 else {
            self.add_unseen(n);
            return self.exchanges.wait(n);
        };
        for named in &v1 {
            let gift = self.exchanges.get(n).map(|exchange| exchange.gift(named.rule, named.slot));
            for key in self.keys(named, conn) {
                self.table.settle(&key, n, named.slot, gift.as_ref().unwrap_or(&Gift::Nothing));
            }
        }
        self.exchanges.remove(n);
    }

    /// v2 gave a cookie anew that the request carried: whoever goes on with v1's gets that.
    fn renew_cookies(&mut self, n: u64, cookies: &[Named]) {
        let Some(exchange) = self.exchanges.get(n) else { return };
        for cookie in cookies {
            let gift = match exchange.gift(cookie.rule, cookie.slot) {
                Gift::Pending | Gift::Nothing => continue,
                gift => gift,
            };
            let giver = Giver {
                n,
                slot: cookie.slot,
                client: exchange.client,
                at: exchange.at,
                gift,
                is_seen: true,
                is_local: true,
            };
            self.table.add(&cookie.key, giver);
        }
    }

    /// What v2 gave without an answer of v1's beside it, for its connection.
    fn add_unseen(&mut self, n: u64) {
        let Some(exchange) = self.exchanges.get(n) else { return };
        for given in exchange.v2.iter().flatten() {
            let Some(rule) = self.rules.0.get(given.rule) else { continue };
            let giver = Giver {
                n,
                slot: given.slot,
                client: exchange.client,
                at: exchange.at,
                gift: exchange.gift(given.rule, given.slot),
                is_seen: false,
                is_local: false,
            };
            let key = Key::connection(given.rule, rule, given.slot, exchange.conn);
            self.table.add(&key, giver);
        }
    }

    /// What goes to a place of the request with this number.
    fn find(&mut self, place: &Place, request: &Message, n: u64) -> Found {
        let Some(rule) = self.rules.0.get(place.rule) else { return Found::Unknown };
        let key = place.key(rule);
        let mut found = self.table.find(&key, request, n, false);
        if found == Found::Unknown && !matches!(rule.sink, Sink::Path) {
            let key = Key::connection(place.rule, rule, place.slot(), request.conn);
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
