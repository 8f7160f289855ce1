// The running system, and the few lines that every case shares.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";

export { assert };
export const facts = process.env.ENTRANT_READY ? JSON.parse(readFileSync(process.env.ENTRANT_READY, "utf8")) : {};
export const exchange = "api://AzureADTokenExchange";
export const redisScope = "https://redis.azure.com/.default";
export const alice = "alice@contoso.example";
export const nobody = "00000000-0000-4000-8000-000000000000";
// The emulator's own, of the seed; it opens nothing else.
export const clientSecret = "emulator-only-secret-of-web-app";
export const desktopApp = "00000000-0000-4000-8000-00000000de5c";
export const redirectUri = "http://localhost:5000/getAToken";
export const apiScope = () => `api://${facts.api_client_id}/.default`;
export const authorityHost = () => new URL(facts.authority).origin;
/** The projected token of a service account, beside the CA. */
export const tokenFile = () => join(dirname(facts.ca_path), "workload-identity-token");

// No case takes longer than a few seconds; the slowest clients retry for twenty before they give up.
const limitMillis = 60_000;
const cases = new Map();
const absences = [];

/** Registers a function as a case of a column of the matrix; `needs` says what the client must be told beyond the ordinary. */
export function test(key, capability, variant, needs, run) {
  cases.set(key, { capability, variant, needs, run });
}

/** The package has no such thing; `why` says where that can be read. */
export function absent(capability, why) {
  absences.push({ capability, absent: why });
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

/** The variables that the webhook of AKS workload identity sets. */
export function workload() {
  Object.assign(process.env, {
    AZURE_AUTHORITY_HOST: authorityHost(), AZURE_TENANT_ID: facts.tenant_id, AZURE_CLIENT_ID: facts.client_id,
    AZURE_FEDERATED_TOKEN_FILE: tokenFile(),
  });
}

/** The claims of a token, unverified: a test looks at what it was given. */
export function claims(token) {
  return JSON.parse(Buffer.from(token.split(".")[1], "base64url").toString());
}

/** The token speaks of the user-assigned identity, by its principal id. */
export function isIdentity(token) {
  assert.equal(claims(token).oid, facts.managed_identity_principal_id);
}

/** The emulator's control API. */
export async function control(method, path, body) {
  const headers = { "content-type": "application/json" };
  const answer = await fetch(`${facts.console_url}/control/${path}`, { method, headers, body: body && JSON.stringify(body) });
  const text = await answer.text();
  assert.ok(answer.ok, `${path}: ${answer.status} ${text}`);
  return text ? JSON.parse(text) : undefined;
}

/** Requests that an endpoint has answered. */
export async function count(endpoint) {
  return (await control("GET", "counters"))[endpoint].answered;
}

/** Runs `body` with a fault rule in force, which must strike at least once. */
export async function fault(effect, rule, body) {
  const { id } = await control("POST", "faults", { effect, ...rule });
  await body();
  const status = (await control("GET", "faults")).find((status) => status.id === id);
  await control("DELETE", `faults/${id}`);
  assert.ok(status.struck > 0, `${JSON.stringify(effect)} met nobody`);
}

/** Picks an account on the emulator's page and returns the answer that goes back to the app. */
export async function answerOf(url, who = alice) {
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
  return page.headers.get("location") ?? "";
}

/** The parameters that come back to the app after Alice was chosen. */
export async function signIn(url) {
  const location = await answerOf(url);
  assert.match(location, /code=/);
  return Object.fromEntries(new URL(location).searchParams);
}

const report = (what) => console.log(JSON.stringify(what));

/** Runs a case in a process of its own: client libraries keep what they learnt for the life of a process. */
async function apart(key) {
  const child = spawn(process.execPath, [process.argv[1], key], { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  child.stdout.on("data", (text) => (said += text));
  child.stderr.on("data", (text) => (said += text));
  const timer = setTimeout(() => child.kill("SIGKILL"), limitMillis);
  const code = await new Promise((resolve) => child.on("close", resolve));
  clearTimeout(timer);
  if (code === 0) return null;
  await control("DELETE", "faults");
  return code === null ? `${said}no end after ${limitMillis / 1000} s` : said;
}

/** `--list` prints the cases, `--all` runs each in a process of its own and prints how it ended, as JSON lines; a case's name runs it here. */
export async function main(client) {
  const key = process.argv[2];
  if (key === "--list") return [...cases.keys()].forEach((key) => console.log(key));
  if (key === "--all") {
    absences.forEach((absence) => report({ client, ...absence }));
    for (const [key, { capability, variant, needs }] of cases) {
      report({ client, case: key, capability, variant, needs, failure: await apart(key) });
    }
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
