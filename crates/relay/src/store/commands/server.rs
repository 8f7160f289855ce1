//! Commands about the server, answered as far as clients and people need them.

use super::super::call::{Call, Done};
use super::super::table::{Run, Spec, TABLE, find};
use super::connection::REDIS_VERSION;
use super::keys::check_flush;

pub(in super::super) fn flushall(call: &mut Call<'_>) -> Done {
    check_flush(call.args)?;
    for db in &mut call.state.dbs {
        db.clear();
    }
    call.ok()
}

pub(in super::super) fn time(call: &mut Call<'_>) -> Done {
    let (seconds, micros) = (call.now.div_euclid(1000), call.now.rem_euclid(1000) * 1000);
    let mut out = call.reply();
    out.array(2);
    out.bulk(seconds.to_string().as_bytes());
    out.bulk(micros.to_string().as_bytes());
    Ok(())
}

pub(in super::super) fn info(call: &mut Call<'_>) -> Done {
    let asked: Vec<_> = call.args.from(1).map(|name| name.to_ascii_lowercase()).collect();
    let everything =
        asked.is_empty() || asked.iter().any(|name| matches!(name.as_slice(), b"all" | b"default" | b"everything"));
    let state = &mut *call.state;
    let uptime = call.now.saturating_sub(state.started.millis()) / 1000;
    let mut keyspace = String::new();
    for (index, db) in state.dbs.iter_mut().enumerate() {
        db.now = call.now;
        let keys = db.len();
        if keys > 0 {
            keyspace.push_str(&format!("db{index}:keys={keys},expires=0,avg_ttl=0\r\n"));
        }
    }
    let sections = [
        (
            "Server",
            format!(
                "redis_version:{REDIS_VERSION}\r\nredis_mode:standalone\r\nentrant_store:embedded\r\nuptime_in_seconds:{uptime}\r\n"
            ),
        ),
        ("Clients", format!("connected_clients:{}\r\nblocked_clients:{}\r\n", state.peers.len(), state.blocked.len())),
        (
            "Memory",
            format!("used_memory:{}\r\nmaxmemory:{}\r\nmaxmemory_policy:noeviction\r\n", state.used(), state.max_bytes),
        ),
        ("Stats", format!("total_commands_processed:{}\r\n", state.commands)),
        ("Replication", "role:master\r\nconnected_slaves:0\r\n".to_owned()),
        ("Cluster", "cluster_enabled:0\r\n".to_owned()),
        ("Keyspace", keyspace),
    ];
    let wanted = sections
        .into_iter()
        .filter(|(name, _)| everything || asked.contains(&name.to_ascii_lowercase().into_bytes()))
        .map(|(name, lines)| format!("# {name}\r\n{lines}"));
    let text = wanted.collect::<Vec<_>>().join("\r\n");
    call.reply().verbatim(&text);
    Ok(())
}

/// COMMAND COUNT, DOCS, LIST, INFO.
pub(in super::super) fn command(call: &mut Call<'_>) -> Done {
    let args = call.args;
    let top: Vec<&Spec> = TABLE.iter().filter(|spec| !spec.name.contains('|')).collect();
    let mut out = call.reply();
    match args.at(1).to_ascii_lowercase().as_slice() {
        b"count" => out.integer(top.len() as i64),
        // No documentation is kept here: clients then offer none.
        b"docs" => out.map(0),
        b"list" => {
            out.array(top.len());
            for spec in top {
                out.bulk(spec.name.as_bytes());
            }
        }
        _ => {
            let asked: Vec<_> = match args.len() {
                0..=2 => top.into_iter().map(Some).collect(),
                _ => args.from(2).map(|name| find(name).map(|(_, spec)| spec)).collect(),
            };
            out.array(asked.len());
            for spec in asked {
                match spec {
                    Some(spec) => describe(&mut out, spec),
                    None => out.null_array(),
                }
            }
        }
    }
    Ok(())
}

/// `COMMAND` without a subcommand.
pub(in super::super) fn command_all(call: &mut Call<'_>) -> Done {
    let top: Vec<&Spec> = TABLE.iter().filter(|spec| !spec.name.contains('|')).collect();
    let mut out = call.reply();
    out.array(top.len());
    for spec in top {
        describe(&mut out, spec);
    }
    Ok(())
}

fn describe(out: &mut entrant_proto::resp::ReplyWriter<'_>, spec: &Spec) {
    out.array(10);
    out.bulk(spec.name.as_bytes());
    out.integer(i64::from(spec.arity));
    let mut flags = Vec::new();
    for (flag, has) in [
        ("write", spec.is("write")),
        ("readonly", spec.is("read")),
        ("denyoom", spec.denied_when_full),
        ("admin", spec.is("admin")),
        ("pubsub", spec.is("pubsub")),
        ("blocking", spec.is("blocking")),
        ("no_auth", spec.no_auth),
        ("fast", spec.is("fast")),
    ] {
        if has {
            flags.push(flag);
        }
    }
    out.set(flags.len());
    for flag in flags {
        out.simple(flag);
    }
    let (first, last, step) = spec.positions;
    out.integer(i64::from(first));
    out.integer(i64::from(last));
    out.integer(step as i64);
    let categories: Vec<_> = spec.categories.split(' ').collect();
    out.set(categories.len());
    for category in categories {
        out.simple(&format!("@{category}"));
    }
    out.array(0);
    out.array(0);
    let subcommands: Vec<_> = match spec.run {
        Run::Parent => {
            TABLE.iter().filter(|sub| sub.name.split_once('|').is_some_and(|(parent, _)| parent == spec.name)).collect()
        }
        _ => Vec::new(),
    };
    out.array(subcommands.len());
    for sub in subcommands {
        describe(out, sub);
    }
}

/// CONFIG GET of the few parameters that clients ask for.
pub(in super::super) fn config_get(call: &mut Call<'_>) -> Done {
    let max_bytes = call.state.max_bytes.to_string();
    let known = [("appendonly", "no"), ("databases", "16"), ("maxmemory", max_bytes.as_str()), ("save", "")];
    let args = call.args;
    let found: Vec<_> = known
        .into_iter()
        .filter(|(name, _)| {
            args.from(2).any(|pattern| super::super::glob::matches(&pattern.to_ascii_lowercase(), name.as_bytes()))
        })
        .collect();
    let mut out = call.reply();
    out.map(found.len());
    for (name, value) in found {
        out.bulk(name.as_bytes());
        out.bulk(value.as_bytes());
    }
    Ok(())
}

/// CLUSTER: there is none.
pub(in super::super) fn cluster(_: &mut Call<'_>) -> Done {
    Err("ERR This instance has cluster support disabled".into())
}
