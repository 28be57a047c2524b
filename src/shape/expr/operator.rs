//! The operators, how they are written, and which each kind of subject has.

/// Between a subject and a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operator {
    /// `==`
    Equals,
    /// `!=`: not `==`.
    Differs,
    /// `^=`: begins with.
    Begins,
    /// `$=`: ends with.
    Ends,
    /// `*=`: contains.
    Contains,
    /// `=~`: a regular expression is found in it.
    Matches,
    /// `!~`: not `=~`.
    MatchesNot,
    /// `~~`: a glob fits all of it.
    Fits,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    More,
    /// `>=`
    AtLeast,
    /// `in`: one of a list.
    In,
}

use Operator::{
    AtLeast, AtMost, Begins, Contains, Differs, Ends, Equals, Fits, In, Less, Matches, MatchesNot,
    More,
};

impl Operator {
    /// Those that are signs; none stands behind one that it begins with.
    pub const SIGNS: [(Self, &'static str); 12] = [
        (Equals, "=="),
        (Differs, "!="),
        (Begins, "^="),
        (Ends, "$="),
        (Contains, "*="),
        (Matches, "=~"),
        (MatchesNot, "!~"),
        (Fits, "~~"),
        (AtMost, "<="),
        (AtLeast, ">="),
        (Less, "<"),
        (More, ">"),
    ];
    /// Of texts.
    pub const OF_TEXTS: &'static [Self] =
        &[Equals, Differs, Begins, Ends, Contains, Matches, MatchesNot, Fits, In];
    /// Of texts that may be numbers.
    pub const OF_VALUES: &'static [Self] = &[
        Equals, Differs, Begins, Ends, Contains, Matches, MatchesNot, Fits, Less, AtMost, More,
        AtLeast, In,
    ];
    /// Of numbers.
    pub const OF_NUMBERS: &'static [Self] = &[Equals, Differs, Less, AtMost, More, AtLeast, In];
    /// Of addresses.
    pub const OF_ADDRESSES: &'static [Self] = &[Equals, Differs, In];

    /// As it is written.
    pub fn sign(self) -> &'static str {
        Self::SIGNS.iter().find(|(operator, _)| *operator == self).map_or("in", |(_, sign)| sign)
    }

    /// Whether it holds where another does not: `!=` and `==`.
    pub fn is_negation(self) -> bool {
        matches!(self, Differs | MatchesNot)
    }

    /// A list of them, to be read.
    pub fn list(operators: &[Self]) -> String {
        operators.iter().map(|operator| operator.sign()).collect::<Vec<_>>().join(" ")
    }
}
