"""The demonstration that `deploy/demo.sh` runs: a real rig and a real take through the service."""
