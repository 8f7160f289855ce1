// One row of the Redis table through node-redis with @redis/entraid: prints `ready`, then one JSON object.
import { readFileSync } from "node:fs";
import { DEFAULT_TOKEN_MANAGER_CONFIG, EntraIdCredentialsProviderFactory } from "@redis/entraid/dist/lib/entra-id-credentials-provider-factory.js";
import { createClient } from "redis";

const [row, seconds] = [process.argv[2], Number(process.argv[3])];
const result = { ok: 0, failed: 0 };
const now = () => performance.now() / 1000;
const wait = (span) => new Promise((resolve) => setTimeout(resolve, Math.max(0, span) * 1000));
const kind = (error) => `${error.constructor.name}: ${error.message.slice(0, 60)}`;

const provider = () => EntraIdCredentialsProviderFactory.createForSystemAssignedManagedIdentity({
  clientId: "unused", tokenManagerConfig: DEFAULT_TOKEN_MANAGER_CONFIG,
  onReAuthenticationError: (error) => { result.reauth ??= kind(error); },
});
const shared = provider();

async function connect(options = {}) {
  const socket = { host: process.env.PEER_HOST, port: Number(process.env.PEER_PORT) };
  if (process.env.PEER_CA) Object.assign(socket, { tls: true, ca: readFileSync(process.env.PEER_CA) });
  return createClient({ socket, credentialsProvider: shared, ...options }).on("error", (error) => { result.socket ??= kind(error); }).connect();
}

function ready() {
  console.log("ready");
  return now() + seconds;
}

async function steady(client, until, pause, tally = result) {
  while (now() < until) {
    try {
      // A command that waits behind a lost connection for longer than a second has failed its caller.
      await Promise.race([client.incr("steady"), wait(1).then(() => { throw new Error("no answer in 1 s"); })]);
      tally.ok++;
    } catch (error) {
      tally.failed++;
      result.error ??= kind(error);
    }
    await wait(pause);
  }
}

if (row === "outage" || row === "window") {
  const client = await connect();
  await client.ping();
  await steady(client, ready(), 0.1);
} else if (row === "blocking") {
  const clients = [await connect(), await connect()];
  const until = ready();
  const block = async (client, key) => {
    try {
      result[key] = (await client.blPop(key, 0)).element;
    } catch (error) {
      result[key] = kind(error);
    }
  };
  const first = block(clients[0], "before");
  block(clients[1], "after");
  await Promise.race([first, wait(until - now())]);
  await steady(clients[0], until, 0.2);
} else if (row === "pubsub") {
  const clients = [await connect({ RESP: 3 }), await connect({ RESP: 3 })];
  result.received = [[], []];
  const ends = clients.map((client, index) => new Promise((resolve) => {
    client.subscribe("numbers", (message) => message === "end" ? resolve() : result.received[index].push(Number(message)));
  }));
  await wait(1);
  const until = ready();
  await Promise.race([Promise.all(ends), wait(until - now())]);
} else if (row === "multi") {
  const client = await connect();
  const until = ready();
  await wait(4);
  try {
    await client.sendCommand(["MULTI"]);
    await client.sendCommand(["ECHO", "first"]);
    await wait(5);
    await client.sendCommand(["ECHO", "second"]);
    result.exec = await client.sendCommand(["EXEC"]);
  } catch (error) {
    result.exec = kind(error);
  }
  await steady(client, until, 0.2);
} else if (row === "rejected") {
  const clients = await Promise.all(Array.from({ length: 8 }, () => connect()));
  const until = ready();
  Object.assign(result, { right: 0, wrong: 0 });
  const ask = async (client, index) => {
    while (now() < until) {
      try {
        const right = (await client.get(`key:${index}`)) === `value:${index}`;
        result[right ? "right" : "wrong"]++;
      } catch (error) {
        result.failed++;
        result.error ??= kind(error);
        await wait(0.05);
      }
    }
  };
  const asking = clients.flatMap((client) => Array.from({ length: 50 }, (_, index) => ask(client, index)));
  // A caller whose reply never comes would wait for ever: the row ends without it.
  await Promise.race([Promise.all(asking), wait(seconds + 2)]);
} else if (row === "pool") {
  const clients = await Promise.all(Array.from({ length: 100 }, () => connect()));
  const until = ready();
  await Promise.all(clients.map((client) => steady(client, until, 0.5)));
}
console.log(JSON.stringify(result));
process.exit(0);
