//! How much memory a process holds.

use crate::process::Entrant;

/// What is resident, in MiB.
pub(crate) fn resident_mib(process: &Entrant) -> u64 {
    let facts = std::fs::read(process.ready_file()).expect("its ready file");
    let facts: serde_json::Value = serde_json::from_slice(&facts).expect("JSON");
    let status = std::fs::read_to_string(format!("/proc/{}/status", facts["pid"])).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().expect("a number") / 1024
}
