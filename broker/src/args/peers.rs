//! Where the other replicas are.

/// `--peers`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeersArg {
    /// At these addresses, `HOST:PORT` each.
    Addresses(Vec<String>),
    /// Behind this headless Service.
    Service(String),
}

const SCHEME: &str = "kubernetes:";

pub(super) fn parse(text: &str) -> Result<PeersArg, String> {
    if let Some(service) = text.strip_prefix(SCHEME) {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        return if !service.is_empty() && service.len() <= 63 && service.bytes().all(plain) {
            Ok(PeersArg::Service(service.to_owned()))
        } else {
            Err(format!("`{service}` is no name of a Service"))
        };
    }
    let addresses = text.split(',').map(str::trim).filter(|address| !address.is_empty()).map(address);
    let addresses = addresses.collect::<Result<Vec<_>, _>>()?;
    if addresses.is_empty() { Err("name at least one address".to_owned()) } else { Ok(PeersArg::Addresses(addresses)) }
}

fn address(text: &str) -> Result<String, String> {
    let refused = || format!("`{}` is no HOST:PORT", text.escape_debug());
    let uri: http::uri::Authority = text.parse().map_err(|_| refused())?;
    let whole = uri.port_u16().is_some_and(|port| port > 0) && !uri.host().is_empty() && !text.contains('@');
    if whole { Ok(text.to_owned()) } else { Err(refused()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_services_are_told_apart_and_nothing_else_is_taken() {
        let addresses = |all: &[&str]| Ok(PeersArg::Addresses(all.iter().map(ToString::to_string).collect()));
        assert_eq!(parse("127.0.0.1:8443"), addresses(&["127.0.0.1:8443"]));
        assert_eq!(parse("a.example:1, b:2,[::1]:3,"), addresses(&["a.example:1", "b:2", "[::1]:3"]));
        assert_eq!(parse("kubernetes:keyward-broker-peers"), Ok(PeersArg::Service("keyward-broker-peers".to_owned())));
        for wrong in [
            "",
            ",",
            "a",
            "a:",
            "a:0",
            "a:70000",
            ":1",
            "u@a:1",
            "https://a:1",
            "a:1/x",
            "a b:1",
            "kubernetes:",
            "kubernetes:A",
            "kubernetes:a.b",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
