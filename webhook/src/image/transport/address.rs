//! Addresses that a registry may not lead to: this machine, its link, and what clouds answer at fixed addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// Azure's host agent, and AWS's metadata by IPv6. Other clouds' are link-local.
const WIRE_SERVER: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);
const AWS_METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254);

const REFUSED: &str = "its address is of this machine, its link or its cloud's metadata";

/// Whether a URL may be followed, as far as it can be told before its name is resolved.
pub(super) fn allowed(url: &Url) -> Result<(), &'static str> {
    let literal = match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address),
        Some(Host::Ipv6(address)) => IpAddr::V6(address),
        Some(Host::Domain(_)) => return Ok(()),
        None => return Err("it names no host"),
    };
    if refused(literal) { Err(REFUSED) } else { Ok(()) }
}

/// Resolves names to addresses that may be followed.
#[derive(Debug)]
pub(super) struct Elsewhere;

impl Resolve for Elsewhere {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found.filter(|address| !refused(address.ip())).collect();
            if allowed.is_empty() {
                return Err(REFUSED.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

fn refused(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let this_network = v4.octets()[0] == 0;
            v4.is_loopback()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_broadcast()
                || this_network
                || v4 == WIRE_SERVER
        }
        IpAddr::V6(v6) => {
            v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_multicast()
                || v6.is_unicast_link_local()
                || v6 == AWS_METADATA
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_its_link_and_metadata_services_are_refused() {
        for bad in [
            "127.0.0.1",
            "127.8.8.8",
            "[::1]",
            "0.0.0.0",
            "[::]",
            "169.254.169.254",
            "[fe80::1]",
            "168.63.129.16",
            "[::ffff:127.0.0.1]",
            "[::ffff:169.254.169.254]",
            "[fd00:ec2::254]",
            "224.0.0.1",
            "2130706433",
            "0x7f.1",
        ] {
            let url = format!("https://{bad}/token").parse().unwrap();
            assert!(allowed(&url).is_err(), "{bad}");
        }
        for good in ["10.1.2.3", "192.168.1.1", "52.1.2.3", "[2603:1030::1]", "[fd00::1]", "auth.example", "localhost"]
        {
            let url = format!("https://{good}/token").parse().unwrap();
            assert!(allowed(&url).is_ok(), "{good}");
        }
    }

    #[tokio::test]
    async fn a_name_for_this_machine_has_no_address() {
        let resolved = Elsewhere.resolve("localhost".parse().unwrap()).await;
        assert!(resolved.err().unwrap().to_string().contains("this machine"));
    }
}
