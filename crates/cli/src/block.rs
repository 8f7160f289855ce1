//! The start-up block: what a person sees and can try.

use std::path::Path;

use crate::ready::Ready;

/// Of `entrant dev`.
pub(crate) fn dev(ready: &Ready, folder: &Path) -> String {
    let url = |value: &Option<String>| value.clone().unwrap_or_default();
    let backend = ready.redis_backend.as_deref().unwrap_or("embedded");
    let gate = ready.gate_port.map(|port| format!("localhost:{port}  (TLS, Entra AUTH; behind it: {backend})"));
    let lapse = ready.time_lapse.as_deref().and_then(|lapse| lapse.split_once('@'));
    let lapse = lapse.map(|(rate, _)| format!("{rate} times: an hour of token life passes in {}", hour_at(rate)));
    let mut block = format!("\n  Entrant is running. Open  {}\n\n", url(&ready.web_url));
    block.push_str(&lines(&[
        ("protected API", ready.api_url.clone()),
        ("Redis gate", gate),
        ("laptop Azure", ready.console_url.as_ref().map(|url| format!("{url}  (console)"))),
        ("Entra ID", ready.authority.clone()),
        ("health", ready.admin_url.as_ref().map(|url| format!("{url}/readiness and /metrics"))),
        ("state", Some(folder.display().to_string())),
        ("time lapse", lapse),
    ]));
    block.push_str("\n  Sign in (no passwords) as\n");
    for person in &ready.people {
        block.push_str(&format!("    {}\n", person.upn));
    }
    block.push_str(
        "\n  Try: sign in as alice and call the API; then as mallory, who is not assigned to the app.\n  \
         Check every hop: entrant doctor --attach READY-FILE (start with --ready-file READY-FILE).\n  \
         Stop with Ctrl-C.\n\n",
    );
    block
}

/// Of the emulator alone.
pub(crate) fn emulator(ready: &Ready) -> String {
    let mut block = String::from("\n  The laptop Azure is running, on loopback only.\n\n");
    block.push_str(&lines(&[
        ("console", ready.console_url.clone()),
        ("Entra ID", ready.authority.clone()),
        ("IMDS", ready.imds_url.clone()),
        ("App Service", ready.identity_endpoint.clone()),
        ("CA file", ready.ca_path.clone()),
        ("web app", ready.client_id.as_ref().map(|id| format!("client id {id}"))),
        ("API scope", ready.api_scope.clone()),
        ("identity", ready.managed_identity_client_id.as_ref().map(|id| format!("client id {id}"))),
        ("", ready.managed_identity_principal_id.as_ref().map(|id| format!("object id {id}"))),
        ("health", ready.admin_url.as_ref().map(|url| format!("{url}/readiness and /metrics"))),
    ]));
    block.push_str("\n  Next: entrant emulator env --attach READY-FILE (start with --ready-file READY-FILE).\n  Stop with Ctrl-C.\n\n");
    block
}

/// Of one part alone.
pub(crate) fn alone(ready: &Ready, facts: &[(&str, Option<String>)]) -> String {
    let health = ready.admin_url.as_ref().map(|url| format!("{url}/readiness and /metrics"));
    format!("\n{}{}  Stop with Ctrl-C.\n\n", lines(facts), lines(&[("health", health)]))
}

fn lines(facts: &[(&str, Option<String>)]) -> String {
    let known = facts.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
    known.map(|(name, value)| format!("  {name:<14} {value}\n")).collect()
}

fn hour_at(rate: &str) -> String {
    match rate.parse::<u32>() {
        Ok(rate @ 1..) if 3600 / rate >= 120 => format!("{} minutes", 3600 / rate / 60),
        Ok(rate @ 1..) => format!("{} s", 3600 / rate),
        _ => "less".to_owned(),
    }
}
