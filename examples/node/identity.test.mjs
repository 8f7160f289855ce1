// A test of code that uses @azure/identity, without Azure.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ManagedIdentityCredential } from "@azure/identity";
import { startEntrant } from "./entrant.mjs";

let entrant;
before(async () => {
  entrant = await startEntrant();
  process.env.IDENTITY_ENDPOINT = entrant.identity_endpoint;
  process.env.IDENTITY_HEADER = entrant.identity_header;
});
after(() => entrant?.stop());

test("my code gets a token for Redis", async () => {
  const credential = new ManagedIdentityCredential({ clientId: entrant.managed_identity_client_id });
  const { token } = await credential.getToken("https://redis.azure.com/.default");
  assert.equal(token.split(".").length, 3);
});
