"""The program of the first seed document: a Flask app that proves itself by managed identity and keeps no secret.

`python flask_app.py` serves it; its only option beyond the document is where Entra, the identity and the API are.
"""

import base64
import os
import re
import uuid

import flask
import msal
import requests
from azure.identity import ManagedIdentityCredential
from markupsafe import escape

EXCHANGE = "api://AzureADTokenExchange"


def build(facts, api_url):
    app = flask.Flask("program")
    app.secret_key = os.urandom(32)
    scope = [facts["api_scope"]]
    # The document keeps the serialized cache in Flask-Session; a dictionary by session is the same in one process.
    caches = {}

    def _load_cache():
        return caches.setdefault(flask.session.setdefault("sid", uuid.uuid4().hex), msal.SerializableTokenCache())

    def _build_msal_app(cache=None, authority=None):
        if facts["managed_identity_client_id"]:
            credential = ManagedIdentityCredential(client_id=facts["managed_identity_client_id"])
        else:
            credential = ManagedIdentityCredential()

        def get_token_for_client():
            return credential.get_token(EXCHANGE).token

        return msal.ConfidentialClientApplication(
            facts["client_id"], authority=authority or facts["authority"], token_cache=cache,
            client_credential={"client_assertion": get_token_for_client}, instance_discovery=False,
        )

    def _get_token(claims=None):
        client = _build_msal_app(_load_cache())
        accounts = client.get_accounts()
        return client.acquire_token_silent(scope, account=accounts[0], claims_challenge=claims) if accounts else None

    def _challenged(answer):
        """The claims of a claims challenge (continuous access evaluation), if the answer is one."""
        found = re.search(r'insufficient_claims.*claims="([^"]+)"', answer.headers.get("WWW-Authenticate", ""))
        return base64.b64decode(found[1]).decode() if found else None

    def _page(body, status=200):
        return f"<!doctype html><html lang=en><title>program</title><body>{body}</body></html>", status

    @app.get("/")
    def index():
        user = flask.session.get("user")
        if not user:
            return _page('<a href="/login">Sign in</a>')
        links = '<a href="/call-api">Call the API</a> <a href="/logout">Sign out</a>'
        return _page(f"<h1>Signed in as {escape(user['name'])}</h1>{links}")

    @app.get("/login")
    def login():
        callback = flask.url_for("authorized", _external=True)
        flask.session["flow"] = _build_msal_app().initiate_auth_code_flow(scope, redirect_uri=callback)
        return flask.redirect(flask.session["flow"]["auth_uri"])

    @app.get("/getAToken")
    def authorized():
        client = _build_msal_app(_load_cache())
        try:
            result = client.acquire_token_by_auth_code_flow(flask.session.pop("flow", {}), flask.request.args)
        except ValueError as error:  # The state is another one.
            return _page(f"<p>{type(error).__name__}</p>", 400)
        if "error" in result:
            return _page(f"<p>{escape(result['error'])}</p><p>{escape(result.get('error_description'))}</p>", 400)
        flask.session["user"] = result["id_token_claims"]
        return flask.redirect("/")

    @app.get("/call-api")
    def call_api():
        token = _get_token()
        if not token or "access_token" not in token:
            return flask.redirect("/login")

        def call():
            bearer = {"Authorization": f"Bearer {token['access_token']}"}
            return requests.get(f"{api_url}/api/claims", headers=bearer, timeout=10)

        answer = call()
        if claims := _challenged(answer):
            token = _get_token(claims)
            answer = call() if token and "access_token" in token else answer
        if answer.status_code == 401:
            return flask.redirect("/login")
        return _page(f"<pre>{escape(answer.text)}</pre>", answer.status_code)

    @app.get("/logout")
    def logout():
        caches.pop(flask.session.get("sid"), None)
        flask.session.clear()
        home = flask.url_for("index", _external=True)
        metadata = requests.get(f"{facts['authority']}/v2.0/.well-known/openid-configuration", timeout=10).json()
        return flask.redirect(f"{metadata['end_session_endpoint']}?post_logout_redirect_uri={home}")

    return app


if __name__ == "__main__":
    import json
    import sys

    with open(sys.argv[1]) as file:
        FACTS = json.load(file)
    os.environ["REQUESTS_CA_BUNDLE"] = FACTS["ca_path"]
    os.environ["AZURE_POD_IDENTITY_AUTHORITY_HOST"] = FACTS["imds_url"]
    from werkzeug.serving import make_server

    server = make_server("127.0.0.1", 0, build(FACTS, FACTS["api_url"]), threaded=True)
    print(f"http://localhost:{server.server_port}", flush=True)
    server.serve_forever()
