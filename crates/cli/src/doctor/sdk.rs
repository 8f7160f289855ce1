//! `entrant emulator doctor`: would other people's SDKs, started from this shell, find the emulator and trust it?

use std::path::{Path, PathBuf};

use entrant_host::{DialPolicy, Host, HostConfig, ProcessEnv};
use entrant_proto::oauth::{Authority, http_date};
use entrant_types::outside::{HttpReply, HttpRequest};
use entrant_types::{Env, Fault, Outside};

use super::{Finding, Report, limited};
use crate::ending::{self, Ending};
use crate::ready::Ready;
use crate::sdk_environment::{LANGUAGES, Language};
use crate::settings::{Settings, bad, read_small};
use crate::variable;

/// Runs the checks; the exit code is 1 when one failed.
pub(crate) async fn run(settings: &Settings) -> Result<Ending, Fault> {
    let ready = settings.attached.as_ref().ok_or_else(|| {
        bad(
            "No emulator was named.",
            "Start one with `entrant emulator --ready-file FILE`, then give --attach FILE here.",
        )
    })?;
    let language = settings.word(&variable::LANG, LANGUAGES)?.unwrap_or(Language::Any);
    let mut report = Report::default();
    reach(ready, &mut report).await;
    environment(&ProcessEnv, ready, language, &mut report);
    ending::print(&if settings.on(&variable::JSON) { report.json() } else { report.human() });
    Ok(if report.is_healthy() { Ending::Done } else { Ending::Child(1) })
}

/// What an SDK would meet once it has the right addresses.
async fn reach(ready: &Ready, report: &mut Report) {
    let ca_file = ready.ca_path.as_ref().map(PathBuf::from);
    let outside = match Host::new(HostConfig { ca_file, dial: DialPolicy::LoopbackOnly, lapse: None }) {
        Ok(host) => host.outside,
        Err(fault) => return report.add("emulator", Finding::Failed(Box::new(fault))),
    };
    for (check, url) in [("emulator", console(ready)), ("Entra ID", metadata(ready))] {
        let url = match url {
            Ok(url) => url,
            Err(fault) => {
                report.add(check, Finding::Failed(Box::new(fault)));
                continue;
            }
        };
        let reply = limited(check, get(&outside, &url)).await;
        if check == "emulator" {
            clock(ready, reply.as_ref().ok(), &outside, report);
        }
        report.judge(check, reply.map(|_| format!("{url} answers")));
    }
}

fn console(ready: &Ready) -> Result<String, Fault> {
    ready.console_url.clone().ok_or_else(|| not_an_emulator("console_url"))
}

fn metadata(ready: &Ready) -> Result<String, Fault> {
    let missing = || not_an_emulator("authority");
    let (host, tenant) = ready.authority.as_ref().and_then(|url| url.rsplit_once('/')).ok_or_else(missing)?;
    Authority::parse(host, tenant).map(|authority| authority.metadata_url())
}

fn not_an_emulator(key: &str) -> Fault {
    bad(format!("The ready file has no `{key}`."), "Attach the ready file of `entrant emulator` or `entrant dev`.")
}

async fn get(outside: &Outside, url: &str) -> Result<HttpReply, Fault> {
    let gone = |why: String| {
        bad(
            format!("{url} does not answer as the emulator does: {why}."),
            "Start the emulator again, with --ready-file; its ready file may be an old one.",
        )
    };
    let reply = outside.http.send(HttpRequest::get(url)).await.map_err(|error| gone(error.to_string()))?;
    match (reply.status, reply.header("x-emulator")) {
        (200, Some(_)) => Ok(reply),
        (status, marker) => Err(gone(match marker {
            Some(_) => format!("HTTP {status}"),
            None => "another program has this port now".to_owned(),
        })),
    }
}

/// SDKs keep tokens by this machine's clock and the emulator dates them by its own.
fn clock(ready: &Ready, reply: Option<&HttpReply>, outside: &Outside, report: &mut Report) {
    let skew = reply.and_then(|reply| http_date::skew_millis(reply, outside.clock.now()));
    let apart = skew.map(|skew| skew / 1000);
    report.add("clock", match (&ready.time_lapse, apart) {
        (Some(lapse), _) => Finding::Warning(
            format!("The emulator's clock runs {} times faster; an SDK goes by this machine's.", lapse.split('@').next().unwrap_or(lapse)),
            "Expect tokens that are refused before the SDK renews them; start the emulator without --time-lapse otherwise.".to_owned(),
        ),
        (None, Some(0)) => Finding::Ok("agrees with this machine's".to_owned()),
        (None, Some(apart)) => Finding::Warning(
            format!("The emulator's clock was set {apart} s from this machine's, by which an SDK goes."),
            "Set it back through the console's clock, or POST to /control/clock.".to_owned(),
        ),
        (None, None) => Finding::Skipped("the emulator did not say its time".to_owned()),
    });
}

/// What an SDK would take from the variables of this shell.
fn environment(env: &dyn Env, ready: &Ready, language: Language, report: &mut Report) {
    let profiles = profiles(env);
    report.add("credential", credential(env, ready, &profiles));
    let needs_tls = profiles.iter().any(|profile| profile.asks_entra);
    for runtime in RUNTIMES.iter().filter(|runtime| runtime.language == language || language == Language::Any) {
        report.add(runtime.name, trust(env, ready, runtime, needs_tls));
    }
    report.add("proxy", proxy(env));
    for trap in TRAPS.iter().filter(|trap| trap.language == language || language == Language::Any) {
        report.add("good to know", Finding::Note(trap.text.to_owned()));
    }
}

/// A way to a token that variables open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Profile {
    name: &'static str,
    /// The variable that opens it.
    by: &'static str,
    /// Whether the SDK then speaks to Entra ID itself, by TLS.
    asks_entra: bool,
}

const PROFILES: &[Profile] = &[
    Profile { name: "app-service", by: "IDENTITY_ENDPOINT", asks_entra: false },
    Profile { name: "imds", by: "AZURE_POD_IDENTITY_AUTHORITY_HOST", asks_entra: false },
    Profile { name: "workload", by: "AZURE_FEDERATED_TOKEN_FILE", asks_entra: true },
    Profile { name: "service-principal", by: "AZURE_CLIENT_SECRET", asks_entra: true },
];

fn profiles(env: &dyn Env) -> Vec<Profile> {
    PROFILES.iter().copied().filter(|profile| env.get(profile.by).is_some()).collect()
}

/// One profile, whole, and of this emulator.
fn credential(env: &dyn Env, ready: &Ready, profiles: &[Profile]) -> Finding {
    let again = "eval \"$(entrant emulator env --attach READY-FILE --profile app-service)\" sets what is needed.";
    let failed = |what: String, fix: String| Finding::Failed(Box::new(bad(what, fix)));
    let profile = match profiles {
        [one] => one,
        [] => {
            return failed(
                "No variable names a credential: an SDK would ask the metadata address of a virtual machine."
                    .to_owned(),
                again.to_owned(),
            );
        }
        several => {
            let names: Vec<&str> = several.iter().map(|profile| profile.by).collect();
            return failed(
                format!(
                    "{} are set at once, and SDKs differ in which they prefer: Python's managed identity asks IDENTITY_ENDPOINT first, Node's takes the federated token file.",
                    names.join(" and ")
                ),
                format!("Keep one, as in: unset {}", names[1..].join(" ")),
            );
        }
    };
    match mismatch(env, ready, profile) {
        None => Finding::Ok(format!("{}, of this emulator", profile.name)),
        Some(what) => failed(what, again.replace("app-service", profile.name)),
    }
}

/// What about a profile's variables does not fit the emulator.
fn mismatch(env: &dyn Env, ready: &Ready, profile: &Profile) -> Option<String> {
    let differs = |name: &str, wanted: Option<&String>| {
        let same =
            |value: &str| wanted.is_some_and(|wanted| wanted.trim_end_matches('/') == value.trim_end_matches('/'));
        match env.get(name) {
            None => Some(format!("{} is set without {name}.", profile.by)),
            Some(value) if !same(&value) => {
                Some(format!("{name} is not that of this emulator: it belongs to another one, or to an earlier start."))
            }
            Some(_) => None,
        }
    };
    let host = ready.authority.as_ref().and_then(|url| url.rsplit_once('/')).map(|(host, _)| host.to_owned());
    let app = || {
        differs("AZURE_AUTHORITY_HOST", host.as_ref())
            .or_else(|| differs("AZURE_TENANT_ID", ready.tenant_id.as_ref()))
            .or_else(|| {
                env.get("AZURE_CLIENT_ID").is_none().then(|| format!("{} is set without AZURE_CLIENT_ID.", profile.by))
            })
    };
    let found = match profile.name {
        "app-service" => differs("IDENTITY_ENDPOINT", ready.identity_endpoint.as_ref())
            .or_else(|| differs("IDENTITY_HEADER", ready.identity_header.as_ref())),
        "imds" => differs("AZURE_POD_IDENTITY_AUTHORITY_HOST", ready.imds_url.as_ref()),
        "workload" => app().or_else(|| {
            let file = env.get("AZURE_FEDERATED_TOKEN_FILE")?;
            read_small(Path::new(&file), "federated token file").err().map(|fault| fault.what)
        }),
        _ => app(),
    };
    found.or_else(|| {
        let registration = !profile.asks_entra && env.get("AZURE_CLIENT_ID").is_some_and(|id| Some(&id) == ready.client_id.as_ref());
        registration.then(|| "AZURE_CLIENT_ID is the app registration's; a managed identity is chosen by the identity's own client id.".to_owned())
    })
}

/// How a language's runtime is told to trust a CA.
#[derive(Debug)]
struct Runtime {
    language: Language,
    name: &'static str,
    by: &'static str,
    /// What a person sees without it.
    without: &'static str,
}

const RUNTIMES: &[Runtime] = &[
    Runtime {
        language: Language::Python,
        name: "trust, Python",
        by: "REQUESTS_CA_BUNDLE",
        without: "MSAL and azure-identity report CERTIFICATE_VERIFY_FAILED",
    },
    Runtime {
        language: Language::Node,
        name: "trust, Node",
        by: "NODE_EXTRA_CA_CERTS",
        without: "MSAL reports endpoints_resolution_error, which names no certificate",
    },
    Runtime {
        language: Language::OpenSsl,
        name: "trust, Rust/Go/.NET",
        by: "SSL_CERT_FILE",
        without: "azure_identity of Rust retries for 82 s before it reports the certificate",
    },
];

/// The runtime's CA file must hold the emulator's certificate. Only a profile that speaks to Entra ID fails without.
fn trust(env: &dyn Env, ready: &Ready, runtime: &Runtime, needs_tls: bool) -> Finding {
    let held = ready
        .ca_path
        .as_ref()
        .map_or_else(|| Err(not_an_emulator("ca_path")), |path| read_small(Path::new(path), "CA file"));
    let ca = match held {
        Ok(ca) => ca,
        Err(fault) => return Finding::Failed(Box::new(fault)),
    };
    let what = match env.get(runtime.by) {
        None => format!("{} is not set: {}.", runtime.by, runtime.without),
        Some(file) => match read_small(Path::new(&file), "CA bundle") {
            Err(fault) => fault.what,
            Ok(bundle) if bundle.contains(ca.trim()) => {
                return Finding::Ok(format!("{} has the emulator's CA", runtime.by));
            }
            Ok(_) => format!("{} lacks this emulator's CA: {}.", runtime.by, runtime.without),
        },
    };
    let fix =
        "eval \"$(entrant emulator env --attach READY-FILE)\" sets it, for this shell alone; nothing is installed."
            .to_owned();
    if needs_tls {
        Finding::Failed(Box::new(bad(what, fix)))
    } else {
        Finding::Warning(format!("{what} Managed identity itself needs no TLS."), fix)
    }
}

/// A proxy cannot reach this machine's loopback for us.
fn proxy(env: &dyn Env) -> Finding {
    let set = |names: &[&'static str]| names.iter().copied().find(|name| env.get(name).is_some());
    let Some(name) = set(&["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"]) else {
        return Finding::Ok("none".to_owned());
    };
    let exempt = ["NO_PROXY", "no_proxy"].iter().find_map(|name| env.get(name)).unwrap_or_default();
    let spared: Vec<&str> = exempt.split(',').map(str::trim).collect();
    if spared.contains(&"*") || (spared.contains(&"localhost") && spared.contains(&"127.0.0.1")) {
        return Finding::Ok(format!("{name}, but not for this machine"));
    }
    let what = format!("{name} is set: SDKs would send the proxy what is meant for this machine's loopback.");
    Finding::Failed(Box::new(bad(what, "export NO_PROXY=localhost,127.0.0.1")))
}

/// What no variable can mend.
#[derive(Debug)]
struct Trap {
    language: Language,
    text: &'static str,
}

const TRAPS: &[Trap] = &[
    Trap {
        language: Language::Python,
        text: "MSAL keeps a 400 of the token endpoint for 60 s: the same error again with no request on the wire is its cache; start the program anew.",
    },
    Trap {
        language: Language::Python,
        text: "MSAL asks Microsoft whether it knows an authority; pass instance_discovery=False (azure-identity: disable_instance_discovery=True).",
    },
    Trap {
        language: Language::Node,
        text: "MSAL wants knownAuthorities: [\"localhost:PORT\"], port included; azure-identity wants disableInstanceDiscovery: true.",
    },
    Trap {
        language: Language::OpenSsl,
        text: "azure_identity of Rust asks the fixed metadata address for IMDS: use the profile app-service.",
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(Debug, Default)]
    struct Shell(BTreeMap<&'static str, String>);

    impl Env for Shell {
        fn get(&self, name: &str) -> Option<String> {
            self.0.get(name).cloned()
        }
    }

    fn shell(variables: &[(&'static str, &str)]) -> Shell {
        Shell(variables.iter().map(|(name, value)| (*name, (*value).to_owned())).collect())
    }

    fn ready() -> Ready {
        let owned = |text: &str| Some(text.to_owned());
        Ready {
            authority: owned("https://localhost:8443/7d0a"),
            tenant_id: owned("7d0a"),
            client_id: owned("app"),
            identity_endpoint: owned("http://127.0.0.1:8480/msi/token"),
            identity_header: owned("right"),
            imds_url: owned("http://127.0.0.1:8480"),
            ..Ready::default()
        }
    }

    fn diagnosis(variables: &[(&'static str, &str)]) -> String {
        let env = shell(variables);
        match credential(&env, &ready(), &profiles(&env)) {
            Finding::Ok(how) => format!("ok: {how}"),
            Finding::Failed(fault) => format!("{} | {}", fault.what, fault.fix),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn one_whole_profile_of_this_emulator_is_good() {
        let app_service = [("IDENTITY_ENDPOINT", "http://127.0.0.1:8480/msi/token"), ("IDENTITY_HEADER", "right")];
        assert_eq!(diagnosis(&app_service), "ok: app-service, of this emulator");
        assert_eq!(
            diagnosis(&[("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:8480/")]),
            "ok: imds, of this emulator"
        );
    }

    #[test]
    fn no_profile_and_two_profiles_are_both_named() {
        assert!(diagnosis(&[]).contains("No variable names a credential"));
        let two = diagnosis(&[("IDENTITY_ENDPOINT", "x"), ("AZURE_FEDERATED_TOKEN_FILE", "y")]);
        assert!(two.contains("IDENTITY_ENDPOINT and AZURE_FEDERATED_TOKEN_FILE are set at once"), "{two}");
        assert!(two.contains("unset AZURE_FEDERATED_TOKEN_FILE"), "{two}");
    }

    #[test]
    fn a_half_set_or_stale_profile_is_named_without_its_secret() {
        let half = diagnosis(&[("IDENTITY_ENDPOINT", "http://127.0.0.1:8480/msi/token")]);
        assert!(half.contains("IDENTITY_ENDPOINT is set without IDENTITY_HEADER"), "{half}");
        let stale =
            diagnosis(&[("IDENTITY_ENDPOINT", "http://127.0.0.1:8480/msi/token"), ("IDENTITY_HEADER", "hidden")]);
        assert!(stale.contains("IDENTITY_HEADER is not that of this emulator") && !stale.contains("hidden"), "{stale}");
        let real =
            diagnosis(&[("AZURE_CLIENT_SECRET", "hidden"), ("AZURE_AUTHORITY_HOST", "https://elsewhere.example/")]);
        assert!(
            real.contains("AZURE_AUTHORITY_HOST is not that of this emulator") && !real.contains("hidden"),
            "{real}"
        );
    }

    #[test]
    fn the_registrations_client_id_is_not_an_identitys() {
        let found =
            diagnosis(&[("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:8480"), ("AZURE_CLIENT_ID", "app")]);
        assert!(found.contains("AZURE_CLIENT_ID is the app registration's"), "{found}");
    }

    #[test]
    fn a_proxy_must_spare_this_machine() {
        assert!(matches!(proxy(&shell(&[])), Finding::Ok(_)));
        assert!(matches!(proxy(&shell(&[("HTTP_PROXY", "http://p")])), Finding::Failed(_)));
        let spared = shell(&[("HTTP_PROXY", "http://p"), ("NO_PROXY", "localhost, 127.0.0.1")]);
        assert!(matches!(proxy(&spared), Finding::Ok(_)));
    }
}
