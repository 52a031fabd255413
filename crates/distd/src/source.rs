//! Where a request comes from: the peer of the connection, or what a proxy that is trusted says.
//!
//! Anybody can write forwarding headers. They are believed only from the proxies that the settings
//! name, and only as far back as these vouch for each other: the nearest address that is none of
//! theirs is the visitor's.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::HeaderMap;
use ipnet::IpNet;

const FORWARDED_FOR: &str = "x-forwarded-for";
const FORWARDED_PROTO: &str = "x-forwarded-proto";
const FORWARDED_HOST: &str = "x-forwarded-host";

/// Where a request comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    /// The visitor's address.
    pub address: IpAddr,
    /// The host that the visitor asked, where a proxy asked another one.
    pub host: Option<Arc<str>>,
    /// True where a proxy says that the visitor came over TLS.
    pub is_https: bool,
}

/// The proxies that are believed.
#[derive(Debug, Default)]
pub(crate) struct Proxies(Vec<IpNet>);

impl Proxies {
    pub(crate) fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// The networks that they are in.
    pub(crate) fn networks(&self) -> &[IpNet] {
        &self.0
    }

    fn trust(&self, address: IpAddr) -> bool {
        // A socket that takes both sees IPv4 addresses as IPv6 ones.
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Where a request comes from whose connection's other end is `peer`.
    pub(crate) fn source(&self, peer: Option<SocketAddr>, headers: &HeaderMap) -> Source {
        let peer = peer.map_or(IpAddr::from([0; 4]), |peer| peer.ip());
        let direct = Source {
            address: peer.to_canonical(),
            host: None,
            is_https: false,
        };
        if !self.trust(peer) {
            return direct;
        }
        let elements = forwarded(headers);
        let standard = self.visitor(peer, elements.iter().map(|element| element.r#for.as_deref()));
        let usual = list(headers, FORWARDED_FOR);
        let usual = self.visitor(peer, usual.iter().map(|address| Some(address.as_str())));
        let address = match (standard, usual) {
            // A proxy that writes one header may pass the visitor's own other one on: where they
            // disagree, neither is believed.
            (Some(standard), Some(usual)) if standard != usual => direct.address,
            (standard, usual) => standard.or(usual).unwrap_or(direct.address),
        };
        let nearest = elements.last();
        let host = nearest.and_then(|element| element.host.clone());
        let proto = nearest.and_then(|element| element.proto.clone());
        Source {
            address,
            host: host.or_else(|| list(headers, FORWARDED_HOST).pop()).map(Arc::from),
            is_https: proto.or_else(|| list(headers, FORWARDED_PROTO).pop()).as_deref() == Some("https"),
        }
    }

    /// Goes back from the nearest hop; an address that is not one ends what can be believed.
    fn visitor<'a>(&self, peer: IpAddr, hops: impl DoubleEndedIterator<Item = Option<&'a str>>) -> Option<IpAddr> {
        let mut visitor = None;
        for hop in hops.rev() {
            if !self.trust(visitor.unwrap_or(peer)) {
                break;
            }
            let Some(address) = hop.and_then(address) else { break };
            visitor = Some(address.to_canonical());
        }
        visitor
    }
}

/// One hop of a `Forwarded` header (RFC 7239, section 4).
#[derive(Default)]
struct Element {
    r#for: Option<String>,
    host: Option<String>,
    proto: Option<String>,
}

fn forwarded(headers: &HeaderMap) -> Vec<Element> {
    let hops = list(headers, "forwarded");
    let element = |hop: &String| {
        let mut element = Element::default();
        for (name, value) in hop.split(';').filter_map(|pair| pair.split_once('=')) {
            let value = Some(value.trim().trim_matches('"').to_owned());
            match name.trim().to_ascii_lowercase().as_str() {
                "for" => element.r#for = value,
                "host" => element.host = value,
                "proto" => element.proto = value,
                _ => {}
            }
        }
        element
    };
    hops.iter().map(element).collect()
}

/// The members of a header that is a list, over all its lines; the nearest hop's is the last.
fn list(headers: &HeaderMap, name: &str) -> Vec<String> {
    let lines = headers.get_all(name).into_iter();
    let lines = lines.filter_map(|line| line.to_str().ok());
    let members = lines.flat_map(|line| line.split(','));
    members.map(|member| member.trim().to_owned()).collect()
}

/// An address as proxies write it: bare, in brackets, with a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = || text.trim_start_matches('[').trim_end_matches(']').parse().ok();
    text.parse::<SocketAddr>().map(|socket| socket.ip()).ok().or_else(bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(peer: &str, headers: &[(&'static str, &str)]) -> Source {
        let trusted = ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap());
        let headers = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        Proxies::new(trusted.to_vec()).source(Some(SocketAddr::new(peer.parse().unwrap(), 1)), &headers)
    }

    #[test]
    fn only_trusted_proxies_are_believed_and_only_what_they_saw() {
        for (peer, headers, found) in [
            ("192.0.2.1", &[("x-forwarded-for", "198.51.100.7")][..], "192.0.2.1"),
            ("192.0.2.1", &[("forwarded", "for=198.51.100.7")], "192.0.2.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &[("x-forwarded-for", "198.51.100.7")], "198.51.100.7"),
            (
                "::ffff:10.0.0.1",
                &[("x-forwarded-for", "198.51.100.7")],
                "198.51.100.7",
            ),
            // The visitor wrote the first one; the proxy added where it really came from.
            (
                "10.0.0.1",
                &[("x-forwarded-for", "203.0.113.9, 198.51.100.7")],
                "198.51.100.7",
            ),
            (
                "10.0.0.1",
                &[("x-forwarded-for", "203.0.113.9"), ("x-forwarded-for", "198.51.100.7")],
                "198.51.100.7",
            ),
            (
                "10.0.0.1",
                &[("x-forwarded-for", "203.0.113.9, 198.51.100.7, 10.0.0.2")],
                "198.51.100.7",
            ),
            ("10.0.0.1", &[("x-forwarded-for", "10.0.0.3, 10.0.0.2")], "10.0.0.3"),
            ("10.0.0.1", &[("x-forwarded-for", "nonsense")], "10.0.0.1"),
            (
                "10.0.0.1",
                &[("x-forwarded-for", "198.51.100.7, nonsense, 10.0.0.2")],
                "10.0.0.2",
            ),
            (
                "fd00::1",
                &[("forwarded", "For=\"[2001:db8::7]:4711\";proto=https")],
                "2001:db8::7",
            ),
            ("10.0.0.1", &[("forwarded", "for=unknown")], "10.0.0.1"),
            (
                "10.0.0.1",
                &[("forwarded", "for=203.0.113.9"), ("x-forwarded-for", "198.51.100.7")],
                "10.0.0.1",
            ),
            (
                "10.0.0.1",
                &[("forwarded", "for=198.51.100.7"), ("x-forwarded-for", "198.51.100.7")],
                "198.51.100.7",
            ),
        ] {
            let address = source(peer, headers).address;
            assert_eq!(address, found.parse::<IpAddr>().unwrap(), "{peer} {headers:?}");
        }
    }

    #[test]
    fn a_proxy_tells_what_the_visitor_asked() {
        let told = [("x-forwarded-proto", "https"), ("x-forwarded-host", "get.example.org")];
        let through = source("10.0.0.1", &told);
        assert_eq!(
            (through.host.as_deref(), through.is_https),
            (Some("get.example.org"), true)
        );
        let direct = source("192.0.2.1", &told);
        assert_eq!((direct.host, direct.is_https), (None, false));
        let standard = source(
            "10.0.0.1",
            &[("forwarded", "host=get.example.org;proto=https;for=192.0.2.1")],
        );
        assert_eq!(
            (standard.host.as_deref(), standard.is_https),
            (Some("get.example.org"), true)
        );
    }
}
