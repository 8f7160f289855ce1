// MSAL Node.
import { ConfidentialClientApplication, CryptoProvider, ManagedIdentityApplication } from "@azure/msal-node";
import { apiScope, appService, assert, claims, clientSecret, exchange, facts, imds, isIdentity, main, redirectUri, signIn, test } from "./system.mjs";

const told = "`authority`, `knownAuthorities`";

async function managed(resource) {
  const client = new ManagedIdentityApplication({ managedIdentityIdParams: { userAssignedClientId: facts.managed_identity_client_id } });
  return (await client.acquireToken({ resource })).accessToken;
}

function app(credential) {
  const { authority, client_id: clientId } = facts;
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

test("managed_identity_app_service", "managed identity, App Service", "environment only", async () => {
  appService();
  isIdentity(await managed("https://redis.azure.com"));
});

test("managed_identity_imds", "managed identity, IMDS", "environment only", async () => {
  imds();
  isIdentity(await managed("https://redis.azure.com"));
});

test("client_secret", "client secret", told, async () => {
  const result = await app({ clientSecret }).acquireTokenByClientCredential({ scopes: [apiScope()] });
  assert.equal(claims(result.accessToken).azp, facts.client_id);
});

test("federated_credential", "managed identity as federated credential", told, async () => {
  const result = await federated().acquireTokenByClientCredential({ scopes: [apiScope()] });
  assert.equal(claims(result.accessToken).azp, facts.client_id);
});

test("sign_in_code_pkce", "sign-in with code and PKCE, by federated credential", told, async () => {
  const result = await signedIn(federated());
  assert.equal(claims(result.accessToken).scp, "access_as_user");
  assert.equal(result.account.username, "alice@contoso.example");
});

test("silent", "silent: from the cache", told, async () => {
  const client = federated();
  const { account, accessToken } = await signedIn(client);
  const again = await client.acquireTokenSilent({ account, scopes: [facts.api_scope] });
  assert.ok(again.fromCache);
  assert.equal(again.accessToken, accessToken);
});

test("refresh", "refresh", told, async () => {
  const client = federated();
  const { account, accessToken } = await signedIn(client);
  const again = await client.acquireTokenSilent({ account, scopes: [facts.api_scope], forceRefresh: true });
  assert.notEqual(again.accessToken, accessToken);
});

test("wrong_assertion", "fault: a token for another resource as assertion", told, async () => {
  const request = federated("https://redis.azure.com").acquireTokenByClientCredential({ scopes: [apiScope()] });
  await assert.rejects(request, (error) => error.errorCode === "invalid_client" && /AADSTS700/.test(error.message));
});

await main("@azure/msal-node");
