// One fault row through MSAL for Node or @azure/identity: prints one JSON object.
const [client, row, base] = process.argv.slice(2);
const host = `${client}.test`;
if (row === "missing") {
  process.env.AZURE_POD_IDENTITY_AUTHORITY_HOST = base;
} else {
  process.env.IDENTITY_ENDPOINT = `${base}/msi`;
  process.env.IDENTITY_HEADER = "header";
}
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
const attempt = async (resource) => {
  const started = performance.now();
  let outcome = "token";
  try {
    if (!(await get(resource))) outcome = "error: no token";
  } catch (error) {
    outcome = `error: ${error.constructor.name}`;
  }
  return { outcome, ms: Math.round((performance.now() - started) * 10) / 10 };
};
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
let result = {};
if (row === "outage") {
  result.first = (await attempt(`https://outage.${host}`)).outcome;
  Object.assign(result, await attempt(`https://outage.${host}`));
} else if (row === "cold" || row === "down") {
  const outcomes = await Promise.all(Array.from({ length: 64 }, () => attempt(`https://${row}.${host}`)));
  result.tokens = outcomes.filter((one) => one.outcome === "token").length;
} else if (row === "slow") {
  await attempt(`https://warm.${host}`);
  const other = attempt(`https://slow.${host}`);
  await wait(200);
  result = await attempt(`https://warm.${host}`);
  await other;
} else if (row === "stale") {
  const until = performance.now() + 2000;
  while (performance.now() < until) {
    await attempt(`https://stale.${host}`);
    await wait(5);
  }
} else {
  result = await attempt(`https://${row}.${host}`);
}
console.log(JSON.stringify(result));
process.exit(0);
