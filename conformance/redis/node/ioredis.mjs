// ioredis, which has no support for Entra at all, through the sidecar: `ioredis.mjs PORT`.
import { Redis } from "ioredis";

import { run } from "./cases.mjs";

const port = Number(process.argv[2]);

async function connect({ version, username, password, database, name }) {
  const client = new Redis({
    host: "127.0.0.1",
    port,
    protocol: version,
    username,
    password,
    db: database ?? 0,
    connectionName: name,
    retryStrategy: () => null,
    lazyConnect: true,
  });
  client.on("error", (error) => {
    console.error(error);
    process.exit(1);
  });
  await client.connect();
  return {
    raw: (...words) => client.call(...words),
    subscribe: async (channel, listener) => {
      client.on("message", (_, text) => listener(text));
      await client.subscribe(channel);
    },
    close: async () => client.disconnect(),
  };
}

await run("ioredis", [2, 3], connect);
