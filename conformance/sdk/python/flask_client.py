"""The web app as most samples build it, with Flask and MSAL or with the `identity` package; `flask_app.py` is the first."""

import identity.web
from azure.identity import ManagedIdentityCredential

import flask_app
from system import *

TOLD = "`authority`, `instance_discovery=False`"


def program():
    imds()
    return flask_app.build(FACTS, FACTS["api_url"]).test_client()


def signed_in():
    """The program with Alice signed in."""
    client = program()
    parameters = sign_in(client.get("/login").headers["Location"])
    assert client.get("/getAToken", query_string=parameters).status_code == 302
    return client


def auth(session, credential=None):
    identity_credential = ManagedIdentityCredential(client_id=FACTS["managed_identity_client_id"])
    assertion = {"client_assertion": lambda: identity_credential.get_token(EXCHANGE).token}
    return identity.web.Auth(
        session=session, authority=FACTS["authority"], client_id=FACTS["client_id"], client_credential=credential or assertion
    )


def logged_in(session):
    imds()
    client = auth(session)
    begun = client.log_in(scopes=[FACTS["api_scope"]], redirect_uri=redirect_uri())
    client.complete_log_in(sign_in(begun["auth_uri"]))
    return client


absent("managed identity", "not by itself: Flask and `identity` take MSAL's client credentials; the program asks azure-identity")


@case("workload identity", "`identity`: the token file as `client_assertion`", "`authority`")
def workload_identity():
    client = auth({}, {"client_assertion": lambda: open(token_file()).read()})
    is_app(client.get_token_for_client([api_scope()])["access_token"])


@case("service principal", "`identity`: client secret", "`authority`")
def service_principal():
    is_app(auth({}, CLIENT_SECRET).get_token_for_client([api_scope()])["access_token"])


@case("federated credential", "`identity`: managed identity", "`authority`")
def federated_credential():
    imds()
    is_app(auth({}).get_token_for_client([api_scope()])["access_token"])


@case("sign-in", "Flask and MSAL: sign-in, silent, call of the protected API", TOLD)
def sign_in_and_call():
    answer = signed_in().get("/call-api")
    assert answer.status_code == 200 and b"access_as_user" in answer.data, answer.data


@case("sign-in", "`identity`", "`authority`")
def identity_package():
    client = logged_in({})
    assert client.get_user()["preferred_username"] == ALICE, client.get_user()


@case("silent", "`identity`: the second token is the first", "`authority`")
def silent():
    client = logged_in({})
    first, asked = client.get_token_for_user([FACTS["api_scope"]]), count("token")
    assert client.get_token_for_user([FACTS["api_scope"]])["access_token"] == first["access_token"]
    assert claims(first["access_token"])["scp"] == "access_as_user" and count("token") == asked


@case("refresh", "Flask and MSAL: a token that ends soon is renewed", TOLD)
def refresh():
    with fault({"lifetime": {"seconds": 200}}, endpoint="token", grant="authorization_code"):
        client = signed_in()
    asked = count("token")
    assert client.get("/call-api").status_code == 200 and count("token") == asked + 1


absent("on behalf of", "not in `identity`; MSAL's own is in the first table")


@case("fault", "the API says 401, the token has expired: the person must sign in again", TOLD)
def api_says_expired():
    client = signed_in()
    with fault({"challenge": {"error": "invalid_token"}}, endpoint="api", times=1):
        answer = client.get("/call-api")
    assert answer.status_code == 302 and answer.headers["Location"].endswith("/login"), answer.data


@case("fault", "the API wants more claims (CAE): the app asks Entra with them and calls again", TOLD)
def api_wants_claims():
    client = signed_in()
    wanted = json.dumps({"access_token": {"nbf": {"essential": True, "value": "1"}}})
    asked = count("token")
    with fault({"challenge": {"error": "insufficient_claims", "claims": wanted}}, endpoint="api", times=1):
        answer = client.get("/call-api")
    assert answer.status_code == 200 and count("token") == asked + 1, answer.data


@case("fault", "the API says 403: the scope or role is missing", TOLD)
def api_forbids():
    client = signed_in()
    with fault({"challenge": {"error": "insufficient_scope"}}, endpoint="api", user=ALICE):
        answer = client.get("/call-api")
    assert answer.status_code == 403 and b"insufficient_scope" in answer.data, answer.data


if __name__ == "__main__":
    main("Flask + msal, identity (Python)")
