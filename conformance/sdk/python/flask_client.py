"""A Flask app with MSAL as most samples build it: sign-in by managed identity, silent acquisition, a call of the API."""

import flask
import identity.web
import msal
import requests
from azure.identity import ManagedIdentityCredential

from system import *

API = FACTS.get("api_url", "")


def assertion():
    imds()
    credential = ManagedIdentityCredential(client_id=FACTS["managed_identity_client_id"])
    return lambda: credential.get_token(EXCHANGE).token


def program():
    """Routes `/login`, `/getAToken`, `/call-api`: tokens in the session, one MSAL client a request."""
    app = flask.Flask("program")
    app.secret_key = os.urandom(32)
    kept = {}

    def client(cache=None):
        return msal.ConfidentialClientApplication(
            FACTS["client_id"], authority=FACTS["authority"], client_credential={"client_assertion": assertion()},
            token_cache=cache, instance_discovery=False,
        )

    @app.get("/login")
    def login():
        flask.session["flow"] = client().initiate_auth_code_flow([FACTS["api_scope"]], redirect_uri=redirect_uri())
        return flask.redirect(flask.session["flow"]["auth_uri"])

    @app.get("/getAToken")
    def callback():
        cache = kept.setdefault("cache", msal.SerializableTokenCache())
        result = client(cache).acquire_token_by_auth_code_flow(flask.session.pop("flow"), flask.request.args)
        return (result["id_token_claims"]["name"], 200) if "id_token_claims" in result else (result, 400)

    @app.get("/call-api")
    def call_api():
        msal_app = client(kept["cache"])
        token = msal_app.acquire_token_silent([FACTS["api_scope"]], account=msal_app.get_accounts()[0])
        answer = requests.get(
            f"{API}/api/claims", headers={"Authorization": f"Bearer {token['access_token']}"}, timeout=10
        )
        return answer.json(), answer.status_code

    return app.test_client()


@case("sign-in, silent, call of the protected API", "`authority`, `instance_discovery=False`")
def sign_in_and_call():
    browser = program()
    parameters = sign_in(browser.get("/login").headers["Location"])
    assert browser.get("/getAToken", query_string=parameters).status_code == 200
    answer = browser.get("/call-api")
    assert answer.status_code == 200 and answer.json["claims"]["scp"] == "access_as_user", answer.json


@case("the `identity` package: sign-in and token for the API", "`authority`")
def identity_package():
    session = {}
    auth = identity.web.Auth(
        session=session, authority=FACTS["authority"], client_id=FACTS["client_id"],
        client_credential={"client_assertion": assertion()},
    )
    begun = auth.log_in(scopes=[FACTS["api_scope"]], redirect_uri=redirect_uri())
    auth.complete_log_in(sign_in(begun["auth_uri"]))
    assert auth.get_user()["preferred_username"] == "alice@contoso.example", auth.get_user()
    token = auth.get_token_for_user([FACTS["api_scope"]])
    assert claims(token["access_token"])["scp"] == "access_as_user", token


main("Flask + msal, identity (Python)")
