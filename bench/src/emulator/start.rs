//! From the start of the process to the first answer of each of its services.

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::load::ask;
use super::server::{Facts, Kind, Server, Service, folder, open, peer, product, spawn};
use crate::tokens::Failure;

const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(1);

/// Starts a server and waits until every service has answered: the server, and the milliseconds from the start of
/// the process to the last of the first answers.
pub async fn started(kind: Kind, facts: &Facts) -> Result<(Server, f64), Failure> {
    let begun = Instant::now();
    let server = spawn(kind, facts)?;
    let answers = server.services.iter().map(|service| first_answer(service, begun));
    let answered = futures_util::future::try_join_all(answers).await?;
    Ok((server, answered.into_iter().fold(0.0, f64::max)))
}

async fn first_answer(service: &Service, begun: Instant) -> Result<f64, Failure> {
    loop {
        match answer(service).await {
            Ok(()) => return Ok(begun.elapsed().as_secs_f64() * 1000.0),
            Err(error) if begun.elapsed() > PATIENCE => return Err(format!("{}: {error}", service.name).into()),
            Err(_) => tokio::time::sleep(POLL).await,
        }
    }
}

async fn answer(service: &Service) -> Result<(), Failure> {
    let mut buffer = vec![0; 64 * 1024];
    let filled = ask(&mut service.connect().await?, &service.request, &mut buffer).await?;
    let Some((port, user)) = &service.redis else { return Ok(()) };
    let reply = String::from_utf8_lossy(&buffer[..filled]);
    let body = reply.split_once("\r\n\r\n").ok_or("no body")?.1;
    let reply: Value = serde_json::from_str(body)?;
    let token = reply["access_token"].as_str().ok_or("no token")?;
    let mut stream = open(*port, service.tls.as_ref()).await?;
    let auth = format!("*3\r\n$4\r\nAUTH\r\n${}\r\n{user}\r\n${}\r\n{token}\r\n", user.len(), token.len());
    stream.write_all(auth.as_bytes()).await?;
    let read = stream.read(&mut buffer).await?;
    if buffer[..read].starts_with(b"+OK") { Ok(()) } else { Err("Redis takes no token".into()) }
}

/// Makes what the measured starts find: the peer's key, and the product's key and authority. Returns what the names
/// of the product's seed stand for.
pub async fn prepare() -> Result<Facts, Failure> {
    let _ = std::fs::remove_dir_all(folder());
    std::fs::create_dir_all(folder())?;
    // The peer writes its key as `{kid}.json` where it runs.
    let mut maker = peer().args(["-p", "0", "--save-jwk"]).spawn()?;
    let key = wait_for(|| {
        let entries = std::fs::read_dir(folder()).ok()?.filter_map(Result::ok);
        let key = entries.map(|entry| entry.path()).find(|path| path.extension().is_some_and(|end| end == "json"))?;
        serde_json::from_slice::<Value>(&std::fs::read(&key).ok()?).ok().map(|_| key)
    });
    std::fs::rename(key.await?, folder().join("peer.json"))?;
    maker.kill().await?;
    let ready = folder().join("ready");
    let mut maker = product("emulator").arg("--ready-file").arg(&ready).spawn()?;
    let facts = wait_for(|| serde_json::from_slice(&std::fs::read(&ready).ok()?).ok().map(Facts)).await?;
    let key = folder().join("data/emulator/signing-key.der");
    wait_for(|| key.exists().then_some(())).await?;
    maker.kill().await?;
    Ok(facts)
}

async fn wait_for<T>(mut look: impl FnMut() -> Option<T>) -> Result<T, Failure> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Some(found) = look() {
            return Ok(found);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Err("a server did not become ready for the first time".into())
}
