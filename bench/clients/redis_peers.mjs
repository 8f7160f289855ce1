// One row of the Redis table through node-redis with @redis/entraid: prints `ready`, then one JSON object.
import { readFileSync } from "node:fs";
import { DEFAULT_TOKEN_MANAGER_CONFIG, EntraIdCredentialsProviderFactory } from "@redis/entraid/dist/lib/entra-id-credentials-provider-factory.js";
import { createClient, createCluster } from "redis";

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

const tls = process.env.PEER_CA ? { tls: true, ca: readFileSync(process.env.PEER_CA) } : {};
const place = { host: process.env.PEER_HOST, port: Number(process.env.PEER_PORT), ...tls };
const note = (error) => { result.socket ??= kind(error); };

const connect = async (options = {}) =>
  createClient({ socket: place, credentialsProvider: shared, ...options }).on("error", note).connect();

function ready() {
  console.log("ready");
  return now() + seconds;
}

async function steady(client, until, pause, keys = 1) {
  for (let turn = 0; now() < until; turn++) {
    try {
      // A command that waits behind a lost connection for longer than a second has failed its caller.
      await Promise.race([client.incr(`steady:${turn % keys}`), wait(1).then(() => { throw new Error("no answer in 1 s"); })]);
      result.ok++;
    } catch (error) {
      result.failed++;
      result.error ??= kind(error);
    }
    await wait(pause);
  }
}

if (["outage", "window", "clock"].includes(row)) {
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
} else if (row === "cluster") {
  const cluster = createCluster({ rootNodes: [{ socket: place }], defaults: { credentialsProvider: shared, socket: tls } });
  await cluster.on("error", note).connect();
  await steady(cluster, ready(), 0.05, 400);
} else if (row === "resp2" || row === "resp3") {
  const RESP = Number(row.at(-1));
  const clients = [await connect({ RESP }), await connect({ RESP })];
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
  const clients = [];
  while (clients.length < 1000) clients.push(...await Promise.all(Array.from({ length: 20 }, () => connect())));
  const until = ready();
  await Promise.all(clients.map(async (client, index) => {
    await wait(index / 500);
    await steady(client, until, 2);
  }));
}
console.log(JSON.stringify(result));
process.exit(0);
