// @azure/identity.
import { ClientAssertionCredential, ClientSecretCredential, DefaultAzureCredential, EnvironmentCredential, ManagedIdentityCredential } from "@azure/identity";
import { apiScope, appService, assert, authorityHost, claims, clientSecret, exchange, facts, imds, isIdentity, main, redisScope, test } from "./system.mjs";

const told = "`authorityHost`, `disableInstanceDiscovery: true`";
const options = () => ({ authorityHost: authorityHost(), disableInstanceDiscovery: true });
const managed = () => new ManagedIdentityCredential({ clientId: facts.managed_identity_client_id });
const isApp = ({ token }) => assert.equal(claims(token).azp, facts.client_id);

test("managed_identity_app_service", "managed identity, App Service", "environment only", async () => {
  appService();
  isIdentity((await managed().getToken(redisScope)).token);
});

test("managed_identity_imds", "managed identity, IMDS", "environment only", async () => {
  imds();
  isIdentity((await managed().getToken(redisScope)).token);
});

test("default_chain", "default chain, App Service", "environment only", async () => {
  appService();
  const chain = new DefaultAzureCredential({ managedIdentityClientId: facts.managed_identity_client_id });
  isIdentity((await chain.getToken(redisScope)).token);
});

test("client_secret", "client secret", told, async () => {
  isApp(await new ClientSecretCredential(facts.tenant_id, facts.client_id, clientSecret, options()).getToken(apiScope()));
});

test("environment", "environment", "tenant `adfs` in `AZURE_TENANT_ID`", async () => {
  Object.assign(process.env, {
    AZURE_TENANT_ID: "adfs", AZURE_AUTHORITY_HOST: authorityHost(), AZURE_CLIENT_ID: facts.client_id, AZURE_CLIENT_SECRET: clientSecret,
  });
  isApp(await new EnvironmentCredential().getToken(apiScope()));
});

test("federated_credential", "managed identity as federated credential", told, async () => {
  imds();
  const assertion = async () => (await managed().getToken(exchange)).token;
  isApp(await new ClientAssertionCredential(facts.tenant_id, facts.client_id, assertion, options()).getToken(apiScope()));
});

test("unknown_identity", "fault: an identity that is not on this machine", "environment only", async () => {
  appService();
  const stranger = new ManagedIdentityCredential({ clientId: "00000000-0000-4000-8000-000000000000" });
  await assert.rejects(stranger.getToken(redisScope), { name: /CredentialUnavailableError|AuthenticationError/ });
});

await main("@azure/identity");
