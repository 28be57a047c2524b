//! What is wrong with an expression, and at which character.
//!
//! In: the expression, a byte of it, what was expected there. Out: three lines for a person: what, the
//! expression (or the part around that byte), a caret below it.

use std::fmt;

use thiserror::Error;

/// Characters shown at most on either side of the caret.
const AROUND: usize = 60;

/// See the module's description.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub struct ExprError {
    text: String,
    /// The byte at which it is.
    pub(super) at: usize,
    /// What is wrong, without where.
    pub(super) what: String,
}

impl ExprError {
    /// This is wrong at this byte.
    pub fn new(text: &str, at: usize, what: impl Into<String>) -> Self {
        Self { text: text.to_owned(), at: at.min(text.len()), what: what.into() }
    }
}

impl fmt::Display for ExprError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, after) = self.text.split_at_checked(self.at).unwrap_or((&self.text, ""));
        let before = before.rsplit('\n').next().unwrap_or_default();
        let after = after.split('\n').next().unwrap_or_default();
        // One column for each character: what moves the cursor otherwise is a space.
        let shown = |c: char| if c.is_control() { ' ' } else { c };
        let skipped = before.chars().count().saturating_sub(AROUND);
        let front = if skipped > 0 { "..." } else { "" };
        let before: String = before.chars().skip(skipped).map(shown).collect();
        let back = if after.chars().nth(AROUND).is_some() { "..." } else { "" };
        let after: String = after.chars().take(AROUND).map(shown).collect();
        let column = front.len() + before.chars().count();
        write!(f, "{}\n    {front}{before}{after}{back}\n    {:column$}^", self.what, "")
    }
}
