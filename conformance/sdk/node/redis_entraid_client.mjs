// node-redis with @redis/entraid.
import { readFileSync } from "node:fs";
import { EntraIdCredentialsProviderFactory } from "@redis/entraid";
import { createClient } from "redis";
import { appService, assert, facts, imds, main, test } from "./system.mjs";

const tokenManagerConfig = { expirationRefreshRatio: 0.75 };

function connect(options) {
  const socket = { host: facts.gate_host, port: facts.gate_port, tls: true, ca: readFileSync(facts.ca_path), reconnectStrategy: false };
  return createClient({ socket, ...options }).on("error", () => {}).connect();
}

async function setAndGet(RESP) {
  const credentialsProvider = EntraIdCredentialsProviderFactory.createForUserAssignedManagedIdentity({
    clientId: facts.managed_identity_client_id, userAssignedClientId: facts.managed_identity_client_id, tokenManagerConfig,
  });
  const client = await connect({ RESP, credentialsProvider });
  await client.set(`conformance:node:${RESP}`, "kept");
  assert.equal(await client.get(`conformance:node:${RESP}`), "kept");
}

test("resp2", "SET and GET through the gate, RESP2", "`tls`, `ca`", async () => {
  appService();
  await setAndGet(2);
});

test("resp3", "SET and GET through the gate, RESP3", "`tls`, `ca`", async () => {
  imds();
  await setAndGet(3);
});

test("no_token", "fault: a password that is no token", "`tls`, `ca`", async () => {
  const attempt = connect({ username: facts.managed_identity_principal_id, password: "no token" });
  await assert.rejects(attempt, /WRONGPASS/);
});

await main("redis + @redis/entraid (Node)");
