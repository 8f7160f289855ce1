//! The wall between the laptop Azure and the real one (design invariant 9).

/// Claim that every token of the emulator carries.
pub const EMULATOR_CLAIM: &str = "xms_emulator";

/// Response header that every reply of the emulator carries.
pub const EMULATOR_HEADER: &str = "x-emulator";

/// Prefix of the emulator's key ids.
pub const EMULATOR_KID_PREFIX: &str = "emulator-";

/// Which world this process lives in. Parts refuse what belongs to the other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum World {
    /// Real Entra ID: tokens marked by the emulator are refused.
    Azure,
    /// The emulator: only loopback addresses are dialled, hosts of Microsoft are refused.
    Emulator,
}

/// Whether `host` (without port) is loopback by name or address: `localhost`, `*.localhost`, 127.0.0.0/8, `::1`.
#[must_use]
pub fn is_loopback_host(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = host.parse::<std::net::IpAddr>() {
        return address.is_loopback();
    }
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    host == "localhost" || host.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::is_loopback_host;

    #[test]
    fn only_loopback_counts_as_loopback() {
        for host in ["localhost", "LOCALHOST", "a.localhost", "127.0.0.1", "127.9.9.9", "[::1]", "::1", "localhost."] {
            assert!(is_loopback_host(host), "{host}");
        }
        for host in [
            "",
            "169.254.169.254",
            "login.microsoftonline.com",
            "localhost.evil.com",
            "notlocalhost",
            "0.0.0.0",
            "10.0.0.1",
        ] {
            assert!(!is_loopback_host(host), "{host}");
        }
    }
}
