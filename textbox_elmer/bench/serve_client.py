"""Clients of `bench serve`: a program of its own, so that it can be killed and takes no time from the server's process.

    python serve_client.py ADDRESS MODEL CLIENTS SECONDS < texts.json

asks for one text after the other on each of CLIENTS connections, and prints a JSON list a request: when it was answered
(seconds of the system's clock), how long that took (seconds), how many tokens were written, and whether there was an
answer and the one that was expected. `texts.json` holds pairs of a text and the answer that is expected, or null.
"""

import http.client
import itertools
import json
import sys
import threading
import time
import urllib.parse

PATIENCE = 600  # seconds
WRITING = threading.Lock()


def ask(address: str, model: str, pairs: list, first: int, until: float) -> None:
    """Ask on one connection until the system's clock says `until`, beginning with the pair `first`."""
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(address).netloc, timeout=PATIENCE)
    for place in itertools.count(first):
        text, expected = pairs[place % len(pairs)]
        start = time.time()
        if start >= until:
            return
        body = json.dumps({"model": model, "prompt": text})
        connection.request("POST", "/v1/completions", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        answer = json.load(response)
        end, tokens, is_right = time.time(), 0, False
        if response.status == 200:
            tokens, is_right = answer["usage"]["completion_tokens"], expected in (None, answer["choices"][0]["text"])
        with WRITING:  # a line and its end are two writes
            print(json.dumps([end, end - start, tokens, is_right]), flush=True)


def main(address: str, model: str, clients: str, seconds: str) -> None:
    """Run the clients, and end when all have their last answers."""
    pairs, until = json.load(sys.stdin), time.time() + float(seconds)
    threads = [
        threading.Thread(target=ask, args=(address, model, pairs, place * len(pairs) // int(clients), until))
        for place in range(int(clients))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
