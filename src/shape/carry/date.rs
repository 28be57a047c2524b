//! Dates of HTTP and of cookies (RFC 9110 section 5.6.7, RFC 6265 section 5.1.1), to tell which of two is earlier.

/// Year, month, day, and second of the day.
pub(super) type Moment = (u32, u32, u32, u32);

/// Reads `Thu, 01 Jan 1970 00:00:00 GMT`, with dashes or the year last as well.
pub(super) fn parse(text: &[u8]) -> Option<Moment> {
    const MONTHS: [&str; 12] =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let text = std::str::from_utf8(text).ok()?.to_ascii_lowercase();
    let (mut year, mut month, mut day, mut second) = (None, None, None, None);
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != ':');
    for word in words.filter(|word| !word.is_empty()).take(16) {
        if word.contains(':') {
            let mut parts = word.split(':').map(|part| part.parse::<u32>().ok());
            let (hour, minute) = (parts.next()??, parts.next()??);
            second = Some(hour.min(24) * 3600 + minute.min(60) * 60 + parts.next()??.min(60));
        } else if let Ok(number) = word.parse::<u32>() {
            match (day, word.len()) {
                (None, 1 | 2) => day = Some(number),
                // RFC 6265 section 5.1.1.
                (Some(_), 2) => year = Some(number + if number < 70 { 2000 } else { 1900 }),
                _ => year = Some(number),
            }
        } else if let Some(at) = MONTHS.iter().position(|name| word.starts_with(name)) {
            month = month.or(u32::try_from(at).ok());
        }
    }
    Some((year?, month?, day?, second.unwrap_or_default()))
}
