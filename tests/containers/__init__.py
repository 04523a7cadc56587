"""The network in real containers: `make test-containers`, where there is an engine. Not among the other tests."""
