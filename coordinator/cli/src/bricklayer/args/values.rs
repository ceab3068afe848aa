//! What the values of flags may be.

use std::time::Duration;

use bricklayer_api::size::ByteSize;

/// A plain number is in GiB, as heketi's; with a unit it is taken at its word.
pub fn size(text: &str) -> Result<ByteSize, String> {
    let size = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().ok().and_then(ByteSize::from_gib).ok_or("too large")?
    } else {
        text.parse::<ByteSize>().map_err(|error| error.to_string())?
    };
    if size == ByteSize::ZERO {
        return Err("a size must be more than nothing".to_owned());
    }
    if i64::try_from(size.bytes()).is_err() {
        return Err("too large".to_owned());
    }
    Ok(size)
}

/// heketi's block volumes come in GiB.
pub fn whole_gib(text: &str) -> Result<i64, String> {
    let size = size(text)?;
    if ByteSize::from_gib(size.whole_gib()) != Some(size) {
        return Err(format!(
            "block volumes come in whole GiB; the next ones are {} and {}",
            size.whole_gib(),
            size.whole_gib() + 1
        ));
    }
    i64::try_from(size.whole_gib()).map_err(|_| "too large".to_owned())
}

/// `30s`, `5m`, `2h`, `1d`, `500ms`; a plain number is in seconds.
pub fn duration(text: &str) -> Result<Duration, String> {
    const WRONG: &str = "write a whole number and ms, s, m, h or d, such as 30s";
    let (number, unit) = text.split_at(text.bytes().take_while(u8::is_ascii_digit).count());
    let unit_ms: u64 = match unit {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(WRONG.to_owned()),
    };
    let number: u64 = number.parse().map_err(|_| WRONG.to_owned())?;
    match number.checked_mul(unit_ms) {
        Some(0) => Err("it must be more than nothing".to_owned()),
        Some(ms) => Ok(Duration::from_millis(ms)),
        None => Err("too long".to_owned()),
    }
}

/// Whole seconds, with a unit: 30 would be a likely slip for minutes.
pub fn ttl_seconds(text: &str) -> Result<u64, String> {
    let held = duration(text)?;
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("say the unit, such as 30m".to_owned());
    }
    match held.as_secs() {
        0 => Err("an invitation must hold for at least a second".to_owned()),
        seconds => Ok(seconds),
    }
}

/// Whole seconds, with a unit; 0 is not at all.
pub fn keep_seconds(text: &str) -> Result<u64, String> {
    if matches!(text, "0" | "0s") {
        return Ok(0);
    }
    let kept = duration(text)?;
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("say the unit, such as 7d".to_owned());
    }
    match kept.as_secs() {
        0 => Err("a volume is kept for at least a second; 0 is not at all".to_owned()),
        seconds => Ok(seconds),
    }
}

pub fn snapshot_factor(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(factor) if (1.0..=100.0).contains(&factor) => Ok(factor),
        _ => Err("write a number from 1 to 100, such as 1.5".to_owned()),
    }
}

/// `name:value`, heketi's way, or `name=value`.
pub fn tag(text: &str) -> Result<(String, String), String> {
    match text.split_once([':', '=']) {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as NAME:VALUE, such as rack:r1".to_owned()),
    }
}

pub fn method(text: &str) -> Result<String, String> {
    match text {
        "GET" | "POST" | "PATCH" | "DELETE" => Ok(text.to_owned()),
        _ => Err("write GET, POST, PATCH or DELETE".to_owned()),
    }
}

pub fn path(text: &str) -> Result<String, String> {
    match text {
        text if text.starts_with('/') && !text.contains(['?', '#']) => Ok(text.to_owned()),
        _ => Err("a path begins with a slash and has no query, such as /volumes".to_owned()),
    }
}

/// An object's name of Kubernetes.
pub fn object_name(text: &str) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let edges = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    if bytes.len() <= 63 && bytes.iter().copied().all(allowed) && edges(bytes.first()) && edges(bytes.last()) {
        return Ok(text.to_owned());
    }
    Err("Kubernetes takes up to 63 small letters, digits and dashes, and no dash at an end".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_size_is_in_gib_and_a_unit_is_taken_at_its_word() {
        let gib = |gib| Ok(ByteSize::from_gib(gib).unwrap());
        assert_eq!(size("8"), gib(8));
        assert_eq!(size("8GiB"), gib(8));
        assert_eq!(size("1T"), gib(1024));
        assert_eq!(size("2048MiB"), gib(2));
        assert_eq!(size("1537MiB"), Ok(ByteSize::from_mib(1537).unwrap()));
        for text in ["", "0", "-8", "8.5", "8GB", "0GiB", "99999999999999999999", "18446744073709551615", "9EiB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_block_volume_that_is_not_whole_gib_is_refused_with_the_next_ones() {
        assert_eq!(whole_gib("8"), Ok(8));
        assert_eq!(whole_gib("1537MiB").unwrap_err(), "block volumes come in whole GiB; the next ones are 1 and 2");
    }

    #[test]
    fn a_time_to_live_needs_a_number_and_a_unit() {
        assert_eq!(ttl_seconds("30m"), Ok(1800));
        assert_eq!(ttl_seconds("1d"), Ok(86_400));
        for text in ["", "m", "30", "0m", "-1m", "1.5h", "30 m", "500ms", "99999999999999999999s"] {
            assert!(ttl_seconds(text).is_err(), "{text}");
        }
        assert_eq!(duration("30"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
    }

    #[test]
    fn a_time_to_keep_needs_a_unit_or_is_nothing() {
        assert_eq!(keep_seconds("7d"), Ok(7 * 86_400));
        assert_eq!(keep_seconds("0"), Ok(0));
        for text in ["7", "", "500ms", "-1d", "1w"] {
            assert!(keep_seconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_tag_is_split_at_its_first_colon_or_equals_sign() {
        assert_eq!(tag("a:b:c"), Ok(("a".to_owned(), "b:c".to_owned())));
        assert_eq!(tag("a=b:c"), Ok(("a".to_owned(), "b:c".to_owned())));
        assert_eq!(tag("a:"), Ok(("a".to_owned(), String::new())));
        assert!(tag("a").is_err() && tag(":b").is_err());
    }

    #[test]
    fn names_of_kubernetes_are_labels_of_dns() {
        assert!(object_name("glusterfs-a1").is_ok());
        for text in ["", "-a", "a-", "A", "a_b", "a.b", &"a".repeat(64)] {
            assert!(object_name(text).is_err(), "{text}");
        }
    }
}
