//! Texts of flags → what they mean, or what is wrong. Pure.

use std::{convert::Infallible, time::Duration};

use url::Url;

/// What a quantity may end with, as Kubernetes writes it.
const SUFFIXES: [&str; 16] = ["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
/// The longest that an API server waits for a webhook.
const LONGEST_REVIEW: Duration = Duration::from_secs(30);

pub(super) fn broker(text: &str) -> Result<Url, String> {
    let url: Url = text.trim().parse().map_err(|error: url::ParseError| error.to_string())?;
    let plain = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    if url.scheme() == "https" && url.has_host() && plain { Ok(url) } else { Err("https://HOST:PORT".to_owned()) }
}

pub(super) fn image(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err("an image as a pod names it".to_owned());
    }
    Ok(text.to_owned())
}

/// More than nothing: a container without a request would cost a Guaranteed pod its class.
pub(super) fn quantity(text: &str) -> Result<String, String> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let is_number = number.parse::<f64>().is_ok_and(|number| number > 0.0) && !number.ends_with('.');
    if is_number && SUFFIXES.contains(&suffix) {
        Ok(text.to_owned())
    } else {
        Err("a quantity above zero as Kubernetes writes it, as in 100m or 24Mi".to_owned())
    }
}

pub(super) fn review_deadline(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if (Duration::from_secs(1)..LONGEST_REVIEW).contains(&duration) {
        Ok(duration)
    } else {
        Err("from 1s to less than 30s, and less than timeoutSeconds of the MutatingWebhookConfiguration".to_owned())
    }
}

pub(super) fn launcher_deadline(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if duration < Duration::from_millis(1) { Err("longer than nothing".to_owned()) } else { Ok(duration) }
}

pub(super) fn architecture(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if text.is_empty() || !text.chars().all(fits) {
        return Err("an architecture as in kubernetes.io/arch, such as amd64 or arm64".to_owned());
    }
    Ok(text.to_owned())
}

/// This program's own: nodes are probably alike.
pub(super) fn own_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

pub(super) fn client_id(text: &str) -> Result<String, String> {
    let text = text.trim();
    let lengths = text.split('-').map(str::len);
    let hexadecimal = text.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    if hexadecimal && lengths.eq([8, 4, 4, 4, 12]) { Ok(text.to_owned()) } else { Err("a UUID".to_owned()) }
}

#[allow(clippy::unnecessary_wraps, reason = "clap asks for a result")]
pub(super) fn trimmed(text: &str) -> Result<String, Infallible> {
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_kubernetes_own() {
        for good in ["100m", "0.5", "1", "24Mi", "1.5Gi", "128974848", "1k"] {
            assert_eq!(quantity(good).as_deref(), Ok(good));
        }
        for bad in ["", "0", "0m", "-1", "1.", ".", "1e3e", "24MiB", "24 Mi", "mi", "NaN", "inf"] {
            assert!(quantity(bad).is_err(), "{bad}");
        }
    }
}
