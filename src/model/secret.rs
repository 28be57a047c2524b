//! Replaced secrets: how a value that stands in a recording for a secret is told from every other.
//!
//! The prefix, then the beginning of a keyed hash in lower-case hexadecimal digits. Who makes such values
//! is the `shape` room; who reads recordings finds them here, in whatever format they come.

/// What every replaced value begins with.
pub const SECRET_PREFIX: &str = "shadowtap-secret-";

/// Hexadecimal digits behind the prefix: 128 bits, so that two values of one recording never meet by chance.
pub const SECRET_DIGITS: usize = 32;

/// How many replaced values stand in these bytes.
pub fn replaced_secrets(bytes: &[u8]) -> u32 {
    let places = memchr::memmem::find_iter(bytes, SECRET_PREFIX.as_bytes());
    let is_digit = |b: &u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    let is_whole = |at: &usize| {
        let start = at + SECRET_PREFIX.len();
        let digits = bytes.get(start..start + SECRET_DIGITS);
        digits.is_some_and(|digits| digits.iter().all(is_digit))
    };
    u32::try_from(places.filter(is_whole).count()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_replaced_values_are_counted_and_nothing_else() {
        let whole = format!("{SECRET_PREFIX}{}", "0a".repeat(SECRET_DIGITS / 2));
        let cut = &whole[..whole.len() - 1];
        for (text, want) in [
            (String::new(), 0),
            (whole.clone(), 1),
            (format!("a={whole}; b={whole}"), 2),
            (cut.to_owned(), 0),
            (format!("{cut}X"), 0),
            (format!("{SECRET_PREFIX}{whole}"), 1),
        ] {
            assert_eq!(replaced_secrets(text.as_bytes()), want, "{text}");
        }
    }
}
