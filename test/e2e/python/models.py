"""Which models there are: name, version and status of each. Only the standard library."""
import json
import os
import urllib.request

request = urllib.request.Request(
    os.environ["HOLDFAST_URL"] + "/v1/models",
    headers={"Authorization": "Bearer " + os.environ["HOLDFAST_KEY"]},
)
with urllib.request.urlopen(request, timeout=10) as response:
    data = json.load(response)
for model in data.get("models", []):
    print(f"Model: {model['name']}, Version: {model.get('version', 'N/A')}, Status: {model.get('status', 'unknown')}")
