"""One fault row through azure-identity or MSAL for Python: prints one JSON object."""
import json, os, sys, threading, time

client, row, base = sys.argv[1:4]
host = f"{client}.test"
if row == "missing":
    os.environ["AZURE_POD_IDENTITY_AUTHORITY_HOST"] = base
else:
    os.environ["IDENTITY_ENDPOINT"] = f"{base}/msi"
    os.environ["IDENTITY_HEADER"] = "header"

if client == "azure-identity-py":
    from azure.identity import ManagedIdentityCredential
    credential = ManagedIdentityCredential()

    def get(resource):
        return credential.get_token(f"{resource}/.default").token
else:
    import msal, requests
    credential = msal.ManagedIdentityClient(msal.SystemAssignedManagedIdentity(), http_client=requests.Session())

    def get(resource):
        reply = credential.acquire_token_for_client(resource=resource)
        if "access_token" not in reply:
            raise RuntimeError(reply.get("error"))
        return reply["access_token"]


def attempt(resource):
    started = time.monotonic()
    try:
        get(resource)
        outcome = "token"
    except Exception as error:  # the outcome is what the row measures
        outcome = f"error: {type(error).__name__}"
    return outcome, round((time.monotonic() - started) * 1000, 1)


def many(resource, callers):
    barrier, outcomes = threading.Barrier(callers), []

    def one():
        barrier.wait()
        outcomes.append(attempt(resource)[0])

    threads = [threading.Thread(target=one) for _ in range(callers)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    return outcomes


result = {}
if row == "outage":
    first = attempt(f"https://outage.{host}")
    result["first"] = first[0]
    result["outcome"], result["ms"] = attempt(f"https://outage.{host}")
elif row == "missing":
    result["outcome"], result["ms"] = attempt(f"https://missing.{host}")
elif row in ("cold", "down"):
    outcomes = many(f"https://{row}.{host}", 64)
    result["tokens"] = outcomes.count("token")
elif row == "slow":
    attempt(f"https://warm.{host}")
    other = threading.Thread(target=attempt, args=(f"https://slow.{host}",))
    other.start()
    time.sleep(0.2)
    result["outcome"], result["ms"] = attempt(f"https://warm.{host}")
    other.join()
elif row in ("strings", "numbers", "seed"):
    result["outcome"], result["ms"] = attempt(f"https://{row}.{host}")
elif row == "stale":
    until = time.monotonic() + 2
    while time.monotonic() < until:
        attempt(f"https://stale.{host}")
        time.sleep(0.005)
print(json.dumps(result))
