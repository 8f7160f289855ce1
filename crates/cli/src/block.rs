//! The start-up block: what a person sees and can try.

use std::path::Path;

use crate::ready::Ready;

/// Of `entrant dev`.
pub(crate) fn dev(ready: &Ready, folder: &Path) -> String {
    let url = |value: &Option<String>| value.clone().unwrap_or_default();
    let mut block = format!("\n  Entrant is running. Open  {}\n\n", url(&ready.web_url));
    let mut line = |name: &str, value: &str| block.push_str(&format!("  {name:<16} {value}\n"));
    line("protected API", &url(&ready.api_url));
    line("Entra ID", &format!("{}  (laptop Azure)", url(&ready.authority)));
    line("console", &url(&ready.console_url));
    let gate = ready.gate_host.as_deref().zip(ready.gate_port);
    if let Some((host, port)) = gate {
        let backend = ready.redis_backend.as_deref().unwrap_or("embedded");
        line("Redis gate", &format!("{host}:{port}  (TLS, Entra AUTH; behind it: {backend})"));
    }
    line("health", &format!("{0}/readiness  {0}/metrics", url(&ready.admin_url)));
    line("state", &folder.display().to_string());
    if let Some(lapse) = &ready.time_lapse {
        line("time lapse", &format!("{lapse}  (an hour of token life passes faster)"));
    }
    block.push_str("\n  people, no passwords:\n");
    for person in &ready.people {
        block.push_str(&format!("    {}\n", person.upn));
    }
    block.push_str(
        "\n  Try: sign in as alice, call the API, then sign in as mallory, who is not assigned to the app.\n",
    );
    block.push_str("  Stop with Ctrl-C.\n\n");
    block
}
