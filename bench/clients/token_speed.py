"""Warm token look-ups through azure-identity or MSAL for Python: prints one JSON object."""
import json, os, sys, threading, time

client, base = sys.argv[1:3]
os.environ["IDENTITY_ENDPOINT"] = f"{base}/msi"
os.environ["IDENTITY_HEADER"] = "header"
resource = f"https://warm.{client}.test"
slow = f"https://renew.{client}.test"

if client == "azure-identity-py":
    from azure.identity import ManagedIdentityCredential
    credential = ManagedIdentityCredential()
    get = lambda resource: credential.get_token(f"{resource}/.default").token
else:
    import msal, requests
    credential = msal.ManagedIdentityClient(msal.SystemAssignedManagedIdentity(), http_client=requests.Session())
    get = lambda resource: credential.acquire_token_for_client(resource=resource)["access_token"]

get(resource)
calls = 5000
chunks = []
for _ in range(7):
    started = time.perf_counter()
    for _ in range(calls):
        get(resource)
    chunks.append((time.perf_counter() - started) / calls * 1e6)

counts = [0, 0]
stop = time.perf_counter() + 1.0


def spin(index):
    while time.perf_counter() < stop:
        for _ in range(100):
            get(resource)
        counts[index] += 100


threads = [threading.Thread(target=spin, args=(index,)) for index in range(2)]
[t.start() for t in threads]
[t.join() for t in threads]

# Reads across renewals: the token lives 305 s, which these clients renew once 300 s are left.
get(slow)
worst, until = 0.0, time.perf_counter() + 7
while time.perf_counter() < until:
    started = time.perf_counter()
    get(slow)
    worst = max(worst, time.perf_counter() - started)
    time.sleep(0.005)
print(json.dumps({"us": sorted(chunks)[len(chunks) // 2], "two_threads": sum(counts), "worst_ms": worst * 1000}))
