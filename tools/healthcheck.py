"""Whether the server on this machine is healthy, by the body of /health: an unknown path would answer 200 as well.

Exit code 0 for healthy and degraded (it serves), 1 for everything else. For the image's HEALTHCHECK.
"""

import json
import os
import sys
import urllib.error
import urllib.request

SERVICE = "time_series_analytics"


def main() -> int:
    port = os.environ.get("STREAMLIT_SERVER_PORT", "8080")
    request = urllib.request.Request(f"http://localhost:{port}/health", headers={"Accept": "application/json"})
    try:
        # No proxy of the environment stands between us and ourselves.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=8) as answer:
            body = json.loads(answer.read(100_000))
    except (OSError, ValueError) as error:
        print(f"not healthy: {error}")
        return 1
    good = isinstance(body, dict) and body.get("service") == SERVICE and body.get("status") in ("healthy", "degraded")
    print(body.get("status") if good else "not healthy: this is not TrendCast's answer")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
