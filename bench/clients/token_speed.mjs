// Warm token look-ups through MSAL for Node or @azure/identity: prints one JSON object.
const [client, base] = process.argv.slice(2);
process.env.IDENTITY_ENDPOINT = `${base}/msi`;
process.env.IDENTITY_HEADER = "header";
const resource = `https://warm.${client}.test`;
const slow = `https://renew.${client}.test`;
let get;
if (client === "msal-node") {
  const { ManagedIdentityApplication } = await import("@azure/msal-node");
  const application = new ManagedIdentityApplication({ system: { loggerOptions: { loggerCallback() {} } } });
  get = async (resource) => (await application.acquireToken({ resource })).accessToken;
} else {
  const { ManagedIdentityCredential } = await import("@azure/identity");
  const credential = new ManagedIdentityCredential();
  get = async (resource) => (await credential.getToken(`${resource}/.default`)).token;
}
await get(resource);
const calls = 5000;
const chunks = [];
for (let chunk = 0; chunk < 7; chunk++) {
  const started = performance.now();
  for (let call = 0; call < calls; call++) await get(resource);
  chunks.push(((performance.now() - started) / calls) * 1000);
}
chunks.sort((a, b) => a - b);
await get(slow);
let worst = 0;
const until = performance.now() + 7000;
while (performance.now() < until) {
  const started = performance.now();
  await get(slow);
  worst = Math.max(worst, performance.now() - started);
  await new Promise((resolve) => setTimeout(resolve, 5));
}
console.log(JSON.stringify({ us: chunks[3], worst_ms: worst }));
process.exit(0);
