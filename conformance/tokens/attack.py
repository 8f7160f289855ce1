"""Forges tokens with myjwt, a published attack tool, out of honest ones.

Reads from the file that is named on the command line: {"plain", "with_jku", "with_x5u"} (honest tokens), "jwk" (the
public key that anybody can fetch) and "url" (where the last two tokens say that their keys are; this script answers
there, on loopback). Prints one JSON object a line: {"attack", "token"}. The validator's test reads them.
"""

import json
import os
import sys
import tempfile
import threading
from base64 import urlsafe_b64decode
from http.server import BaseHTTPRequestHandler, HTTPServer

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from myjwt import modify_jwt, utils, vulnerabilities

PUBLIC_FORMS = {
    "PKIX PEM": (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    "PKCS #1 PEM": (Encoding.PEM, PublicFormat.PKCS1),
}

INJECTIONS = ["../../../../../../dev/null", "key' UNION SELECT 'secret", "| sleep 9", "https://127.0.0.1:1/key", ""]


def number(text):
    return int.from_bytes(urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big")


def serve(jwk, port):
    """The key set under attack, where `jku` and `x5u` point to."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps({"keys": [jwk]}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}/keys"


def forged(given):
    plain, jwk = given["plain"], given["jwk"]
    signature = plain.rsplit(".", 1)[1]
    yield "alg none", vulnerabilities.none_vulnerability(plain)
    for alg in ("None", "NONE", "nOnE", ""):
        parts = utils.jwt_to_json(plain)
        parts[utils.HEADER]["alg"] = alg
        yield f"alg {alg!r}", utils.encode_jwt(parts) + "."
    key = RSAPublicNumbers(number(jwk["e"]), number(jwk["n"])).public_key()
    for form, (encoding, public_format) in PUBLIC_FORMS.items():
        with open("public.pem", "wb") as file:
            file.write(key.public_bytes(encoding, public_format))
        yield f"HS256 keyed with the public key as {form}", vulnerabilities.confusion_rsa_hmac(plain, "public.pem")
        for alg in ("HS384", "HS512"):
            with open("public.pem") as file:
                parts = modify_jwt.change_alg(utils.jwt_to_json(plain), alg)
                yield f"{alg} keyed with the public key as {form}", modify_jwt.signature(parts, file.read())
    hmac = utils.encode_jwt(modify_jwt.change_alg(utils.jwt_to_json(plain), "HS256")) + "." + signature
    for injection in INJECTIONS:
        yield f"kid {injection!r}", vulnerabilities.inject_sql_kid(hmac, injection)
    for secret in ("", "secret", "password", "null"):
        parts = modify_jwt.change_alg(utils.jwt_to_json(plain), "HS256")
        yield f"HS256 keyed with {secret!r}", modify_jwt.signature(parts, secret)
    for claims in ({"roles": ["Admin"]}, {"oid": "00000000-0000-0000-0000-000000000000"}, {"exp": 9999999999}):
        parts = modify_jwt.change_payload(utils.jwt_to_json(plain), {**utils.jwt_to_json(plain)["payload"], **claims})
        yield f"claims {claims} under the old signature", utils.encode_jwt(parts) + "." + signature
    yield "a key set of the attacker's own (jku)", vulnerabilities.jku_vulnerability(given["with_jku"], given["url"])
    yield "a certificate of the attacker's own (x5u)", vulnerabilities.x5u_vulnerability(given["with_x5u"], given["url"])


def main():
    with open(sys.argv[1]) as file:
        given = json.load(file)
    serve(given["jwk"], given["port"])
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for attack, token in forged(given):
            print(json.dumps({"attack": attack, "token": token}))
        os.chdir("/")


main()
