"""The whole system under load for a while, its clock sixty times faster: nothing fails, memory does not grow.

`python soak.py MINUTES` against the system whose ready file ENTRANT_READY names. Traffic goes to loopback only, from four threads with a
pause between two requests, and ends by itself.
"""

import http.cookiejar
import sys
import threading
import time
import urllib.parse
import warnings

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/sdk/python")
from system import FACTS, Forms  # noqa: E402

import requests  # noqa: E402

# As browsers do on localhost: a Secure cookie goes over plain HTTP there.
http.cookiejar.DefaultCookiePolicy.return_ok_secure = lambda *_: True

THREADS = 4
PAUSE = 0.05  # seconds: about 60 requests/s in all
# After the first minute caches, pools and the allocator have settled; what is allowed on top is noise of both.
GROWTH = 1.15


def signed_in():
    """A browser's session: through Entra's page and back."""
    browser = requests.Session()
    page = browser.get(FACTS["web_url"] + "/login", timeout=30)
    forms = Forms()
    forms.feed(page.text)
    action, _, fields = next(form for form in forms.forms if any("alice@" in value for _, _, value in form[2]))
    data = {name: value for tag, name, value in fields if tag == "input" or "alice@" in value}
    done = browser.post(urllib.parse.urljoin(page.url, action), data=data, timeout=30)
    assert "Signed in as" in done.text, done.text[:500]
    return browser


def resident():
    """Resident memory of the system, MiB."""
    with open(f"/proc/{FACTS['pid']}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024


def metric(name):
    text = requests.get(FACTS["admin_url"] + "/metrics", timeout=30).text
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith((name + " ", name + "{")))


def main(minutes):
    warnings.simplefilter("ignore")
    end, count, failures = time.monotonic() + 60 * minutes, [0] * THREADS, []

    def work(thread):
        browser = signed_in()
        while time.monotonic() < end and not failures:
            answer = browser.get(FACTS["web_url"] + "/call-api", timeout=30)
            if answer.status_code != 200 or "access_as_user" not in answer.text:
                failures.append(f"{answer.status_code}: {answer.text[:800]}")
            count[thread] += 1
            time.sleep(PAUSE)

    threads = [threading.Thread(target=work, args=(thread,)) for thread in range(THREADS)]
    [thread.start() for thread in threads]
    settled = None
    while any(thread.is_alive() for thread in threads):
        time.sleep(min(60, max(1, end - time.monotonic())))
        settled = settled or resident()
        print(f"{sum(count)} requests, {resident():.1f} MiB, {metric('entrant_redis_auth_total'):.0f} AUTHs, "
              f"{metric('entrant_token_acquisitions_total'):.0f} tokens, {metric('entrant_redis_connection_drops_total'):.0f} drops", flush=True)
    assert not failures, failures[0]
    assert metric("entrant_redis_connection_drops_total") == 0, "a connection was dropped"
    assert resident() <= settled * GROWTH, f"memory grew from {settled:.1f} to {resident():.1f} MiB"


main(float(sys.argv[1]))
