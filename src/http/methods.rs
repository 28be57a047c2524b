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

/// Whether this token may be the rest of a method of which the beginning was missed.
pub(super) fn may_be_rest(method: &[u8]) -> bool {
    !is_registered(method) && REGISTERED.iter().any(|whole| whole.ends_with(method))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_of_methods_are_told_from_methods() {
        for rest in [&b"T"[..], b"ET", b"OST", b"ELETE"] {
            assert!(may_be_rest(rest) && !is_registered(rest));
        }
        for method in [&b"GET"[..], b"LOCK", b"FROB", b"get"] {
            assert!(!may_be_rest(method));
        }
    }
}
