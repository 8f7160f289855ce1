"""One row of the Redis table through redis-py with redis-entraid: prints `ready`, then one JSON object."""
import json, os, sys, threading, time

import redis
from redis_entraid.cred_provider import create_from_managed_identity
from redis_entraid.identity_provider import ManagedIdentityType

row, seconds = sys.argv[1], float(sys.argv[2])


def provider():
    return create_from_managed_identity(
        identity_type=ManagedIdentityType.SYSTEM_ASSIGNED, resource="https://redis.azure.com"
    )


def connect(kind=redis.Redis, **options):
    if os.environ.get("PEER_CA"):
        options.update(ssl=True, ssl_ca_certs=os.environ["PEER_CA"])
    return kind(
        host=os.environ["PEER_HOST"], port=int(os.environ["PEER_PORT"]), decode_responses=True,
        credential_provider=provider(), **options,
    )


def ready():
    print("ready", flush=True)
    return time.monotonic() + seconds


def kind(error):
    return f"{type(error).__name__}: {str(error)[:60]}"


def steady(client, until, pause, tally, keys=1):
    """A command every `pause` seconds; counts what failed."""
    turn = 0
    while time.monotonic() < until:
        turn += 1
        try:
            client.incr(f"steady:{turn % keys}")
            tally["ok"] += 1
        except Exception as error:
            tally["failed"] += 1
            tally.setdefault("error", kind(error))
        time.sleep(pause)


def side_by_side(jobs):
    threads = [threading.Thread(target=job, daemon=True) for job in jobs]
    [thread.start() for thread in threads]
    return threads


result = {"ok": 0, "failed": 0}
if row in ("outage", "window", "clock"):
    client = connect()
    client.ping()
    steady(client, ready(), 0.1, result)
elif row == "blocking":
    client = connect()
    client.ping()
    until = ready()

    def block(key):
        try:
            result[key] = client.blpop(key, 0)[1]
        except Exception as error:
            result[key] = kind(error)

    threads = side_by_side([lambda: block("before"), lambda: block("after")])
    threads[0].join(max(0, until - time.monotonic()))
    steady(client, until, 0.2, result)
elif row == "cluster":
    client = connect(redis.RedisCluster)
    client.ping()
    steady(client, ready(), 0.05, result, keys=400)
elif row in ("resp2", "resp3"):
    received = [[], []]
    client = connect(protocol=int(row[-1]))

    def listen(index, started):
        subscription = client.pubsub(ignore_subscribe_messages=True)
        subscription.subscribe("numbers")
        subscription.get_message(timeout=2)
        started.set()
        try:
            for message in subscription.listen():
                if message["data"] == "end":
                    return
                received[index].append(int(message["data"]))
        except Exception as error:
            result["error"] = kind(error)

    events = [threading.Event(), threading.Event()]
    threads = side_by_side([lambda: listen(0, events[0]), lambda: listen(1, events[1])])
    [event.wait(10) for event in events]
    until = ready()
    [thread.join(max(0, until - time.monotonic())) for thread in threads]
    result["received"] = [list(numbers) for numbers in received]
elif row == "multi":
    client = connect().client()
    client.ping()
    until = ready()
    time.sleep(4)
    try:
        client.execute_command("MULTI")
        client.execute_command("ECHO", "first")
        time.sleep(5)
        client.execute_command("ECHO", "second")
        result["exec"] = client.execute_command("EXEC")
    except Exception as error:
        result["exec"] = kind(error)
    steady(client, until, 0.2, result)
elif row == "rejected":
    client = connect(max_connections=64)
    client.ping()
    until = ready()
    result.update(right=0, wrong=0)

    def ask(index):
        while time.monotonic() < until:
            try:
                right = client.get(f"key:{index}") == f"value:{index}"
                result["right" if right else "wrong"] += 1
            except Exception as error:
                result["failed"] += 1
                result.setdefault("error", kind(error))
                time.sleep(0.05)

    [thread.join() for thread in side_by_side([lambda i=i: ask(i) for i in range(50)])]
elif row == "pool":
    client = connect(max_connections=1000)
    tallies = [{"ok": 0, "failed": 0} for _ in range(1000)]
    # Held until the pool has a thousand.
    held = []
    more = lambda: [held.append(client.connection_pool.get_connection()) for _ in range(50)]
    [thread.join() for thread in side_by_side([more] * 20)]
    for connection in held:
        try:
            client.connection_pool.release(connection)
        except Exception:
            pass  # Opening a thousand took longer than its token lived.
    until = ready()

    def one(index, tally):
        time.sleep(index / 500)
        steady(client, until, 2, tally)

    threads = side_by_side([lambda i=i, t=t: one(i, t) for i, t in enumerate(tallies)])
    [thread.join() for thread in threads]
    result = {key: sum(tally[key] for tally in tallies) for key in ("ok", "failed")}
    result["error"] = next((tally["error"] for tally in tallies if "error" in tally), None)
print(json.dumps(result), flush=True)
os._exit(0)
