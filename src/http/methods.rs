//! The methods that are registered, for telling a message start from bytes that only look like one.
//!
//! In step any token is a method (RFC 9110 9.1). Out of step a token may be what a hole has left of a
//! method, or the end of a body with a method right behind it.

/// IANA's registry of methods, and a few that are in wide use.
const REGISTERED: [&[u8]; 47] = [
    b"GET",
    b"HEAD",
    b"POST",
    b"PUT",
    b"DELETE",
    b"CONNECT",
    b"OPTIONS",
    b"TRACE",
    b"PATCH",
    b"QUERY",
    b"ACL",
    b"BASELINE-CONTROL",
    b"BIND",
    b"CHECKIN",
    b"CHECKOUT",
    b"COPY",
    b"LABEL",
    b"LINK",
    b"LOCK",
    b"MERGE",
    b"MKACTIVITY",
    b"MKCALENDAR",
    b"MKCOL",
    b"MKREDIRECTREF",
    b"MKWORKSPACE",
    b"MOVE",
    b"ORDERPATCH",
    b"PROPFIND",
    b"PROPPATCH",
    b"REBIND",
    b"REPORT",
    b"SEARCH",
    b"UNBIND",
    b"UNCHECKOUT",
    b"UNLINK",
    b"UNLOCK",
    b"UPDATE",
    b"UPDATEREDIRECTREF",
    b"VERSION-CONTROL",
    b"PURGE",
    b"BAN",
    b"REFRESH",
    b"NOTIFY",
    b"SUBSCRIBE",
    b"UNSUBSCRIBE",
    b"M-SEARCH",
    b"DEBUG",
];

/// Whether this token is a method that is known by name.
pub(super) fn is_registered(method: &[u8]) -> bool {
    REGISTERED.contains(&method)
}

/// Whether an unregistered token may be taken for a method out of step: in capitals, not the rest of a
/// method of which the beginning was missed, and not the end of a body with a method right behind it.
pub(super) fn is_plausible(token: &[u8]) -> bool {
    let is_capital = |b: &u8| b.is_ascii_uppercase() || matches!(b, b'-' | b'_');
    let is_part = |method: &&[u8]| method.ends_with(token) || token.ends_with(method);
    token.iter().all(is_capital) && !REGISTERED.iter().any(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_hole_makes_of_methods_is_told_from_methods() {
        for token in [&b"T"[..], b"ET", b"OST", b"ELETE", b"tailGET", b"0PUT", b"ABCGET", b"word"] {
            assert!(!is_plausible(token) && !is_registered(token));
        }
        assert!(is_registered(b"LOCK") && is_plausible(b"FROB"));
    }
}
