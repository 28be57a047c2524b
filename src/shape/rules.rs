//! Which requests the rules let go on: `--only`, `--except`, `--path`.
//!
//! In: a request, and v1's status once it is known. Out: whether it goes on. All of `only` must hold and none of
//! `except` may. Without rules nothing is looked at.

use std::sync::Arc;

use super::expr::{Expr, Truth};
use crate::model::Message;

/// See the module's description.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    only: Arc<[Expr]>,
    except: Arc<[Expr]>,
    needs_status: bool,
}

impl Rules {
    /// All of these must hold, and none of those.
    pub fn new(only: Vec<Expr>, except: Vec<Expr>) -> Self {
        let needs_status = only.iter().chain(&except).any(Expr::needs_status);
        Self { only: only.into(), except: except.into(), needs_status }
    }

    /// Whether every request goes on.
    pub fn is_empty(&self) -> bool {
        self.only.is_empty() && self.except.is_empty()
    }

    /// Whether any rule asks for v1's status.
    pub fn needs_status(&self) -> bool {
        self.needs_status
    }

    /// Whether this request, to which v1 answered so, goes on.
    pub fn let_on(&self, request: &Message, status: Option<u16>) -> Truth {
        let only = self.only.iter().map(|expr| expr.holds(request, status));
        let except = self.except.iter().map(|expr| !expr.holds(request, status));
        Truth::all(only.chain(except))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::shape::expr::tests::request;

    #[test]
    fn all_of_only_must_hold_and_none_of_except_may() {
        let parse = |texts: &[&str]| texts.iter().map(|text| Expr::parse(text).unwrap()).collect();
        let message = request("GET /a HTTP/1.1\nx: 1\ny: 2", b"");
        for (only, except, want) in [
            (&[][..], &[][..], Truth::Yes),
            (&["header x", "header y"], &[], Truth::Yes),
            (&["header x", "header z"], &[], Truth::No),
            (&[], &["header z"], Truth::Yes),
            (&[], &["header z", "header y"], Truth::No),
            (&["header x"], &["header x"], Truth::No),
            (&["header x", "status == 200"], &["header z"], Truth::Unknown),
            (&["status == 200"], &["header y"], Truth::No),
            (&[], &["status == 200 and header z"], Truth::Yes),
        ] {
            let rules = Rules::new(parse(only), parse(except));
            assert_eq!(rules.let_on(&message, None), want, "{only:?} {except:?}");
            assert_eq!(rules.is_empty(), only.is_empty() && except.is_empty());
        }
    }
}
