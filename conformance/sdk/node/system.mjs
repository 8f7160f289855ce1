// The running system, and the few lines that every case shares.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

export { assert };
export const facts = process.env.ENTRANT_READY ? JSON.parse(readFileSync(process.env.ENTRANT_READY, "utf8")) : {};
export const exchange = "api://AzureADTokenExchange";
export const redisScope = "https://redis.azure.com/.default";
// The emulator's own, of its default seed; it opens nothing else.
export const clientSecret = "emulator-only-secret-of-web-app";
export const redirectUri = "http://localhost:5000/getAToken";
export const apiScope = () => `api://${facts.api_client_id}/.default`;
export const authorityHost = () => new URL(facts.authority).origin;

const cases = new Map();

/** Registers a function as a case; `needs` says what the client must be told beyond the ordinary. */
export function test(key, name, needs, run) {
  cases.set(key, { name, needs, run });
}

/** The variables that App Service sets. */
export function appService() {
  process.env.IDENTITY_ENDPOINT = facts.identity_endpoint;
  process.env.IDENTITY_HEADER = facts.identity_header;
}

/** Where the metadata address is, as pod identity overrides it. */
export function imds() {
  process.env.AZURE_POD_IDENTITY_AUTHORITY_HOST = facts.imds_url;
}

/** The claims of a token, unverified: a test looks at what it was given. */
export function claims(token) {
  return JSON.parse(Buffer.from(token.split(".")[1], "base64url").toString());
}

/** The token speaks of the user-assigned identity, by its principal id. */
export function isIdentity(token) {
  assert.equal(claims(token).oid, facts.managed_identity_principal_id);
}

/** Picks an account on the emulator's page and returns the parameters that come back to the app. */
export async function signIn(url, who = "alice@contoso.example") {
  let page = await fetch(url, { redirect: "manual" });
  if (page.status === 200) {
    const text = await page.text();
    const cookie = page.headers.getSetCookie().map((line) => line.split(";")[0]).join("; ");
    const form = text.match(/<form[\s\S]*?<\/form>/g).find((form) => form.includes(who));
    const attribute = (tag, name) => tag.match(new RegExp(`\\b${name}="([^"]*)"`))?.[1]?.replaceAll("&amp;", "&").replaceAll("&#38;", "&");
    const body = new URLSearchParams();
    // A form sends its inputs and the one button that was pressed.
    for (const tag of form.match(/<(input|button)[^>]*>/g)) {
      const [name, value] = [attribute(tag, "name"), attribute(tag, "value") ?? ""];
      if (name && (tag.startsWith("<input") || value.includes(who))) body.set(name, value);
    }
    const target = new URL(attribute(form.match(/<form[^>]*>/)[0], "action") ?? "", url);
    page = await fetch(target, { method: "POST", body, redirect: "manual", headers: { cookie } });
  }
  const location = page.headers.get("location") ?? "";
  assert.match(location, /code=/, `${page.status} ${location}`);
  return Object.fromEntries(new URL(location).searchParams);
}

/** `--list` prints the cases as JSON lines; a case's name runs it. */
export async function main(client) {
  const key = process.argv[2];
  if (key === "--list") {
    for (const [key, { name, needs }] of cases) console.log(JSON.stringify({ client, case: key, name, needs }));
    return;
  }
  try {
    await cases.get(key).run();
    process.exit(0);
  } catch (error) {
    console.error(error);
    process.exit(1);
  }
}
