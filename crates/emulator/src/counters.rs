//! Every request counted per endpoint, readable, so that a test can say "no call".

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use entrant_types::metric;

macro_rules! endpoints {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// An endpoint, as counters and faults name it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Endpoint {
            $($(#[$doc])* $variant,)*
        }

        impl Endpoint {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its name in counters, metrics, faults and the control API.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

endpoints! {
    /// OpenID metadata, v1 and v2.
    Metadata = "metadata",
    /// Instance discovery.
    Discovery = "discovery",
    /// Signing keys.
    Keys = "keys",
    /// Authorization endpoint, page included.
    Authorize = "authorize",
    /// Token endpoint, v1 and v2.
    Token = "token",
    /// Sign-out.
    Logout = "logout",
    /// Device authorization.
    DeviceCode = "device_code",
    /// UserInfo.
    UserInfo = "userinfo",
    /// Admin consent.
    AdminConsent = "admin_consent",
    /// IMDS token endpoint.
    Imds = "imds",
    /// App Service token endpoint.
    AppService = "app_service",
    /// Azure ML token endpoint.
    AzureMl = "azure_ml",
    /// Cloud Shell token endpoint.
    CloudShell = "cloud_shell",
    /// Azure Arc token endpoint.
    Arc = "arc",
    /// Service Fabric token endpoint.
    ServiceFabric = "service_fabric",
    /// IMDS compute document.
    ImdsCompute = "imds_compute",
    /// Metadata and keys of the projected-token issuer.
    WorkloadIssuer = "workload_issuer",
    /// The protected API of `entrant dev`; the emulator does not serve it, but its faults and counts reach there.
    Api = "api",
    /// An AUTH at the Redis gate of `entrant dev`; as for the API.
    Redis = "redis",
    /// Console pages.
    Console = "console",
    /// Control API.
    Control = "control",
    /// Anything else.
    Other = "other",
}

impl Endpoint {
    /// The endpoint with this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|endpoint| endpoint.name() == name)
    }
}

/// Requests answered, per endpoint.
#[derive(Debug)]
pub struct Counters {
    all: Vec<AtomicU64>,
    failed: Vec<AtomicU64>,
}

impl Default for Counters {
    fn default() -> Self {
        let zeros = || Endpoint::ALL.iter().map(|_| AtomicU64::new(0)).collect();
        Self { all: zeros(), failed: zeros() }
    }
}

impl Counters {
    /// Requests that `endpoint` has answered since the start or the last reset, failures included.
    #[must_use]
    pub fn get(&self, endpoint: Endpoint) -> u64 {
        self.all[endpoint as usize].load(Ordering::Relaxed)
    }

    /// Of those, the ones answered with a status of 400 or more.
    #[must_use]
    pub fn failed(&self, endpoint: Endpoint) -> u64 {
        self.failed[endpoint as usize].load(Ordering::Relaxed)
    }

    /// Every endpoint's name with its number of requests and failures.
    #[must_use]
    pub fn all(&self) -> BTreeMap<&'static str, (u64, u64)> {
        Endpoint::ALL.iter().map(|endpoint| (endpoint.name(), (self.get(*endpoint), self.failed(*endpoint)))).collect()
    }

    /// Sets every counter to zero.
    pub fn reset(&self) {
        for counter in self.all.iter().chain(&self.failed) {
            counter.store(0, Ordering::Relaxed);
        }
    }

    pub(crate) fn count(&self, endpoint: Endpoint, status: u16) {
        self.all[endpoint as usize].fetch_add(1, Ordering::Relaxed);
        if status >= 400 {
            self.failed[endpoint as usize].fetch_add(1, Ordering::Relaxed);
        }
        metrics::counter!(metric::EMULATOR_REQUESTS, "endpoint" => endpoint.name(), "status" => status.to_string())
            .increment(1);
    }
}
