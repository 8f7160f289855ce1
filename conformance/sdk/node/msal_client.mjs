// MSAL Node.
import { readFileSync } from "node:fs";
import { ConfidentialClientApplication, CryptoProvider, ManagedIdentityApplication } from "@azure/msal-node";
import { alice, apiScope, appService, assert, claims, clientSecret, exchange, facts, fault, imds, isIdentity, main, redirectUri, signIn, test, tokenFile } from "./system.mjs";

const told = "`authority`, `knownAuthorities`";
const clientCredential = (client) => client.acquireTokenByClientCredential({ scopes: [apiScope()] });
const isApp = ({ accessToken }) => assert.equal(claims(accessToken).azp, facts.client_id);

async function managed(resource) {
  const client = new ManagedIdentityApplication({ managedIdentityIdParams: { userAssignedClientId: facts.managed_identity_client_id } });
  return (await client.acquireToken({ resource })).accessToken;
}

function app(credential, clientId = facts.client_id) {
  const { authority } = facts;
  return new ConfidentialClientApplication({ auth: { clientId, authority, knownAuthorities: [new URL(authority).host], ...credential } });
}

function federated(resource = exchange) {
  imds();
  return app({ clientAssertion: () => managed(resource) });
}

async function signedIn(client) {
  const { verifier, challenge } = await new CryptoProvider().generatePkceCodes();
  const scopes = [facts.api_scope];
  const url = await client.getAuthCodeUrl({ scopes, redirectUri, codeChallenge: challenge, codeChallengeMethod: "S256", state: "s", nonce: "n" });
  const { code, client_info: clientInfo } = await signIn(url);
  return client.acquireTokenByCode({ scopes, redirectUri, code, codeVerifier: verifier, clientInfo, nonce: "n" });
}

test("managed_identity_app_service", "managed identity", "App Service", "environment only", async () => {
  appService();
  isIdentity(await managed("https://redis.azure.com"));
});

test("managed_identity_imds", "managed identity", "IMDS", "environment only", async () => {
  imds();
  isIdentity(await managed("https://redis.azure.com"));
});

test("workload_identity", "workload identity", "the token file as `clientAssertion`", told, async () => {
  isApp(await clientCredential(app({ clientAssertion: async () => readFileSync(tokenFile(), "utf8") })));
});

test("client_secret", "service principal", "client secret", told, async () => {
  isApp(await clientCredential(app({ clientSecret })));
});

test("federated_credential", "federated credential", "managed identity", told, async () => {
  isApp(await clientCredential(federated()));
});

test("sign_in_code_pkce", "sign-in", "by federated credential", told, async () => {
  const result = await signedIn(federated());
  assert.equal(claims(result.accessToken).scp, "access_as_user");
  assert.equal(result.account.username, alice);
});

test("silent", "silent", "", told, async () => {
  const client = federated();
  const { account, accessToken } = await signedIn(client);
  const again = await client.acquireTokenSilent({ account, scopes: [facts.api_scope] });
  assert.ok(again.fromCache);
  assert.equal(again.accessToken, accessToken);
});

test("refresh", "refresh", "", told, async () => {
  const client = federated();
  const { account, accessToken } = await signedIn(client);
  const again = await client.acquireTokenSilent({ account, scopes: [facts.api_scope], forceRefresh: true });
  assert.notEqual(again.accessToken, accessToken);
});

test("on_behalf_of", "on behalf of", "by federated credential", told, async () => {
  const { accessToken } = await signedIn(federated());
  const api = app({ clientAssertion: () => managed(exchange) }, facts.api_client_id);
  const result = await api.acquireTokenOnBehalfOf({ oboAssertion: accessToken, scopes: ["api://downstream/read"] });
  assert.equal(claims(result.accessToken).scp, "read");
  assert.equal(claims(result.accessToken).oid, claims(accessToken).oid);
});

test("wrong_assertion", "fault", "a token for another resource as assertion", told, async () => {
  const request = clientCredential(federated("https://redis.azure.com"));
  await assert.rejects(request, (error) => error.errorCode === "invalid_client" && /AADSTS700/.test(error.message));
});

test("consent_required", "fault", "consent withdrawn: `InteractionRequiredAuthError` at refresh", told, async () => {
  const client = federated();
  const { account } = await signedIn(client);
  await fault({ aadsts: { number: 65001 } }, { endpoint: "token", grant: "refresh_token" }, async () => {
    const request = client.acquireTokenSilent({ account, scopes: [facts.api_scope], forceRefresh: true });
    await assert.rejects(request, { name: "InteractionRequiredAuthError" });
  });
});

test("metadata_of_another_issuer", "fault", "metadata with another issuer is refused", told, async () => {
  await fault({ "set-field": { field: "issuer", value: "https://elsewhere.example/v2.0" } }, { endpoint: "metadata" }, async () => {
    await assert.rejects(clientCredential(app({ clientSecret })), { errorCode: "endpoints_resolution_error" });
  });
});

test("no_expiry", "fault", "an identity's token without `expires_on`: asked for again at every call", "environment only", async () => {
  appService();
  const client = new ManagedIdentityApplication({ managedIdentityIdParams: { userAssignedClientId: facts.managed_identity_client_id } });
  await fault({ "drop-field": { field: "expires_on" } }, { endpoint: "app_service" }, async () => {
    const [first, second] = [await client.acquireToken({ resource: "https://redis.azure.com" }), await client.acquireToken({ resource: "https://redis.azure.com" })];
    assert.ok(!first.fromCache && !second.fromCache);
  });
});

await main("@azure/msal-node");
