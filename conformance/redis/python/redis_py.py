"""redis-py, unmodified and without any credential provider, through the sidecar: `redis_py.py PORT`."""

import asyncio
import sys
import threading
import time

import redis
import redis.asyncio

PORT = int(sys.argv[1])
# Over several re-AUTHs, which come every 100 ms.
SEVERAL = 0.4


def client(**options):
    return redis.Redis(host="127.0.0.1", port=PORT, decode_responses=True, socket_timeout=20, **options)


def commands_of_every_type_in_both_protocols(protocol):
    r = client(protocol=protocol)
    end = time.monotonic() + SEVERAL
    while time.monotonic() < end:
        assert r.set("py:k", "v", ex=1000) is True
        assert r.get("py:k") == "v" and r.get("py:none") is None
        r.delete("py:h", "py:z", "py:s", "py:l", "py:x")
        assert r.hset("py:h", mapping={"a": "1", "b": "2"}) == 2
        assert r.hgetall("py:h") == {"a": "1", "b": "2"}
        r.zadd("py:z", {"m": 1.5})
        scores = r.zrange("py:z", 0, -1, withscores=True)
        assert [list(pair) for pair in scores] == [["m", 1.5]], scores
        r.sadd("py:s", "x", "y")
        assert set(r.smembers("py:s")) == {"x", "y"}
        r.rpush("py:l", *range(10))
        assert r.lrange("py:l", 0, -1) == [str(n) for n in range(10)]
        r.xadd("py:x", {"f": "v"}, id="1-1")
        assert "1-1" in str(r.xrange("py:x"))
        try:
            r.lpush("py:k", "no")
            raise SystemExit("an error was expected")
        except redis.ResponseError as error:
            assert "WRONGTYPE" in str(error)


def values_of_any_bytes_and_size(protocol):
    r = redis.Redis(host="127.0.0.1", port=PORT, protocol=protocol, socket_timeout=20)
    for value in (b"", b"\r\n$3\r\n", bytes(range(256)) * 10, b"x" * (5 << 20)):
        assert r.set("py:bytes", value) and r.get("py:bytes") == value
    r.delete("py:bytes")


def a_pipeline_of_a_thousand_and_a_transaction(protocol):
    r = client(protocol=protocol)
    end = time.monotonic() + SEVERAL
    while time.monotonic() < end:
        pipeline = r.pipeline(transaction=False)
        for number in range(1000):
            pipeline.set(f"py:p{number % 50}", number).get(f"py:p{number % 50}")
        replies = pipeline.execute()
        assert replies[1::2] == [str(n) for n in range(1000)]
        r.set("py:n", 0)
        assert r.pipeline().incr("py:n").incr("py:n").execute() == [1, 2]


def a_watched_key_and_a_transaction_held_open(protocol):
    r, other = client(protocol=protocol), client(protocol=protocol)
    for touched in (False, True):
        r.set("py:w", 1)
        with r.pipeline() as pipeline:
            pipeline.watch("py:w")
            value = int(pipeline.get("py:w"))
            time.sleep(SEVERAL)
            if touched:
                other.set("py:w", 5)
            pipeline.multi()
            pipeline.set("py:w", value + 1)
            try:
                pipeline.execute()
                assert not touched
            except redis.WatchError:
                assert touched
        assert r.get("py:w") == ("5" if touched else "2")
    # redis-py sends MULTI with the rest; a held one is sent by hand.
    connection = r.connection_pool.get_connection()
    say = lambda *words: (connection.send_command(*words), connection.read_response())[1]
    assert say("MULTI") in ("OK", b"OK")
    assert say("INCR", "py:w") in ("QUEUED", b"QUEUED")
    time.sleep(SEVERAL)
    assert say("EXEC") == [6]
    r.connection_pool.release(connection)


def blocking_commands(protocol):
    r, pusher = client(protocol=protocol), client(protocol=protocol)
    r.delete("py:q")
    for number in range(3):
        timer = threading.Timer(SEVERAL, lambda: pusher.rpush("py:q", number))
        timer.start()
        assert list(r.blpop(["py:q"], timeout=10)) == ["py:q", str(number)]
        timer.join()
    assert r.blpop(["py:q"], timeout=0.2) is None
    assert not r.xread({"py:nostream": "$"}, block=200)


def scripts_and_functions(protocol):
    r = client(protocol=protocol)
    script = r.register_script("return {KEYS[1], ARGV[1], redis.call('incr', KEYS[1])}")
    r.set("py:script", 0)
    end, number = time.monotonic() + SEVERAL, 0
    while time.monotonic() < end:
        number += 1
        assert script(keys=["py:script"], args=["a"]) == ["py:script", "a", number]
        assert r.eval("return ARGV[1]", 0, "x") == "x"
    r.function_load("#!lua name=py\nredis.register_function('py_f', function(k, a) return a[1] end)", replace=True)
    assert r.fcall("py_f", 0, "hello") == "hello"


def pub_sub(protocol):
    """Numbered messages: none is missing; in RESP2 some may come twice while the subscriber moves."""
    r = client(protocol=protocol)
    subscriber = client(protocol=protocol).pubsub(ignore_subscribe_messages=True)
    subscriber.subscribe("py:c")
    subscriber.psubscribe("py:p*")
    subscriber.get_message(timeout=1)
    subscriber.get_message(timeout=1)

    def publish():
        for number in range(1000):
            r.publish("py:c", number)
            time.sleep(0.001)
        r.publish("py:pattern", "end")

    publisher = threading.Thread(target=publish)
    publisher.start()
    last, twice = -1, 0
    for message in subscriber.listen():
        if message["type"] == "pmessage":
            break
        number = int(message["data"])
        assert number <= last + 1, f"{number} after {last}: a message is missing"
        twice += number <= last
        last = max(last, number)
    publisher.join()
    assert last == 999, last
    assert protocol == 2 or twice == 0, f"{twice} came twice"
    subscriber.unsubscribe()
    subscriber.punsubscribe()
    subscriber.close()


def credentials_of_its_own_names_and_databases(protocol):
    r = client(protocol=protocol, username="anybody", password="anything", client_name="worker", db=3)
    r.set("py:db", "three")
    end = time.monotonic() + SEVERAL
    while time.monotonic() < end:
        assert r.client_getname() == "worker" and r.get("py:db") == "three"
        assert r.acl_whoami() != "anybody"
    assert client(protocol=protocol).get("py:db") is None


def a_pool_used_by_many_threads(protocol):
    r, failed = client(protocol=protocol, max_connections=20), []

    def work(number):
        try:
            for count in range(200):
                r.set(f"py:t{number}", count)
                assert r.get(f"py:t{number}") == str(count)
        except Exception as error:  # reported by the main thread
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed, failed


def asyncio_with_many_tasks(protocol):
    async def main():
        r = redis.asyncio.Redis(host="127.0.0.1", port=PORT, protocol=protocol, decode_responses=True)

        async def work(number):
            for count in range(50):
                await r.set(f"py:a{number}", count)
                assert await r.get(f"py:a{number}") == str(count)

        await asyncio.gather(*(work(number) for number in range(20)))
        async with r.pubsub() as subscriber:
            await subscriber.subscribe("py:async")
            async for message in subscriber.listen():
                # Only now it is sure to be heard: two connections have no order between them.
                if message["type"] == "subscribe":
                    await r.publish("py:async", "hello")
                if message["type"] == "message":
                    assert message["data"] == "hello"
                    break
        await r.aclose()

    asyncio.run(main())


CASES = [
    commands_of_every_type_in_both_protocols,
    values_of_any_bytes_and_size,
    a_pipeline_of_a_thousand_and_a_transaction,
    a_watched_key_and_a_transaction_held_open,
    blocking_commands,
    scripts_and_functions,
    pub_sub,
    credentials_of_its_own_names_and_databases,
    a_pool_used_by_many_threads,
    asyncio_with_many_tasks,
]

for case in CASES:
    for version in (2, 3):
        print(f"redis-py, RESP{version}: {case.__name__.replace('_', ' ')}", flush=True)
        case(version)
