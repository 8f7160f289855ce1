//! `entrant-redis` in this process, on the emulator's tokens, under the same load.

use std::sync::Arc;

use entrant_credential::sources::AppService;
use entrant_credential::{Keeper, KeeperOptions, Selector};
use entrant_host::{DialPolicy, Host, HostConfig, Lapse, SystemClock};
use entrant_redis::{ManagedConnection, RedisConfig};
use entrant_testkit::MapEnv;
use entrant_types::{Clock as _, Resource};
use tokio::runtime::Runtime;

use crate::load::{Count, PAUSE, REST};
use crate::process::Entrant;

/// One managed connection to `localhost:port` with `tasks` callers. They run until the runtime is dropped.
pub(crate) fn start(emulator: &Entrant, port: u16, tasks: usize, count: &Arc<Count>) -> Runtime {
    let runtime = Runtime::new().expect("a runtime");
    let lapse = Lapse::parse(emulator.fact("time_lapse"), SystemClock.now()).expect("the emulator's clock");
    let host = HostConfig {
        ca_file: Some(emulator.fact("ca_path").into()),
        dial: DialPolicy::LoopbackOnly,
        lapse: Some(lapse),
    };
    let mut host = Host::new(host).expect("the emulator's CA");
    let env = MapEnv::default();
    env.set("IDENTITY_ENDPOINT", emulator.fact("identity_endpoint"));
    env.set("IDENTITY_HEADER", emulator.fact("identity_header"));
    host.outside.env = Arc::new(env);
    let identity = emulator.fact("managed_identity_client_id").parse().expect("a client id");
    let source = Arc::new(AppService::new(Selector::ClientId(identity), &host.outside));
    let scope = Resource::new(Resource::REDIS).default_scope();
    let (keeper, driver) = Keeper::new(source, scope, KeeperOptions::default(), &host.outside);
    runtime.spawn(driver.run());
    let config = RedisConfig::new("localhost", port, Some(Arc::clone(&host.tls)));
    let (connection, driver) = ManagedConnection::new(config, keeper, &host.outside);
    runtime.spawn(driver.run());
    for task in 0..tasks {
        runtime.spawn(caller(connection.clone(), task, Arc::clone(count)));
    }
    runtime
}

async fn caller(mut connection: ManagedConnection, task: usize, count: Arc<Count>) {
    let mut number = 0_u64;
    while count.goes_on() {
        number += 1;
        let (key, value) = (format!("managed:{task}:{number}"), format!("managed.{task}.{number}"));
        let mut pipe = redis::pipe();
        pipe.cmd("SET").arg(&key).arg(&value).arg("EX").arg(300).ignore();
        pipe.cmd("GET").arg(&key).cmd("ECHO").arg(&value);
        let replies: redis::RedisResult<(Option<String>, String)> = pipe.query_async(&mut connection).await;
        let pause = match replies {
            Ok((kept, echoed)) if kept.as_ref() == Some(&value) && echoed == value => {
                count.good();
                PAUSE
            }
            Ok(replies) => {
                count.mix_up(format!("asked for {value}, got {replies:?}"));
                REST
            }
            Err(error) => {
                count.fail(&error.to_string());
                REST
            }
        };
        tokio::time::sleep(pause).await;
    }
}
