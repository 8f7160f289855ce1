// @azure/identity.
import { join } from "node:path";
import {
  ClientAssertionCredential, ClientSecretCredential, DefaultAzureCredential, EnvironmentCredential, InteractiveBrowserCredential,
  ManagedIdentityCredential, OnBehalfOfCredential, WorkloadIdentityCredential,
} from "@azure/identity";
import {
  alice, apiScope, appService, assert, authorityHost, claims, clientSecret, count, desktopApp, exchange, facts, fault, imds, isIdentity,
  main, nobody, redisScope, test, workload,
} from "./system.mjs";

const told = "`authorityHost`, `disableInstanceDiscovery: true`";
const options = () => ({ authorityHost: authorityHost(), disableInstanceDiscovery: true });
const managed = () => new ManagedIdentityCredential({ clientId: facts.managed_identity_client_id });
const assertion = async () => (await managed().getToken(exchange)).token;
const isApp = ({ token }) => assert.equal(claims(token).azp, facts.client_id);

function atABrowser() {
  process.env.BROWSER = join(import.meta.dirname, "person.mjs");
  return new InteractiveBrowserCredential({ tenantId: facts.tenant_id, clientId: desktopApp, ...options() });
}

test("managed_identity_app_service", "managed identity", "App Service", "environment only", async () => {
  appService();
  isIdentity((await managed().getToken(redisScope)).token);
});

test("managed_identity_imds", "managed identity", "IMDS", "environment only", async () => {
  imds();
  isIdentity((await managed().getToken(redisScope)).token);
});

test("default_chain", "managed identity", "`DefaultAzureCredential`, App Service", "environment only", async () => {
  appService();
  const chain = new DefaultAzureCredential({ managedIdentityClientId: facts.managed_identity_client_id });
  isIdentity((await chain.getToken(redisScope)).token);
});

test("workload_identity", "workload identity", "", told, async () => {
  workload();
  isApp(await new WorkloadIdentityCredential(options()).getToken(apiScope()));
});

test("workload_identity_by_default", "workload identity", "`DefaultAzureCredential`", "environment only", async () => {
  workload();
  isApp(await new DefaultAzureCredential().getToken(apiScope()));
});

test("client_secret", "service principal", "client secret", told, async () => {
  isApp(await new ClientSecretCredential(facts.tenant_id, facts.client_id, clientSecret, options()).getToken(apiScope()));
});

test("environment", "service principal", "`EnvironmentCredential`", "tenant `adfs` in `AZURE_TENANT_ID`", async () => {
  Object.assign(process.env, {
    AZURE_TENANT_ID: "adfs", AZURE_AUTHORITY_HOST: authorityHost(), AZURE_CLIENT_ID: facts.client_id, AZURE_CLIENT_SECRET: clientSecret,
  });
  isApp(await new EnvironmentCredential().getToken(apiScope()));
});

test("federated_credential", "federated credential", "managed identity", told, async () => {
  imds();
  isApp(await new ClientAssertionCredential(facts.tenant_id, facts.client_id, assertion, options()).getToken(apiScope()));
});

test("sign_in_code_pkce", "sign-in", "`InteractiveBrowserCredential`", told, async () => {
  const { scp, preferred_username } = claims((await atABrowser().getToken(facts.api_scope)).token);
  assert.deepEqual([scp, preferred_username], ["access_as_user", alice]);
});

test("silent", "silent", "", told, async () => {
  const credential = atABrowser();
  const { token } = await credential.getToken(facts.api_scope);
  const asked = await count("token");
  assert.equal((await credential.getToken(facts.api_scope)).token, token);
  assert.equal(await count("token"), asked);
});

test("refresh", "refresh", "", told, async () => {
  const credential = atABrowser();
  let first;
  // Under five minutes of life is none at all to MSAL.
  await fault({ lifetime: { seconds: 200 } }, { endpoint: "token", times: 1 }, async () => {
    first = (await credential.getToken(facts.api_scope)).token;
  });
  const asked = await count("authorize");
  assert.notEqual((await credential.getToken(facts.api_scope)).token, first);
  assert.equal(await count("authorize"), asked, "renewed without a person");
});

test("on_behalf_of", "on behalf of", "by federated credential", told, async () => {
  imds();
  const { token } = await atABrowser().getToken(facts.api_scope);
  const given = { tenantId: facts.tenant_id, clientId: facts.api_client_id, getAssertion: assertion, userAssertionToken: token, ...options() };
  const result = claims((await new OnBehalfOfCredential(given).getToken("api://downstream/read")).token);
  assert.deepEqual([result.scp, result.oid], ["read", claims(token).oid]);
});

test("unknown_identity", "fault", "an identity that is not on this machine", "environment only", async () => {
  appService();
  await assert.rejects(new ManagedIdentityCredential({ clientId: nobody }).getToken(redisScope), { name: /CredentialUnavailableError|AuthenticationError/ });
});

test("expired_workload_token", "fault", "the projected token has expired: AADSTS700024", "environment only", async () => {
  workload();
  await fault({ aadsts: { number: 700024 } }, { endpoint: "token", app: "web-app" }, async () => {
    await assert.rejects(new DefaultAzureCredential().getToken(apiScope()), /AADSTS700024/);
  });
});

await main("@azure/identity");
