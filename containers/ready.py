"""Health check of the controller's container: exit code 0 if its store answers."""

import sys
import urllib.request

with urllib.request.urlopen("http://127.0.0.1:8770/readyz", timeout=4) as answer:
    sys.exit(answer.status != 200)
