// A second identity provider: oidc-provider as published, over TLS on loopback, with one registered client.
//
//   node provider.mjs FOLDER
//
// FOLDER holds cert.pem and key.pem (TLS) and client.json: {"client_id", "redirect_uri", "signed_out_uri", "jwk",
// "scope"}. One line of JSON is printed when it listens: {"issuer", "control"}. The control address is plain HTTP on loopback:
// GET /counters (requests per path), POST /rotate (a new signing key; the one before stays published), POST
// /withdraw (only the newest stays). It ends when its standard input does.

import { generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer as createPlain } from "node:http";
import { createServer } from "node:https";
import { join } from "node:path";
import { Provider } from "oidc-provider";

const [folder] = process.argv.slice(2);
const read = (name) => readFileSync(join(folder, name), "utf8");
const client = JSON.parse(read("client.json"));

const PEOPLE = { alice: { name: "Alice Archer", preferred_username: "alice@contoso.example" } };
// Under five seconds left a client does not hand a token out: every use of it is then a refresh.
const TOKEN_LIFE = 5;

let serial = 0;
const newKey = () => {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  serial += 1;
  return { ...privateKey.export({ format: "jwk" }), kid: `key-${serial}`, use: "sig", alg: "RS256" };
};

// What the provider remembers. It outlives the instance, so that a new key leaves sessions and grants as they are.
const records = new Map();
class Store {
  constructor(model) {
    this.model = model;
  }
  key(id) {
    return `${this.model}:${id}`;
  }
  async upsert(id, payload) {
    records.set(this.key(id), payload);
  }
  async find(id) {
    return records.get(this.key(id));
  }
  async findByUid(uid) {
    return [...records].find(([key, payload]) => key.startsWith(`${this.model}:`) && payload.uid === uid)?.[1];
  }
  async consume(id) {
    records.get(this.key(id)).consumed = Math.floor(Date.now() / 1000);
  }
  async destroy(id) {
    records.delete(this.key(id));
  }
  async revokeByGrantId(grantId) {
    for (const [key, payload] of records) {
      if (payload.grantId === grantId) records.delete(key);
    }
  }
}

let issuer;
let keys = [newKey()];
let serve;
const counters = {};

const build = () => {
  const provider = new Provider(issuer, {
    adapter: Store,
    jwks: { keys },
    cookies: { keys: ["this-provider-runs-for-one-test"] },
    clients: [
      {
        client_id: client.client_id,
        token_endpoint_auth_method: "private_key_jwt",
        token_endpoint_auth_signing_alg: "PS256",
        jwks: { keys: [client.jwk] },
        redirect_uris: [client.redirect_uri],
        post_logout_redirect_uris: [client.signed_out_uri],
        grant_types: ["authorization_code", "refresh_token"],
        response_types: ["code"],
      },
    ],
    scopes: ["openid", "offline_access", "profile", client.scope],
    claims: { openid: ["sub"], profile: ["name", "preferred_username"] },
    conformIdTokenClaims: false,
    findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ sub, ...PEOPLE[sub] }) }),
    ttl: { AccessToken: TOKEN_LIFE, IdToken: 3600, Interaction: 600, Session: 3600, Grant: 3600, RefreshToken: 3600 },
  });
  serve = provider.callback();
};

const secure = createServer({ cert: read("cert.pem"), key: read("key.pem") }, (request, response) => {
  const path = request.url.split("?")[0];
  counters[path] = (counters[path] ?? 0) + 1;
  serve(request, response);
});

const control = createPlain((request, response) => {
  const answer = (status, body) => {
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify(body));
  };
  switch (`${request.method} ${request.url}`) {
    case "GET /counters":
      return answer(200, counters);
    case "POST /rotate":
      keys = [newKey(), ...keys];
      build();
      return answer(200, { kid: keys[0].kid });
    case "POST /withdraw":
      keys = keys.slice(0, 1);
      build();
      return answer(200, {});
    default:
      return answer(404, {});
  }
});

const listen = (server) => new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server.address().port)));
issuer = `https://localhost:${await listen(secure)}`;
build();
console.log(JSON.stringify({ issuer, control: `http://127.0.0.1:${await listen(control)}` }));
process.stdin.on("end", () => process.exit(0)).resume();
