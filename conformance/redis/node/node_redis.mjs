// node-redis, unmodified and without any credentials provider, through the sidecar: `node_redis.mjs PORT`.
import { createClient } from "redis";

import { run } from "./cases.mjs";

const port = Number(process.argv[2]);

async function connect({ version, username, password, database, name }) {
  const client = createClient({
    socket: { host: "127.0.0.1", port, reconnectStrategy: false },
    RESP: version,
    username,
    password,
    database,
    name,
  });
  client.on("error", (error) => {
    console.error(error);
    process.exit(1);
  });
  await client.connect();
  return {
    raw: (...words) => client.sendCommand(words),
    subscribe: (channel, listener) => client.subscribe(channel, listener),
    close: async () => client.destroy(),
  };
}

await run("node-redis", [2, 3], connect);
