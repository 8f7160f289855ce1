// node-redis with @redis/entraid.
import { readFileSync } from "node:fs";
import { ClientAssertionCredential, ClientSecretCredential, DefaultAzureCredential, ManagedIdentityCredential } from "@azure/identity";
import { EntraIdCredentialsProviderFactory } from "@redis/entraid";
import { createClient } from "redis";
import { absent, appService, assert, authorityHost, clientSecret, control, count, exchange, facts, fault, imds, main, redisScope, test, workload } from "./system.mjs";

const told = "`tls`, `ca`";
const toldCredential = "`tls`, `ca`; a credential of `@azure/identity` with `authorityHost`, `disableInstanceDiscovery: true`";
const options = () => ({ authorityHost: authorityHost(), disableInstanceDiscovery: true });

function connect(options) {
  const socket = { host: facts.gate_host, port: facts.gate_port, tls: true, ca: readFileSync(facts.ca_path), reconnectStrategy: false };
  return createClient({ socket, ...options }).on("error", () => {}).connect();
}

function managed(expirationRefreshRatio = 0.75) {
  return EntraIdCredentialsProviderFactory.createForUserAssignedManagedIdentity({
    clientId: facts.managed_identity_client_id, userAssignedClientId: facts.managed_identity_client_id, tokenManagerConfig: { expirationRefreshRatio },
  });
}

function around(credential) {
  const tokenManagerConfig = { expirationRefreshRatio: 0.75 };
  return EntraIdCredentialsProviderFactory.createForDefaultAzureCredential({ credential, scopes: redisScope, tokenManagerConfig });
}

async function setAndGet(credentialsProvider, RESP = 2) {
  const client = await connect({ RESP, credentialsProvider });
  await client.set(`conformance:node:${RESP}`, "kept");
  assert.equal(await client.get(`conformance:node:${RESP}`), "kept");
}

test("resp2", "managed identity", "App Service, RESP2", told, async () => {
  appService();
  await setAndGet(managed());
});

test("resp3", "managed identity", "IMDS, RESP3", told, async () => {
  imds();
  await setAndGet(managed(), 3);
});

test("workload_identity", "workload identity", "`createForDefaultAzureCredential`", told, async () => {
  workload();
  await setAndGet(around(new DefaultAzureCredential()));
});

test("service_principal", "service principal", "client secret", toldCredential, async () => {
  await setAndGet(around(new ClientSecretCredential(facts.tenant_id, facts.client_id, clientSecret, options())));
});

test("federated_credential", "federated credential", "managed identity", toldCredential, async () => {
  imds();
  const identity = new ManagedIdentityCredential({ clientId: facts.managed_identity_client_id });
  const assertion = async () => (await identity.getToken(exchange)).token;
  await setAndGet(around(new ClientAssertionCredential(facts.tenant_id, facts.client_id, assertion, options())));
});

test("again_on_the_live_connection", "refresh", "AUTH again on the live connection", told, async () => {
  appService();
  await fault({ lifetime: { seconds: 200 } }, { endpoint: "app_service" }, async () => {
    // A ratio of 0.005 of 200 s: a new token every second.
    const client = await connect({ credentialsProvider: managed(0.005) });
    const [before, number] = [await count("redis"), await client.sendCommand(["CLIENT", "ID"])];
    for (let tries = 0; tries < 200 && (await count("redis")) === before; tries += 1) await new Promise((resolve) => setTimeout(resolve, 200));
    assert.ok((await count("redis")) > before, "another AUTH");
    assert.equal(await client.sendCommand(["CLIENT", "ID"]), number, "the same connection");
  });
});

absent("sign-in", "`createForAuthorizationCodeWithPKCE` makes an MSAL client without `knownAuthorities`, so no authority but Microsoft's ([source](https://github.com/redis/node-redis/blob/master/packages/entraid/lib/entra-id-credentials-provider-factory.ts))");
absent("silent", "no account, so nothing to be silent about");
absent("on behalf of", "no such provider");

test("no_token", "fault", "a password that is no token", told, async () => {
  const attempt = connect({ username: facts.managed_identity_principal_id, password: "no token" });
  await assert.rejects(attempt, /WRONGPASS/);
});

test("dropped_at_auth", "fault", "the connection dropped at AUTH", told, async () => {
  appService();
  await fault("reset", { endpoint: "redis", identity: "web-app-identity" }, async () => {
    await assert.rejects(connect({ credentialsProvider: managed() }), /[Ss]ocket closed/);
  });
});

test("revoked", "fault", "access revoked: the connection ends", told, async () => {
  appService();
  const client = await connect({ credentialsProvider: managed() });
  const ended = new Promise((resolve) => client.on("error", resolve));
  assert.ok((await control("POST", "redis", { action: "disconnect", who: "web-app-identity" })).affected > 0);
  assert.match(String(await ended), /[Ss]ocket closed/);
});

await main("redis + @redis/entraid (Node)");
