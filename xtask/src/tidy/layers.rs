//! Which crate may use which: the walls of the house, read from cargo's own view of the dependencies.

use serde_json::Value;

/// A member of the workspace, the members it may be built on, and outside crates that it alone keeps out.
struct Room {
    name: &'static str,
    may_use: &'static [&'static str],
}

/// ARCHITECTURE.md, "The map". An edge that is not here is a wall.
const ROOMS: &[Room] = &[
    Room { name: "entrant-types", may_use: &[] },
    Room { name: "entrant-proto", may_use: &["entrant-types"] },
    Room { name: "entrant-credential", may_use: LAYER_0 },
    Room { name: "entrant-validate", may_use: LAYER_0 },
    Room { name: "entrant-host", may_use: LAYER_0 },
    Room {
        name: "entrant-confidential",
        may_use: &["entrant-types", "entrant-proto", "entrant-credential", "entrant-validate"],
    },
    Room { name: "entrant-redis", may_use: &["entrant-types", "entrant-proto", "entrant-credential"] },
    Room {
        name: "entrant-relay",
        may_use: &["entrant-types", "entrant-proto", "entrant-credential", "entrant-validate"],
    },
    Room {
        name: "entrant-web",
        may_use: &[
            "entrant-types",
            "entrant-proto",
            "entrant-credential",
            "entrant-validate",
            "entrant-confidential",
            "entrant-redis",
        ],
    },
    Room { name: "entrant-emulator", may_use: LAYER_0 },
    Room { name: "entrant-testkit", may_use: LAYER_0 },
    Room {
        name: "entrant",
        may_use: &[
            "entrant-types",
            "entrant-proto",
            "entrant-credential",
            "entrant-validate",
            "entrant-confidential",
            "entrant-host",
            "entrant-redis",
            "entrant-relay",
            "entrant-web",
            "entrant-emulator",
        ],
    },
    Room { name: "xtask", may_use: &[] },
];

const LAYER_0: &[&str] = &["entrant-types", "entrant-proto"];

/// Outside crates that only the named members may use: what each wall keeps out.
const KEPT_OUT: &[(&str, &[&str], &str)] = &[
    ("axum", &["entrant-web", "entrant-emulator", "entrant"], "no web framework below the web layer"),
    ("redis", &["entrant-redis", "entrant-web"], "the relay works on bytes; the rest sees a managed connection"),
    ("hyper-rustls", &["entrant-host"], "one outside: HTTP clients are made in entrant-host"),
    ("clap", &["entrant"], "the binary alone reads arguments"),
    ("metrics-exporter-prometheus", &["entrant"], "libraries name metrics; the binary exports them"),
    ("tracing-subscriber", &["entrant", "entrant-testkit"], "libraries emit events; the binary writes them"),
];

/// Members that hold no runtime at all: bytes and `now` in, values out.
const PURE: &[&str] = &["entrant-types", "entrant-proto"];
const RUNTIMES: &[&str] = &["tokio", "hyper", "axum", "async-std", "smol"];

/// Complaints about edges that ARCHITECTURE.md does not have.
pub(crate) fn check(metadata: &Value) -> Vec<String> {
    let mut complaints = Vec::new();
    let members: Vec<&Value> = packages(metadata).filter(|package| package["source"].is_null()).collect();
    for member in members {
        let name = member["name"].as_str().unwrap_or_default();
        let Some(room) = ROOMS.iter().find(|room| room.name == name) else {
            complaints.push(format!(
                "crate {name} is not on the map: add it to xtask/src/tidy/layers.rs and ARCHITECTURE.md"
            ));
            continue;
        };
        for dependency in member["dependencies"].as_array().into_iter().flatten() {
            let used = dependency["name"].as_str().unwrap_or_default();
            let for_tests = dependency["kind"] == "dev";
            // What only a feature brings in is the choice of whoever switches it on, unless it is a member of ours.
            if dependency["optional"] == true && !ROOMS.iter().any(|room| room.name == used) {
                continue;
            }
            if let Some(complaint) = edge(room, used, for_tests) {
                complaints.push(complaint);
            }
        }
    }
    complaints
}

fn edge(room: &Room, used: &str, for_tests: bool) -> Option<String> {
    let is_member = ROOMS.iter().any(|room| room.name == used);
    if for_tests {
        // A test may stand anything beside its subject, but the emulator is never checked by the code it checks.
        let stranger = is_member && room.name == "entrant-emulator";
        let independent = LAYER_0.contains(&used) || matches!(used, "entrant-testkit" | "entrant-host");
        return (stranger && !independent)
            .then(|| format!("entrant-emulator is tested without {used}: a shared mistake would hide itself"));
    }
    if is_member && !room.may_use.contains(&used) {
        return Some(format!("{} may not depend on {used} (ARCHITECTURE.md, the map)", room.name));
    }
    if PURE.contains(&room.name) && RUNTIMES.contains(&used) {
        return Some(format!("{} is pure: no {used} in it", room.name));
    }
    let (_, allowed, why) = KEPT_OUT.iter().find(|(kept_out, _, _)| *kept_out == used)?;
    (!allowed.contains(&room.name)).then(|| format!("{} may not use {used}: {why}", room.name))
}

fn packages(metadata: &Value) -> impl Iterator<Item = &Value> {
    metadata["packages"].as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::check;

    fn complaints(name: &str, used: &str, kind: Option<&str>) -> Vec<String> {
        check(&json!({"packages": [{"name": name, "source": null, "dependencies": [{"name": used, "kind": kind}]}]}))
    }

    #[test]
    fn the_emulator_never_stands_on_the_code_it_judges() {
        assert_eq!(complaints("entrant-emulator", "entrant-credential", None).len(), 1);
        assert_eq!(complaints("entrant-emulator", "entrant-validate", Some("dev")).len(), 1);
        assert!(complaints("entrant-emulator", "entrant-proto", None).is_empty());
        assert!(complaints("entrant-emulator", "entrant-testkit", Some("dev")).is_empty());
    }

    #[test]
    fn layer_zero_holds_no_runtime_and_nothing_below_the_web_knows_a_framework() {
        assert_eq!(complaints("entrant-proto", "tokio", None).len(), 1);
        assert_eq!(complaints("entrant-confidential", "axum", None).len(), 1);
        assert_eq!(complaints("entrant-relay", "redis", None).len(), 1);
        assert!(complaints("entrant-credential", "tokio", None).is_empty());
    }

    #[test]
    fn a_crate_that_is_not_on_the_map_is_reported() {
        assert_eq!(complaints("entrant-extra", "serde", None).len(), 1);
    }
}
