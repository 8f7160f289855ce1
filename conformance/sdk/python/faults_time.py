"""Faults that cannot be undone: of the emulated clock, and of keys withdrawn. They run last."""

import time

import redis

import msal_client
from redis_entraid_client import once
from system import *

case = functools.partial(case, needs=msal_client.TOLD)


def later(hours):
    control("POST", "clock", {"step_seconds": hours * 3600})


@case("fault", "the clock steps: an assertion that was good has expired, AADSTS700024")
def clock_steps():
    imds()
    token = msal_client.managed(EXCHANGE)
    later(2)
    result = msal_client.app({"client_assertion": token}).acquire_token_for_client([api_scope()])
    assert result.get("error_codes") == [700024], result


@case("fault", "the clock runs faster: an hour's token ends in seconds")
def clock_runs():
    imds()
    token = msal_client.managed(EXCHANGE)
    control("POST", "clock", {"rate": 3600})
    try:
        time.sleep(2)
    finally:
        control("POST", "clock", {"rate": 1})
    result = msal_client.app({"client_assertion": token}).acquire_token_for_client([api_scope()])
    assert result.get("error_codes") == [700024], result


@case("fault", "the identity endpoint repeats a token that has expired, as a stuck agent does: AADSTS700024")
def repeated_token():
    imds()
    with fault("repeat-token", resource="AzureADTokenExchange"):
        first = msal_client.managed(EXCHANGE)
        later(2)
        assert msal_client.managed(EXCHANGE) == first
        result = msal_client.federated().acquire_token_for_client([api_scope()])
    assert result.get("error_codes") == [700024], result


@case("fault", "the token ends on a live Redis connection: the connection ends, and the old token opens no other")
def expired_connection():
    imds()
    client = once()
    assert client.ping()
    later(2)
    # redis-py opens a new connection, with the token that its provider has kept.
    with raises((redis.exceptions.AuthenticationError, redis.exceptions.ConnectionError)):
        for _ in range(50):
            client.ping()
            time.sleep(0.1)
    assert once().ping(), "a new token does"


@case("fault", "older keys withdrawn: AADSTS700027 for an assertion that one of them signed")
def keys_withdrawn():
    imds()
    old = msal_client.managed(EXCHANGE)
    control("POST", "keys", {"action": "rotate"})
    control("POST", "keys", {"action": "withdraw-older"})
    result = msal_client.app({"client_assertion": old}).acquire_token_for_client([api_scope()])
    assert result["error_codes"] == [700027], result
    assert "access_token" in msal_client.federated().acquire_token_for_client([api_scope()])


if __name__ == "__main__":
    main("msal (Python)")
