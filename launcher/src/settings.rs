//! The launcher's own variables. Read only when there is something to resolve.

use std::ffi::{OsStr, OsString};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use keyward_proto::{CONTAINER_VARIABLE, REFERENCES_VARIABLE};
use rustls::pki_types::ServerName;
use tonic::transport::Uri;

use crate::args::is_label;
use crate::environment::Own;

const BROKER: &str = "KEYWARD_BROKER";
const BROKER_IP: &str = "KEYWARD_BROKER_IP";
const CA_FILE: &str = "KEYWARD_CA_FILE";
const TOKEN_FILE: &str = "KEYWARD_TOKEN_FILE";
const DEADLINE: &str = "KEYWARD_DEADLINE";

/// The container's effective restart policy: `Never` lets the launcher clean up after itself.
pub const RESTART_POLICY: &str = "KEYWARD_RESTART_POLICY";

/// What the application never sees: exactly these. What the webhook found when it admitted the pod is for the broker, which
/// can read a pod; nothing here uses it.
pub const OWN_VARIABLES: [&str; 8] =
    [BROKER, BROKER_IP, CA_FILE, TOKEN_FILE, DEADLINE, RESTART_POLICY, CONTAINER_VARIABLE, REFERENCES_VARIABLE];

const DEFAULT_CA_FILE: &str = "/var/run/secrets/keyward.dev/ca.crt";
const DEFAULT_TOKEN_FILE: &str = "/var/run/secrets/keyward.dev/token";
const DEFAULT_DEADLINE: Duration = Duration::from_secs(120);
const LONGEST_DEADLINE: Duration = Duration::from_secs(3_600);

/// Where the broker is, how to trust it and how long to try.
#[derive(Debug, PartialEq, Eq)]
pub struct Settings {
    /// The broker's name and port. The certificate must be for this name.
    pub broker: Broker,
    /// An address to try before the name is looked up.
    pub broker_ip: Option<IpAddr>,
    /// The only authorities trusted.
    pub ca_file: PathBuf,
    /// This pod's projected token.
    pub token_file: PathBuf,
    /// Time for all tries together.
    pub deadline: Duration,
    /// Which container of its pod this is, where that was said.
    pub container: Option<String>,
}

/// `https://HOST:PORT`, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// The whole, as requests name it.
    pub origin: Uri,
    /// A DNS name or an IP address, without brackets.
    pub host: String,
    /// 443 unless given.
    pub port: u16,
}

/// Which variable is wrong.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// There are references and no broker to ask.
    #[error("KEYWARD_BROKER is not set and there are references to resolve: set it to https://HOST:PORT of the broker")]
    NoBroker,
    /// A value that cannot be used.
    #[error("{variable}={value:?} is not {expected}")]
    Invalid {
        /// The variable.
        variable: &'static str,
        /// What it holds.
        value: OsString,
        /// What it should hold.
        expected: &'static str,
    },
}

impl Settings {
    /// Reads what is set, and the defaults for what is not.
    pub fn read(own: &Own) -> Result<Self, SettingsError> {
        let broker = own.get(BROKER).ok_or(SettingsError::NoBroker)?;
        let file = |name, default: &str| own.get(name).map_or_else(|| default.into(), PathBuf::from);
        Ok(Self {
            broker: parsed(BROKER, broker, "https://HOST:PORT", parse_broker)?,
            broker_ip: own
                .get(BROKER_IP)
                .map(|ip| parsed(BROKER_IP, ip, "an IP address", |t| t.parse().ok()))
                .transpose()?,
            ca_file: file(CA_FILE, DEFAULT_CA_FILE),
            token_file: file(TOKEN_FILE, DEFAULT_TOKEN_FILE),
            deadline: own.get(DEADLINE).map_or(Ok(DEFAULT_DEADLINE), |text| {
                parsed(DEADLINE, text, "a time from 1ms to 1h, such as 500ms, 90s or 2m", parse_deadline)
            })?,
            container: own
                .get(CONTAINER_VARIABLE)
                .map(|name| parsed(CONTAINER_VARIABLE, name, "the name of a container", parse_container))
                .transpose()?,
        })
    }
}

fn parsed<T>(
    variable: &'static str,
    value: &OsStr,
    expected: &'static str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T, SettingsError> {
    let invalid = || SettingsError::Invalid { variable, value: value.to_owned(), expected };
    value.to_str().and_then(parse).ok_or_else(invalid)
}

fn parse_broker(text: &str) -> Option<Broker> {
    let origin: Uri = text.parse().ok()?;
    let authority = origin.authority()?;
    let bare = origin.scheme_str() == Some("https") && origin.path() == "/" && origin.query().is_none();
    if !bare || authority.as_str().contains('@') {
        return None;
    }
    let host = authority.host();
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host).to_owned();
    ServerName::try_from(host.as_str()).ok()?;
    // `https://host:` and a port that is no number leave something that `port_u16` does not see.
    let port = match authority.as_str().rsplit_once(':') {
        Some((_, port)) if !port.ends_with(']') => port.parse().ok().filter(|port| *port != 0)?,
        _ => 443,
    };
    Some(Broker { origin, host, port })
}

fn parse_container(text: &str) -> Option<String> {
    is_label(text).then(|| text.to_owned())
}

fn parse_deadline(text: &str) -> Option<Duration> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    let deadline = Duration::from_millis(number.checked_mul(millis)?);
    (!deadline.is_zero() && deadline <= LONGEST_DEADLINE).then_some(deadline)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_broker_has_no_default() {
        assert_eq!(Settings::read(&Own::default()), Err(SettingsError::NoBroker));
        let settings = Settings::read(&Own::from([(BROKER, "https://broker.keyward.svc:8443")])).unwrap();
        assert_eq!((settings.broker.host.as_str(), settings.broker.port), ("broker.keyward.svc", 8443));
        assert_eq!(settings.broker_ip, None);
        assert_eq!(settings.ca_file, PathBuf::from(DEFAULT_CA_FILE));
        assert_eq!(settings.token_file, PathBuf::from(DEFAULT_TOKEN_FILE));
        assert_eq!(settings.deadline, Duration::from_secs(120));
        assert_eq!(settings.container, None);
    }

    #[test]
    fn a_container_has_the_name_that_the_webhook_wrote_or_it_is_refused() {
        let read = |name: &str| Settings::read(&Own::from([(BROKER, "https://b:1"), (CONTAINER_VARIABLE, name)]));
        assert_eq!(read("app-1").unwrap().container.as_deref(), Some("app-1"));
        for name in ["", "App", "a b", "$(NAME)", "-a"] {
            let error = read(name).unwrap_err().to_string();
            assert!(
                error.starts_with("KEYWARD_CONTAINER=") && error.ends_with("is not the name of a container"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_broker_is_an_https_origin_and_nothing_more() {
        for (text, host, port) in [
            ("https://b", "b", 443),
            ("https://b:1/", "b", 1),
            ("https://10.0.0.1:8443", "10.0.0.1", 8443),
            ("https://[fd00::1]:8443", "fd00::1", 8443),
            ("https://[fd00::1]", "fd00::1", 443),
        ] {
            let broker = parse_broker(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((broker.host.as_str(), broker.port), (host, port), "{text}");
        }
        for text in [
            "",
            "b:1",
            "http://b:1",
            "https://",
            "https://b:",
            "https://b:0",
            "https://b:99999",
            "https://b:x",
            "https://b/p",
            "https://b?q",
            "https://u@b",
            "https://b_b..:1",
            " https://b",
        ] {
            assert_eq!(parse_broker(text), None, "{text}");
        }
    }

    #[test]
    fn a_deadline_has_a_unit_and_a_bound() {
        for (text, millis) in [("500ms", 500), ("90s", 90_000), ("2m", 120_000), ("1h", 3_600_000)] {
            assert_eq!(parse_deadline(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in
            ["", "5", "s", "0s", "-1s", "1.5s", "61m", "1d", "1 s", "99999999999999999999h", "18446744073709551615h"]
        {
            assert_eq!(parse_deadline(text), None, "{text}");
        }
    }

    #[test]
    fn a_bad_value_is_named_with_its_variable() {
        let own = Own::from([(BROKER, "https://b:1"), (BROKER_IP, "10.0.0.256")]);
        let error = Settings::read(&own).unwrap_err().to_string();
        assert_eq!(error, r#"KEYWARD_BROKER_IP="10.0.0.256" is not an IP address"#);
    }
}
